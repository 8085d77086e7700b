//! Guests that mean harm.

use std::io::ErrorKind;
use std::time::Duration;

use device::State;
use device::input::{Axis, Button, KeySink, PointerSink};
use disk::DiskQueue;
use proptest::prelude::*;

use super::hid::{Hid, Keyboard, Mouse, Tablet};
use super::hub::Hub;
use super::storage::{MassStorage, Options};
use crate::bench::{Data, Host, RAM};
use crate::{Function, Kind, Ports, Setup, Speed, TransferId};

/// Bytes of a function's state, whatever was done to it.
const MOST_STATE: usize = 64 << 10;
/// Requests that a disk has of one function.
const MOST_REQUESTS: usize = 64;

/// What a hostile guest does, and what happens to it.
#[derive(Clone, Debug)]
enum Abuse {
    Request { setup: Setup, pieces: Vec<(u64, u32)> },
    Transfer { address: u8, kind: Kind, bytes: Vec<u8>, pieces: Vec<(u64, u32)> },
    Cancel(u64),
    Reset,
    Restore,
    Touch(u16, bool),
    Step,
    Fail,
}

fn pieces() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let at = prop_oneof![8 => 0x1000..RAM as u64, 1 => any::<u64>(), 1 => RAM as u64 - 600..RAM as u64];
    let length = prop_oneof![4 => 0u32..0x1000, 2 => Just(512), 2 => Just(13), 1 => Just(31), 1 => 0u32..0x10_0000];
    prop::collection::vec((at, length), 0..4)
}

fn setups() -> impl Strategy<Value = Setup> {
    let kind = prop_oneof![
        4 => prop::sample::select(vec![0u8, 1, 2, 0x80, 0x81, 0x82, 0x20, 0x21, 0x23, 0xa0, 0xa1, 0xa3]),
        1 => any::<u8>(),
    ];
    let request = prop_oneof![8 => 0u8..13, 1 => prop::sample::select(vec![48u8, 49, 0xfe, 0xff]), 1 => any::<u8>()];
    let value = prop_oneof![4 => 0u16..32, 2 => (0u16..0x40).prop_map(|kind| kind << 8), 1 => any::<u16>()];
    let index = prop_oneof![4 => 0u16..5, 2 => 0x80u16..0x85, 1 => any::<u16>()];
    let length = prop_oneof![4 => 0u16..64, 1 => any::<u16>()];
    (kind, request, value, index, length).prop_map(|(kind, request, value, index, length)| Setup {
        kind,
        request,
        value,
        index,
        length,
    })
}

fn cdbs() -> impl Strategy<Value = [u8; 16]> {
    let known = prop::sample::select(vec![
        0x00u8, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x23, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x42, 0x55,
        0x5a, 0x88, 0x8a, 0x91, 0x9e, 0xa0, 0xa8, 0xaa,
    ]);
    (any::<[u8; 16]>(), prop::option::weighted(0.9, known), any::<bool>()).prop_map(|(mut cdb, known, near)| {
        cdb[0] = known.unwrap_or(cdb[0]);
        if near {
            // On the disk, and not much of it.
            (cdb[1], cdb[2], cdb[3], cdb[6], cdb[7]) = (cdb[1] & 0x1f, 0, 0, 0, 0);
            cdb[4] &= 3;
        }
        cdb
    })
}

