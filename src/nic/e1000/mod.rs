//! Intel's 82540EM, a Gigabit Ethernet controller (8086:100E).
//!
//! Follows Intel's “PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual” (317453), whose sections the modules
//! name. Registers are in BAR 0, and by an address and a data register in BAR 2. A frame that comes while the driver has no buffers stays
//! with the port until it has. Sending is done when the tail is written, but never more at once than [`BURST`]: what is left goes on by a
//! timer, so that a ring can hold up nobody. Not there: MSI, power management and wake-up, flow control, the packet checksum and the
//! check sequence of received frames, access to the packet memory.

mod access;
mod checksum;
mod eeprom;
mod filter;
mod interrupts;
mod phy;
mod receive;
mod registers;
mod ring;
mod state;
mod statistics;
mod transmit;

use std::sync::Arc;

use ::net::{FrameSink, MAX_FRAME, Port};
use device::pci::{Bar, BarKind, Identity, PciCore, SharedMemory};
use device::{Clock, Device, Dma, IrqLine, Msi, Timed, Timer, VmTime};

use eeprom::{Eeprom, Microwire};
use filter::{Filter, Match};
use interrupts::{Delay, Interrupts};
use phy::Phy;
use receive::{Delivery, Receiver, status};
use registers::{Causes, Control, KEPT, ReceiveControl, TransmitControl};
use ring::DESCRIPTOR;
use statistics::{Statistic, Statistics};
use transmit::{Command, DONE, STATUS_AT, Sent, Transmitter};

pub use state::E1000State;

/// PCI's number of the chip.
const DEVICE: u16 = 0x100e;

const MEMORY_BAR: u8 = 0;
const MEMORY_SIZE: u64 = 128 << 10;
const PORT_BAR: u8 = 2;
const PORT_SIZE: u64 = 64;
/// Where in BAR 2 the address and data registers are.
const ADDRESS_AT: u64 = 0;
const DATA_AT: u64 = 4;
/// What the address register holds.
const ADDRESS_MASK: u32 = 0x000f_ffff;

/// Bytes of a frame's check sequence, of a VLAN tag with its type, and of the shortest frame without check sequence.
const CHECK_SEQUENCE: usize = 4;
const VLAN_TAG: usize = 4;
const SHORTEST: usize = 60;
/// Where a frame's type is, and behind it the tag.
const TYPE_AT: usize = 12;

/// Bytes that are sent at once; as much as the port keeps.
const BURST: usize = 1 << 20;
/// What a descriptor and a frame count for beside their bytes.
const DESCRIPTOR_COST: usize = 64;
const FRAME_COST: usize = 256;

/// CTRL after a reset: full duplex, speed by the PHY.
const CONTROL: Control = Control::FULL_DUPLEX.union(Control::SET_LINK_UP).union(Control::AUTO_SPEED);

/// Numbers of the timers.
const THROTTLE: u32 = 0;
const RECEIVE_DELAY: u32 = 1;
const TRANSMIT_DELAY: u32 = 2;
const SETTLED: u32 = 3;
const SEND_ON: u32 = 4;

/// The card's timers, each made with the number it is to report by.
pub struct Timers {
    throttle: Timer,
    received: Timer,
    sent: Timer,
    settled: Timer,
    send_on: Timer,
}

impl Timers {
    /// Makes the timers by `make`, which gets each one's number.
    pub fn new(make: &dyn Fn(u32) -> Timer) -> Self {
        Self {
            throttle: make(THROTTLE),
            received: make(RECEIVE_DELAY),
            sent: make(TRANSMIT_DELAY),
            settled: make(SETTLED),
            send_on: make(SEND_ON),
        }
    }
}

/// The card.
pub struct E1000 {
    core: PciCore,
    port: Arc<Port>,
    clock: Clock,
    settled: Timer,
    send_on: Timer,
    mac: [u8; 6],
    eeprom: Eeprom,
    microwire: Microwire,
    /// EERD and MDIC as they read.
    eeprom_word: u32,
    mdi: u32,
    control: Control,
    vlan_type: u16,
    kept: [u32; KEPT.len()],
    /// What BAR 2's data register shows.
    address: u32,
    phy: Phy,
    interrupts: Interrupts,
    filter: Filter,
    receiver: Receiver,
    transmitter: Transmitter,
    statistics: Statistics,
    /// A frame on its way out; kept for its memory.
    frame: Vec<u8>,
}

