//! The requests that every function answers (USB 2.0, 9.4; USB 3.2, 9.4), and the state that they are about.
//!
//! What is not known stalls, and so does what makes no sense in the state that the function is in.

use std::collections::BTreeSet;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::descriptor::{Descriptors, Interface, Pipe};
use crate::{Completion, Direction, Endpoint, Fault, Memory, Setup, Speed};

// Requests.
const GET_STATUS: u8 = 0;
const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
const GET_DESCRIPTOR: u8 = 6;
const GET_CONFIGURATION: u8 = 8;
const SET_CONFIGURATION: u8 = 9;
const GET_INTERFACE: u8 = 10;
const SET_INTERFACE: u8 = 11;
const SET_SEL: u8 = 48;
const SET_ISOCH_DELAY: u8 = 49;

// Features.
const ENDPOINT_HALT: u16 = 0;
const FUNCTION_SUSPEND: u16 = 0;
const DEVICE_REMOTE_WAKEUP: u16 = 1;
const U1_ENABLE: u16 = 48;
const U2_ENABLE: u16 = 49;

// Request types: to the host or from it; for a device, an interface, an endpoint.
const TO_DEVICE: u8 = 0x00;
const TO_INTERFACE: u8 = 0x01;
const TO_ENDPOINT: u8 = 0x02;
const OF_DEVICE: u8 = 0x80;
const OF_INTERFACE: u8 = 0x81;
const OF_ENDPOINT: u8 = 0x82;

bitflags! {
    /// What a host switches on and off; where GET_STATUS has it (USB 3.2, figure 9-5).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u8 {
        const WAKE = 1 << 1;
        const U1 = 1 << 2;
        const U2 = 1 << 3;
    }
}

/// What a function says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The data of the data stage, cut to what the host wants.
    Data(Vec<u8>),
    /// Done; the data stage, if there was one, went to the function.
    Done,
    /// Not this.
    Stall,
}

impl Reply {
    /// Data where there is any.
    pub(super) fn of(data: Option<Vec<u8>>) -> Self {
        data.map_or(Self::Stall, Self::Data)
    }

    /// Done, if it can be.
    pub(super) fn done(can_be: bool) -> Self {
        if can_be { Self::Done } else { Self::Stall }
    }

    /// Carries it out.
    pub(super) fn complete(self, setup: Setup, memory: &Memory) -> Completion {
        match (self, setup.direction()) {
            (Self::Stall, _) | (Self::Data(_), Direction::Out) => Completion::failed(Fault::Stall),
            (Self::Done, Direction::In) => Completion::done(0),
            (Self::Done, Direction::Out) => Completion::done(memory.len().min(setup.length.into())),
            (Self::Data(mut data), Direction::In) => {
                data.truncate(setup.length.into());
                match memory.write(0, &data) {
                    Ok(length) => Completion::done(length as u64),
                    Err(_) => Completion::failed(Fault::Transaction),
                }
            }
        }
    }
}

/// The data stage of a request to the function, if it is no longer than `most`.
pub(super) fn received(setup: Setup, memory: &Memory, most: usize) -> Option<Vec<u8>> {
    let length = usize::from(setup.length).min(usize::try_from(memory.len()).ok()?);
    if length > most || setup.direction() == Direction::In {
        return None;
    }
    let mut data = vec![0; length];
    memory.read(0, &mut data).ok()?;
    Some(data)
}

/// What a request changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that a class has to know.
    Nothing,
    /// There is another configuration, or the same begins anew.
    Configuration,
    /// An interface has another setting, or the same begins anew.
    Setting,
    /// The host made an endpoint halt.
    Halted(Endpoint),
    /// An endpoint works again.
    Cleared(Endpoint),
}

/// A function as far as all are alike.
pub(super) struct Standard {
    descriptors: Descriptors,
    configured: bool,
    /// The settings of interfaces, by number.
    settings: Vec<u8>,
    halted: BTreeSet<Endpoint>,
    features: Features,
}

/// The saved part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StandardState {
    configured: bool,
    settings: Vec<u8>,
    halted: Vec<u8>,
    features: u8,
}

impl Standard {
    pub(super) fn new(descriptors: Descriptors) -> Self {
        let numbers = descriptors.configuration.interfaces.iter().map(|interface| interface.number).max();
        let settings = vec![0; numbers.map_or(0, |number| usize::from(number) + 1)];
        Self { descriptors, configured: false, settings, halted: BTreeSet::new(), features: Features::empty() }
    }

