use std::sync::{Arc, Mutex};

use device::bench::{Bench, check_state};

use super::*;

/// 2026-03-14 15:09:26, a Saturday.
const START: i64 = 1_773_500_966;

struct Fixture {
    bench: Bench,
    rtc: Arc<Mutex<Rtc>>,
}

impl Fixture {
    fn new() -> Self {
        let bench = Bench::new(0x1000);
        let rtc = Rtc::new(START, bench.clock.clone(), bench.line.clone(), bench.timers.timer(0));
        let rtc = Arc::new(Mutex::new(rtc));
        let target: Arc<Mutex<dyn Timed>> = rtc.clone();
        rtc.lock().unwrap().timer.connect(Arc::downgrade(&target));
        Self { bench, rtc }
    }

    fn read(&self, index: u8) -> u8 {
        let mut rtc = self.rtc.lock().unwrap();
        rtc.write(0, Size::Byte, index.into());
        rtc.read(1, Size::Byte) as u8
    }

    fn write(&self, index: u8, value: u8) {
        let mut rtc = self.rtc.lock().unwrap();
        rtc.write(0, Size::Byte, index.into());
        rtc.write(1, Size::Byte, value.into());
    }

    fn date(&self) -> [u8; 8] {
        [CENTURY_PS2, YEAR, MONTH, DAY, WEEKDAY, HOURS, MINUTES, SECONDS].map(|index| self.read(index))
    }

    /// Lets time pass in steps, running timers as the timer thread would.
    fn pass(&self, by: Duration) {
        let end = self.bench.clock.now() + by;
        while let Some(due) = self.bench.timers.next_due().filter(|&due| due <= end) {
            self.bench.clock.set(due.max(self.bench.clock.now()));
            self.bench.timers.run_due();
        }
        self.bench.clock.set(end);
    }
}

#[test]
fn shows_the_time_in_all_formats() {
    let f = Fixture::new();
    assert_eq!(f.date(), [0x20, 0x26, 0x03, 0x14, 0x07, 0x15, 0x09, 0x26]);
    f.write(REGISTER_B, 0x00);
    assert_eq!(f.date(), [0x20, 0x26, 0x03, 0x14, 0x07, 0x83, 0x09, 0x26]);
    f.write(REGISTER_B, 0x06);
    assert_eq!(f.date(), [20, 26, 3, 14, 7, 15, 9, 26]);
    f.pass(Duration::from_secs(60 * 60 * 10));
    assert_eq!(f.date(), [20, 26, 3, 15, 1, 1, 9, 26]);
    assert_eq!(f.read(REGISTER_D), 0x80);
    assert_eq!(f.bench.timers.next_due(), None, "nothing ticks while nobody asked");
}

#[test]
fn guest_sets_the_time() {
    let f = Fixture::new();
    f.write(REGISTER_B, 0x82);
    for (index, value) in
        [(CENTURY, 0x19), (YEAR, 0x99), (MONTH, 0x12), (DAY, 0x31), (HOURS, 0x23), (MINUTES, 0x59), (SECONDS, 0x58)]
    {
        f.write(index, value);
    }
    f.pass(Duration::from_secs(100));
    assert_eq!(f.read(SECONDS), 0x58, "time stands while SET");
    f.write(REGISTER_B, 0x02);
    f.pass(Duration::from_secs(2));
    assert_eq!(f.date(), [0x20, 0x00, 0x01, 0x01, 0x07, 0, 0, 0]);
    assert_eq!(f.rtc.lock().unwrap().seconds(), 946_684_800);
    // Without SET, one register at a time.
    f.write(MINUTES, 0x30);
    assert_eq!(f.rtc.lock().unwrap().seconds(), 946_684_800 + 1800);
    f.rtc.lock().unwrap().set_seconds(START);
    assert_eq!(f.read(SECONDS), 0x26);
}

