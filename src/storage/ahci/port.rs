//! A port: its registers, its link, resets (AHCI 1.3.1 §3.3, §10.1, §10.4).
//!
//! Requests to the disk are captured whole when a command starts, and carry the port's generation. A reset or a stop begins a
//! new generation: what an old request still answers is dropped, and the port starts nothing, and says that it is still
//! running or resetting, until all of them have answered. So no late transfer reaches memory that the guest uses again.

use std::collections::VecDeque;
use std::io;

use device::Dma;
use serde::{Deserialize, Serialize};

use super::fis;
use super::prdt::Header;
use super::registers::{Command, Interrupts, PortRegister};
use crate::ata::{BUSY, DRQ, ERR, READY, TaskFile};
use crate::drive::{Drive, DriveState};

/// Command slots.
pub(super) const SLOTS: usize = 32;

const NO_DEVICE: u32 = 0;
/// Device present, link up at 3 Gb/s, active.
const LINK_UP: u32 = 0x123;
/// Offline by the guest's wish.
const LINK_OFFLINE: u32 = 4;
const DET: u32 = 0xf;
/// What a task file shows while there is no drive.
const NO_TASK_FILE: u32 = 0x7f;

/// The registers, as they are saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Registers {
    pub(super) command_list: u64,
    pub(super) fis_area: u64,
    pub(super) interrupts: u32,
    pub(super) enabled: u32,
    pub(super) command: u32,
    pub(super) task_file: u32,
    pub(super) signature: u32,
    pub(super) sata_status: u32,
    pub(super) sata_control: u32,
    pub(super) sata_error: u32,
    pub(super) active: u32,
    pub(super) issue: u32,
    pub(super) notification: u32,
    pub(super) current_slot: u8,
    /// An error stopped the list; it goes on when the guest has cleared START.
    pub(super) halted: bool,
    /// The drive's signature waits to be received.
    pub(super) greeting: bool,
    /// The drive is held in software reset.
    pub(super) held: bool,
}

/// A saved port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PortState {
    registers: Registers,
    drive: Option<DriveState>,
}

/// What became of the data of a command that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A queued command, completed by its tag.
    Queued,
    /// A command of a disk that moves data by PIO.
    Pio,
    /// Any other command of a disk.
    Disk,
    /// A packet command; PIO or not.
    Packet { pio: bool },
}

/// A command whose requests the disk has not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) registers: TaskFile,
    pub(super) header: Header,
    pub(super) kind: Kind,
    /// Bytes that its data are.
    pub(super) len: u64,
    /// Does it write? (Error bits differ.)
    pub(super) write: bool,
    /// Ranges still to be discarded, in bytes.
    pub(super) discards: VecDeque<(u64, u64)>,
}

pub(super) struct Port {
    pub(super) index: u8,
    pub(super) drive: Option<Drive>,
    pub(super) registers: Registers,
    pub(super) running: [Option<Running>; SLOTS],
    /// Interrupts that came since the adapter last looked.
    raised: Interrupts,
    generation: u64,
    /// Requests of this generation that are not answered.
    pub(super) in_flight: usize,
    /// Requests of older generations that are not answered.
    stale: usize,
    /// The link comes up when nothing is stale any more.
    connecting: bool,
}

impl Registers {
    fn power_on() -> Self {
        Self {
            command_list: 0,
            fis_area: 0,
            interrupts: 0,
            enabled: 0,
            command: 0,
            task_file: NO_TASK_FILE,
            signature: u32::MAX,
            sata_status: NO_DEVICE,
            sata_control: 0,
            sata_error: 0,
            active: 0,
            issue: 0,
            notification: 0,
            current_slot: 0,
            halted: false,
            greeting: false,
            held: false,
        }
    }

    fn is_possible(&self) -> bool {
        self.command_list & 0x3ff == 0
            && self.fis_area & 0xff == 0
            && self.enabled & !Interrupts::ENABLEABLE.bits() == 0
            && self.command & !Command::WRITABLE.bits() == 0
            && usize::from(self.current_slot) < SLOTS
    }

