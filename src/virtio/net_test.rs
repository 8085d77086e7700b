use std::sync::{Arc, Mutex};

use ::net::bench::{Wire, wire};
use device::Device;
use device::bench::check_state;

use super::*;
use crate::driver::{Driver, Part};

const OWN: Mac = [0x52, 0x54, 0, 1, 2, 3];
const OTHER: Mac = [0x52, 0x54, 0, 9, 9, 9];
const GROUP: Mac = [0x33, 0x33, 0, 0, 0, 1];
const EVERYBODY: Mac = [0xff; 6];
const ALL: u64 = MAC | MRG_RXBUF | STATUS | CTRL_VQ | CTRL_RX | CTRL_RX_EXTRA | CTRL_MAC_ADDR;

fn driver(features: u64) -> (Driver<Net>, Wire) {
    let (port, wire) = wire();
    let driver = Driver::ready(Net::new(Arc::new(port), OWN, None), features);
    let sink: Arc<Mutex<dyn FrameSink>> = driver.shared.clone();
    driver.function().device().port().connect(Arc::downgrade(&sink));
    (driver, wire)
}

fn frame(to: Mac, length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|i| i as u8).collect();
    frame[..6].copy_from_slice(&to);
    frame
}

/// Sends a control command and gives the ack.
fn command(driver: &mut Driver<Net>, class: u8, command: u8, data: &[u8]) -> u8 {
    let (ack, written) = driver.ask(CONTROL, &[Part::Out(&[class, command]), Part::Out(data), Part::In(1)], 2).unwrap();
    assert_eq!(written, 1);
    ack[0]
}

#[test]
fn config_space() {
    let (mut driver, _wire) = driver(ALL);
    assert_eq!(driver.config::<6>(0), OWN);
    assert_eq!(driver.config::<4>(6), [1, 0, 1, 0]);
    let (port, _wire) = wire();
    let mut jumbo = Driver::ready(Net::new(Arc::new(port), OWN, Some(9000)), MTU);
    assert_eq!(jumbo.config::<2>(10), 9000u16.to_le_bytes());
}

#[test]
fn frames_go_out() {
    let (mut driver, wire) = driver(ALL);
    let bytes = frame(OTHER, 60);
    driver.add(TRANSMIT, &[Part::Out(&[0; 12]), Part::Out(&bytes)]);
    driver.add(
        TRANSMIT,
        &[Part::Out(&[0; 5]), Part::Out(&[&[0; 7][..], &bytes[..10]].concat()), Part::Out(&bytes[10..])],
    );
    driver.ring(TRANSMIT);
    assert_eq!(wire.sent(), [bytes.clone(), bytes.clone()]);
    assert_eq!(driver.used(TRANSMIT), Some((0, 0)));
    assert!(driver.used(TRANSMIT).is_some());
    // Too short even for the header, empty, too long, for nobody: given back, not sent.
    driver.add(TRANSMIT, &[Part::Out(&[0; 11])]);
    driver.add(TRANSMIT, &[Part::In(100)]);
    driver.add(TRANSMIT, &[Part::Out(&[0; 12])]);
    driver.add(TRANSMIT, &[Part::Out(&vec![0; HEADER + MAX_FRAME + 1])]);
    driver.ring(TRANSMIT);
    assert!(wire.sent().is_empty());
    assert_eq!((0..5).filter_map(|_| driver.used(TRANSMIT)).count(), 4);
    let counted = driver.function().device().port().counters();
    assert_eq!((counted.sent, counted.sent_bytes), (2, 120));
}

