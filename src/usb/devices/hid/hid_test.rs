use device::bench::check_state;
use device::input::{Axis, Button, KeySink, PointerSink};

use super::*;
use crate::bench::{Data, Host, check_configuration};

const REPORT_AT: u64 = 0x8000;

fn host<M: Model>() -> (Host<Hid<M>>, Sink<M>) {
    let host = Host::new(|_| Hid::<M>::new());
    let sink = host.port().function.sink(host.waker());
    (host, sink)
}

/// Configured, and polled once.
fn started<M: Model>() -> (Host<Hid<M>>, Sink<M>, TransferId) {
    let (host, sink) = host::<M>();
    host.configure();
    let id = poll(&host);
    assert_eq!(host.done(id), None);
    (host, sink, id)
}

fn poll<M: Model>(host: &Host<Hid<M>>) -> TransferId {
    host.submit(0x81, Kind::Interrupt, &[(REPORT_AT, M::REPORT.into())])
}

fn fetched<M: Model>(host: &Host<Hid<M>>, id: TransferId) -> Option<Vec<u8>> {
    let Completion { length, fault } = host.done(id)?;
    assert_eq!(fault, None);
    Some(host.bytes(REPORT_AT, length as usize))
}

/// All reports that there are; the last poll waits.
fn drain<M: Model>(host: &Host<Hid<M>>, first: TransferId) -> (Vec<Vec<u8>>, TransferId) {
    let (mut reports, mut id) = (Vec::new(), first);
    while let Some(report) = fetched(host, id) {
        reports.push(report);
        assert!(reports.len() < 1000);
        id = poll(host);
    }
    (reports, id)
}

fn describes_itself<M: Model>() {
    let (host, _) = host::<M>();
    host.check_descriptors();
    assert_eq!(host.port().function.speed(), Speed::High);
    assert_eq!(host.descriptor(6, 0).unwrap().len(), 10);
    check_configuration(&host.descriptor(7, 0).unwrap(), 7);
    assert_eq!(host.request(0x81, 6, 0x2200, 0, Data::In(0x1000)).unwrap(), M::REPORT_DESCRIPTOR);
    let hid = host.request(0x81, 6, 0x2100, 0, Data::In(9)).unwrap();
    assert_eq!(host.descriptor(2, 0).unwrap()[18..27], hid);
    assert_eq!(usize::from(u16::from_le_bytes([hid[7], hid[8]])), M::REPORT_DESCRIPTOR.len());
    assert_eq!(bits_of_input(M::REPORT_DESCRIPTOR), u32::from(M::REPORT) * 8);
}

/// Bits of the input report that a report descriptor describes.
fn bits_of_input(mut items: &[u8]) -> u32 {
    let (mut size, mut count, mut bits) = (0, 0, 0);
    while let [prefix, rest @ ..] = items {
        let length = [0, 1, 2, 4][usize::from(prefix & 3)];
        let value = rest[..length].iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
        match prefix & 0xfc {
            0x74 => size = value,
            0x94 => count = value,
            0x80 => bits += size * count,
            _ => {}
        }
        items = &rest[length..];
    }
    bits
}

#[test]
fn all_describe_themselves() {
    describes_itself::<Keyboard>();
    describes_itself::<Mouse>();
    describes_itself::<Tablet>();
}

#[test]
fn who_sleeps_is_woken_and_hears_what_woke_it() {
    let (host, mut keys, id) = started::<Keyboard>();
    let wakes = || host.port().function.remote_wakeup();
    keys.key(30, true);
    assert!(fetched(&host, id).is_some());
    keys.key(30, false);
    assert!(!wakes(), "it was not let");
    // As Linux goes to sleep: it asks no more, and then says that it may be woken.
    let (_, id) = drain(&host, poll(&host));
    host.cancel(id);
    assert!(!keys.listens());
    host.request(0, 3, 1, 0, Data::Out(&[])).unwrap();
    assert!(keys.listens() && !wakes());
    keys.key(48, true);
    assert!(wakes());
    host.request(0, 1, 1, 0, Data::Out(&[])).unwrap();
    keys.key(48, false);
    assert!(keys.listens() && !wakes());
    let (reports, id) = drain(&host, poll(&host));
    assert_eq!(reports.iter().map(|report| report[2]).collect::<Vec<_>>(), [5, 0]);
    host.cancel(id);
    host.request(0, 3, 1, 0, Data::Out(&[])).unwrap();
    // A driver that has its controller stand hears nobody: what is done then is for others, but for what is let go.
    keys.key(31, true);
    assert!(wakes());
    host.port().runs = false;
    assert!(!keys.listens());
    keys.key(31, false);
    keys.key(30, true);
    assert!(wakes() && !keys.listens());
    host.port().runs = true;
    assert!(keys.listens());
    host.reset();
    keys.key(30, true);
    assert!(!keys.listens() && !wakes());
}