    pub(super) fn has(&self, bit: Command) -> bool {
        self.command & bit.bits() != 0
    }
}

impl Port {
    pub(super) fn new(index: u8) -> Self {
        Self {
            index,
            drive: None,
            registers: Registers::power_on(),
            running: [const { None }; SLOTS],
            raised: Interrupts::empty(),
            generation: 0,
            in_flight: 0,
            stale: 0,
            connecting: false,
        }
    }

    /// Puts a drive at the port, before the machine runs.
    pub(super) fn attach(&mut self, drive: Drive) {
        self.drive = Some(drive);
        self.connect();
    }

    /// Power-on.
    pub(super) fn power_on(&mut self) {
        self.abandon();
        self.registers = Registers::power_on();
        self.raised = Interrupts::empty();
        if let Some(drive) = &mut self.drive {
            drive.reset();
        }
        self.connect();
    }

    /// The adapter's reset: everything but where the memory structures are, and a new link.
    pub(super) fn adapter_reset(&mut self, dma: &Dma) {
        self.abandon();
        let Registers { command_list, fis_area, .. } = self.registers;
        self.registers = Registers { command_list, fis_area, ..Registers::power_on() };
        self.raised = Interrupts::empty();
        self.connecting = true;
        self.settle(dma);
    }

    /// Does anything that was given up still wait for the disk?
    pub(super) fn is_draining(&self) -> bool {
        self.stale > 0
    }

    /// Which interrupts came since the last call, of those that the guest wants.
    pub(super) fn take_raised(&mut self) -> Interrupts {
        std::mem::replace(&mut self.raised, Interrupts::empty())
    }

    /// Does the port ask for the guest's attention?
    pub(super) fn is_asking(&self) -> bool {
        self.registers.interrupts & self.registers.enabled != 0
    }

    pub(super) fn read(&self, register: PortRegister) -> u32 {
        use PortRegister as P;
        let registers = &self.registers;
        match register {
            P::CommandListBase => registers.command_list as u32,
            P::CommandListBaseUpper => (registers.command_list >> 32) as u32,
            P::FisBase => registers.fis_area as u32,
            P::FisBaseUpper => (registers.fis_area >> 32) as u32,
            P::InterruptStatus => registers.interrupts,
            P::InterruptEnable => registers.enabled,
            P::Command => self.read_command(),
            P::TaskFileData => registers.task_file,
            P::Signature => registers.signature,
            P::SataStatus => registers.sata_status,
            P::SataControl => registers.sata_control,
            P::SataError => registers.sata_error,
            P::SataActive => registers.active,
            P::CommandIssue => registers.issue,
            P::SataNotification => registers.notification,
            P::Reserved => 0,
        }
    }

    fn read_command(&self) -> u32 {
        let registers = &self.registers;
        let mut command = Command::from_bits_retain(registers.command) | Command::SPIN_UP | Command::POWER_ON;
        command.set(Command::FIS_RUNNING, registers.has(Command::FIS_RECEIVE));
        let runs = registers.has(Command::START) || self.in_flight + self.stale > 0;
        command.set(Command::LIST_RUNNING, runs);
        command.bits() | u32::from(registers.current_slot) << 8
    }

