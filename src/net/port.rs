//! The jack on a NIC's back, and the thread that moves frames between it and the cable.
//!
//! Contract with the device, which stands behind its own mutex:
//! - [`Port::send`] and [`Port::resume`] may be called under that mutex; they never block and never call back;
//! - the port's thread calls the [`FrameSink`] under that mutex, holding no lock of its own;
//! - a sink without room answers false: the frame is kept and nothing more is read (the other end feels it as a full
//!   socket) until the device, having got room under its mutex, calls [`Port::resume`].
//!
//! Contract with the machine's owner: a new port is stopped, like a timer queue, and calls the sink only between
//! [`Port::set_running`] true and false; after the latter returned, guest RAM and device stand still.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::capture::{Capture, Recorder, Unfinished};
use crate::framing::{Inbox, Outbox, Read};
use crate::pcapng::Direction;
use crate::{BadFrame, Cable};

/// Bytes of frames that wait for the cable. As much again may be on its way into it.
const QUEUE: usize = 1 << 20;
/// Before the thread polls again when that failed.
const POLL_REST: Duration = Duration::from_millis(100);
/// How long the link is down when one cable takes another's place: as long as a hand needs, and long enough for a guest to see
/// that it may be somewhere else now.
const CHANGE_OVER: Duration = Duration::from_secs(1);

/// A NIC's receiving side. All calls come from the port's thread under the device's mutex.
pub trait FrameSink: Send {
    /// Takes one frame. False: no room now, keep it; the device calls [`Port::resume`] when it has room. A frame that the
    /// device would never take (too long, filtered out, receiver off) is dropped by it with true.
    fn receive(&mut self, frame: &[u8]) -> bool;

    /// The frames of one burst are all in; called under the same hold of the mutex as they were. The place for one
    /// interrupt for all of them.
    fn burst_done(&mut self) {}

    /// The link came up or went down. After a restore the device asks [`Port::link_up`] instead.
    fn link_changed(&mut self, up: bool) {
        let _ = up;
    }
}

/// Why a cable is dead.
#[derive(Debug, thiserror::Error)]
pub enum LinkLost {
    /// The other end closed the stream.
    #[error("the other end of the network link is gone")]
    Closed,
    /// The stream failed.
    #[error("the network link failed: {0}")]
    Failed(#[source] io::Error),
    /// The other end does not speak the framing.
    #[error("the other end of the network link sends nonsense: {0}")]
    Nonsense(#[from] BadFrame),
}

impl From<io::Error> for LinkLost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// What went through a port since it was made. Bytes are those of frames, without what the cable's framing adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames from the guest, queued for the cable.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Frames from the guest, dropped: no cable, queue full, or no frame by its size.
    pub dropped: u64,
    /// Frames to the guest, taken by the device.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
}

/// What [`Port::plug`] and [`Port::unplug`] ask of the thread.
enum Change {
    Plug(Cable),
    Unplug,
}

#[derive(Default)]
struct Orders {
    closed: bool,
    change: Option<Change>,
    recorder: Option<Recorder>,
    sink: Option<Weak<Mutex<dyn FrameSink>>>,
}

pub(crate) struct Shared {
    orders: Mutex<Orders>,
    outgoing: Mutex<Outbox>,
    /// Readable when the thread has something to look at.
    wake: OwnedFd,
    running: AtomicBool,
    link_up: AtomicBool,
    /// Somebody pulled the plug on the guest's side: the cable stays, what comes over it is lost.
    pulled: AtomicBool,
    /// Set under the sink's mutex when the sink had no room, so that a device with new room cannot miss it.
    held: AtomicBool,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    dropped: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
}

/// A panic elsewhere leaves these locks' contents whole: every change to them is one assignment.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            orders: Mutex::default(),
            outgoing: Mutex::new(Outbox::new(QUEUE)),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            running: AtomicBool::new(false),
            link_up: AtomicBool::new(false),
            pulled: AtomicBool::new(false),
            held: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            received: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
        })
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then the thread is about to look anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn sink(&self) -> Option<Weak<Mutex<dyn FrameSink>>> {
        lock(&self.orders).sink.clone()
    }

    pub(crate) fn set_link(&self, up: bool) {
        self.link_up.store(up, SeqCst);
    }

    fn link_up(&self) -> bool {
        self.link_up.load(SeqCst) && !self.pulled.load(SeqCst)
    }

    pub(crate) fn take_outgoing(&self, empty: &mut Outbox) {
        std::mem::swap(&mut *lock(&self.outgoing), empty);
    }

    pub(crate) fn fresh_outbox() -> Outbox {
        Outbox::new(QUEUE)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.load(SeqCst)
    }

    /// Runs `call` on the sink under its mutex, unless the port is stopped or the device gone or not yet connected.
    pub(crate) fn with_sink<R>(&self, call: impl FnOnce(&mut dyn FrameSink) -> R) -> Option<R> {
        let sink = self.sink()?.upgrade()?;
        let mut sink = lock(&sink);
        // Looked at under the mutex, so that stopping is settled once the mutex was free once.
        self.running.load(SeqCst).then(|| call(&mut *sink))
    }

    /// Offers a frame to the sink that `with_sink` gave.
    pub(crate) fn offer(&self, sink: &mut dyn FrameSink, frame: &[u8]) -> bool {
        let taken = sink.receive(frame);
        if taken {
            self.received.fetch_add(1, Relaxed);
            self.received_bytes.fetch_add(frame.len() as u64, Relaxed);
        } else {
            self.held.store(true, SeqCst);
        }
        taken
    }
}

