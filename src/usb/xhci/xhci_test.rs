use std::time::Duration;

use device::State;
use device::bench::check_state;
use vm_memory::{Bytes, GuestAddress};

use super::bench::*;
use super::*;
use crate::{Bus, Completion, Fault, Function, Kind, NoPort, Place, Speed, TransferId};

#[path = "abuse_test.rs"]
mod abuse;
#[path = "ring_test.rs"]
mod rings;

const DESCRIPTOR: [u8; 8] = [0x80, 6, 0, 1, 0, 0, 18, 0];

/// Endpoint types.
const BULK_OUT: u32 = 2;
const BULK_IN: u32 = 6;
const INTERRUPT_IN: u32 = 7;

#[test]
fn capabilities_say_what_is_there() {
    let m = Machine::new();
    assert_eq!(Size::Byte.cut(m.xhci().bar_read(0, 0, Size::Byte)), 0x40);
    assert_eq!(Size::Word.cut(m.xhci().bar_read(0, 2, Size::Word)), 0x110);
    assert_eq!(m.read(4), 0x1000_0840);
    assert_eq!((m.read(0x14), m.read(0x18)), (0x2000, 0x1000));
    // The extended capabilities, as drivers walk them.
    let mut at = u64::from(m.read(0x10) >> 16) * 4;
    let mut protocols = Vec::new();
    loop {
        let head = m.read(at);
        assert_eq!((head & 0xff, m.read(at + 4)), (2, 0x2042_5355));
        protocols.push((head >> 16, m.read(at + 8) & 0xffff));
        match head >> 8 & 0xff {
            0 => break,
            next => at += u64::from(next) * 4,
        }
    }
    assert_eq!(protocols, [(0x200, 0x0801), (0x310, 0x0809)]);
    assert_eq!(m.read(0x48), 1);
    let mut xhci = m.xhci();
    assert_eq!(xhci.config_read(8, Size::Dword), 0x0c_0330_01);
    assert_eq!(xhci.config_read(0x10, Size::Dword) & 0xf, 4);
    // MSI-X behind the other registers.
    let mut at = xhci.config_read(0x34, Size::Byte);
    while xhci.config_read(at as u16, Size::Byte) != 0x11 {
        at = xhci.config_read(at as u16 + 1, Size::Byte);
        assert_ne!(at, 0);
    }
    let of = |offset| xhci.core().config_read(at as u16 + offset, Size::Dword);
    assert_eq!((of(0) >> 16, of(4), of(8)), (7, 0x3000, 0x3800));
}

