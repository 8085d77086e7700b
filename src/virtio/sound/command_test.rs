//! Control requests: what there is, what it can do, and the order of commands.

use ::sound::Shape;
use ::sound::bench::Told;

use super::fixture::*;
use super::params::Params;
use super::*;
use crate::driver::Part;

#[test]
fn what_there_is() {
    let mut f = fixture();
    assert_eq!(f.driver.config::<12>(0).to_vec(), words(&[2, 2, 7]));
    let jacks = f.query(JACK_INFO, 2, 24);
    assert_eq!(jacks[0], [words(&[0, 0, 0x0101_4010, 0x14]), vec![1, 0, 0, 0, 0, 0, 0, 0]].concat());
    assert_eq!(jacks[1], [words(&[0, 0, 0x01a1_9020, 0x24]), vec![1, 0, 0, 0, 0, 0, 0, 0]].concat());
    let streams = f.query(PCM_INFO, 2, 32);
    // U8, S16, S24, S32, FLOAT; 8 to 192 kHz; xruns are told.
    let common = words(&[0, 0x10, 0xa_8030, 0, 0x1ffe, 0]);
    assert_eq!(streams[0], [common.clone(), vec![0, 1, 8, 0, 0, 0, 0, 0]].concat());
    assert_eq!(streams[1], [common, vec![1, 1, 2, 0, 0, 0, 0, 0]].concat());
    let maps = f.query(CHMAP_INFO, 7, 24);
    let positions = |map: &[u8]| map[6..6 + usize::from(map[5])].to_vec();
    let all: Vec<_> = maps.iter().map(|map| (map[4], positions(map))).collect();
    let expected = [
        (0, vec![2]),
        (0, vec![3, 4]),
        (0, vec![3, 4, 5, 6]),
        (0, vec![3, 4, 5, 6, 7, 8]),
        (0, vec![3, 4, 5, 6, 7, 8, 9, 10]),
        (1, vec![2]),
        (1, vec![3, 4]),
    ];
    assert_eq!(all, expected);
}

#[test]
fn parts_of_what_there_is() {
    let mut f = fixture();
    let all = f.query(CHMAP_INFO, 7, 24);
    let answer = f.ask(&words(&[CHMAP_INFO, 2, 3, 24]), 4 + 72);
    assert_eq!(answer[4..], all[2..5].concat());
    // Older and newer drivers.
    let short = f.query(CHMAP_INFO, 7, 6);
    assert!(short.iter().zip(&all).all(|(short, all)| *short == all[..6]));
    let long = f.query(CHMAP_INFO, 7, 40);
    assert!(long.iter().zip(&all).all(|(long, all)| long[..24] == *all && long[24..] == [0; 16]));
    assert_eq!(f.ask(&words(&[CHMAP_INFO, 7, 0, 24]), 4).len(), 4);
    // The request's end and the answer's may be cut anywhere.
    let query = words(&[JACK_INFO, 0, 1, 24]);
    let parts = [Part::Out(&query[..3]), Part::Out(&query[3..]), Part::In(5), Part::In(23)];
    assert_eq!(f.driver.ask(CONTROL, &parts, 2).unwrap(), ([&OK.to_le_bytes()[..], &[0]].concat(), 28));
}

#[test]
fn bad_queries() {
    let mut f = fixture();
    for (request, count, size) in [(JACK_INFO, 2, 24), (PCM_INFO, 2, 32), (CHMAP_INFO, 7, 24)] {
        let room = 4 + count * size;
        for query in [
            [request, 0, count + 1, size],
            [request, 1, count, size],
            [request, count + 1, 0, size],
            [request, u32::MAX, 1, size],
            [request, 1, u32::MAX, size],
            [request, u32::MAX, u32::MAX, size],
            [request, 0, count, 0],
            [request, 0, count, 3],
            [request, 0, count, 257],
            [request, 0, count, u32::MAX],
        ] {
            assert_eq!(f.ask(&words(&query), room), BAD_MSG.to_le_bytes(), "{query:x?}");
        }
        let whole = words(&[request, 0, count, size]);
        assert_eq!(f.ask(&whole, room - 1), BAD_MSG.to_le_bytes());
        assert_eq!(f.ask(&whole[..15], room), BAD_MSG.to_le_bytes());
        assert_eq!(f.ask(&whole[..4], room), BAD_MSG.to_le_bytes());
    }
}

