//! A device of the host, as the guest has it.
//!
//! - `requests`: what the kernel has to do or to know, and what concerns the wire to the host and not the guest's;
//! - `urbs`: all else goes to the device as it is;
//! - `lane`: the transfers of one endpoint on their way.
//!
//! Without a thread or anything that waits: see [`Attendant`](super::Attendant).
//!
//! Saved states have nothing of it: the device itself has its state, and may be elsewhere by then.

mod lane;
mod requests;
mod urbs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use device::{RestoreError, State};
use rustix::io::Errno;

use super::descriptors::{Configuration, Description, Pipe, Transfers};
use super::errands::{Errand, Shared};
use super::usbfs::UrbId;
use crate::{Completion, Direction, Endpoint, Fault, Function, Kind, Speed, Transfer, TransferId};
use lane::Lane;
use requests::{After, Answer};
use urbs::{Flight, LONG, SHORT};

/// Most transfers that wait or are on their way.
const TRANSFERS: usize = 4096;

/// An endpoint and a stream.
type Way = (Endpoint, u16);

/// A device of the host.
pub struct HostDevice {
    shared: Arc<Shared>,
    description: Description,
    speed: Speed,
    /// Bytes of a URB.
    piece: u64,
    /// What is set in the device.
    configuration: u8,
    /// And what the guest has set, 0 after a reset.
    guests: u8,
    /// Alternate settings of interfaces, where they are not 0.
    alternates: BTreeMap<u8, u8>,
    /// Streams the guest wants.
    streams: BTreeMap<Endpoint, u16>,
    /// Endpoints whose streams are to be made anew, each once, however often the guest has changed its mind meanwhile.
    renewed: BTreeSet<Endpoint>,
    lanes: BTreeMap<Way, Lane>,
    flights: BTreeMap<UrbId, Flight>,
    bytes: usize,
    /// Errands under way, with whose they are.
    busy: VecDeque<(Option<TransferId>, After)>,
    /// Came meanwhile.
    waiting: VecDeque<Transfer>,
    done: VecDeque<(TransferId, Completion)>,
    /// The guest has forgotten some of what is in flight.
    orphans: bool,
    /// Nothing but questions since the last reset.
    fresh: bool,
    gone: bool,
}

impl HostDevice {
    pub(super) fn new(shared: Arc<Shared>, description: Description, speed: Speed) -> Self {
        let piece = if shared.usbfs.scatters() { LONG } else { SHORT };
        Self {
            configuration: shared.configuration,
            shared,
            description,
            speed,
            piece,
            guests: 0,
            alternates: BTreeMap::new(),
            streams: BTreeMap::new(),
            renewed: BTreeSet::new(),
            lanes: BTreeMap::new(),
            flights: BTreeMap::new(),
            bytes: 0,
            busy: VecDeque::new(),
            waiting: VecDeque::new(),
            done: VecDeque::new(),
            orphans: false,
            fresh: true,
            gone: false,
        }
    }

    /// `idVendor` and `idProduct`.
    pub fn identity(&self) -> (u16, u16) {
        (self.description.vendor, self.description.product)
    }

    fn interfaces(&self, configuration: u8) -> Vec<u8> {
        self.description.configuration(configuration).map(Configuration::interfaces).unwrap_or_default()
    }

    /// An endpoint, if it is there in the settings that are chosen.
    fn pipe(&self, endpoint: Endpoint) -> Option<Pipe> {
        let settings = &self.description.configuration(self.configuration)?.settings;
        let chosen = |interface| self.alternates.get(&interface).copied().unwrap_or(0);
        let set = settings.iter().filter(|setting| setting.alternate == chosen(setting.interface));
        set.flat_map(|setting| &setting.endpoints).find(|pipe| pipe.endpoint == endpoint).copied()
    }

