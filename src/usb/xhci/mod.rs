//! An xHCI controller, version 1.1, with eight ports of USB 2 and eight of USB 3.1 (1b36:000d, by which systems know QEMU's).
//!
//! Follows the eXtensible Host Controller Interface specification 1.2, whose sections the modules name. Drivers find it by its class.
//! The registers and the MSI-X table are in BAR 0. A doorbell is answered at once: commands are done, and transfers are with their
//! functions, before the guest's write is over; what a function does later it says by its waker. Not there: scratchpads, contexts of
//! 64 bytes, secondary streams, debug capability, virtualization, link power management, power management of the function, bandwidth
//! that could run out, and the schedule of isochronous transfers, which go to their function as soon as the guest has them ready.
//!
//! - [`registers`]: where they are; [`port`], [`interrupter`]: what they do;
//! - [`trb`]: rings and what stands on them; [`report`]: transfer descriptors and their events;
//! - [`context`], [`slot`]: devices and endpoints; [`commands`], [`transfers`]: what happens to them;
//! - [`attach`]: what is in the ports; [`state`]: what is saved.

mod attach;
mod commands;
mod context;
mod interrupter;
mod port;
mod registers;
mod report;
mod slot;
mod state;
mod transfers;
mod trb;

use std::collections::BTreeSet;

use device::pci::{Bar, BarKind, Identity, PciCore, PciFunction};
use device::{Clock, Device, Dma, Msi, Size, Timed, Timer, VmTime};
use serde::{Deserialize, Serialize};

use interrupter::Interrupter;
use port::{Outcome, Port};
use registers::{
    BAR_SIZE, Command, Half, INTERRUPTERS, InterrupterRegister, MSIX, PORTS, PortRegister, Register, SLOTS, Status,
    USB2_PORTS,
};
use slot::Slot;
use transfers::Key;
use trb::{Code, EventKind, Ring, Trb};

pub use state::{SavedInterrupter, SavedPort, SavedRegisters, SavedSlot, XhciState};

const BAR: u8 = 0;
/// SBRN in config space: which USB it is.
const RELEASE_AT: usize = 0x60;
const RELEASE: u8 = 0x31;
const FRAME_LENGTH_AT: usize = 0x61;
const FRAME_LENGTH: u8 = 0x20;

/// Microframes a second, and how many MFINDEX counts.
const MICROFRAMES: u64 = 8000;
const FRAMES: u64 = 1 << 14;

/// Numbers of the timers.
const INTERRUPT: u32 = 0;
const WORK: u32 = 1;
const WRAP: u32 = 2;

/// The controller's timers, each made with the number it is to report by.
pub struct Timers {
    /// An interrupt was put off.
    interrupt: Timer,
    /// There is more to do than one call may.
    work: Timer,
    /// MFINDEX begins anew.
    wrap: Timer,
}

impl Timers {
    /// Makes the timers by `make`, which gets each one's number.
    pub fn new(make: &dyn Fn(u32) -> Timer) -> Self {
        Self { interrupt: make(INTERRUPT), work: make(WORK), wrap: make(WRAP) }
    }
}

/// The controller's own registers, as they are saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Registers {
    command: u32,
    status: u32,
    notification: u32,
    command_ring: Ring,
    /// CRR.
    commands_run: bool,
    /// DCBAAP.
    contexts: u64,
    configure: u32,
    /// What the guest had saved is still here.
    is_saved: bool,
    /// When it began to run.
    started: VmTime,
    /// How often MFINDEX has begun anew, as far as that was told.
    frames_told: u64,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            command: 0,
            status: Status::HALTED.bits(),
            notification: 0,
            command_ring: Ring::default(),
            commands_run: false,
            contexts: 0,
            configure: 0,
            is_saved: false,
            started: VmTime(0),
            frames_told: 0,
        }
    }
}

/// The controller.
pub struct Xhci {
    core: PciCore,
    clock: Clock,
    timers: Timers,
    registers: Registers,
    interrupters: Vec<Interrupter>,
    ports: Vec<Port>,
    slots: Vec<Option<Slot>>,
    /// Rings that may have something, and whose turn it was.
    due: BTreeSet<Key>,
    turn: Key,
    /// Ports that have more to collect.
    woken: BTreeSet<u8>,
    /// Ports that changed while the machine stood.
    found_anew: BTreeSet<u8>,
    next_transfer: u64,
}

