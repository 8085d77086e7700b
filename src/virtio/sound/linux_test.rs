//! What Linux's driver does, step by step: it finds out, plays at the pace of finished periods, records, pauses, underruns, and is
//! suspended.

use ::sound::Shape;
use ::sound::bench::Told;

use super::fixture::*;
use super::params::Params;
use super::*;
use crate::driver::Request as Sent;

/// What aplay asks for by default, with periods of 10 ms.
const CD: Params =
    Params { buffer_bytes: 4 * 1764, period_bytes: 1764, features: 0x10, channels: 2, format: 5, rate: 6 };
const PERIOD: i16 = 441;

fn go(f: &mut Fixture, stream: u32, commands: &[u32]) {
    for &command in commands {
        assert_eq!(f.pcm(command, stream), OK, "{command:#x}");
    }
}

/// A buffer of four periods from frame `first` on.
fn fill(f: &mut Fixture, first: i16) -> Vec<Sent> {
    (0..4).map(|period| f.send(&counting(first + period * PERIOD, PERIOD))).collect()
}

#[test]
fn it_plays() {
    let mut f = fixture();
    let events: Vec<_> = (0..64).map(|_| f.await_event()).collect();
    assert_eq!(f.query(JACK_INFO, 2, 24).len(), 2);
    let info = f.query(PCM_INFO, 2, 32);
    assert_eq!(info.iter().map(|info| info[24]).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(f.query(CHMAP_INFO, 7, 24).len(), 7);
    assert_eq!(f.set_params(PLAYBACK, CD), OK);
    go(&mut f, PLAYBACK, &[PREPARE]);
    let mut sent = fill(&mut f, 0);
    go(&mut f, PLAYBACK, &[START]);
    assert_eq!(f.told().0, [Told::Start(Shape { rate: 44_100, channels: 2 })]);
    f.speaker.set_delay(300);
    let (mut heard, mut next) = (Vec::new(), 4 * PERIOD);
    // A host whose periods are others.
    for _ in 0..60 {
        let (samples, frames) = f.play(2 * 256);
        assert_eq!(frames, 256, "never late");
        heard.extend(samples);
        while let Some((head, written)) = f.back(TX) {
            let first = sent.remove(0);
            assert_eq!((head, written), (first.head, 8), "in their order");
            let (status, latency) = f.status(&first);
            assert!(status == OK && (300 * 4..556 * 4 + 1).contains(&latency));
            sent.push(f.send(&counting(next, PERIOD)));
            next += PERIOD;
        }
        assert_eq!(sent.len(), 4);
    }
    assert_eq!(heard, counted(0, 60 * 256), "no gap, no drop");
    go(&mut f, PLAYBACK, &[STOP]);
    assert_eq!(f.back(TX), None, "what waits waits");
    go(&mut f, PLAYBACK, &[RELEASE]);
    for sent in sent {
        assert_eq!(f.back(TX), Some((sent.head, 8)));
    }
    assert_eq!(f.told().0, [Told::Stop]);
    assert_eq!(f.event(&events[0]), None, "nothing happened");
    // The next song is another.
    assert_eq!(f.set_params(PLAYBACK, Params { rate: 7, ..CD }), OK);
    go(&mut f, PLAYBACK, &[PREPARE, START]);
    assert_eq!(f.told().0, [Told::Start(Shape { rate: 48_000, channels: 2 })]);
}

#[test]
fn it_pauses() {
    let mut f = Fixture::prepared(PLAYBACK, CD);
    fill(&mut f, 0);
    go(&mut f, PLAYBACK, &[START]);
    assert_eq!(f.play(2 * 600).1, 600);
    go(&mut f, PLAYBACK, &[STOP]);
    // The application writes on.
    f.send(&counting(4 * PERIOD, PERIOD));
    go(&mut f, PLAYBACK, &[START]);
    assert_eq!(f.play(2 * 1500), (counted(600, 1500), 1500));
}

#[test]
fn it_is_late() {
    let mut f = Fixture::prepared(PLAYBACK, CD);
    let event = f.await_event();
    fill(&mut f, 0);
    go(&mut f, PLAYBACK, &[START]);
    assert_eq!(f.play(2 * 2000).1, 4 * PERIOD as usize);
    assert_eq!(f.event(&event), Some((0x1101, PLAYBACK)));
    while f.back(TX).is_some() {}
    go(&mut f, PLAYBACK, &[STOP, RELEASE, PREPARE]);
    fill(&mut f, 5000);
    go(&mut f, PLAYBACK, &[START]);
    assert_eq!(f.play(200), (counted(5000, 100), 100));
}

#[test]
fn it_records() {
    let mut f = Fixture::prepared(CAPTURE, CD);
    let mut sent: Vec<_> = (0..4).map(|_| f.room(1764)).collect();
    go(&mut f, CAPTURE, &[START]);
    assert_eq!(f.told().1, [Told::Start(Shape { rate: 44_100, channels: 2 })]);
    let mut heard = Vec::new();
    for turn in 0..40 {
        assert_eq!(f.record(&counted(turn * 256, 256)), 256);
        while let Some((head, written)) = f.back(RX) {
            let first = sent.remove(0);
            assert_eq!((head, written), (first.head, 1764 + 8));
            assert_eq!(f.status(&first).0, OK);
            heard.extend(f.driver.part(&first, 1));
            sent.push(f.room(1764));
        }
    }
    assert_eq!(heard, counting(0, 40 * 256 / PERIOD * PERIOD));
    go(&mut f, CAPTURE, &[STOP, RELEASE]);
    let began = 40 * 256 % PERIOD as u32 * 4;
    assert_eq!(f.back(RX), Some((sent[0].head, began + 8)), "what was begun");
    assert_eq!(f.back(RX), Some((sent[1].head, 8)));
}

#[test]
fn it_is_suspended() {
    let mut f = Fixture::prepared(PLAYBACK, CD);
    fill(&mut f, 0);
    go(&mut f, PLAYBACK, &[START]);
    f.play(200);
    go(&mut f, PLAYBACK, &[STOP]);
    f.driver.set_up(0);
    // It tries to release what a reset has released, and goes on whatever it hears.
    assert_eq!(f.pcm(RELEASE, PLAYBACK), BAD_MSG);
    assert_eq!(f.set_params(PLAYBACK, CD), OK);
    go(&mut f, PLAYBACK, &[PREPARE]);
    fill(&mut f, 100);
    go(&mut f, PLAYBACK, &[START]);
    assert_eq!(f.play(200), (counted(100, 100), 100));
}