    pub(super) fn write(&mut self, register: PortRegister, value: u32, dma: &Dma) {
        use PortRegister as P;
        let registers = &mut self.registers;
        let low = |old: u64, mask: u32| old & !0xffff_ffff | u64::from(value & mask);
        let high = |old: u64| old & 0xffff_ffff | u64::from(value) << 32;
        match register {
            P::CommandListBase => registers.command_list = low(registers.command_list, !0x3ff),
            P::CommandListBaseUpper => registers.command_list = high(registers.command_list),
            P::FisBase => registers.fis_area = low(registers.fis_area, !0xff),
            P::FisBaseUpper => registers.fis_area = high(registers.fis_area),
            P::InterruptStatus => registers.interrupts &= !value,
            P::InterruptEnable => registers.enabled = value & Interrupts::ENABLEABLE.bits(),
            P::Command => self.write_command(value, dma),
            P::SataControl => self.write_sata_control(value, dma),
            P::SataError => registers.sata_error &= !value,
            P::SataNotification => registers.notification &= !value,
            // Both are the list's, which does not exist while it is stopped.
            P::SataActive if registers.has(Command::START) => registers.active |= value,
            P::CommandIssue if registers.has(Command::START) => {
                registers.issue |= value;
                self.kick(dma);
            }
            P::SataActive | P::CommandIssue => {}
            P::TaskFileData | P::Signature | P::SataStatus | P::Reserved => {}
        }
    }

    fn write_command(&mut self, value: u32, dma: &Dma) {
        let before = Command::from_bits_retain(self.registers.command);
        let now = Command::from_bits_retain(value);
        if now.contains(Command::LIST_OVERRIDE) && !before.contains(Command::START) {
            self.registers.task_file &= !u32::from(BUSY | DRQ);
        }
        self.registers.command = (now & Command::WRITABLE).bits();
        if before.contains(Command::START) && !now.contains(Command::START) {
            self.stop();
        }
        self.greet(dma);
        self.kick(dma);
    }

    /// START was cleared: the list is forgotten.
    fn stop(&mut self) {
        self.abandon();
        let registers = &mut self.registers;
        (registers.issue, registers.active, registers.current_slot) = (0, 0, 0);
        registers.halted = false;
    }

    fn write_sata_control(&mut self, value: u32, dma: &Dma) {
        let before = self.registers.sata_control & DET;
        self.registers.sata_control = value & 0xfff;
        match (before, value & DET) {
            (_, 1) => self.disconnect(NO_DEVICE),
            (_, 4) => self.disconnect(LINK_OFFLINE),
            (1 | 4, 0) => {
                self.connecting = true;
                self.settle(dma);
            }
            _ => {}
        }
    }

    fn disconnect(&mut self, status: u32) {
        self.stop();
        self.connecting = false;
        let registers = &mut self.registers;
        registers.sata_status = status;
        registers.task_file = NO_TASK_FILE;
        registers.signature = u32::MAX;
        (registers.greeting, registers.held) = (false, false);
    }

    /// Brings the link up: the drive will greet.
    fn connect(&mut self) {
        self.connecting = false;
        if let Some(drive) = &mut self.drive {
            drive.soft_reset();
            self.registers.sata_status = LINK_UP;
            self.registers.greeting = true;
        }
    }

    /// Goes on after requests that were given up, once the last has answered.
    fn settle(&mut self, dma: &Dma) {
        if self.stale > 0 {
            return;
        }
        if self.connecting {
            self.connect();
        }
        self.greet(dma);
        self.kick(dma);
    }

    /// Delivers the drive's signature, when it has one to deliver and the guest receives.
    pub(super) fn greet(&mut self, dma: &Dma) {
        if !self.registers.greeting || !self.registers.has(Command::FIS_RECEIVE) {
            return;
        }
        let Some(drive) = &self.drive else { return };
        let packet = drive.is_packet();
        let signature = TaskFile::signature(packet);
        self.registers.greeting = false;
        self.registers.signature = signature.signature_register();
        // Packet drives are not ready before their first command. Error 1: diagnostics found nothing.
        self.answer(dma, &signature, if packet { 0 } else { READY }, 1, false);
    }

    /// Gives up all that runs: the disk's answers will be dropped.
    pub(super) fn abandon(&mut self) {
        self.running = [const { None }; SLOTS];
        self.stale += std::mem::take(&mut self.in_flight);
        self.generation += 1;
        self.registers.task_file &= !u32::from(BUSY | DRQ);
    }

    /// The tag of a request for the command in `slot`.
    pub(super) fn tag(&self, slot: usize) -> u64 {
        self.generation << 16 | u64::from(self.index) << 8 | slot as u64
    }

