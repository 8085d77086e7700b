//! One PCM stream (VIRTIO 1.2 §5.14.6.6 and §5.14.6.8): its life from command to command, and the messages that carry its frames.
//!
//! A message stays with the stream until all its frames are played, or all its room is full, so that messages come back at the
//! pace of whoever listens. What of it is under way is descriptors only, never samples.

use std::collections::VecDeque;
use std::sync::Arc;

use ::sound::Jack;
use serde::{Deserialize, Serialize};

use super::params::{Params, Settings};
use super::protocol::{Direction, HEADER, Status};
use super::{QUEUE_SIZE, RX, TX};
use crate::chain::{Chain, ChainState};
use crate::queues::Queues;

/// Bytes at the end of a message's writable part: status, latency.
pub(super) const STATUS: u64 = 8;

/// Where in its life a stream is (§5.14.6.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Made, given parameters, or released.
    Idle,
    Prepared,
    Running,
    Stopped,
}

/// A message under way.
#[derive(Debug)]
struct Message {
    chain: Chain,
    /// Bytes of frames it holds or has room for; whole frames, never 0.
    length: u64,
    /// Those of them that were played or recorded; whole frames.
    done: u64,
}

/// A saved message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct MessageState {
    chain: ChainState,
    done: u64,
}

/// A stream.
pub(super) struct Stream {
    direction: Direction,
    jack: Arc<dyn Jack>,
    phase: Phase,
    settings: Option<Settings>,
    /// Oldest first; none when idle.
    waiting: VecDeque<Message>,
    /// The last turn wanted more than there was.
    dry: bool,
    /// That is new, and the driver wants to hear of it.
    xrun: bool,
    /// The messages of a restored stream, until it goes on.
    restored: Option<Vec<MessageState>>,
}

/// The saved stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StreamState {
    phase: Phase,
    params: Option<Params>,
    waiting: Vec<MessageState>,
    dry: bool,
}

impl Stream {
    pub(super) fn new(direction: Direction, jack: Arc<dyn Jack>) -> Self {
        Self {
            direction,
            jack,
            phase: Phase::Idle,
            settings: None,
            waiting: VecDeque::new(),
            dry: false,
            xrun: false,
            restored: None,
        }
    }

    /// The queue of its messages.
    pub(super) fn queue(&self) -> u16 {
        match self.direction {
            Direction::Output => TX,
            Direction::Input => RX,
        }
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// May the stream begin anew? A stopped one is released before.
    fn may_begin(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Prepared)
    }

    pub(super) fn set_params(&mut self, params: Params, queues: &mut Queues) -> Result<(), Status> {
        let settings = Settings::of(params, self.direction)?;
        if !self.may_begin() {
            return Err(Status::BadMessage);
        }
        // Frames that were laid out as before are nothing now.
        self.give_back_all(queues);
        self.settings = Some(settings);
        self.phase = Phase::Idle;
        Ok(())
    }

    pub(super) fn prepare(&mut self) -> Result<(), Status> {
        if self.settings.is_none() || !self.may_begin() {
            return Err(Status::BadMessage);
        }
        self.phase = Phase::Prepared;
        Ok(())
    }

    /// All messages are back when it returns, as they must be before the driver hears that it was done.
    pub(super) fn release(&mut self, queues: &mut Queues) -> Result<(), Status> {
        if !matches!(self.phase, Phase::Prepared | Phase::Stopped) {
            return Err(Status::BadMessage);
        }
        self.give_back_all(queues);
        self.phase = Phase::Idle;
        Ok(())
    }

    pub(super) fn start(&mut self) -> Result<(), Status> {
        match self.settings.filter(|_| matches!(self.phase, Phase::Prepared | Phase::Stopped)) {
            Some(settings) => {
                self.phase = Phase::Running;
                self.dry = false;
                self.jack.start(settings.shape);
                Ok(())
            }
            None => Err(Status::BadMessage),
        }
    }

    pub(super) fn stop(&mut self) -> Result<(), Status> {
        if self.phase != Phase::Running {
            return Err(Status::BadMessage);
        }
        self.phase = Phase::Stopped;
        self.jack.stop();
        Ok(())
    }

