//! From rings to functions and back (xHCI 1.2 §4.10, §4.11, §4.12).
//!
//! A doorbell makes a ring due. Rings that are due take turns; what is looked at in one call is bounded, and what is left goes on by a
//! timer. While an event ring is full, nothing new is begun.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::context::{EndpointContext, EndpointKind, EndpointState, Words, endpoint_of, place};
use super::report::{Asks, Report, Td};
use super::slot::{InFlight, Slot};
use super::trb::{Broken, Code, EventKind, Ring, Trb};
use super::{Port, Xhci};
use crate::{Completion, Fault, Function, Kind, Memory, Place, Setup, Transfer, TransferId};

/// TRBs that are looked at in one call.
const LOOKED: usize = 2 * super::report::TD_TRBS;
/// Transfers that are collected of one port in one call.
pub(super) const COLLECTED: usize = 1024;
/// Bytes of a stream context.
const STREAM_CONTEXT: u64 = 16;

/// Which ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) slot: u8,
    pub(super) endpoint: u8,
    pub(super) stream: u16,
}

/// What a slot was addressed for, if it is still there.
pub(super) fn placed<'a>(ports: &'a mut [Port], slot: &Slot) -> Option<&'a mut dyn Function> {
    let port = ports.get_mut(usize::from(slot.port).checked_sub(1)?)?;
    if port.generation == slot.generation { behind(port, slot.route) } else { None }
}

/// The same, if it answers: its port is enabled and does not sleep.
fn answering<'a>(ports: &'a mut [Port], slot: &Slot) -> Option<&'a mut dyn Function> {
    let is_active = ports.get(usize::from(slot.port).checked_sub(1)?)?.is_active();
    if is_active { placed(ports, slot) } else { None }
}

/// What is at the end of a route from a port.
pub(super) fn behind(port: &mut Port, mut route: u32) -> Option<&mut dyn Function> {
    let mut function: &mut dyn Function = &mut **port.function.as_mut()?;
    while route != 0 {
        function = function.ports()?.child((route & 0xf) as u8)?;
        route >>= 4;
    }
    Some(function)
}

impl Xhci {
    /// A slot's doorbell.
    pub(super) fn ring_doorbell(&mut self, slot: u8, value: u32) {
        let key = Key { slot, endpoint: value as u8, stream: (value >> 16) as u16 };
        let Some(endpoint) = self.endpoint(key) else { return };
        match endpoint.state {
            EndpointState::Stopped => {
                endpoint.state = EndpointState::Running;
                self.write_endpoint(key.slot, key.endpoint);
            }
            EndpointState::Running => {}
            _ => return,
        }
        self.make_due(key);
        self.work();
    }

    fn endpoint(&mut self, key: Key) -> Option<&mut super::slot::EndpointSlot> {
        self.slot(key.slot)?.endpoint(key.endpoint)
    }

    fn make_due(&mut self, key: Key) {
        let Some(endpoint) = self.endpoint(key) else { return };
        let is_there = match endpoint.streams {
            None => key.stream == 0,
            Some(streams) => (1..streams.count).contains(&key.stream),
        };
        if is_there {
            endpoint.told_empty = false;
            self.due.insert(key);
        }
    }

    /// All rings that may have something are due.
    pub(super) fn make_all_due(&mut self) {
        for slot in 1..=super::registers::SLOTS {
            for endpoint in 1..=super::context::ENDPOINTS {
                let key = Key { slot, endpoint, stream: 0 };
                let Some(running) = self.endpoint(key).filter(|found| found.state == EndpointState::Running) else {
                    continue;
                };
                let streams: Vec<_> = running.rings.keys().copied().collect();
                for stream in streams {
                    self.make_due(Key { stream, ..key });
                }
            }
        }
    }

    /// Goes on with what is due, as far as one call may.
    pub(super) fn work(&mut self) {
        let mut looked = 0;
        while self.is_running() && !self.due.is_empty() {
            if self.events_wait() {
                // The driver will make room.
                return;
            }
            if looked >= LOOKED {
                self.work_later();
                return;
            }
            let behind = (Bound::Excluded(self.turn), Bound::Unbounded);
            let Some(key) = self.due.range(behind).next().or_else(|| self.due.first()).copied() else { return };
            self.turn = key;
            if !self.step(key, &mut looked) {
                self.due.remove(&key);
            }
        }
    }

