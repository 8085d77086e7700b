//! ACPI power management registers of the ICH9.
//!
//! Follows the ACPI Specification 6.5, §4.8 (PM1 event, PM1 control, PM timer, GPE0) with the ICH9's layout (datasheet 316972, §13.8): 128
//! ports from PMBASE on, the last 32 of them the watchdog's ([`crate::tco`]). The machine is in ACPI mode from the start: there is no system management mode that would hand it over.

use device::{Clock, Device, IrqLine, PortIo, RestoreError, Size, State, Timed, Timer, VmTime};
use serde::{Deserialize, Serialize};

use crate::power::{PowerControl, PowerRequest};
use crate::tco::{TCO_OFFSET, Tco, TcoState};

/// Ports of the block.
pub const PM_PORTS: u16 = 128;
/// The PM timer's rate.
pub const PM_TIMER_HZ: u64 = 3_579_545;

const TIMER_STATUS: u16 = 1 << 0;
const POWER_BUTTON: u16 = 1 << 8;
const WAKE: u16 = 1 << 15;
/// Status bits that there are: timer, global lock, power button, sleep button, RTC, wake.
const STATUS_BITS: u16 = 0x8721;
const ENABLE_BITS: u16 = 0x0721;

const SCI_ENABLE: u16 = 1 << 0;
const SLEEP_TYPE: u16 = 7 << 10;
const SLEEP_ENABLE: u16 = 1 << 13;

/// SMI_EN.APMC_EN: set, it tells firmware that system management is in somebody's hands, so that it leaves it alone.
const SMI_EN_APMC: u32 = 1 << 5;

/// The timer has 24 bits; its status bit rises whenever the top one changes.
const TIMER_BITS: u64 = 24;

/// The registers.
pub struct Pm {
    status: u16,
    enable: u16,
    control: u16,
    gpe_status: u64,
    gpe_enable: u64,
    smi_enable: u32,
    /// Half periods of the timer that are accounted for in `status`.
    halves_seen: u64,
    clock: Clock,
    overflow: Timer,
    tco: Tco,
    sci: IrqLine,
    power: Box<dyn PowerControl>,
}

/// Their saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PmState {
    status: u16,
    enable: u16,
    control: u16,
    gpe_status: u64,
    gpe_enable: u64,
    smi_enable: u32,
    halves_seen: u64,
    tco: TcoState,
}

#[derive(Clone, Copy)]
enum Register {
    Status,
    Enable,
    Control,
    Timer,
    GpeStatus,
    GpeEnable,
    SmiEnable,
    None,
}

/// The register that holds byte `offset`, and which of its bytes that is.
fn decode(offset: u16) -> (Register, u32) {
    let (register, start) = match offset {
        0x00..0x02 => (Register::Status, 0x00),
        0x02..0x04 => (Register::Enable, 0x02),
        0x04..0x06 => (Register::Control, 0x04),
        0x08..0x0c => (Register::Timer, 0x08),
        0x20..0x28 => (Register::GpeStatus, 0x20),
        0x28..0x30 => (Register::GpeEnable, 0x28),
        0x30..0x34 => (Register::SmiEnable, 0x30),
        _ => (Register::None, offset),
    };
    (register, 8 * u32::from(offset - start))
}

impl Pm {
    /// Registers at power-on. `overflow` and `watchdog` report to this device, under two numbers.
    pub fn new(clock: Clock, overflow: Timer, watchdog: Timer, sci: IrqLine, power: Box<dyn PowerControl>) -> Self {
        Self {
            status: 0,
            enable: 0,
            control: SCI_ENABLE,
            gpe_status: 0,
            gpe_enable: 0,
            smi_enable: SMI_EN_APMC,
            halves_seen: 0,
            tco: Tco::new(clock.clone(), watchdog),
            clock,
            overflow,
            sci,
            power,
        }
    }

    /// A person pressed the power button.
    pub fn press_power_button(&mut self) {
        self.status |= POWER_BUTTON;
        self.update();
    }

    fn ticks(&self) -> u64 {
        self.clock.now().ticks(PM_TIMER_HZ)
    }

    /// Brings the timer's status bit up to date.
    fn notice_overflow(&mut self) {
        let halves = self.ticks() >> (TIMER_BITS - 1);
        if halves > self.halves_seen {
            self.halves_seen = halves;
            self.status |= TIMER_STATUS;
        }
    }

