use device::bench::check_state;
use device::input::KeySink;

use super::*;
use crate::Waker;
use crate::bench::{Data, Host, check_configuration};
use crate::devices::hid::{Hid, Keyboard, Sink, Tablet};
use crate::devices::storage::{MassStorage, Options};

const REPORT_AT: u64 = 0x8000;

fn host() -> Host<Hub> {
    let host = Host::new(|_| Hub::new());
    host.configure();
    host
}

fn port_request(host: &Host<Hub>, request: u8, feature: u16, port: u16) -> Result<Vec<u8>, Fault> {
    host.request(0x23, request, feature, port, Data::Out(&[]))
}

/// Status and changes of a port.
fn status(host: &Host<Hub>, port: u16) -> (u16, u16) {
    let bytes = host.request(0xa3, 0, 0, port, Data::In(4)).unwrap();
    (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]]))
}

fn poll(host: &Host<Hub>) -> TransferId {
    host.submit(0x81, Kind::Interrupt, &[(REPORT_AT, 1)])
}

fn keyboard(waker: Waker) -> (Box<Hid<Keyboard>>, Sink<Keyboard>) {
    let keyboard = Hid::new();
    let sink = keyboard.sink(waker);
    (Box::new(keyboard), sink)
}

#[test]
fn it_describes_itself() {
    let host = Host::new(|_| Hub::new());
    host.check_descriptors();
    check_configuration(&host.descriptor(7, 0).unwrap(), 7);
    assert_eq!(host.descriptor(6, 0).unwrap()[4..7], [9, 0, 0]);
    let hub = host.request(0xa0, 6, 0x2900, 0, Data::In(64)).unwrap();
    assert_eq!((hub.len(), hub[0], hub[1], hub[2]), (9, 9, 0x29, 4));
    assert_eq!(host.request(0xa3, 0, 0, 1, Data::In(4)), Err(Fault::Stall), "not configured");
    host.configure();
    assert_eq!(host.request(0xa0, 0, 0, 0, Data::In(4)), Ok(vec![0; 4]));
    for port in [0, 5, 0xffff] {
        assert_eq!(host.request(0xa3, 0, 0, port, Data::In(4)), Err(Fault::Stall));
        assert_eq!(port_request(&host, 3, feature::POWER, port), Err(Fault::Stall));
    }
    for feature in [0, 1, 3, 9, 16, 21, 0xffff] {
        assert_eq!(port_request(&host, 3, feature, 1), Err(Fault::Stall), "{feature}");
    }
}

#[test]
fn a_keyboard_behind_it() {
    let host = host();
    let id = poll(&host);
    let (function, mut keys) = keyboard(host.waker());
    host.port().function.attach(2, function).unwrap();
    assert_eq!((host.done(id), status(&host, 2)), (None, (0, 0)), "no power");
    port_request(&host, 3, feature::POWER, 2).unwrap();
    assert_eq!(host.done(id), Some(Completion::done(1)));
    assert_eq!((host.bytes(REPORT_AT, 1), status(&host, 2)), (vec![4], (0x0501, 1)));
    // Told once: who asks before having cleared it waits for the next change.
    let id = poll(&host);
    assert_eq!(host.done(id), None);
    port_request(&host, 1, 16, 2).unwrap();
    assert_eq!(host.done(id), None);
    port_request(&host, 3, feature::RESET, 2).unwrap();
    assert_eq!((host.done(id), status(&host, 2)), (Some(Completion::done(1)), (0x0503, 0x10)));
    port_request(&host, 1, 20, 2).unwrap();
    // The controller finds it there, and what it does is collected with the hub.
    let transfer = |id, endpoint, kind, pieces: &[(u64, u32)]| Transfer {
        id: TransferId(id),
        endpoint,
        kind,
        memory: host.memory(pieces),
    };
    let configure = Setup { kind: 0, request: 9, value: 1, index: 0, length: 0 };
    {
        let mut port = host.port();
        assert!(
            port.function.child(0).is_none() && port.function.child(1).is_none() && port.function.child(5).is_none()
        );
        let child = port.function.child(2).unwrap();
        let done = child.submit(transfer(1000, Endpoint::CONTROL, Kind::Control(configure), &[]));
        assert_eq!(done, Some(Completion::done(0)));
        assert_eq!(child.submit(transfer(1001, REPORTS, Kind::Interrupt, &[(0x9000, 8)])), None);
    }
    keys.key(30, true);
    assert_eq!(host.done(TransferId(1001)), Some(Completion::done(8)));
    assert_eq!(host.bytes(0x9000, 8), [0, 0, 4, 0, 0, 0, 0, 0]);
    // Sleep, and the end of it.
    port_request(&host, 3, feature::SUSPEND, 2).unwrap();
    assert_eq!(status(&host, 2), (0x0507, 0));
    port_request(&host, 1, feature::SUSPEND, 2).unwrap();
    assert_eq!(status(&host, 2), (0x0503, 4));
    port_request(&host, 1, 18, 2).unwrap();
    assert!(keys.listens());
    // Or because of a key, which the whole hub's sleep would end for.
    let wakes = || host.port().function.remote_wakeup();
    port_request(&host, 3, feature::SUSPEND, 2).unwrap();
    keys.key(48, true);
    assert!(!wakes(), "it was not let");
    assert_eq!(status(&host, 2), (0x0507, 0));
    let may_wake = Setup { kind: 0, request: 3, value: 1, index: 0, length: 0 };
    let transfer = transfer(1002, Endpoint::CONTROL, Kind::Control(may_wake), &[]);
    assert_eq!(host.port().function.child(2).unwrap().submit(transfer), Some(Completion::done(0)));
    assert!(wakes());
    assert_eq!(status(&host, 2), (0x0503, 4));
    port_request(&host, 1, 18, 2).unwrap();
    // There is still a key to tell of: it does not fall asleep.
    port_request(&host, 3, feature::SUSPEND, 2).unwrap();
    assert_eq!(status(&host, 2), (0x0503, 4));
    port_request(&host, 1, 18, 2).unwrap();
    port_request(&host, 1, feature::ENABLE, 2).unwrap();
    assert_eq!(status(&host, 2), (0x0501, 0));
    assert!(!keys.listens());
    let id = poll(&host);
    host.port().function.detach(2).unwrap();
    assert_eq!((host.done(id), status(&host, 2)), (Some(Completion::done(1)), (0x0100, 1)));
    assert!(host.port().function.detach(2).is_none());
    // What has changed is the hub's own to say.
    assert!(!wakes());
    host.request(0, 3, 1, 0, Data::Out(&[])).unwrap();
    assert!(wakes());
    port_request(&host, 1, 16, 2).unwrap();
    assert!(!wakes());
}

