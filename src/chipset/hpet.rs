//! The high precision event timer (IA-PC HPET Specification 1.0a): one 64-bit counter at 100 MHz and three comparators, each
//! one-shot or periodic, with legacy replacement and I/O APIC routing, without front side bus messages.
//!
//! A comparator's timer is armed while its interrupt is enabled and the counter runs; otherwise nothing ticks. A comparator
//! that is written too late, because an exit takes longer than the guest thought, matches at once instead of after the
//! counter's next wrap.

use std::time::Duration;

use bitflags::bitflags;
use device::{Clock, Device, IrqLine, Mmio, RestoreError, Size, State, Timed, Timer, VmTime};
use serde::{Deserialize, Serialize};

/// Comparators.
pub const HPET_TIMERS: usize = 3;
/// Interrupt lines it can reach: the inputs of the I/O APIC.
pub const HPET_LINES: usize = 24;
/// Bytes of its registers.
pub const HPET_SIZE: u64 = 0x400;

/// Nanoseconds in a tick.
const TICK: u64 = 10;
/// Revision 1, three timers, 64 bits, legacy replacement, Intel; and the tick in femtoseconds.
const CAPABILITIES: u64 = (TICK * 1_000_000) << 32 | 0x8086_a201;
/// The I/O APIC inputs that a comparator may choose: 2, 8 and 16 to 23.
const ROUTES: u32 = 0x00ff_0104;
/// Where legacy replacement puts the first two comparators: the inputs of IRQ 0 and IRQ 8.
const LEGACY_ROUTES: [u32; 2] = [2, 8];
/// A periodic comparator interrupts no more often than this, whatever period it was given.
const SHORTEST: Duration = Duration::from_micros(20);
/// How far behind the counter a written comparator may lie to be late, rather than far ahead: 10 s.
const LATE: u64 = 1_000_000_000;
/// The comparator after reset; software writes it to have no interrupt.
const NEVER: u64 = u64::MAX;

bitflags! {
    /// General configuration register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Config: u64 {
        const ENABLE = 0x1;
        const LEGACY = 0x2;
    }

    /// A timer's configuration and capability register, without its routes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct TimerConfig: u64 {
        const LEVEL = 0x0002;
        const INTERRUPT = 0x0004;
        const PERIODIC = 0x0008;
        const PERIODIC_CAPABLE = 0x0010;
        const SIZE_CAPABLE = 0x0020;
        const SET_VALUE = 0x0040;
        const BITS_32 = 0x0100;
    }
}

/// What the guest may set of it.
const WRITABLE: TimerConfig = TimerConfig::LEVEL
    .union(TimerConfig::INTERRUPT)
    .union(TimerConfig::PERIODIC)
    .union(TimerConfig::SET_VALUE)
    .union(TimerConfig::BITS_32);
const CAPABLE: TimerConfig = TimerConfig::PERIODIC_CAPABLE.union(TimerConfig::SIZE_CAPABLE);
const ROUTE_SHIFT: u32 = 9;
const ROUTE_MASK: u32 = 0x1f;

/// The registers, all 64 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Capabilities,
    Config,
    Status,
    Counter,
    TimerConfig(usize),
    Comparator(usize),
    Reserved,
}

fn decode(offset: u64) -> Register {
    let timer = (offset.wrapping_sub(0x100) / 0x20) as usize;
    match offset & !7 {
        0x000 => Register::Capabilities,
        0x010 => Register::Config,
        0x020 => Register::Status,
        0x0f0 => Register::Counter,
        0x100..HPET_SIZE if timer < HPET_TIMERS => match offset & 0x18 {
            0x00 => Register::TimerConfig(timer),
            0x08 => Register::Comparator(timer),
            _ => Register::Reserved,
        },
        _ => Register::Reserved,
    }
}

/// One comparator.
struct Comparator {
    config: TimerConfig,
    /// The I/O APIC input that was chosen.
    route: u32,
    value: u64,
    /// In ticks; 0 is none.
    period: u64,
    /// When the counter will match, while that can be told and matters.
    due: Option<VmTime>,
    /// The input that is held high.
    driven: Option<u32>,
    timer: Timer,
    /// This comparator's own ends of the lines.
    lines: [IrqLine; HPET_LINES],
}

impl Comparator {
    /// `value` in this comparator's width.
    fn cut(&self, value: u64) -> u64 {
        if self.config.contains(TimerConfig::BITS_32) { value & 0xffff_ffff } else { value }
    }
}

