//! A device of the host, as the guest has it.
//!
//! USB 2.0, 9.4, for the requests that are the kernel's to do, or that concern the wire to the host and not the guest's. All else goes
//! to the device as it is. Without a thread or anything that waits: see [`Attendant`](super::Attendant).
//!
//! Saved states have nothing of it: the device itself has its state, and may be elsewhere by then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use device::{RestoreError, State};
use rustix::io::Errno;

use super::descriptors::{Configuration, Description, Pipe, Transfers};
use super::errands::{Errand, Shared};
use super::lane::{Lane, URBS};
use super::usbfs::{PACKETS, Reaped, Urb, UrbId, UrbKind};
use crate::{Completion, Direction, Endpoint, Fault, Function, Kind, Setup, Speed, Transfer, TransferId};

/// Most transfers that wait or are on their way.
const TRANSFERS: usize = 4096;
/// Most bytes on their way: a part of the 16 MiB that the kernel gives all of usbfs (`usbfs_memory_mb`).
const BUDGET: usize = 6 << 20;
/// Bytes of a URB at most, if the kernel takes memory for it in pieces, and if in one.
const LONG: u64 = 1 << 20;
const SHORT: u64 = 16 << 10;
/// Microseconds that an isochronous URB lasts, so that what is played is not late.
const LASTS: u32 = 4000;

/// An endpoint and a stream.
type Way = (Endpoint, u16);

/// What becomes of a request.
enum Answer {
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
enum After {
    Nothing,
    Configured(u8),
    Set { interface: u8, alternate: u8 },
    Cleared(Endpoint),
}

/// A URB in flight: whose it is.
struct Flight {
    way: Way,
    jobs: Vec<TransferId>,
    bytes: usize,
    /// It is cancelled, and nobody waits for it.
    forgotten: bool,
}

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