#[test]
fn a_port_follows_what_is_in_it() {
    let mut m = Machine::started();
    assert_eq!(m.read(port_at(1)), 0x2a0);
    let (slow, fast) = (Shared::new(Speed::Full), Shared::new(Speed::Super));
    assert_eq!(m.xhci().attach(Box::new(slow.clone()), None), Ok(1.into()));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), None), Ok(9.into()));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), Some(1.into())), Err(NoPort));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), Some(9.into())), Err(NoPort));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), Some(12.into())), Ok(12.into()));
    let changed: Vec<_> = m.events().iter().map(|event| (event.kind, event.parameter)).collect();
    assert_eq!(changed, [(34, 1 << 24), (34, 9 << 24), (34, 12 << 24)]);
    assert_eq!(m.read(STATUS) & 0x10, 0x10);
    m.write(STATUS, 0x10);
    assert_eq!(m.read(STATUS) & 0x10, 0);
    // Polling and full speed; U0, enabled and super speed.
    assert_eq!((m.read(port_at(1)), m.read(port_at(9))), (0x2_06e1, 0x2_1203));
    // Changes are answered one by one; a reset enables.
    m.write(port_at(1), 0x2_0200);
    assert_eq!(m.read(port_at(1)), 0x6e1);
    let before = slow.with(|tester| tester.resets);
    m.write(port_at(1), 0x210);
    assert_eq!(slow.with(|tester| tester.resets), before + 1);
    assert_eq!(m.read(port_at(1)), 0x20_0603);
    m.write(port_at(9), 0x8000_0200);
    assert_eq!(m.read(port_at(9)), 0x2a_1203);
    m.write(port_at(9), 0x2a_0200);
    m.write(port_at(1), 0x20_0200);
    m.events();
    // Sleep, wake by what is in it, and end of that.
    m.write(port_at(1), 0x1_0260);
    assert_eq!(m.read(port_at(1)), 0x663);
    m.xhci().woken(1);
    assert_eq!(m.read(port_at(1)), 0x663, "it was not let");
    slow.with(|tester| tester.wakes = true);
    m.xhci().woken(1);
    assert_eq!(m.read(port_at(1)), 0x40_07e3);
    m.write(port_at(1), 0x40_0200);
    m.write(port_at(1), 0x1_0200);
    assert_eq!(m.read(port_at(1)), 0x40_0603);
    assert_eq!(m.events().len(), 2);
    // What has something to say when it is to sleep wakes at once.
    m.write(port_at(1), 0x41_0260);
    assert_eq!(m.read(port_at(1)), 0x40_07e3);
    assert_eq!(m.events().len(), 1);
    m.write(port_at(1), 0x41_0200);
    assert_eq!(m.read(port_at(1)), 0x40_0603);
    m.events();
    // Without the strobe PLS is not written; ones to PED disable.
    m.write(port_at(9), 0x260);
    assert_eq!(m.read(port_at(9)), 0x1203);
    m.write(port_at(9), 0x202);
    assert_eq!(m.read(port_at(9)), 0x1281);
    m.write(port_at(9), 0x1_02a0);
    assert_eq!(m.read(port_at(9)), 0x2_1203);
    m.write(port_at(1), 0x40_0202);
    assert_eq!(m.read(port_at(1)), 0x6e1);
    m.events();
    // Gone.
    assert!(m.xhci().detach(1.into()).is_some() && m.xhci().detach(1.into()).is_none());
    assert_eq!(m.read(port_at(1)), 0x2_02a0);
    assert_eq!(m.events().len(), 1);
    assert!(m.xhci().detach(0.into()).is_none() && m.xhci().detach(17.into()).is_none());
    // A controller that is reset finds what is there, and says so when it runs.
    m.write(COMMAND, 2);
    assert_eq!((m.read(port_at(9)), m.read(port_at(1))), (0x2_1203, 0x2a0));
    m.set_up();
    let changed: Vec<_> = m.events().iter().map(|event| (event.kind, event.parameter)).collect();
    assert_eq!(changed, [(34, 9 << 24), (34, 12 << 24)]);
}

#[test]
fn all_ports_of_a_kind_can_be_taken() {
    let m = Machine::new();
    for port in 1..=8 {
        assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::High)), None), Ok(port.into()));
    }
    assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::Low)), None), Err(NoPort));
    assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::SuperPlus)), None), Ok(9.into()));
    assert!(m.xhci().function(8).is_some() && m.xhci().function(10).is_none() && m.xhci().function(0).is_none());
}

#[test]
fn a_device_is_addressed_and_described() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    // Data stage short, then the status stage.
    assert_eq!(m.request(slot, DESCRIPTOR, 64), [(13, 46), (1, 0)]);
    assert_eq!(m.bytes(DATA, 19), (0..18).chain([0]).collect::<Vec<u8>>());
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    // SET_ADDRESS is the controller's.
    let seen = tester.with(|tester| tester.seen.len());
    assert_eq!(m.request(slot, [0, 5, 1, 0, 0, 0, 0, 0], 0), [(6, 0)]);
    assert_eq!(tester.with(|tester| tester.seen.len()), seen);
    assert_eq!(m.endpoint_state(slot, 1), 2);
    // Halted: doorbells do nothing until it is reset, and the ring stands where it failed.
    assert_eq!(m.request(slot, DESCRIPTOR, 18), []);
    let failed = m.rings[1].0 - 5 * 16;
    assert_eq!(m.dequeue(slot, 1), failed | 1);
    let control = u32::from(slot) << 24 | 1 << 16;
    assert_eq!(m.command(15, 0, control).code, 19, "not running");
    assert_eq!(m.command(14, 0, control).code, 1);
    assert_eq!((m.endpoint_state(slot, 1), m.command(14, 0, control).code), (3, 19));
    assert_eq!(m.command(16, m.rings[1].0 | 1, control).code, 1);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    assert_eq!(m.endpoint_state(slot, 1), 1);
    // A request that the device does not know.
    assert_eq!(m.request(slot, [0x80, 0xee, 0, 0, 0, 0, 8, 0], 8), [(6, 8)]);
}