    /// The port that a tag names.
    pub(super) fn of_tag(tag: u64) -> usize {
        (tag >> 8 & 0xff) as usize
    }

    /// A request was answered.
    pub(super) fn completed(&mut self, tag: u64, result: io::Result<()>, dma: &Dma) {
        if tag >> 16 != self.generation {
            self.stale = self.stale.saturating_sub(1);
            self.settle(dma);
            return;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.answered((tag & 0xff) as usize, result, dma);
        self.kick(dma);
    }

    /// Sets the task file and sends it by a register FIS.
    pub(super) fn answer(&mut self, dma: &Dma, registers: &TaskFile, status: u8, error: u8, interrupt: bool) {
        self.registers.task_file = u32::from(error) << 8 | u32::from(status);
        self.receive(dma, fis::REGISTER_AT, &fis::register(registers, status, error, interrupt));
        if interrupt {
            self.interrupt(Interrupts::REGISTER_FIS);
        }
        if status & ERR != 0 {
            self.registers.halted = true;
            self.interrupt(Interrupts::TASK_FILE_ERROR);
        }
    }

    /// Puts a FIS into the receive area.
    pub(super) fn receive(&mut self, dma: &Dma, at: u64, fis: &[u8]) {
        if self.registers.has(Command::FIS_RECEIVE) && dma.write(self.registers.fis_area.wrapping_add(at), fis).is_err()
        {
            self.fault(Interrupts::HOST_BUS_FATAL);
        }
    }

    /// Stops the list for a reason that only a restart heals.
    pub(super) fn fault(&mut self, why: Interrupts) {
        tracing::debug!("AHCI port {}: {why:?}", self.index);
        self.registers.halted = true;
        self.interrupt(why);
    }

    pub(super) fn interrupt(&mut self, which: Interrupts) {
        let new = which.bits() & !self.registers.interrupts;
        self.registers.interrupts |= which.bits();
        self.raised |= Interrupts::from_bits_retain(new & self.registers.enabled);
    }

    /// Tells the guest of a media change, if it wants to be told.
    pub(super) fn notify(&mut self, dma: &Dma) {
        let Some(Drive::Cdrom(drive)) = &self.drive else { return };
        if !drive.notifies() || !drive.cd().has_event() || self.registers.sata_status != LINK_UP {
            return;
        }
        self.registers.notification |= 1;
        let status = self.registers.task_file as u8;
        self.receive(dma, fis::SET_DEVICE_BITS_AT, &fis::set_device_bits(status, 0, 0, true));
        self.interrupt(Interrupts::SET_DEVICE_BITS_FIS);
    }

    pub(super) fn save(&self) -> PortState {
        let Self {
            index: _,
            drive,
            registers,
            running,
            raised: _,
            generation: _,
            in_flight: _,
            stale: _,
            connecting: _,
        } = self;
        // What a full host holds is fetched again. Commands that are not queued are in the list still; the tags of those that
        // are keep the guest from reusing their slots.
        let held = (0..SLOTS).filter(|slot| running[*slot].is_some()).fold(0, |issue, slot| issue | 1 << slot);
        let registers = Registers { issue: registers.issue | held, ..registers.clone() };
        PortState { registers, drive: drive.as_ref().map(Drive::save) }
    }

    /// False when the state cannot be this port's.
    pub(super) fn restore(&mut self, saved: PortState) -> Result<bool, device::RestoreError> {
        let PortState { registers, drive } = saved;
        let fits = match (&mut self.drive, drive) {
            (Some(own), Some(saved)) => own.restore(saved)?,
            (None, None) => registers.sata_status & DET != 3,
            _ => false,
        };
        if !fits || !registers.is_possible() {
            return Ok(false);
        }
        self.abandon();
        self.registers = registers;
        self.raised = Interrupts::empty();
        self.connecting = false;
        Ok(true)
    }
}
