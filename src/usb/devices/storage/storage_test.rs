use std::io::ErrorKind;
use std::time::{Duration, Instant};

use device::bench::{Bench, check_state};
use disk::{Access, Disk, Format};

use super::*;
use crate::bench::{Data, Host, check_configuration};

const COMMAND_AT: u64 = 0x2000;
const STATUS_AT: u64 = 0x2100;
const DATA_AT: u64 = 0x1_0000;
const DISK: usize = 1 << 20;
const BULK: Kind = Kind::Bulk { stream: 0 };

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 512) as u8 ^ (at % 251) as u8).collect()
}

fn options(speed: Speed) -> Options {
    Options { speed, serial: "stick".to_owned(), removable: true, discard: true }
}

/// A host with a stick that it has configured, and the stick's disk.
struct Machine {
    host: Host<MassStorage>,
    disk: DiskQueue,
}

/// What came of a command: how it ended, the residue, and what was moved.
#[derive(Debug, PartialEq)]
struct Ended {
    status: u8,
    residue: u32,
    data: Vec<u8>,
}

impl Machine {
    fn over(open: impl FnOnce(&Bench) -> DiskQueue) -> Self {
        let mut disk = None;
        let host = Host::new(|bench| {
            let queue = open(bench);
            disk = Some(queue.clone());
            MassStorage::new(queue, options(Speed::Super))
        });
        let waker = host.waker();
        host.port().function.connect(waker);
        host.configure();
        Self { host, disk: disk.unwrap() }
    }

    fn new() -> Self {
        Self::over(|bench| DiskQueue::bench(pattern(DISK), bench.ram.clone(), false))
    }

    fn wrap(&self, tag: u32, data: Data<'_>, cdb: &[u8]) -> Vec<u8> {
        let (flags, length) = match data {
            Data::In(length) => (0x80, u32::from(length)),
            Data::Out(bytes) => (0, bytes.len() as u32),
        };
        let mut wrapper = b"USBC".to_vec();
        wrapper.extend(tag.to_le_bytes());
        wrapper.extend(length.to_le_bytes());
        wrapper.extend([flags, 0, cdb.len() as u8]);
        wrapper.extend(cdb);
        wrapper.resize(31, 0);
        wrapper
    }

    fn send(&self, wrapper: &[u8]) -> TransferId {
        self.host.put(COMMAND_AT, wrapper);
        self.host.submit(2, BULK, &[(COMMAND_AT, wrapper.len() as u32)])
    }