#[test]
fn divider_reset_starts_half_a_second_before_an_update() {
    let f = Fixture::new();
    f.write(REGISTER_A, 0x76);
    f.pass(Duration::from_millis(12_345));
    assert_eq!(f.read(SECONDS), 0x26);
    f.write(REGISTER_A, 0x26);
    f.pass(Duration::from_millis(499));
    assert_eq!(f.read(SECONDS), 0x26);
    assert_eq!(f.read(REGISTER_A), 0xa6);
    f.pass(Duration::from_millis(1));
    assert_eq!((f.read(SECONDS), f.read(REGISTER_A)), (0x27, 0x26));
}

#[test]
fn update_interrupt_comes_every_second_once_acknowledged() {
    let f = Fixture::new();
    f.pass(Duration::from_millis(300));
    f.write(REGISTER_B, 0x12);
    f.pass(Duration::from_millis(699));
    assert!(f.bench.levels.take().is_empty());
    f.pass(Duration::from_millis(1));
    assert_eq!(f.bench.levels.take(), [true]);
    assert_eq!(f.bench.timers.next_due(), None, "an unanswered interrupt wakes nobody");
    assert_eq!(f.read(REGISTER_C) & !0x40, 0x90);
    assert_eq!(f.read(REGISTER_C), 0);
    f.pass(Duration::from_secs(1));
    assert_eq!(f.bench.levels.take(), [false, true]);
    // SET takes the enable back.
    f.write(REGISTER_B, 0x92);
    assert_eq!(f.read(REGISTER_B), 0x82);
    assert_eq!(f.bench.levels.take(), [false]);
}

#[test]
fn alarm_matches_all_three_and_wildcards() {
    let f = Fixture::new();
    for (index, value) in [(HOURS_ALARM, 0x16), (MINUTES_ALARM, 0x00), (SECONDS_ALARM, 0x05)] {
        f.write(index, value);
    }
    f.write(REGISTER_B, 0x22);
    let wait = 50 * 60 + 34 + 5;
    assert_eq!(f.bench.timers.next_due(), Some(VmTime((wait) * SECOND)));
    f.pass(Duration::from_secs(wait));
    assert_eq!(f.bench.levels.take(), [true]);
    assert_eq!(f.read(REGISTER_C) & 0xb0, 0xb0);
    f.write(HOURS_ALARM, 0xff);
    f.write(MINUTES_ALARM, 0xc0);
    assert_eq!(f.bench.timers.next_due(), Some(VmTime((wait + 60) * SECOND)));
    f.write(SECONDS_ALARM, 0x61);
    assert_eq!(f.bench.timers.next_due(), None, "such a second never comes");
    // A flag is set whether or not it interrupts.
    f.write(REGISTER_B, 0x02);
    f.write(SECONDS_ALARM, 0x10);
    f.pass(Duration::from_secs(60));
    assert_eq!(f.read(REGISTER_C) & 0xa0, 0x20);
}

#[test]
fn periodic_interrupts_keep_count() {
    let f = Fixture::new();
    f.write(REGISTER_A, 0x2a);
    f.write(REGISTER_B, 0x42);
    let mut count = 0;
    let mut serve = |span: Duration| {
        let end = f.bench.clock.now() + span;
        while let Some(due) = f.bench.timers.next_due().filter(|&due| due <= end) {
            f.bench.clock.set(due.max(f.bench.clock.now()));
            f.bench.timers.run_due();
            assert_eq!(f.read(REGISTER_C) & 0xc0, 0xc0);
            count += 1;
        }
        f.bench.clock.set(end);
        count
    };
    assert_eq!(serve(Duration::from_secs(1)), 64);
    // The host is away for a quarter of a second: the guest hears of it all the same.
    f.bench.clock.advance(Duration::from_millis(250));
    assert_eq!(serve(Duration::from_millis(750)), 128);
    // A timer that comes late for the mutex counts nothing twice.
    f.rtc.lock().unwrap().expired(0, VmTime(SECOND));
    assert_eq!(f.read(REGISTER_C), 0);
    // Faster than one in four periods it does not come.
    assert!(f.bench.levels.take().len() <= 2 * 128);
    f.write(REGISTER_A, 0x20);
    assert_eq!(f.bench.timers.next_due(), None);
}