/// A NIC's connection to its network. Dropping it ends its thread and waits for it; it must not be dropped under the mutex
/// of the device it is connected to.
pub struct Port {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    capture: Mutex<Option<Capture>>,
}

impl Port {
    /// A port with no cable, stopped. `lost` hears, on the port's thread, once of each cable that died by itself.
    pub fn new(lost: impl FnMut(LinkLost) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        let mover = Mover::new(Arc::clone(&shared), lost);
        let thread = std::thread::Builder::new().name("net".into()).spawn(move || mover.run())?;
        Ok(Self { shared, thread: Some(thread), capture: Mutex::default() })
    }

    /// A port without thread, for [`crate::bench`].
    pub(crate) fn on_bench(shared: Arc<Shared>) -> Self {
        Self { shared, thread: None, capture: Mutex::default() }
    }

    /// Plugs a cable in. When it takes the place of another, the link is down for a moment.
    pub fn plug(&self, cable: impl Into<Cable>) {
        let cable = cable.into();
        self.order(|orders| orders.change = Some(Change::Plug(cable)));
    }

    /// Writes what passes to `file`, a plain file, as pcapng, until [`Self::end_capture`]; another capture ends. The card's `name` and
    /// address stand in it. `failed` hears, on a thread of its own, when the disk refuses: that ends the capture and nothing else.
    pub fn capture(
        &self,
        file: File,
        name: &str,
        mac: [u8; 6],
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<()> {
        let (capture, recorder) = Capture::begin(file, name, mac, failed)?;
        self.order(|orders| orders.recorder = Some(recorder));
        // What was there ends when it is dropped, which takes a while: not with the lock held.
        let before = lock(&self.capture).replace(capture);
        drop(before);
        Ok(())
    }

    /// Ends a capture, whose file is whole then; false when there is none.
    pub fn end_capture(&self) -> Result<bool, Unfinished> {
        let capture = lock(&self.capture).take().filter(Capture::is_under_way);
        capture.map(Capture::end).transpose().map(|ended| ended.is_some())
    }

    /// Whether what passes is written to a file.
    pub fn is_captured(&self) -> bool {
        lock(&self.capture).as_ref().is_some_and(Capture::is_under_way)
    }

    /// Takes the cable out. Nobody hears of it but the device.
    pub fn unplug(&self) {
        self.order(|orders| orders.change = Some(Change::Unplug));
    }

    /// Pulls the plug on the guest's side or puts it back, with the cable left as it is: frames are lost both ways meanwhile, as
    /// on a wire that is out.
    pub fn set_pulled(&self, pulled: bool) {
        self.shared.pulled.store(pulled, SeqCst);
        self.shared.wake();
    }

    /// Names the device that takes the frames. Until then they wait.
    pub fn connect(&self, sink: Weak<Mutex<dyn FrameSink>>) {
        self.order(|orders| orders.sink = Some(sink));
    }

    /// Queues a frame, given in pieces that follow each other, for the cable. Without a cable, when the queue is full (1 MiB),
    /// or when it is no frame by its size, the frame is dropped and counted.
    pub fn send(&self, pieces: &[&[u8]]) {
        if self.link_up() {
            let mut outgoing = lock(&self.shared.outgoing);
            // The thread takes the whole queue whenever it wrote the last one, so only the first frame needs a wake.
            let first = outgoing.is_empty();
            if outgoing.push(pieces) {
                drop(outgoing);
                self.shared.sent.fetch_add(1, Relaxed);
                let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
                self.shared.sent_bytes.fetch_add(bytes as u64, Relaxed);
                if first {
                    self.shared.wake();
                }
                return;
            }
        }
        self.shared.dropped.fetch_add(1, Relaxed);
    }

    /// The sink has room again. Cheap when no frame is held, so it may be called whenever the guest adds buffers.
    pub fn resume(&self) {
        if self.shared.held.swap(false, SeqCst) {
            self.shared.wake();
        }
    }

    /// Whether a cable is in and alive.
    pub fn link_up(&self) -> bool {
        self.shared.link_up()
    }

    /// What went through so far.
    pub fn counters(&self) -> Counters {
        Counters {
            sent: self.shared.sent.load(Relaxed),
            sent_bytes: self.shared.sent_bytes.load(Relaxed),
            dropped: self.shared.dropped.load(Relaxed),
            received: self.shared.received.load(Relaxed),
            received_bytes: self.shared.received_bytes.load(Relaxed),
        }
    }

    /// Lets frames through to the sink, or holds them back while the machine is paused. On return from `false` no call of the
    /// sink is under way, nor will one start. Called by the machine's owner, not under the device's mutex.
    pub fn set_running(&self, running: bool) {
        self.shared.running.store(running, SeqCst);
        if !running && let Some(sink) = self.shared.sink().and_then(|sink| sink.upgrade()) {
            drop(lock(&sink));
        }
        self.shared.wake();
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut lock(&self.shared.orders));
        self.shared.wake();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.order(|orders| orders.closed = true);
        let Some(thread) = self.thread.take() else { return };
        // The thread itself may hold the last reference to the device, and so to this port, while it delivers.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Mover {
    shared: Arc<Shared>,
    cable: Option<Cable>,
    /// What the cable is ready for.
    ready: PollFlags,
    inbox: Inbox,
    outbox: Outbox,
    /// The link state that the sink was told last.
    told: bool,
    /// A cable took another's place, and the sink is yet to be told that the link is down: it may be paused.
    changing: bool,
    /// When the link of a cable that took another's place comes up.
    up_at: Option<Instant>,
    recorder: Option<Recorder>,
    lost: Box<dyn FnMut(LinkLost) + Send>,
}

impl Mover {
    fn new(shared: Arc<Shared>, lost: impl FnMut(LinkLost) + Send + 'static) -> Self {
        Self {
            shared,
            cable: None,
            ready: PollFlags::empty(),
            inbox: Inbox::default(),
            outbox: Shared::fresh_outbox(),
            told: false,
            changing: false,
            up_at: None,
            recorder: None,
            lost: Box::new(lost),
        }
    }