/// The timer block. Wants 1 KiB of memory space and [`Timed`].
pub struct Hpet {
    config: Config,
    /// Which level-triggered comparators interrupt, bit by bit.
    status: u8,
    /// The counter at `since`.
    count: u64,
    /// When it was started or set; of no meaning while it stands.
    since: VmTime,
    comparators: [Comparator; HPET_TIMERS],
    clock: Clock,
    replace_legacy: Box<dyn Fn(bool) + Send>,
}

/// The saved state of the timer block.
#[derive(Serialize, Deserialize)]
pub struct HpetState {
    config: u64,
    status: u8,
    count: u64,
    since: VmTime,
    comparators: [ComparatorState; HPET_TIMERS],
}

#[derive(Serialize, Deserialize)]
struct ComparatorState {
    config: u64,
    route: u32,
    value: u64,
    period: u64,
    due: Option<VmTime>,
}

impl Hpet {
    /// A timer block at its power-on state.
    ///
    /// `timers` are numbers 0 to 2 of this device. `lines` are the inputs of the I/O APIC; it uses 2, 8 and 16 to 23. Input 2
    /// must be the PC's IRQ 0, that is, lead to input 0 of the PIC too, and input 8 likewise.
    ///
    /// `replace_legacy` is called with true when the comparators begin to stand in for the PIT and the clock chip, which must
    /// not interrupt then, and with false when they cease to. It is called under this device's mutex.
    pub fn new(
        clock: Clock,
        timers: [Timer; HPET_TIMERS],
        lines: &[IrqLine; HPET_LINES],
        replace_legacy: Box<dyn Fn(bool) + Send>,
    ) -> Self {
        let comparators = timers.map(|timer| Comparator {
            config: CAPABLE,
            route: 0,
            value: NEVER,
            period: 0,
            due: None,
            driven: None,
            timer,
            lines: lines.each_ref().map(IrqLine::share),
        });
        Self { config: Config::empty(), status: 0, count: 0, since: VmTime(0), comparators, clock, replace_legacy }
    }

    fn runs(&self) -> bool {
        self.config.contains(Config::ENABLE)
    }

    fn replaces_legacy(&self) -> bool {
        self.config.contains(Config::ENABLE | Config::LEGACY)
    }

    /// Ticks since [`Self::since`].
    fn elapsed(&self, now: VmTime) -> u64 {
        if self.runs() { now.0.saturating_sub(self.since.0) / TICK } else { 0 }
    }

    fn counter(&self, now: VmTime) -> u64 {
        self.count.wrapping_add(self.elapsed(now))
    }

    fn set_counter(&mut self, now: VmTime, count: u64) {
        (self.count, self.since) = (count, now);
        for index in 0..HPET_TIMERS {
            self.expect_match(index, now, false);
        }
    }

    /// The I/O APIC input that comparator `index` interrupts, if it leads to one.
    fn route(&self, index: usize) -> Option<u32> {
        match LEGACY_ROUTES.get(index) {
            Some(&route) if self.replaces_legacy() => Some(route),
            _ => Some(self.comparators[index].route).filter(|&route| ROUTES & 1 << route != 0),
        }
    }

    /// Works out when comparator `index` will match. One that was just `written` and lies behind matches now.
    fn expect_match(&mut self, index: usize, now: VmTime, written: bool) {
        let (runs, counter, elapsed) = (self.runs(), self.counter(now), self.elapsed(now));
        let comparator = &mut self.comparators[index];
        comparator.due = None;
        if runs && comparator.config.contains(TimerConfig::INTERRUPT) {
            let ahead = comparator.cut(comparator.value.wrapping_sub(counter));
            let behind = comparator.cut(ahead.wrapping_neg());
            let ahead = match ahead {
                _ if written && behind < LATE && comparator.value != comparator.cut(NEVER) => Some(0),
                0 if comparator.config.contains(TimerConfig::BITS_32) => Some(1 << 32),
                0 => None,
                ahead => Some(ahead),
            };
            comparator.due = ahead
                .and_then(|ahead| elapsed.checked_add(ahead)?.checked_mul(TICK)?.checked_add(self.since.0))
                .map(VmTime);
        }
        self.arm(index, None);
    }

