//! A hub with four ports (USB 2.0, chapter 11), at high speed, with one transaction translator that has nothing to do.
//!
//! Ports have power, and are reset, suspended and enabled one by one; a reset is over at once. What is behind a port that is not enabled
//! is as after a reset. The hub's reports say which ports have changed, each change once: that a guest has not cleared it yet is not told again
//! at each poll, as hardware would every 256 ms. A hub that
//! sleeps, or a port of it, is woken by what is behind it, and the hub by what has changed.

use bitflags::bitflags;
use device::{RestoreError, Section, State};
use serde::{Deserialize, Serialize};

use super::descriptor::{Configuration, Descriptors, Identity, Interface, Pipe, PipeKind, with_header};
use super::pending::Pending;
use super::standard::{Change, Reply, Standard, StandardState};
use crate::function::section;
use crate::{
    Completion, Direction, Endpoint, Fault, Function, Kind, NoPort, Ports, Setup, Speed, Transfer, TransferId,
};

/// Ports of a hub.
pub const PORTS: u8 = 4;

/// Hub, with one transaction translator.
const CLASS: [u8; 3] = [9, 0, 1];
const REPORTS: Endpoint = Endpoint { number: 1, direction: Direction::In };
const HUB_DESCRIPTOR: u8 = 0x29;

/// Ids under which systems know the hubs of virtual machines; there are none of our own.
const VENDOR: u16 = 0x0409;
const PRODUCT: u16 = 0x55aa;

// Requests (11.24.2), with their types: to the hub, and to a port.
const GET_HUB_DESCRIPTOR: (u8, u8) = (0xa0, 6);
const GET_HUB_STATUS: (u8, u8) = (0xa0, 0);
const CLEAR_HUB_FEATURE: (u8, u8) = (0x20, 1);
const SET_HUB_FEATURE: (u8, u8) = (0x20, 3);
const GET_PORT_STATUS: (u8, u8) = (0xa3, 0);
const CLEAR_PORT_FEATURE: (u8, u8) = (0x23, 1);
const SET_PORT_FEATURE: (u8, u8) = (0x23, 3);
const CLEAR_TT_BUFFER: (u8, u8) = (0x23, 8);
const RESET_TT: (u8, u8) = (0x23, 9);

/// Features of ports (table 11-17).
mod feature {
    pub(super) const ENABLE: u16 = 1;
    pub(super) const SUSPEND: u16 = 2;
    pub(super) const RESET: u16 = 4;
    pub(super) const POWER: u16 = 8;
    /// The first of the changes, which follow in the order of their bits.
    pub(super) const CHANGES: u16 = 16;
    pub(super) const LAST_CHANGE: u16 = 20;
    pub(super) const INDICATOR: u16 = 22;
}

bitflags! {
    /// `wPortStatus` (11.24.2.7.1).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Status: u16 {
        const CONNECTED = 1 << 0;
        const ENABLED = 1 << 1;
        const SUSPENDED = 1 << 2;
        const POWERED = 1 << 8;
        const LOW_SPEED = 1 << 9;
        const HIGH_SPEED = 1 << 10;
    }
}

bitflags! {
    /// `wPortChange` (11.24.2.7.2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Changes: u16 {
        const CONNECTED = 1 << 0;
        const ENABLED = 1 << 1;
        const SUSPENDED = 1 << 2;
        const RESET = 1 << 4;
    }
}

/// A port.
#[derive(Default)]
struct Port {
    function: Option<Box<dyn Function>>,
    status: Status,
    changes: Changes,
    /// Those that have been reported.
    told: Changes,
}

/// The hub.
pub struct Hub {
    standard: Standard,
    ports: [Port; PORTS as usize],
    pending: Pending,
    /// See [`Ports::take_resets`].
    resets: u8,
}

/// The saved hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HubState {
    standard: StandardState,
    ports: Vec<PortState>,
}

