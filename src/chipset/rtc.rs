//! The real-time clock and CMOS RAM: a Motorola MC146818A as the PC/AT has it (ports 0x70 index, 0x71 data, IRQ 8), with a
//! century byte at 0x32.
//!
//! Time is not counted but computed: the calendar is an offset to the machine's [`Clock`], flags are caught up when somebody
//! looks, and the one timer is armed only while an enabled interrupt is to come. A clock that nobody uses costs nothing.
//!
//! The chip is fed by a battery: a reset leaves time and memory as they are.

mod calendar;

use std::time::Duration;

use bitflags::bitflags;
use device::{Clock, Device, IrqLine, PortIo, RestoreError, Size, State, Timed, Timer, VmTime};
use serde::{Deserialize, Serialize};

use self::calendar::{Date, Format};

const SIZE: usize = 128;

const SECONDS: u8 = 0x00;
const SECONDS_ALARM: u8 = 0x01;
const MINUTES: u8 = 0x02;
const MINUTES_ALARM: u8 = 0x03;
const HOURS: u8 = 0x04;
const HOURS_ALARM: u8 = 0x05;
const WEEKDAY: u8 = 0x06;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const REGISTER_A: u8 = 0x0a;
const REGISTER_B: u8 = 0x0b;
const REGISTER_C: u8 = 0x0c;
const REGISTER_D: u8 = 0x0d;
const CENTURY: u8 = 0x32;
/// Where PS/2 machines keep the century; the same byte here.
const CENTURY_PS2: u8 = 0x37;

/// Register A: update in progress.
const UIP: u8 = 0x80;
/// Register A: the divider's bits; 11x holds it in reset, so that time stands.
const DIVIDER: u8 = 0x60;
/// Register A: the periodic rate.
const RATE: u8 = 0x0f;
/// Register A at power-on: 32.768 kHz, 1024 Hz.
const A_DEFAULT: u8 = 0x26;
/// Register D: RAM and time are valid.
const VRT: u8 = 0x80;
/// An alarm byte from here up matches always.
const ALARM_ANY: u8 = 0xc0;

const SECOND: u64 = 1_000_000_000;
const CRYSTAL: u64 = 32_768;
/// How long before the end of a second UIP is set: 244 µs of warning and 1984 µs of update.
const UPDATE: u64 = 2_228_000;

bitflags! {
    /// Register B.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Control: u8 {
        /// The guest is setting the time: no updates.
        const SET = 0x80;
        const PERIODIC = 0x40;
        const ALARM = 0x20;
        const UPDATE_ENDED = 0x10;
        const SQUARE_WAVE = 0x08;
        const BINARY = 0x04;
        const HOURS_24 = 0x02;
        const DAYLIGHT_SAVING = 0x01;
    }

    /// Register C; the three causes stand where register B enables them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u8 {
        const REQUEST = 0x80;
        const PERIODIC = 0x40;
        const ALARM = 0x20;
        const UPDATE_ENDED = 0x10;
    }
}

/// The clock chip. Wants ports 0x70..0x72, a line to IRQ 8, and [`Timed`].
pub struct Rtc {
    /// RAM, alarm, and, while time stands, the time as the guest wrote it. Registers A to D live in their own fields.
    cmos: [u8; SIZE],
    index: u8,
    a: u8,
    b: Control,
    c: Flags,
    calendar: Calendar,
    /// Up to which second UF and AF are caught up.
    seen_second: i64,
    /// Up to which period PF is caught up.
    seen_period: u64,
    /// Periods that ran out while the guest had not yet taken the last one.
    owed: u32,
    /// When the next owed period is reported.
    repay_at: Option<VmTime>,
    clock: Clock,
    irq: IrqLine,
    timer: Timer,
}

/// Where the calendar stands in relation to the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Calendar {
    /// What it shows at power-on, in seconds from 1970.
    start: i64,
    /// Nanoseconds of a second that were over at power-on.
    phase: u32,
}