    /// Arms or cancels the timer of comparator `index`, for no earlier than `earliest`.
    fn arm(&self, index: usize, earliest: Option<VmTime>) {
        let comparator = &self.comparators[index];
        match comparator.due {
            Some(due) => comparator.timer.arm(earliest.map_or(due, |earliest| due.max(earliest))),
            None => comparator.timer.cancel(),
        }
    }

    /// Holds the line of comparator `index` at its level.
    fn drive(&mut self, index: usize) {
        let high = self.runs()
            && self.status & 1 << index != 0
            && self.comparators[index].config.contains(TimerConfig::INTERRUPT | TimerConfig::LEVEL);
        let route = if high { self.route(index) } else { None };
        let comparator = &mut self.comparators[index];
        if comparator.driven != route {
            if let Some(line) = comparator.driven {
                comparator.lines[line as usize].set(false);
            }
            if let Some(line) = route {
                comparator.lines[line as usize].set(true);
            }
            comparator.driven = route;
        }
    }

    fn drive_all(&mut self) {
        for index in 0..HPET_TIMERS {
            self.drive(index);
        }
    }

    /// Comparator `index` matched.
    fn interrupt(&mut self, index: usize) {
        if self.comparators[index].config.contains(TimerConfig::LEVEL) {
            self.status |= 1 << index;
            self.drive(index);
        } else if let Some(route) = self.route(index) {
            self.comparators[index].lines[route as usize].pulse();
        }
    }

    fn read_register(&self, register: Register) -> u64 {
        match register {
            Register::Capabilities => CAPABILITIES,
            Register::Config => self.config.bits(),
            Register::Status => self.status.into(),
            Register::Counter => self.counter(self.clock.now()),
            Register::TimerConfig(index) => {
                let Comparator { config, route, .. } = &self.comparators[index];
                config.bits() | u64::from(*route) << ROUTE_SHIFT | u64::from(ROUTES) << 32
            }
            Register::Comparator(index) => self.comparators[index].value,
            Register::Reserved => 0,
        }
    }

    /// Writes the bits of `value` that `mask` selects.
    fn write_register(&mut self, register: Register, value: u64, mask: u64) {
        let now = self.clock.now();
        let merge = |old: u64| old & !mask | value & mask;
        match register {
            Register::Capabilities | Register::Reserved => {}
            Register::Config => self.write_config(now, Config::from_bits_truncate(merge(self.config.bits()))),
            Register::Status => {
                self.status &= !(value & mask) as u8;
                self.drive_all();
            }
            Register::Counter => self.set_counter(now, merge(self.counter(now))),
            Register::TimerConfig(index) => {
                let merged = merge(self.read_register(register));
                self.write_timer_config(index, now, merged);
            }
            Register::Comparator(index) => {
                let comparator = &mut self.comparators[index];
                let periodic = comparator.config.contains(TimerConfig::PERIODIC);
                if periodic {
                    comparator.period = comparator.cut(merge(comparator.period));
                }
                if !periodic || comparator.config.contains(TimerConfig::SET_VALUE) {
                    comparator.value = comparator.cut(merge(comparator.value));
                    comparator.config -= TimerConfig::SET_VALUE;
                    self.expect_match(index, now, true);
                }
            }
        }
    }

    fn write_config(&mut self, now: VmTime, config: Config) {
        let (ran, replaced) = (self.runs(), self.replaces_legacy());
        let counter = self.counter(now);
        self.config = config;
        if self.runs() != ran {
            self.set_counter(now, counter);
        }
        if self.replaces_legacy() != replaced {
            (self.replace_legacy)(!replaced);
        }
        self.drive_all();
    }

    fn write_timer_config(&mut self, index: usize, now: VmTime, value: u64) {
        let comparator = &mut self.comparators[index];
        let before = comparator.config;
        comparator.config = TimerConfig::from_bits_truncate(value) & WRITABLE | CAPABLE;
        // A route that is not offered is not taken, and software sees that when it reads back.
        let route = (value >> ROUTE_SHIFT) as u32 & ROUTE_MASK;
        if ROUTES & 1 << route != 0 {
            comparator.route = route;
        }
        if comparator.config.contains(TimerConfig::BITS_32) {
            comparator.value = comparator.cut(comparator.value);
            comparator.period = comparator.cut(comparator.period);
        }
        let changed = before ^ comparator.config;
        if !comparator.config.contains(TimerConfig::LEVEL) {
            self.status &= !(1 << index);
        }
        if changed.intersects(TimerConfig::INTERRUPT | TimerConfig::BITS_32 | TimerConfig::PERIODIC) {
            self.expect_match(index, now, false);
        }
        self.drive(index);
    }
}

