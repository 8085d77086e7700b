use std::os::fd::AsFd;

use api::ui::{MAX_CURSOR, MAX_SIDE, Rect};
use rustix::fs::MemfdFlags;

use super::*;
use crate::fake_engine::{FakeEngine, Screen, sealed};
use crate::key;

/// A console whose engine has greeted.
fn greeted() -> (FakeEngine, Console) {
    let (engine, socket) = FakeEngine::pair();
    let mut console = Console::over(socket);
    engine.hello("Debian 13");
    assert_eq!(console.dispatch().unwrap(), Changes::HELLO);
    (engine, console)
}

fn refuses(break_rules: impl Fn(&FakeEngine)) {
    let (engine, mut console) = greeted();
    break_rules(&engine);
    assert!(matches!(console.dispatch(), Err(Error::Nonsense(_))));
}

#[test]
fn greeting() {
    let (engine, console) = greeted();
    assert_eq!(console.name(), "Debian 13");
    drop(engine);

    let (engine, socket) = FakeEngine::pair();
    engine.hello(&format!("a\nb{}", "x".repeat(2000)));
    let mut console = Console::over(socket);
    console.dispatch().unwrap();
    assert_eq!(console.name().len(), NAME_CHARACTERS);
    assert!(console.name().starts_with("abx"));

    let (engine, socket) = FakeEngine::pair();
    engine.send(&ToConsole::Hello { version: VERSION + 1, name: String::new() });
    assert!(matches!(Console::over(socket).dispatch(), Err(Error::Version(_))));

    let (engine, socket) = FakeEngine::pair();
    engine.send(&ToConsole::Disable);
    assert!(matches!(Console::over(socket).dispatch(), Err(Error::Nonsense(_))));
    refuses(|engine| engine.hello("again"));
}

#[test]
fn an_engine_that_ends() {
    let (engine, mut console) = greeted();
    engine.send(&ToConsole::PointerMode { absolute: false });
    drop(engine);
    let changes = console.dispatch();
    assert!(matches!(changes, Err(Error::Closed)), "{changes:?}");
    assert!(!console.absolute(), "heard to the end");
    assert!(matches!(console.key(30, true), Err(Error::Closed)));
}

#[test]
fn frames_hold_what_the_screen_shows() {
    let (engine, mut console) = greeted();
    let screen = Screen::new(101, 40);
    screen.fill(Rect { x: 0, y: 0, width: 101, height: 40 }, [1, 2, 3]);
    engine.scanout(&screen);
    assert_eq!(console.dispatch().unwrap(), Changes::PICTURE);
    let first = console.refresh().unwrap();
    assert_eq!((first.width(), first.height()), (101, 40));
    assert_eq!(first.pixels().len(), 101 * 40 * 4);
    assert_eq!(first.damage(), Rect { x: 0, y: 0, width: 101, height: 40 });
    assert_eq!(first.pixel(100, 39), [1, 2, 3]);
    assert!(console.refresh().is_none(), "nothing changed");

    // Damage from two updates unites, is clipped, and leaves frames alone that somebody holds.
    let changed = Rect { x: 7, y: 9, width: 5, height: 3 };
    screen.fill(changed, [255, 0, 0]);
    engine.send(&ToConsole::Update(changed));
    engine.send(&ToConsole::Update(Rect { x: 99, y: 9, width: u32::MAX, height: 1 }));
    console.dispatch().unwrap();
    let second = console.refresh().unwrap();
    assert_eq!(second.damage(), Rect { x: 7, y: 9, width: 94, height: 3 });
    assert_eq!([(7, 9), (11, 11), (6, 9), (12, 11)].map(|(x, y)| second.pixel(x, y)[0]), [255, 255, 1, 1]);
    assert_eq!(first.pixel(7, 9), [1, 2, 3]);
}

#[test]
fn buffers_take_turns_and_stay_true() {
    let (engine, mut console) = greeted();
    let screen = Screen::new(64, 64);
    engine.scanout(&screen);
    let mut held = Vec::new();
    for step in 0..40u32 {
        let square = Rect { x: step, y: 63 - step, width: 1 + step % 3, height: 1 };
        screen.fill(square, [step as u8 + 1, 0, 0]);
        engine.send(&ToConsole::Update(square));
        console.dispatch().unwrap();
        let frame = console.refresh().unwrap();
        for past in 0..=step {
            assert_eq!(frame.pixel(past, 63 - past)[0], past as u8 + 1);
        }
        held.push(frame);
        // Hold up to 5 frames: more than there are buffers.
        held.drain(..held.len().saturating_sub(step as usize % 6));
    }
}