impl Calendar {
    /// Nanoseconds in the divider chain.
    fn divider(self, now: VmTime) -> u64 {
        now.0.saturating_add(self.phase.into())
    }

    fn seconds(self, now: VmTime) -> i64 {
        self.start + (self.divider(now) / SECOND) as i64
    }

    fn set(&mut self, now: VmTime, seconds: i64) {
        self.start = calendar::clamp(seconds) - (self.divider(now) / SECOND) as i64;
    }

    /// When the calendar comes to show `seconds`.
    fn when(self, seconds: i64) -> VmTime {
        let since_start = u64::try_from(seconds - self.start).unwrap_or(0);
        VmTime(since_start.saturating_mul(SECOND).saturating_sub(self.phase.into()))
    }
}

/// The saved state of the clock chip.
#[derive(Serialize, Deserialize)]
pub struct RtcState {
    cmos: Vec<u8>,
    index: u8,
    a: u8,
    b: u8,
    c: u8,
    calendar: Calendar,
    seen_second: i64,
    seen_period: u64,
    owed: u32,
    repay_at: Option<VmTime>,
}

impl Rtc {
    /// A chip whose calendar shows `seconds` (since 1970-01-01 00:00, in the time zone that the guest expects the clock in)
    /// at machine time 0. `timer` is number 0 of this device, `irq` leads to IRQ 8.
    pub fn new(seconds: i64, clock: Clock, irq: IrqLine, timer: Timer) -> Self {
        let start = calendar::clamp(seconds);
        Self {
            cmos: [0; SIZE],
            index: 0,
            a: A_DEFAULT,
            b: Control::HOURS_24,
            c: Flags::empty(),
            calendar: Calendar { start, phase: 0 },
            seen_second: start,
            seen_period: 0,
            owed: 0,
            repay_at: None,
            clock,
            irq,
            timer,
        }
    }

    /// Sets a byte of CMOS RAM, for the board: what firmware reads about the machine. The clock's own registers (0x00 to
    /// 0x0d and the century) and indexes from 0x80 up are left alone.
    pub fn set_cmos(&mut self, index: u8, value: u8) {
        if index > REGISTER_D && !matches!(index, CENTURY | CENTURY_PS2) && usize::from(index) < SIZE {
            self.cmos[usize::from(index)] = value;
        }
    }

    /// A byte of CMOS RAM.
    pub fn cmos(&self, index: u8) -> u8 {
        self.cmos.get(usize::from(index)).copied().unwrap_or(0xff)
    }

    /// What the calendar shows now, in seconds since 1970: the desk keeps the difference to its own clock, as the battery
    /// would.
    pub fn seconds(&self) -> i64 {
        if self.stands() { self.written() } else { self.calendar.seconds(self.clock.now()) }
    }

    /// Sets the calendar, as when a machine wakes that was saved for a week. A guest that is just setting the time wins.
    pub fn set_seconds(&mut self, seconds: i64) {
        let now = self.clock.now();
        self.catch_up(now);
        self.calendar.set(now, seconds);
        self.seen_second = self.calendar.seconds(now);
        self.settle(now);
    }

    fn format(&self) -> Format {
        Format { binary: self.b.contains(Control::BINARY), hours_24: self.b.contains(Control::HOURS_24) }
    }

    fn divider_held(&self) -> bool {
        self.a & DIVIDER == DIVIDER
    }

    /// Does time stand, held by the guest?
    fn stands(&self) -> bool {
        self.b.contains(Control::SET) || self.divider_held()
    }

    /// Writes the running time into the registers.
    fn show(&mut self, now: VmTime) {
        let format = self.format();
        let date = Date::at(self.calendar.seconds(now));
        for (index, value) in [
            (SECONDS, format.number(date.second)),
            (MINUTES, format.number(date.minute)),
            (HOURS, format.hour(date.hour)),
            (WEEKDAY, format.number(date.weekday)),
            (DAY, format.number(date.day)),
            (MONTH, format.number(date.month)),
            (YEAR, format.number((date.year % 100) as u8)),
            (CENTURY, format.number((date.year / 100) as u8)),
        ] {
            self.cmos[usize::from(index)] = value;
        }
    }

