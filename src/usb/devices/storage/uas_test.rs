use device::State;
use device::bench::check_state;
use disk::DiskQueue;

use super::super::{MassStorage, Options};
use super::*;
use crate::bench::{Data, Host};
use crate::{Function, Kind, Speed};

const UNIT_AT: u64 = 0x2000;
const DISK: usize = 1 << 20;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 512) as u8 ^ (at % 251) as u8).collect()
}

struct Machine {
    host: Host<MassStorage>,
    disk: DiskQueue,
}

impl Machine {
    fn new() -> Self {
        let mut disk = None;
        let host = Host::new(|bench| {
            let queue = DiskQueue::bench(pattern(DISK), bench.ram.clone(), false);
            disk = Some(queue.clone());
            let options = Options { speed: Speed::Super, serial: "box".to_owned(), removable: false, discard: true };
            MassStorage::new(queue, options)
        });
        let waker = host.waker();
        host.port().function.connect(waker);
        host.configure();
        host.request(0x01, 11, 1, 0, Data::Out(&[])).unwrap();
        Self { host, disk: disk.unwrap() }
    }

    fn send(&self, unit: &[u8]) -> Option<Completion> {
        self.host.put(UNIT_AT, unit);
        let id = self.host.submit(4, Kind::Bulk { stream: 0 }, &[(UNIT_AT, unit.len() as u32)]);
        self.host.done(id)
    }

    fn command(&self, tag: u16, cdb: &[u8]) {
        let mut unit = vec![1, 0];
        unit.extend(tag.to_be_bytes());
        unit.resize(16, 0);
        unit.extend(cdb);
        unit.resize(32, 0);
        assert_eq!(self.send(&unit), Some(Completion::done(32)));
    }

    fn manage(&self, tag: u16, function: u8, other: u16) {
        let mut unit = vec![5, 0];
        unit.extend(tag.to_be_bytes());
        unit.extend([function, 0]);
        unit.extend(other.to_be_bytes());
        unit.resize(16, 0);
        assert_eq!(self.send(&unit), Some(Completion::done(16)));
    }

    fn stream(&self, address: u8, tag: u16, pieces: &[(u64, u32)]) -> TransferId {
        self.host.submit(address, Kind::Bulk { stream: tag }, pieces)
    }

    fn ask(&self, tag: u16) -> TransferId {
        self.stream(0x83, tag, &[(status_at(tag), 96)])
    }

    fn answer(&self, tag: u16, id: TransferId) -> Option<Vec<u8>> {
        let Completion { length, fault } = self.host.done(id)?;
        assert_eq!(fault, None);
        let answer = self.host.bytes(status_at(tag), length as usize);
        assert_eq!(answer[1..4], [0, tag.to_be_bytes()[0], tag.to_be_bytes()[1]]);
        Some(answer)
    }

    /// SCSI's status, and sense key and code.
    fn status(&self, tag: u16, id: TransferId) -> Option<(u8, u8, u8)> {
        let answer = self.answer(tag, id)?;
        assert_eq!((answer[0], usize::from(answer[15]) + 16), (3, answer.len()));
        Some(if answer.len() > 16 { (answer[6], answer[18], answer[28]) } else { (answer[6], 0, 0) })
    }

    fn response(&self, tag: u16) -> u8 {
        let id = self.ask(tag);
        let answer = self.answer(tag, id).expect("there is an answer");
        assert_eq!((answer[0], answer.len()), (4, 8));
        answer[7]
    }
}

fn status_at(tag: u16) -> u64 {
    0x4000 + u64::from(tag) * 0x100
}

fn data_at(tag: u16) -> u64 {
    0x1_0000 + u64::from(tag) * 0x4000
}

fn read(sector: u8, count: u8) -> [u8; 10] {
    [0x28, 0, 0, 0, 0, sector, 0, 0, count, 0]
}

#[test]
fn its_pipes_say_what_they_are_for() {
    let m = Machine::new();
    let configuration = m.host.descriptor(2, 0).unwrap();
    let usages: Vec<_> =
        configuration.windows(4).filter(|bytes| bytes[..2] == [4, 0x24]).map(|bytes| bytes[2]).collect();
    assert_eq!(usages, [1, 2, 3, 4]);
    assert_eq!(m.host.request(0x81, 10, 0, 0, Data::In(1)), Ok(vec![1]));
    assert_eq!(m.host.request(0xa1, 0xfe, 0, 0, Data::In(1)), Err(Fault::Stall), "the other setting's");
}