#[test]
fn one_acknowledgement_for_an_update() {
    let (engine, mut console) = greeted();
    console.frame_done().unwrap();
    assert_eq!(engine.received(), []);
    engine.scanout(&Screen::new(8, 8));
    engine.send(&ToConsole::Update(Rect { x: 0, y: 0, width: 8, height: 8 }));
    console.dispatch().unwrap();
    console.refresh();
    console.frame_done().unwrap();
    console.frame_done().unwrap();
    assert_eq!(engine.received(), [ToEngine::FrameDone]);

    // An update without a picture (the screen was turned off meanwhile) is acknowledged all the same.
    engine.send(&ToConsole::Disable);
    engine.send(&ToConsole::Update(Rect::default()));
    console.dispatch().unwrap();
    assert!(!console.has_picture());
    assert!(console.refresh().is_none());
    console.frame_done().unwrap();
    assert_eq!(engine.received(), [ToEngine::FrameDone]);
}

#[test]
fn hostile_scanouts() {
    let scanout = |width, height, stride, offset| ToConsole::Scanout { width, height, stride, offset };
    for (width, height, stride, offset, size) in [
        (0, 1, 4, 0, 4096),
        (1, 0, 4, 0, 4096),
        (MAX_SIDE + 1, 1, (MAX_SIDE + 1) * 4, 0, 1 << 20),
        (MAX_SIDE, MAX_SIDE, MAX_SIDE * 4, 0, 1 << 30),
        (u32::MAX, u32::MAX, u32::MAX, u64::MAX, 4096),
        (16, 16, 60, 0, 4096),
        (16, 16, 66, 0, 4096),
        (16, 16, u32::MAX - 3, 0, 4096),
        (16, 16, 64, 2, 4096),
        (16, 16, 64, u64::MAX - 3, 4096),
        (16, 16, 64, 3076, 4096),
        (16, 17, 256, 0, 4096),
    ] {
        refuses(|engine| engine.send_with(&scanout(width, height, stride, offset), sealed(size)));
    }
    // No memory, memory that can shrink, no memfd at all.
    refuses(|engine| engine.send(&scanout(1, 1, 4, 0)));
    refuses(|engine| {
        let memfd = rustix::fs::memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&memfd, 4096).unwrap();
        engine.send_with(&scanout(1, 1, 4, 0), memfd);
    });
    refuses(|engine| engine.send_with(&scanout(1, 1, 4, 0), std::fs::File::open("/dev/null").unwrap()));
    refuses(|engine| engine.send_with(&scanout(1, 1, 4, 0), std::fs::File::open("/").unwrap()));
}