    /// The driver is gone, and its messages with it.
    pub(super) fn reset(&mut self) {
        let Self { direction: _, jack, phase, settings, waiting, dry, xrun, restored } = self;
        if *phase == Phase::Running && restored.is_none() {
            jack.stop();
        }
        (*phase, *settings, *dry, *xrun, *restored) = (Phase::Idle, None, false, false, None);
        waiting.clear();
    }

    /// Takes a message from the stream's queue, or gives it back with an error.
    pub(super) fn take(&mut self, chain: Chain, queues: &mut Queues) {
        match self.room_for(&chain, 0) {
            Some(length) => self.waiting.push_back(Message { chain, length, done: 0 }),
            None => give_back(chain, self.queue(), Status::IoError, 0, 0, queues),
        }
    }

    /// Bytes of frames in `chain`, of which `done` are over; `None` when it is no message for the stream as it is now. Everything
    /// that waits fits into the buffer that the driver said it has.
    fn room_for(&self, chain: &Chain, done: u64) -> Option<u64> {
        let settings = self.settings.filter(|_| self.phase != Phase::Idle)?;
        let (readable, writable) = (chain.readable_len(), chain.writable_len());
        let (frames, rest, rest_wanted) = match self.direction {
            Direction::Output => (readable.checked_sub(HEADER as u64)?, writable, STATUS),
            Direction::Input => (writable.checked_sub(STATUS)?, readable, HEADER as u64),
        };
        let before: u64 = self.waiting.iter().map(|message| message.length).sum();
        let fits = before + frames <= u64::from(settings.params.buffer_bytes);
        let is_whole = |bytes: u64| bytes.is_multiple_of(settings.frame_bytes());
        let good = frames > done && is_whole(frames) && is_whole(done) && rest == rest_wanted && fits;
        good.then_some(frames)
    }

    /// Gives all messages back, as they are: what was recorded is in them.
    fn give_back_all(&mut self, queues: &mut Queues) {
        let latency = self.latency(0);
        for message in std::mem::take(&mut self.waiting) {
            self.finish(message, latency, queues);
        }
    }

    fn finish(&self, message: Message, latency: u32, queues: &mut Queues) {
        let recorded = match self.direction {
            Direction::Output => 0,
            Direction::Input => message.done,
        };
        give_back(message.chain, self.queue(), Status::Ok, latency, recorded, queues);
    }

    /// Bytes between the device and somebody's ear, when `frames` more than the jack knows of are on the way.
    fn latency(&self, frames: u64) -> u32 {
        let frame = self.settings.map_or(0, |settings| settings.frame_bytes());
        u32::try_from((u64::from(self.jack.delay()) + frames).saturating_mul(frame)).unwrap_or(u32::MAX)
    }

    fn settings_of_running(&self, direction: Direction, queues: &Queues) -> Option<Settings> {
        let runs = self.phase == Phase::Running && self.direction == direction && queues.is_running();
        self.settings.filter(|_| runs)
    }

    /// See [`::sound::Pcm::play`]. `bytes` is memory to work with.
    pub(super) fn play(&mut self, samples: &mut [i32], bytes: &mut Vec<u8>, queues: &mut Queues) -> usize {
        let Some(settings) = self.settings_of_running(Direction::Output, queues) else {
            samples.fill(0);
            return 0;
        };
        let channels = usize::from(settings.shape.channels);
        let whole = samples.len() - samples.len() % channels;
        let mut played = 0;
        while played < whole
            && let Some(message) = self.waiting.front_mut()
        {
            let size = settings.encoding.bytes();
            let left = (message.length - message.done) / size as u64;
            // Whole frames, since both are.
            let count = left.min((whole - played) as u64) as usize;
            bytes.resize(count * size, 0);
            let part = &mut samples[played..played + count];
            match message.chain.read_at(HEADER as u64 + message.done, bytes) {
                true => settings.encoding.decode(bytes, part),
                false => part.fill(0),
            }
            played += count;
            message.done += (count * size) as u64;
            self.finish_first((played / channels) as u64, queues);
        }
        samples[played..].fill(0);
        self.turn_over(played < whole);
        played / channels
    }

