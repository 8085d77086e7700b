//! Rings at their ends, and interrupts.

use super::*;

const TABLE_ENTRY: u64 = 16;

/// Sixteen TRBs of events in one segment.
fn small_ring(m: &Machine, at: u64, segments: &[(u64, u32)]) {
    for (number, (segment, length)) in (0..).zip(segments) {
        m.put(TABLE + TABLE_ENTRY * number, &[segment.to_le_bytes(), u64::from(*length).to_le_bytes()].concat());
    }
    m.write(RUNTIME + 0x28, segments.len() as u32);
    m.write_long(RUNTIME + 0x38, at);
    m.write_long(RUNTIME + 0x30, TABLE);
}

fn kinds(m: &Machine, at: u64, count: u64) -> Vec<u32> {
    (0..count).map(|i| m.word(at + 16 * i + 12) >> 10 & 0x3f).collect()
}

#[test]
fn a_full_event_ring_loses_nothing() {
    let m = Machine::started();
    small_ring(&m, EVENTS, &[(EVENTS, 16)]);
    m.put(EVENTS, &[0; 0x400]);
    // More commands than there is room for answers.
    for number in 0..40 {
        m.put_trb(COMMANDS + 16 * number, 0, 0, 23 << 10 | 1);
    }
    m.write(DOORBELL, 0);
    // Fourteen answers, the word that it is full, and one place free.
    assert_eq!(kinds(&m, EVENTS, 16), [&[33; 14][..], &[37, 0]].concat());
    assert_eq!(m.word(EVENTS + 16 * 14 + 8) >> 24, 21);
    let mut answers: Vec<_> = (0..14).map(|number| m.word(EVENTS + 16 * number)).collect();
    let (mut at, mut cycle) = (14, 1);
    for _ in 0..60 {
        // The driver takes one, and says so.
        if m.word(EVENTS + 16 * at + 12) & 1 == cycle {
            if m.word(EVENTS + 16 * at + 12) >> 10 & 0x3f == 33 {
                answers.push(m.word(EVENTS + 16 * at));
            }
            at += 1;
            if at == 16 {
                (at, cycle) = (0, 1 - cycle);
            }
        }
        m.write_long(RUNTIME + 0x38, (EVENTS + 16 * at) | 8);
    }
    assert_eq!(answers, (0..40).map(|number| (COMMANDS + 16 * number) as u32).collect::<Vec<_>>());
}

#[test]
fn events_go_through_all_segments() {
    let m = Machine::started();
    small_ring(&m, EVENTS, &[(EVENTS, 16), (EVENTS + 0x800, 17)]);
    for number in 0..30 {
        m.put_trb(COMMANDS + 16 * number, 0, 0, 23 << 10 | 1);
    }
    m.write(DOORBELL, 0);
    assert_eq!(kinds(&m, EVENTS, 16), [33; 16]);
    assert_eq!(kinds(&m, EVENTS + 0x800, 15), [&[33; 14][..], &[0]].concat());
    m.write_long(RUNTIME + 0x38, (EVENTS + 0x800) | 1);
    for number in 30..36 {
        m.put_trb(COMMANDS + 16 * number, 0, 0, 23 << 10 | 1);
    }
    m.write(DOORBELL, 0);
    assert_eq!(kinds(&m, EVENTS + 0x800, 17), [33; 17]);
    assert_eq!(m.word(EVENTS + 16 * 3 + 12) & 1, 1, "not yet");
    assert_eq!(m.word(EVENTS + 12) & 1, 0, "the cycle has changed");
}

#[test]
fn rings_that_lead_nowhere_end_in_an_error() {
    let is_dead = |m: &Machine| m.read(STATUS) & 5 == 5 && m.read(COMMAND) & 1 == 0;
    // Out of RAM: the command ring, the contexts, an event ring.
    let mut m = Machine::started();
    m.write_long(0x58, 1 << 40 | 1);
    m.write(DOORBELL, 0);
    assert!(is_dead(&m));
    m.set_up();
    m.write_long(0x70, u64::MAX);
    m.put_trb(COMMANDS, 0, 0, 9 << 10 | 1);
    m.put_trb(COMMANDS + 16, u64::MAX, 0, 1 << 24 | 11 << 10 | 1);
    m.write(DOORBELL, 0);
    assert!(is_dead(&m));
    m.set_up();
    small_ring(&m, 0, &[(1 << 50, 16)]);
    m.put_trb(COMMANDS, 0, 0, 23 << 10 | 1);
    m.write(DOORBELL, 0);
    assert!(is_dead(&m));
    m.set_up();
    small_ring(&m, EVENTS, &[(EVENTS, 0)]);
    m.put_trb(COMMANDS, 0, 0, 23 << 10 | 1);
    m.write(DOORBELL, 0);
    assert!(is_dead(&m));
    // Links that lead to themselves.
    m.set_up();
    m.put_trb(COMMANDS, COMMANDS, 0, 6 << 10 | 1);
    m.write(DOORBELL, 0);
    assert!(is_dead(&m));
}