#[test]
fn every_rate_has_its_period() {
    let f = Fixture::new();
    f.write(REGISTER_B, 0x42);
    for (rate, hertz) in [(1, 256), (2, 128), (3, 8192), (6, 1024), (15, 2)] {
        f.write(REGISTER_A, 0x20 | rate);
        f.read(REGISTER_C);
        let now = f.bench.clock.now();
        f.pass(Duration::from_secs(1));
        f.read(REGISTER_C);
        let due = f.bench.timers.next_due().unwrap();
        assert!(due - f.bench.clock.now() <= Duration::from_nanos(SECOND / hertz + 1), "rate {rate} from {now:?}");
    }
}

#[test]
fn ram_is_the_boards_and_survives_reset() {
    let f = Fixture::new();
    {
        let mut rtc = f.rtc.lock().unwrap();
        rtc.set_cmos(0x38, 0x12);
        rtc.set_cmos(REGISTER_A, 0xff);
        rtc.set_cmos(0xff, 0xff);
        rtc.set_cmos(CENTURY, 0x77);
    }
    f.write(0x0f, 0x0a);
    f.write(REGISTER_B, 0x72);
    f.rtc.lock().unwrap().reset();
    assert_eq!((f.read(0x38), f.read(0x0f), f.read(0x8f)), (0x12, 0x0a, 0x0a));
    assert_eq!((f.read(REGISTER_A), f.read(REGISTER_B), f.read(CENTURY)), (0x26, 0x02, 0x20));
    assert_eq!(f.bench.timers.next_due(), None);
}

#[test]
fn any_bytes_make_some_time() {
    let f = Fixture::new();
    for mode in [0x00, 0x02, 0x04, 0x06] {
        for value in 0..=255 {
            f.write(REGISTER_B, 0x80 | mode | 0x30);
            for index in 0..128 {
                if index != REGISTER_B {
                    f.write(index, value);
                }
            }
            f.write(REGISTER_A, 0x2f);
            f.write(REGISTER_B, mode | 0x70);
            f.pass(Duration::from_secs(2));
            f.date();
            f.read(REGISTER_C);
        }
    }
}

#[test]
fn state() {
    let f = Fixture::new();
    f.write(REGISTER_A, 0x2a);
    f.write(REGISTER_B, 0x52);
    f.pass(Duration::from_millis(1500));
    let rtc = &mut *f.rtc.lock().unwrap();
    check_state(rtc, |rtc| {
        for (port, value) in [(0, 0x0b), (1, 0x86), (0, 0x04), (1, 0x11), (0, 0x0b), (1, 0x02)] {
            rtc.write(port, Size::Byte, value);
        }
    });
    assert!(rtc.irq.is_high());
    let saved = || serde_json::to_value(rtc.save()).unwrap();
    let mut broken = Vec::new();
    for (field, value) in [
        ("cmos", serde_json::json!([1, 2])),
        ("index", 128.into()),
        ("a", 0x80.into()),
        ("c", 1.into()),
        ("calendar", serde_json::json!({"start": 0, "phase": 1_000_000_000})),
        ("calendar", serde_json::json!({"start": i64::MIN, "phase": 0})),
        ("seen_second", i64::MAX.into()),
        ("seen_period", u64::MAX.into()),
        ("owed", u32::MAX.into()),
    ] {
        let mut state = saved();
        state[field] = value;
        broken.push((field, serde_json::from_value(state).unwrap()));
    }
    for (field, state) in broken {
        assert!(rtc.restore(state).is_err(), "{field}");
    }
}