    fn run(mut self) {
        loop {
            self.wait();
            if !self.obey() {
                return;
            }
            if let Err(lost) = self.step() {
                tracing::warn!("network link down: {lost}");
                self.take_cable(None);
                (self.lost)(lost);
            }
            self.tell_link();
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) {
        let mut wanted = PollFlags::empty();
        if self.may_deliver() {
            wanted |= PollFlags::IN;
        }
        if !self.outbox.is_empty() {
            wanted |= PollFlags::OUT;
        }
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        fds.extend(self.cable.as_ref().map(|cable| PollFd::new(cable, wanted)));
        let rest = self.up_at.map(|at| at.saturating_duration_since(Instant::now()));
        let rest = rest.map(|rest| Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: rest.subsec_nanos().into() });
        match poll(&mut fds, rest.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                // Out of kernel memory, which may pass: not worth a tight loop.
                tracing::error!("polling a network port: {error}");
                std::thread::sleep(POLL_REST);
            }
        }
        let woken = !fds[0].revents().is_empty();
        let ready = fds.get(1).map_or(PollFlags::empty(), PollFd::revents);
        if woken {
            let _ = rustix::io::read(&self.shared.wake, &mut [0_u8; 8]);
        }
        self.ready = ready;
    }

    /// Whether frames may go to the sink now.
    fn may_deliver(&self) -> bool {
        let sink_lives = || self.shared.sink().is_some_and(|sink| sink.strong_count() > 0);
        self.shared.running.load(SeqCst) && !self.shared.is_held() && sink_lives()
    }