impl E1000 {
    /// A card with address `mac` on `port`, which must be connected to it. Its `rom` starts machines from the network. The board
    /// connects INTA.
    pub fn new(
        port: Arc<Port>,
        mac: [u8; 6],
        rom: Option<Arc<SharedMemory>>,
        dma: Dma,
        msi: Msi,
        clock: Clock,
        timers: Timers,
    ) -> Self {
        let mut core = PciCore::new(
            Identity {
                vendor: 0x8086,
                device: DEVICE,
                revision: 3,
                class: 0x02_00_00,
                subsystem_vendor: 0x8086,
                subsystem: DEVICE,
            },
            dma,
            msi,
        );
        core.add_bar(MEMORY_BAR, Bar::registers(BarKind::Memory32, MEMORY_SIZE));
        core.add_bar(PORT_BAR, Bar::registers(BarKind::Io, PORT_SIZE));
        if let Some(rom) = rom {
            core.add_rom(rom);
        }
        let Timers { throttle, received, sent, settled, send_on } = timers;
        let phy = Phy::new(port.link_up());
        Self {
            core,
            port,
            interrupts: Interrupts::new(clock.clone(), throttle, received, sent),
            clock,
            settled,
            send_on,
            mac,
            eeprom: Eeprom::new(mac),
            microwire: Microwire::default(),
            eeprom_word: 0,
            mdi: 0,
            control: CONTROL,
            vlan_type: 0,
            kept: KEPT.map(|register| register.initial),
            address: 0,
            phy,
            filter: Filter::new(mac),
            receiver: Receiver::new(),
            transmitter: Transmitter::default(),
            statistics: Statistics::default(),
            frame: Vec::new(),
        }
    }

    /// Connects INTA.
    pub fn connect_intx(&mut self, line: IrqLine) {
        self.core.connect_intx(line);
    }

    /// The port, for the machine's owner: cables, counters, pause.
    pub fn port(&self) -> &Arc<Port> {
        &self.port
    }

    fn update_interrupt(&mut self) {
        let level = self.interrupts.level();
        self.core.set_interrupt(level);
    }

    /// Changes the PHY, and tells the driver when that changed the link.
    fn change_phy<R>(&mut self, change: impl FnOnce(&mut Phy, VmTime) -> R) -> R {
        let before = self.phy.link();
        let result = change(&mut self.phy, self.clock.now());
        match self.phy.settled_at() {
            Some(at) => self.settled.arm(at),
            None => self.settled.cancel(),
        }
        if self.phy.link() != before {
            self.interrupts.raise(Causes::LINK_CHANGED);
            // What waited for buffers of a link that is gone is dropped.
            self.port.resume();
        }
        result
    }

    /// Sends what the ring has, as far as it goes at once.
    fn transmit(&mut self) {
        let mut spent = 0;
        let mut causes = Causes::empty();
        let before = self.transmitter.ring.ready();
        while self.transmitter.control().contains(TransmitControl::ENABLE) && self.transmitter.ring.ready() > 0 {
            if spent >= BURST {
                self.send_on.arm(self.clock.now());
                break;
            }
            let at = self.transmitter.ring.address(0);
            let mut descriptor = [0; DESCRIPTOR];
            if self.core.dma().read(at, &mut descriptor).is_err() {
                // As if the bus never answered: the card stands until it is reset.
                break;
            }
            let taken = self.transmitter.take(descriptor, self.core.dma());
            spent += DESCRIPTOR_COST + taken.read;
            if taken.ends_packet {
                spent += self.send_packet();
            }
            self.transmitter.ring.advance(1);
            if taken.command.intersects(Command::REPORT | Command::REPORT_SENT) {
                let _ = self.core.dma().write(at.wrapping_add(STATUS_AT), &[descriptor[12] & 0xf0 | DONE]);
                match taken.command.contains(Command::DELAY) {
                    true => self.interrupts.raise_later(Delay::Sent),
                    false => causes |= Causes::SENT,
                }
            }
        }
        let after = self.transmitter.ring.ready();
        if after < before {
            if after == 0 {
                causes |= Causes::TRANSMIT_QUEUE_EMPTY;
            }
            let few = self.transmitter.few();
            if (after..before).contains(&few) && few > 0 {
                causes |= Causes::FEW_TO_SEND;
            }
        }
        self.interrupts.raise(causes);
    }