    /// What is done about a request.
    fn answer(&mut self, setup: Setup) -> Answer {
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

    fn send(&mut self, errand: Errand, whose: Option<TransferId>, after: After) {
        self.busy.push_back((whose, after));
        self.shared.send(errand);
    }

    /// An errand is done.
    fn returned(&mut self, result: Result<(), Errno>) {
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
    fn renew(&mut self, endpoint: Endpoint) {
        let wanted = self.streams.get(&endpoint).copied().unwrap_or(0);
        if let Some(pipe) = self.pipe(endpoint).filter(|pipe| pipe.streams > 0) {
            self.send(Errand::Streams(endpoint, wanted.min(pipe.streams)), None, After::Nothing);
        }
    }

    /// The guest has seen to a fault of this endpoint.
    fn let_go(&mut self, endpoint: Endpoint) {
        for (_, lane) in self.lanes.range_mut((endpoint, 0)..=(endpoint, u16::MAX)) {
            lane.held = false;
        }
    }

    /// Sends what there is to send of one endpoint.
    fn pump(&mut self, way: Way) {
        let isochronous = self.pipe(way.0).filter(|pipe| pipe.transfers == Transfers::Isochronous);
        loop {
            let flights = self.flights.values().filter(|flight| flight.way == way).count();
            let most = if way.0 == Endpoint::CONTROL { 1 } else { URBS };
            if self.gone || !self.busy.is_empty() || flights >= most {
                return;
            }
            let sent = match isochronous {
                Some(pipe) => self.send_packets(way, pipe),
                None => self.send_piece(way),
            };
            if !sent {
                return;
            }
        }
    }

    /// Sends the next URB of a lane that is not isochronous; false when there is none to send now.
    fn send_piece(&mut self, way: Way) -> bool {
        let pipe = self.pipe(way.0);
        let Some(lane) = self.lanes.get_mut(&way) else { return false };
        let Some(index) = lane.next() else { return false };
        let Some(job) = lane.jobs.get_mut(index) else { return false };
        let memory = &job.transfer.memory;
        let (kind, address, mut buffer, data) = match job.transfer.kind {
            Kind::Control(setup) => {
                let mut buffer = vec![0; 8 + usize::from(setup.length)];
                buffer[..8].copy_from_slice(&setup.bytes());
                job.sent = memory.len();
                (UrbKind::Control, way.0.address(), buffer, setup.direction() == Direction::Out)
            }
            _ => {
                let (kind, piece) = match pipe {
                    Some(Pipe { transfers: Transfers::Interrupt, packet, .. }) => {
                        // The kernel wants memory in one piece, and packets whole.
                        (UrbKind::Interrupt, SHORT / u64::from(packet) * u64::from(packet))
                    }
                    _ => (UrbKind::Bulk(way.1), self.piece),
                };
                let length = (memory.len() - job.moved).min(piece);
                job.sent = job.moved + length;
                (kind, way.0.address(), vec![0; length as usize], way.0.direction == Direction::Out)
            }
        };
        let bytes = buffer.len();
        if self.bytes > 0 && self.bytes + bytes > BUDGET {
            return false;
        }
        let at = if kind == UrbKind::Control { 8 } else { 0 };
        if data && memory.read(job.moved, &mut buffer[at..]).is_err() {
            let finished = lane.finish(index, Completion::failed(Fault::Transaction));
            self.done.extend(finished);
            return true;
        }
        let id = job.transfer.id;
        match self.shared.usbfs.submit(Urb { kind, endpoint: address, buffer, packets: Vec::new() }) {
            Ok(urb) => {
                job.urb = Some(urb);
                self.flights.insert(urb, Flight { way, jobs: vec![id], bytes, forgotten: false });
                self.bytes += bytes;
                true
            }
            Err(error) => self.refused(way, error, &[id]),
        }
    }

    /// Sends isochronous packets that wait as one URB; false when there are none to send now.
    fn send_packets(&mut self, way: Way, pipe: Pipe) -> bool {
        // Of microframes, or of frames (USB 2.0, 9.6.6).
        let unit = if self.speed >= Speed::High { 125 } else { 1000 };
        let interval = unit << u32::from(pipe.interval.clamp(1, 16) - 1);
        let most = (LASTS / interval).clamp(1, PACKETS as u32) as usize;
        let Some(lane) = self.lanes.get_mut(&way) else { return false };
        let first = lane.unsent();
        let (mut buffer, mut packets, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for job in lane.jobs.iter().skip(first).take(most) {
            let memory = &job.transfer.memory;
            // As much as the kernel takes for a packet; hardware takes less.
            let length = memory.len().min(98_304) as usize;
            let at = buffer.len();
            if at > 0 && self.bytes + at + length > BUDGET {
                break;
            }
            buffer.resize(at + length, 0);
            // What is not RAM is silence.
            let _ = if pipe.is_in() { Ok(0) } else { memory.read(0, &mut buffer[at..]) };
            packets.push(length as u32);
            ids.push(job.transfer.id);
        }
        let bytes = buffer.len();
        if ids.is_empty() || (self.bytes > 0 && self.bytes + bytes > BUDGET) {
            return false;
        }
        let urb = Urb { kind: UrbKind::Isochronous, endpoint: way.0.address(), buffer, packets };
        match self.shared.usbfs.submit(urb) {
            Ok(urb) => {
                for job in lane.jobs.iter_mut().skip(first).take(ids.len()) {
                    job.urb = Some(urb);
                }
                self.flights.insert(urb, Flight { way, jobs: ids, bytes, forgotten: false });
                self.bytes += bytes;
                true
            }
            Err(error) => self.refused(way, error, &ids),
        }
    }

    /// A URB was not taken; is there another to be tried?
    fn refused(&mut self, way: Way, error: Errno, jobs: &[TransferId]) -> bool {
        match error {
            Errno::NODEV | Errno::SHUTDOWN => {
                self.lose();
                false
            }
            Errno::NOMEM | Errno::AGAIN => {
                if self.flights.is_empty() {
                    // Nothing of ours will free any: others may, and less may be there.
                    self.piece = (self.piece / 2).max(SHORT);
                    self.shared.call_back_later();
                }
                false
            }
            error => {
                tracing::debug!("a URB for {:?} is refused: {error}", way.0);
                // Requests of what is not there: the device would say so.
                let stalls = error == Errno::PIPE || way.0 == Endpoint::CONTROL;
                let fault = if stalls { Fault::Stall } else { Fault::Transaction };
                let Some(lane) = self.lanes.get_mut(&way) else { return false };
                for &id in jobs {
                    let index = lane.position(id);
                    self.done.extend(index.and_then(|index| lane.finish(index, Completion::failed(fault))));
                }
                true
            }
        }
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
        loop {
            match self.shared.usbfs.reap() {
                Ok(reaped) => self.reaped(reaped),
                Err(Errno::NODEV) => {
                    self.lose();
                    return;
                }
                Err(_) => break,
            }
        }
        for way in self.lanes.keys().copied().collect::<Vec<_>>() {
            self.pump(way);
        }
        self.lanes.retain(|_, lane| !lane.jobs.is_empty());
    }

    /// A URB is over.
    fn reaped(&mut self, reaped: Reaped) {
        let Some(flight) = self.flights.remove(&reaped.id) else { return };
        self.bytes -= flight.bytes;
        let way = flight.way;
        let Some(lane) = self.lanes.get_mut(&way) else { return };
        if !reaped.packets.is_empty() {
            let done = packets_over(lane, &flight, &reaped);
            self.done.extend(done);
            return;
        }
        let Some(index) = flight.jobs.first().and_then(|&id| lane.position(id)) else { return };
        let Some(job) = lane.jobs.get_mut(index) else { return };
        job.urb = None;
        let asked = job.sent - job.moved;
        let (moved, error) = reaped.outcome;
        let memory = &job.transfer.memory;
        let (data, at) = match job.transfer.kind {
            Kind::Control(setup) => (setup.direction() == Direction::In, 8),
            _ => (way.0.direction == Direction::In, 0),
        };
        // More than there is room for, which only a control transfer can be.
        let babble = moved as u64 > memory.len();
        let written = if data {
            memory.write(job.moved, reaped.buffer.get(at..at + moved).unwrap_or_default())
        } else {
            Ok(moved)
        };
        job.moved = (job.moved + moved as u64).min(memory.len());
        let fault = match error {
            _ if written.is_err() => Some(Fault::Transaction),
            // Taken back: the guest has forgotten it, or it goes again.
            Some(Errno::NOENT | Errno::CONNRESET) => return,
            Some(error) => Some(fault(error)),
            None => babble.then_some(Fault::Babble),
        };
        let short = (moved as u64) < asked;
        if fault.is_none() && !short && job.moved < memory.len() && way.0 != Endpoint::CONTROL {
            return;
        }
        let completion = Completion { length: job.moved, fault };
        self.done.extend(lane.finish(index, completion));
        if fault.is_some() && way.0 != Endpoint::CONTROL {
            lane.held = true;
            let behind: Vec<_> = lane.jobs.iter().filter_map(|job| job.urb).collect();
            for urb in behind.into_iter().rev() {
                self.shared.usbfs.discard(urb);
            }
        }
    }

    /// Cancels URBs that nobody waits for any more.
    fn discard_orphans(&mut self) {
        if !self.busy.is_empty() {
            return;
        }
        for (&urb, flight) in self.flights.iter_mut().rev().filter(|(_, flight)| !flight.forgotten) {
            let lane = self.lanes.get(&flight.way);
            if !flight.jobs.iter().any(|&id| lane.is_some_and(|lane| lane.position(id).is_some())) {
                flight.forgotten = true;
                self.shared.usbfs.discard(urb);
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

/// A URB's packets are over: each is a transfer, with a place of its own in the buffer.
fn packets_over(lane: &mut Lane, flight: &Flight, reaped: &Reaped) -> Vec<(TransferId, Completion)> {
    let cancelled = matches!(reaped.outcome.1, Some(Errno::NOENT | Errno::CONNRESET));
    let is_in = flight.way.0.direction == Direction::In;
    let over = flight.jobs.iter().zip(&reaped.packets).filter_map(|(&id, &(at, (moved, error)))| {
        let index = lane.position(id)?;
        let memory = &lane.jobs.get(index)?.transfer.memory;
        let data = reaped.buffer.get(at..at + moved).unwrap_or_default();
        let written = if is_in { memory.write(0, data).is_ok() } else { true };
        let completion = match error {
            _ if cancelled => Completion::failed(Fault::Missed),
            _ if !written => Completion::failed(Fault::Transaction),
            error => Completion { length: moved as u64, fault: error.map(fault) },
        };
        lane.finish(index, completion)
    });
    over.collect()
}

/// What a complaint of the kernel is on the wire.
fn fault(error: Errno) -> Fault {
    match error {
        Errno::PIPE => Fault::Stall,
        Errno::OVERFLOW => Fault::Babble,
        Errno::XDEV => Fault::Missed,
        _ => Fault::Transaction,
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