    /// See [`::sound::Pcm::record`]. `bytes` is memory to work with.
    pub(super) fn record(&mut self, samples: &[i32], bytes: &mut Vec<u8>, queues: &mut Queues) -> usize {
        let Some(settings) = self.settings_of_running(Direction::Input, queues) else { return 0 };
        let channels = usize::from(settings.shape.channels);
        let whole = samples.len() - samples.len() % channels;
        let mut recorded = 0;
        while recorded < whole
            && let Some(message) = self.waiting.front_mut()
        {
            let size = settings.encoding.bytes();
            let left = (message.length - message.done) / size as u64;
            let count = left.min((whole - recorded) as u64) as usize;
            bytes.resize(count * size, 0);
            settings.encoding.encode(&samples[recorded..recorded + count], bytes);
            if !message.chain.write_at(message.done, bytes) {
                // The chain was checked to be that long.
                break;
            }
            recorded += count;
            message.done += (count * size) as u64;
            self.finish_first(0, queues);
        }
        self.turn_over(recorded < whole);
        recorded / channels
    }

    /// Gives the first message back if it is done, `frames` into a turn.
    fn finish_first(&mut self, frames: u64, queues: &mut Queues) {
        if let Some(message) = self.waiting.pop_front_if(|message| message.done >= message.length) {
            self.finish(message, self.latency(frames), queues);
        }
    }

    /// A turn is over; was there too little? Of many such turns in a row the driver hears once.
    fn turn_over(&mut self, dry: bool) {
        self.xrun |= dry && !self.dry && self.settings.is_some_and(|settings| settings.tells_xruns());
        self.dry = dry;
    }

    /// Is an underrun or overrun to be told?
    pub(super) fn take_xrun(&mut self) -> bool {
        std::mem::take(&mut self.xrun)
    }

    /// Goes on after a restore: takes the messages again that were under way, and tells the jack.
    pub(super) fn go_on(&mut self, queues: &mut Queues) {
        let Some(restored) = self.restored.take() else { return };
        for MessageState { chain, done } in restored {
            let is_new = |chain: &Chain| self.waiting.iter().all(|other| other.chain.head() != chain.head());
            let chain = queues.readmit(self.queue(), chain).filter(is_new);
            match chain.and_then(|chain| Some((self.room_for(&chain, done)?, chain))) {
                Some((length, chain)) => self.waiting.push_back(Message { chain, length, done }),
                None => queues.fail(),
            }
        }
        if let Some(settings) = self.settings.filter(|_| self.phase == Phase::Running) {
            self.jack.start(settings.shape);
        }
    }

    pub(super) fn save(&self) -> StreamState {
        // An event is told in the turn that it comes from.
        let Self { direction: _, jack: _, phase, settings, waiting, dry, xrun: _, restored } = self;
        let under_way = |message: &Message| {
            let Message { chain, length: _, done } = message;
            MessageState { chain: chain.save(), done: *done }
        };
        StreamState {
            phase: *phase,
            params: settings.map(|settings| settings.params),
            waiting: restored.iter().flatten().cloned().chain(waiting.iter().map(under_way)).collect(),
            dry: *dry,
        }
    }

    /// False when the state cannot be such a stream's.
    pub(super) fn restore(&mut self, saved: StreamState) -> bool {
        let StreamState { phase, params, waiting, dry } = saved;
        self.reset();
        let settings = params.map(|params| Settings::of(params, self.direction));
        let Ok(settings) = settings.transpose() else { return false };
        let idle = phase == Phase::Idle;
        if !idle && settings.is_none() || idle && !waiting.is_empty() || waiting.len() > usize::from(QUEUE_SIZE) {
            return false;
        }
        (self.phase, self.settings, self.dry, self.restored) = (phase, settings, dry, Some(waiting));
        true
    }
}

/// Gives a message back with its status, which has the end of the writable part; `recorded` bytes of frames are at the start.
pub(super) fn give_back(chain: Chain, queue: u16, status: Status, latency: u32, recorded: u64, queues: &mut Queues) {
    let mut bytes = (status as u32).to_le_bytes().to_vec();
    bytes.extend(latency.to_le_bytes());
    match chain.writable_len().checked_sub(STATUS).is_some_and(|at| chain.write_at(at, &bytes)) {
        // No more than a chain has room for, which is 4 GiB.
        true => queues.push(queue, chain, (recorded + STATUS) as u32),
        // There is no place to say so.
        false => queues.fail(),
    }
}