#[test]
fn hostile_messages() {
    refuses(|engine| engine.send_bytes(b"{}", &[]));
    refuses(|engine| engine.send_bytes(&[0xff; 17], &[]));
    refuses(|engine| engine.send_bytes(&[b' '; 5000], &[]));
    refuses(|engine| engine.send_bytes(br#"{"type":"update","x":-1,"y":0,"width":1,"height":1}"#, &[]));
    refuses(|engine| {
        let memfd = sealed(4096);
        engine.send_bytes(br#"{"type":"disable"}"#, &[memfd.as_fd(); 2]);
    });
    refuses(|engine| {
        let memfd = sealed(4096);
        engine.send_bytes(br#"{"type":"disable"}"#, &[memfd.as_fd(); 8]);
    });
    // A descriptor nobody asked for is closed and forgotten.
    let (engine, mut console) = greeted();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    engine.send_with(&ToConsole::HideCursor, &writer);
    drop(writer);
    console.dispatch().unwrap();
    assert_eq!(rustix::io::read(&reader, &mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_chatty_engine_does_not_keep_the_window() {
    let (engine, mut console) = greeted();
    for _ in 0..MESSAGES_AT_ONCE + 6 {
        engine.send(&ToConsole::CursorAt { x: 1, y: i32::MIN });
    }
    assert_eq!(console.dispatch().unwrap(), Changes::CURSOR_AT);
    assert_eq!(console.dispatch().unwrap(), Changes::CURSOR_AT);
    assert_eq!(console.dispatch().unwrap(), Changes::empty());
    assert_eq!(console.cursor_at(), (1, i32::MIN));
}

#[test]
fn cursors() {
    let (engine, mut console) = greeted();
    let memfd = sealed(2 * 3 * 4);
    rustix::io::pwrite(&memfd, &[9; 24], 0).unwrap();
    engine.send_with(&ToConsole::Cursor { width: 2, height: 3, hot_x: 77, hot_y: 1 }, &memfd);
    assert_eq!(console.dispatch().unwrap(), Changes::CURSOR);
    let cursor = console.cursor().unwrap();
    assert_eq!((cursor.hot_x, cursor.hot_y, &cursor.pixels[..]), (1, 1, &[9; 24][..]));
    engine.send(&ToConsole::HideCursor);
    console.dispatch().unwrap();
    assert!(console.cursor().is_none());

    let cursor = |width, height| ToConsole::Cursor { width, height, hot_x: 0, hot_y: 0 };
    refuses(|engine| engine.send(&cursor(1, 1)));
    for (width, height) in [(0, 1), (1, 0), (MAX_CURSOR + 1, 1), (1, u32::MAX), (65536, 65536), (64, 64)] {
        refuses(|engine| engine.send_with(&cursor(width, height), sealed(4096)));
    }
}

#[test]
fn keys_are_pressed_once_and_all_released() {
    let (engine, mut console) = greeted();
    for down in [true, true, true, false, false] {
        console.key(30, down).unwrap();
    }
    console.key(0, true).unwrap();
    console.key(u16::MAX, true).unwrap();
    assert_eq!(engine.received(), [ToEngine::Key { code: 30, down: true }, ToEngine::Key { code: 30, down: false }]);

    console.key(key::LEFT_ALT, true).unwrap();
    console.button(Button::Left, true).unwrap();
    console.release_all().unwrap();
    console.release_all().unwrap();
    console.key(key::LEFT_ALT, false).unwrap();
    console.button(Button::Left, false).unwrap();
    assert_eq!(
        engine.received(),
        [
            ToEngine::Key { code: key::LEFT_ALT, down: true },
            ToEngine::Button { button: Button::Left, down: true },
            ToEngine::ReleaseAll
        ]
    );

    console.chord(&[key::LEFT_CTRL, key::DELETE]).unwrap();
    let key = |code, down| ToEngine::Key { code, down };
    assert_eq!(
        engine.received(),
        [key(key::LEFT_CTRL, true), key(key::DELETE, true), key(key::DELETE, false), key(key::LEFT_CTRL, false)]
    );
}

#[test]
fn pointers() {
    let (engine, mut console) = greeted();
    for (x, y) in [(0.0, 1.0), (-3.0, 7.0), (0.5, f64::NAN)] {
        console.pointer_position(x, y).unwrap();
    }
    console.pointer_motion(0, 0).unwrap();
    console.pointer_motion(-3, 4).unwrap();
    console.wheel(Axis::Vertical, 0).unwrap();
    console.wheel(Axis::Vertical, -2).unwrap();
    assert_eq!(
        engine.received(),
        [
            ToEngine::PointerPosition { x: 0, y: 0x7fff },
            ToEngine::PointerPosition { x: 0, y: 0x7fff },
            ToEngine::PointerPosition { x: 0x4000, y: 0 },
            ToEngine::PointerMotion { dx: -3, dy: 4 },
            ToEngine::Wheel { axis: Axis::Vertical, steps: -2 }
        ]
    );
}

#[test]
fn an_engine_that_does_not_read() {
    let (engine, mut console) = greeted();
    let fill = |console: &mut Console| {
        for step in 0..3000u32 {
            console.key(30 + (step / 2 % 40) as u16, step % 2 == 0).unwrap();
            if console.has_backlog() {
                return;
            }
        }
        panic!("a socket without end");
    };
    fill(&mut console);
    // Movements unite …
    for _ in 0..5 {
        console.pointer_motion(1, -1).unwrap();
    }
    let before = engine.received().len();
    assert!(before > 0);
    console.flush().unwrap();
    assert!(!console.has_backlog());
    let rest = engine.received();
    assert_eq!(rest.last(), Some(&ToEngine::PointerMotion { dx: 5, dy: -5 }));
    // … and too many keys end in a release of all. What the microphone may is no key.
    fill(&mut console);
    console.want_sound(true, false).unwrap();
    for step in 0..2000u32 {
        console.key(30 + (step / 2 % 40) as u16, step % 2 == 0).unwrap();
    }
    engine.received();
    console.flush().unwrap();
    let rest = engine.received();
    assert!(rest.contains(&ToEngine::ReleaseAll));
    assert!(rest.contains(&ToEngine::Sound { listen: true, microphone: false }));
}
