//! Messages: frames out, frames in, and everything that is none.

use ::sound::Pcm;

use super::fixture::*;
use super::params::Params;
use super::*;
use crate::driver::Part;

#[test]
fn frames_go_out() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    let sent: Vec<_> = (0..4).map(|i| f.send(&counting(1 + 4 * i, 4))).collect();
    assert_eq!(f.play(8), (vec![0; 8], 0), "not before it is started");
    assert_eq!(f.pcm(START, PLAYBACK), OK);
    assert_eq!(f.back(TX), None);
    f.driver.isr();
    f.speaker.set_delay(10);
    assert_eq!(f.play(6), (counted(1, 3), 3));
    assert_eq!((f.back(TX), f.driver.isr()), (None, 0), "not totally consumed");
    // Across the end of one, and all of the next.
    assert_eq!(f.play(12), (counted(4, 6), 6));
    assert_eq!(f.driver.isr(), 1);
    assert_eq!(f.back(TX), Some((sent[0].head, 8)));
    assert_eq!(f.status(&sent[0]), (OK, 11 * 4), "ten frames with the jack, one of this turn");
    assert_eq!(f.back(TX), Some((sent[1].head, 8)));
    assert_eq!(f.status(&sent[1]), (OK, 15 * 4));
    assert_eq!(f.back(TX), None);
    // The driver puts them there again, as Linux does.
    f.send(&counting(17, 4));
    assert_eq!(f.play(20), (counted(10, 10), 10));
    let (samples, frames) = f.play(6);
    assert_eq!((samples, frames), ([counted(20, 1), vec![0; 4]].concat(), 1), "the guest is late");
    assert_eq!(f.pcm(STOP, PLAYBACK), OK);
    assert_eq!(f.pcm(RELEASE, PLAYBACK), OK);
}

#[test]
fn frames_of_every_format_go_out() {
    let loud = [0x7f, 0x40, 0x20, 0x10].map(|byte| i32::from_be_bytes([byte, 0, 0, 0]));
    for (format, encoding) in params::FORMATS {
        let bytes = encoding.bytes() as u32;
        let params = Params { buffer_bytes: 8 * bytes, period_bytes: 4 * bytes, channels: 4, format, ..SMALL };
        let mut f = Fixture::running(PLAYBACK, params);
        let mut frame = vec![0; 4 * bytes as usize];
        encoding.encode(&loud, &mut frame);
        f.send(&frame);
        assert_eq!(f.play(4), (loud.to_vec(), 1), "{encoding:?}");
    }
}

#[test]
fn frames_come_in() {
    let mut f = Fixture::prepared(CAPTURE, SMALL);
    let sent: Vec<_> = (0..3).map(|_| f.room(16)).collect();
    assert_eq!(f.record(&counted(1, 4)), 0, "not before it is started");
    assert_eq!(f.pcm(START, CAPTURE), OK);
    f.microphone.set_delay(5);
    assert_eq!(f.record(&counted(1, 3)), 3);
    assert_eq!(f.back(RX), None, "not full");
    assert_eq!(f.record(&counted(4, 6)), 6);
    for (sent, first) in sent.iter().zip([1, 5]) {
        assert_eq!(f.back(RX), Some((sent.head, 24)));
        assert_eq!(f.driver.part(sent, 1), counting(first, 4));
        assert_eq!(f.status(sent), (OK, 20));
    }
    assert_eq!(f.back(RX), None);
    assert_eq!(f.record(&counted(10, 9)), 3, "room for three");
    assert_eq!(f.back(RX), Some((sent[2].head, 24)));
    // What was begun comes back with what there is.
    let sent = f.room(16);
    assert_eq!(f.record(&counted(13, 2)), 2);
    assert_eq!([f.pcm(STOP, CAPTURE), f.pcm(RELEASE, CAPTURE)], [OK; 2]);
    assert_eq!(f.back(RX), Some((sent.head, 16)));
    assert_eq!(f.driver.part(&sent, 1)[..8], counting(13, 2));
    assert_eq!(f.status(&sent).0, OK);
}