#[test]
fn bad_requests() {
    let mut f = fixture();
    for short in [&[][..], &[1], &[1, 0, 0]] {
        assert_eq!(f.ask(short, 64), BAD_MSG.to_le_bytes());
    }
    for unknown in [0, 3, 0xff, 0x106, 0x201, 0x300, 0x306, 0x1000, 0x8000, u32::MAX] {
        assert_eq!(f.code(&[unknown, 0, 0, 0]), NOT_SUPP, "{unknown:#x}");
    }
    assert_eq!(f.code(&[JACK_REMAP, 1, 1, 0]), NOT_SUPP);
    assert_eq!(f.code(&[JACK_REMAP, 2, 1, 0]), BAD_MSG);
    for command in [SET_PARAMS, PREPARE, RELEASE, START, STOP] {
        for stream in [2, 3, 0x8000_0000, u32::MAX] {
            assert_eq!(f.code(&[command, stream, 64, 16, 0, 0x07_0502]), BAD_MSG);
        }
        assert_eq!(f.code(&[command]), BAD_MSG);
        assert_eq!(f.ask(&words(&[command, 0])[..7], 4), BAD_MSG.to_le_bytes());
    }
    assert_eq!(f.code(&[SET_PARAMS, 0, 64, 16, 0]), BAD_MSG, "cut short");
    assert_eq!(f.ask(&words(&[SET_PARAMS, 0, 64, 16, 0, 0x07_0502])[..23], 4), BAD_MSG.to_le_bytes());
    assert_eq!(f.pcm(PREPARE, 0), BAD_MSG, "and it did nothing");
    f.driver.add(CONTROL, &[Part::Out(&words(&[PREPARE, 0])), Part::In(3)]);
    f.driver.ring(CONTROL);
    assert_eq!(f.driver.status(), 0x4f, "nowhere to put the status");
}

#[test]
fn parameters() {
    let mut f = fixture();
    for stream in [PLAYBACK, CAPTURE] {
        assert_eq!(f.set_params(stream, SMALL), OK);
        assert_eq!(f.set_params(stream, Params { period_bytes: 0, ..SMALL }), BAD_MSG);
        assert_eq!(f.set_params(stream, Params { period_bytes: 24, ..SMALL }), BAD_MSG);
        assert_eq!(f.set_params(stream, Params { format: 6, ..SMALL }), NOT_SUPP);
        assert_eq!(f.set_params(stream, Params { rate: 13, ..SMALL }), NOT_SUPP);
        // What was refused leaves what was agreed.
        assert_eq!([f.pcm(PREPARE, stream), f.pcm(START, stream)], [OK; 2]);
    }
    let shape = Shape { rate: 48_000, channels: 2 };
    assert_eq!(f.told(), (vec![Told::Start(shape)], vec![Told::Start(shape)]));
    assert_eq!(f.set_params(PLAYBACK, Params { buffer_bytes: 64, channels: 8, ..SMALL }), BAD_MSG, "it runs");
    let wide = Params { buffer_bytes: 96, period_bytes: 32, features: 0, channels: 8, format: 15, rate: 12 };
    let mut f = Fixture::running(PLAYBACK, wide);
    assert_eq!(f.told().0, [Told::Start(Shape { rate: 192_000, channels: 8 })]);
    assert_eq!(f.set_params(CAPTURE, wide), NOT_SUPP);
}

/// Where in its life a stream is, and how it gets there.
const ROADS: [(&str, &[u32]); 7] = [
    ("new", &[]),
    ("set", &[SET_PARAMS]),
    ("prepared", &[SET_PARAMS, PREPARE]),
    ("running", &[SET_PARAMS, PREPARE, START]),
    ("stopped", &[SET_PARAMS, PREPARE, START, STOP]),
    ("released", &[SET_PARAMS, PREPARE, START, STOP, RELEASE]),
    ("released before it ran", &[SET_PARAMS, PREPARE, RELEASE]),
];

/// Which of SET_PARAMS, PREPARE, RELEASE, START, STOP are good there.
const GOOD: [[bool; 5]; 7] = [
    [true, false, false, false, false],
    [true, true, false, false, false],
    [true, true, true, true, false],
    [false, false, false, false, true],
    [false, false, true, true, false],
    [true, true, false, false, false],
    [true, true, false, false, false],
];

fn command(f: &mut Fixture, command: u32, stream: u32) -> u32 {
    match command {
        SET_PARAMS => f.set_params(stream, SMALL),
        command => f.pcm(command, stream),
    }
}

