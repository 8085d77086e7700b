//! The command ring (xHCI 1.2 §4.6, §4.9.3, §5.4.5).
//!
//! A command is done before the next thing happens, so there is never one to abort: stopping the ring is all there is. Not known are
//! Force Event and Force Header, Negotiate Bandwidth, latency tolerance and extended properties, which are optional.

use super::Xhci;
use super::context::{ENDPOINTS, EndpointContext, EndpointState, SlotContext, SlotState, Words, endpoint_of, place};
use super::registers::{Half, PORTS, SLOTS};
use super::slot::{EndpointSlot, Slot};
use super::transfers::{COLLECTED, Key, behind, placed};
use super::trb::{Broken, Code, EventKind, Ring, Trb, TrbKind};
use device::DmaError;

/// Commands that are done in one call.
const COMMANDS: usize = 256;
/// CRCR: the ring's cycle state, stop, abort, is it running.
const CYCLE: u64 = 1;
const STOPS: u32 = 1 << 1 | 1 << 2;
const RUNS: u64 = 1 << 3;
/// DC of Configure Endpoint, BSR of Address Device, TSP of Reset Endpoint.
const FLAG: u32 = 1 << 9;
/// What of a port's time is to be had, in percent.
const BANDWIDTH: u8 = 90;

impl Xhci {
    /// CRCR, of which only CRR can be read.
    pub(super) fn read_command_ring(&self, half: Half) -> u32 {
        half.of(if self.registers.commands_run { RUNS } else { 0 })
    }

    pub(super) fn write_command_ring(&mut self, half: Half, value: u32) {
        if self.registers.commands_run {
            if half == Half::Low && value & STOPS != 0 {
                self.registers.commands_run = false;
                self.complete(Code::CommandRingStopped, self.registers.command_ring.at, 0);
            }
            return;
        }
        let pointer = half.put(self.registers.command_ring.pointer(), value);
        self.registers.command_ring = Ring { at: pointer & !0x3f, cycle: pointer & CYCLE != 0 };
    }

    /// Does what stands on the command ring, as far as one call may.
    pub(super) fn run_commands(&mut self) {
        let dma = self.core.dma().clone();
        let mut looked = 0;
        while self.registers.commands_run && self.is_running() && !self.events_wait() {
            if looked >= COMMANDS {
                self.work_later();
                return;
            }
            match self.registers.command_ring.next(&dma, &mut looked) {
                Ok(Some((at, trb))) => {
                    let (code, slot) = self.command(trb);
                    self.complete(code, at, slot);
                }
                Ok(None) => return,
                Err(Broken::NotRam | Broken::Senseless) => self.fail(),
            }
        }
    }

    fn complete(&mut self, code: Code, at: u64, slot: u8) {
        let mut event = Trb::event(EventKind::CommandCompletion, code, at, 0);
        event.control |= u32::from(slot) << 24;
        self.tell(0, event, true);
    }

    fn command(&mut self, trb: Trb) -> (Code, u8) {
        let slot = trb.slot();
        let result = match trb.kind() {
            TrbKind::NoOpCommand => return (Code::Success, 0),
            TrbKind::EnableSlot => return self.enable_slot(),
            TrbKind::GetPortBandwidth => return (self.port_bandwidth(trb), 0),
            TrbKind::DisableSlot => self.disable_slot(slot),
            TrbKind::AddressDevice => self.address_device(trb),
            TrbKind::ConfigureEndpoint => self.configure_endpoint(trb),
            TrbKind::EvaluateContext => self.evaluate_context(trb),
            TrbKind::ResetEndpoint => self.reset_endpoint(trb),
            TrbKind::StopEndpoint => self.stop_endpoint(trb),
            TrbKind::SetDequeue => self.set_dequeue(trb),
            TrbKind::ResetDevice => self.reset_device(slot),
            _ => return (Code::TrbError, 0),
        };
        match result {
            Ok(()) => (Code::Success, slot),
            Err(Refusal::Code(code)) => (code, slot),
            Err(Refusal::NotRam) => {
                self.fail();
                (Code::TrbError, slot)
            }
        }
    }

