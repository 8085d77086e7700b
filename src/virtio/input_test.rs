use device::Device;
use device::bench::check_state;

use super::*;
use crate::driver::{Driver, Part, Request};

const KEY_A: u16 = 30;

fn keyboard() -> Driver<Input<Keyboard>> {
    Driver::ready(Input::default(), 0)
}

fn tablet() -> Driver<Input<Tablet>> {
    Driver::ready(Input::default(), 0)
}

fn feed<M: Model>(driver: &mut Driver<Input<M>>, buffers: usize) -> Vec<Request> {
    let requests = (0..buffers).map(|_| driver.add(EVENTS, &[Part::In(8)])).collect();
    driver.ring(EVENTS);
    requests
}

/// Takes what came as (type, code, value).
fn events<M: Model>(driver: &mut Driver<Input<M>>, requests: &[Request]) -> Vec<(u16, u16, i32)> {
    let mut events = Vec::new();
    while let Some((head, written)) = driver.used(EVENTS) {
        assert_eq!(written, 8);
        let request = requests.iter().rev().find(|request| request.head == head).unwrap();
        let Event { kind, code, value } = Event::from_bytes(driver.part(request, 0).try_into().unwrap());
        events.push((kind, code, value as i32));
    }
    events
}

fn select<M: Model>(driver: &mut Driver<Input<M>>, select: u8, subselect: u8) -> Vec<u8> {
    driver.set_config(0, &[select, subselect]);
    let [length] = driver.config::<1>(2);
    driver.config::<128>(8)[..length.into()].to_vec()
}

#[test]
fn they_say_what_they_are() {
    let mut keyboard = keyboard();
    assert_eq!(select(&mut keyboard, 1, 0), b"Dormer Virtio Keyboard");
    assert_eq!(select(&mut keyboard, 3, 0), [6, 0, 0xf4, 0x1a, 1, 0, 1, 0]);
    let keys = select(&mut keyboard, 0x11, 1);
    assert_eq!((keys.len(), keys[0], keys[31]), (32, 0xfe, 1));
    assert_eq!(select(&mut keyboard, 0x11, 0x11), [7]);
    assert_eq!(select(&mut keyboard, 0x11, 0x14), [3]);
    assert!(select(&mut keyboard, 0x11, 3).is_empty());
    assert!(select(&mut keyboard, 0x12, 0).is_empty());
    let mut tablet = tablet();
    assert_eq!(select(&mut tablet, 0x11, 3), [3]);
    assert_eq!(select(&mut tablet, 0x11, 2), [0x40, 1]);
    let buttons = select(&mut tablet, 0x11, 1);
    assert_eq!((buttons.len(), buttons[34]), (35, 0x1f));
    assert_eq!(select(&mut tablet, 0x12, 1)[4..8], [0xff, 0x7f, 0, 0]);
    for unknown in 0..=255 {
        for subselect in [0, 1, 2, 3, 255] {
            select(&mut tablet, unknown, subselect);
        }
    }
}

#[test]
fn keys() {
    let mut driver = keyboard();
    assert!(!driver.function().listens(), "ready, but no buffers yet");
    let requests = feed(&mut driver, 8);
    assert!(driver.function().listens());
    driver.function().key(KEY_A, true);
    driver.function().key(KEY_A, true);
    driver.function().key(KEY_A, false);
    driver.function().key(KEY_A, false);
    driver.function().key(0x110, true);
    assert_eq!(events(&mut driver, &requests), [(1, KEY_A, 1), (0, 0, 0), (1, KEY_A, 0), (0, 0, 0)]);
    driver.reset();
    assert!(!driver.function().listens());
    driver.function().key(KEY_A, true);
}

#[test]
fn pointer() {
    let mut driver = tablet();
    let requests = feed(&mut driver, 16);
    assert!(driver.function().is_absolute());
    driver.function().moved_to(0, 0x7fff);
    driver.function().button(Button::Middle, true);
    driver.function().wheel(Axis::Vertical, -2);
    driver.function().wheel(Axis::Horizontal, 1);
    driver.function().moved(5, 5);
    let expected =
        [(3, 0, 0), (3, 1, 0x7fff), (0, 0, 0), (1, 0x112, 1), (0, 0, 0), (2, 8, -2), (0, 0, 0), (2, 6, 1), (0, 0, 0)];
    assert_eq!(events(&mut driver, &requests), expected);
}

