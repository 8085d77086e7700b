//! The controller's saved state, with those of the devices in its ports.
//!
//! Nothing is in flight in it: what a function has not done stands on its ring, and is handed to it again. A device that cannot be
//! saved, or is not there when the state is restored, has been pulled out; one that is there and was not is found.

use device::pci::PciCoreState;
use device::{RestoreError, Section, State};
use serde::{Deserialize, Serialize};

use super::context::{ENDPOINTS, EndpointKind, EndpointState, SlotState};
use super::interrupter::Interrupter;
use super::port::PortState;
use super::registers::{Command, INTERRUPTERS, PORTS, SLOTS, STREAM_ARRAY, Status};
use super::slot::{EndpointSlot, Slot, Streams};
use super::trb::Ring;
use super::{Registers, Xhci};
use crate::function::section;

/// The controller's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct XhciState {
    core: PciCoreState,
    registers: SavedRegisters,
    interrupters: Vec<SavedInterrupter>,
    ports: Vec<SavedPort>,
    slots: Vec<Option<SavedSlot>>,
}

/// The registers in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedRegisters(Registers);

/// An interrupter in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedInterrupter(Interrupter);

/// A port in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPort {
    state: PortState,
    /// Is something in it?
    occupied: bool,
    /// What that is, if it can be saved.
    function: Option<Section>,
}

/// A slot in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedSlot {
    state: SlotState,
    context: u64,
    port: u8,
    route: u32,
    /// Is what it was addressed for still there?
    connected: bool,
    endpoints: Vec<Option<SavedEndpoint>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedEndpoint {
    kind: EndpointKind,
    state: EndpointState,
    streams: Option<(u64, u16)>,
    rings: Vec<(u16, Ring)>,
}

impl Registers {
    fn is_possible(&self) -> bool {
        let Self {
            command,
            status,
            notification: _,
            command_ring,
            commands_run: _,
            contexts,
            configure,
            is_saved: _,
            started: _,
            frames_told: _,
        } = self;
        let runs = command & Command::RUN.bits() != 0;
        command & !Command::KEPT.bits() == 0
            && status & !(Status::CLEARS | Status::HALTED).bits() == 0
            && runs != (status & Status::HALTED.bits() != 0)
            && command_ring.is_possible()
            && contexts & 0x3f == 0
            && configure & !0x3ff == 0
    }
}

impl SavedEndpoint {
    fn of(endpoint: &EndpointSlot) -> Self {
        let EndpointSlot { kind, state, streams, rings: _, in_flight: _, trbs: _, told_empty: _ } = endpoint;
        Self {
            kind: *kind,
            state: *state,
            streams: streams.map(|Streams { array, count }| (array, count)),
            rings: endpoint.dequeues().into_iter().collect(),
        }
    }

    fn restored(self, number: u8) -> Option<EndpointSlot> {
        let Self { kind, state, streams, rings } = self;
        let most = 2 << STREAM_ARRAY;
        let streams_are_right = match streams {
            None => rings.len() == 1 && rings.iter().all(|(stream, _)| *stream == 0),
            Some((array, count)) => {
                let is_bulk = kind == EndpointKind::Bulk && array & 0xf == 0;
                let is_size = count.is_power_of_two() && (4..=most).contains(&count);
                is_bulk && is_size && rings.iter().all(|(stream, _)| (1..count).contains(stream))
            }
        };
        let right = streams_are_right
            && (kind == EndpointKind::Control) == (number == 1)
            && state != EndpointState::Disabled
            && rings.iter().all(|(_, ring)| ring.is_possible());
        right.then(|| {
            let mut endpoint = EndpointSlot::new(kind, 0, 0);
            endpoint.state = state;
            endpoint.streams = streams.map(|(array, count)| Streams { array, count });
            endpoint.rings = rings.into_iter().collect();
            endpoint
        })
    }
}

impl Xhci {
    fn save_slot(&self, slot: &Slot) -> SavedSlot {
        let Slot { state, context, port, generation, route, endpoints } = slot;
        let found = self.ports.get(usize::from(*port).wrapping_sub(1));
        SavedSlot {
            state: *state,
            context: *context,
            port: *port,
            route: *route,
            connected: found.is_some_and(|found| found.generation == *generation),
            endpoints: endpoints.iter().map(|endpoint| endpoint.as_ref().map(SavedEndpoint::of)).collect(),
        }
    }

