//! A slot: a device that has been addressed, and its endpoints with their rings (xHCI 1.2 §4.5.3, §4.8, §4.12).
//!
//! What stands here counts; the contexts in guest RAM are written whenever a state changes, and read when a command says so.

use std::collections::{BTreeMap, VecDeque};

use super::context::{ENDPOINTS, EndpointKind, EndpointState, SlotState};
use super::report::{TD_TRBS, Td};
use super::trb::Ring;
use crate::{Place, TransferId};

/// A TD that a function has.
pub(super) struct InFlight {
    pub(super) id: TransferId,
    pub(super) stream: u16,
    pub(super) td: Td,
}

/// The streams of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streams {
    /// Their array in guest RAM.
    pub(super) array: u64,
    /// Contexts in it, a power of two; the first is not used.
    pub(super) count: u16,
}

/// An endpoint that is not disabled.
pub(super) struct EndpointSlot {
    pub(super) kind: EndpointKind,
    pub(super) state: EndpointState,
    pub(super) streams: Option<Streams>,
    /// By stream, 0 where there are none: where the next TD is to be found. Those of streams are read when they are first rung.
    pub(super) rings: BTreeMap<u16, Ring>,
    /// What the function has, oldest first.
    pub(super) in_flight: VecDeque<InFlight>,
    /// TRBs of those.
    pub(super) trbs: usize,
    /// An isochronous ring that ran empty was told of.
    pub(super) told_empty: bool,
}

/// TRBs that a function gets before it has done the first TD, but for one: what they take of this computer's memory is more than the
/// guest's own rings need be.
const MOST_TRBS: usize = 4 * TD_TRBS;

impl EndpointSlot {
    /// One that runs. `dequeue` is its ring's pointer, or its streams' array.
    pub(super) fn new(kind: EndpointKind, dequeue: u64, streams: u8) -> Self {
        let mut rings = BTreeMap::new();
        let streams = match streams {
            0 => {
                rings.insert(0, Ring::of_pointer(dequeue));
                None
            }
            _ => Some(Streams { array: dequeue & !0xf, count: 2 << streams }),
        };
        let (state, in_flight) = (EndpointState::Running, VecDeque::new());
        Self { kind, state, streams, rings, in_flight, trbs: 0, told_empty: true }
    }

    /// The function has a TD.
    pub(super) fn begin(&mut self, in_flight: InFlight) {
        self.trbs += in_flight.td.trbs();
        self.in_flight.push_back(in_flight);
    }

    /// It has done it.
    pub(super) fn end(&mut self, id: TransferId) {
        let Some(at) = self.in_flight.iter().position(|in_flight| in_flight.id == id) else { return };
        self.trbs -= self.in_flight.remove(at).map_or(0, |ended| ended.td.trbs());
    }

    /// Does the function get no more for now?
    pub(super) fn is_full(&self) -> bool {
        self.in_flight.len() >= self.most_in_flight() || self.trbs >= MOST_TRBS
    }

    /// TDs that a function gets before it has done the first.
    fn most_in_flight(&self) -> usize {
        match self.kind {
            EndpointKind::Control => 1,
            EndpointKind::Isochronous => 512,
            EndpointKind::Bulk if self.streams.is_some() => 256,
            EndpointKind::Bulk | EndpointKind::Interrupt => 32,
        }
    }

    /// Does an error not halt it?
    pub(super) fn forgives(&self) -> bool {
        self.kind == EndpointKind::Isochronous
    }

    /// Where the rings stand for the driver: at the first TD that is not done.
    pub(super) fn dequeues(&self) -> BTreeMap<u16, Ring> {
        let mut rings = self.rings.clone();
        for InFlight { stream, td, .. } in self.in_flight.iter().rev() {
            rings.insert(*stream, td.start);
        }
        rings
    }

    /// Takes back what the function has not done; those are to be cancelled.
    pub(super) fn rewind(&mut self) -> Vec<TransferId> {
        self.rings = self.dequeues();
        self.trbs = 0;
        self.in_flight.drain(..).map(|in_flight| in_flight.id).collect()
    }
}

/// A slot that is enabled.
pub(super) struct Slot {
    pub(super) state: SlotState,
    /// The device context.
    pub(super) context: u64,
    /// The root port, 1 being the first; 0 before there is an address.
    pub(super) port: u8,
    /// Of what was in the port then.
    pub(super) generation: u32,
    /// The way from there: a hub's port per tier, four bits each, the lowest first.
    pub(super) route: u32,
    pub(super) endpoints: [Option<EndpointSlot>; ENDPOINTS as usize],
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            state: SlotState::Enabled,
            context: 0,
            port: 0,
            generation: 0,
            route: 0,
            endpoints: [const { None }; ENDPOINTS as usize],
        }
    }

    /// Is it there, or behind that?
    pub(super) fn is_at(&self, place: Place) -> bool {
        self.port == place.port && place.behind.is_none_or(|behind| self.route & 0xf == u32::from(behind))
    }

    /// Endpoint `number`, 1 being the default one.
    pub(super) fn endpoint(&mut self, number: u8) -> Option<&mut EndpointSlot> {
        self.endpoints.get_mut(usize::from(number).checked_sub(1)?)?.as_mut()
    }

    /// The greatest endpoint there is.
    pub(super) fn entries(&self) -> u8 {
        self.endpoints.iter().rposition(Option::is_some).map_or(0, |at| at as u8 + 1)
    }
}
