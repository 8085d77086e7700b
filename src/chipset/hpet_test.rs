use std::sync::{Arc, Mutex, Weak};

use device::LineSink;
use device::bench::{Bench, check_state};

use super::*;

const CONFIG: u64 = 0x10;
const STATUS: u64 = 0x20;
const COUNTER: u64 = 0xf0;
const INTERRUPT: u64 = 0x04;
const PERIODIC: u64 = 0x08;

const fn timer_config(index: u64) -> u64 {
    0x100 + 0x20 * index
}

const fn comparator(index: u64) -> u64 {
    0x108 + 0x20 * index
}

/// Which line took which level.
type Log = Arc<Mutex<Vec<(usize, bool)>>>;

struct Tap(usize, Log);
impl LineSink for Tap {
    fn set_level(&self, high: bool) {
        self.1.lock().unwrap().push((self.0, high));
    }
}

struct Fixture {
    bench: Bench,
    log: Log,
    legacy: Arc<Mutex<Vec<bool>>>,
    hpet: Arc<Mutex<Hpet>>,
}

impl Fixture {
    fn new() -> Self {
        let (bench, log) = (Bench::new(0x1000), Log::default());
        let legacy = Arc::new(Mutex::new(Vec::new()));
        let lines = std::array::from_fn(|i| IrqLine::new(Box::new(Tap(i, Arc::clone(&log)))));
        let heard = Arc::clone(&legacy);
        let hpet = Arc::new_cyclic(|me: &Weak<Mutex<Hpet>>| {
            let timers = std::array::from_fn(|which| {
                let timer = bench.timers.timer(which as u32);
                timer.connect(me.clone());
                timer
            });
            let replace = Box::new(move |on| heard.lock().unwrap().push(on));
            Mutex::new(Hpet::new(bench.clock.clone(), timers, &lines, replace))
        });
        Self { bench, log, legacy, hpet }
    }

    fn read(&self, offset: u64) -> u64 {
        self.hpet.lock().unwrap().read(offset, Size::Qword)
    }

    fn write(&self, offset: u64, value: u64) {
        self.hpet.lock().unwrap().write(offset, Size::Qword, value);
    }

    fn write_low(&self, offset: u64, value: u32) {
        self.hpet.lock().unwrap().write(offset, Size::Dword, value.into());
    }

    /// Lets time pass in steps, running timers as the timer thread would.
    fn pass(&self, ticks: u64) {
        let end = self.bench.clock.now() + Duration::from_nanos(ticks * TICK);
        while let Some(due) = self.bench.timers.next_due().filter(|&due| due <= end) {
            self.bench.clock.set(due.max(self.bench.clock.now()));
            self.bench.timers.run_due();
        }
        self.bench.clock.set(end);
    }

    fn rises(&self) -> Vec<usize> {
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        log.into_iter().filter(|(_, high)| *high).map(|(line, _)| line).collect()
    }
}

#[test]
fn counts_while_enabled() {
    let f = Fixture::new();
    assert_eq!(f.read(0), 0x0098_9680_8086_a201);
    assert_eq!(f.hpet.lock().unwrap().read(4, Size::Dword) as u32, 10_000_000);
    f.pass(1000);
    assert_eq!(f.read(COUNTER), 0);
    f.write(CONFIG, 1);
    f.pass(1000);
    assert_eq!(f.read(COUNTER), 1000);
    f.write(CONFIG, 0);
    f.pass(1000);
    assert_eq!(f.read(COUNTER), 1000);
    f.write(COUNTER, 0x1_ffff_fff0);
    f.write(CONFIG, 1);
    f.pass(0x20);
    assert_eq!(f.read(COUNTER), 0x2_0000_0010);
    assert_eq!(f.hpet.lock().unwrap().read(COUNTER + 4, Size::Dword) as u32, 2);
    assert_eq!(f.bench.timers.next_due(), None);
}

#[test]
fn one_shot_interrupts_where_routed() {
    let f = Fixture::new();
    assert_eq!(f.read(timer_config(1)), 0x00ff_0104_0000_0030);
    f.write(timer_config(1), INTERRUPT | 20 << 9);
    f.write(timer_config(2), 0x8000 | 0x4000 | 5 << 9);
    assert_eq!(f.read(timer_config(2)) as u32, 0x30, "no such route, no messages");
    f.write(CONFIG, 1);
    f.write(comparator(1), 5000);
    f.pass(4999);
    assert!(f.rises().is_empty());
    f.pass(1);
    assert_eq!(f.rises(), [20]);
    assert_eq!((f.read(STATUS), f.bench.timers.next_due()), (0, None));
    f.write(comparator(1), 4990);
    f.pass(1);
    assert_eq!(f.rises(), [20], "too late is at once");
    f.write(comparator(1), NEVER);
    f.write_low(comparator(1), 20_000);
    f.pass(10);
    assert!(f.rises().is_empty(), "half a comparator is far ahead");
    f.write(timer_config(1), 20 << 9);
    f.write(comparator(1), 6000);
    assert_eq!(f.bench.timers.next_due(), None);
}

#[test]
fn level_stays_until_acknowledged() {
    let f = Fixture::new();
    f.write(timer_config(2), INTERRUPT | 0x02 | 16 << 9);
    f.write(comparator(2), 100);
    f.write(CONFIG, 1);
    f.pass(200);
    assert_eq!((f.read(STATUS), f.log.lock().unwrap().clone()), (4, vec![(16, true)]));
    f.write(timer_config(2), INTERRUPT | 0x02 | 17 << 9);
    assert_eq!(f.log.lock().unwrap()[1..], [(16, false), (17, true)]);
    f.write(STATUS, 4);
    assert_eq!((f.read(STATUS), f.log.lock().unwrap().last()), (0, Some(&(17, false))));
}