#[test]
fn every_command_everywhere() {
    const COMMANDS: [u32; 5] = [SET_PARAMS, PREPARE, RELEASE, START, STOP];
    for (stream, (place, road), good) in [PLAYBACK, CAPTURE]
        .into_iter()
        .flat_map(|stream| ROADS.into_iter().zip(GOOD).map(move |(road, good)| (stream, road, good)))
    {
        for (next, is_good) in COMMANDS.into_iter().zip(good) {
            let mut f = fixture();
            for &step in road {
                assert_eq!(command(&mut f, step, stream), OK, "{place}");
            }
            f.told();
            let answer = command(&mut f, next, stream);
            assert_eq!(answer, if is_good { OK } else { BAD_MSG }, "{next:#x} when {place}");
            let told = match (is_good, next) {
                (true, START) => vec![Told::Start(Shape { rate: 48_000, channels: 2 })],
                (true, STOP) => vec![Told::Stop],
                _ => vec![],
            };
            let (speaker, microphone) = f.told();
            let (own, other) = if stream == PLAYBACK { (speaker, microphone) } else { (microphone, speaker) };
            assert_eq!((own, other), (told, vec![]), "{next:#x} when {place}");
            assert_eq!(f.pcm(PREPARE, 1 - stream), BAD_MSG, "the other stream knows nothing");
            // What was refused changed nothing.
            if !is_good {
                let possible = COMMANDS.into_iter().zip(good).find(|(_, is_good)| *is_good).unwrap().0;
                assert_eq!(command(&mut f, possible, stream), OK, "{possible:#x} after {next:#x} when {place}");
            }
        }
    }
}

#[test]
fn new_parameters_want_a_new_preparation() {
    let mut f = Fixture::prepared(PLAYBACK, SMALL);
    assert_eq!(f.set_params(PLAYBACK, SMALL), OK);
    assert_eq!(f.pcm(START, PLAYBACK), BAD_MSG);
    assert_eq!([f.pcm(PREPARE, PLAYBACK), f.pcm(START, PLAYBACK)], [OK; 2]);
}

#[test]
fn plugs() {
    let mut f = fixture();
    f.driver.isr();
    f.driver.function().set_connected(Plug::Microphone, false);
    // No buffer: the driver hears when it has one, and only of what is.
    f.driver.function().set_connected(Plug::LineOut, false);
    f.driver.function().set_connected(Plug::LineOut, true);
    assert_eq!(f.driver.isr(), 0);
    let sent = f.await_event();
    assert_eq!(f.event(&sent), Some((0x1001, 1)));
    assert_eq!(f.driver.isr(), 1);
    let connected = |f: &mut Fixture| f.query(JACK_INFO, 2, 24).iter().map(|jack| jack[16]).collect::<Vec<_>>();
    assert_eq!(connected(&mut f), [1, 0]);
    let sent = f.await_event();
    f.driver.function().set_connected(Plug::Microphone, false);
    assert_eq!(f.event(&sent), None, "nothing new");
    f.driver.function().set_connected(Plug::Microphone, true);
    assert_eq!(f.event(&sent), Some((0x1000, 1)));
    let sent = f.await_event();
    f.driver.function().set_connected(Plug::LineOut, false);
    assert_eq!(f.event(&sent), Some((0x1001, 0)));
    // A driver that asked knows.
    f.driver.function().set_connected(Plug::LineOut, true);
    assert_eq!(connected(&mut f), [1, 1]);
    let sent = f.await_event();
    assert_eq!(f.event(&sent), None);
    // So does one that is yet to come.
    f.driver.reset();
    f.driver.function().set_connected(Plug::LineOut, false);
    f.driver.set_up(0);
    let sent = f.await_event();
    assert_eq!(f.event(&sent), None);
    assert_eq!(connected(&mut f), [0, 1]);
}

#[test]
fn useless_event_buffers() {
    let mut f = fixture();
    f.driver.add(EVENTS, &[Part::In(7)]);
    f.driver.add(EVENTS, &[Part::Out(&[0; 8])]);
    f.driver.ring(EVENTS);
    f.driver.function().set_connected(Plug::Microphone, false);
    f.driver.function().set_connected(Plug::Microphone, false);
    assert_eq!([f.driver.used(EVENTS), f.driver.used(EVENTS)], [Some((0, 0)), Some((1, 0))]);
    let sent = f.await_event();
    assert_eq!(f.event(&sent), Some((0x1001, 1)));
}