#[test]
fn messages_may_be_cut_anywhere() {
    let mut f = Fixture::running(PLAYBACK, SMALL);
    let bytes = [words(&[PLAYBACK]), counting(1, 4)].concat();
    let parts = [Part::Out(&bytes[..3]), Part::Out(&bytes[3..7]), Part::Out(&bytes[7..]), Part::In(3), Part::In(5)];
    let sent = f.driver.add_indirect(TX, &parts);
    assert_eq!(f.play(8), (counted(1, 4), 4), "a turn finds it by itself");
    assert_eq!(f.back(TX), Some((sent.head, 8)));
    let mut f = Fixture::running(CAPTURE, SMALL);
    let parts = [Part::Out(&[1, 0]), Part::Out(&[0, 0]), Part::In(3), Part::In(15), Part::In(6)];
    let sent = f.driver.add_indirect(RX, &parts);
    f.driver.ring(RX);
    assert_eq!(f.record(&counted(1, 4)), 4);
    assert_eq!(f.back(RX), Some((sent.head, 24)));
    let all = [f.driver.part(&sent, 2), f.driver.part(&sent, 3), f.driver.part(&sent, 4)].concat();
    assert_eq!(all, [counting(1, 4), words(&[OK, 0])].concat());
}

#[test]
fn a_released_stream_has_no_messages() {
    for stream in [PLAYBACK, CAPTURE] {
        let queue = if stream == PLAYBACK { TX } else { RX };
        let send = |f: &mut Fixture| if stream == PLAYBACK { f.send(&counting(1, 4)) } else { f.room(16) };
        for stopped in [true, false] {
            let mut f = Fixture::prepared(stream, SMALL);
            if stopped {
                assert_eq!([f.pcm(START, stream), f.pcm(STOP, stream)], [OK; 2]);
            }
            let sent: Vec<_> = (0..4).map(|_| send(&mut f)).collect();
            assert_eq!(f.back(queue), None);
            assert_eq!(f.pcm(RELEASE, stream), OK);
            for sent in sent {
                assert_eq!(f.back(queue), Some((sent.head, 8)));
                assert_eq!(f.status(&sent).0, OK);
            }
            let late = send(&mut f);
            assert_eq!(f.back(queue), Some((late.head, 8)));
            assert_eq!(f.status(&late), (IO_ERR, 0));
        }
    }
}

#[test]
fn what_was_sent_before_a_release_is_there_before_it() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    // Both doorbells are rung, and heard in the other order.
    let sent = f.driver.add(TX, &[Part::Out(&words(&[PLAYBACK])), Part::Out(&counting(1, 4)), Part::In(8)]);
    assert_eq!(f.pcm(RELEASE, PLAYBACK), OK);
    assert_eq!(f.back(TX), Some((sent.head, 8)));
    assert_eq!(f.status(&sent), (OK, 0));
    f.driver.ring(TX);
    assert_eq!(f.back(TX), None);
    // A driver that does not wait for the answer before it sends.
    let sent = f.driver.add(TX, &[Part::Out(&words(&[PLAYBACK])), Part::Out(&counting(1, 4)), Part::In(8)]);
    assert_eq!(f.pcm(PREPARE, PLAYBACK), OK);
    f.driver.ring(TX);
    assert_eq!(f.back(TX), None);
    assert_eq!(f.pcm(START, PLAYBACK), OK);
    assert_eq!(f.play(8), (counted(1, 4), 4));
    assert_eq!(f.back(TX), Some((sent.head, 8)));
}

#[test]
fn new_parameters_make_old_frames_nothing() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    let sent = f.send(&counting(1, 4));
    assert_eq!(f.pcm(PREPARE, PLAYBACK), OK);
    assert_eq!(f.back(TX), None, "to be prepared again is no reason");
    assert_eq!(f.set_params(PLAYBACK, Params { channels: 1, ..SMALL }), OK);
    assert_eq!(f.back(TX), Some((sent.head, 8)));
}