#[test]
fn commands_are_under_way_together() {
    let m = Machine::new();
    let tags = [3u16, 1, 32, 7];
    let mut asked = Vec::new();
    for tag in tags {
        let status = m.ask(tag);
        let data = m.stream(0x81, tag, &[(data_at(tag), 100), (data_at(tag) + 100, 924)]);
        m.command(tag, &read(tag as u8, 2));
        asked.push((tag, status, data));
    }
    assert_eq!(m.disk.waiting().len(), 4);
    m.disk.steps(10);
    for (tag, status, data) in asked {
        assert_eq!((m.host.done(data), m.status(tag, status)), (Some(Completion::done(1024)), Some((0, 0, 0))));
        let at = usize::from(tag) * 512;
        assert_eq!(m.host.bytes(data_at(tag), 1024), pattern(DISK)[at..at + 1024]);
    }
}

#[test]
fn data_may_come_later_and_in_parts() {
    let m = Machine::new();
    m.command(5, &[0x2a, 0, 0, 0, 0, 9, 0, 0, 4]);
    let bytes: Vec<u8> = pattern(2048).iter().map(|byte| !byte).collect();
    m.host.put(data_at(5), &bytes);
    let first = m.stream(2, 5, &[(data_at(5), 1024)]);
    let second = m.stream(2, 5, &[(data_at(5) + 1024, 1024)]);
    let status = m.ask(5);
    m.disk.steps(1);
    assert_eq!((m.host.done(first), m.host.done(second)), (Some(Completion::done(1024)), None));
    m.disk.steps(1);
    assert_eq!((m.host.done(second), m.status(5, status)), (Some(Completion::done(1024)), Some((0, 0, 0))));
    assert_eq!(m.disk.contents()[9 * 512..13 * 512], bytes);
    // Answers wait for the host, short data end a transfer, and unneeded room is given back.
    let inquiry = m.stream(0x81, 6, &[(data_at(6), 512)]);
    m.command(6, &[0x12, 0, 0, 0, 36]);
    assert_eq!(m.host.done(inquiry), Some(Completion::done(36)));
    let status = m.ask(6);
    assert_eq!(m.status(6, status), Some((0, 0, 0)));
    let unneeded = m.stream(0x81, 6, &[(data_at(6), 512)]);
    m.command(6, &[0; 6]);
    assert_eq!(m.host.done(unneeded), Some(Completion::done(0)));
}

#[test]
fn failures_say_why() {
    let m = Machine::new();
    let fail = |tag, cdb: &[u8]| {
        let status = m.ask(tag);
        m.command(tag, cdb);
        m.disk.steps(10);
        m.status(tag, status)
    };
    assert_eq!(fail(1, &[0xee]), Some((2, 5, 0x20)));
    assert_eq!(fail(1, &[0x28, 0, 0xff, 0, 0, 0, 0, 0, 1]), Some((2, 5, 0x21)));
    let data = m.stream(0x81, 1, &[(data_at(1), 512)]);
    m.disk.fail_next(std::io::ErrorKind::Other);
    assert_eq!((fail(1, &read(0, 1)), m.host.done(data)), (Some((2, 3, 0x11)), Some(Completion::done(0))));
    m.disk.fail_next(std::io::ErrorKind::Other);
    assert_eq!(fail(1, &[0x35]), Some((2, 3, 0x0c)));
    assert_eq!(fail(1, &[0x35]), Some((2, 3, 0x0c)), "none is believed after that");
    let nowhere = m.stream(0x81, 1, &[(u64::MAX - 600, 512)]);
    assert_eq!(
        (fail(1, &[0x12, 0, 0, 0, 36]), m.host.done(nowhere).unwrap().fault),
        (Some((2, 0xb, 0x4b)), Some(Fault::Transaction))
    );
    // Another logical unit.
    let status = m.ask(2);
    let mut unit = vec![1, 0, 0, 2, 0, 0, 0, 0, 0, 1];
    unit.resize(32, 0);
    m.send(&unit);
    assert_eq!(m.status(2, status), Some((2, 5, 0x25)));
}