    /// Drives the SCI, and arms the timer while somebody wants to hear of it.
    fn update(&mut self) {
        let wanted = self.status & self.enable != 0 || self.gpe_status & self.gpe_enable != 0;
        self.sci.set(wanted);
        if self.enable & TIMER_STATUS != 0 && self.status & TIMER_STATUS == 0 {
            self.overflow.arm(VmTime::of_ticks((self.halves_seen + 1) << (TIMER_BITS - 1), PM_TIMER_HZ));
        } else {
            self.overflow.cancel();
        }
    }

    fn register(&mut self, register: Register) -> u64 {
        match register {
            Register::Status => {
                self.notice_overflow();
                self.status.into()
            }
            Register::Enable => self.enable.into(),
            Register::Control => self.control.into(),
            Register::Timer => self.ticks() & ((1 << TIMER_BITS) - 1),
            Register::GpeStatus => self.gpe_status,
            Register::GpeEnable => self.gpe_enable,
            Register::SmiEnable => self.smi_enable.into(),
            Register::None => 0,
        }
    }

    /// Writes the bits of `mask` of a register.
    fn set_register(&mut self, register: Register, value: u64, mask: u64) {
        let merged = |old: u64| old & !mask | value & mask;
        match register {
            Register::Status => {
                self.notice_overflow();
                self.status &= !((value & mask) as u16 & STATUS_BITS);
            }
            Register::Enable => self.enable = merged(self.enable.into()) as u16 & ENABLE_BITS,
            Register::Control => {
                let new = merged(self.control.into()) as u16;
                self.control = new & SLEEP_TYPE | SCI_ENABLE;
                if new & SLEEP_ENABLE != 0 {
                    self.sleep((new & SLEEP_TYPE) >> 10);
                }
            }
            Register::GpeStatus => self.gpe_status &= !(value & mask),
            Register::GpeEnable => self.gpe_enable = merged(self.gpe_enable),
            // APMC_EN stays set: nobody is there to be told.
            Register::SmiEnable => self.smi_enable = merged(self.smi_enable.into()) as u32 | SMI_EN_APMC,
            Register::Timer | Register::None => {}
        }
    }

    /// The guest put the machine to sleep. Types 0 (the one our tables name), 6 and 7 turn it off; there is no other sleep.
    fn sleep(&mut self, kind: u16) {
        if matches!(kind, 0 | 6 | 7) {
            self.power.request(PowerRequest::Off);
        } else {
            self.status |= WAKE;
        }
    }
}

impl PortIo for Pm {
    fn read(&mut self, offset: u16, size: Size) -> u32 {
        (0..size.bytes() as u16).fold(0, |value, byte| {
            if let Some(at) = offset.saturating_add(byte).checked_sub(TCO_OFFSET) {
                return value | u32::from(self.tco.read_byte(at)) << (8 * byte);
            }
            let (register, shift) = decode(offset.saturating_add(byte));
            value | ((self.register(register) >> shift) as u32 & 0xff) << (8 * byte)
        })
    }

    fn write(&mut self, offset: u16, size: Size, value: u32) {
        if let Some(at) = offset.checked_sub(TCO_OFFSET) {
            self.tco.write(at, size, value);
            return;
        }
        // Byte by byte, but a register that a wide access covers is written once.
        let mut byte = 0;
        while u64::from(byte) < size.bytes() {
            let (register, shift) = decode(offset.saturating_add(byte));
            let width = match register {
                Register::Status | Register::Enable | Register::Control => 2,
                Register::Timer | Register::SmiEnable => 4,
                Register::GpeStatus | Register::GpeEnable => 8,
                Register::None => 1,
            };
            let bytes = (width - shift / 8).min(size.bytes() as u32 - u32::from(byte));
            let mask = (u64::MAX >> (64 - 8 * bytes)) << shift;
            self.set_register(register, u64::from(value >> (8 * byte)) << shift, mask);
            byte += bytes as u16;
        }
        self.update();
    }
}

impl Timed for Pm {
    fn expired(&mut self, _: u32, _: VmTime) {
        // Both look at the clock themselves.
        if self.tco.expired() {
            self.power.request(PowerRequest::Reset);
        }
        self.notice_overflow();
        self.update();
    }
}

impl Device for Pm {
    fn reset(&mut self) {
        self.status = 0;
        self.enable = 0;
        self.control = SCI_ENABLE;
        self.gpe_status = 0;
        self.gpe_enable = 0;
        self.smi_enable = SMI_EN_APMC;
        self.halves_seen = self.ticks() >> (TIMER_BITS - 1);
        self.tco.reset();
        self.update();
    }
}