#[test]
fn commands_answer_what_they_must() {
    let mut m = Machine::started();
    assert_eq!(m.command(23, 0, 0).code, 1);
    for unknown in [0, 1, 18, 19, 20, 22, 24, 25, 63] {
        assert_eq!(m.command(unknown, 0, 0).code, 5, "{unknown}");
    }
    for of_a_slot in [10, 11, 12, 13, 14, 15, 16, 17] {
        for slot in [0, 1, 64, 65, 255] {
            assert_eq!(m.command(of_a_slot, INPUT, slot << 24).code, 11, "{of_a_slot} {slot}");
        }
    }
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    // No device there; a port that is not; wrong flags.
    let slot = m.command(9, 0, 0).slot;
    m.put(CONTEXTS + 8, &device_of(1).to_le_bytes());
    m.input(port + 1, 0);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 4);
    m.input(port, 5);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 4);
    m.input(17, 0);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 17);
    m.input(port, 0);
    m.put_words(INPUT, &[0, 1]);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 17);
    // Only the slot for now, then the address.
    m.input(port, 0);
    assert_eq!(m.command(11, INPUT, slot << 24 | 1 << 9).code, 1);
    assert_eq!(m.word(DEVICE + 12), 1 << 27);
    assert_eq!(m.command(11, INPUT, slot << 24 | 1 << 9).code, 19);
    assert_eq!(m.command(12, INPUT, slot << 24).code, 19);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 1);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 19);
    // Endpoints: of the wrong direction, a control one, streams beyond what there are.
    assert_eq!(m.configure(1, &[(3, BULK_OUT, 0)]), 17);
    assert_eq!(m.configure(1, &[(4, 4, 0)]), 17);
    assert_eq!(m.configure(1, &[(4, BULK_OUT, 8)]), 17);
    assert_eq!(m.configure(1, &[(4, BULK_OUT, 0), (7, BULK_IN, 0)]), 1);
    assert_eq!((m.word(DEVICE) >> 27, m.word(DEVICE + 12)), (7, 3 << 27 | 1));
    assert_eq!((m.endpoint_state(1, 4), m.endpoint_state(1, 7)), (1, 1));
    assert_eq!(tester.with(|tester| std::mem::take(&mut tester.forgotten)), [(2, 0), (0x83, 0)]);
    assert_eq!(m.command(15, 0, slot << 24 | 5 << 16).code, 12);
    assert_eq!(m.command(16, ring_of(4), slot << 24 | 4 << 16).code, 19, "it runs");
    // Evaluate Context: packets of endpoint 0.
    m.put_words(INPUT, &[0, 2]);
    m.put_words(INPUT + 0x40, &[0, 8 << 16]);
    assert_eq!(m.command(13, INPUT, slot << 24).code, 1);
    assert_eq!(m.word(DEVICE + 0x24), 8 << 16 | 4 << 3 | 3 << 1);
    // Bandwidth, and endpoints gone again.
    assert_eq!(m.command(21, INPUT, 3 << 16).code, 1);
    assert_eq!(m.bytes(INPUT, 17), [&[0][..], &[90; 16]].concat());
    assert_eq!(m.command(12, 0, slot << 24 | 1 << 9).code, 1);
    assert_eq!((m.word(DEVICE) >> 27, m.word(DEVICE + 12), m.endpoint_state(1, 4)), (1, 2 << 27 | 1, 0));
    assert_eq!(m.command(17, 0, slot << 24).code, 1);
    assert_eq!((m.word(DEVICE + 12), m.command(17, 0, slot << 24).code), (1 << 27, 19));
    assert_eq!(m.command(10, 0, slot << 24).code, 1);
    assert_eq!((m.word(DEVICE + 12), m.command(10, 0, slot << 24).code), (0, 11));
    // As many slots as the driver wants.
    m.write(0x78, 3);
    let codes: Vec<_> = (0..4).map(|_| m.command(9, 0, 0).code).collect();
    assert_eq!(codes, [1, 1, 1, 9]);
}

