use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use device::Device;
use device::bench::{Bench, check_state};

use super::*;
use crate::driver::{Driver, Part, RAM, Request as Sent};

#[derive(Clone, Default)]
struct Alarms(Arc<AtomicU32>);
impl disk::Alarm for Alarms {
    fn storage_full(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const ALL: u64 = FLUSH | DISCARD | WRITE_ZEROES;
const SECTORS: u64 = 64;

struct Fixture {
    driver: Driver<Blk>,
    disk: DiskQueue,
    alarms: Alarms,
}

/// A disk whose sectors are filled with their number.
fn fixture(features: u64, read_only: bool) -> Fixture {
    let bench = Bench::new(RAM);
    let contents = (0..SECTORS * SECTOR).map(|at| (at / SECTOR) as u8).collect();
    let disk = DiskQueue::bench(contents, bench.ram.clone(), read_only);
    let alarms = Alarms::default();
    disk.connect_alarm(Box::new(alarms.clone()));
    let blk = Blk::new(disk.clone(), "a-serial-number-of-more-than-20");
    let mut driver = Driver::on(bench, blk);
    let target: Arc<Mutex<dyn Completions>> = driver.shared.clone();
    disk.connect(Arc::downgrade(&target));
    driver.set_up(features);
    Fixture { driver, disk, alarms }
}

fn header(kind: u32, sector: u64) -> [u8; 16] {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&sector.to_le_bytes());
    header
}

fn range(sector: u64, sectors: u32, flags: u32) -> [u8; 16] {
    let mut segment = [0; 16];
    segment[..8].copy_from_slice(&sector.to_le_bytes());
    segment[8..12].copy_from_slice(&sectors.to_le_bytes());
    segment[12..].copy_from_slice(&flags.to_le_bytes());
    segment
}

impl Fixture {
    /// Sends a request, lets the disk work, and gives the status byte, which is in the last part.
    fn ask(&mut self, parts: &[Part<'_>]) -> u8 {
        let request = self.send(parts);
        self.disk.steps(10);
        self.status(&request)
    }

    fn send(&mut self, parts: &[Part<'_>]) -> Sent {
        let request = self.driver.add(QUEUE, parts);
        let (at, length) = *request.parts.last().unwrap();
        self.driver.fill(at + u64::from(length) - 1, &[0xee]);
        self.driver.ring(QUEUE);
        request
    }

    fn status(&mut self, request: &Sent) -> u8 {
        let (head, written) = self.driver.used(QUEUE).expect("it came back");
        assert_eq!(head, request.head);
        assert!(written >= 1);
        *self.driver.part(request, request.parts.len() - 1).last().unwrap()
    }

    fn read(&mut self, sector: u64) -> Vec<u8> {
        let request = self.send(&[Part::Out(&header(0, sector)), Part::In(512), Part::In(1)]);
        self.disk.steps(10);
        assert_eq!(self.status(&request), 0);
        self.driver.part(&request, 1)
    }
}

#[test]
fn config_space_and_features() {
    let mut f = fixture(ALL, false);
    assert_eq!(f.driver.config::<8>(0), SECTORS.to_le_bytes());
    assert_eq!(f.driver.config::<4>(12), 254u32.to_le_bytes());
    assert_eq!(f.driver.config::<4>(20), 512u32.to_le_bytes());
    assert_eq!(f.driver.offered() & RO, 0);
    let mut f = fixture(RO, true);
    assert_eq!(f.driver.offered() & (RO | DISCARD | WRITE_ZEROES), RO);
}

#[test]
fn reads_and_writes() {
    let mut f = fixture(ALL, false);
    assert_eq!(f.read(7), [7; 512]);
    // Data and status may be cut anywhere.
    let (first, second) = ([0xaa; 100], [0xbb; 924]);
    let head = header(1, 9);
    let parts = [Part::Out(&head[..5]), Part::Out(&head[5..]), Part::Out(&first), Part::Out(&second), Part::In(1)];
    assert_eq!(f.ask(&parts), 0);
    let mut written = f.read(9);
    written.extend(f.read(10));
    assert_eq!(written, [first.to_vec(), second.to_vec()].concat());
    let request = f.send(&[Part::Out(&header(0, 3)), Part::In(200), Part::In(313)]);
    f.disk.steps(1);
    assert_eq!(f.driver.used(QUEUE), Some((request.head, 513)));
    assert_eq!(f.driver.part(&request, 1), [3; 200]);
    assert_eq!(f.driver.part(&request, 2)[311..], [3, 0]);
    let counted = f.disk.counters();
    assert_eq!((counted.rd_operations, counted.rd_bytes), (4, 4 * 512));
    assert_eq!((counted.wr_operations, counted.wr_bytes), (1, 1024));
}

#[test]
fn requests_complete_in_any_number() {
    let mut f = fixture(ALL, false);
    let sent: Vec<_> =
        (0..80).map(|i| f.send(&[Part::Out(&header(0, i % SECTORS)), Part::In(512), Part::In(1)])).collect();
    assert_eq!(f.disk.waiting().len(), 80);
    f.disk.steps(100);
    for (i, request) in sent.iter().enumerate() {
        assert_eq!(f.status(request), 0);
        assert_eq!(f.driver.part(request, 1), [(i as u64 % SECTORS) as u8; 512]);
    }
}

#[test]
fn writes_are_durable_without_flush() {
    let write = header(1, 0);
    let write = [Part::Out(&write), Part::Out(&[1; 512]), Part::In(1)];
    let mut f = fixture(0, false);
    assert_eq!(f.ask(&write), 0);
    assert_eq!(f.disk.flushes(), 1);
    let mut f = fixture(FLUSH, false);
    assert_eq!(f.ask(&write), 0);
    assert_eq!(f.disk.flushes(), 0);
    assert_eq!(f.ask(&[Part::Out(&header(4, 0)), Part::In(1)]), 0);
    assert_eq!(f.disk.flushes(), 1);
}

#[test]
fn serial_number() {
    let mut f = fixture(0, false);
    let request = f.send(&[Part::Out(&header(8, 0)), Part::In(20), Part::In(1)]);
    assert_eq!(f.status(&request), 0);
    assert_eq!(f.driver.part(&request, 1), b"a-serial-number-of-m");
    let request = f.send(&[Part::Out(&header(8, 0)), Part::In(8), Part::In(1)]);
    assert_eq!(f.status(&request), 0);
    assert_eq!(f.driver.part(&request, 1), b"a-serial");
}

#[test]
fn discard_and_write_zeroes() {
    let mut f = fixture(ALL, false);
    assert_eq!(f.ask(&[Part::Out(&header(13, 0)), Part::Out(&range(5, 1, 1)), Part::In(1)]), 0);
    assert_eq!(f.read(5), [0; 512]);
    assert_eq!(f.read(6), [6; 512]);
    assert_eq!(f.ask(&[Part::Out(&header(11, 0)), Part::Out(&range(6, 2, 0)), Part::In(1)]), 0);
    let long = [range(0, 1, 0), range(2, 1, 0)].concat();
    let bad: [(u32, &[u8], u8); 7] = [
        (11, &range(0, 1, 1), 2),
        (13, &range(0, 1, 2), 2),
        (11, &range(SECTORS, 1, 0), 1),
        (13, &range(u64::MAX / 256, 1, 0), 1),
        (13, &range(0, MAX_ZEROES + 1, 0), 1),
        (11, &long, 1),
        (11, b"short", 1),
    ];
    for (kind, segment, status) in bad {
        assert_eq!(f.ask(&[Part::Out(&header(kind, 0)), Part::Out(segment), Part::In(1)]), status);
    }
    let mut plain = fixture(FLUSH, false);
    for kind in [11, 13] {
        assert_eq!(plain.ask(&[Part::Out(&header(kind, 0)), Part::Out(&range(5, 1, 0)), Part::In(1)]), 2);
    }
    assert_eq!(plain.read(5), [5; 512]);
}

#[test]
fn bad_requests_end_in_an_error() {
    let mut f = fixture(ALL, false);
    let before = f.disk.contents();
    assert_eq!(f.ask(&[Part::Out(&header(2, 0)), Part::In(512), Part::In(1)]), 2, "unknown type");
    assert_eq!(f.ask(&[Part::Out(&[0; 15]), Part::In(513)]), 1, "short header");
    assert_eq!(f.ask(&[Part::In(513)]), 1, "no header");
    assert_eq!(f.ask(&[Part::Out(&header(0, 0)), Part::In(511), Part::In(1)]), 1, "no whole sector");
    assert_eq!(f.ask(&[Part::Out(&header(1, 0)), Part::Out(&[1; 511]), Part::In(1)]), 1, "no whole sector");
    for sector in [SECTORS, SECTORS - 1, u64::MAX, u64::MAX / 512, 1 << 55] {
        assert_eq!(f.ask(&[Part::Out(&header(0, sector)), Part::In(1024), Part::In(1)]), 1, "sector {sector:#x}");
        assert_eq!(f.ask(&[Part::Out(&header(1, sector)), Part::Out(&[1; 1024]), Part::In(1)]), 1);
    }
    // A write whose data is in the writable part writes nothing.
    assert_eq!(f.ask(&[Part::Out(&header(1, 0)), Part::In(512), Part::In(1)]), 0);
    f.disk.fail_next(io::ErrorKind::Other);
    assert_eq!(f.ask(&[Part::Out(&header(0, 0)), Part::In(512), Part::In(1)]), 1);
    assert_eq!(f.disk.contents(), before);
    f.driver.add(QUEUE, &[Part::Out(&header(0, 0))]);
    f.driver.ring(QUEUE);
    assert_eq!(f.driver.status(), 0x4f, "nowhere to put the status");
}

#[test]
fn read_only_holds_whatever_was_agreed() {
    let mut f = fixture(0, true);
    let before = f.disk.contents();
    assert_eq!(f.ask(&[Part::Out(&header(1, 0)), Part::Out(&[1; 512]), Part::In(1)]), 1);
    assert_eq!(f.ask(&[Part::Out(&header(13, 0)), Part::Out(&range(5, 1, 1)), Part::In(1)]), 1);
    assert_eq!(f.ask(&[Part::Out(&header(4, 0)), Part::In(1)]), 0, "a flush has nothing to do");
    assert_eq!(f.disk.contents(), before);
}

#[test]
fn a_reset_waits_for_the_disk_and_late_answers_are_nobodys() {
    let mut f = fixture(ALL, false);
    f.send(&[Part::Out(&header(0, 1)), Part::In(512), Part::In(1)]);
    f.driver.set_status(0);
    assert_eq!(f.driver.status(), 0xf);
    f.disk.step();
    assert_eq!(f.driver.status(), 0);
    // A driver that does not wait gets no answer it did not ask for.
    f.driver.set_up(ALL);
    f.send(&[Part::Out(&header(0, 1)), Part::In(512), Part::In(1)]);
    f.driver.set_up(ALL);
    let request = f.send(&[Part::Out(&header(0, 2)), Part::In(512), Part::In(1)]);
    f.disk.step();
    assert_eq!(f.driver.used(QUEUE), None);
    f.disk.step();
    assert_eq!(f.status(&request), 0);
    assert_eq!(f.driver.part(&request, 1), [2; 512]);
}

#[test]
fn a_full_host_is_waited_for() {
    let mut f = fixture(ALL, false);
    f.disk.fail_next(io::ErrorKind::StorageFull);
    let request = f.send(&[Part::Out(&header(1, 4)), Part::Out(&[9; 512]), Part::In(1)]);
    f.disk.steps(10);
    assert_eq!(f.alarms.0.load(Ordering::Relaxed), 1);
    assert_eq!(f.driver.used(QUEUE), None);
    f.disk.retry();
    f.disk.steps(10);
    assert_eq!(f.status(&request), 0);
    assert_eq!(f.read(4), [9; 512]);
    // Saved and restored meanwhile, into a machine whose queue holds nothing.
    f.disk.fail_next(io::ErrorKind::StorageFull);
    let request = f.send(&[Part::Out(&header(1, 5)), Part::Out(&[8; 512]), Part::In(1)]);
    f.disk.steps(10);
    check_state(&mut *f.driver.function(), Device::reset);
    f.disk.abandon();
    f.driver.ring(QUEUE);
    f.disk.steps(10);
    assert_eq!(f.status(&request), 0);
    assert_eq!(f.read(5), [8; 512]);
    assert_eq!(f.disk.steps(10), 0);
}

#[test]
fn a_reset_gives_up_what_a_full_host_holds() {
    let mut f = fixture(ALL, false);
    f.disk.fail_next(io::ErrorKind::StorageFull);
    f.send(&[Part::Out(&header(1, 4)), Part::Out(&[9; 512]), Part::In(1)]);
    f.disk.steps(10);
    f.driver.set_status(0);
    assert_eq!(f.driver.status(), 0xf, "the disk may still read the guest's memory");
    f.disk.abandon();
    assert_eq!(f.driver.status(), 0);
    f.driver.set_up(ALL);
    assert_eq!(f.driver.used(QUEUE), None);
    assert_eq!(f.read(4), [4; 512]);
}

#[test]
fn state() {
    let mut f = fixture(ALL, false);
    f.read(1);
    check_state(&mut *f.driver.function(), Device::reset);
    assert_eq!(f.read(2), [2; 512]);
    let chain: ChainState = serde_json::from_str(r#"{"head":0,"readable":[],"writable":[]}"#).unwrap();
    let mut blk = Blk::new(f.disk, "");
    assert!(blk.restore(BlkState { features: 0, waiting: vec![chain; 257] }).is_err());
}

#[test]
fn noise() {
    let Fixture { mut driver, disk, .. } = fixture(ALL, false);
    driver.make_noise(ALL, |_, random| {
        if random & 8 != 0 {
            disk.fail_next(if random & 16 != 0 { io::ErrorKind::Other } else { io::ErrorKind::StorageFull });
        }
        if random & 32 != 0 {
            disk.retry();
        }
        disk.steps(random as usize % 5);
    });
}