/// A saved port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PortState {
    status: u16,
    changes: u16,
    /// Is something in it?
    occupied: bool,
    /// What that is, if it can be saved.
    function: Option<Section>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub with nothing in its ports.
    pub fn new() -> Self {
        Self {
            standard: Standard::new(descriptors()),
            ports: Default::default(),
            pending: Pending::default(),
            resets: 0,
        }
    }

    fn port(&mut self, number: u16) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(number).checked_sub(1)?)
    }

    fn control(&mut self, setup: Setup, transfer: &Transfer) -> Completion {
        let reply = match self.standard.request(setup) {
            Some((reply, change)) => {
                match change {
                    Change::Configuration => {
                        self.ports.iter_mut().for_each(Port::power_off);
                        self.resets = 0xff;
                        self.pending.fail(REPORTS, Fault::Transaction);
                    }
                    Change::Halted(endpoint) => self.pending.fail(endpoint, Fault::Stall),
                    Change::Setting | Change::Cleared(_) | Change::Nothing => {}
                }
                reply
            }
            None => self.request(setup),
        };
        reply.complete(setup, &transfer.memory)
    }

    fn request(&mut self, setup: Setup) -> Reply {
        let Setup { kind, request, value, index, length: _ } = setup;
        let request = (kind, request);
        if request == GET_HUB_DESCRIPTOR {
            return match value.to_le_bytes() {
                [0, 0 | HUB_DESCRIPTOR] => Reply::Data(hub_descriptor()),
                _ => Reply::Stall,
            };
        }
        if !self.standard.is_configured() {
            return Reply::Stall;
        }
        match request {
            GET_HUB_STATUS => Reply::Data(vec![0; 4]),
            // Changes of its power and its currents, which there are none of.
            CLEAR_HUB_FEATURE | SET_HUB_FEATURE => Reply::done(value <= 1),
            // The translator has nothing in it.
            CLEAR_TT_BUFFER | RESET_TT => Reply::Done,
            GET_PORT_STATUS => Reply::of(self.port(index).map(|port| port.bytes())),
            // The upper byte is for indicators.
            CLEAR_PORT_FEATURE => Reply::done(self.change_port(index & 0xff, |port| port.clear(value))),
            SET_PORT_FEATURE => Reply::done(self.change_port(index & 0xff, |port| port.set(value))),
            _ => Reply::Stall,
        }
    }

    /// Does what a request wants of a port; false when there is no such port or it wants nothing that there is.
    fn change_port(&mut self, number: u16, change: impl FnOnce(&mut Port) -> Option<Touched>) -> bool {
        let Some(touched) = self.port(number).and_then(change) else { return false };
        if touched == Touched::Reset {
            self.resets |= 1 << number;
        }
        true
    }

    /// The ports that have changed, a bit for each; bit 0 is the hub's own.
    fn changed(&self) -> u8 {
        let changed = (1..).zip(&self.ports).filter(|(_, port)| !port.changes.is_empty());
        changed.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// Is there a change that was not reported?
    fn has_news(&self) -> bool {
        self.ports.iter().any(Port::has_news)
    }

    /// Says which ports have changed.
    fn report(&mut self, transfer: &Transfer) -> Completion {
        let changes = self.changed();
        for port in &mut self.ports {
            port.told = port.changes;
        }
        match transfer.memory.write(0, &[changes]) {
            Ok(1) => Completion::done(1),
            Ok(_) => Completion::failed(Fault::Babble),
            Err(_) => Completion::failed(Fault::Transaction),
        }
    }
}

/// What a request did to what is in a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    Nothing,
    Reset,
}

impl Port {
    /// Looks what is there: a port with power sees it come and go.
    fn look(&mut self) {
        let is_there = self.status.contains(Status::POWERED) && self.function.is_some();
        if self.status.contains(Status::CONNECTED) == is_there {
            return;
        }
        self.changes |= Changes::CONNECTED;
        self.status &= Status::POWERED;
        if is_there {
            self.status |= Status::CONNECTED | self.speed();
        }
    }