#[test]
fn transfers_that_wait_are_done_later() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    assert_eq!(m.configure(slot, &[(3, INTERRUPT_IN, 0), (4, BULK_OUT, 0), (7, BULK_IN, 0)]), 1);
    // Endpoint 1 gives something when it has it.
    let first = m.queue(3, DATA, 8, 1 << 10 | 1 << 5 | 1 << 2);
    let second = m.queue(3, DATA + 8, 8, 1 << 10 | 1 << 5 | 1 << 2);
    m.ring(slot, 3);
    assert_eq!((m.events(), tester.with(|tester| tester.waiting.len())), (vec![], 2));
    tester.end(Completion::done(8));
    m.xhci().woken(port);
    tester.end(Completion::done(3));
    m.xhci().woken(port);
    let told: Vec<_> =
        m.events().iter().map(|event| (event.code, event.parameter, event.rest, event.endpoint)).collect();
    assert_eq!(told, [(1, first, 0, 3), (13, second, 5, 3)]);
    // Several TRBs: what was moved ends in the second, and the driver's own word has the sum.
    m.queue(7, DATA, 100, 1 << 10 | 1 << 4);
    let inside = m.queue(7, DATA + 0x1000, 100, 1 << 10 | 1 << 4 | 1 << 2);
    m.queue(7, DATA + 0x2000, 100, 1 << 10 | 1 << 4);
    m.queue(7, 0x1234_5678_9abc, 0, 7 << 10 | 1 << 5);
    m.ring(slot, 7);
    let told: Vec<_> =
        m.events().iter().map(|event| (event.code, event.parameter, event.rest, event.is_data)).collect();
    assert_eq!(told, [(13, inside, 50, false), (13, 0x1234_5678_9abc, 150, true)]);
    // Data in the TRB itself, and no packet at all.
    m.queue(4, 0x1122, 2, 1 << 10 | 1 << 6 | 1 << 5);
    m.queue(4, 0, 0, 1 << 10 | 1 << 5);
    m.queue(4, 0, 0, 8 << 10 | 1 << 5);
    m.ring(slot, 4);
    assert_eq!(m.events().iter().map(|event| event.code).collect::<Vec<_>>(), [1, 1, 1]);
    let lengths: Vec<_> = tester.with(|tester| tester.seen.iter().map(|seen| seen.2).collect());
    assert_eq!(lengths[lengths.len() - 2..], [2, 0]);
    // Errors halt, and take back what came behind.
    let failed = m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    tester.end(Completion::failed(Fault::Stall));
    m.xhci().woken(port);
    let told: Vec<_> = m.events().iter().map(|event| (event.code, event.parameter, event.rest)).collect();
    assert_eq!(told, [(6, failed, 8)]);
    assert_eq!((m.endpoint_state(slot, 3), m.dequeue(slot, 3)), (2, failed | 1));
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    let control = u32::from(slot) << 24 | 3 << 16;
    tester.with(|tester| tester.forgotten.clear());
    assert_eq!(m.command(14, 0, control | 1 << 9).code, 1);
    assert!(tester.with(|tester| tester.forgotten.is_empty()), "the toggle is kept");
    // Rung again it goes on where it was.
    m.ring(slot, 3);
    assert_eq!((m.events(), tester.with(|tester| tester.waiting.len())), (vec![], 2));
    // Stopped: the driver hears at what, and the ring stands there.
    m.put_trb(m.command.0, 0, 0, control | 15 << 10 | u32::from(m.command.1));
    m.write(DOORBELL, 0);
    m.command.0 += 16;
    let told: Vec<_> = m.events().iter().map(|event| (event.kind, event.code, event.parameter, event.rest)).collect();
    assert_eq!(told, [(32, 26, failed, 8), (33, 1, m.command.0 - 16, 0)]);
    assert_eq!((m.endpoint_state(slot, 3), m.dequeue(slot, 3)), (3, failed | 1));
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    // What comes now is of nobody.
    tester.with(|tester| tester.done.push((TransferId(0), Completion::done(1))));
    m.xhci().woken(port);
    assert_eq!(m.events(), []);
}

#[test]
fn what_is_pulled_out_answers_no_more() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    assert!(m.xhci().detach(port.into()).is_some());
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    let told: Vec<_> = m.events().iter().map(|event| (event.kind, event.code)).collect();
    assert_eq!(told, [(32, 4), (34, 1)]);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(4, 18)]);
    // Another one in the same port does not answer to the old address.
    let other = Shared::new(Speed::High);
    assert_eq!(m.plug(other.clone()), port);
    assert_eq!(m.command(14, 0, u32::from(slot) << 24 | 1 << 16).code, 1);
    m.ring(slot, 1);
    assert_eq!(m.events()[0].code, 4);
    assert!(other.with(|other| other.seen.is_empty()));
    assert_eq!(m.command(10, 0, u32::from(slot) << 24).code, 1);
    let slot = m.address(port, 0);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
}