#[test]
fn what_does_not_fit() {
    let host = host();
    let mut port = host.port();
    let hub = &mut port.function;
    assert_eq!(hub.attach(0, Box::new(Hid::<Tablet>::new())), Err(NoPort));
    assert_eq!(hub.attach(5, Box::new(Hid::<Tablet>::new())), Err(NoPort));
    hub.attach(1, Box::new(Hub::new())).unwrap();
    assert_eq!(hub.attach(1, Box::new(Hid::<Tablet>::new())), Err(NoPort));
    let disk = disk::DiskQueue::bench(vec![0; 512], device::bench::ram(0x1000), false);
    let options = Options { speed: Speed::Super, serial: String::new(), removable: true, discard: false };
    assert_eq!(hub.attach(2, Box::new(MassStorage::new(disk, options))), Err(NoPort));
}

#[test]
fn power_goes_with_the_configuration() {
    let host = host();
    host.port().function.attach(1, Box::new(Hid::<Tablet>::new())).unwrap();
    port_request(&host, 3, feature::POWER, 1).unwrap();
    assert_eq!(status(&host, 1).0, 0x0501);
    host.configure();
    assert_eq!(status(&host, 1), (0, 0));
    port_request(&host, 3, feature::POWER, 1).unwrap();
    host.reset();
    host.configure();
    assert_eq!(status(&host, 1), (0, 0));
    // Nothing is there to reset or to put to sleep.
    port_request(&host, 3, feature::RESET, 3).unwrap();
    port_request(&host, 3, feature::SUSPEND, 3).unwrap();
    assert_eq!(status(&host, 3), (0, 0));
}

#[test]
fn its_state_is_kept_with_what_is_behind() {
    let host = host();
    let (function, mut keys) = keyboard(host.waker());
    host.port().function.attach(3, function).unwrap();
    port_request(&host, 3, feature::POWER, 3).unwrap();
    port_request(&host, 3, feature::RESET, 3).unwrap();
    keys.key(30, true);
    let mut port = host.port();
    check_state(&mut port.function, |hub| hub.reset());
    let good = serde_json::to_value(port.function.save()).unwrap();
    assert_eq!(good["ports"][2]["function"]["kind"], "usb-keyboard");
    for (path, value) in [
        ("/ports/2/status", serde_json::json!(0x0502)),
        ("/ports/2/status", serde_json::json!(0x8503)),
        ("/ports/0/status", serde_json::json!(0x0501)),
        ("/ports/2/changes", serde_json::json!(8)),
        ("/ports/2/occupied", serde_json::json!(false)),
        ("/ports/2/function/kind", serde_json::json!("usb-mouse")),
        ("/ports", serde_json::json!([])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        let saved = serde_json::from_value(bad).unwrap();
        assert!(port.function.restore(saved).is_err(), "{path}");
    }
}

#[test]
fn what_is_not_the_same_when_it_is_restored_was_exchanged() {
    let saved = |with: bool| {
        let host = host();
        if with {
            host.port().function.attach(2, Box::new(Hid::<Tablet>::new())).unwrap();
        }
        port_request(&host, 3, feature::POWER, 2).unwrap();
        port_request(&host, 3, feature::RESET, 2).unwrap();
        for change in [16, 20] {
            port_request(&host, 1, change, 2).unwrap();
        }
        let saved = host.port().function.save();
        serde_json::to_value(saved).unwrap()
    };
    // One of the host's has no state that could be saved.
    let mut nameless = saved(true);
    nameless["ports"][1]["function"] = serde_json::json!(null);
    // Another one was slower.
    let mut slower = saved(true);
    slower["ports"][1]["status"] = serde_json::json!(0x0103);
    for (saved, with, expected) in [
        (saved(true), true, (0x0503, 0)),
        (saved(true), false, (0x0100, 1)),
        (saved(false), true, (0x0501, 1)),
        (saved(false), false, (0x0100, 0)),
        (nameless, true, (0x0501, 1)),
        (slower, true, (0x0501, 1)),
    ] {
        let other = host();
        if with {
            other.port().function.attach(2, Box::new(Hid::<Tablet>::new())).unwrap();
        }
        other.port().function.restore(serde_json::from_value(saved).unwrap()).unwrap();
        assert_eq!(status(&other, 2), expected);
    }
}