    /// Sends the packet that is whole. What that cost.
    fn send_packet(&mut self) -> usize {
        let tag_type = self.control.contains(Control::VLAN_MODE).then_some(self.vlan_type);
        let comes_back = self.loops_back();
        let link = self.phy.link();
        let (mut cost, mut looped) = (0, Vec::new());
        let sent = {
            let Self { transmitter, port, statistics, frame, .. } = self;
            transmitter.send(tag_type, frame, |frame| {
                cost += FRAME_COST + frame.len();
                statistics.sent(frame);
                match comes_back {
                    true => looped.push(frame.to_vec()),
                    // Without a link they are lost on the way.
                    false if link => port.send(&[frame]),
                    false => {}
                }
            })
        };
        match sent {
            Sent::Cut => self.statistics.count(Statistic::SEGMENTED),
            Sent::Uncuttable => self.statistics.count(Statistic::NOT_SEGMENTED),
            Sent::Whole | Sent::Lost => {}
        }
        for frame in looped {
            if !self.receive_frame(&frame) {
                self.overrun();
            }
        }
        cost
    }

    /// What is sent comes back, by the PHY (manual §8.2) or before it (RCTL.LBM, §13.4.22).
    fn loops_back(&self) -> bool {
        let mac = self.receiver.control() & ReceiveControl::LOOPBACK;
        self.phy.is_loopback() || mac.bits() == 1 << 6
    }

    fn overrun(&mut self) {
        self.statistics.count(Statistic::MISSED);
        self.statistics.count(Statistic::NO_BUFFERS);
        self.interrupts.raise(Causes::OVERRUN);
    }

    /// Takes a frame; false when the driver has no buffers for it now.
    fn receive_frame(&mut self, frame: &[u8]) -> bool {
        let control = self.receiver.control();
        if !control.contains(ReceiveControl::ENABLE) || !self.phy.link() || !self.core.dma().is_enabled() {
            return true;
        }
        let mut padded = [0; SHORTEST];
        let frame = match padded.get_mut(..frame.len()) {
            Some(start) => {
                start.copy_from_slice(frame);
                &padded
            }
            None => frame,
        };
        if frame.len() > MAX_FRAME || self.receiver.is_oversized(frame.len() + CHECK_SEQUENCE) {
            self.statistics.count(Statistic::OVERSIZED);
            return true;
        }
        let is_tagged = checksum::get(frame, TYPE_AT) == self.vlan_type && self.vlan_type != 0;
        let tag = is_tagged.then(|| checksum::get(frame, TYPE_AT + 2));
        let Some(matched) = self.filter.lets_in(frame, tag, control) else { return true };
        let stripped = tag.filter(|_| self.control.contains(Control::VLAN_MODE));
        let without_tag: Vec<u8>;
        let bytes = match stripped {
            Some(_) => {
                without_tag = [&frame[..TYPE_AT], &frame[TYPE_AT + VLAN_TAG..]].concat();
                &without_tag
            }
            None => frame,
        };
        let (mut state, errors) = self.receiver.checked(bytes);
        if matched == Match::Inexact {
            state |= status::INEXACT;
        }
        if stripped.is_some() {
            state |= status::TAG;
        }
        match self.receiver.deliver(bytes, state, errors, stripped.unwrap_or(0), self.core.dma()) {
            Delivery::NoRoom => return false,
            Delivery::Lost => {
                self.overrun();
                return true;
            }
            Delivery::Done => {}
        }
        self.statistics.received(frame, bytes.len());
        if frame.len() + CHECK_SEQUENCE <= usize::from(self.receiver.small) {
            self.interrupts.raise(Causes::SMALL_PACKET);
        }
        if self.receiver.is_low() {
            self.interrupts.raise(Causes::FEW_BUFFERS);
        }
        self.interrupts.raise_later(Delay::Received);
        true
    }
}

impl FrameSink for E1000 {
    fn receive(&mut self, frame: &[u8]) -> bool {
        // What is sent comes back, and nothing else comes.
        self.loops_back() || self.receive_frame(frame)
    }

    fn burst_done(&mut self) {
        self.update_interrupt();
    }

    fn link_changed(&mut self, up: bool) {
        if self.phy.cable() != up {
            self.change_phy(|phy, now| phy.set_cable(up, now));
            self.update_interrupt();
        }
    }
}

impl Timed for E1000 {
    fn expired(&mut self, which: u32, now: VmTime) {
        match which {
            RECEIVE_DELAY => self.interrupts.expired(Delay::Received, now),
            TRANSMIT_DELAY => self.interrupts.expired(Delay::Sent, now),
            SETTLED => self.change_phy(|phy, now| phy.expired(now)),
            SEND_ON => self.transmit(),
            // The throttle's: the line may rise.
            _ => {}
        }
        self.update_interrupt();
    }
}

impl Device for E1000 {
    fn reset(&mut self) {
        self.core.reset();
        self.reset_registers();
        self.kept = KEPT.map(|register| register.initial);
        self.address = 0;
        self.settled.cancel();
        self.phy = Phy::new(self.port.link_up());
    }
}

#[cfg(test)]
#[path = "e1000_test.rs"]
mod tests;