    /// Waits for a transfer, with a disk of the bench's or a real one.
    fn wait(&self, id: TransferId) -> Completion {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(completion) = self.host.done(id) {
                return completion;
            }
            if !self.disk.step() {
                assert!(Instant::now() < patience, "the disk is silent");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn status(&self, tag: u32) -> (u8, u32) {
        let id = self.host.submit(0x81, BULK, &[(STATUS_AT, 13)]);
        assert_eq!(self.wait(id), Completion::done(13));
        let wrapper = self.host.bytes(STATUS_AT, 13);
        assert_eq!(wrapper[..8], [b"USBS".to_vec(), tag.to_le_bytes().to_vec()].concat());
        (wrapper[12], u32::from_le_bytes(wrapper[8..12].try_into().unwrap()))
    }

    /// A whole command, its data in pieces of `piece` bytes to a transfer.
    fn command_in(&self, cdb: &[u8], data: Data<'_>, piece: usize) -> Ended {
        static TAG: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let tag = TAG.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = self.send(&self.wrap(tag, data, cdb));
        assert_eq!(self.wait(id), Completion::done(31));
        let (length, address) = match data {
            Data::In(length) => {
                self.host.put(DATA_AT, &vec![0xee; length.into()]);
                (usize::from(length), 0x81)
            }
            Data::Out(bytes) => {
                self.host.put(DATA_AT, bytes);
                (bytes.len(), 2)
            }
        };
        for at in (0..length).step_by(piece.max(1)) {
            let part = piece.min(length - at) as u32;
            // Every transfer has two pieces that are not aligned.
            let (first, second) = (part / 3, part - part / 3);
            let at = DATA_AT + at as u64;
            let id = self.host.submit(address, BULK, &[(at, first), (at + u64::from(first), second)]);
            assert_eq!(self.wait(id), Completion::done(part.into()));
        }
        let (status, residue) = self.status(tag);
        Ended { status, residue, data: self.host.bytes(DATA_AT, length) }
    }

    fn command(&self, cdb: &[u8], data: Data<'_>) -> Ended {
        self.command_in(cdb, data, 0x1_0000)
    }

    fn sense(&self) -> (u8, u8) {
        let sense = self.command(&[0x03, 0, 0, 0, 18], Data::In(18)).data;
        (sense[2], sense[12])
    }
}

#[test]
fn it_describes_itself() {
    for speed in [Speed::Super, Speed::High] {
        let host = Host::new(|bench| {
            MassStorage::new(DiskQueue::bench(pattern(4096), bench.ram.clone(), false), options(speed))
        });
        host.check_descriptors();
        assert_eq!(host.descriptor(6, 0).is_ok(), speed == Speed::High);
        if speed == Speed::High {
            check_configuration(&host.descriptor(7, 0).unwrap(), 7);
        } else {
            let store = host.descriptor(15, 0).unwrap();
            assert_eq!(usize::from(u16::from_le_bytes([store[2], store[3]])), store.len());
        }
        let serial = host.descriptor(3, 3).unwrap();
        assert!(serial[2..].chunks(2).all(|digit| digit[0].is_ascii_hexdigit() && digit[1] == 0));
        assert_eq!(serial.len(), 34);
        // Requests of the class come when it is configured.
        assert_eq!(host.request(0xa1, 0xfe, 0, 0, Data::In(1)), Err(Fault::Stall));
        host.configure();
        assert_eq!(host.request(0xa1, 0xfe, 0, 0, Data::In(1)), Ok(vec![0]));
        assert_eq!(host.request(0xa1, 0xfe, 0, 1, Data::In(1)), Err(Fault::Stall));
        assert_eq!(host.request(0x21, 0xff, 0, 0, Data::Out(&[])), Ok(vec![]));
        assert_eq!(host.request(0, 48, 0, 0, Data::Out(&[0; 6])).is_ok(), speed == Speed::Super);
        for feature in [48, 49] {
            assert_eq!(host.request(0, 3, feature, 0, Data::Out(&[])).is_ok(), speed == Speed::Super);
        }
        let status = if speed == Speed::Super { 0x0d } else { 1 };
        assert_eq!(host.request(0x80, 0, 0, 0, Data::In(2)), Ok(vec![status, 0]));
    }
}

#[test]
fn reads_and_writes() {
    let m = Machine::new();
    assert_eq!(m.command(&[0; 6], Data::In(0)).status, 0);
    let read = [0x28, 0, 0, 0, 0, 3, 0, 0, 0x40];
    for piece in [0x1_0000, 0x1000, 512, 700] {
        let ended = m.command_in(&read, Data::In(0x8000), piece);
        assert_eq!((ended.status, ended.residue), (0, 0));
        assert_eq!(ended.data, pattern(DISK)[3 * 512..0x43 * 512], "{piece}");
    }
    let new: Vec<u8> = pattern(0x4000).iter().map(|byte| !byte).collect();
    for piece in [0x1_0000, 0x1000] {
        let ended = m.command_in(&[0x2a, 0, 0, 0, 0, 5, 0, 0, 0x20], Data::Out(&new), piece);
        assert_eq!((ended.status, ended.residue), (0, 0));
    }
    assert_eq!(m.disk.contents()[5 * 512..0x25 * 512], new);
    assert!(m.disk.flushes() >= 2, "a host that does not flush gets durable writes");
    assert_eq!(m.command(&[0x35; 1], Data::Out(&[])).status, 0);
}

#[test]
fn the_thirteen_cases() {
    let m = Machine::new();
    let (none, read, write) = ([0u8; 10], [0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0], [0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0]);
    let zeroes = vec![0; 2048];
    let of = |cdb: &[u8], data: Data<'_>| {
        let Ended { status, residue, .. } = m.command(cdb, data);
        (status, residue)
    };
    assert_eq!(of(&none, Data::In(0)), (0, 0), "1");
    assert_eq!(of(&read, Data::In(0)).0, 2, "2");
    assert_eq!(of(&write, Data::Out(&[])).0, 2, "3");
    assert_eq!(of(&none, Data::In(100)), (0, 100), "4");
    let ended = m.command(&read, Data::In(2000));
    assert_eq!((ended.status, ended.residue), (0, 976), "5");
    assert_eq!((&ended.data[..1024], &ended.data[1024..]), (&pattern(1024)[..], &[0; 976][..]), "5: filled up");
    assert_eq!(of(&read, Data::In(1024)), (0, 0), "6");
    assert_eq!(of(&read, Data::In(1000)).0, 2, "7");
    assert_eq!(of(&write, Data::In(1024)).0, 2, "8");
    assert_eq!(of(&none, Data::Out(&zeroes[..100])), (0, 100), "9");
    assert_eq!(of(&read, Data::Out(&zeroes[..1024])).0, 2, "10");
    assert_eq!(m.disk.contents(), pattern(DISK), "nothing was written");
    assert_eq!(of(&write, Data::Out(&zeroes)), (0, 1024), "11");
    assert_eq!(m.disk.contents()[..1024], zeroes[..1024]);
    assert_eq!(of(&write, Data::Out(&pattern(1024))), (0, 0), "12");
    assert_eq!(of(&write, Data::Out(&zeroes[..512])).0, 2, "13");
    assert_eq!(m.disk.contents(), pattern(DISK));
    // Failed commands move all the same.
    let ended = m.command(&[0x28, 0, 0, 1, 0, 0, 0, 0, 1], Data::In(512));
    assert_eq!((ended.status, ended.residue, ended.data), (1, 512, vec![0; 512]));
    assert_eq!(m.sense(), (5, 0x21));
    assert_eq!(m.sense(), (0, 0));
}

#[test]
fn wrappers_that_make_no_sense_want_a_reset() {
    let good = |m: &Machine| m.wrap(7, Data::In(0), &[0; 6]);
    let bad: [fn(&mut Vec<u8>); 6] = [
        |wrapper| wrapper.truncate(30),
        |wrapper| wrapper.push(0),
        |wrapper| wrapper[3] = b'S',
        |wrapper| wrapper[14] = 0,
        |wrapper| wrapper[14] = 17,
        |wrapper| wrapper[12] = 1,
    ];
    let m = Machine::new();
    for spoil in bad {
        let early = m.host.submit(0x81, BULK, &[(STATUS_AT, 13)]);
        let mut wrapper = good(&m);
        spoil(&mut wrapper);
        let id = m.send(&wrapper);
        let stalled = Some(Completion::failed(Fault::Stall));
        assert_eq!((m.host.done(id), m.host.done(early)), (stalled, stalled));
        // To clear the halt alone does not help.
        for address in [0x81, 2] {
            assert_eq!(m.host.request(0x82, 0, 0, address, Data::In(2)), Ok(vec![1, 0]));
            m.host.request(2, 1, 0, address, Data::Out(&[])).unwrap();
        }
        let id = m.send(&good(&m));
        assert_eq!(m.host.done(id), stalled);
        m.host.request(0x21, 0xff, 0, 0, Data::Out(&[])).unwrap();
        for address in [0x81, 2] {
            m.host.request(2, 1, 0, address, Data::Out(&[])).unwrap();
        }
        assert_eq!(m.command(&[0; 6], Data::In(0)).status, 0);
    }
}

#[test]
fn errors_of_the_disk() {
    let m = Machine::new();
    m.disk.fail_next(ErrorKind::Other);
    let ended = m.command(&[0x28, 0, 0, 0, 0, 0, 0, 0, 2], Data::In(1024));
    assert_eq!((ended.status, ended.residue, m.sense()), (1, 1024, (3, 0x11)));
    m.disk.fail_next(ErrorKind::Other);
    let ended = m.command_in(&[0x2a, 0, 0, 0, 0, 0, 0, 0, 2], Data::Out(&[1; 1024]), 512);
    assert_eq!((ended.status, ended.residue, m.sense()), (1, 1024, (3, 0x0c)));
    m.disk.fail_next(ErrorKind::Other);
    assert_eq!((m.command(&[0x35; 1], Data::In(0)).status, m.sense()), (1, (3, 0x0c)));
    // Memory that is not there.
    let id = m.send(&m.wrap(1, Data::In(512), &[0x28, 0, 0, 0, 0, 0, 0, 0, 1]));
    m.wait(id);
    let id = m.host.submit(0x81, BULK, &[(u64::MAX - 600, 512)]);
    assert_eq!(m.wait(id).fault, Some(Fault::Transaction));
    assert_eq!((m.status(1).0, m.sense()), (1, (0xb, 0x4b)));
    let read_only = Machine::over(|bench| DiskQueue::bench(pattern(4096), bench.ram.clone(), true));
    let ended = read_only.command(&[0x2a, 0, 0, 0, 0, 0, 0, 0, 1], Data::Out(&[1; 512]));
    assert_eq!((ended.status, read_only.sense()), (1, (7, 0x27)));
}

#[test]
fn parameters_and_discards() {
    let m = Machine::new();
    let mut list = vec![0, 38, 0, 32, 0, 0, 0, 0];
    list.extend([0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0]);
    list.extend([0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 1, 0, 0, 0, 0]);
    let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0];
    // The parameters come in small pieces, and more is sent than is wanted.
    list.extend([9; 24]);
    let ended = m.command_in(&unmap, Data::Out(&list), 16);
    assert_eq!((ended.status, ended.residue), (0, 24));
    let contents = m.disk.contents();
    assert_eq!((&contents[0x1000..0x2000], &contents[0x4000..0x4200]), (&[0; 0x1000][..], &[0; 0x200][..]));
    assert_eq!(contents[0x2000..0x4000], pattern(DISK)[0x2000..0x4000]);
    list[19] = 0xff;
    list[18] = 0xff;
    assert_eq!((m.command(&unmap, Data::Out(&list)).status, m.sense()), (1, (5, 0x21)));
}