    /// Begins one TD of a ring. False when there is none, or not now.
    fn step(&mut self, key: Key, looked: &mut usize) -> bool {
        *looked += 1;
        let dma = self.core.dma().clone();
        let Some(slot) = self.slots.get_mut(usize::from(key.slot) - 1).and_then(Option::as_mut) else { return false };
        let Some(endpoint) = slot.endpoint(key.endpoint) else { return false };
        if endpoint.state != EndpointState::Running {
            return false;
        }
        let kind = endpoint.kind;
        let ring = match (endpoint.rings.get(&key.stream), endpoint.streams) {
            (Some(ring), _) => *ring,
            (None, Some(streams)) => match read_stream(streams.array, key.stream, &dma) {
                Ok(ring) => ring,
                Err(Broken::NotRam) => {
                    self.fail();
                    return false;
                }
                Err(Broken::Senseless) => {
                    let event = Trb::event(EventKind::Transfer, Code::InvalidStreamType, 0, 0);
                    self.transfer_event(key, Report { interrupter: 0, event, interrupts: true });
                    self.settle(key, EndpointState::Error);
                    return false;
                }
            },
            (None, None) => return false,
        };
        endpoint.rings.insert(key.stream, ring);
        if endpoint.is_full() {
            // It is due again when there is room.
            return false;
        }
        let mut behind = ring;
        let td = match Td::take(&mut behind, kind.shape(), &dma, looked) {
            Ok(Some(td)) => td,
            Ok(None) => {
                if kind == EndpointKind::Isochronous && endpoint.in_flight.is_empty() && !endpoint.told_empty {
                    endpoint.told_empty = true;
                    self.ran_empty(key);
                }
                return false;
            }
            Err(Broken::NotRam) => {
                self.fail();
                return false;
            }
            Err(Broken::Senseless) => {
                let event = Trb::event(EventKind::Transfer, Code::TrbError, ring.at, 0);
                self.transfer_event(key, Report { interrupter: 0, event, interrupts: true });
                self.settle(key, EndpointState::Error);
                return false;
            }
        };
        endpoint.rings.insert(key.stream, behind);
        let asks = td.asks(kind.shape());
        let id = TransferId(self.next_transfer);
        self.next_transfer += 1;
        let pieces = td.pieces();
        endpoint.begin(InFlight { id, stream: key.stream, td });
        let kind = match (asks, kind) {
            (Asks::Nothing, _) => {
                self.finish(key.slot, key.endpoint, id, Completion::done(0));
                return true;
            }
            (Asks::Nonsense, _) => {
                self.refuse(key, id);
                return false;
            }
            (Asks::Request(setup), _) => Kind::Control(setup),
            (Asks::Data, EndpointKind::Isochronous) => Kind::Isochronous,
            (Asks::Data, EndpointKind::Interrupt) => Kind::Interrupt,
            (Asks::Data, _) => Kind::Bulk { stream: key.stream },
        };
        let transfer = Transfer { id, endpoint: endpoint_of(key.endpoint), kind, memory: Memory::new(dma, pieces) };
        let length = transfer.memory.len();
        let (answer, resets) = match answering(&mut self.ports, slot) {
            None => (Some(Completion::failed(Fault::Transaction)), 0),
            // Addresses are given by command; a device that hears of one is lost.
            Some(_) if is_set_address(&transfer.kind) => (Some(Completion::failed(Fault::Stall)), 0),
            Some(function) => {
                let is_request = matches!(transfer.kind, Kind::Control(_));
                let answer = function.submit(transfer);
                let ports = if is_request { function.ports() } else { None };
                (answer, ports.map_or(0, |ports| ports.take_resets()))
            }
        };
        let port = slot.port;
        for behind in (1..8).filter(|behind| resets >> behind & 1 != 0) {
            self.fail_all(Place { port, behind: Some(behind) });
        }
        if let Some(completion) = answer {
            let completion = Completion { length: completion.length.min(length), ..completion };
            self.finish(key.slot, key.endpoint, id, completion);
        }
        // It may have finished others.
        self.collect_of(key.slot, LOOKED);
        true
    }

