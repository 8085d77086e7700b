//! The PHY in the chip, an 88E1011 of Marvell's (manual §8 and §11): the end of the cable, and what it settles with the other end.
//!
//! The other end always offers everything up to 1000 Mb/s, so what the driver allows is what there is. Nothing is that slow in truth.

use std::time::Duration;

use bitflags::bitflags;
use device::VmTime;
use serde::{Deserialize, Serialize};

/// How long the two ends take to settle. Drivers expect to see the link go and come; a real PHY takes longer.
pub(super) const NEGOTIATION: Duration = Duration::from_millis(250);

/// Registers there are.
const REGISTERS: usize = 32;

bitflags! {
    /// Register 0, control.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Control: u16 {
        /// With `FASTER`: 10, 100, 1000 Mb/s.
        const FASTEST = 1 << 6;
        const FULL_DUPLEX = 1 << 8;
        const RESTART = 1 << 9;
        const POWER_DOWN = 1 << 11;
        const NEGOTIATE = 1 << 12;
        const FASTER = 1 << 13;
        const LOOPBACK = 1 << 14;
        const RESET = 1 << 15;
        /// Clear themselves.
        const MOMENTARY = Self::RESTART.bits() | Self::RESET.bits();
    }
}

const CONTROL: u8 = 0;
const STATUS: u8 = 1;
const IDENTIFIER_1: u8 = 2;
const IDENTIFIER_2: u8 = 3;
const ADVERTISED: u8 = 4;
const PARTNER: u8 = 5;
const EXPANSION: u8 = 6;
const PARTNER_PAGE: u8 = 8;
const CONTROL_1000: u8 = 9;
const STATUS_1000: u8 = 10;
const EXTENDED_STATUS: u8 = 15;
const SPECIFIC_STATUS: u8 = 17;
const INTERRUPT_STATUS: u8 = 19;
const RECEIVE_ERRORS: u8 = 21;

/// What the other end offers, and the card at first: everything up to 100 Mb/s; selector 802.3.
const EVERYTHING: u16 = 0x01e1;
const ACKNOWLEDGED: u16 = 1 << 14;

/// Mb/s and duplex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) speed: Speed,
    pub(super) full_duplex: bool,
}

/// How fast the link is, as registers encode it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speed {
    Mb10 = 0,
    Mb100 = 1,
    Mb1000 = 2,
}

/// The PHY's registers and its link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Phy {
    registers: [u16; REGISTERS],
    /// A cable is in and its other end alive.
    link_up: bool,
    /// The two ends are settling, until then.
    settled_at: Option<VmTime>,
    /// The link went down since the status was read last.
    link_was_lost: bool,
}

impl Phy {
    /// After power-on, with everything settled long ago.
    pub(super) fn new(link_up: bool) -> Self {
        Self { registers: Self::initial(), link_up, settled_at: None, link_was_lost: false }
    }

    fn initial() -> [u16; REGISTERS] {
        let mut registers = [0; REGISTERS];
        for (register, value) in [
            (CONTROL, (Control::NEGOTIATE | Control::FULL_DUPLEX | Control::FASTEST).bits()),
            // As for the 82540EM (§13.5.2.3).
            (IDENTIFIER_1, 0x0141),
            (IDENTIFIER_2, 0x0c20),
            // Pause frames of both kinds too.
            (ADVERTISED, EVERYTHING | 0x0c00),
            (7, 0x2001),
            (CONTROL_1000, 0x0e00),
            (16, 0x0360),
            (20, 0x0d60),
        ] {
            registers[usize::from(register)] = value;
        }
        registers
    }

    fn control(&self) -> Control {
        Control::from_bits_retain(self.registers[0])
    }

    /// Is what is sent to come back?
    pub(super) fn is_loopback(&self) -> bool {
        self.control().contains(Control::LOOPBACK)
    }

    /// Is the link up?
    pub(super) fn link(&self) -> bool {
        let settled = self.settled_at.is_none() || !self.control().contains(Control::NEGOTIATE);
        !self.control().contains(Control::POWER_DOWN) && (self.is_loopback() || self.link_up && settled)
    }

    /// A cable is in, as the device was told last.
    pub(super) fn cable(&self) -> bool {
        self.link_up
    }

    /// When the two ends will have settled.
    pub(super) fn settled_at(&self) -> Option<VmTime> {
        self.settled_at
    }

    /// Lets the two ends have settled no later than `latest`.
    pub(super) fn settle_by(&mut self, latest: VmTime) {
        self.settled_at = self.settled_at.map(|at| at.min(latest));
    }

    /// A cable came or went.
    pub(super) fn set_cable(&mut self, up: bool, now: VmTime) {
        self.change(|phy| {
            phy.link_up = up;
            phy.settled_at = up.then_some(now + NEGOTIATION);
        });
    }

    /// Time passed; the two ends may have settled.
    pub(super) fn expired(&mut self, now: VmTime) {
        if self.settled_at.is_some_and(|at| at <= now) {
            self.settled_at = None;
        }
    }

    /// The hardware's reset.
    pub(super) fn reset(&mut self, now: VmTime) {
        self.change(|phy| {
            phy.registers = Self::initial();
            phy.settled_at = phy.link_up.then_some(now + NEGOTIATION);
        });
    }