impl Xhci {
    /// A controller with empty ports. The board connects INTA.
    pub fn new(clock: Clock, timers: Timers, dma: Dma, msi: Msi) -> Self {
        let mut core = PciCore::new(
            Identity {
                vendor: 0x1b36,
                device: 0x000d,
                revision: 1,
                class: 0x0c_03_30,
                subsystem_vendor: 0x1af4,
                subsystem: 0x1100,
            },
            dma,
            msi,
        );
        core.add_bar(BAR, Bar::registers(BarKind::Memory64, BAR_SIZE));
        core.build(|config| {
            config.set(RELEASE_AT, &[RELEASE, FRAME_LENGTH]);
            config.allow(FRAME_LENGTH_AT, &[0x3f]);
            config.reserve(RELEASE_AT + 0x10);
        });
        core.add_msix_within(BAR, MSIX, INTERRUPTERS as u16);
        core.add_msi();
        Self {
            core,
            clock,
            timers,
            registers: Registers::default(),
            interrupters: vec![Interrupter::default(); INTERRUPTERS],
            ports: (0..PORTS).map(|port| Port::new(port >= USB2_PORTS)).collect(),
            slots: (0..SLOTS).map(|_| None).collect(),
            due: BTreeSet::new(),
            turn: Key { slot: 0, endpoint: 0, stream: 0 },
            woken: BTreeSet::new(),
            found_anew: BTreeSet::new(),
            next_transfer: 0,
        }
    }