#[test]
fn frames_come_in() {
    let (mut driver, wire) = driver(ALL & !MRG_RXBUF);
    let request = driver.add(RECEIVE, &[Part::In(12), Part::In(1514)]);
    let bytes = frame(OWN, 100);
    driver.isr();
    assert!(wire.inject(&bytes));
    assert_eq!(driver.isr(), 1);
    assert_eq!(driver.used(RECEIVE), Some((request.head, 112)));
    assert_eq!(driver.part(&request, 0), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(driver.part(&request, 1)[..100], bytes);
    let counted = driver.function().device().port().counters();
    assert_eq!((counted.received, counted.received_bytes), (1, 100));
    // Without merging a frame larger than the buffer is lost, and the buffer serves the next.
    let request = driver.add(RECEIVE, &[Part::In(12 + 64)]);
    assert!(wire.inject(&frame(OWN, 65)));
    assert_eq!(driver.used(RECEIVE), None);
    assert!(wire.inject(&frame(OWN, 64)));
    assert_eq!(driver.used(RECEIVE), Some((request.head, 76)));
}

#[test]
fn frames_are_spread_over_buffers() {
    let (mut driver, wire) = driver(ALL);
    let requests: Vec<_> = (0..3).map(|_| driver.add(RECEIVE, &[Part::In(32)])).collect();
    let bytes = frame(OWN, 80);
    assert!(wire.inject(&bytes));
    let mut got = Vec::new();
    for (request, length) in requests.iter().zip([32, 32, 28]) {
        assert_eq!(driver.used(RECEIVE), Some((request.head, length)));
        got.extend_from_slice(&driver.part(request, 0)[..length as usize]);
    }
    assert_eq!(got[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    assert_eq!(got[12..], bytes);
}

#[test]
fn a_frame_waits_for_buffers() {
    let (mut driver, wire) = driver(ALL);
    driver.add(RECEIVE, &[Part::In(40)]);
    let bytes = frame(OWN, 60);
    assert!(!wire.inject(&bytes));
    assert!(wire.is_held());
    assert_eq!(driver.used(RECEIVE), None);
    driver.add(RECEIVE, &[Part::In(40)]);
    driver.ring(RECEIVE);
    assert!(!wire.is_held());
    assert!(wire.inject(&bytes));
    assert_eq!(driver.used(RECEIVE), Some((0, 40)));
    assert_eq!(driver.used(RECEIVE), Some((1, 32)));
    // A reset does not leave the port waiting, and frames for nobody are dropped.
    assert!(!wire.inject(&bytes));
    driver.reset();
    assert!(!wire.is_held());
    assert!(wire.inject(&bytes));
}

#[test]
fn a_buffer_that_cannot_hold_the_header_needs_a_reset() {
    let (mut driver, wire) = driver(ALL);
    driver.add(RECEIVE, &[Part::In(11)]);
    assert!(wire.inject(&frame(OWN, 60)));
    assert_eq!(driver.status(), 0x4f);
    driver.set_up(ALL);
    driver.add(RECEIVE, &[Part::Out(&[0; 2000])]);
    assert!(wire.inject(&frame(OWN, 60)));
    assert_eq!(driver.status(), 0x4f);
}

#[test]
fn filters() {
    let (mut driver, _wire) = driver(ALL);
    let lets_in = |driver: &Driver<Net>, to| driver.function().device().filter.lets_in(&frame(to, 60));
    assert!(lets_in(&driver, OTHER), "promiscuous until told otherwise");
    assert_eq!(command(&mut driver, 0, 0, &[0]), ACK_OK);
    assert!(lets_in(&driver, OWN) && lets_in(&driver, EVERYBODY));
    assert!(!lets_in(&driver, OTHER) && !lets_in(&driver, GROUP));
    let tables = [&1u32.to_le_bytes()[..], &OTHER, &1u32.to_le_bytes(), &GROUP].concat();
    assert_eq!(command(&mut driver, 1, 0, &tables), ACK_OK);
    assert!(lets_in(&driver, OTHER) && lets_in(&driver, GROUP));
    assert_eq!(command(&mut driver, 0, 3, &[1]), ACK_OK);
    assert_eq!(command(&mut driver, 0, 5, &[1]), ACK_OK);
    assert!(!lets_in(&driver, GROUP) && !lets_in(&driver, EVERYBODY));
    // More than fit: all of the kind.
    let many = [&0u32.to_le_bytes()[..], &65u32.to_le_bytes(), &[0x33; 65 * 6]].concat();
    assert_eq!(command(&mut driver, 1, 0, &many), ACK_OK);
    assert_eq!(command(&mut driver, 0, 3, &[0]), ACK_OK);
    assert!(lets_in(&driver, [1, 2, 3, 4, 5, 6]) && !lets_in(&driver, OTHER));
    assert_eq!(command(&mut driver, 1, 1, &OTHER), ACK_OK);
    assert!(lets_in(&driver, OTHER) && !lets_in(&driver, OWN));
    assert_eq!(driver.config::<6>(0), OTHER);
    driver.set_up(ALL);
    assert_eq!(driver.config::<6>(0), OWN);
}

#[test]
fn bad_commands_are_refused() {
    let (mut driver, _wire) = driver(ALL);
    let before = driver.function().device().filter.clone();
    let bad: [(u8, u8, &[u8]); 8] = [
        (0, 6, &[1]),
        (0, 0, &[]),
        (1, 0, &[1, 0, 0]),
        (1, 0, &u32::MAX.to_le_bytes()),
        (1, 0, &[0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3]),
        (1, 1, &[1, 2, 3, 4, 5]),
        (2, 0, &[0, 0]),
        (255, 255, &[0; 100]),
    ];
    for (class, number, data) in bad {
        assert_eq!(command(&mut driver, class, number, data), ACK_ERROR);
    }
    assert_eq!(driver.function().device().filter, before);
    let (mut plain, _wire) = super::tests::driver(CTRL_VQ);
    assert_eq!(command(&mut plain, 0, 0, &[0]), ACK_ERROR, "not agreed");
    driver.add(CONTROL, &[Part::Out(&[0, 0, 0])]);
    driver.ring(CONTROL);
    assert_eq!(driver.status(), 0x4f);
}

#[test]
fn the_link_goes_down_and_up() {
    let (mut driver, wire) = driver(ALL);
    driver.isr();
    wire.set_link(false);
    assert_eq!(driver.isr(), 2);
    assert_eq!(driver.config::<2>(6), [0, 0]);
    driver.add(RECEIVE, &[Part::In(2000)]);
    assert!(wire.inject(&frame(OWN, 60)));
    assert_eq!(driver.used(RECEIVE), None);
    wire.set_link(true);
    assert_eq!(driver.isr(), 2);
    assert_eq!(driver.config::<2>(6), [1, 0]);
}

#[test]
fn state() {
    let (mut driver, wire) = driver(ALL);
    command(&mut driver, 1, 1, &OTHER);
    command(&mut driver, 0, 0, &[0]);
    check_state(&mut *driver.function(), Device::reset);
    assert!(!driver.function().device().filter.lets_in(&frame(OWN, 60)));
    // A link that was lost between save and restore is told when the queues are rung.
    let saved = driver.function().save();
    wire.set_link(false);
    driver.function().restore(saved).unwrap();
    driver.isr();
    driver.ring(RECEIVE);
    assert_eq!(driver.isr(), 2);
    let mut net = driver.function().device().save();
    net.filter = serde_json::from_value({
        let mut value = serde_json::to_value(&net.filter).unwrap();
        value["unicast"]["addresses"] = vec![OWN.to_vec(); 65].into();
        value
    })
    .unwrap();
    assert!(driver.function().change(|device, _| device.restore(net)).is_err());
}

#[test]
fn noise() {
    let (mut driver, wire) = driver(ALL);
    driver.make_noise(ALL, |_, random| {
        wire.inject(&frame(OWN, 14 + random as usize % 2000));
        wire.set_link(random & 0x10000 != 0);
        wire.sent();
    });
}