#[test]
fn what_is_given_up_does_not_come_back() {
    let m = Machine::new();
    m.send(&m.wrap(1, Data::In(1024), &[0x28, 0, 0, 0, 0, 0, 0, 0, 2]));
    let read = m.host.submit(0x81, BULK, &[(DATA_AT, 1024)]);
    assert_eq!(m.disk.waiting().len(), 1);
    m.host.cancel(read);
    m.host.request(0x21, 0xff, 0, 0, Data::Out(&[])).unwrap();
    // The next command waits until the disk has nothing of the last.
    for tag in 2..40 {
        m.send(&m.wrap(tag, Data::In(512), &[0x28, 0, 0, 0, 0, 9, 0, 0, 1]));
        m.host.submit(0x81, BULK, &[(DATA_AT, 512)]);
        m.host.reset();
        m.host.configure();
    }
    assert_eq!(m.disk.waiting().len(), 1, "bounded");
    m.disk.steps(10);
    let ended = m.command(&[0x28, 0, 0, 0, 0, 9, 0, 0, 1], Data::In(512));
    assert_eq!((ended.status, ended.data), (0, pattern(DISK)[9 * 512..10 * 512].to_vec()));
}

#[test]
fn a_restored_command_goes_on() {
    let m = Machine::new();
    m.send(&m.wrap(1, Data::In(1024), &[0x28, 0, 0, 0, 0, 0, 0, 0, 2]));
    let first = m.host.submit(0x81, BULK, &[(DATA_AT, 512)]);
    m.wait(first);
    m.host.submit(0x81, BULK, &[(DATA_AT + 512, 512)]);
    check_state(&mut m.host.port().function, |stick| stick.reset());
    // The disk has nothing of the machine that was saved; the controller hands its transfers in again.
    m.disk.steps(10);
    let second = m.host.submit(0x81, BULK, &[(DATA_AT + 512, 512)]);
    m.wait(second);
    assert_eq!((m.status(1), m.host.bytes(DATA_AT, 1024)), ((0, 0), pattern(1024)));
    // So with a flush that a full host holds.
    let m = Machine::new();
    m.send(&m.wrap(1, Data::In(0), &[0x35]));
    m.host.submit(0x81, BULK, &[(STATUS_AT, 13)]);
    check_state(&mut m.host.port().function, |stick| stick.reset());
    m.disk.steps(10);
    assert_eq!(m.status(1), (0, 0));
    assert_eq!(m.disk.flushes(), 2, "and once for the machine that was saved");
}

