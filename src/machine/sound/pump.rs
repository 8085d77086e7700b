//! The pump's thread: keeps streams and the listener's rings as the device and the console say, and gives each stream its turns.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use api::pcm::{Bell, Heard, Offer, Ring};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::jack::StreamJack;
use super::stream::{Direction, Stream};
use super::{Listener, Shared, Wants, lock};

/// How long the ring of a stream that stopped stays: guests stop and start for every song.
const LINGER: Duration = Duration::from_secs(1);
/// Before a console that took no message is told again.
const RETRY: Duration = Duration::from_millis(100);
/// Between two turns at least, however often a bell rings.
const REST: Duration = Duration::from_millis(1);
/// Before the thread polls again when that failed.
const POLL_REST: Duration = Duration::from_millis(100);

/// What the listener has of a stream.
enum Offered {
    /// Nothing, and nothing is tried before then.
    Nothing(Duration),
    /// A ring.
    Ring(Bell),
    /// It is to hear that there is no ring any more.
    OwesEnd(Duration),
}

/// A stream's place.
struct Place {
    number: u32,
    direction: Direction,
    jack: Arc<StreamJack>,
    /// Starts that were seen.
    starts: u64,
    stream: Option<Stream>,
    /// When it stopped, if its ring is still there.
    stopped: Option<Duration>,
    offered: Offered,
    rung: bool,
}

/// The thread's side.
pub(super) struct Pump {
    shared: Arc<Shared>,
    places: Vec<Place>,
    listener: Option<Listener>,
    /// Who had the sound before and would have it again, the next one last.
    waiting: Vec<Listener>,
    began: Instant,
    next: Option<Duration>,
}

impl Pump {
    pub(super) fn new(shared: Arc<Shared>, streams: impl Iterator<Item = (Direction, Arc<StreamJack>)>) -> Self {
        let place = |(number, (direction, jack))| Place {
            number,
            direction,
            jack,
            starts: 0,
            stream: None,
            stopped: None,
            offered: Offered::Nothing(Duration::ZERO),
            rung: false,
        };
        let places = (0..).zip(streams).map(place).collect();
        Self { shared, places, listener: None, waiting: Vec::new(), began: Instant::now(), next: None }
    }

    pub(super) fn run(mut self) {
        let mut last = Duration::ZERO;
        loop {
            self.wait();
            let soon = (last + REST).saturating_sub(self.began.elapsed());
            if !soon.is_zero() {
                std::thread::sleep(soon);
            }
            last = self.began.elapsed();
            if !self.obey() {
                return;
            }
            self.step(last);
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) {
        let bells = self.places.iter().filter_map(Place::bell);
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        fds.extend(bells.map(|bell| PollFd::new(bell, PollFlags::IN)));
        let rest = self.next.map(|next| next.saturating_sub(self.began.elapsed()));
        let rest = rest.map(|rest| Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: rest.subsec_nanos().into() });
        match poll(&mut fds, rest.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                // Out of kernel memory, which may pass: not worth a tight loop.
                tracing::error!("polling for sound: {error}");
                std::thread::sleep(POLL_REST);
            }
        }
        if !fds[0].revents().is_empty() {
            let _ = rustix::io::read(&self.shared.wake, &mut [0_u8; 8]);
        }
    }

    /// Does what others asked meanwhile; false at the end.
    fn obey(&mut self) -> bool {
        let consoles = {
            let mut orders = lock(&self.shared.orders);
            if orders.closed {
                return false;
            }
            std::mem::take(&mut orders.consoles)
        };
        for wants in consoles {
            let console = wants.console();
            self.waiting.retain(|other| other.console != console);
            let listens = self.listener.as_ref().is_some_and(|listener| listener.console == console);
            match wants {
                Wants::Sound(next) if listens => self.listener = Some(next),
                Wants::Sound(next) => {
                    let before = self.change_listener(Some(next));
                    self.waiting.extend(before);
                }
                Wants::Nothing(_) if listens => {
                    let next = self.waiting.pop();
                    self.change_listener(next);
                }
                Wants::Nothing(_) => {}
            }
        }
        true
    }

    /// Another console has the sound. Gives the one before, whose rings are no more.
    fn change_listener(&mut self, next: Option<Listener>) -> Option<Listener> {
        if let Some(before) = &mut self.listener {
            for place in &mut self.places {
                if matches!(place.offered, Offered::Ring(_) | Offered::OwesEnd(_)) {
                    // Said once: what a console that has lost its sound does with it is its own business.
                    before.end(place.number);
                }
                place.withdraw(self.began.elapsed());
                place.offered = Offered::Nothing(Duration::ZERO);
            }
        }
        std::mem::replace(&mut self.listener, next)
    }

    /// One round at this moment.
    fn step(&mut self, now: Duration) {
        let running = self.shared.running.load(SeqCst);
        let mut next = None;
        for place in &mut self.places {
            place.hear(now);
            place.follow(running, now);
            let wait = place.tell(self.listener.as_mut(), now);
            next = earlier(next, wait);
        }
        if self.places.iter().any(Place::runs) {
            let places = &mut self.places;
            let turns = self.shared.with_device(|device| {
                let mut next = None;
                for place in places {
                    let rung = std::mem::take(&mut place.rung);
                    if let Some(stream) = place.stream.as_mut().filter(|_| place.stopped.is_none()) {
                        next = earlier(next, Some(stream.turn(now, rung, device)));
                        place.jack.set_heard(stream.is_clocked());
                    }
                }
                device.turn_done();
                next
            });
            next = earlier(next, turns.flatten());
        }
        self.next = next;
    }
}