    /// The time that stands in the registers, in seconds since 1970.
    fn written(&self) -> i64 {
        let format = self.format();
        let number = |index: u8| format.read_number(self.cmos[usize::from(index)]);
        Date {
            year: u16::from(number(CENTURY)) * 100 + u16::from(number(YEAR)),
            month: number(MONTH),
            day: number(DAY),
            weekday: 0,
            hour: format.read_hour(self.cmos[usize::from(HOURS)]),
            minute: number(MINUTES),
            second: number(SECONDS),
        }
        .seconds()
    }

    /// Lets the calendar go on from the time in the registers.
    fn take_written(&mut self, now: VmTime) {
        self.calendar.set(now, self.written());
        self.seen_second = self.calendar.seconds(now);
    }

    /// The first second after `after` that matches the alarm; within a day, or never.
    fn next_alarm(&self, after: i64) -> Option<i64> {
        let format = self.format();
        let matches = |index: u8, byte: u8| {
            let alarm = self.cmos[usize::from(index)];
            alarm >= ALARM_ANY || alarm == byte
        };
        let from = after + 1;
        let minute_start = from - from.rem_euclid(60);
        (0..=24 * 60).map(|minutes| minute_start + minutes * 60).find_map(|start| {
            let minute = start.rem_euclid(86_400) / 60;
            let (hour, minute) = ((minute / 60) as u8, (minute % 60) as u8);
            if !matches(HOURS_ALARM, format.hour(hour)) || !matches(MINUTES_ALARM, format.number(minute)) {
                return None;
            }
            let first = (from - start).max(0);
            (first..60).find(|&second| matches(SECONDS_ALARM, format.number(second as u8))).map(|second| start + second)
        })
    }

