//! Resets, saved states, and noise.

use ::sound::bench::Told;
use ::sound::{Pcm, Shape};
use device::Device;
use device::bench::{Random, check_state};

use super::fixture::*;
use super::*;
use crate::chain::ChainState;
use crate::driver::Part;

const SHAPE: Shape = Shape { rate: 48_000, channels: 2 };

/// Both streams run, each with two messages of which one is half done.
fn both() -> Fixture {
    let mut f = Fixture::running(PLAYBACK, SMALL);
    assert_eq!([f.set_params(CAPTURE, SMALL), f.pcm(PREPARE, CAPTURE), f.pcm(START, CAPTURE)], [OK; 3]);
    for first in [1, 5] {
        f.send(&counting(first, 4));
        f.room(16);
    }
    assert_eq!(f.play(4), (counted(1, 2), 2));
    assert_eq!(f.record(&counted(1, 3)), 3);
    f.told();
    f
}

#[test]
fn a_reset_forgets_the_driver() {
    let mut f = both();
    f.driver.set_status(0);
    assert_eq!(f.driver.status(), 0, "nothing holds its memory");
    assert_eq!(f.told(), (vec![Told::Stop], vec![Told::Stop]));
    assert_eq!(f.play(4), (vec![0; 4], 0));
    f.driver.set_up(0);
    assert_eq!((f.back(TX), f.back(RX)), (None, None), "the new driver gets nothing that it did not send");
    for stream in [PLAYBACK, CAPTURE] {
        assert_eq!([f.pcm(PREPARE, stream), f.pcm(START, stream), f.pcm(RELEASE, stream)], [BAD_MSG; 3]);
    }
    assert_eq!(f.set_params(PLAYBACK, SMALL), OK);
    assert_eq!([f.pcm(PREPARE, PLAYBACK), f.pcm(START, PLAYBACK)], [OK; 2]);
    f.send(&counting(40, 4));
    assert_eq!(f.play(8), (counted(40, 4), 4));
    assert_eq!(f.told(), (vec![Told::Start(SHAPE)], vec![]));
}

#[test]
fn state() {
    let mut f = both();
    check_state(&mut *f.driver.function(), Device::reset);
    assert_eq!(f.told(), (vec![Told::Stop], vec![Told::Stop]), "nobody is told before the machine goes on");
    // Saved again before it went on.
    check_state(&mut *f.driver.function(), Device::reset);
    assert_eq!(f.told(), (vec![], vec![]));
    f.driver.ring(CONTROL);
    assert_eq!(f.told(), (vec![Told::Start(SHAPE)], vec![Told::Start(SHAPE)]));
    assert_eq!(f.play(12), (counted(3, 6), 6));
    assert_eq!(f.record(&counted(4, 5)), 5);
    assert_eq!([f.back(TX), f.back(TX), f.back(TX)], [Some((0, 8)), Some((3, 8)), None]);
    assert_eq!([f.back(RX), f.back(RX), f.back(RX)], [Some((0, 24)), Some((3, 24)), None]);
    assert_eq!([f.pcm(STOP, PLAYBACK), f.pcm(RELEASE, PLAYBACK)], [OK; 2]);
}

#[test]
fn a_turn_goes_on_by_itself() {
    let mut f = both();
    check_state(&mut *f.driver.function(), Device::reset);
    // New messages that were not heard of stand behind those that were.
    f.driver.add(TX, &[Part::Out(&words(&[PLAYBACK])), Part::Out(&counting(9, 4)), Part::In(8)]);
    assert_eq!(f.play(20), (counted(3, 10), 10));
}

#[test]
fn streams_that_stand_still_are_saved_too() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    let sent = f.send(&counting(1, 4));
    check_state(&mut *f.driver.function(), Device::reset);
    f.driver.ring(TX);
    assert_eq!(f.told(), (vec![], vec![]));
    assert_eq!([f.pcm(START, PLAYBACK), f.pcm(STOP, PLAYBACK)], [OK; 2]);
    check_state(&mut *f.driver.function(), Device::reset);
    assert_eq!(f.pcm(PREPARE, PLAYBACK), BAD_MSG, "not released");
    assert_eq!(f.pcm(RELEASE, PLAYBACK), OK);
    assert_eq!(f.back(TX), Some((sent.head, 8)));
    check_state(&mut *f.driver.function(), Device::reset);
    assert_eq!(f.pcm(PREPARE, PLAYBACK), OK, "parameters stay");
}

#[test]
fn plugs_of_another_computer() {
    let f = fixture();
    let saved = f.driver.function().save();
    let mut f = fixture();
    f.driver.function().set_connected(Plug::Microphone, false);
    f.driver.function().restore(saved).unwrap();
    let sent = f.await_event();
    assert_eq!(f.event(&sent), Some((0x1001, CAPTURE)));
}

/// The saved device with one place of it changed.
fn twisted(f: &mut Fixture, twist: impl FnOnce(&mut serde_json::Value)) -> SoundState {
    let mut json = serde_json::to_value(f.driver.function().device().save()).unwrap();
    twist(&mut json);
    serde_json::from_value(json).unwrap()
}

