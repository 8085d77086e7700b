//! The loop between the card's frames and the other ports'. One thread; it sleeps in one place.
//!
//! Everything that waits is bounded: a port or card that does not read loses frames, as at a switch whose queue is full, and costs
//! nobody else anything. A port that does not speak the framing is left.

use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use net::LinkLost;
use net::framing::{Inbox, Outbox, Read};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::addresses::{Address, Addresses, is_group};
use crate::join::{Joined, PORTS};

/// Bytes of frames that wait for the card: more than the windows of many connections together.
const CARD: usize = 4 << 20;
/// Bytes of frames that wait for another port.
const PEER: usize = 1 << 20;

/// A card's end, or another port's.
struct Cable {
    stream: UnixStream,
    inbox: Inbox,
    outbox: Outbox,
}

impl Cable {
    fn new(stream: UnixStream, waiting: usize) -> Self {
        Self { stream, inbox: Inbox::default(), outbox: Outbox::new(waiting) }
    }

    fn wanted(&self) -> PollFlags {
        if self.outbox.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    /// Reads what there is, once, and gives its whole frames.
    fn hear(&mut self, mut give: impl FnMut(&[u8])) -> Result<(), LinkLost> {
        if self.inbox.read_from(&self.stream)? == Read::Closed {
            return Err(LinkLost::Closed);
        }
        while let Some(frame) = self.inbox.frame()? {
            give(frame);
            self.inbox.consume();
        }
        Ok(())
    }

    fn say(&mut self) -> Result<(), LinkLost> {
        Ok(self.outbox.write_to(&self.stream)?)
    }
}

/// Another port of the network.
struct Peer {
    cable: Cable,
    stations: Addresses,
    /// It has left, or cannot be understood.
    gone: bool,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self { cable: Cable::new(stream, PEER), stations: Addresses::default(), gone: false }
    }
}

/// A port of the network.
pub(crate) struct Switch {
    card: Cable,
    listener: UnixListener,
    peers: Vec<Peer>,
}

/// What a sleep brought.
struct Woken {
    card: PollFlags,
    listener: PollFlags,
    peers: Vec<PollFlags>,
}

/// Ready to be read, if only to hear that it has ended.
fn readable(ready: PollFlags) -> bool {
    ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
}

/// A frame's destination and source.
fn addresses(frame: &[u8]) -> Option<(Address, Address)> {
    let (to, rest) = frame.split_first_chunk()?;
    Some((*to, *rest.first_chunk()?))
}

impl Switch {
    pub(crate) fn new(card: UnixStream, joined: Joined) -> Self {
        let peers = joined.peers.into_iter().map(Peer::new).collect();
        Self { card: Cable::new(card, CARD), listener: joined.listener, peers }
    }

    /// Runs until the link to the engine ends; why it did.
    pub(crate) fn run(mut self) -> LinkLost {
        loop {
            if let Err(lost) = self.step() {
                return lost;
            }
        }
    }

    fn step(&mut self) -> Result<(), LinkLost> {
        let woken = self.sleep();
        let now = Instant::now();
        // Who had joined before a frame was sent hears it.
        if !woken.listener.is_empty() {
            self.accept();
        }
        if readable(woken.card) {
            let Self { card, peers, .. } = self;
            card.hear(|frame| send(peers, frame, now))?;
        }
        for at in (0..woken.peers.len()).filter(|at| readable(woken.peers[*at])) {
            self.hear_peer(at, now);
        }
        self.peers.retain_mut(|peer| !peer.gone && peer.cable.say().is_ok());
        self.card.say()
    }

    /// A frame of another port goes to the card; who sent it is behind that port.
    fn hear_peer(&mut self, at: usize, now: Instant) {
        let Self { card, peers, .. } = self;
        let mut moved = Vec::new();
        let Peer { cable, stations, gone } = &mut peers[at];
        let heard = cable.hear(|frame| {
            if let Some((_, from)) = addresses(frame)
                && stations.learn(from, now)
            {
                moved.push(from);
            }
            // What does not fit is lost, as at a full queue of a switch.
            card.outbox.push(&[frame]);
        });
        if let Err(lost) = heard {
            match lost {
                LinkLost::Closed => tracing::debug!("a port has left"),
                lost => tracing::warn!("a port is left alone: {lost}"),
            }
            *gone = true;
        }
        for address in moved {
            peers.iter_mut().enumerate().filter(|(other, _)| *other != at).for_each(|(_, other)| {
                other.stations.forget(&address);
            });
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            // One port fewer than there are numbers, as one of them is this one.
            if self.peers.len() < PORTS - 1 {
                self.peers.push(Peer::new(stream));
            } else {
                tracing::warn!("more than {PORTS} ports: one is sent away");
            }
        }
    }

    fn sleep(&self) -> Woken {
        let mut fds =
            vec![PollFd::new(&self.card.stream, self.card.wanted()), PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.peers.iter().map(|peer| PollFd::new(&peer.cable.stream, peer.cable.wanted())));
        let failed = match poll(&mut fds, None) {
            Ok(_) => false,
            Err(Errno::INTR) => true,
            Err(error) => {
                // Out of kernel memory, which may pass: not worth a tight loop.
                tracing::error!("poll: {error}");
                std::thread::sleep(Duration::from_millis(100));
                true
            }
        };
        let mut ready = fds.iter().map(|fd| if failed { PollFlags::empty() } else { fd.revents() });
        let (card, listener) = (ready.next(), ready.next());
        let or_none = |flags: Option<PollFlags>| flags.unwrap_or(PollFlags::empty());
        Woken { card: or_none(card), listener: or_none(listener), peers: ready.collect() }
    }
}

/// A frame of the card goes to the port that its station is behind, or to all.
fn send(peers: &mut [Peer], frame: &[u8], now: Instant) {
    let Some((to, _)) = addresses(frame) else { return };
    let known = if is_group(&to) { None } else { peers.iter().position(|peer| peer.stations.has(&to, now)) };
    match known {
        // What does not fit is lost, as at a full queue of a switch.
        Some(at) => {
            peers[at].cable.outbox.push(&[frame]);
        }
        None => peers.iter_mut().for_each(|peer| {
            peer.cable.outbox.push(&[frame]);
        }),
    }
}