    /// What is told of a function's speed.
    fn speed(&self) -> Status {
        match self.function.as_ref().map(|function| function.speed()) {
            Some(Speed::Low) => Status::LOW_SPEED,
            Some(Speed::High) => Status::HIGH_SPEED,
            _ => Status::empty(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        [self.status.bits(), self.changes.bits()].map(u16::to_le_bytes).concat()
    }

    fn reset_function(&mut self) {
        if let Some(function) = &mut self.function {
            function.reset();
        }
    }

    fn power_off(&mut self) {
        (self.status, self.changes, self.told) = (Status::empty(), Changes::empty(), Changes::empty());
        self.reset_function();
    }

    fn has_news(&self) -> bool {
        !(self.changes - self.told).is_empty()
    }

    /// `None` when there is no such feature.
    fn set(&mut self, feature: u16) -> Option<Touched> {
        match feature {
            feature::POWER => {
                self.status |= Status::POWERED;
                self.look();
            }
            feature::RESET if self.status.contains(Status::CONNECTED) => {
                self.reset_function();
                self.status -= Status::SUSPENDED;
                self.status |= Status::ENABLED;
                self.changes |= Changes::RESET;
                return Some(Touched::Reset);
            }
            feature::SUSPEND if self.status.contains(Status::ENABLED) => {
                self.status |= Status::SUSPENDED;
                // What was done before, and not told, wakes it at once.
                self.remote_wakeup();
            }
            feature::RESET | feature::SUSPEND | feature::INDICATOR => {}
            _ => return None,
        }
        Some(Touched::Nothing)
    }

    /// `None` when there is no such feature.
    fn clear(&mut self, feature: u16) -> Option<Touched> {
        match feature {
            feature::ENABLE => {
                self.status -= Status::ENABLED | Status::SUSPENDED;
                self.reset_function();
                return Some(Touched::Reset);
            }
            feature::SUSPEND if self.status.contains(Status::SUSPENDED) => {
                self.status -= Status::SUSPENDED;
                self.changes |= Changes::SUSPENDED;
            }
            feature::POWER => {
                self.power_off();
                return Some(Touched::Reset);
            }
            feature::CHANGES..=feature::LAST_CHANGE => {
                let cleared = Changes::from_bits_retain(1 << (feature - feature::CHANGES));
                self.changes -= cleared;
                self.told -= cleared;
            }
            feature::SUSPEND | feature::INDICATOR => {}
            _ => return None,
        }
        Some(Touched::Nothing)
    }

    /// Ends its sleep, if that is to be. Does the hub's end too?
    fn remote_wakeup(&mut self) -> bool {
        let enabled = self.status.contains(Status::ENABLED);
        let wakes = enabled && self.function.as_mut().is_some_and(|function| function.remote_wakeup());
        if wakes && self.status.contains(Status::SUSPENDED) {
            self.status -= Status::SUSPENDED;
            self.changes |= Changes::SUSPENDED;
        }
        wakes
    }

    fn save(&self) -> PortState {
        let Self { function, status, changes, told: _ } = self;
        PortState {
            status: status.bits(),
            changes: changes.bits(),
            occupied: function.is_some(),
            function: function.as_ref().and_then(|function| section(&**function)),
        }
    }

    fn restore(&mut self, saved: PortState) -> Result<(), RestoreError> {
        let PortState { status, changes, occupied, function } = saved;
        let status = Status::from_bits(status).ok_or(Hub::impossible("port"))?;
        let changes = Changes::from_bits(changes).ok_or(Hub::impossible("port"))?;
        let needs = [
            (Status::SUSPENDED, Status::ENABLED),
            (Status::ENABLED, Status::CONNECTED),
            (Status::LOW_SPEED, Status::CONNECTED),
            (Status::HIGH_SPEED, Status::CONNECTED),
            (Status::CONNECTED, Status::POWERED),
        ];
        let fits = needs.iter().all(|(one, other)| !status.intersects(*one) || status.contains(*other));
        let is_there = status.contains(Status::POWERED) && occupied;
        if !fits || status.contains(Status::CONNECTED) != is_there || function.is_some() && !occupied {
            return Err(Hub::impossible("port"));
        }
        (self.status, self.changes, self.told) = (status, changes, Changes::empty());
        let speed = status & (Status::LOW_SPEED | Status::HIGH_SPEED);
        let is_same = !is_there || speed == self.speed();
        match (&mut self.function, function) {
            (Some(own), Some(saved)) if is_same => own.restore_section(saved)?,
            (None, _) if !occupied => {}
            // What was in it was not saved, or is not there, or something is there that was not.
            (own, _) => {
                own.iter_mut().for_each(|function| function.reset());
                self.exchange();
            }
        }
        Ok(())
    }

    /// What was in it is not what is in it now, if anything is.
    fn exchange(&mut self) {
        if self.status.contains(Status::CONNECTED) {
            self.status &= Status::POWERED;
            self.changes |= Changes::CONNECTED;
        }
        self.look();
    }
}

impl Function for Hub {
    fn speed(&self) -> Speed {
        self.standard.speed()
    }

    fn reset(&mut self) {
        self.standard.reset();
        self.pending.clear();
        // What is behind it is taken back with it.
        self.resets = 0;
        self.ports.iter_mut().for_each(Port::power_off);
    }

    fn submit(&mut self, transfer: Transfer) -> Option<Completion> {
        match transfer.kind {
            Kind::Control(setup) if transfer.endpoint == Endpoint::CONTROL => Some(self.control(setup, &transfer)),
            Kind::Interrupt => {
                if let Err(fault) = self.standard.admit(transfer.endpoint) {
                    return Some(Completion::failed(fault));
                }
                if self.pending.first(REPORTS).is_none() && self.has_news() {
                    return Some(self.report(&transfer));
                }
                self.pending.push(transfer)
            }
            Kind::Control(_) | Kind::Bulk { .. } | Kind::Isochronous => Some(Completion::failed(Fault::Transaction)),
        }
    }

    fn cancel(&mut self, id: TransferId) {
        self.pending.cancel(id);
    }

    fn collect(&mut self) -> Option<(TransferId, Completion)> {
        if let Some(done) = self.pending.collect() {
            return Some(done);
        }
        if self.has_news()
            && let Some(transfer) = self.pending.pop(REPORTS)
        {
            return Some((transfer.id, self.report(&transfer)));
        }
        self.ports.iter_mut().find_map(|port| port.function.as_mut()?.collect())
    }

    fn remote_wakeup(&mut self) -> bool {
        // Whoever is behind a hub wakes through it, whatever it may itself (USB 2.0, 11.9). All that want to, not the first alone.
        let woken = self.ports.iter_mut().map(Port::remote_wakeup).filter(|wakes| *wakes).count();
        woken > 0 || self.standard.may_wake() && self.changed() != 0
    }

    fn ports(&mut self) -> Option<&mut dyn Ports> {
        Some(self)
    }
}

impl Ports for Hub {
    fn child(&mut self, port: u8) -> Option<&mut dyn Function> {
        let port = self.port(port.into()).filter(|port| port.status.contains(Status::ENABLED))?;
        let function = port.function.as_mut()?;
        Some(&mut **function)
    }

    fn free(&self, speed: Speed, wish: Option<u8>) -> Option<u8> {
        if speed.is_super() {
            return None;
        }
        let mut free = (1..).zip(&self.ports).filter(|(_, port)| port.function.is_none()).map(|(number, _)| number);
        free.find(|number| wish.is_none_or(|wish| wish == *number))
    }

    fn attach(&mut self, port: u8, mut function: Box<dyn Function>) -> Result<(), NoPort> {
        let port = self.free(function.speed(), Some(port)).ok_or(NoPort)?;
        let port = self.port(port.into()).ok_or(NoPort)?;
        function.reset();
        port.function = Some(function);
        port.look();
        Ok(())
    }

    fn detach(&mut self, port: u8) -> Option<Box<dyn Function>> {
        let port = self.port(port.into())?;
        let function = port.function.take()?;
        port.look();
        Some(function)
    }

    fn take_resets(&mut self) -> u8 {
        std::mem::take(&mut self.resets)
    }
}

impl State for Hub {
    const KIND: &'static str = "usb-hub";
    type Saved = HubState;

    fn save(&self) -> HubState {
        let Self { standard, ports, pending: _, resets: _ } = self;
        HubState { standard: standard.save(), ports: ports.iter().map(Port::save).collect() }
    }

    fn restore(&mut self, saved: HubState) -> Result<(), RestoreError> {
        let HubState { standard, ports } = saved;
        if ports.len() != self.ports.len() {
            return Err(Self::impossible("port"));
        }
        self.pending.clear();
        self.resets = 0;
        self.standard.restore(standard).map_err(Self::impossible)?;
        self.ports.iter_mut().zip(ports).try_for_each(|(port, saved)| port.restore(saved))
    }
}

fn descriptors() -> Descriptors {
    let identity = Identity {
        class: CLASS,
        vendor: VENDOR,
        product: PRODUCT,
        release: 0x0100,
        name: "Dormer USB Hub",
        serial: "1".to_owned(),
    };
    // 256 ms and 255 ms.
    let (configuration, slower) = (configuration(12), configuration(255));
    Descriptors { speed: Speed::High, identity, configuration, slower: Some(slower) }
}

fn configuration(interval: u8) -> Configuration {
    let kind = PipeKind::Interrupt { interval };
    let pipe = Pipe { endpoint: REPORTS, kind, packet: 1, burst: 0, of_class: Vec::new() };
    let interface = Interface { number: 0, setting: 0, class: [9, 0, 0], of_class: Vec::new(), pipes: vec![pipe] };
    Configuration { self_powered: true, wakes: true, milliamperes: 0, interfaces: vec![interface] }
}

/// 11.23.2.1: ports are switched, and their currents watched, one by one; all can be pulled.
fn hub_descriptor() -> Vec<u8> {
    with_header(HUB_DESCRIPTOR, &[PORTS, 0x09, 0, 0, 0, 0, 0xff])
}

#[cfg(test)]
#[path = "hub_test.rs"]
mod tests;