    fn slot(&mut self, number: u8) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(number).checked_sub(1)?)?.as_mut()
    }

    fn is_running(&self) -> bool {
        self.registers.status & Status::HALTED.bits() == 0
    }

    /// Is there an event that found its ring full?
    fn events_wait(&self) -> bool {
        self.interrupters.iter().any(Interrupter::is_full)
    }

    /// Tells the driver something.
    fn tell(&mut self, interrupter: usize, event: Trb, interrupts: bool) {
        if !self.is_running() {
            return;
        }
        let at = if interrupter < INTERRUPTERS { interrupter } else { 0 };
        self.interrupters[at].tell(event, interrupts);
        self.flush(at);
    }

    fn flush(&mut self, at: usize) {
        if self.is_running() && self.interrupters[at].flush(self.core.dma()).is_err() {
            self.fail();
        }
    }

    /// What is left is done soon, behind whoever wants the controller meanwhile.
    fn work_later(&self) {
        let now = self.clock.now();
        self.timers.work.arm(VmTime::of_ticks(now.ticks(MICROFRAMES) + 1, MICROFRAMES));
    }

    /// A host system error: rings or contexts lead where no RAM is.
    fn fail(&mut self) {
        self.registers.status |= Status::SYSTEM_ERROR.bits();
        self.halt();
    }

    fn halt(&mut self) {
        self.registers.command &= !Command::RUN.bits();
        self.registers.status |= Status::HALTED.bits();
        self.registers.commands_run = false;
        self.take_back_all(None);
        self.due.clear();
        self.timers.wrap.cancel();
    }

    fn run(&mut self) {
        self.registers.status &= !Status::HALTED.bits();
        self.registers.started = self.clock.now();
        self.registers.frames_told = 0;
        for port in 1..=PORTS {
            if self.ports[usize::from(port) - 1].state.has_changes() {
                self.tell_port(port);
            }
        }
        self.make_all_due();
        self.work();
    }

    /// Changes a port, and tells the driver what changed in it.
    fn change_port<R>(&mut self, number: u8, change: impl FnOnce(&mut Port) -> R) -> R {
        let port = &mut self.ports[usize::from(number) - 1];
        let before = port.state.changes();
        let result = change(port);
        if port.state.changes() & !before != 0 {
            self.tell_port(number);
        }
        result
    }

    /// What is in a port may have something to say.
    fn end_sleep(&mut self, number: u8) {
        self.change_port(number, Port::remote_wakeup);
    }

    fn tell_port(&mut self, number: u8) {
        self.registers.status |= Status::PORT_CHANGE.bits();
        let event = Trb::event(EventKind::PortStatusChange, Code::Success, u64::from(number) << 24, 0);
        self.tell(0, event, true);
    }

    fn reset_controller(&mut self) {
        self.take_back_all(None);
        self.due.clear();
        self.woken.clear();
        self.found_anew.clear();
        self.registers = Registers::default();
        self.interrupters.fill(Interrupter::default());
        self.slots.fill_with(|| None);
        for port in &mut self.ports {
            port.power_on();
        }
        for timer in [&self.timers.interrupt, &self.timers.work, &self.timers.wrap] {
            timer.cancel();
        }
    }

    fn microframes(&self) -> u64 {
        if self.is_running() { (self.clock.now() - self.registers.started).as_nanos() as u64 / 125_000 } else { 0 }
    }

    fn read(&self, register: Register) -> u32 {
        match register {
            Register::Fixed(value) => value,
            Register::Command => self.registers.command,
            Register::Status => self.registers.status,
            Register::Notification => self.registers.notification,
            Register::CommandRing(half) => self.read_command_ring(half),
            Register::Contexts(half) => half.of(self.registers.contexts),
            Register::Configure => self.registers.configure,
            Register::Port(at, register) => {
                let port = &self.ports[at];
                match register {
                    PortRegister::Status => port.status(),
                    PortRegister::Power => port.power(),
                    PortRegister::Link => 0,
                    PortRegister::HardwarePower => port.hardware_power(),
                }
            }
            Register::FrameIndex => (self.microframes() % FRAMES) as u32,
            Register::Interrupter(at, register) => self.interrupters[at].read(register),
            Register::Doorbell(_) => 0,
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        match register {
            Register::Fixed(_) | Register::FrameIndex => {}
            Register::Command => self.write_command(value),
            Register::Status => self.registers.status &= !(value & Status::CLEARS.bits()),
            Register::Notification => self.registers.notification = value & 0xffff,
            Register::CommandRing(half) => self.write_command_ring(half, value),
            Register::Contexts(half) => self.registers.contexts = half.put(self.registers.contexts, value) & !0x3f,
            Register::Configure => self.registers.configure = value & 0x3ff,
            Register::Port(at, register) => match register {
                PortRegister::Status => self.write_port(at as u8 + 1, value),
                PortRegister::Power => self.ports[at].write_power(value),
                PortRegister::Link => {}
                PortRegister::HardwarePower => self.ports[at].write_hardware_power(value),
            },
            Register::Interrupter(at, register) => self.write_interrupter(at, register, value),
            Register::Doorbell(0) => {
                if self.is_running() && value & 0xff == 0 {
                    self.registers.commands_run = true;
                    self.run_commands();
                }
            }
            Register::Doorbell(slot) => {
                if self.is_running() {
                    self.ring_doorbell(slot, value);
                }
            }
        }
    }

    fn write_command(&mut self, value: u32) {
        let bits = Command::from_bits_retain(value);
        if bits.contains(Command::RESET) {
            return self.reset_controller();
        }
        let runs = self.is_running();
        self.registers.command = value & Command::KEPT.bits();
        match (runs, bits.contains(Command::RUN)) {
            (false, true) => self.run(),
            (true, false) => self.halt(),
            _ => {}
        }
        if bits.contains(Command::SAVE) {
            self.registers.is_saved = true;
        }
        // Nothing was lost unless the controller was reset since.
        if bits.contains(Command::RESTORE) && !self.registers.is_saved {
            self.registers.status |= Status::RESTORE_ERROR.bits();
        }
        self.arm_wrap();
    }

    fn write_port(&mut self, number: u8, value: u32) {
        let Outcome { reset, stopped, resumed } = self.change_port(number, |port| port.write_status(value));
        if reset || stopped {
            self.take_back_all(Some(number));
        }
        if stopped {
            // What was done before it slept, and not told, wakes it as well.
            self.end_sleep(number);
        }
        if resumed {
            self.make_all_due();
            self.work();
        }
    }

    fn write_interrupter(&mut self, at: usize, register: InterrupterRegister, value: u32) {
        self.interrupters[at].write(register, value);
        if matches!(register, InterrupterRegister::Dequeue(_)) {
            self.flush(at);
            if register == InterrupterRegister::Dequeue(Half::Low) && value & 8 != 0 {
                self.interrupters[at].answered(self.core.dma());
            }
            self.run_commands();
            self.work();
        }
    }

    fn arm_wrap(&self) {
        if self.is_running() && self.registers.command & Command::WRAP_EVENTS.bits() != 0 {
            let rounds = self.microframes() / FRAMES + 1;
            let microseconds = rounds.saturating_mul(FRAMES * 1_000_000 / MICROFRAMES);
            self.timers.wrap.arm(self.registers.started + std::time::Duration::from_micros(microseconds));
        } else {
            self.timers.wrap.cancel();
        }
    }

    /// Brings interrupts up to date.
    fn update(&mut self) {
        let now = self.clock.now();
        let mut later: Option<VmTime> = None;
        for interrupter in &mut self.interrupters {
            let (ripe, when) = interrupter.ripen(now);
            if ripe {
                self.registers.status |= Status::EVENT.bits();
            }
            later = later.into_iter().chain(when).min();
        }
        match later {
            Some(at) => self.timers.interrupt.arm(at),
            None => self.timers.interrupt.cancel(),
        }
        self.update_interrupt();
    }

    fn update_interrupt(&mut self) {
        let on = self.registers.command & Command::INTERRUPTS.bits() != 0;
        let asking = |interrupter: &Interrupter| on && interrupter.asks();
        if self.core.msix_enabled() {
            for (vector, interrupter) in (0..).zip(&mut self.interrupters) {
                if asking(interrupter) {
                    interrupter.sent();
                    self.core.send_msix(vector);
                }
            }
        } else if self.core.msi_enabled() {
            for interrupter in self.interrupters.iter_mut().filter(|interrupter| asking(interrupter)) {
                interrupter.sent();
                self.core.send_msi();
            }
        }
        let level = self.interrupters.iter().any(asking);
        self.core.set_interrupt(level);
    }
}