    /// A transfer is done: tells the driver, and halts the endpoint if that went wrong.
    fn finish(&mut self, slot: u8, number: u8, id: TransferId, completion: Completion) {
        let Some(endpoint) = self.slot(slot).and_then(|slot| slot.endpoint(number)) else { return };
        let Some(at) = endpoint.in_flight.iter().position(|in_flight| in_flight.id == id) else { return };
        let halts = completion.fault.is_some() && !endpoint.forgives();
        let (stream, reports) = (endpoint.in_flight[at].stream, endpoint.in_flight[at].td.reports(completion));
        let key = Key { slot, endpoint: number, stream };
        for report in reports {
            self.transfer_event(key, report);
        }
        match halts {
            // The ring stands at what went wrong.
            true => self.settle(key, EndpointState::Halted),
            false => {
                self.due.insert(key);
                let Some(endpoint) = self.endpoint(key) else { return };
                let was_full = endpoint.is_full();
                endpoint.end(id);
                if was_full {
                    // So are the streams that found no room.
                    let streams: Vec<_> = endpoint.rings.keys().copied().collect();
                    self.due.extend(streams.into_iter().map(|stream| Key { stream, ..key }));
                }
            }
        }
    }

    /// A TD that makes no sense.
    fn refuse(&mut self, key: Key, id: TransferId) {
        let Some(endpoint) = self.endpoint(key) else { return };
        let report = endpoint.in_flight.iter().find(|in_flight| in_flight.id == id);
        if let Some(report) = report.and_then(|in_flight| in_flight.td.cut_short(Code::TrbError)) {
            self.transfer_event(key, report);
        }
        self.settle(key, EndpointState::Error);
    }

    fn ran_empty(&mut self, key: Key) {
        let code = match endpoint_of(key.endpoint).direction {
            crate::Direction::Out => Code::RingUnderrun,
            crate::Direction::In => Code::RingOverrun,
        };
        let event = Trb::event(EventKind::Transfer, code, 0, 0);
        self.transfer_event(key, Report { interrupter: 0, event, interrupts: true });
    }

    pub(super) fn transfer_event(&mut self, key: Key, report: Report) {
        let Report { interrupter, mut event, interrupts } = report;
        event.control |= u32::from(key.slot) << 24 | u32::from(key.endpoint) << 16;
        self.tell(interrupter, event, interrupts);
    }

    /// Takes back all that an endpoint's function has, and puts it into `state`.
    pub(super) fn settle(&mut self, key: Key, state: EndpointState) {
        self.take_back(key.slot, key.endpoint);
        if let Some(endpoint) = self.endpoint(key) {
            endpoint.state = state;
            self.write_endpoint(key.slot, key.endpoint);
        }
    }

    /// Takes back all that an endpoint's function has: its ring stands before the first of them.
    pub(super) fn take_back(&mut self, slot: u8, number: u8) {
        self.due.retain(|due| (due.slot, due.endpoint) != (slot, number));
        let Some(slot) = self.slots.get_mut(usize::from(slot).wrapping_sub(1)).and_then(Option::as_mut) else { return };
        let Some(endpoint) = slot.endpoint(number) else { return };
        let cancelled = endpoint.rewind();
        let slot = &*slot;
        if let Some(function) = placed(&mut self.ports, slot) {
            // The newest first: none of them has its turn for another that is gone.
            for id in cancelled.into_iter().rev() {
                function.cancel(id);
            }
        }
    }

    /// Takes back everything of the slots behind a root port, or of all.
    pub(super) fn take_back_all(&mut self, port: Option<u8>) {
        for slot in 1..=super::registers::SLOTS {
            let Some(found) = self.slot(slot) else { continue };
            if port.is_none_or(|port| found.port == port) {
                for endpoint in 1..=super::context::ENDPOINTS {
                    self.take_back(slot, endpoint);
                }
            }
        }
    }

    /// Writes an endpoint's state and dequeue pointers to its context.
    pub(super) fn write_endpoint(&mut self, slot: u8, number: u8) {
        let dma = self.core.dma().clone();
        let Some(slot) = self.slot(slot) else { return };
        let at = place(slot.context, number);
        let (state, dequeues, streams) = match slot.endpoint(number) {
            Some(endpoint) => (endpoint.state, endpoint.dequeues(), endpoint.streams),
            None => (EndpointState::Disabled, BTreeMap::new(), None),
        };
        let written = Words::get(at, &dma).and_then(|words| {
            let mut context = EndpointContext(words);
            context.set_state(state);
            if let (None, Some(ring)) = (streams, dequeues.get(&0)) {
                context.set_ring(*ring);
            }
            context.0.put(at, &dma)
        });
        let streams_written = streams.map_or(Ok(()), |streams| {
            dequeues.iter().try_for_each(|(stream, ring)| {
                let at = streams.array.wrapping_add(STREAM_CONTEXT * u64::from(*stream));
                dma.write(at, &(ring.pointer() | PRIMARY_RING).to_le_bytes())
            })
        });
        if written.and(streams_written).is_err() {
            self.fail();
        }
    }