    /// Does what the port's owner asked meanwhile; false when the port is gone.
    fn obey(&mut self) -> bool {
        let change = {
            let mut orders = lock(&self.shared.orders);
            if orders.closed {
                return false;
            }
            if let Some(recorder) = orders.recorder.take() {
                self.recorder = Some(recorder);
            }
            orders.change.take()
        };
        match change {
            Some(Change::Plug(cable)) => self.take_cable(Some(cable)),
            Some(Change::Unplug) => self.take_cable(None),
            None => {}
        }
        if self.up_at.is_some_and(|at| at <= Instant::now()) {
            self.up_at = None;
            self.shared.set_link(true);
        }
        true
    }

    /// Replaces the cable; what was on its way through the old one is lost, as on a wire.
    fn take_cable(&mut self, cable: Option<Cable>) {
        // What the sink took for up must go down first, also if the old cable was taken out while it was paused.
        self.changing = cable.is_some() && (self.cable.is_some() || self.told);
        self.shared.set_link(cable.is_some() && !self.changing);
        self.up_at = None;
        self.cable = cable;
        // The old one may have hung up meanwhile.
        self.ready = PollFlags::empty();
        self.inbox = Inbox::default();
        self.outbox.clear();
        lock(&self.shared.outgoing).clear();
    }

    /// Moves frames both ways, as far as it goes without waiting.
    fn step(&mut self) -> Result<(), LinkLost> {
        let Some(cable) = &self.cable else { return Ok(()) };
        loop {
            if self.outbox.is_empty() {
                self.shared.take_outgoing(&mut self.outbox);
                let frames = self.outbox.frames();
                record(&mut self.recorder, Direction::Outbound, frames);
            }
            if self.outbox.is_empty() {
                break;
            }
            cable.write(&mut self.outbox)?;
            if !self.outbox.is_empty() {
                break;
            }
        }
        // What was left in the inbox while the sink had no room goes first, and may be all that there is.
        self.deliver()?;
        let Some(cable) = &self.cable else { return Ok(()) };
        let gone = self.ready.intersects(PollFlags::HUP | PollFlags::ERR);
        if !gone && !self.ready.contains(PollFlags::IN) {
            return Ok(());
        }
        if !self.may_deliver() {
            // Nobody reads, so a hang-up would wake this thread again and again.
            return if gone { Err(LinkLost::Closed) } else { Ok(()) };
        }
        match cable.read(&mut self.inbox)? {
            Read::Closed => Err(LinkLost::Closed),
            Read::Some => Ok(self.deliver()?),
            Read::Nothing => Ok(()),
        }
    }

    /// Gives the sink the frames of the inbox until one stays.
    fn deliver(&mut self) -> Result<(), BadFrame> {
        if !self.may_deliver() || self.inbox.frame()?.is_none() {
            return Ok(());
        }
        let Self { shared, inbox, recorder, .. } = self;
        shared
            .with_sink(|sink| {
                while let Some(frame) = inbox.frame()? {
                    if shared.link_up() {
                        if !shared.offer(sink, frame) {
                            break;
                        }
                        record(recorder, Direction::Inbound, [frame]);
                    }
                    inbox.consume();
                }
                sink.burst_done();
                Ok(())
            })
            .unwrap_or(Ok(()))
    }

    /// Lets the device know of a link that changed.
    fn tell_link(&mut self) {
        let up = self.shared.link_up();
        if up != self.told && self.shared.with_sink(|sink| sink.link_changed(up)).is_some() {
            self.told = up;
        }
        if self.changing && !self.told {
            self.changing = false;
            self.up_at = Some(Instant::now() + CHANGE_OVER);
        }
    }
}

/// Records frames, until the capture has ended.
fn record<'a>(recorder: &mut Option<Recorder>, direction: Direction, frames: impl IntoIterator<Item = &'a [u8]>) {
    if let Some(recording) = recorder
        && !frames.into_iter().all(|frame| recording.record(direction, frame))
    {
        *recorder = None;
    }
}

#[cfg(test)]
#[path = "port_test.rs"]
mod tests;