#[test]
fn periodic_as_linux_sets_it_up() {
    let f = Fixture::new();
    f.write_low(CONFIG, 0);
    f.write_low(timer_config(0), 0x14c);
    f.write_low(comparator(0), 100_000);
    f.write_low(comparator(0), 100_000);
    f.write_low(CONFIG, 3);
    assert_eq!(*f.legacy.lock().unwrap(), [true]);
    f.pass(99_999);
    assert!(f.rises().is_empty());
    f.pass(1_000_001);
    assert_eq!(f.rises(), [2; 11]);
    assert_eq!(f.read(comparator(0)), 1_200_000);
    // Late by three periods: one interrupt, and the rhythm holds.
    f.bench.clock.advance(Duration::from_nanos(350_000 * TICK));
    f.bench.timers.run_due();
    assert_eq!(f.rises(), [2]);
    assert_eq!(f.read(comparator(0)), 1_500_000);
    f.pass(50_000);
    assert_eq!(f.rises(), [2]);
    // Another period from the next match on.
    f.write_low(comparator(0), 400_000);
    f.pass(100_000);
    assert_eq!((f.rises(), f.read(comparator(0))), (vec![2], 2_000_000));
    f.write_low(CONFIG, 1);
    assert_eq!(*f.legacy.lock().unwrap(), [true, false]);
    f.pass(1_000_000);
    assert!(f.rises().is_empty(), "route 0 leads nowhere");
}

#[test]
fn short_comparators_come_around() {
    let f = Fixture::new();
    f.write(COUNTER, 0x7_ffff_ff00);
    f.write(timer_config(1), INTERRUPT | 0x100 | 8 << 9);
    f.write(CONFIG, 1);
    f.write(comparator(1), 0x5555_5555_0000_0100);
    assert_eq!(f.read(comparator(1)), 0x100);
    f.pass(0x200);
    assert_eq!(f.rises(), [8]);
    f.pass(1 << 32);
    assert_eq!(f.rises(), [8]);
}

#[test]
fn hostile_periods_are_slowed() {
    let f = Fixture::new();
    f.write(timer_config(0), INTERRUPT | PERIODIC | 0x40 | 16 << 9);
    f.write(comparator(0), 1);
    f.write(CONFIG, 1);
    f.pass(1_000_000);
    assert!(f.rises().len() <= 501);
    f.write(timer_config(0), INTERRUPT | PERIODIC | 0x40 | 16 << 9);
    f.write(comparator(0), u64::MAX);
    f.write(comparator(0), u64::MAX);
    f.pass(100);
    f.write(timer_config(0), INTERRUPT | PERIODIC | 0x40 | 16 << 9);
    f.write(comparator(0), 0);
    f.pass(100);
}

#[test]
fn survives_anything() {
    let f = Fixture::new();
    let sizes = [Size::Byte, Size::Word, Size::Dword, Size::Qword];
    for round in 0..0x8000u64 {
        let value = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let offset =
            [value >> 50 & 0x3ff, [0, CONFIG, COUNTER][round as usize % 3], 0x100 + (value >> 54 & 0x7f), u64::MAX]
                [(value >> 20) as usize % 4];
        f.hpet.lock().unwrap().write(offset, sizes[(value >> 22) as usize % 4], value.rotate_left(17));
        f.read(offset);
        f.bench.clock.advance(Duration::from_nanos(value >> 30));
        f.bench.timers.run_due();
        f.hpet.lock().unwrap().expired(9, VmTime(0));
        if round % 64 == 0 {
            let mut hpet = f.hpet.lock().unwrap();
            let saved = hpet.save();
            hpet.restore(saved).unwrap();
        }
    }
    f.hpet.lock().unwrap().reset();
    assert_eq!((f.read(COUNTER), f.read(comparator(0)), f.bench.timers.next_due()), (0, NEVER, None));
}

#[test]
fn state() {
    let f = Fixture::new();
    f.write(timer_config(0), INTERRUPT | PERIODIC | 0x40);
    f.write(timer_config(2), INTERRUPT | 0x02 | 16 << 9);
    f.write(comparator(0), 1000);
    f.write(comparator(2), 10);
    f.write(CONFIG, 3);
    f.pass(1500);
    let hpet = &mut *f.hpet.lock().unwrap();
    check_state(hpet, |hpet| hpet.reset());
    assert_eq!(*f.legacy.lock().unwrap(), [true, false, true]);
    assert_eq!(f.bench.timers.next_due(), Some(VmTime(20_000)));
    assert_eq!(f.log.lock().unwrap().last(), Some(&(16, true)));
    let saved = serde_json::to_value(hpet.save()).unwrap();
    for (path, value) in [
        ("/config", 4),
        ("/status", 8),
        ("/comparators/0/config", 0),
        ("/comparators/1/config", 0x4030),
        ("/comparators/1/route", 24),
        ("/comparators/1/route", u32::MAX),
    ] {
        let mut state = saved.clone();
        *state.pointer_mut(path).unwrap() = value.into();
        assert!(hpet.restore(serde_json::from_value(state).unwrap()).is_err(), "{path}");
    }
}