impl State for Pm {
    const KIND: &'static str = "ich9-pm";
    type Saved = PmState;

    fn save(&self) -> PmState {
        let Self { status, enable, control, gpe_status, gpe_enable, smi_enable, halves_seen, tco, .. } = self;
        let Self { clock: _, overflow: _, sci: _, power: _, .. } = self;
        PmState {
            status: *status,
            enable: *enable,
            control: *control,
            gpe_status: *gpe_status,
            gpe_enable: *gpe_enable,
            smi_enable: *smi_enable,
            halves_seen: *halves_seen,
            tco: tco.save(),
        }
    }

    fn restore(&mut self, saved: PmState) -> Result<(), RestoreError> {
        let PmState { status, enable, control, gpe_status, gpe_enable, smi_enable, halves_seen, tco } = saved;
        self.status = status & STATUS_BITS;
        self.enable = enable & ENABLE_BITS;
        self.control = control & SLEEP_TYPE | SCI_ENABLE;
        self.gpe_status = gpe_status;
        self.gpe_enable = gpe_enable;
        self.smi_enable = smi_enable | SMI_EN_APMC;
        // A count from the future would keep the timer silent for ever.
        self.halves_seen = halves_seen.min(self.ticks() >> (TIMER_BITS - 1));
        self.tco.restore(tco);
        self.update();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use device::bench::{Bench, check_state};

    use super::*;

    struct Fixture {
        bench: Bench,
        pm: Pm,
        asked: Arc<Mutex<Vec<PowerRequest>>>,
    }

    fn fixture() -> Fixture {
        let bench = Bench::new(0x1000);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let power = move |what| log.lock().unwrap().push(what);
        let (overflow, watchdog) = (bench.timers.timer(0), bench.timers.timer(1));
        let pm = Pm::new(bench.clock.clone(), overflow, watchdog, bench.line.share(), Box::new(power));
        Fixture { bench, pm, asked }
    }

    #[test]
    fn the_power_button_interrupts() {
        let mut f = fixture();
        f.pm.write(2, Size::Word, 0x100);
        f.pm.press_power_button();
        assert_eq!(f.pm.read(0, Size::Dword), 0x0100_0100);
        f.pm.write(0, Size::Word, 0x100);
        assert_eq!(f.pm.read(0, Size::Word), 0);
        assert_eq!(f.bench.levels.take(), [true, false]);
    }

    #[test]
    fn sleeping_turns_off() {
        let mut f = fixture();
        f.pm.write(4, Size::Word, 0x2000);
        f.pm.write(4, Size::Word, 0x2000 | 5 << 10);
        f.pm.write(4, Size::Word, 0x2000 | 7 << 10);
        assert_eq!(*f.asked.lock().unwrap(), [PowerRequest::Off, PowerRequest::Off]);
        assert_eq!(f.pm.read(4, Size::Word) & 1, 1);
    }

    #[test]
    fn the_timer_counts_and_wraps() {
        let mut f = fixture();
        f.bench.clock.set(VmTime(1_000_000_000));
        assert_eq!(f.pm.read(8, Size::Dword), 3_579_545);
        f.pm.write(2, Size::Word, 1);
        let due = f.bench.timers.next_due().unwrap();
        assert_eq!(due.ticks(PM_TIMER_HZ), 1 << 23);
        f.bench.clock.set(due);
        f.pm.expired(0, due);
        assert_eq!(f.pm.read(0, Size::Word), 1);
        assert_eq!(f.bench.levels.take(), [true]);
        f.bench.clock.set(VmTime::of_ticks(1 << 24, PM_TIMER_HZ));
        assert_eq!(f.pm.read(8, Size::Dword), 0);
    }

    #[test]
    fn any_access_is_defined() {
        let mut f = fixture();
        for offset in 0..PM_PORTS {
            for size in [Size::Byte, Size::Word, Size::Dword] {
                f.pm.write(offset, size, 0xdfff_dfff);
                f.pm.read(offset, size);
            }
        }
    }

    #[test]
    fn state() {
        check_state(&mut fixture().pm, |pm| {
            pm.write(2, Size::Word, 0x21);
            pm.press_power_button();
            pm.write(TCO_OFFSET + 0x12, Size::Word, 9);
            pm.write(TCO_OFFSET, Size::Word, 1);
        });
    }
}