/// Commands as transports carry them, whole and spoilt.
fn units() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![2 => Just(0u32), 4 => (0u32..16).prop_map(|count| count * 512), 1 => any::<u32>()];
    let wrapper =
        (any::<u32>(), length, any::<bool>(), 0u8..18, cdbs()).prop_map(|(tag, length, to_host, block, cdb)| {
            let mut bytes = b"USBC".to_vec();
            bytes.extend(tag.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.extend([if to_host { 0x80 } else { 0 }, 0, if block > 16 { block } else { block.max(10) }]);
            bytes.extend(cdb);
            bytes
        });
    let command = (0u16..40, cdbs()).prop_map(|(tag, cdb)| {
        let mut bytes = vec![1, 0];
        bytes.extend(tag.to_be_bytes());
        bytes.resize(16, 0);
        bytes.extend(cdb);
        bytes
    });
    let function = prop::sample::select(vec![1u8, 2, 4, 8, 0x10, 0x40, 0x80, 0x81, 0x82]);
    let management = (0u16..40, function, 0u16..40).prop_map(|(tag, function, other)| {
        let mut bytes = vec![5, 0];
        bytes.extend(tag.to_be_bytes());
        bytes.extend([function, 0]);
        bytes.extend(other.to_be_bytes());
        bytes.resize(16, 0);
        bytes
    });
    prop_oneof![8 => wrapper, 8 => command, 2 => management, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

fn abuses() -> impl Strategy<Value = Vec<Abuse>> {
    let stream = prop_oneof![2 => Just(0u16), 4 => 0u16..40, 1 => any::<u16>()];
    let kind = prop_oneof![
        8 => stream.prop_map(|stream| Kind::Bulk { stream }),
        4 => Just(Kind::Interrupt),
        1 => Just(Kind::Isochronous),
        1 => setups().prop_map(Kind::Control),
    ];
    let address = prop_oneof![8 => prop::sample::select(vec![2u8, 4, 0x81, 0x83]), 1 => any::<u8>()];
    let transfer = (address, kind, pieces()).prop_map(|(address, kind, pieces)| Abuse::Transfer {
        address,
        kind,
        bytes: Vec::new(),
        pieces,
    });
    let unit = (prop::sample::select(vec![2u8, 4]), units(), pieces()).prop_map(|(address, bytes, pieces)| {
        Abuse::Transfer { address, kind: Kind::Bulk { stream: 0 }, bytes, pieces }
    });
    let abuse = prop_oneof![
        4 => (setups(), pieces()).prop_map(|(setup, pieces)| Abuse::Request { setup, pieces }),
        8 => transfer,
        8 => unit,
        2 => (0u64..200).prop_map(Abuse::Cancel),
        1 => Just(Abuse::Reset),
        1 => Just(Abuse::Restore),
        4 => (0u16..260, any::<bool>()).prop_map(|(code, down)| Abuse::Touch(code, down)),
        6 => Just(Abuse::Step),
        1 => Just(Abuse::Fail),
    ];
    prop::collection::vec(abuse, 1..150)
}

/// Does all of it to a function, and sees that it works after a reset.
fn survives<F: Function + State + 'static>(
    host: &Host<F>,
    abuses: Vec<Abuse>,
    disk: Option<&DiskQueue>,
    mut touch: impl FnMut(u16, bool),
) -> Result<(), TestCaseError> {
    const UNIT_AT: u64 = 0x800;
    for abuse in abuses {
        match abuse {
            Abuse::Request { setup, pieces } => {
                let id = host.submit(0, Kind::Control(setup), &pieces);
                let length = pieces.iter().map(|piece| u64::from(piece.1)).sum::<u64>();
                let completion = host.done(id).expect("requests are answered at once");
                prop_assert!(completion.length <= length.min(setup.length.into()));
            }
            Abuse::Transfer { address, kind, bytes, mut pieces } => {
                if !bytes.is_empty() {
                    host.put(UNIT_AT, &bytes);
                    pieces = vec![(UNIT_AT, bytes.len() as u32)];
                }
                host.submit(address, kind, &pieces);
            }
            Abuse::Cancel(id) => host.cancel(TransferId(id)),
            Abuse::Reset => {
                host.reset();
                host.configure();
            }
            Abuse::Restore => {
                let mut port = host.port();
                let saved = port.function.save();
                let before = serde_json::to_value(&saved).unwrap();
                prop_assert!(before.to_string().len() < MOST_STATE);
                let taken = port.function.restore(saved);
                prop_assert!(taken.is_ok(), "{:?} of {}", taken, before);
                prop_assert_eq!(serde_json::to_value(port.function.save()).unwrap(), before);
            }
            Abuse::Touch(code, down) => touch(code, down),
            Abuse::Step => drop(disk.map(DiskQueue::step)),
            Abuse::Fail => drop(disk.map(|disk| disk.fail_next(ErrorKind::Other))),
        }
        if let Some(disk) = disk {
            prop_assert!(disk.waiting().len() <= MOST_REQUESTS);
        }
    }
    if let Some(disk) = disk {
        prop_assert!(disk.steps(10_000) < 10_000);
    }
    host.reset();
    host.check_descriptors();
    host.configure();
    Ok(())
}

fn stick(setting: u16, abuses: Vec<Abuse>) -> Result<(), TestCaseError> {
    let mut disk = None;
    let host = Host::new(|bench| {
        let queue = DiskQueue::bench(vec![7; 0x10_0000], bench.ram.clone(), false);
        disk = Some(queue.clone());
        let options = Options { speed: Speed::Super, serial: "1".to_owned(), removable: true, discard: true };
        MassStorage::new(queue, options)
    });
    let waker = host.waker();
    host.port().function.connect(waker);
    host.configure();
    host.request(1, 11, setting, 0, Data::Out(&[])).unwrap();
    let disk = disk.unwrap();
    survives(&host, abuses, Some(&disk), |_, _| {})?;
    // It still reads. What was to fail, fails before.
    drop(disk.read(0, 512, Duration::from_secs(1)));
    let mut wrapper = b"USBC\x01\0\0\0\0\x02\0\0\x80\0\x0a\x28\0\0\0\0\x05\0\0\x01".to_vec();
    wrapper.resize(31, 0);
    host.put(0x800, &wrapper);
    host.submit(2, Kind::Bulk { stream: 0 }, &[(0x800, 31)]);
    let data = host.submit(0x81, Kind::Bulk { stream: 0 }, &[(0x1000, 512)]);
    let status = host.submit(0x81, Kind::Bulk { stream: 0 }, &[(0x900, 13)]);
    disk.steps(10);
    let (data, status) = (host.done(data), host.done(status));
    prop_assert_eq!((data.map(|done| done.length), status.map(|done| done.length)), (Some(512), Some(13)));
    prop_assert_eq!(host.bytes(0x90c, 1), [0]);
    prop_assert_eq!(host.bytes(0x1000, 512), disk.contents()[0xa00..0xc00].to_vec());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_keyboard_survives(abuses in abuses()) {
        let host = Host::new(|_| Hid::<Keyboard>::new());
        let mut keys = host.port().function.sink(host.waker());
        host.configure();
        survives(&host, abuses, None, |code, down| keys.key(code, down))?;
    }

    #[test]
    fn pointers_survive(abuses in abuses()) {
        let host = Host::new(|_| Hid::<Tablet>::new());
        let mut pen = host.port().function.sink(host.waker());
        host.configure();
        survives(&host, abuses.clone(), None, |code, down| {
            pen.moved_to(code << 8, code);
            pen.button(if code % 2 == 0 { Button::Left } else { Button::Extra }, down);
            pen.wheel(Axis::Vertical, i32::from(code) << 24);
        })?;
        let host = Host::new(|_| Hid::<Mouse>::new());
        let mut mouse = host.port().function.sink(host.waker());
        host.configure();
        survives(&host, abuses, None, |code, down| {
            mouse.moved(i32::from(code) << 24, -i32::from(code));
            mouse.button(if code % 2 == 0 { Button::Left } else { Button::Extra }, down);
            mouse.wheel(Axis::Horizontal, i32::MIN);
        })?;
    }

    #[test]
    fn a_hub_survives(abuses in abuses()) {
        let host = Host::new(|_| Hub::new());
        let keyboard = Hid::<Keyboard>::new();
        let mut keys = keyboard.sink(host.waker());
        host.port().function.attach(1, Box::new(keyboard)).unwrap();
        host.configure();
        survives(&host, abuses, None, |code, down| match code {
            0..8 => drop(host.port().function.detach(code as u8)),
            8..16 => drop(host.port().function.attach(code as u8 - 8, Box::new(Hid::<Tablet>::new()))),
            _ => keys.key(code, down),
        })?;
    }

    #[test]
    fn a_stick_survives(abuses in abuses()) {
        stick(0, abuses)?;
    }

    #[test]
    fn a_stick_with_many_commands_survives(abuses in abuses()) {
        stick(1, abuses)?;
    }
}