    /// How many transfers are kept.
    fn kept(&self) -> usize {
        self.waiting.len() + self.done.len() + self.lanes.values().map(|lane| lane.jobs.len()).sum::<usize>()
    }

    /// Begins with a transfer.
    fn take(&mut self, transfer: Transfer) -> Option<Completion> {
        let Transfer { id, endpoint, kind, ref memory } = transfer;
        let stream = match kind {
            Kind::Control(setup) => {
                match self.answer(setup) {
                    Answer::Done => return Some(Completion::done(0)),
                    Answer::Byte(byte) => {
                        let written = memory.write(0, &[byte][..usize::from(setup.length).min(1)]);
                        let failed = Completion::failed(Fault::Transaction);
                        return Some(written.map_or(failed, |length| Completion::done(length as u64)));
                    }
                    Answer::Refused => return Some(Completion::failed(Fault::Stall)),
                    Answer::Errand(errand, after) => {
                        self.send(errand, Some(id), after);
                        return None;
                    }
                    Answer::Pass => {}
                }
                if setup.direction() == Direction::Out && memory.len() != u64::from(setup.length) {
                    return Some(Completion::failed(Fault::Stall));
                }
                0
            }
            Kind::Bulk { stream } => stream,
            Kind::Interrupt | Kind::Isochronous => 0,
        };
        if endpoint != Endpoint::CONTROL {
            self.fresh = false;
            let fits = self.pipe(endpoint).is_some_and(|pipe| match pipe.transfers {
                Transfers::Isochronous => kind == Kind::Isochronous,
                Transfers::Bulk | Transfers::Interrupt => matches!(kind, Kind::Bulk { .. } | Kind::Interrupt),
                Transfers::Control => false,
            });
            if !fits {
                return Some(Completion::failed(Fault::Transaction));
            }
        }
        let way = (endpoint, stream);
        self.lanes.entry(way).or_default().push(transfer);
        if kind == Kind::Isochronous {
            // More of them follow at once, and go together.
            self.shared.call_back();
        } else {
            self.pump(way);
        }
        None
    }

    /// Takes all URBs that are over, does what waits, and sends what can be sent.
    fn advance(&mut self) {
        loop {
            while let Some(result) = self.shared.result() {
                self.returned(result);
            }
            // Before anything that comes behind them.
            self.discard_orphans();
            if self.busy.is_empty()
                && let Some(endpoint) = self.renewed.pop_first()
            {
                self.renew(endpoint);
                continue;
            }
            if self.busy.is_empty()
                && let Some(transfer) = self.waiting.pop_front()
            {
                let id = transfer.id;
                let completion = self.take(transfer);
                self.done.extend(completion.map(|completion| (id, completion)));
                continue;
            }
            break;
        }
        if !self.busy.is_empty() || self.gone || !self.shared.take_turn() {
            return;
        }
        self.reap_all();
        // Who has waited longest gets memory first.
        let oldest = |(way, lane): (&Way, &Lane)| Some((lane.jobs.get(lane.unsent())?.transfer.id, *way));
        let mut ways: Vec<_> = self.lanes.iter().filter_map(oldest).collect();
        ways.sort_unstable();
        for (_, way) in ways {
            self.pump(way);
        }
        self.lanes.retain(|_, lane| !lane.jobs.is_empty());
    }

    /// Takes from the kernel what is over.
    fn reap_all(&mut self) {
        loop {
            match self.shared.usbfs.reap() {
                Ok(reaped) => self.reaped(reaped),
                Err(Errno::NODEV) => return self.lose(),
                Err(_) => return,
            }
        }
    }

    /// The device is gone: nothing gets an answer any more.
    fn lose(&mut self) {
        if std::mem::replace(&mut self.gone, true) {
            return;
        }
        let lanes = std::mem::take(&mut self.lanes).into_values().flat_map(|lane| lane.jobs).map(|job| job.transfer.id);
        self.renewed.clear();
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|transfer| transfer.id);
        let lost = lanes.chain(waiting).map(|id| (id, Completion::failed(Fault::Transaction)));
        self.done.extend(lost);
    }
}

