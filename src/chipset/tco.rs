//! The ICH9's watchdog: the timer for a total cost of ownership, as Intel calls it.
//!
//! Follows the datasheet (316972), §13.9: 32 ports at PMBASE + 60h. The timer counts down in steps of 0.6 s. When it ends the first
//! time it says so in TCO1_STS and starts again; when it ends once more, with the first time still standing there, the machine is
//! reset. What would end in system management mode or in an NMI is only noted. No firmware of ours halts the timer, so it stands
//! until somebody first reloads it.

use device::{Clock, Size, Timer, VmTime};
use serde::{Deserialize, Serialize};

/// Where these ports begin behind PMBASE.
pub(crate) const TCO_OFFSET: u16 = 0x60;

/// A step in nanoseconds.
const STEP: u64 = 600_000_000;
/// TCO_TMR at reset, in steps.
const INITIAL: u16 = 4;
const COUNT: u16 = 0x3ff;

const TIMEOUT: u16 = 1 << 3;
/// TCO1_STS: what a written one clears.
const STATUS_1: u16 = 0x3d8e;
const SECOND_TIMEOUT: u16 = 1 << 1;
/// TCO2_STS: intruder, second timeout, boot.
const STATUS_2: u16 = 0x0007;
const HALT: u16 = 1 << 11;
const LOCK: u16 = 1 << 12;
const CONTROL_1: u16 = 0x1b00;
const CONTROL_2: u16 = 0x003e;

/// The registers.
pub(crate) struct Tco {
    /// TCO_DAT_IN, TCO_DAT_OUT, TCO_MESSAGE1 and 2, TCO_WDCNT, SW_IRQ_GEN: bytes that firmware and system leave each other.
    data: [u8; 6],
    status: [u16; 2],
    control: [u16; 2],
    initial: u16,
    /// When the count ends, if it goes on.
    end: Option<VmTime>,
    clock: Clock,
    timer: Timer,
}

/// Their saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TcoState {
    data: [u8; 6],
    status: [u16; 2],
    control: [u16; 2],
    initial: u16,
    end: Option<VmTime>,
}

#[derive(Clone, Copy)]
enum Register {
    Reload,
    Data(usize),
    Status(usize),
    Control(usize),
    Initial,
    None,
}

/// The register that holds byte `offset`, and whether that is its upper byte.
fn decode(offset: u16) -> (Register, bool) {
    let register = match offset {
        0x00..0x02 => Register::Reload,
        0x02 | 0x03 => return (Register::Data(usize::from(offset - 2)), false),
        0x04..0x06 => Register::Status(0),
        0x06..0x08 => Register::Status(1),
        0x08..0x0a => Register::Control(0),
        0x0a..0x0c => Register::Control(1),
        0x0c..=0x0e => return (Register::Data(usize::from(offset - 0x0c) + 2), false),
        0x10 => return (Register::Data(5), false),
        0x12..0x14 => Register::Initial,
        _ => Register::None,
    };
    (register, offset & 1 != 0)
}

impl Tco {
    /// Registers at power-on. `timer` reports to the owner, who calls [`Tco::expired`].
    pub(crate) fn new(clock: Clock, timer: Timer) -> Self {
        Self { data: [0, 0, 0, 0, 0, 3], status: [0; 2], control: [0; 2], initial: INITIAL, end: None, clock, timer }
    }

    pub(crate) fn reset(&mut self) {
        self.data = [0, 0, 0, 0, 0, 3];
        self.status = [0; 2];
        self.control = [0; 2];
        self.initial = INITIAL;
        self.go_on(None);
    }

    /// Counts to `end`, or stands.
    fn go_on(&mut self, end: Option<VmTime>) {
        self.end = end;
        match end {
            Some(end) => self.timer.arm(end),
            None => self.timer.cancel(),
        }
    }

    /// Counts from the start.
    fn reload(&mut self) {
        // Less than two steps are not counted to.
        let steps = u64::from(self.initial.max(2));
        let end = VmTime(self.clock.now().0.saturating_add(steps * STEP));
        self.go_on(Some(end).filter(|_| self.control[0] & HALT == 0));
    }

    /// Steps that are left.
    fn count(&self) -> u16 {
        let left = self.end.map_or(0, |end| end.0.saturating_sub(self.clock.now().0));
        u16::try_from(left.div_ceil(STEP)).unwrap_or(COUNT) & COUNT
    }

    /// The timer ended. True when that resets the machine.
    pub(crate) fn expired(&mut self) -> bool {
        if self.end.is_none_or(|end| end > self.clock.now()) {
            return false;
        }
        if self.status[0] & TIMEOUT == 0 {
            self.status[0] |= TIMEOUT;
            self.reload();
            return false;
        }
        self.status[1] |= SECOND_TIMEOUT;
        self.go_on(None);
        true
    }

    pub(crate) fn read_byte(&self, offset: u16) -> u8 {
        let (register, upper) = decode(offset);
        let word = match register {
            Register::Reload => self.count(),
            Register::Data(index) => self.data[index].into(),
            Register::Status(index) => self.status[index],
            Register::Control(index) => self.control[index],
            Register::Initial => self.initial,
            Register::None => 0,
        };
        if upper { (word >> 8) as u8 } else { word as u8 }
    }

    pub(crate) fn write(&mut self, offset: u16, size: Size, value: u32) {
        for byte in 0..size.bytes() as u16 {
            self.write_byte(offset.saturating_add(byte), (value >> (8 * byte)) as u8);
        }
    }

