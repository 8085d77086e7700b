//! The thread that keeps streams open: it may wait for sound servers, so that no window has to.
//!
//! A stream that fails is opened again after a while, longer from time to time, as long as the guest's own stands: a card that was
//! unplugged and a server that died come back without the guest or its engine knowing.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::pcm::Consumer;
use console::SoundEvent;
use cpal::ErrorKind;

use crate::controls::Controls;
use crate::host::{Host, Line, Open, Wish, late};
use crate::{Devices, News, State, lock};

/// Before a stream that failed is tried again, at first and at last.
const FIRST_REST: Duration = Duration::from_millis(500);
const LAST_REST: Duration = Duration::from_secs(5);
/// A stream that was open for so long starts with short rests again.
const GOOD: Duration = Duration::from_secs(10);
/// Between two looks at whether the usual device is another one by now.
const LOOK: Duration = Duration::from_secs(2);
/// What a device takes at once, at first, and at last where a computer is too busy for less.
const SHORT_PERIOD: Duration = Duration::from_millis(10);
const LONG_PERIOD: Duration = Duration::from_millis(40);
/// How long ago a computer must have been too busy last for the next stream to have shorter ones again.
const CALM: Duration = Duration::from_secs(120);
/// How long the last frames of a stream that ended may take.
const TAIL: Duration = Duration::from_millis(150);

/// What the thread is asked to do.
pub(crate) enum Order {
    /// There is something new of the guest's streams.
    News,
    /// Devices to use.
    Use { playback: Option<String>, capture: Option<String> },
    /// A stream that was opened by this number failed.
    Failed { stream: u32, opening: u64, error: cpal::Error },
    /// A stream that was opened by this number gets its frames too late.
    Strained { stream: u32, opening: u64 },
    /// Says which devices there are.
    List(Box<dyn FnOnce(Devices) + Send>),
    /// Ends.
    End,
}

/// How a stream of the guest's is doing.
enum Is {
    Open { open: Open, at: Instant },
    Waiting { until: Instant },
}

struct Stream {
    playback: bool,
    line: Line,
    is: Is,
    opening: u64,
    rest: Duration,
    /// Why it is not open, if that was tried.
    problem: Option<String>,
    /// It ended, and its last frames are heard until then.
    ends: Option<Instant>,
}

/// Streams of one direction whose start is under way at most: a server that does not answer keeps each with its thread, and the one after
/// it is to be asked all the same.
const MOST_STARTING: usize = 4;

pub(crate) struct Worker {
    period: Duration,
    /// When it became longer.
    strained: Instant,
    openings: u64,
    hosts: Hosts,
    /// Whoever starts a stream, to record and to play, holds it: such a thread may outlast the connection.
    starting: [Arc<()>; 2],
    look: Instant,
    pub(crate) parts: Parts,
}

/// A connection for each direction, while it has streams: where one fails, the other's is none the worse.
#[derive(Default)]
struct Hosts {
    playback: Option<Host>,
    capture: Option<Host>,
}