#[test]
fn standard_requests() {
    let (host, _) = host::<Keyboard>();
    let status = |kind, index| host.request(kind, 0, 0, index, Data::In(2));
    let feature = |kind, on, feature, index| {
        host.request(kind, if on { 3 } else { 1 }, feature, index, Data::Out(&[])).map(|_| ())
    };
    // Nothing is there before the configuration.
    assert_eq!(host.request(0x80, 8, 0, 0, Data::In(1)).unwrap(), [0]);
    assert_eq!(status(0x82, 0x81), Err(Fault::Stall));
    assert_eq!(host.request(0x81, 10, 0, 0, Data::In(1)), Err(Fault::Stall));
    let early = poll(&host);
    assert_eq!(host.done(early), Some(Completion::failed(Fault::Transaction)));
    assert_eq!(host.request(0, 9, 2, 0, Data::Out(&[])), Err(Fault::Stall));
    host.configure();
    assert_eq!(host.request(0x80, 8, 0, 0, Data::In(1)).unwrap(), [1]);
    assert_eq!((status(0x80, 0), status(0x81, 0)), (Ok(vec![0, 0]), Ok(vec![0, 0])));
    assert_eq!(
        (status(0x81, 1), status(0x82, 0x01), status(0x82, 0x82)),
        (Err(Fault::Stall), Err(Fault::Stall), Err(Fault::Stall))
    );
    assert_eq!(host.request(0x81, 10, 0, 0, Data::In(1)).unwrap(), [0]);
    assert_eq!(host.request(0x01, 11, 0, 0, Data::Out(&[])), Ok(vec![]));
    assert_eq!(host.request(0x01, 11, 1, 0, Data::Out(&[])), Err(Fault::Stall));
    assert_eq!(host.request(0x01, 11, 0, 1, Data::Out(&[])), Err(Fault::Stall));
    // A halted endpoint stalls, also what was waiting.
    let waiting = poll(&host);
    assert_eq!(feature(0x02, true, 0, 0x81), Ok(()));
    assert_eq!(host.done(waiting), Some(Completion::failed(Fault::Stall)));
    assert_eq!(status(0x82, 0x81), Ok(vec![1, 0]));
    let stalled = poll(&host);
    assert_eq!(host.done(stalled), Some(Completion::failed(Fault::Stall)));
    assert_eq!(feature(0x02, false, 0, 0x81), Ok(()));
    let waiting = poll(&host);
    assert_eq!(host.done(waiting), None);
    // What there is not.
    let woken = status(0x80, 0);
    assert_eq!((woken, feature(0x00, true, 1, 0), status(0x80, 0)), (Ok(vec![0, 0]), Ok(()), Ok(vec![2, 0])));
    assert_eq!((feature(0x00, false, 1, 0), status(0x80, 0)), (Ok(()), Ok(vec![0, 0])));
    assert_eq!(feature(0x00, true, 2, 0), Err(Fault::Stall), "test mode");
    assert_eq!(feature(0x02, true, 0, 0x02), Err(Fault::Stall));
    assert_eq!(feature(0x02, true, 0, 0), Err(Fault::Stall));
    assert_eq!(host.request(0, 48, 0, 0, Data::Out(&[0; 6])), Err(Fault::Stall), "USB 3's");
    assert_eq!(host.request(0, 7, 0x100, 0, Data::Out(&[0; 18])), Err(Fault::Stall));
    assert_eq!(host.request(0x82, 12, 0, 0x81, Data::In(2)), Err(Fault::Stall));
    // Losing the configuration ends what waits.
    assert_eq!(host.request(0, 9, 0, 0, Data::Out(&[])), Ok(vec![]));
    assert_eq!(host.done(waiting), Some(Completion::failed(Fault::Transaction)));
}