#[test]
fn states_that_cannot_be() {
    let mut f = both();
    let chain: ChainState = serde_json::from_str(r#"{"head":0,"readable":[],"writable":[]}"#).unwrap();
    let chain = serde_json::json!({"chain": chain, "done": 0});
    type Twist<'a> = &'a dyn Fn(&mut serde_json::Value);
    let twists: [(&str, Twist<'_>); 5] = [
        ("parameters", &|json| json["streams"][0]["params"]["channels"] = 9.into()),
        ("no parameters", &|json| json["streams"][1]["params"] = serde_json::Value::Null),
        ("idle with messages", &|json| json["streams"][0]["phase"] = "Idle".into()),
        ("too many", &|json| json["streams"][0]["waiting"] = vec![chain.clone(); 257].into()),
        ("a capture of eight", &|json| json["streams"][1]["params"]["channels"] = 8.into()),
    ];
    for (what, twist) in twists {
        let state = twisted(&mut f, twist);
        let mut sound = Sound::new(f.speaker.clone(), f.microphone.clone());
        assert!(sound.restore(state).is_err(), "{what}");
    }
    // What only the queues can tell is seen when the machine goes on.
    let twists: [(&str, Twist<'_>); 6] = [
        ("played to the end", &|json| json["streams"][0]["waiting"][0]["done"] = 16.into()),
        ("half a frame", &|json| json["streams"][0]["waiting"][0]["done"] = 2.into()),
        ("beyond", &|json| json["streams"][1]["waiting"][0]["done"] = u64::MAX.into()),
        ("not under way", &|json| json["streams"][0]["waiting"][0]["chain"]["head"] = 9.into()),
        ("twice", &|json| json["streams"][1]["waiting"][0] = json["streams"][1]["waiting"][1].clone()),
        ("not RAM", &|json| json["streams"][0]["waiting"][0]["chain"]["readable"][0]["address"] = u64::MAX.into()),
    ];
    for (what, twist) in twists {
        let mut f = both();
        let saved = serde_json::to_value(f.driver.function().save()).unwrap();
        let mut twisted = saved.clone();
        twist(&mut twisted["transport"]["device"]);
        f.driver.function().restore(serde_json::from_value(twisted).unwrap()).unwrap();
        f.driver.ring(TX);
        assert_eq!(f.driver.status(), 0x4f, "{what}");
        assert_eq!(f.play(4).1, 0);
    }
}

#[test]
fn noise() {
    let Fixture { mut driver, speaker, .. } = fixture();
    driver.make_noise(0, |driver, random| {
        // A hand for what numbers alone seldom do.
        let stream = random as u32 % 2;
        for request in [&[SET_PARAMS, stream, 64, 16, 0x10, 0x07_0502][..], &[PREPARE, stream], &[START, stream]] {
            driver.add(CONTROL, &[Part::Out(&words(request)), Part::In(4)]);
        }
        driver.ring(CONTROL);
        speaker.set_delay((random >> 8) as u32);
        let mut samples = vec![1; (random >> 40) as usize % 100];
        let mut function = driver.function();
        function.play(stream, &mut samples);
        function.record(stream, &samples);
        function.set_connected(Plug::Microphone, random & 4 == 0);
        function.turn_done();
    });
}

/// A driver that keeps to the rings, but to nothing else; it knows how many messages of each queue are not back.
fn mad_driver(f: &mut Fixture, numbers: &mut Random, frames: &mut [usize; 2]) {
    let mut out = [0; 2];
    let mut samples = vec![1; 100];
    for _ in 0..300 {
        let mut pick = |of: usize| numbers.next() as usize % of;
        let stream = pick(2) as u32;
        let (queue, at) = if stream == PLAYBACK { (TX, 0) } else { (RX, 1) };
        let last = [[1, 2, 2, 8, 3, 9][pick(6)], [4, 5, 15, 17, 19, 0][pick(6)], [1, 7, 12, 0][pick(4)], 0];
        let (what, length, count) = (pick(12), [96, 96, 32, 384, 6][pick(5)], pick(100));
        match what {
            0 => drop(f.code(&[SET_PARAMS, stream, 384, 96, 0x10, u32::from_le_bytes(last)])),
            1 | 2 => drop(f.pcm(PREPARE, stream)),
            3 | 4 => drop(f.pcm(START, stream)),
            5 => drop(f.pcm([STOP, RELEASE][pick(2)], stream)),
            6 | 7 if stream == PLAYBACK => {
                f.send(&vec![0x5a; length]);
                out[at] += 1;
            }
            6 | 7 => {
                f.room(length as u32);
                out[at] += 1;
            }
            8 => drop(f.await_event()),
            9 => f.driver.function().set_connected(Plug::LineOut, pick(2) == 0),
            _ if stream == PLAYBACK => frames[at] += f.play(count).1,
            _ => frames[at] += f.record(&samples[..count]),
        }
        samples.rotate_left(1);
        if pick(16) == 0 {
            let mut function = f.driver.function();
            let saved = function.save();
            function.restore(saved).unwrap();
        }
        out[at] -= std::iter::from_fn(|| f.back(queue)).count();
        while f.driver.used(EVENTS).is_some() {}
        if f.driver.status() != 0xf {
            // It used a descriptor again that was under way.
            return;
        }
        if f.pcm(RELEASE, 1 - stream) == OK {
            out[1 - at] -= std::iter::from_fn(|| f.back(TX + RX - queue)).count();
            assert_eq!(out[1 - at], 0, "a released stream has nothing");
        }
    }
}

#[test]
fn mad_drivers() {
    let (mut numbers, mut frames) = (Random::new(7), [0; 2]);
    for _ in 0..60 {
        mad_driver(&mut fixture(), &mut numbers, &mut frames);
    }
    assert!(frames.iter().all(|frames| *frames > 1000), "some of it is heard: {frames:?}");
}
