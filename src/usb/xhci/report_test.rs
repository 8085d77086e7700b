use device::bench::Bench;

use super::*;

const AT: u64 = 0x1000;

/// A TD of these TRBs, each as parameter, status and control word, taken from a ring.
fn td(shape: Shape, trbs: &[(u64, u32, u32)]) -> Td {
    let bench = Bench::new(0x10_0000);
    let dma = bench.dma();
    for (number, &(parameter, status, control)) in (0..).zip(trbs) {
        Trb { parameter, status, control }.put(true, AT + 16 * number, &dma).unwrap();
    }
    let mut ring = Ring { at: AT, cycle: true };
    let td = Td::take(&mut ring, shape, &dma, &mut 0).unwrap().unwrap();
    assert_eq!(ring.at, AT + 16 * trbs.len() as u64);
    td
}

const NORMAL: u32 = 1 << 10;
const SETUP: u32 = 2 << 10 | 1 << 6;
const DATA: u32 = 3 << 10 | 1 << 16;
const STATUS: u32 = 4 << 10;
const ISOCH: u32 = 5 << 10;
const EVENT: u32 = 7 << 10;
const NOTHING: u32 = 8 << 10;
const CH: u32 = 1 << 4;
const IOC: u32 = 1 << 5;
const ISP: u32 = 1 << 2;

/// Which TRB, code, and what is left or was moved.
fn told(td: &Td, completion: Completion) -> Vec<(u64, u32, u32)> {
    td.reports(completion)
        .iter()
        .map(|report| {
            let Trb { parameter, status, control } = report.event;
            let place = if control & 4 != 0 { parameter } else { (parameter - AT) / 16 };
            (place, status >> 24, status & 0xff_ffff)
        })
        .collect()
}

#[test]
fn events_are_where_the_driver_wants_them() {
    let plain =
        td(Shape::Plain, &[(0, 10, NORMAL | CH | IOC), (0, 10, NORMAL | CH | ISP), (0, 10, NORMAL | IOC | ISP)]);
    assert_eq!(told(&plain, Completion::done(30)), [(0, 1, 0), (2, 1, 0)]);
    assert_eq!(told(&plain, Completion::done(25)), [(0, 1, 0), (2, 13, 5)]);
    assert_eq!(told(&plain, Completion::done(13)), [(0, 1, 0), (1, 13, 7)]);
    assert_eq!(told(&plain, Completion::done(4)), [(0, 13, 6)]);
    assert_eq!(told(&plain, Completion { length: 12, fault: Some(Fault::Transaction) }), [(0, 1, 0), (1, 4, 8)]);
    assert_eq!(told(&plain, Completion { length: 30, fault: Some(Fault::Babble) }), [(0, 1, 0), (2, 3, 0)]);
    assert_eq!(plain.reports(Completion::failed(Fault::Stall)).len(), 1);
    // Without a word at the place where it was short, there is one at the end.
    let late = td(Shape::Plain, &[(0, 10, NORMAL | CH), (0, 10, NORMAL | IOC)]);
    assert_eq!(told(&late, Completion::done(4)), [(1, 13, 10)]);
    // Nobody asked.
    let silent = td(Shape::Plain, &[(0, 10, NORMAL)]);
    assert_eq!(told(&silent, Completion::done(10)), []);
    assert_eq!(told(&silent, Completion::failed(Fault::Stall)), [(0, 6, 10)]);
}

#[test]
fn event_data_has_the_sum() {
    let sums = td(
        Shape::Plain,
        &[(0, 10, NORMAL | CH), (77, 0, EVENT | CH | IOC), (0, 10, NORMAL | CH | ISP), (88, 0, EVENT | IOC | 1 << 9)],
    );
    assert_eq!(told(&sums, Completion::done(20)), [(77, 1, 10), (88, 1, 10)]);
    assert_eq!(told(&sums, Completion::done(15)), [(77, 1, 10), (2, 13, 5), (88, 13, 5)]);
    let interrupts: Vec<_> = sums.reports(Completion::done(20)).iter().map(|report| report.interrupts).collect();
    assert_eq!(interrupts, [true, false], "BEI");
}