#[test]
fn behind_a_hub() {
    let mut m = Machine::started();
    let (hub, far) = (Shared::new(Speed::High), Shared::new(Speed::High));
    let port = m.plug(Hub(hub.clone(), far.clone()));
    let near = m.address(port, 0);
    let slot = m.address(port, 3);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    assert_eq!((hub.with(|hub| hub.seen.len()), far.with(|far| far.seen.len())), (0, 1));
    assert_eq!((near, slot), (1, 2));
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    far.end(Completion::done(8));
    m.xhci().woken(port);
    assert_eq!(m.events().iter().map(|event| (event.slot, event.code)).collect::<Vec<_>>(), [(2, 1)]);
}

#[test]
fn plugged_and_pulled_behind_a_running_hub() {
    const POWER: u8 = 8;
    const RESET: u8 = 4;
    let mut m = Machine::started();
    let port = m.plug(crate::devices::hub::Hub::new());
    let hub = m.address(port, 0);
    let set = |m: &mut Machine, feature, port| m.request(hub, [0x23, 3, feature, 0, port, 0, 0, 0], 0);
    assert_eq!(m.request(hub, [0, 9, 1, 0, 0, 0, 0, 0], 0), [(1, 0)]);
    for port in 1..=4 {
        assert_eq!(set(&mut m, POWER, port), [(1, 0)]);
    }
    m.configure(hub, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 1, 1 << 10 | 1 << 5);
    m.ring(hub, 3);
    assert_eq!(m.events(), []);
    // What is plugged in goes into the hub, and that says so.
    let far = Shared::new(Speed::Full);
    let place = m.xhci().attach(Box::new(far.clone()), None).unwrap();
    assert_eq!(place, Place { port, behind: Some(1) });
    let told = |m: &mut Machine| m.events().iter().map(|it| (it.slot, it.endpoint, it.code)).collect::<Vec<_>>();
    assert_eq!((told(&mut m), m.bytes(DATA, 1)), (vec![(1, 3, 1)], vec![2]));
    // Nobody is there before the port is reset.
    m.put(ring_of(1), &[0; 0x1000]);
    assert_eq!(m.command(9, 0, 0).slot, 2);
    m.input(port, 1);
    assert_eq!(m.command(11, INPUT, 2 << 24).code, 4);
    assert_eq!(m.command(10, 0, 2 << 24).code, 1);
    assert_eq!(set(&mut m, RESET, 1), [(1, 0)]);
    m.put(ring_of(1), &[0; 0x1000]);
    let slot = m.address(port, 1);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    m.configure(slot, &[(2, BULK_OUT, 0)]);
    m.queue(2, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 2);
    far.end(Completion::done(8));
    m.xhci().woken(port);
    assert_eq!(told(&mut m), [(2, 2, 1)]);
    // Pulled out in the middle of something: that fails, and the hub says so.
    m.queue(2, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 2);
    m.rings[3].0 = ring_of(3) + 16;
    m.put(DATA, &[0]);
    m.queue(3, DATA, 1, 1 << 10 | 1 << 5);
    assert!(m.xhci().detach(place).is_some() && m.xhci().detach(place).is_none());
    assert_eq!(told(&mut m), [(2, 2, 4)]);
    m.ring(hub, 3);
    assert_eq!((told(&mut m), m.bytes(DATA, 1)), (vec![(1, 3, 1)], vec![2]));
    // Another one in the same port does not answer to the old address, whatever is done with the port.
    let other = Shared::new(Speed::Low);
    assert_eq!(m.xhci().attach(Box::new(other.clone()), Some(place)), Ok(place));
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(4, 18)]);
    assert!(other.with(|other| other.seen.is_empty()));
    // It is full sometime, and is not for everyone.
    for behind in 2..=4 {
        let free = Place { port, behind: Some(behind) };
        assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::High)), None), Ok(free));
        assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::High)), Some(free)), Err(NoPort));
    }
    for (place, speed, expected) in [
        (None, Speed::High, Ok(Place::from(2))),
        (None, Speed::Super, Ok(Place::from(9))),
        (Some(port.into()), Speed::High, Err(NoPort)),
        (Some(Place { port: 2, behind: Some(1) }), Speed::High, Err(NoPort)),
        (Some(Place { port, behind: Some(5) }), Speed::High, Err(NoPort)),
        (Some(Place { port: 17, behind: None }), Speed::High, Err(NoPort)),
    ] {
        assert_eq!(m.xhci().free_place(speed, place), expected, "{place:?}");
    }
    // The hub goes with all that is in it.
    assert!(m.xhci().detach(port.into()).is_some());
    assert!(m.xhci().detach(place).is_none());
}