#[test]
fn a_transfer_ring_without_an_end_is_refused() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, 7, 0), (4, 2, 0)]);
    // A TD that goes round and round.
    m.put_trb(ring_of(3), DATA, 64, 1 << 10 | 1 << 4 | 1);
    m.put_trb(ring_of(3) + 16, ring_of(3), 0, 6 << 10 | 1 << 4 | 1);
    m.ring(slot, 3);
    assert_eq!((m.events()[0].code, m.endpoint_state(slot, 3)), (5, 4));
    // From there only a new ring helps.
    let control = u32::from(slot) << 24 | 3 << 16;
    m.ring(slot, 3);
    assert_eq!((m.events(), m.command(14, 0, control).code), (vec![], 19));
    assert_eq!((m.command(16, ring_of(5) | 1, control).code, m.endpoint_state(slot, 3)), (1, 3));
    // TDs without end that are done at once: a bounded number in one call, the rest by the timer.
    m.put_trb(ring_of(4), DATA, 64, 1 << 10 | 1);
    m.put_trb(ring_of(4) + 16, ring_of(4), 0, 6 << 10 | 1);
    m.ring(slot, 4);
    let first = tester.with(|tester| tester.seen.len());
    assert!((1000..10_000).contains(&first), "{first}");
    m.bench.clock.advance(Duration::from_micros(125));
    m.bench.timers.run_due();
    assert!((first + 1000..first + 10_000).contains(&tester.with(|tester| tester.seen.len())));
    m.write(COMMAND, 0);
    assert_eq!(m.read(STATUS) & 1, 1);
}

#[test]
fn a_td_that_is_not_whole_waits() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(4, 2, 0)]);
    m.queue(4, DATA, 64, 1 << 10 | 1 << 4);
    m.ring(slot, 4);
    assert_eq!(tester.with(|tester| tester.seen.len()), 0);
    m.queue(4, DATA, 64, 1 << 10 | 1 << 5);
    m.ring(slot, 4);
    assert_eq!(tester.with(|tester| tester.seen.last().map(|seen| seen.2)), Some(128));
    assert_eq!(m.events().len(), 1);
}

#[test]
fn the_command_ring_is_stopped() {
    let mut m = Machine::started();
    assert_eq!(m.command(23, 0, 0).code, 1);
    assert_eq!((m.read(0x58), m.read(0x5c)), (8, 0));
    m.write_long(0x58, 1 << 2);
    let told: Vec<_> = m.events().iter().map(|event| (event.kind, event.code, event.parameter)).collect();
    assert_eq!(told, [(33, 24, COMMANDS + 16)]);
    assert_eq!(m.read(0x58), 0);
    m.write_long(0x58, 1 << 1);
    assert_eq!(m.events(), []);
    // Another ring.
    m.write_long(0x58, DATA);
    m.put_trb(DATA, 0, 0, 23 << 10);
    m.write(DOORBELL, 0);
    assert_eq!(m.events()[0].parameter, DATA);
}

#[test]
fn the_line_is_high_until_it_is_answered() {
    let m = Machine::started();
    m.bench.levels.take();
    m.xhci().attach(Box::new(Shared::new(Speed::High)), None).unwrap();
    assert_eq!(m.bench.levels.take(), [true]);
    assert_eq!((m.read(STATUS) & 8, m.read(RUNTIME + 0x20)), (8, 3));
    m.write(STATUS, 8);
    m.write(RUNTIME + 0x20, 3);
    assert_eq!((m.bench.levels.take(), m.read(RUNTIME + 0x20), m.read(STATUS) & 8), (vec![false], 2, 0));
    // While the driver is at it nothing interrupts; what it left does.
    m.xhci().attach(Box::new(Shared::new(Speed::High)), None).unwrap();
    assert_eq!((m.bench.levels.take(), m.read(RUNTIME + 0x38) & 8), (vec![], 8));
    m.write_long(RUNTIME + 0x38, (EVENTS + 16) | 8);
    assert_eq!(m.bench.levels.take(), [true]);
    m.write(RUNTIME + 0x20, 3);
    m.write_long(RUNTIME + 0x38, (EVENTS + 32) | 8);
    assert_eq!((m.bench.levels.take(), m.read(RUNTIME + 0x38) & 8), (vec![false], 0));
    // Not without INTE.
    m.write(COMMAND, 1);
    m.write(port_at(1), 0x2_0200);
    m.xhci().detach(1.into());
    assert!(m.bench.levels.take().is_empty());
    m.write(COMMAND, 5);
    assert_eq!(m.bench.levels.take(), [true]);
}

#[test]
fn messages_are_moderated() {
    let mut m = Machine::started();
    let table = MSIX;
    {
        let mut xhci = m.xhci();
        let mut at = xhci.config_read(0x34, Size::Byte) as u16;
        while xhci.config_read(at, Size::Byte) != 0x11 {
            at = xhci.config_read(at + 1, Size::Byte) as u16;
        }
        xhci.config_write(at + 2, Size::Word, 0x8000);
    }
    // As the root answers the table's part of the BAR.
    let _ = table;
    assert!(m.xhci().core().msix_enabled());
    // 1 ms between two messages.
    m.write(RUNTIME + 0x24, 4000);
    m.xhci().attach(Box::new(Shared::new(Speed::High)), None).unwrap();
    assert_eq!(m.read(RUNTIME + 0x20), 2, "a message answers for itself");
    m.events();
    m.xhci().attach(Box::new(Shared::new(Speed::High)), None).unwrap();
    assert_eq!(m.read(RUNTIME + 0x38) & 8, 0, "not yet");
    m.bench.clock.advance(Duration::from_micros(999));
    m.bench.timers.run_due();
    assert_eq!(m.read(RUNTIME + 0x38) & 8, 0, "not yet");
    m.bench.clock.advance(Duration::from_micros(1));
    m.bench.timers.run_due();
    assert_eq!(m.read(RUNTIME + 0x38) & 8, 8);
    assert!(m.bench.levels.take().is_empty());
}