    fn restored_slot(&self, saved: SavedSlot) -> Option<Slot> {
        let SavedSlot { state, context, port, route, connected, endpoints } = saved;
        let has_default = endpoints.first()?.is_some();
        let has_others = endpoints.iter().skip(1).any(Option::is_some);
        let right = match state {
            SlotState::Enabled => port == 0 && !has_default && !has_others,
            SlotState::Default | SlotState::Addressed => has_default && !has_others,
            SlotState::Configured => has_default && has_others,
        };
        let is_place = context & 0x3f == 0 && port <= PORTS && (port == 0) == (state == SlotState::Enabled);
        if !right || !is_place || route >> 20 != 0 || endpoints.len() != usize::from(ENDPOINTS) {
            return None;
        }
        let mut slot = Slot { state, context, port, route, ..Slot::new() };
        for (number, (own, saved)) in (1..).zip(slot.endpoints.iter_mut().zip(endpoints)) {
            if let Some(saved) = saved {
                *own = Some(saved.restored(number)?);
            }
        }
        if let Some(found) = self.ports.get(usize::from(port).wrapping_sub(1)) {
            slot.generation = if connected { found.generation } else { found.generation.wrapping_sub(1) };
        }
        Some(slot)
    }
}

impl State for Xhci {
    const KIND: &'static str = "xhci";
    type Saved = XhciState;

    fn save(&self) -> XhciState {
        let Self {
            core,
            clock: _,
            timers: _,
            registers,
            interrupters,
            ports,
            slots,
            due: _,
            turn: _,
            woken: _,
            found_anew: _,
            next_transfer: _,
        } = self;
        XhciState {
            core: core.save(),
            registers: SavedRegisters(registers.clone()),
            interrupters: interrupters.iter().cloned().map(SavedInterrupter).collect(),
            ports: ports
                .iter()
                .map(|port| SavedPort {
                    state: port.state.clone(),
                    occupied: port.function.is_some(),
                    function: port.function.as_ref().and_then(|function| section(&**function)),
                })
                .collect(),
            slots: slots.iter().map(|slot| slot.as_ref().map(|slot| self.save_slot(slot))).collect(),
        }
    }

    fn restore(&mut self, saved: XhciState) -> Result<(), RestoreError> {
        let XhciState { core, registers: SavedRegisters(registers), interrupters, ports, slots } = saved;
        let interrupters: Vec<_> = interrupters.into_iter().map(|SavedInterrupter(saved)| saved).collect();
        let now = self.clock.now();
        for (possible, field) in [
            (registers.is_possible(), "register"),
            (
                interrupters.len() == INTERRUPTERS && interrupters.iter().all(|saved| saved.is_possible(now)),
                "interrupter",
            ),
            (ports.len() == usize::from(PORTS) && ports.iter().all(|saved| saved.state.is_possible()), "port"),
            (slots.len() == usize::from(SLOTS), "number of slots"),
        ] {
            if !possible {
                return Err(Self::impossible(field));
            }
        }
        // What functions have now is of a time that is over.
        self.take_back_all(None);
        let mut restored = Vec::new();
        for slot in slots {
            restored.push(match slot {
                None => None,
                Some(saved) => Some(self.restored_slot(saved).ok_or(Self::impossible("slot"))?),
            });
        }
        if !self.core.restore(core) {
            return Err(Self::impossible("PCI state"));
        }
        (self.registers, self.interrupters, self.slots) = (registers, interrupters, restored);
        self.due.clear();
        self.woken.clear();
        self.found_anew.clear();
        for (number, (port, SavedPort { state, occupied, function })) in (1..).zip(self.ports.iter_mut().zip(ports)) {
            port.state = state;
            match (&mut port.function, function) {
                (Some(own), Some(saved)) if occupied => own.restore_section(saved)?,
                (None, _) if !occupied => {}
                (own, _) => {
                    port.generation = port.generation.wrapping_add(1);
                    match own {
                        Some(function) => {
                            function.reset();
                            port.found();
                        }
                        None => port.lost(),
                    }
                    self.found_anew.insert(number);
                }
            }
        }
        self.make_all_due();
        // Guest RAM is as it was saved when the machine runs.
        self.work_later();
        self.update_interrupt();
        Ok(())
    }
}