#[test]
fn a_waker_wakes_its_port() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::Super);
    let waker = Xhci::waker(&m.xhci, 9);
    assert_eq!(m.xhci().free_place(Speed::Super, None), Ok(9.into()));
    assert_eq!(m.xhci().attach(Box::new(tester.clone()), Some(9.into())), Ok(9.into()));
    m.events();
    let slot = m.address(9, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    tester.end(Completion::done(8));
    waker.wake();
    assert_eq!(m.events().len(), 1);
    drop(m);
    waker.wake();
}

#[test]
fn streams_have_rings_of_their_own() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::Super);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    assert_eq!(m.configure(slot, &[(4, BULK_OUT, 2)]), 1);
    assert_eq!(tester.with(|tester| std::mem::take(&mut tester.forgotten)), [(2, 7)]);
    let array = ring_of(4);
    let rings = [array + 0x200, array + 0x400];
    for (stream, ring) in (2u64..).zip(rings) {
        m.put(array + 16 * stream, &(ring | 1 << 1 | 1).to_le_bytes());
        m.put_trb(ring, DATA, 16, 1 << 10 | 1 << 5 | 1);
    }
    m.write(DOORBELL + 4 * u64::from(slot), 3 << 16 | 4);
    m.write(DOORBELL + 4 * u64::from(slot), 2 << 16 | 4);
    // Not there: 0, and beyond the array.
    m.write(DOORBELL + 4 * u64::from(slot), 4);
    m.write(DOORBELL + 4 * u64::from(slot), 8 << 16 | 4);
    let told: Vec<_> = m.events().iter().map(|event| (event.code, event.parameter)).collect();
    assert_eq!(told, [(1, rings[1]), (1, rings[0])]);
    let kinds: Vec<_> = tester.with(|tester| tester.seen.iter().map(|seen| seen.1).collect());
    assert_eq!(kinds, [Kind::Bulk { stream: 3 }, Kind::Bulk { stream: 2 }]);
    let control = u32::from(slot) << 24 | 4 << 16;
    assert_eq!(m.command(15, 0, control).code, 1);
    assert_eq!(m.word(array + 32), (rings[0] as u32 + 16) | 3);
    // A stream elsewhere, and one whose context is of another kind.
    m.put_trb(ring_of(5), DATA, 4, 1 << 10 | 1 << 5 | 1);
    let at = m.command.0;
    m.put_trb(at, ring_of(5) | 3, 2 << 16, control | 16 << 10 | u32::from(m.command.1));
    m.command.0 += 16;
    m.write(DOORBELL, 0);
    assert_eq!((m.events()[0].code, m.word(array + 32)), (1, ring_of(5) as u32 | 3));
    m.write(DOORBELL + 4 * u64::from(slot), 2 << 16 | 4);
    assert_eq!(m.events()[0].parameter, ring_of(5));
    m.write(DOORBELL + 4 * u64::from(slot), 1 << 16 | 4);
    assert_eq!((m.events()[0].code, m.endpoint_state(slot, 4)), (10, 4));
}

#[test]
fn isochronous_rings_tell_when_they_are_empty_and_do_not_halt() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, 5, 0)]);
    for _ in 0..3 {
        m.queue(3, DATA, 64, 5 << 10 | 1 << 5 | 1 << 31);
    }
    m.ring(slot, 3);
    assert_eq!(tester.with(|tester| tester.seen.last().copied()), Some((0x81, Kind::Isochronous, 64)));
    for completion in [Completion::done(64), Completion::failed(Fault::Missed), Completion::done(10)] {
        tester.end(completion);
        m.xhci().woken(port);
    }
    let told: Vec<_> = m.events().iter().map(|event| (event.code, event.rest)).collect();
    assert_eq!(told, [(1, 0), (23, 64), (13, 54), (15, 0)]);
    assert_eq!(m.endpoint_state(slot, 3), 1);
    m.write(COMMAND, 0x405);
    m.bench.clock.advance(Duration::from_micros(125 * 5));
    assert_eq!(m.read(RUNTIME), 5);
    m.bench.clock.advance(Duration::from_secs(3));
    m.bench.timers.run_due();
    assert_eq!(m.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [39]);
    assert_eq!(m.read(RUNTIME), (24_005 % 16384));
}

