//! What the guest asks of the device itself: its control requests that the kernel has to do or to know (USB 2.0, 9.4), and what
//! is so when the kernel has done them.

use rustix::io::Errno;

use super::super::errands::Errand;
use super::HostDevice;
use crate::{Completion, Endpoint, Fault, Setup, TransferId};

/// What becomes of a request.
pub(super) enum Answer {
    /// Nothing more is to be done.
    Done,
    /// This byte.
    Byte(u8),
    /// No.
    Refused,
    /// The kernel does it.
    Errand(Errand, After),
    /// The device answers.
    Pass,
}

/// What is so when an errand has succeeded.
#[derive(Clone, Copy)]
pub(super) enum After {
    Nothing,
    Configured(u8),
    Set { interface: u8, alternate: u8 },
    Cleared(Endpoint),
}

impl HostDevice {
    /// What is done about a request.
    pub(super) fn answer(&mut self, setup: Setup) -> Answer {
        let Setup { kind, request, value, index, .. } = setup;
        let (value_byte, index_byte) = (value as u8, index as u8);
        match (kind, request) {
            // GET_CONFIGURATION: the host's is another matter.
            (0x80, 8) => Answer::Byte(self.guests),
            // SET_CONFIGURATION.
            (0x00, 9) => self.set_configuration(value_byte),
            // SET_INTERFACE.
            (0x01, 11) => {
                self.fresh = false;
                let after = After::Set { interface: index_byte, alternate: value_byte };
                Answer::Errand(Errand::Settings(vec![(index_byte, value_byte)]), after)
            }
            // CLEAR_FEATURE of an endpoint's halt.
            (0x02, 1) if value == 0 => {
                let endpoint = Endpoint::of_address(index_byte);
                if endpoint.number == 0 {
                    return Answer::Done;
                }
                self.fresh = false;
                Answer::Errand(Errand::ClearHalt(endpoint), After::Cleared(endpoint))
            }
            // TEST_MODE ends with the device being unplugged.
            (0x00, 3) if value == 2 => Answer::Refused,
            // U1_ENABLE, U2_ENABLE, LTM_ENABLE, SET_SEL, SET_ISOCH_DELAY: of the wire, which is the host's (USB 3.2, 9.4).
            (0x00, 1 | 3) if (48..=50).contains(&value) => Answer::Done,
            (0x00, 48 | 49) => Answer::Done,
            // DEVICE_REMOTE_WAKEUP: the device does not sleep, and was not said to wake anybody.
            (0x00, 1 | 3) if value == 1 => Answer::Refused,
            // FUNCTION_SUSPEND: of the guest's wire alone.
            (0x01, 1 | 3) if value == 0 => Answer::Done,
            // Never comes here, and the address is the host's.
            (0x00, 5) => Answer::Refused,
            // Questions: a status, a descriptor.
            (0x80..=0x82, 0 | 6) => Answer::Pass,
            _ => {
                self.fresh = false;
                Answer::Pass
            }
        }
    }

    fn set_configuration(&mut self, value: u8) -> Answer {
        self.fresh = false;
        if value == 0 {
            // The host goes on with its own.
            self.guests = 0;
            self.lanes.retain(|way, _| way.0 == Endpoint::CONTROL);
            self.orphans = true;
            self.discard_orphans();
            return Answer::Done;
        }
        if self.description.configuration(value).is_none() {
            return Answer::Refused;
        }
        let errand = if value == self.configuration {
            // Many devices have had enough of it the second time.
            Errand::Settings(self.alternates.keys().map(|&interface| (interface, 0)).collect())
        } else {
            let (release, claim) = (self.interfaces(self.configuration), self.interfaces(value));
            Errand::Configure { release, value, claim }
        };
        Answer::Errand(errand, After::Configured(value))
    }

    pub(super) fn send(&mut self, errand: Errand, whose: Option<TransferId>, after: After) {
        self.busy.push_back((whose, after));
        self.shared.send(errand);
    }

    /// An errand is done.
    pub(super) fn returned(&mut self, result: Result<(), Errno>) {
        let Some((whose, after)) = self.busy.pop_front() else { return };
        let completion = self.judged(result);
        self.done.extend(whose.map(|id| (id, completion)));
        if result.is_err() {
            return;
        }
        match after {
            After::Nothing => {}
            After::Cleared(endpoint) => self.let_go(endpoint),
            After::Configured(value) => {
                self.configuration = value;
                if whose.is_some() {
                    self.guests = value;
                }
                self.alternates.clear();
                self.apply_streams(None);
            }
            After::Set { interface, alternate } => {
                if alternate == 0 {
                    self.alternates.remove(&interface);
                } else {
                    self.alternates.insert(interface, alternate);
                }
                self.apply_streams(Some(interface));
            }
        }
    }

    /// What an errand's result is to the guest.
    fn judged(&mut self, result: Result<(), Errno>) -> Completion {
        match result {
            Ok(()) => Completion::done(0),
            Err(Errno::NODEV | Errno::SHUTDOWN) => {
                self.lose();
                Completion::failed(Fault::Transaction)
            }
            Err(_) => Completion::failed(Fault::Stall),
        }
    }

    /// Settings that have just been chosen (of one interface, or all) have no streams yet.
    fn apply_streams(&mut self, interface: Option<u8>) {
        let Some(configuration) = self.description.configuration(self.configuration) else { return };
        let concerned =
            configuration.settings.iter().filter(|it| interface.is_none_or(|wanted| it.interface == wanted));
        let mut endpoints: Vec<_> = concerned.flat_map(|it| &it.endpoints).map(|pipe| pipe.endpoint).collect();
        endpoints.dedup();
        endpoints.retain(|endpoint| self.streams.get(endpoint).is_some_and(|wanted| *wanted > 0));
        self.renewed.extend(endpoints);
    }

    /// Makes the streams of an endpoint that the guest wants now.
    pub(super) fn renew(&mut self, endpoint: Endpoint) {
        let wanted = self.streams.get(&endpoint).copied().unwrap_or(0);
        if let Some(pipe) = self.pipe(endpoint).filter(|pipe| pipe.streams > 0) {
            self.send(Errand::Streams(endpoint, wanted.min(pipe.streams)), None, After::Nothing);
        }
    }

    /// The guest has seen to a fault of this endpoint.
    pub(super) fn let_go(&mut self, endpoint: Endpoint) {
        for (_, lane) in self.lanes.range_mut((endpoint, 0)..=(endpoint, u16::MAX)) {
            lane.held = false;
        }
    }
}