    fn enable_slot(&mut self) -> (Code, u8) {
        let allowed = (self.registers.configure & 0xff).min(u32::from(SLOTS)) as usize;
        match self.slots[..allowed].iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = Some(Slot::new());
                (Code::Success, free as u8 + 1)
            }
            None => (Code::NoSlots, 0),
        }
    }

    fn enabled(&mut self, slot: u8) -> Result<&mut Slot, Refusal> {
        self.slot(slot).ok_or(Refusal::Code(Code::SlotNotEnabled))
    }

    /// The slot, if it has been addressed, and its context.
    fn addressed(&mut self, slot: u8) -> Result<&mut Slot, Refusal> {
        let found = self.enabled(slot)?;
        match found.state {
            SlotState::Addressed | SlotState::Configured => Ok(found),
            SlotState::Enabled | SlotState::Default => Err(Refusal::Code(Code::ContextState)),
        }
    }

    fn disable_slot(&mut self, slot: u8) -> Result<(), Refusal> {
        let context = self.enabled(slot)?.context;
        for number in 1..=ENDPOINTS {
            self.take_back(slot, number);
        }
        let was = self.enabled(slot)?.state;
        self.slots[usize::from(slot) - 1] = None;
        if was != SlotState::Enabled {
            self.change_slot_context(context, |context| context.set_state(SlotState::Enabled, 0))?;
        }
        Ok(())
    }

    fn change_slot_context(&self, at: u64, change: impl FnOnce(&mut SlotContext)) -> Result<(), Refusal> {
        let dma = self.core.dma();
        let mut context = SlotContext(Words::get(at, dma)?);
        change(&mut context);
        Ok(context.0.put(at, dma)?)
    }

    /// The input context's flags: what is to go, what is to come.
    fn flags(&self, input: u64) -> Result<(u32, u32), Refusal> {
        let Words([drop, add, ..]) = Words::get(input, self.core.dma())?;
        Ok((drop, add))
    }

    fn address_device(&mut self, trb: Trb) -> Result<(), Refusal> {
        let dma = self.core.dma().clone();
        let (slot, input) = (trb.slot(), trb.parameter & !0xf);
        let only_resets = trb.control & FLAG != 0;
        match (self.enabled(slot)?.state, only_resets) {
            (SlotState::Enabled, _) | (SlotState::Default, false) => {}
            _ => return Err(Refusal::Code(Code::ContextState)),
        }
        if self.flags(input)?.1 & 3 != 3 {
            return Err(Refusal::Code(Code::Parameter));
        }
        let mut slot_context = SlotContext(Words::get(place(input, 1), &dma)?);
        let mut endpoint_context = EndpointContext(Words::get(place(input, 2), &dma)?);
        let (port, route) = (slot_context.port(), slot_context.route());
        let kind = endpoint_context.kind(1).ok_or(Refusal::Code(Code::Parameter))?;
        let mut pointer = [0; 8];
        dma.read(self.registers.contexts.wrapping_add(8 * u64::from(slot)), &mut pointer)?;
        let context = u64::from_le_bytes(pointer) & !0x3f;

        let at = usize::from(port).checked_sub(1).filter(|at| *at < usize::from(PORTS));
        let root = at.and_then(|at| self.ports.get_mut(at)).ok_or(Refusal::Code(Code::Parameter))?;
        let generation = root.generation;
        if !root.is_active() || behind(root, route).is_none() {
            return Err(Refusal::Code(Code::Transaction));
        }
        // Who had the device before has lost it: it was reset since, or the guest is wrong.
        let others = (1..).zip(&mut self.slots).filter(|(number, _)| *number != slot);
        for other in others.filter_map(|(_, other)| other.as_mut()) {
            if (other.port, other.route) == (port, route) {
                other.generation = generation.wrapping_sub(1);
            }
        }
        self.take_back(slot, 1);
        let found = self.enabled(slot)?;
        let (state, address) = if only_resets { (SlotState::Default, 0) } else { (SlotState::Addressed, slot) };
        let dequeue = endpoint_context.dequeue();
        (found.state, found.context, found.port, found.route, found.generation) =
            (state, context, port, route, generation);
        found.endpoints[0] = Some(EndpointSlot::new(kind, dequeue, 0));
        slot_context.set_state(state, address);
        endpoint_context.set_state(EndpointState::Running);
        slot_context.0.put(context, &dma)?;
        endpoint_context.0.put(place(context, 1), &dma)?;
        Ok(())
    }

    fn configure_endpoint(&mut self, trb: Trb) -> Result<(), Refusal> {
        let dma = self.core.dma().clone();
        let (slot, input) = (trb.slot(), trb.parameter & !0xf);
        let context = self.addressed(slot)?.context;
        if trb.control & FLAG != 0 {
            for number in 2..=ENDPOINTS {
                self.drop_endpoint(slot, number);
            }
            self.enabled(slot)?.state = SlotState::Addressed;
            return self.change_slot_context(context, |context| {
                context.set_entries(1);
                context.set_state(SlotState::Addressed, slot);
            });
        }
        let (drop, add) = self.flags(input)?;
        if drop & 3 != 0 || add & 3 != 1 {
            return Err(Refusal::Code(Code::Parameter));
        }
        let slot_context = SlotContext(Words::get(place(input, 1), &dma)?);
        let mut added = Vec::new();
        for number in (2..=ENDPOINTS).filter(|number| add >> number & 1 != 0) {
            let endpoint = EndpointContext(Words::get(place(input, number + 1), &dma)?);
            let kind = endpoint.kind(number).ok_or(Refusal::Code(Code::Parameter))?;
            let streams = endpoint.streams(kind).ok_or(Refusal::Code(Code::Parameter))?;
            added.push((number, endpoint, kind, streams));
        }
        for number in (2..=ENDPOINTS).filter(|number| (drop | add) >> number & 1 != 0) {
            self.drop_endpoint(slot, number);
        }
        for (number, mut endpoint, kind, streams) in added {
            let new = EndpointSlot::new(kind, endpoint.dequeue(), streams);
            let count = new.streams.map_or(0, |streams| streams.count - 1);
            let found = self.enabled(slot)?;
            found.endpoints[usize::from(number) - 1] = Some(new);
            // At once: a context that is no RAM ends it here.
            found.state = SlotState::Configured;
            self.forget_endpoint(slot, number, count);
            endpoint.set_state(EndpointState::Running);
            endpoint.0.put(place(context, number), &dma)?;
        }
        let found = self.enabled(slot)?;
        let entries = found.entries();
        found.state = if entries > 1 { SlotState::Configured } else { SlotState::Addressed };
        let state = found.state;
        self.change_slot_context(context, |context| {
            // Where it is stays; a hub says now that it is one.
            let (old, new) = (&mut context.0.0, slot_context.0.0);
            old[0] = old[0] & 0x00ff_ffff | new[0] & 0x0600_0000;
            old[1] = old[1] & 0x00ff_0000 | new[1] & 0xff00_ffff;
            old[2] = new[2];
            context.set_entries(entries);
            context.set_state(state, slot);
        })
    }

    fn drop_endpoint(&mut self, slot: u8, number: u8) {
        self.take_back(slot, number);
        let Some(found) = self.slot(slot) else { return };
        if found.endpoints[usize::from(number) - 1].take().is_some() {
            self.forget_endpoint(slot, number, 0);
            self.write_endpoint(slot, number);
        }
    }

    /// The function hears that an endpoint begins anew.
    fn forget_endpoint(&mut self, slot: u8, number: u8, streams: u16) {
        let Some(slot) = self.slots.get(usize::from(slot).wrapping_sub(1)).and_then(Option::as_ref) else { return };
        if let Some(function) = placed(&mut self.ports, slot) {
            function.endpoint_reset(endpoint_of(number), streams);
        }
    }

    fn evaluate_context(&mut self, trb: Trb) -> Result<(), Refusal> {
        let dma = self.core.dma().clone();
        let (slot, input) = (trb.slot(), trb.parameter & !0xf);
        let found = self.enabled(slot)?;
        if found.state == SlotState::Enabled {
            return Err(Refusal::Code(Code::ContextState));
        }
        let context = found.context;
        let (_, add) = self.flags(input)?;
        if add & 1 != 0 {
            let Words(new) = Words::get(place(input, 1), &dma)?;
            self.change_slot_context(context, |context| {
                let Words(old) = &mut context.0;
                // The greatest exit latency, and the interrupter.
                old[1] = old[1] & !0xffff | new[1] & 0xffff;
                old[2] = old[2] & 0x003f_ffff | new[2] & !0x003f_ffff;
            })?;
        }
        if add & 2 != 0 {
            let Words(new) = Words::get(place(input, 2), &dma)?;
            let at = place(context, 1);
            let Words(mut old) = Words::get(at, &dma)?;
            // The default endpoint's packets.
            old[1] = old[1] & 0xffff | new[1] & !0xffff;
            Words(old).put(at, &dma)?;
        }
        Ok(())
    }

    /// A command's endpoint, and the state it must be in.
    fn endpoint_in(&mut self, trb: Trb, states: &[EndpointState]) -> Result<&mut EndpointSlot, Refusal> {
        let slot = self.enabled(trb.slot())?;
        let endpoint = slot.endpoint(trb.endpoint()).ok_or(Refusal::Code(Code::EndpointNotEnabled))?;
        match states.contains(&endpoint.state) {
            true => Ok(endpoint),
            false => Err(Refusal::Code(Code::ContextState)),
        }
    }

    fn reset_endpoint(&mut self, trb: Trb) -> Result<(), Refusal> {
        let endpoint = self.endpoint_in(trb, &[EndpointState::Halted])?;
        endpoint.state = EndpointState::Stopped;
        let streams = endpoint.streams.map_or(0, |streams| streams.count - 1);
        if trb.control & FLAG == 0 {
            self.forget_endpoint(trb.slot(), trb.endpoint(), streams);
        }
        self.write_endpoint(trb.slot(), trb.endpoint());
        Ok(())
    }

    fn stop_endpoint(&mut self, trb: Trb) -> Result<(), Refusal> {
        // What has been done is told first: it is lost when it is taken back.
        if let Some(slot) = self.slots.get(usize::from(trb.slot()).wrapping_sub(1)).and_then(Option::as_ref)
            && let Some(function) = placed(&mut self.ports, slot)
        {
            function.reap();
        }
        self.collect_of(trb.slot(), COLLECTED);
        let endpoint = self.endpoint_in(trb, &[EndpointState::Running])?;
        let first = endpoint.in_flight.front();
        let cut = first.and_then(|first| Some((first.stream, first.td.cut_short(Code::Stopped)?)));
        let key = Key { slot: trb.slot(), endpoint: trb.endpoint(), stream: cut.map_or(0, |(stream, _)| stream) };
        if let Some((_, report)) = cut {
            self.transfer_event(key, report);
        }
        self.settle(key, EndpointState::Stopped);
        Ok(())
    }

    fn set_dequeue(&mut self, trb: Trb) -> Result<(), Refusal> {
        let stream = (trb.status >> 16) as u16;
        let endpoint = self.endpoint_in(trb, &[EndpointState::Stopped, EndpointState::Error])?;
        let stream = match endpoint.streams {
            // Without streams the number means nothing.
            None => 0,
            Some(streams) if (1..streams.count).contains(&stream) => stream,
            Some(_) => return Err(Refusal::Code(Code::InvalidStream)),
        };
        endpoint.rings.insert(stream, Ring::of_pointer(trb.parameter));
        endpoint.state = EndpointState::Stopped;
        self.write_endpoint(trb.slot(), trb.endpoint());
        Ok(())
    }

    fn reset_device(&mut self, slot: u8) -> Result<(), Refusal> {
        let context = self.addressed(slot)?.context;
        for number in 2..=ENDPOINTS {
            self.drop_endpoint(slot, number);
        }
        self.settle(Key { slot, endpoint: 1, stream: 0 }, EndpointState::Running);
        self.enabled(slot)?.state = SlotState::Default;
        self.change_slot_context(context, |context| {
            context.set_entries(1);
            context.set_state(SlotState::Default, 0);
        })
    }

    /// Every port has all of its time.
    fn port_bandwidth(&mut self, trb: Trb) -> Code {
        let mut bytes = [BANDWIDTH; PORTS as usize + 1];
        bytes[0] = 0;
        match self.core.dma().write(trb.parameter & !0xf, &bytes) {
            Ok(()) => Code::Success,
            Err(_) => {
                self.fail();
                Code::TrbError
            }
        }
    }
}

/// Why a command is not done.
enum Refusal {
    Code(Code),
    /// It leads out of RAM.
    NotRam,
}

impl From<DmaError> for Refusal {
    fn from(_: DmaError) -> Self {
        Self::NotRam
    }
}