#[test]
fn impossible_states_are_refused() {
    let m = Machine::new();
    m.send(&m.wrap(1, Data::In(1024), &[0x28, 0, 0, 0, 0, 0, 0, 0, 2]));
    let mut port = m.host.port();
    let good = serde_json::to_value(port.function.save()).unwrap();
    for (path, value) in [
        ("/bot/moved", serde_json::json!(2000)),
        ("/bot/useful", serde_json::json!(1)),
        ("/bot/length", serde_json::json!(0)),
        ("/bot/status", serde_json::json!(3)),
        ("/bot/phase", serde_json::json!("status")),
        ("/bot/work/read/at", serde_json::json!(u64::MAX)),
        ("/bot/work/read/length", serde_json::json!(DISK + 1)),
        ("/bot/to_host", serde_json::json!(false)),
        ("/bot/steps", serde_json::json!([{"discard": {"at": DISK, "length": 1}}])),
        ("/bot/steps", serde_json::json!(vec!["flush"; 65])),
        ("/standard/settings", serde_json::json!([9])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap_or_else(|| panic!("{path} of {good}")) = value;
        let saved = serde_json::from_value(bad).unwrap();
        assert!(port.function.restore(saved).is_err(), "{path}");
    }
    let saved = serde_json::from_value(good).unwrap();
    port.function.restore(saved).unwrap();
}

#[test]
fn a_real_image() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(DISK as u64).unwrap();
    let m = Machine::over(|bench| {
        let disk = Disk::open(file.try_clone().unwrap(), Format::Raw, Access::ReadWrite).unwrap();
        disk.queue(bench.ram.clone()).unwrap()
    });
    let bytes = pattern(0x8000);
    assert_eq!(m.command_in(&[0x2a, 0, 0, 0, 0, 1, 0, 0, 0x40], Data::Out(&bytes), 0x4000).status, 0);
    let ended = m.command_in(&[0x28, 0, 0, 0, 0, 1, 0, 0, 0x40], Data::In(0x8000), 0x3000);
    assert_eq!((ended.status, ended.residue, ended.data == bytes), (0, 0, true));
    assert_eq!(m.command(&[0x35], Data::In(0)).status, 0);
    m.disk.close(Duration::from_secs(10)).unwrap();
    let mut written = vec![0; 0x8000];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut written, 512).unwrap();
    assert_eq!(written, bytes);
}