#[test]
fn units_that_make_no_sense() {
    let m = Machine::new();
    for bytes in [&[9, 0, 0, 4][..], &[1, 0, 0, 4], &[1; 31], &[5, 0, 0, 4, 1]] {
        let mut bytes = bytes.to_vec();
        (bytes[2], bytes[3]) = (0, 4);
        assert_eq!(m.send(&bytes), Some(Completion::done(bytes.len() as u64)));
        assert_eq!(m.response(4), Response::InvalidUnit as u8);
    }
    for tag in [0, 33, u16::MAX] {
        let mut unit = vec![1, 0];
        unit.extend(tag.to_be_bytes());
        unit.resize(32, 0);
        assert_eq!(m.send(&unit), Some(Completion::failed(Fault::Stall)));
        assert_eq!(m.host.request(0x82, 0, 0, 4, Data::In(2)), Ok(vec![1, 0]));
        m.host.request(2, 1, 0, 4, Data::Out(&[])).unwrap();
    }
    // A tag that is in use.
    m.command(4, &read(0, 1));
    m.command(4, &read(0, 1));
    assert_eq!(m.response(4), Response::OverlappedTag as u8);
    m.manage(5, 0x80, 4);
    assert_eq!(m.response(5), Response::Complete as u8, "both are gone");
}

#[test]
fn tasks_are_managed() {
    let m = Machine::new();
    let ask = |function, other| {
        m.manage(9, function, other);
        m.response(9)
    };
    m.command(1, &read(0, 1));
    let data = m.stream(0x81, 1, &[(data_at(1), 512)]);
    assert_eq!((ask(0x80, 1), ask(0x80, 2), ask(0x81, 0), ask(0x82, 0)), (8, 0, 8, 0));
    assert_eq!(ask(0x40, 1), Response::NotSupported as u8);
    assert_eq!(ask(1, 1), 0);
    m.host.cancel(data);
    let status = m.ask(1);
    // The disk still has the first one; then the second.
    m.command(1, &read(3, 1));
    m.stream(0x81, 1, &[(data_at(1), 512)]);
    assert_eq!(m.disk.waiting().len(), 1);
    m.disk.steps(10);
    assert_eq!(
        (m.status(1, status), m.host.bytes(data_at(1), 512)),
        (Some((0, 0, 0)), pattern(DISK)[1536..2048].to_vec())
    );
    for function in [2, 4, 8, 0x10] {
        m.command(2, &read(0, 1));
        m.command(3, &read(0, 1));
        assert_eq!((ask(function, 0), ask(0x81, 0)), (0, 0));
    }
    let mut unit = vec![5, 0, 0, 9, 1, 0, 0, 1, 0, 1];
    unit.resize(16, 0);
    m.send(&unit);
    assert_eq!(m.response(9), Response::IncorrectUnit as u8);
}

#[test]
fn a_host_that_does_not_listen_is_not_remembered_forever() {
    let m = Machine::new();
    for at in 0..1000u16 {
        let mut unit = vec![5, 0, 0, (at % 32) as u8 + 1, 0x82];
        unit.resize(16, 0);
        m.send(&unit);
    }
    let saved = serde_json::to_value(m.host.port().function.save()).unwrap();
    assert!(saved["uas"]["answers"].as_array().unwrap().len() <= MOST_ANSWERS);
}

#[test]
fn its_state_is_kept() {
    let m = Machine::new();
    m.command(1, &read(5, 2));
    m.stream(0x81, 1, &[(data_at(1), 1024)]);
    m.command(2, &[0x35]);
    m.command(3, &[0xee]);
    check_state(&mut m.host.port().function, |stick| stick.reset());
    m.disk.steps(10);
    let (data, first) = (m.stream(0x81, 1, &[(data_at(1), 1024)]), m.ask(1));
    let (second, third) = (m.ask(2), m.ask(3));
    m.disk.steps(10);
    assert_eq!(m.host.done(data), Some(Completion::done(1024)));
    assert_eq!((m.status(1, first), m.status(2, second)), (Some((0, 0, 0)), Some((0, 0, 0))));
    assert_eq!(m.status(3, third), Some((2, 5, 0x20)));
    m.command(1, &read(5, 2));
    let mut port = m.host.port();
    let good = serde_json::to_value(port.function.save()).unwrap();
    for (path, value) in [
        ("/uas/tasks/0/0", serde_json::json!(0)),
        ("/uas/tasks/0/1/work/read/length", serde_json::json!(u64::MAX)),
        ("/uas/tasks/0/1/steps", serde_json::json!(vec!["flush"; 65])),
        ("/uas/answers", serde_json::json!([[33, []]])),
        ("/uas/answers", serde_json::json!([[1, vec![0; 35]]])),
        ("/uas/answers", serde_json::json!(vec![serde_json::json!([1, [0]]); 65])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap_or_else(|| panic!("{path} of {good}")) = value;
        let saved = serde_json::from_value(bad).unwrap();
        assert!(port.function.restore(saved).is_err(), "{path}");
    }
}