#[test]
fn reports_wait_whole_and_positions_are_replaced() {
    let mut driver = tablet();
    let mut requests = feed(&mut driver, 2);
    driver.function().moved_to(1, 1);
    driver.function().moved_to(2, 2);
    driver.function().button(Button::Left, true);
    driver.function().moved_to(3, 3);
    driver.function().moved_to(4, 4);
    assert!(events(&mut driver, &requests).is_empty());
    requests.extend(feed(&mut driver, 4));
    let got = events(&mut driver, &requests);
    assert_eq!(got, [(3, 0, 2), (3, 1, 2), (0, 0, 0), (1, 0x110, 1), (0, 0, 0)]);
    requests.extend(feed(&mut driver, 2));
    assert_eq!(events(&mut driver, &requests), [(3, 0, 4), (3, 1, 4), (0, 0, 0)]);
    // A driver that takes nothing costs no more than so much.
    for i in 0..1000 {
        driver.function().wheel(Axis::Vertical, i);
    }
    assert_eq!(driver.function().device().waiting.len(), MOST_WAITING);
}

#[test]
fn lights() {
    let mut driver = keyboard();
    driver.add(STATUS, &[Part::Out(&[0x11, 0, 1, 0, 1, 0, 0, 0])]);
    driver.add(STATUS, &[Part::Out(&[0x11, 0, 0, 0, 1, 0, 0, 0, 0x11, 0, 1, 0, 0, 0, 0, 0])]);
    driver.add(STATUS, &[Part::Out(&[0x11, 0, 0xff, 0xff, 1, 0, 0, 0]), Part::Out(&[1, 2, 3])]);
    driver.add(STATUS, &[Part::In(8)]);
    driver.ring(STATUS);
    assert_eq!((0..5).filter_map(|_| driver.used(STATUS)).count(), 4);
    assert_eq!(driver.function().device().leds(), 1);
}

#[test]
fn buffers_that_are_too_small_come_back_empty() {
    let mut driver = keyboard();
    driver.add(EVENTS, &[Part::In(7)]);
    driver.add(EVENTS, &[Part::Out(&[0; 8])]);
    driver.ring(EVENTS);
    driver.function().key(KEY_A, true);
    assert_eq!(driver.used(EVENTS), Some((0, 0)));
    assert_eq!(driver.used(EVENTS), Some((1, 0)));
}

#[test]
fn state() {
    let mut driver = keyboard();
    select(&mut driver, 0x11, 1);
    let mut requests = feed(&mut driver, 1);
    driver.function().key(KEY_A, true);
    check_state(&mut *driver.function(), Device::reset);
    requests.extend(feed(&mut driver, 3));
    driver.function().key(KEY_A, false);
    assert_eq!(events(&mut driver, &requests), [(1, KEY_A, 1), (0, 0, 0), (1, KEY_A, 0), (0, 0, 0)]);
}

#[test]
fn impossible_states_are_refused() {
    let good = || Input::<Keyboard>::default().save();
    let event = Event::REPORT;
    for bad in [
        InputState { waiting: vec![vec![event]; 257], ..good() },
        InputState { waiting: vec![vec![]], ..good() },
        InputState { waiting: vec![vec![event; 3]], ..good() },
        InputState { down: vec![0x110], ..good() },
        InputState { down: vec![KEY_A; 0x301], ..good() },
    ] {
        assert!(Input::<Keyboard>::default().restore(bad).is_err());
    }
}

#[test]
fn noise() {
    keyboard().make_noise(0, |driver, random| driver.function().key(random as u16 & 0x1ff, random & 0x1000 != 0));
    tablet().make_noise(0, |driver, random| driver.function().moved_to(random as u16, 7));
}