impl Place {
    fn runs(&self) -> bool {
        self.stream.is_some() && self.stopped.is_none()
    }

    fn bell(&self) -> Option<&Bell> {
        match &self.offered {
            Offered::Ring(bell) => Some(bell),
            _ => None,
        }
    }

    /// Listens to the bell.
    fn hear(&mut self, now: Duration) {
        match self.bell().map(Bell::hear) {
            Some(Heard::Ring) => self.rung = true,
            Some(Heard::Gone) => {
                self.withdraw(now);
                // Thrown away, or given back just before it was wanted again: not offered again and again.
                self.offered = Offered::Nothing(now + LINGER);
            }
            Some(Heard::Nothing) | None => {}
        }
    }

    /// Starts and stops the stream as its device said.
    fn follow(&mut self, running: bool, now: Duration) {
        let said = self.jack.said();
        let Some(shape) = said.shape.filter(|_| running) else {
            if self.stream.is_some() && self.stopped.is_none() {
                self.stopped = Some(now);
            }
            let over = self.stopped.is_some_and(|at| now.saturating_sub(at) >= LINGER);
            if !running || over || !matches!(self.offered, Offered::Ring(_)) {
                self.withdraw(now);
                (self.stream, self.stopped) = (None, None);
            }
            return;
        };
        let again = std::mem::replace(&mut self.starts, said.starts) != said.starts;
        match &mut self.stream {
            Some(stream) if stream.layout() == Stream::layout_of(shape) => {
                if self.stopped.take().is_some() || again {
                    stream.start_again(now);
                }
            }
            stream => {
                *stream = Some(Stream::new(self.number, self.direction, shape, now));
                self.stopped = None;
                self.withdraw(now);
            }
        }
    }

    /// Takes the ring away; the listener is yet to be told.
    fn withdraw(&mut self, now: Duration) {
        if matches!(self.offered, Offered::Ring(_)) {
            self.offered = Offered::OwesEnd(now);
            self.jack.set_ring(None);
            if let Some(stream) = &mut self.stream {
                stream.connect(None, now);
            }
        }
    }

    /// Tells the listener what it is to know; when to try again, or to look at a ring that lingers.
    fn tell(&mut self, listener: Option<&mut Listener>, now: Duration) -> Option<Duration> {
        let Some(listener) = listener else {
            self.withdraw(now);
            self.offered = Offered::Nothing(now);
            return None;
        };
        let wanted = listener.wants(self.direction);
        if !wanted {
            self.withdraw(now);
        }
        if let Offered::OwesEnd(at) = self.offered {
            if at > now {
                return Some(at);
            }
            if !listener.end(self.number) {
                self.offered = Offered::OwesEnd(now + RETRY);
                return Some(now + RETRY);
            }
            self.offered = Offered::Nothing(now);
        }
        if let Offered::Nothing(at) = self.offered
            && wanted
            && self.runs()
        {
            if at > now {
                return Some(at);
            }
            if !self.offer(listener, now) {
                self.offered = Offered::Nothing(now + RETRY);
                return Some(now + RETRY);
            }
        }
        self.stopped.map(|at| at + LINGER)
    }

    /// Makes a ring and offers it.
    fn offer(&mut self, listener: &mut Listener, now: Duration) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        let layout = stream.layout();
        let made = Ring::create(layout).and_then(|(ring, memfd)| Ok((ring, memfd, Bell::pair()?)));
        let (ring, memfd, (ours, theirs)) = match made {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!("no ring for sound: {error}");
                return false;
            }
        };
        let offer = Offer { stream: self.number, layout };
        if !listener.offer(self.direction, offer, &[memfd.as_fd(), theirs.as_fd()]) {
            return false;
        }
        self.jack.set_ring((self.direction == Direction::Playback).then(|| Arc::clone(&ring)));
        stream.connect(Some(ring), now);
        self.offered = Offered::Ring(ours);
        true
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
