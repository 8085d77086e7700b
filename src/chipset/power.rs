//! Reset and power-off as devices ask for them, and the two ports that do nothing else.
//!
//! Port CF9 is the ICH9's reset control register (datasheet 316972, §13.7.5), port 92 the PS/2's system control port A.

use device::{Device, PortIo, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

/// What the guest wants of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerRequest {
    /// Start again.
    Reset,
    /// Turn off.
    Off,
}

/// A handle to the machine's owner, who acts on it when no device is locked.
pub trait PowerControl: Send + Sync {
    /// The guest asked. Called under a device's mutex, from a vCPU's thread; only leaves word.
    fn request(&self, what: PowerRequest);
}

impl<F: Fn(PowerRequest) + Send + Sync> PowerControl for F {
    fn request(&self, what: PowerRequest) {
        self(what);
    }
}

/// Port CF9.
pub struct ResetControl {
    value: u8,
    power: Box<dyn PowerControl>,
}

const RESET_NOW: u8 = 1 << 2;
const HARD: u8 = 1 << 1;
const FULL: u8 = 1 << 3;

/// Its saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResetControlState {
    value: u8,
}

impl ResetControl {
    /// The register at its power-on value.
    pub fn new(power: Box<dyn PowerControl>) -> Self {
        Self { value: 0, power }
    }
}

impl PortIo for ResetControl {
    fn read(&mut self, _: u16, _: Size) -> u32 {
        self.value.into()
    }

    fn write(&mut self, _: u16, _: Size, value: u32) {
        let value = value as u8;
        // The reset comes with the bit's rise.
        if value & RESET_NOW != 0 && self.value & RESET_NOW == 0 {
            self.power.request(PowerRequest::Reset);
        }
        self.value = value & (HARD | FULL);
    }
}

impl Device for ResetControl {
    fn reset(&mut self) {
        self.value = 0;
    }
}

impl State for ResetControl {
    const KIND: &'static str = "reset-control";
    type Saved = ResetControlState;

    fn save(&self) -> ResetControlState {
        let Self { value, power: _ } = self;
        ResetControlState { value: *value }
    }

    fn restore(&mut self, saved: ResetControlState) -> Result<(), RestoreError> {
        let ResetControlState { value } = saved;
        self.value = value & (HARD | FULL);
        Ok(())
    }
}

/// Port 92: bit 0 resets when it rises; bit 1 is the A20 gate, which KVM has always open: it is only remembered.
pub struct SystemControl {
    value: u8,
    power: Box<dyn PowerControl>,
}

const FAST_RESET: u8 = 1;
const A20: u8 = 2;

/// Its saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemControlState {
    value: u8,
}

impl SystemControl {
    /// The port with A20 open.
    pub fn new(power: Box<dyn PowerControl>) -> Self {
        Self { value: A20, power }
    }
}

impl PortIo for SystemControl {
    fn read(&mut self, _: u16, _: Size) -> u32 {
        self.value.into()
    }

    fn write(&mut self, _: u16, _: Size, value: u32) {
        let old = std::mem::replace(&mut self.value, value as u8 & (FAST_RESET | A20));
        if self.value & !old & FAST_RESET != 0 {
            self.power.request(PowerRequest::Reset);
        }
    }
}

impl Device for SystemControl {
    fn reset(&mut self) {
        self.value = A20;
    }
}

impl State for SystemControl {
    const KIND: &'static str = "system-control";
    type Saved = SystemControlState;

    fn save(&self) -> SystemControlState {
        let Self { value, power: _ } = self;
        SystemControlState { value: *value }
    }

    fn restore(&mut self, saved: SystemControlState) -> Result<(), RestoreError> {
        let SystemControlState { value } = saved;
        self.value = value & (FAST_RESET | A20);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use device::bench::check_state;

    use super::*;

    #[test]
    fn resets_on_the_rise() {
        let count = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&count);
        let power = move |what| {
            assert_eq!(what, PowerRequest::Reset);
            seen.fetch_add(1, Ordering::Relaxed);
        };
        let mut cf9 = ResetControl::new(Box::new(power.clone()));
        for value in [2, 6, 2, 0xe, 0] {
            cf9.write(0, Size::Byte, value);
        }
        assert_eq!(count.load(Ordering::Relaxed), 2);
        let mut port92 = SystemControl::new(Box::new(power));
        for value in [2, 3, 3, 2] {
            port92.write(0, Size::Byte, value);
        }
        assert_eq!(count.load(Ordering::Relaxed), 3);
        check_state(&mut cf9, |cf9| cf9.write(0, Size::Byte, 8));
        check_state(&mut port92, |port| port.write(0, Size::Byte, 0));
    }
}