    /// The crystal's ticks in one period, `None` while the rate selects none.
    fn period(&self) -> Option<u64> {
        match self.a & RATE {
            0 => None,
            rate @ 1..=2 => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    /// How many periods the divider has run through.
    fn periods(&self, now: VmTime) -> u64 {
        match self.period() {
            Some(period) => VmTime(self.calendar.divider(now)).ticks(CRYSTAL) / period,
            None => 0,
        }
    }

    /// When the divider will have run through `periods`.
    fn period_end(&self, periods: u64) -> Option<VmTime> {
        let at = VmTime::of_ticks(periods.saturating_mul(self.period()?), CRYSTAL);
        Some(VmTime(at.0.saturating_sub(self.calendar.phase.into())))
    }

    /// Sets the flags of everything that has happened by `now`.
    fn catch_up(&mut self, now: VmTime) {
        if !self.divider_held() {
            self.catch_up_periods(now);
        }
        if self.stands() {
            return;
        }
        let second = self.calendar.seconds(now).max(self.seen_second);
        if second > self.seen_second {
            self.c |= Flags::UPDATE_ENDED;
            if self.next_alarm(self.seen_second).is_some_and(|alarm| alarm <= second) {
                self.c |= Flags::ALARM;
            }
        }
        self.seen_second = second;
    }

    /// Guests count time by periodic interrupts. One that the host had no time to deliver is owed, up to a second's worth.
    fn catch_up_periods(&mut self, now: VmTime) {
        // A timer that waited for the device's mutex brings a time that was looked at already.
        let periods = self.periods(now).max(self.seen_period);
        let passed = periods - self.seen_period;
        self.seen_period = periods;
        if !self.b.contains(Control::PERIODIC) {
            self.owed = 0;
        } else if passed > 0 {
            let taken = u64::from(!self.c.contains(Flags::PERIODIC));
            let most = CRYSTAL / self.period().unwrap_or(CRYSTAL);
            self.owed = (u64::from(self.owed) + passed - taken).min(most) as u32;
        }
        if passed > 0 {
            self.c |= Flags::PERIODIC;
        } else if self.repay_at.is_some_and(|at| at <= now) && self.owed > 0 {
            self.owed -= 1;
            self.c |= Flags::PERIODIC;
        }
        if self.c.contains(Flags::PERIODIC) {
            self.repay_at = None;
        }
    }

    /// Drives the line by the flags, and arms the timer for the next flag that would change it.
    fn settle(&mut self, now: VmTime) {
        let enabled = Flags::from_bits_truncate(self.b.bits()) - Flags::REQUEST;
        let request = self.c.intersects(enabled);
        self.c.set(Flags::REQUEST, request);
        self.irq.set(request);

        if !self.b.contains(Control::PERIODIC) {
            (self.owed, self.repay_at) = (0, None);
        } else if self.owed > 0 && self.repay_at.is_none() && !self.c.contains(Flags::PERIODIC) {
            // Owed periods come at four times their rate, so that a handler always ends before the next one.
            let quarter = self.period().unwrap_or(CRYSTAL) * SECOND / CRYSTAL / 4;
            self.repay_at = Some(now + Duration::from_nanos(quarter));
        }
        let awaited = enabled - self.c;
        let period = (awaited.contains(Flags::PERIODIC) && !self.divider_held())
            .then(|| self.period_end(self.seen_period + 1))
            .flatten();
        let repayment = self.repay_at.filter(|_| !self.divider_held());
        let update =
            (awaited.contains(Flags::UPDATE_ENDED) && !self.stands()).then(|| self.calendar.when(self.seen_second + 1));
        let alarm = (awaited.contains(Flags::ALARM) && !self.stands())
            .then(|| self.next_alarm(self.seen_second))
            .flatten()
            .map(|second| self.calendar.when(second));
        match [period, repayment, update, alarm].into_iter().flatten().min() {
            Some(at) => self.timer.arm(at),
            None => self.timer.cancel(),
        }
    }

    fn read_register(&mut self, index: u8) -> u8 {
        let now = self.clock.now();
        match index {
            REGISTER_A => {
                let updating = !self.stands() && self.calendar.divider(now) % SECOND >= SECOND - UPDATE;
                self.a | if updating { UIP } else { 0 }
            }
            REGISTER_B => self.b.bits(),
            REGISTER_C => {
                self.catch_up(now);
                self.settle(now);
                let flags = std::mem::replace(&mut self.c, Flags::empty());
                self.settle(now);
                flags.bits()
            }
            REGISTER_D => VRT,
            SECONDS | MINUTES | HOURS | WEEKDAY..=YEAR | CENTURY => {
                if !self.stands() {
                    self.show(now);
                }
                self.cmos[usize::from(index)]
            }
            _ => self.cmos(index),
        }
    }

    fn write_register(&mut self, index: u8, value: u8) {
        let now = self.clock.now();
        match index {
            REGISTER_A => self.write_a(now, value),
            REGISTER_B => self.write_b(now, Control::from_bits_retain(value)),
            REGISTER_C | REGISTER_D => {}
            SECONDS | MINUTES | HOURS | WEEKDAY..=YEAR | CENTURY => {
                self.catch_up(now);
                if !self.stands() {
                    self.show(now);
                }
                self.cmos[usize::from(index)] = value;
                if !self.stands() {
                    self.take_written(now);
                    self.settle(now);
                }
            }
            SECONDS_ALARM | MINUTES_ALARM | HOURS_ALARM => {
                self.catch_up(now);
                self.cmos[usize::from(index)] = value;
                self.settle(now);
            }
            _ => {
                if let Some(byte) = self.cmos.get_mut(usize::from(index)) {
                    *byte = value;
                }
            }
        }
    }

    fn write_a(&mut self, now: VmTime, value: u8) {
        self.catch_up(now);
        let (stood, held) = (self.stands(), self.divider_held());
        if !stood {
            self.show(now);
        }
        self.a = value & !UIP;
        if held && !self.divider_held() {
            // The first update comes half a second after the divider is let go.
            let wanted = SECOND / 2;
            self.calendar.phase = ((wanted + SECOND - now.0 % SECOND) % SECOND) as u32;
        }
        if stood && !self.stands() {
            self.take_written(now);
        }
        self.seen_period = self.periods(now);
        (self.owed, self.repay_at) = (0, None);
        self.settle(now);
    }

    fn write_b(&mut self, now: VmTime, mut value: Control) {
        self.catch_up(now);
        let stood = self.stands();
        if !stood {
            self.show(now);
        }
        if value.contains(Control::SET) {
            value -= Control::UPDATE_ENDED;
        }
        self.b = value;
        if stood && !self.stands() {
            self.take_written(now);
        }
        self.settle(now);
    }
}

impl PortIo for Rtc {
    fn read(&mut self, offset: u16, _: Size) -> u32 {
        let value = match offset {
            1 => self.read_register(self.index),
            _ => 0xff,
        };
        0xffff_ff00 | u32::from(value)
    }

    fn write(&mut self, offset: u16, _: Size, value: u32) {
        match offset {
            // Bit 7 masks the NMI, of which there is none.
            0 => {
                self.index = match value as u8 & 0x7f {
                    CENTURY_PS2 => CENTURY,
                    index => index,
                }
            }
            1 => self.write_register(self.index, value as u8),
            _ => {}
        }
    }
}

impl Timed for Rtc {
    fn expired(&mut self, _: u32, now: VmTime) {
        self.catch_up(now);
        self.settle(now);
    }
}

impl Device for Rtc {
    fn reset(&mut self) {
        let now = self.clock.now();
        self.catch_up(now);
        self.b -= Control::PERIODIC | Control::ALARM | Control::UPDATE_ENDED | Control::SQUARE_WAVE;
        self.c = Flags::empty();
        self.index = 0;
        self.settle(now);
    }
}

impl State for Rtc {
    const KIND: &'static str = "rtc";
    type Saved = RtcState;

    fn save(&self) -> RtcState {
        let Self {
            cmos,
            index,
            a,
            b,
            c,
            calendar,
            seen_second,
            seen_period,
            owed,
            repay_at,
            clock: _,
            irq: _,
            timer: _,
        } = self;
        RtcState {
            cmos: cmos.to_vec(),
            index: *index,
            a: *a,
            b: b.bits(),
            c: c.bits(),
            calendar: *calendar,
            seen_second: *seen_second,
            seen_period: *seen_period,
            owed: *owed,
            repay_at: *repay_at,
        }
    }

    fn restore(&mut self, saved: RtcState) -> Result<(), RestoreError> {
        let RtcState { cmos, index, a, b, c, calendar, seen_second, seen_period, owed, repay_at } = saved;
        self.cmos = cmos.try_into().map_err(|_| Self::impossible("cmos"))?;
        if usize::from(index) >= SIZE {
            return Err(Self::impossible("index"));
        }
        if a & UIP != 0 {
            return Err(Self::impossible("register a"));
        }
        // A clock runs for less than 600 years; what it showed at its start can lie so much before year 0.
        let possible = calendar::clamp(i64::MIN) * 2..=calendar::clamp(i64::MAX);
        if u64::from(calendar.phase) >= SECOND || !possible.contains(&calendar.start) {
            return Err(Self::impossible("calendar"));
        }
        if !(possible.start() * 2..=possible.end() * 2).contains(&seen_second) {
            return Err(Self::impossible("seen second"));
        }
        if seen_period > CRYSTAL * u64::from(u32::MAX) || u64::from(owed) > CRYSTAL {
            return Err(Self::impossible("period"));
        }
        (self.index, self.a) = (index, a);
        self.b = Control::from_bits_retain(b);
        self.c = Flags::from_bits(c).ok_or_else(|| Self::impossible("register c"))?;
        (self.calendar, self.seen_second, self.seen_period) = (calendar, seen_second, seen_period);
        (self.owed, self.repay_at) = (owed, repay_at);
        self.settle(self.clock.now());
        Ok(())
    }
}

#[cfg(test)]
#[path = "rtc_test.rs"]
mod tests;