#[test]
fn messages_that_are_none() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    assert_eq!([f.set_params(CAPTURE, SMALL), f.pcm(PREPARE, CAPTURE)], [OK; 2]);
    let (play, capture, nobody, many) = (words(&[PLAYBACK]), words(&[CAPTURE]), words(&[2]), words(&[u32::MAX]));
    let (frames, big) = (counting(1, 4), counting(1, 17));
    let bad: [(&str, u16, &[Part<'_>]); 16] = [
        ("no header", TX, &[Part::In(8)]),
        ("half a header", TX, &[Part::Out(&[0, 0, 0]), Part::In(8)]),
        ("no frames", TX, &[Part::Out(&play), Part::In(8)]),
        ("half a frame", TX, &[Part::Out(&play), Part::Out(&frames[..2]), Part::In(8)]),
        ("a frame and a half", TX, &[Part::Out(&play), Part::Out(&frames[..6]), Part::In(8)]),
        ("more than the buffer", TX, &[Part::Out(&play), Part::Out(&big), Part::In(8)]),
        ("room for what?", TX, &[Part::Out(&play), Part::Out(&frames), Part::In(16), Part::In(8)]),
        ("the other direction", TX, &[Part::Out(&capture), Part::Out(&frames), Part::In(8)]),
        ("no such stream", TX, &[Part::Out(&nobody), Part::Out(&frames), Part::In(8)]),
        ("no header", RX, &[Part::In(16), Part::In(8)]),
        ("no room", RX, &[Part::Out(&capture), Part::In(8)]),
        ("room for half a frame", RX, &[Part::Out(&capture), Part::In(2), Part::In(8)]),
        ("more than the buffer", RX, &[Part::Out(&capture), Part::In(68), Part::In(8)]),
        ("frames", RX, &[Part::Out(&capture), Part::Out(&frames), Part::In(16), Part::In(8)]),
        ("the other direction", RX, &[Part::Out(&play), Part::In(16), Part::In(8)]),
        ("no such stream", RX, &[Part::Out(&many), Part::In(16), Part::In(8)]),
    ];
    for (what, queue, parts) in bad {
        let sent = f.driver.add(queue, parts);
        f.driver.ring(queue);
        assert_eq!(f.back(queue), Some((sent.head, 8)), "{what}");
        assert_eq!(f.status(&sent), (IO_ERR, 0), "{what}");
    }
    // The streams are as they were.
    assert_eq!([f.pcm(START, PLAYBACK), f.pcm(START, CAPTURE)], [OK; 2]);
    f.send(&frames);
    f.room(16);
    assert_eq!(f.play(8), (counted(1, 4), 4));
    assert_eq!(f.record(&counted(1, 4)), 4);
}

#[test]
fn nowhere_to_put_the_status() {
    for parts in [&[Part::Out(&[0; 20]), Part::In(7)][..], &[Part::Out(&[0; 20])]] {
        for queue in [TX, RX] {
            let mut f = Fixture::running(PLAYBACK, SMALL);
            f.driver.add(queue, parts);
            f.driver.ring(queue);
            assert_eq!(f.driver.status(), 0x4f);
            assert_eq!(f.play(4), (vec![0; 4], 0));
        }
    }
}

#[test]
fn what_waits_is_no_more_than_the_buffer() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    let first = f.send(&counting(1, 4));
    (0..3).for_each(|i| drop(f.send(&counting(5 + 4 * i, 4))));
    let sent = f.send(&counting(100, 1));
    assert_eq!(f.back(TX), Some((sent.head, 8)));
    assert_eq!(f.status(&sent), (IO_ERR, 0));
    assert_eq!(f.pcm(START, PLAYBACK), OK);
    f.play(6);
    f.send(&counting(100, 4));
    assert!(f.back(TX).is_some(), "one that is half played waits as a whole");
    f.play(2);
    assert_eq!(f.back(TX), Some((first.head, 8)));
    f.send(&counting(17, 4));
    assert_eq!(f.back(TX), None);
    assert_eq!(f.play(32), (counted(5, 16), 16));
    // So it is with room.
    let mut f = Fixture::prepared(CAPTURE, SMALL);
    f.room(60);
    let sent = f.room(8);
    assert_eq!(f.back(RX), Some((sent.head, 8)));
    assert_eq!(f.status(&sent), (IO_ERR, 0));
}