    /// Collects what has been done behind a root port.
    pub(super) fn collect(&mut self, port: u8) {
        let mut left = COLLECTED;
        for number in 1..=super::registers::SLOTS {
            if self.slot(number).is_some_and(|slot| slot.port == port) {
                left -= self.collect_of(number, left);
                if left == 0 {
                    self.woken.insert(port);
                    return self.work_later();
                }
            }
        }
    }

    /// Collects what a slot's function has done, up to `most` of it. Gives how many there were.
    pub(super) fn collect_of(&mut self, number: u8, most: usize) -> usize {
        for done in 0..most {
            let Some(slot) = self.slots.get(usize::from(number).wrapping_sub(1)).and_then(Option::as_ref) else {
                return done;
            };
            let port = slot.port;
            match answering(&mut self.ports, slot).and_then(|function| function.collect()) {
                Some((id, completion)) => self.collected(port, id, completion),
                None => return done,
            }
        }
        most
    }

    fn collected(&mut self, port: u8, id: TransferId, completion: Completion) {
        let slots = self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
        let found = slots.filter(|(_, slot)| slot.port == port).find_map(|(at, slot)| {
            let mut endpoints = slot.endpoints.iter().enumerate().filter_map(|(at, found)| Some((at, found.as_ref()?)));
            endpoints.find_map(|(number, endpoint)| {
                let in_flight = endpoint.in_flight.iter().find(|in_flight| in_flight.id == id)?;
                Some((at as u8 + 1, number as u8 + 1, in_flight.td.length()))
            })
        });
        // What is not there was cancelled.
        if let Some((slot, endpoint, length)) = found {
            let completion = Completion { length: completion.length.min(length), ..completion };
            self.finish(slot, endpoint, id, completion);
        }
    }

    /// What is in a place is pulled out.
    pub(super) fn break_off(&mut self, place: Place) {
        self.fail_all(place);
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.is_at(place)) {
            // Whatever is there next has not got this address.
            slot.generation = slot.generation.wrapping_sub(1);
        }
    }

    /// What is in flight to a place, or behind it, has failed.
    fn fail_all(&mut self, place: Place) {
        let mut broken = Vec::new();
        for (at, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot.as_ref().filter(|slot| slot.is_at(place)) else { continue };
            let endpoints = slot.endpoints.iter().enumerate().filter_map(|(at, found)| Some((at, found.as_ref()?)));
            for (number, endpoint) in endpoints {
                let ids = endpoint.in_flight.iter().map(|in_flight| in_flight.id);
                broken.extend(ids.map(|id| (at as u8 + 1, number as u8 + 1, id)));
            }
        }
        for &(slot, _, id) in broken.iter().rev() {
            let slot = self.slots[usize::from(slot) - 1].as_ref();
            if let Some(function) = slot.and_then(|slot| placed(&mut self.ports, slot)) {
                function.cancel(id);
            }
        }
        for (slot, endpoint, id) in broken {
            self.finish(slot, endpoint, id, Completion::failed(Fault::Transaction));
        }
    }
}

/// SCT of a stream that is a primary ring.
const PRIMARY_RING: u64 = 1 << 1;

/// The ring of a stream, from its context (§6.2.4.1).
fn read_stream(array: u64, stream: u16, dma: &device::Dma) -> Result<Ring, Broken> {
    let mut bytes = [0; 8];
    dma.read(array.wrapping_add(STREAM_CONTEXT * u64::from(stream)), &mut bytes)?;
    let pointer = u64::from_le_bytes(bytes);
    match pointer & 0xe == PRIMARY_RING {
        true => Ok(Ring::of_pointer(pointer)),
        false => Err(Broken::Senseless),
    }
}

fn is_set_address(kind: &Kind) -> bool {
    matches!(kind, Kind::Control(Setup { kind: 0, request: 5, .. }))
}
