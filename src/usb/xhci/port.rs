//! A root port: what is in it, its link, and what changed (xHCI 1.2 §4.15, §4.19, §5.4.8 to §5.4.11).
//!
//! Links train and resets end at once. Power cannot be switched; there is no link power management by hardware, and U1 and U2 are
//! never entered, whatever PORTPMSC asks for.

use api::usb::Speed;
use serde::{Deserialize, Serialize};

use super::registers::PortStatus;
use crate::Function;

/// Link states (PLS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Link {
    U0,
    U3,
    Disabled,
    RxDetect,
    Polling,
    Resume,
}

impl Link {
    fn field(self) -> u32 {
        let state = match self {
            Self::U0 => 0,
            Self::U3 => 3,
            Self::Disabled => 4,
            Self::RxDetect => 5,
            Self::Polling => 7,
            Self::Resume => 15,
        };
        state << 5
    }
}

/// A port's registers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PortState {
    pub(super) enabled: bool,
    pub(super) link: Link,
    /// The change bits of PORTSC.
    changes: u32,
    /// Its wake bits.
    wakes: u32,
    power: u32,
    hardware_power: u32,
}

impl Default for PortState {
    fn default() -> Self {
        Self { enabled: false, link: Link::RxDetect, changes: 0, wakes: 0, power: 0, hardware_power: 0 }
    }
}

impl PortState {
    pub(super) fn is_possible(&self) -> bool {
        let Self { enabled, link, changes, wakes, power: _, hardware_power: _ } = self;
        let runs = matches!(link, Link::U0 | Link::U3 | Link::Resume);
        changes & !PortStatus::CHANGES.bits() == 0 && wakes & !PortStatus::WAKES.bits() == 0 && *enabled == runs
    }

    /// The change bits of PORTSC.
    pub(super) fn changes(&self) -> u32 {
        self.changes
    }

    /// Has something changed that the guest did not answer?
    pub(super) fn has_changes(&self) -> bool {
        self.changes != 0
    }
}

/// A port.
pub(super) struct Port {
    pub(super) function: Option<Box<dyn Function>>,
    /// Goes up with every function that is put in: addresses of the one before mean nothing.
    pub(super) generation: u32,
    pub(super) state: PortState,
    is_usb3: bool,
}

/// What a write to a port brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The bus was reset.
    pub(super) reset: bool,
    /// Nothing moves any longer: the port was disabled, or sleeps.
    pub(super) stopped: bool,
    /// It moves again.
    pub(super) resumed: bool,
}

impl Port {
    pub(super) fn new(is_usb3: bool) -> Self {
        Self { function: None, generation: 0, state: PortState::default(), is_usb3 }
    }

    /// Has it the wires for this speed?
    pub(super) fn takes(&self, speed: Speed) -> bool {
        self.is_usb3 == speed.is_super()
    }

    /// Does what is in it answer?
    pub(super) fn is_active(&self) -> bool {
        self.state.enabled && self.state.link == Link::U0 && self.function.is_some()
    }

    /// The registers when power comes on: what is in it has just been found.
    pub(super) fn power_on(&mut self) {
        self.state = PortState::default();
        if let Some(function) = &mut self.function {
            function.reset();
            self.found();
        }
    }

    /// Something is there that was not.
    pub(super) fn found(&mut self) {
        (self.state.enabled, self.state.link) = if self.is_usb3 { (true, Link::U0) } else { (false, Link::Polling) };
        self.state.changes |= PortStatus::CONNECT_CHANGE.bits();
    }

    /// Nothing is there any longer.
    pub(super) fn lost(&mut self) {
        (self.state.enabled, self.state.link) = (false, Link::RxDetect);
        self.state.changes |= PortStatus::CONNECT_CHANGE.bits();
    }

    /// Ends its sleep, if it sleeps and what is in it, or behind that, has something to say.
    pub(super) fn remote_wakeup(&mut self) {
        // Asked in any case: a hub ends the sleep of its own ports.
        let wakes = self.function.as_mut().is_some_and(|function| function.remote_wakeup());
        if wakes && self.state.link == Link::U3 {
            self.state.link = Link::Resume;
            self.state.changes |= PortStatus::LINK_CHANGE.bits();
        }
    }