    pub(super) fn speed(&self) -> Speed {
        self.descriptors.speed
    }

    pub(super) fn is_configured(&self) -> bool {
        self.configured
    }

    /// Has the host let it end its port's sleep?
    pub(super) fn may_wake(&self) -> bool {
        self.features.contains(Features::WAKE)
    }

    /// The setting of interface `number`.
    pub(super) fn setting(&self, number: u8) -> u8 {
        self.settings.get(usize::from(number)).copied().unwrap_or(0)
    }

    pub(super) fn reset(&mut self) {
        let Self { descriptors: _, configured, settings, halted, features } = self;
        *configured = false;
        settings.fill(0);
        halted.clear();
        *features = Features::empty();
    }

    /// What a transfer on an endpoint other than 0 meets before the class looks at it.
    pub(super) fn admit(&self, endpoint: Endpoint) -> Result<(), Fault> {
        match self.pipe(endpoint) {
            None => Err(Fault::Transaction),
            Some(_) if self.halted.contains(&endpoint) => Err(Fault::Stall),
            Some(_) => Ok(()),
        }
    }

    /// Halts an endpoint: transfers on it stall until the host clears that.
    pub(super) fn halt(&mut self, endpoint: Endpoint) {
        self.halted.insert(endpoint);
    }

    /// Answers a standard request; `None` where it is the class that has to know.
    pub(super) fn request(&mut self, setup: Setup) -> Option<(Reply, Change)> {
        let quiet = |reply| Some((reply, Change::Nothing));
        let Setup { kind, request, value, index, length: _ } = setup;
        let is_super = self.speed().is_super();
        match (kind, request) {
            (OF_DEVICE, GET_STATUS) => quiet(Reply::Data(vec![self.status(), 0])),
            (OF_INTERFACE, GET_STATUS) => quiet(Reply::of(self.interface(index).map(|_| vec![0; 2]))),
            (OF_ENDPOINT, GET_STATUS) => quiet(Reply::of(self.halt_of(index).map(|halted| vec![halted.into(), 0]))),
            (TO_DEVICE, SET_FEATURE | CLEAR_FEATURE) => quiet(self.set_feature(value, request == SET_FEATURE)),
            (TO_INTERFACE, SET_FEATURE | CLEAR_FEATURE) => {
                let known = is_super && value == FUNCTION_SUSPEND && self.interface(index & 0xff).is_some();
                quiet(Reply::done(known))
            }
            (TO_ENDPOINT, SET_FEATURE | CLEAR_FEATURE) => Some(self.set_halt(value, index, request == SET_FEATURE)),
            (OF_DEVICE, GET_DESCRIPTOR) => {
                let [number, kind] = value.to_le_bytes();
                quiet(Reply::of(self.descriptors.get(kind, number)))
            }
            (OF_DEVICE, GET_CONFIGURATION) => quiet(Reply::Data(vec![self.configured.into()])),
            (TO_DEVICE, SET_CONFIGURATION) => match value {
                0 | 1 => {
                    self.configured = value == 1;
                    self.settings.fill(0);
                    self.halted.clear();
                    Some((Reply::Done, Change::Configuration))
                }
                _ => quiet(Reply::Stall),
            },
            (OF_INTERFACE, GET_INTERFACE) => {
                quiet(Reply::of(self.interface(index).map(|interface| vec![interface.setting])))
            }
            (TO_INTERFACE, SET_INTERFACE) => Some(self.set_interface(value, index)),
            (TO_DEVICE, SET_SEL | SET_ISOCH_DELAY) => quiet(Reply::done(is_super)),
            (OF_INTERFACE, GET_DESCRIPTOR) => None,
            _ if kind & 0x60 == 0 => quiet(Reply::Stall),
            _ => None,
        }
    }

    fn status(&self) -> u8 {
        u8::from(self.descriptors.configuration.self_powered) | self.features.bits()
    }

    fn set_feature(&mut self, feature: u16, on: bool) -> Reply {
        let is_super = self.speed().is_super();
        let feature = match feature {
            DEVICE_REMOTE_WAKEUP if self.descriptors.configuration.wakes && !is_super => Features::WAKE,
            U1_ENABLE if is_super && self.configured => Features::U1,
            U2_ENABLE if is_super && self.configured => Features::U2,
            _ => return Reply::Stall,
        };
        self.features.set(feature, on);
        Reply::Done
    }