#[test]
fn keys_are_told() {
    let (host, mut keys, mut id) = started::<Keyboard>();
    assert!(keys.listens());
    keys.key(42, true);
    assert_eq!(fetched(&host, id).unwrap(), [2, 0, 0, 0, 0, 0, 0, 0]);
    keys.key(30, true);
    keys.key(48, true);
    keys.key(30, false);
    id = poll(&host);
    let (reports, id) = drain(&host, id);
    assert_eq!(
        reports,
        [[2, 0, 4, 0, 0, 0, 0, 0], [2, 0, 4, 5, 0, 0, 0, 0], [2, 0, 5, 0, 0, 0, 0, 0]],
        "each change in a report of its own"
    );
    // Repeats of the host's, keys of no keyboard, and releases of what is not held tell nothing.
    keys.key(48, true);
    keys.key(0x110, true);
    keys.key(30, false);
    assert_eq!(drain(&host, id).0, Vec::<Vec<u8>>::new());
    assert_eq!(host.request(0xa1, 1, 0x100, 0, Data::In(8)).unwrap(), [2, 0, 5, 0, 0, 0, 0, 0]);
}

#[test]
fn seven_keys_are_too_many() {
    let (host, mut keys, id) = started::<Keyboard>();
    for code in 16..=22 {
        keys.key(code, true);
    }
    keys.key(29, true);
    let (reports, id) = drain(&host, id);
    assert_eq!(reports[5], [0, 0, 0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c]);
    assert_eq!(reports[6], [0, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(reports[7], [1, 0, 1, 1, 1, 1, 1, 1]);
    keys.key(16, false);
    assert_eq!(drain(&host, id).0, [[1, 0, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18]]);
}

#[test]
fn no_release_is_lost() {
    let (host, mut keys, id) = started::<Keyboard>();
    keys.key(30, true);
    keys.key(42, true);
    fetched(&host, id).unwrap();
    // The guest is busy, and somebody has dropped a book.
    for _ in 0..100 {
        keys.key(57, true);
        keys.key(57, false);
    }
    keys.key(30, false);
    keys.key(42, false);
    keys.key(48, true);
    keys.key(48, false);
    let (reports, _) = drain(&host, poll(&host));
    assert!(reports.len() < 70);
    assert_eq!(reports.last().unwrap(), &[0; 8]);
}

#[test]
fn what_is_held_at_a_reset_does_not_hang() {
    let (host, mut keys, id) = started::<Keyboard>();
    keys.key(30, true);
    fetched(&host, id).unwrap();
    host.reset();
    assert!(!keys.listens());
    keys.key(48, true);
    host.configure();
    assert!(!keys.listens(), "nobody asks yet");
    let id = poll(&host);
    assert!(keys.listens());
    keys.key(30, false);
    keys.key(48, false);
    assert_eq!(host.done(id), None);
    keys.key(31, true);
    assert_eq!(fetched(&host, id).unwrap(), [0, 0, 0x16, 0, 0, 0, 0, 0]);
}

#[test]
fn a_driver_that_stops_does_not_listen() {
    let (host, keys, id) = started::<Keyboard>();
    let second = poll(&host);
    host.cancel(id);
    assert!(keys.listens());
    host.cancel(second);
    assert!(!keys.listens());
    poll(&host);
    assert!(keys.listens());
}

#[test]
fn class_requests() {
    let (host, keys, _) = started::<Keyboard>();
    let out = |request, value, index, data: &[u8]| host.request(0x21, request, value, index, Data::Out(data));
    let ask = |request, value| host.request(0xa1, request, value, 0, Data::In(64));
    assert_eq!((ask(2, 0).unwrap(), ask(3, 0).unwrap()), (vec![0], vec![1]));
    out(0x0a, 0x2000, 0, &[]).unwrap();
    out(0x0b, 0, 0, &[]).unwrap();
    assert_eq!((ask(2, 0).unwrap(), ask(3, 0).unwrap()), (vec![0x20], vec![0]));
    out(9, 0x200, 0, &[0x03]).unwrap();
    assert_eq!((keys.lights(), ask(1, 0x200).unwrap()), (3, vec![3]));
    out(9, 0x200, 0, &[]).unwrap();
    assert_eq!(keys.lights(), 0);
    for wrong in [
        out(9, 0x100, 0, &[1]),
        out(9, 0x200, 1, &[1]),
        out(9, 0x200, 0, &[0; 65]),
        out(0x0b, 2, 0, &[]),
        ask(1, 0x300),
        ask(7, 0),
        host.request(0xa1, 9, 0x200, 0, Data::In(1)),
        host.request(0x21, 1, 0x100, 0, Data::Out(&[])),
    ] {
        assert_eq!(wrong, Err(Fault::Stall));
    }
    let (tablet, _, _) = started::<Tablet>();
    assert_eq!(tablet.request(0xa1, 3, 0, 0, Data::In(1)), Err(Fault::Stall), "no device of firmware's");
}

#[test]
fn a_report_that_finds_no_room_is_babble() {
    let (host, mut keys) = host::<Keyboard>();
    host.configure();
    let id = host.submit(0x81, Kind::Interrupt, &[(REPORT_AT, 3)]);
    keys.key(30, true);
    assert_eq!(host.done(id), Some(Completion { length: 3, fault: Some(Fault::Babble) }));
    let nowhere = host.submit(0x81, Kind::Interrupt, &[(u64::MAX - 8, 8)]);
    keys.key(30, false);
    assert_eq!(host.done(nowhere), Some(Completion::failed(Fault::Transaction)));
}

#[test]
fn positions_are_merged_and_clicks_are_where_they_were() {
    let (host, mut pen, id) = started::<Tablet>();
    assert!(pen.is_absolute());
    pen.moved_to(0x7fff, 0x1234);
    assert_eq!(fetched(&host, id).unwrap(), [0, 0xff, 0x7f, 0x34, 0x12, 0, 0]);
    pen.moved_to(1, 1);
    pen.moved_to(2, 2);
    pen.button(Button::Right, true);
    pen.moved_to(3, 3);
    pen.button(Button::Right, false);
    pen.wheel(Axis::Vertical, 2);
    pen.wheel(Axis::Horizontal, -1);
    pen.moved_to(0xffff, 4);
    let (reports, id) = drain(&host, poll(&host));
    assert_eq!(reports, [[0, 2, 0, 2, 0, 0, 0], [2, 3, 0, 3, 0, 0, 0], [0, 0xff, 0x7f, 4, 0, 2, 0xff]]);
    pen.button(Button::Extra, true);
    pen.wheel(Axis::Vertical, -300);
    let (reports, _) = drain(&host, id);
    let turns: i32 = reports.iter().map(|report| i32::from(report[5] as i8)).sum();
    assert_eq!((turns, reports.last().unwrap()[..3].to_vec()), (-300, vec![16, 0xff, 0x7f]));
    assert_eq!(host.request(0xa1, 1, 0x100, 0, Data::In(7)).unwrap(), [16, 0xff, 0x7f, 4, 0, 0, 0]);
}

#[test]
fn no_button_hangs() {
    let (host, mut pen, id) = started::<Tablet>();
    pen.moved_to(5, 5);
    fetched(&host, id).unwrap();
    for _ in 0..100 {
        pen.button(Button::Left, true);
        pen.button(Button::Left, false);
    }
    pen.button(Button::Left, true);
    pen.button(Button::Middle, true);
    pen.button(Button::Left, false);
    pen.button(Button::Middle, false);
    let (reports, id) = drain(&host, poll(&host));
    assert!(reports.len() <= 33);
    assert_eq!(reports.last().unwrap()[..], [0, 5, 0, 5, 0, 0, 0]);
    // Held at a reset: released for the guest, and the person's release is none.
    pen.button(Button::Left, true);
    assert_eq!(fetched(&host, id).unwrap()[0], 1);
    host.reset();
    host.configure();
    let id = poll(&host);
    pen.button(Button::Left, false);
    assert_eq!(host.done(id), None);
}

#[test]
fn a_mouse_goes_far_in_small_steps() {
    let (host, mut mouse, id) = started::<Mouse>();
    assert!(!mouse.is_absolute());
    mouse.moved(300, -130);
    let (mut reports, id) = (vec![fetched(&host, id).unwrap()], poll(&host));
    let (more, id) = drain(&host, id);
    reports.extend(more);
    let sum = |at: usize| reports.iter().map(|report| i32::from(report[at] as i8)).sum::<i32>();
    assert_eq!((sum(1), sum(2), reports.len()), (300, -130, 3));
    // Firmware's protocol has three bytes.
    host.request(0x21, 0x0b, 0, 0, Data::Out(&[])).unwrap();
    mouse.wheel(Axis::Vertical, 1);
    mouse.button(Button::Left, true);
    assert_eq!(drain(&host, id).0, [[0, 0, 0], [1, 0, 0]]);
    for _ in 0..10 {
        mouse.moved(i32::MIN, i32::MAX);
    }
    let (reports, _) = drain(&host, poll(&host));
    assert!(reports.len() < 100, "bounded");
}

fn state_is_kept<M: Model>(touch: impl FnOnce(&mut Sink<M>)) {
    let (host, mut sink, id) = started::<M>();
    host.cancel(id);
    poll(&host);
    touch(&mut sink);
    touch_halt(&host);
    let mut port = host.port();
    check_state(&mut port.function, |hid| hid.reset());
}

fn touch_halt<M: Model>(host: &Host<Hid<M>>) {
    host.request(0x21, 0x0a, 0x500, 0, Data::Out(&[])).unwrap();
    host.request(0x02, 3, 0, 0x81, Data::Out(&[])).unwrap();
}

#[test]
fn states_are_kept() {
    state_is_kept::<Keyboard>(|keys| {
        for code in 16..30 {
            keys.key(code, true);
        }
    });
    state_is_kept::<Tablet>(|pen| {
        pen.moved_to(7, 8);
        pen.button(Button::Left, true);
        pen.wheel(Axis::Vertical, 400);
        pen.wheel(Axis::Horizontal, 1);
    });
    state_is_kept::<Mouse>(|mouse| {
        mouse.moved(400, 1000);
        mouse.button(Button::Left, true);
        mouse.wheel(Axis::Vertical, 400);
    });
}

#[test]
fn impossible_states_are_refused() {
    let (host, mut keys, _) = started::<Keyboard>();
    keys.key(30, true);
    let mut port = host.port();
    let good = serde_json::to_value(port.function.save()).unwrap();
    for (path, value) in [
        ("/standard/settings", serde_json::json!([1])),
        ("/standard/settings", serde_json::json!([])),
        ("/standard/halted", serde_json::json!([0x82])),
        ("/standard/features", serde_json::json!(255)),
        ("/model/told", serde_json::json!([4, 4])),
        ("/model/lights", serde_json::json!(32)),
        ("/model/waiting", serde_json::json!(vec![serde_json::json!({"usage": 4, "down": true}); 65])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        let saved = serde_json::from_value(bad).unwrap();
        assert!(port.function.restore(saved).is_err(), "{path}");
    }
    let (host, mut pen, _) = started::<Tablet>();
    host.cancel(TransferId(1));
    pen.moved_to(1, 1);
    let mut port = host.port();
    port.function.reset();
    let good = serde_json::to_value(port.function.save()).unwrap();
    for (path, value) in [
        ("/boot", serde_json::json!(true)),
        ("/model/buttons", serde_json::json!(1)),
        ("/model/told/place/x", serde_json::json!(0x8000)),
        ("/model/told/buttons", serde_json::json!(0x20)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        let refused = serde_json::from_value(bad).map(|saved| port.function.restore(saved).is_err());
        assert!(refused.unwrap(), "{path}");
    }
}

#[test]
fn what_is_held_is_told_again_if_the_host_wants_that() {
    let host = Host::new(|bench| Hid::<Keyboard>::with_timer(bench.timers.timer(0), bench.clock.clone()));
    let keys = Arc::new(Mutex::new(host.port().function.sink(host.waker())));
    host.port().function.connect_timer(&keys);
    host.configure();
    host.request(0x21, 0x0a, 0x0800, 0, Data::Out(&[])).unwrap();
    let key = |down| keys.lock().unwrap().key(30, down);
    let later = |milliseconds| {
        host.bench.clock.advance(Duration::from_millis(milliseconds));
        host.bench.timers.run_due();
    };
    let id = poll(&host);
    later(1000);
    assert_eq!(host.done(id), None, "nothing is held");
    key(true);
    fetched(&host, id).unwrap();
    for _ in 0..3 {
        let id = poll(&host);
        later(31);
        assert_eq!(host.done(id), None);
        later(1);
        assert_eq!(fetched(&host, id).unwrap(), [0, 0, 4, 0, 0, 0, 0, 0]);
    }
    let id = poll(&host);
    key(false);
    assert_eq!(fetched(&host, id).unwrap(), [0; 8]);
    let id = poll(&host);
    later(1000);
    assert_eq!((host.done(id), host.bench.timers.next_due()), (None, None));
    key(true);
    fetched(&host, id).unwrap();
    poll(&host);
    host.reset();
    assert_eq!(host.bench.timers.next_due(), None);
}