    /// Remembers when the link goes down.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.link();
        change(self);
        self.link_was_lost |= before && !self.link();
    }

    /// What the link is like.
    pub(super) fn mode(&self) -> Mode {
        let control = self.control();
        if !control.contains(Control::NEGOTIATE) {
            let speed = match (control.contains(Control::FASTEST), control.contains(Control::FASTER)) {
                (true, _) => Speed::Mb1000,
                (false, true) => Speed::Mb100,
                (false, false) => Speed::Mb10,
            };
            return Mode { speed, full_duplex: control.contains(Control::FULL_DUPLEX) };
        }
        let gigabit = self.registers[usize::from(CONTROL_1000)];
        let slower = self.registers[usize::from(ADVERTISED)];
        let (speed, full_duplex) = match () {
            () if gigabit & 1 << 9 != 0 => (Speed::Mb1000, true),
            () if gigabit & 1 << 8 != 0 => (Speed::Mb1000, false),
            () if slower & 1 << 8 != 0 => (Speed::Mb100, true),
            () if slower & 1 << 7 != 0 => (Speed::Mb100, false),
            () => (Speed::Mb10, slower & 1 << 6 != 0),
        };
        Mode { speed, full_duplex }
    }

    /// What the driver reads. The number is below 32.
    pub(super) fn read(&mut self, register: u8) -> u16 {
        let settled = self.link() && self.control().contains(Control::NEGOTIATE);
        let Some(kept) = self.registers.get(usize::from(register)).copied() else { return 0 };
        match register {
            STATUS => {
                // Loss of the link stands here until it was read (IEEE 802.3 §22.2.4.2.13).
                let link = self.link() && !std::mem::take(&mut self.link_was_lost);
                0x7949 | u16::from(settled) << 5 | u16::from(link) << 2
            }
            PARTNER if settled => EVERYTHING | ACKNOWLEDGED,
            EXPANSION => u16::from(settled),
            STATUS_1000 if settled => 0x3c00,
            PARTNER | STATUS_1000 => 0,
            EXTENDED_STATUS => 0x3000,
            SPECIFIC_STATUS => {
                let Mode { speed, full_duplex } = self.mode();
                let link = if self.link() { 0x0c00 } else { 0 };
                (speed as u16) << 14 | u16::from(full_duplex) << 13 | link
            }
            _ => kept,
        }
    }

    pub(super) fn write(&mut self, register: u8, value: u16, now: VmTime) {
        match register {
            CONTROL => self.write_control(Control::from_bits_retain(value), now),
            STATUS | IDENTIFIER_1 | IDENTIFIER_2 | PARTNER | EXPANSION | PARTNER_PAGE | STATUS_1000 => {}
            EXTENDED_STATUS | SPECIFIC_STATUS | INTERRUPT_STATUS | RECEIVE_ERRORS => {}
            _ => {
                if let Some(kept) = self.registers.get_mut(usize::from(register)) {
                    *kept = value;
                }
            }
        }
    }

    fn write_control(&mut self, value: Control, now: VmTime) {
        if value.contains(Control::RESET) {
            // What comes with it takes effect by it. Drivers that say nothing else mean the state after power-on (IEEE 802.3 §22.2.4.1.1).
            let rest = (value & !Control::MOMENTARY).bits() & 0xffc0;
            self.change(|phy| {
                phy.registers[0] = if rest == 0 { Self::initial()[0] } else { rest };
                phy.settled_at = phy.link_up.then_some(now + NEGOTIATION);
            });
            return;
        }
        self.change(|phy| {
            let was_down = phy.control().contains(Control::POWER_DOWN);
            phy.registers[0] = (value & !Control::MOMENTARY).bits() & 0xffc0;
            let wakes = was_down && !value.contains(Control::POWER_DOWN);
            let restarts = value.contains(Control::NEGOTIATE | Control::RESTART);
            if phy.link_up && (wakes || restarts) {
                phy.settled_at = Some(now + NEGOTIATION);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_what_the_driver_allows() {
        let mut phy = Phy::new(true);
        assert!(phy.link());
        assert_eq!(phy.mode(), Mode { speed: Speed::Mb1000, full_duplex: true });
        assert_eq!((phy.read(2), phy.read(3), phy.read(1), phy.read(17)), (0x0141, 0x0c20, 0x796d, 0xac00));
        phy.write(9, 0, VmTime(0));
        phy.write(4, 0x0080, VmTime(0));
        phy.write(0, 0x1200, VmTime(5));
        assert!(!phy.link());
        assert_eq!((phy.read(1), phy.read(5), phy.read(0)), (0x7949, 0, 0x1000));
        phy.expired(VmTime(5));
        assert!(!phy.link());
        phy.expired(VmTime(5) + NEGOTIATION);
        assert!(phy.link());
        assert_eq!(phy.mode(), Mode { speed: Speed::Mb100, full_duplex: false });
        assert_eq!(phy.read(17), 0x4c00);
        // Forced, nobody asks the other end.
        phy.write(0, 0x0100, VmTime(9));
        assert!(phy.link());
        assert_eq!(phy.mode(), Mode { speed: Speed::Mb10, full_duplex: true });
        assert_eq!([0, 0].map(|_| phy.read(1) & 0x24), [0x00, 0x04]);
    }

    #[test]
    fn a_lost_link_is_remembered_until_read() {
        let mut phy = Phy::new(true);
        phy.set_cable(false, VmTime(0));
        phy.set_cable(true, VmTime(0));
        phy.expired(VmTime(0) + NEGOTIATION);
        assert!(phy.link());
        assert_eq!(phy.read(1) & 4, 0);
        assert_eq!(phy.read(1) & 4, 4);
        phy.write(0, 0x1900, VmTime(0));
        assert!(!phy.link());
        phy.write(0, 0x5140, VmTime(0));
        assert!(phy.link() && phy.is_loopback());
        phy.write(2, 0xffff, VmTime(0));
        phy.write(30, 0x1234, VmTime(0));
        assert_eq!((phy.read(2), phy.read(30)), (0x0141, 0x1234));
        phy.reset(VmTime(0));
        assert_eq!((phy.read(30), phy.link()), (0, false));
    }
}