impl Function for HostDevice {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn reset(&mut self) {
        self.lanes.clear();
        self.waiting.clear();
        self.done.clear();
        for (whose, _) in &mut self.busy {
            *whose = None;
        }
        self.orphans = true;
        self.discard_orphans();
        self.guests = 0;
        // Guests reset a device before they look at it, some twice, which not every device is up to.
        if !std::mem::replace(&mut self.fresh, true) && !self.gone {
            self.streams.clear();
            self.renewed.clear();
            self.alternates.clear();
            let interfaces = self.interfaces(self.configuration);
            self.send(Errand::Reset { interfaces }, None, After::Nothing);
        }
    }

    fn submit(&mut self, transfer: Transfer) -> Option<Completion> {
        if self.gone || self.kept() >= TRANSFERS {
            return Some(Completion::failed(Fault::Transaction));
        }
        if !self.busy.is_empty() || !self.renewed.is_empty() || !self.waiting.is_empty() {
            self.waiting.push_back(transfer);
            return None;
        }
        let completion = self.take(transfer);
        if !self.done.is_empty() {
            self.shared.call_back();
        }
        completion
    }

    fn cancel(&mut self, id: TransferId) {
        self.waiting.retain(|transfer| transfer.id != id);
        self.done.retain(|(done, _)| *done != id);
        for (whose, _) in self.busy.iter_mut().filter(|(whose, _)| *whose == Some(id)) {
            *whose = None;
        }
        let place = self.lanes.iter().find_map(|(way, lane)| Some((*way, lane.position(id)?)));
        let Some((way, index)) = place else { return };
        if let Some(lane) = self.lanes.get_mut(&way) {
            lane.jobs.remove(index);
            if lane.jobs.is_empty() {
                self.lanes.remove(&way);
            }
        }
        self.orphans = true;
        self.discard_orphans();
    }

    fn collect(&mut self) -> Option<(TransferId, Completion)> {
        if !self.shared.is_running() {
            return None;
        }
        if self.done.is_empty() {
            self.advance();
        }
        self.done.pop_front()
    }

    fn reap(&mut self) {
        if self.busy.is_empty() && !self.gone && self.shared.is_running() {
            self.shared.take_turn();
            self.reap_all();
            self.lanes.retain(|_, lane| !lane.jobs.is_empty());
            if !self.lanes.is_empty() {
                // What is left is sent when those that are to go are gone.
                self.shared.call_back();
            }
        }
    }

    fn is_saved(&self) -> bool {
        false
    }

    fn endpoint_reset(&mut self, endpoint: Endpoint, streams: u16) {
        self.let_go(endpoint);
        if endpoint == Endpoint::CONTROL || self.gone {
            return;
        }
        let before = self.streams.insert(endpoint, streams).unwrap_or(0);
        if before != streams {
            self.renewed.insert(endpoint);
        }
        if !self.lanes.is_empty() || !self.renewed.is_empty() {
            // What was held goes on.
            self.shared.call_back();
        }
    }
}

impl State for HostDevice {
    const KIND: &'static str = "usb-host";
    type Saved = ();

    fn save(&self) {
        let Self {
            shared: _,
            description: _,
            speed: _,
            piece: _,
            configuration: _,
            guests: _,
            alternates: _,
            streams: _,
            renewed: _,
            lanes: _,
            flights: _,
            bytes: _,
            busy: _,
            waiting: _,
            done: _,
            orphans: _,
            fresh: _,
            gone: _,
        } = self;
    }

    fn restore(&mut self, (): ()) -> Result<(), RestoreError> {
        self.fresh = false;
        self.reset();
        Ok(())
    }
}

impl Drop for HostDevice {
    fn drop(&mut self) {
        self.shared.close();
    }
}