    /// PORTSC.
    pub(super) fn status(&self) -> u32 {
        let PortState { enabled, link, changes, wakes, .. } = &self.state;
        let connected = self
            .function
            .as_ref()
            .map_or(0, |function| PortStatus::CONNECTED.bits() | speed_number(function.speed()) << 10);
        let enabled = if *enabled { PortStatus::ENABLED.bits() } else { 0 };
        connected | enabled | link.field() | PortStatus::POWER.bits() | changes | wakes
    }

    /// A write to PORTSC.
    pub(super) fn write_status(&mut self, value: u32) -> Outcome {
        let bits = PortStatus::from_bits_retain(value);
        self.state.changes &= !(bits & PortStatus::CHANGES).bits();
        self.state.wakes = (bits & PortStatus::WAKES).bits();
        if bits.contains(PortStatus::RESET) || self.is_usb3 && bits.contains(PortStatus::WARM_RESET) {
            return self.reset(self.is_usb3 && bits.contains(PortStatus::WARM_RESET));
        }
        let mut outcome = Outcome::default();
        if bits.contains(PortStatus::ENABLED) && self.state.enabled {
            self.state.enabled = false;
            self.state.link = if self.is_usb3 { Link::Disabled } else { Link::Polling };
            outcome.stopped = true;
        } else if bits.contains(PortStatus::LINK_WRITE) {
            outcome = self.write_link(value >> 5 & 0xf);
        }
        outcome
    }

    fn reset(&mut self, warm: bool) -> Outcome {
        let Some(function) = &mut self.function else { return Outcome::default() };
        function.reset();
        (self.state.enabled, self.state.link) = (true, Link::U0);
        self.state.changes |= PortStatus::RESET_CHANGE.bits();
        if warm {
            self.state.changes |= PortStatus::WARM_RESET_CHANGE.bits();
        }
        Outcome { reset: true, ..Outcome::default() }
    }

    /// A write to PLS.
    fn write_link(&mut self, wanted: u32) -> Outcome {
        let mut outcome = Outcome::default();
        match (self.state.link, wanted) {
            (Link::U0, 3) if self.state.enabled => {
                self.state.link = Link::U3;
                outcome.stopped = true;
            }
            (Link::U3 | Link::Resume, 0) => {
                self.state.link = Link::U0;
                self.state.changes |= PortStatus::LINK_CHANGE.bits();
                outcome.resumed = true;
            }
            // The guest resumes it, and ends that by U0.
            (Link::U3, 15) if !self.is_usb3 => self.state.link = Link::Resume,
            (Link::Disabled, 5) => {
                self.state.link = Link::RxDetect;
                if self.function.is_some() {
                    self.found();
                }
            }
            _ => {}
        }
        outcome
    }

    /// PORTPMSC.
    pub(super) fn power(&self) -> u32 {
        self.state.power
    }

    pub(super) fn write_power(&mut self, value: u32) {
        // Timeouts of U1 and U2; of USB 2 whom L1 is for, and the test mode, which tests nothing.
        self.state.power = value & if self.is_usb3 { 0x1_ffff } else { 0xf001_fff8 };
    }

    /// PORTHLPMC.
    pub(super) fn hardware_power(&self) -> u32 {
        self.state.hardware_power
    }

    pub(super) fn write_hardware_power(&mut self, value: u32) {
        if !self.is_usb3 {
            self.state.hardware_power = value & 0x3fff;
        }
    }
}

/// How PORTSC and slot contexts number speeds (§7.2.2.1.1).
pub(super) fn speed_number(speed: Speed) -> u32 {
    match speed {
        Speed::Full => 1,
        Speed::Low => 2,
        Speed::High => 3,
        Speed::Super => 4,
        Speed::SuperPlus => 5,
    }
}