    fn set_halt(&mut self, feature: u16, index: u16, on: bool) -> (Reply, Change) {
        let Some(_) = self.halt_of(index).filter(|_| feature == ENDPOINT_HALT) else {
            return (Reply::Stall, Change::Nothing);
        };
        let endpoint = Endpoint::of_address(index as u8);
        match (endpoint, on) {
            // Requests go on; it makes no sense to stop them for good.
            (Endpoint::CONTROL, on) => (Reply::done(!on), Change::Nothing),
            (_, true) => {
                self.halt(endpoint);
                (Reply::Done, Change::Halted(endpoint))
            }
            (_, false) => {
                self.halted.remove(&endpoint);
                (Reply::Done, Change::Cleared(endpoint))
            }
        }
    }

    fn set_interface(&mut self, setting: u16, number: u16) -> (Reply, Change) {
        let interfaces = &self.descriptors.configuration.interfaces;
        let exists =
            |interface: &Interface| u16::from(interface.number) == number && u16::from(interface.setting) == setting;
        if !self.configured || !interfaces.iter().any(exists) {
            return (Reply::Stall, Change::Nothing);
        }
        let pipes = interfaces.iter().filter(|interface| u16::from(interface.number) == number);
        for pipe in pipes.flat_map(|interface| &interface.pipes) {
            self.halted.remove(&pipe.endpoint);
        }
        // Both are of an interface that exists.
        if let Some(of_number) = self.settings.get_mut(usize::from(number)) {
            *of_number = setting as u8;
        }
        (Reply::Done, Change::Setting)
    }

    /// An interface in its setting, of a function that is configured.
    fn interface(&self, number: u16) -> Option<&Interface> {
        self.in_use().find(|interface| u16::from(interface.number) == number)
    }

    fn in_use(&self) -> impl Iterator<Item = &Interface> {
        let interfaces = self.descriptors.configuration.interfaces.iter();
        interfaces.filter(|interface| self.configured && interface.setting == self.setting(interface.number))
    }

    fn pipe(&self, endpoint: Endpoint) -> Option<&Pipe> {
        self.in_use().flat_map(|interface| &interface.pipes).find(|pipe| pipe.endpoint == endpoint)
    }

    /// Is the endpoint that a `wIndex` names halted? `None` when there is none such.
    fn halt_of(&self, index: u16) -> Option<bool> {
        let endpoint = Endpoint::of_address(index as u8);
        match endpoint {
            _ if index & 0xff70 != 0 => None,
            Endpoint::CONTROL => Some(false),
            _ => self.pipe(endpoint).map(|_| self.halted.contains(&endpoint)),
        }
    }

    pub(super) fn save(&self) -> StandardState {
        let Self { descriptors: _, configured, settings, halted, features } = self;
        StandardState {
            configured: *configured,
            settings: settings.clone(),
            halted: halted.iter().map(|endpoint| endpoint.address()).collect(),
            features: features.bits(),
        }
    }

    /// Takes a state; the error names the impossible field.
    pub(super) fn restore(&mut self, saved: StandardState) -> Result<(), &'static str> {
        let StandardState { configured, settings, halted, features } = saved;
        let interfaces = &self.descriptors.configuration.interfaces;
        let exists = |(number, &setting): (usize, &u8)| {
            interfaces.iter().any(|interface| usize::from(interface.number) == number && interface.setting == setting)
        };
        if settings.len() != self.settings.len() || !settings.iter().enumerate().all(exists) {
            return Err("setting");
        }
        let is_pipe = |&address: &u8| {
            let endpoint = Endpoint::of_address(address);
            let mut pipes = interfaces.iter().flat_map(|interface| &interface.pipes);
            endpoint.address() == address && pipes.any(|pipe| pipe.endpoint == endpoint)
        };
        if !halted.iter().all(is_pipe) {
            return Err("endpoint");
        }
        self.features = Features::from_bits(features).ok_or("feature")?;
        self.halted = halted.into_iter().map(Endpoint::of_address).collect();
        (self.configured, self.settings) = (configured, settings);
        Ok(())
    }
}