    fn write_byte(&mut self, offset: u16, value: u8) {
        let (register, upper) = decode(offset);
        let shift = if upper { 8 } else { 0 };
        let written = u16::from(value) << shift;
        let merged = |old: u16| old & !(0xff << shift) | written;
        match register {
            // Any write reloads, whichever byte.
            Register::Reload => self.reload(),
            Register::Data(index) => self.data[index] = value,
            Register::Status(0) => self.status[0] &= !(written & STATUS_1),
            Register::Status(index) => self.status[index] &= !(written & STATUS_2),
            Register::Control(0) => self.control(merged(self.control[0]) & CONTROL_1),
            Register::Control(index) => self.control[index] = merged(self.control[index]) & CONTROL_2,
            Register::Initial => self.initial = merged(self.initial) & COUNT,
            Register::None => {}
        }
    }

    fn control(&mut self, new: u16) {
        let was_halted = self.control[0] & HALT != 0;
        // Locked, the timer cannot be halted until the next reset, and stays locked.
        let locked = self.control[0] & LOCK;
        let new = if locked != 0 { new & !HALT | LOCK } else { new };
        self.control[0] = new;
        if new & HALT != 0 {
            self.go_on(None);
        } else if was_halted {
            self.reload();
        }
    }

    pub(crate) fn save(&self) -> TcoState {
        let Self { data, status, control, initial, end, clock: _, timer: _ } = self;
        TcoState { data: *data, status: *status, control: *control, initial: *initial, end: *end }
    }

    pub(crate) fn restore(&mut self, saved: TcoState) {
        let TcoState { data, status, control, initial, end } = saved;
        self.data = data;
        self.status = [status[0] & (STATUS_1 | 1), status[1] & STATUS_2];
        self.control = [control[0] & CONTROL_1, control[1] & CONTROL_2];
        self.initial = initial & COUNT;
        // Nobody can have asked for more time than the register holds.
        let latest = self.clock.now().0.saturating_add(u64::from(COUNT) * STEP);
        self.go_on(end.map(|end| VmTime(end.0.min(latest))));
    }
}

#[cfg(test)]
mod tests {
    use device::bench::Bench;

    use super::*;

    fn fixture() -> (Bench, Tco) {
        let bench = Bench::new(0x1000);
        let tco = Tco::new(bench.clock.clone(), bench.timers.timer(1));
        (bench, tco)
    }

    fn word(tco: &Tco, offset: u16) -> u16 {
        u16::from_le_bytes([tco.read_byte(offset), tco.read_byte(offset + 1)])
    }

    #[test]
    fn it_stands_until_it_is_wanted() {
        let (bench, tco) = fixture();
        assert_eq!(bench.timers.next_due(), None);
        assert_eq!((word(&tco, 0x00), word(&tco, 0x12)), (0, 4));
    }

    #[test]
    fn two_timeouts_reset() {
        let (bench, mut tco) = fixture();
        tco.write(0x12, Size::Word, 50);
        assert_eq!(word(&tco, 0x12), 50);
        tco.write(0x00, Size::Word, 1);
        assert_eq!(word(&tco, 0x00), 50);
        bench.clock.set(VmTime(15 * 1_000_000_000));
        assert_eq!(word(&tco, 0x00), 25);
        let first = bench.timers.next_due().unwrap();
        assert_eq!(first, VmTime(30 * 1_000_000_000));
        bench.clock.set(first);
        assert!(!tco.expired());
        assert_eq!(word(&tco, 0x04), TIMEOUT);
        bench.clock.set(bench.timers.next_due().unwrap());
        assert!(tco.expired());
        assert_eq!(word(&tco, 0x06), SECOND_TIMEOUT);
        assert_eq!(bench.timers.next_due(), None);
    }

    #[test]
    fn reloading_in_time_keeps_it_quiet() {
        let (bench, mut tco) = fixture();
        tco.write(0x00, Size::Word, 1);
        let first = bench.timers.next_due().unwrap();
        bench.clock.set(VmTime(first.0 / 2));
        tco.write(0x00, Size::Word, 1);
        bench.clock.set(first);
        assert!(!tco.expired());
        assert_eq!(word(&tco, 0x04), 0);
    }

    #[test]
    fn it_is_halted_unless_locked() {
        let (bench, mut tco) = fixture();
        tco.write(0x00, Size::Word, 1);
        tco.write(0x08, Size::Word, HALT.into());
        assert_eq!(bench.timers.next_due(), None);
        tco.write(0x08, Size::Word, LOCK.into());
        assert!(bench.timers.next_due().is_some());
        tco.write(0x08, Size::Word, HALT.into());
        assert!(bench.timers.next_due().is_some());
        assert_eq!(word(&tco, 0x08), LOCK);
    }

    #[test]
    fn status_is_cleared_by_ones_and_state_is_kept() {
        let (bench, mut tco) = fixture();
        tco.write(0x00, Size::Word, 1);
        bench.clock.set(bench.timers.next_due().unwrap());
        tco.expired();
        let saved = tco.save();
        tco.write(0x04, Size::Word, TIMEOUT.into());
        assert_eq!(word(&tco, 0x04), 0);
        tco.reset();
        assert_eq!(bench.timers.next_due(), None);
        tco.restore(saved.clone());
        assert_eq!(tco.save(), saved);
        assert!(bench.timers.next_due().is_some());
    }
}