impl PciFunction for Xhci {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, _: u8, offset: u64, size: Size) -> u64 {
        size.of_dwords(offset, |at| self.read(Register::decode(at)))
    }

    /// Registers are written whole (§5.1); of what is less nothing comes.
    fn bar_write(&mut self, _: u8, offset: u64, size: Size, value: u64) {
        if !offset.is_multiple_of(4) || size < Size::Dword {
            return;
        }
        self.write(Register::decode(offset), value as u32);
        if size == Size::Qword {
            self.write(Register::decode(offset.wrapping_add(4)), (value >> 32) as u32);
        }
        self.update();
    }

    fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.core.config_write(offset, size, value);
        // The way of interrupts may be another now.
        self.update_interrupt();
    }
}

impl Timed for Xhci {
    fn expired(&mut self, which: u32, _: VmTime) {
        match which {
            WORK => {
                for port in std::mem::take(&mut self.found_anew) {
                    self.tell_port(port);
                }
                self.run_commands();
                for port in std::mem::take(&mut self.woken) {
                    if self.is_running() {
                        self.collect(port);
                    }
                }
                self.work();
            }
            WRAP => {
                let rounds = self.microframes() / FRAMES;
                if rounds > self.registers.frames_told && self.registers.command & Command::WRAP_EVENTS.bits() != 0 {
                    self.registers.frames_told = rounds;
                    let event = Trb::event(EventKind::FrameIndexWrap, Code::Success, 0, 0);
                    self.tell(0, event, true);
                }
                self.arm_wrap();
            }
            // The interrupt's: it may be time now.
            _ => {}
        }
        self.update();
    }
}

impl Device for Xhci {
    fn reset(&mut self) {
        self.reset_controller();
        self.core.reset();
        self.update();
    }
}

#[cfg(test)]
mod bench;
#[cfg(test)]
#[path = "xhci_test.rs"]
mod tests;