#[test]
fn its_state_comes_back_with_what_is_in_its_ports() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0), (4, BULK_OUT, 0)]);
    let at = m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    {
        let mut xhci = m.xhci();
        check_state(&mut *xhci, |xhci| {
            xhci.bar_write(0, 0x78, Size::Dword, 2);
            Function::reset(&mut tester.clone());
            xhci.bar_write(0, port_at(port), Size::Dword, 0x202);
        });
    }
    // What it had not done is handed to it again.
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    m.bench.clock.advance(Duration::from_millis(1));
    m.bench.timers.run_due();
    assert_eq!(tester.with(|tester| tester.waiting.len()), 1);
    tester.end(Completion::done(8));
    m.xhci().woken(port);
    assert_eq!(m.events()[0].parameter, at);
    // Without the device: it was pulled out.
    let saved = m.xhci().save();
    let other = Machine::new();
    other.bench.ram.write_slice(&m.bytes(0, RAM), GuestAddress(0)).unwrap();
    other.xhci().restore(saved.clone()).unwrap();
    let (command, event, rings) = (m.command, m.event, m.rings);
    let mut other = Machine { command, event, rings, ..other };
    other.bench.clock.advance(Duration::from_millis(1));
    other.bench.timers.run_due();
    assert_eq!(other.read(port_at(port)) & 0x2_0003, 0x2_0000);
    assert_eq!(other.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [34]);
    assert_eq!(other.request(slot, DESCRIPTOR, 18), [(4, 18)]);
    // With another kind of device.
    let third = Machine::new();
    third.xhci().attach(Box::new(Hub(tester.clone(), tester.clone())), Some(port.into())).unwrap();
    assert!(third.xhci().restore(saved).is_err());
}

#[test]
fn power_on_forgets_all_but_what_is_plugged_in() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    m.xhci().reset();
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    assert_eq!((m.read(COMMAND), m.read(STATUS)), (0, 1));
    m.xhci().config_write(4, Size::Word, 6);
    m.set_up();
    m.write(port_at(port), 0x210);
    let slot = m.address(port, 0);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
}

#[test]
fn what_a_hub_resets_has_nothing_in_flight() {
    // Reset, disabled, without power, without the hub's configuration.
    for setup in [
        [0x23, 3, 4, 0, 1, 0, 0, 0],
        [0x23, 1, 1, 0, 1, 0, 0, 0],
        [0x23, 1, 8, 0, 1, 0, 0, 0],
        [0, 9, 1, 0, 0, 0, 0, 0],
    ] {
        let mut m = Machine::started();
        let port = m.plug(crate::devices::hub::Hub::new());
        let far = Shared::new(Speed::High);
        m.xhci().attach(Box::new(far.clone()), None).unwrap();
        let hub = m.address(port, 0);
        let mut next = ring_of(1);
        let mut request = |m: &mut Machine, setup: [u8; 8]| {
            // The device's ring is at the same place.
            m.rings[1] = (next, true);
            next += 0x20;
            m.request(hub, setup, 0);
        };
        for setup in [[0, 9, 1, 0, 0, 0, 0, 0], [0x23, 3, 8, 0, 1, 0, 0, 0], [0x23, 3, 4, 0, 1, 0, 0, 0]] {
            request(&mut m, setup);
        }
        let slot = m.address(port, 1);
        m.configure(slot, &[(2, BULK_OUT, 0)]);
        m.queue(2, DATA, 8, 1 << 10 | 1 << 5);
        m.ring(slot, 2);
        assert_eq!(far.with(|far| far.waiting.len()), 1);
        // What it had has failed when that is over.
        request(&mut m, setup);
        assert_eq!((m.endpoint_state(slot, 2), far.with(|far| far.waiting.len())), (2, 0), "{setup:?}");
    }
}