#[test]
fn stages_have_words_of_their_own() {
    let request = td(
        Shape::Control,
        &[
            (0x12_0000_0100_0680, 8, SETUP),
            (0, 18, DATA | CH | ISP),
            (7, 0, EVENT | IOC),
            (0, 0, STATUS | CH | IOC),
            (8, 0, EVENT | IOC),
        ],
    );
    assert_eq!(request.asks(Shape::Control), Asks::Request(Setup::of_bytes([0x80, 6, 0, 1, 0, 0, 18, 0])));
    assert_eq!(told(&request, Completion::done(18)), [(7, 1, 18), (3, 1, 0), (8, 1, 0)]);
    assert_eq!(told(&request, Completion::done(8)), [(1, 13, 10), (7, 13, 8), (3, 1, 0), (8, 1, 0)]);
    assert_eq!(told(&request, Completion::failed(Fault::Stall)), [(1, 6, 18)]);
    assert_eq!(told(&request, Completion { length: 18, fault: Some(Fault::Stall) }), [(7, 1, 18), (3, 6, 0)]);
    let bare = td(Shape::Control, &[(0, 8, SETUP), (0, 0, STATUS)]);
    assert_eq!(told(&bare, Completion::failed(Fault::Stall)), [(1, 6, 0)]);
}

#[test]
fn what_makes_no_sense_is_known() {
    let asks = |shape, trbs: &[_]| td(shape, trbs).asks(shape);
    assert_eq!(asks(Shape::Plain, &[(0, 0, NOTHING)]), Asks::Nothing);
    assert_eq!(asks(Shape::Control, &[(0, 0, NOTHING)]), Asks::Nothing);
    assert_eq!(asks(Shape::Plain, &[(0, 0, NORMAL)]), Asks::Data);
    assert_eq!(asks(Shape::Plain, &[(0, 0, ISOCH)]), Asks::Nonsense);
    assert_eq!(asks(Shape::Plain, &[(0, 0, 63 << 10)]), Asks::Nonsense);
    assert_eq!(asks(Shape::Isochronous, &[(0, 0, ISOCH | CH), (0, 0, NORMAL)]), Asks::Data);
    assert_eq!(asks(Shape::Isochronous, &[(0, 0, NORMAL)]), Asks::Nonsense);
    assert_eq!(asks(Shape::Isochronous, &[(0, 0, ISOCH | CH), (0, 0, ISOCH)]), Asks::Nonsense);
    for bad in [
        &[(0, 0, NORMAL)][..],
        &[(0, 0, STATUS)],
        &[(0, 8, SETUP), (0, 8, SETUP)],
        &[(0, 7, SETUP), (0, 0, STATUS)],
        &[(0, 8, SETUP), (0, 1, NORMAL), (0, 0, STATUS)],
        &[(0, 8, SETUP), (0, 1, DATA), (0, 1, DATA), (0, 0, STATUS)],
        &[(0, 8, SETUP), (0, 1, ISOCH), (0, 0, STATUS)],
    ] {
        assert_eq!(asks(Shape::Control, bad), Asks::Nonsense, "{bad:x?}");
    }
}

#[test]
fn buffers_are_memory_wherever_they_stand() {
    let pieces = |trbs: &[_]| td(Shape::Plain, trbs).pieces();
    let here = pieces(&[(0x1234, 5, NORMAL | CH | 1 << 6), (0x5000, 0x1_0000, NORMAL | CH), (0x9000, 0, NORMAL)]);
    assert_eq!(here, [Piece { at: AT, length: 5 }, Piece { at: 0x5000, length: 0x1_0000 }]);
    assert_eq!(pieces(&[(0, 0x1_ffff, NORMAL | 1 << 6)]), [Piece { at: AT, length: 8 }]);
}