/// What a worker is made of.
pub(crate) struct Parts {
    pub(crate) orders: Receiver<Order>,
    /// For callbacks to say that they failed.
    pub(crate) back: Sender<Order>,
    pub(crate) controls: Arc<Controls>,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) news: Arc<Mutex<News>>,
    pub(crate) changed: Box<dyn Fn() + Send>,
    pub(crate) playback: Option<String>,
    pub(crate) capture: Option<String>,
}

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        Self {
            period: SHORT_PERIOD,
            strained: now,
            openings: 0,
            hosts: Hosts::default(),
            starting: Default::default(),
            look: now,
            parts,
        }
    }

    pub(crate) fn run(mut self) {
        let mut streams = HashMap::new();
        loop {
            let now = Instant::now();
            if self.look <= now {
                self.look(&mut streams, now);
            }
            self.keep(&mut streams, now);
            let order = match next(&streams, self.look) {
                None => self.parts.orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => self.parts.orders.recv_timeout(at.saturating_duration_since(now)),
            };
            match order {
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(order) => self.obey(order, &mut streams),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn obey(&mut self, order: Order, streams: &mut HashMap<u32, Stream>) {
        let now = Instant::now();
        match order {
            Order::News => {
                let News { silence, events } = std::mem::take(&mut *lock(&self.parts.news));
                if silence {
                    streams.clear();
                }
                for event in events {
                    self.follow(event, streams, now);
                }
            }
            // It never comes here.
            Order::End => {}
            Order::Use { playback, capture } => {
                let changed = [capture != self.parts.capture, playback != self.parts.playback];
                (self.parts.playback, self.parts.capture) = (playback, capture);
                for stream in streams.values_mut().filter(|stream| changed[usize::from(stream.playback)]) {
                    stream.line.since = now;
                    stream.is = Is::Waiting { until: now };
                }
            }
            Order::Failed { stream, opening, error } => {
                if let Some(stream) = streams.get_mut(&stream).filter(|stream| stream.opening == opening) {
                    tracing::debug!("sound failed: {error}");
                    if matches!(stream.is, Is::Open { at, .. } if now.saturating_duration_since(at) >= GOOD) {
                        stream.rest = FIRST_REST;
                    }
                    stream.problem = Some(error.to_string());
                    stream.wait(now);
                    // A server that died takes its connections along.
                    *self.hosts.of(stream.playback) = None;
                }
            }
            Order::Strained { stream, opening } => {
                if let Some(stream) = streams.get_mut(&stream).filter(|stream| stream.opening == opening)
                    && self.period < LONG_PERIOD
                {
                    (self.period, self.strained) = ((self.period * 2).min(LONG_PERIOD), now);
                    tracing::info!("sound broke several times: periods are {:?} from now on", self.period);
                    stream.line.since = now;
                    stream.is = Is::Waiting { until: now };
                }
            }
            Order::List(reply) => {
                let mut devices =
                    |playback| self.hosts.open(playback).map_or_else(|_| Vec::new(), |host| host.devices(playback));
                reply(Devices { playback: devices(true), capture: devices(false) });
            }
        }
    }

    /// Does as the guest does.
    fn follow(&mut self, event: SoundEvent, streams: &mut HashMap<u32, Stream>, now: Instant) {
        match event {
            SoundEvent::Playback { stream, ring, bell } => {
                if now.saturating_duration_since(self.strained) >= CALM {
                    (self.period, self.strained) = ((self.period / 2).max(SHORT_PERIOD), now);
                }
                streams.insert(stream, Stream::new(true, Line { ring, bell, since: now }, now));
            }
            SoundEvent::Capture { stream, ring, bell } => {
                streams.insert(stream, Stream::new(false, Line { ring, bell, since: now }, now));
            }
            SoundEvent::Ended { stream } => {
                if let Some(stream) = streams.get_mut(&stream) {
                    stream.end(now);
                }
            }
        }
    }

    /// Moves streams to the devices that they should be on.
    fn look(&mut self, streams: &mut HashMap<u32, Stream>, now: Instant) {
        self.look = now + LOOK;
        for stream in streams.values_mut().filter(|stream| stream.ends.is_none()) {
            let Some(host) = self.hosts.of(stream.playback) else { continue };
            let wanted = if stream.playback { &self.parts.playback } else { &self.parts.capture };
            if matches!(&stream.is, Is::Open { open, .. } if host.is_elsewhere(open, wanted.as_deref(), stream.playback))
            {
                stream.line.since = now;
                stream.is = Is::Waiting { until: now };
            }
        }
    }

    /// Opens what is to be open, closes what is over.
    fn keep(&mut self, streams: &mut HashMap<u32, Stream>, now: Instant) {
        streams.retain(|_, stream| stream.ends.is_none_or(|ends| ends > now));
        for (number, stream) in streams.iter_mut() {
            match stream.is {
                Is::Waiting { until } if until <= now => {
                    self.openings += 1;
                    stream.opening = self.openings;
                    match self.open(*number, stream) {
                        Ok(open) => {
                            stream.is = Is::Open { open, at: Instant::now() };
                            stream.problem = None;
                            self.look = Instant::now() + LOOK;
                        }
                        Err(error) => {
                            stream.problem = Some(error.to_string());
                            stream.wait(Instant::now());
                            *self.hosts.of(stream.playback) = None;
                        }
                    }
                }
                Is::Waiting { .. } | Is::Open { .. } => {}
            }
        }
        for playback in [true, false] {
            if streams.values().all(|stream| stream.playback != playback) {
                *self.hosts.of(playback) = None;
            }
        }
        self.tell(self.state(streams));
    }

    /// How all of it is doing.
    fn state(&self, streams: &HashMap<u32, Stream>) -> State {
        let of = |playback| streams.values().filter(move |stream| stream.playback == playback);
        let is_open = |playback| of(playback).any(|stream| matches!(stream.is, Is::Open { .. }));
        let problem = |playback| of(playback).find_map(|stream| stream.problem.clone());
        let problem = match streams.is_empty() {
            // Nothing new is known of it.
            true => lock(&self.parts.state).problem.clone(),
            false => problem(true).or_else(|| problem(false)),
        };
        State { playing: is_open(true), recording: is_open(false), problem }
    }

    fn open(&mut self, number: u32, stream: &Stream) -> Result<Open, cpal::Error> {
        let (back, opening) = (self.parts.back.clone(), stream.opening);
        let failed = move |error: cpal::Error| match error.kind() {
            // It runs on.
            ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
            _ => {
                let _ = back.send(Order::Failed { stream: number, opening, error });
            }
        };
        let (again, period) = (self.parts.back.clone(), self.period);
        let strained = move || {
            let _ = again.send(Order::Strained { stream: number, opening });
        };
        let starting = &self.starting[usize::from(stream.playback)];
        if Arc::strong_count(starting) > MOST_STARTING {
            return Err(late());
        }
        let (host, parts) = (self.hosts.open(stream.playback)?, &self.parts);
        let device = if stream.playback { &parts.playback } else { &parts.capture };
        let wish = Wish { stream: number, device: device.as_deref(), period, controls: &parts.controls, starting };
        match stream.playback {
            true => host.play(&wish, &stream.line, strained, failed),
            false => host.record(&wish, &stream.line, failed),
        }
    }

    fn tell(&self, state: State) {
        let before = std::mem::replace(&mut *lock(&self.parts.state), state.clone());
        if before != state {
            match &state.problem {
                // Said once, however often it is tried.
                Some(problem) if before.problem.is_none() => tracing::warn!("there is no sound: {problem}"),
                _ => {}
            }
            (self.parts.changed)();
        }
    }
}

impl Hosts {
    fn of(&mut self, playback: bool) -> &mut Option<Host> {
        if playback { &mut self.playback } else { &mut self.capture }
    }

    /// Connects if it is not connected.
    fn open(&mut self, playback: bool) -> Result<&Host, cpal::Error> {
        match self.of(playback) {
            Some(host) => Ok(host),
            none => Ok(none.insert(Host::new()?)),
        }
    }
}

impl Stream {
    fn new(playback: bool, line: Line, now: Instant) -> Self {
        Self { playback, line, is: Is::Waiting { until: now }, opening: 0, rest: FIRST_REST, problem: None, ends: None }
    }

    /// Tries again after a rest.
    fn wait(&mut self, now: Instant) {
        self.line.since = now;
        self.is = Is::Waiting { until: now + self.rest };
        self.rest = (self.rest * 2).min(LAST_REST);
    }

    fn end(&mut self, now: Instant) {
        let layout = self.line.ring.layout();
        let left = match (&self.is, self.playback) {
            (Is::Open { .. }, true) => Consumer::new(Arc::clone(&self.line.ring)).fill(),
            _ => 0,
        };
        let tail = Duration::from_secs(left.into()) / layout.rate;
        self.ends = Some(if left == 0 { now } else { now + tail.min(TAIL) + TAIL });
    }
}

/// When something is to be done without an order.
fn next(streams: &HashMap<u32, Stream>, look: Instant) -> Option<Instant> {
    let waits = |stream: &Stream| match stream.is {
        Is::Waiting { until } => Some(until),
        Is::Open { .. } => Some(look),
    };
    streams.values().flat_map(|stream| [waits(stream), stream.ends]).flatten().min()
}

#[cfg(test)]
#[path = "worker_test.rs"]
mod tests;