impl Mmio for Hpet {
    fn read(&mut self, offset: u64, _: Size) -> u64 {
        self.read_register(decode(offset)) >> (8 * (offset & 7))
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        // Software may use aligned accesses of 4 and 8 bytes only.
        if matches!(size, Size::Dword | Size::Qword) && offset & (size.bytes() - 1) == 0 {
            let shift = 8 * (offset & 7);
            self.write_register(decode(offset), value << shift, size.ones() << shift);
        }
    }
}

impl Timed for Hpet {
    fn expired(&mut self, which: u32, now: VmTime) {
        let index = which as usize;
        let Some(comparator) = self.comparators.get_mut(index) else { return };
        let Some(due) = comparator.due.filter(|&due| due <= now) else { return };
        let config = comparator.config;
        let stride = if config.contains(TimerConfig::PERIODIC) && comparator.period != 0 {
            // Of periods that passed meanwhile the last one counts.
            let passed = (now.0 - due.0) / TICK / comparator.period + 1;
            let ticks = passed.checked_mul(comparator.period);
            comparator.value = comparator.cut(comparator.value.wrapping_add(ticks.unwrap_or(0)));
            ticks
        } else if config.contains(TimerConfig::BITS_32) {
            // The low half of the counter comes around again.
            Some(1 << 32)
        } else {
            None
        };
        let next = stride.and_then(|ticks| ticks.checked_mul(TICK)?.checked_add(due.0));
        comparator.due = next.map(VmTime);
        self.arm(index, Some(now + SHORTEST));
        self.interrupt(index);
    }
}

impl Device for Hpet {
    fn reset(&mut self) {
        let replaced = self.replaces_legacy();
        (self.config, self.status, self.count, self.since) = (Config::empty(), 0, 0, VmTime(0));
        for comparator in &mut self.comparators {
            comparator.config = CAPABLE;
            (comparator.route, comparator.value, comparator.period, comparator.due) = (0, NEVER, 0, None);
            comparator.timer.cancel();
        }
        self.drive_all();
        if replaced {
            (self.replace_legacy)(false);
        }
    }
}

impl State for Hpet {
    const KIND: &'static str = "hpet";
    type Saved = HpetState;

    fn save(&self) -> HpetState {
        let Self { config, status, count, since, comparators, clock: _, replace_legacy: _ } = self;
        HpetState {
            config: config.bits(),
            status: *status,
            count: *count,
            since: *since,
            comparators: comparators.each_ref().map(|comparator| {
                let Comparator { config, route, value, period, due, driven: _, timer: _, lines: _ } = comparator;
                ComparatorState { config: config.bits(), route: *route, value: *value, period: *period, due: *due }
            }),
        }
    }

    fn restore(&mut self, saved: HpetState) -> Result<(), RestoreError> {
        let HpetState { config, status, count, since, comparators } = saved;
        self.config = Config::from_bits(config).ok_or_else(|| Self::impossible("configuration"))?;
        if status >> HPET_TIMERS != 0 {
            return Err(Self::impossible("status"));
        }
        (self.status, self.count, self.since) = (status, count, since);
        for (comparator, saved) in self.comparators.iter_mut().zip(comparators) {
            let ComparatorState { config, route, value, period, due } = saved;
            comparator.config = TimerConfig::from_bits(config)
                .filter(|config| config.contains(CAPABLE))
                .ok_or_else(|| Self::impossible("timer configuration"))?;
            if route != 0 && (route > ROUTE_MASK || ROUTES & 1 << route == 0) {
                return Err(Self::impossible("route"));
            }
            if comparator.config.contains(TimerConfig::BITS_32) && (value.max(period) >> 32 != 0) {
                return Err(Self::impossible("comparator"));
            }
            (comparator.route, comparator.value, comparator.period, comparator.due) = (route, value, period, due);
        }
        for index in 0..HPET_TIMERS {
            if !self.runs() || !self.comparators[index].config.contains(TimerConfig::INTERRUPT) {
                self.comparators[index].due = None;
            }
            self.arm(index, None);
        }
        self.drive_all();
        (self.replace_legacy)(self.replaces_legacy());
        Ok(())
    }
}

#[cfg(test)]
#[path = "hpet_test.rs"]
mod tests;