#[test]
fn as_many_messages_as_a_queue_has() {
    let params = Params { buffer_bytes: 4096, period_bytes: 4, ..SMALL };
    let mut f = Fixture::prepared(PLAYBACK, params);
    let table: Vec<_> = (0..256)
        .map(|i| {
            let frame = counting(i, 1);
            f.driver.add_indirect(TX, &[Part::Out(&words(&[PLAYBACK])), Part::Out(&frame), Part::In(8)]).head
        })
        .collect();
    f.driver.ring(TX);
    assert_eq!(f.pcm(START, PLAYBACK), OK);
    assert_eq!(f.play(600), ([counted(0, 256), vec![0; 88]].concat(), 256));
    let back: Vec<_> = (0..256).map(|_| f.back(TX).unwrap().0).collect();
    assert_eq!(back, table, "in their order");
}

#[test]
fn xruns() {
    let mut f = Fixture::running(PLAYBACK, SMALL);
    f.send(&counting(1, 4));
    let sent = f.await_event();
    f.play(8);
    assert_eq!(f.event(&sent), None);
    f.play(8);
    assert_eq!(f.event(&sent), Some((0x1101, PLAYBACK)));
    // Once for every time, however long it takes.
    let sent = f.await_event();
    f.play(8);
    f.play(8);
    assert_eq!(f.event(&sent), None);
    f.send(&counting(1, 4));
    f.play(8);
    f.play(2);
    assert_eq!(f.event(&sent), Some((0x1101, PLAYBACK)));
    // Those that find no buffer are lost.
    f.send(&counting(1, 4));
    f.play(8);
    f.play(8);
    let sent = f.await_event();
    assert_eq!(f.event(&sent), None);

    let mut f = Fixture::running(CAPTURE, SMALL);
    let sent = f.await_event();
    f.room(16);
    assert_eq!(f.record(&counted(1, 5)), 4);
    assert_eq!(f.event(&sent), Some((0x1101, CAPTURE)));
    // Who did not ask for them gets none.
    let mut f = Fixture::running(PLAYBACK, Params { features: 0, ..SMALL });
    let sent = f.await_event();
    f.play(8);
    assert_eq!(f.event(&sent), None);
}

#[test]
fn strange_turns() {
    let mut f = Fixture::running(PLAYBACK, SMALL);
    f.send(&counting(1, 4));
    assert_eq!(f.play(0), (vec![], 0));
    // No whole frame, and a frame and a half.
    assert_eq!(f.play(1), (vec![0], 0));
    assert_eq!(f.play(3), ([counted(1, 1), vec![0]].concat(), 1));
    let mut samples = [5; 4];
    for stream in [CAPTURE, 2, u32::MAX] {
        samples.fill(5);
        assert_eq!(f.driver.function().play(stream, &mut samples), 0);
        assert_eq!(samples, [0; 4]);
    }
    for stream in [PLAYBACK, CAPTURE, 2, u32::MAX] {
        assert_eq!(f.driver.function().record(stream, &samples), 0);
    }
    assert_eq!(f.play(6), (counted(2, 3), 3));
    // Asked once more after it was stopped.
    assert_eq!(f.pcm(STOP, PLAYBACK), OK);
    f.send(&counting(5, 4));
    assert_eq!(f.play(2), (vec![0; 2], 0));
    assert_eq!(f.pcm(START, PLAYBACK), OK);
    assert_eq!(f.play(8), (counted(5, 4), 4), "a pause loses nothing");
}
