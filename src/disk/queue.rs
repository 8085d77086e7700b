//! A disk's queue: the handle that devices hold, the threads behind it, and the way back.
//!
//! Locks: a thread reports to a device under that device's mutex and holds none of the queue's own then; a device submits
//! under its own mutex. Nothing here waits for a thread except [`DiskQueue::drain`], [`DiskQueue::flush`], [`DiskQueue::read`] and
//! [`DiskQueue::close`], which must not be called under a device's mutex.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use api::stats::BlockStats;
use device::Ram;

use crate::image::{Image, Limits, run};
use crate::tally::Tally;
use crate::{Buffer, Op};

#[path = "bench.rs"]
mod bench;

/// How long a qcow2 image may lie idle with metadata in memory only.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);

/// A device that disk requests report to.
pub trait Completions: Send {
    /// The request that was submitted with `tag` is done. Called by a disk thread under the device's mutex, in any order,
    /// exactly once for each request. Errors that matter by kind: [`io::ErrorKind::ReadOnlyFilesystem`],
    /// [`io::ErrorKind::InvalidInput`] (beyond the disk, or memory that is not RAM); all others are I/O errors of the host.
    fn completed(&mut self, tag: u64, result: io::Result<()>);
}

/// Hears that a disk cannot go on without somebody's help.
pub trait Alarm: Send + Sync {
    /// The host has no room for what the guest writes. The board pauses the machine. Called by a disk thread with nothing
    /// locked, once for each request that met it.
    fn storage_full(&self);
}

/// A wait that took too long: the host's storage hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk did not answer in time")]
pub struct Timeout;

/// A handle to a disk's queue. Clones are the same queue.
///
/// A host without room is no error that a guest could do anything about: a request that meets it is held, whatever device it is
/// of, the [`Alarm`] goes off, and [`DiskQueue::retry`] tries again. To the device it is in flight all the while.
///
/// When the last handle goes, what is queued is still done and metadata flushed, by the threads on their own; whoever must
/// know that this has happened calls [`DiskQueue::close`].
#[derive(Clone)]
pub struct DiskQueue {
    shared: Arc<Shared>,
    _handle: Arc<Handle>,
}

/// Goes with the last handle.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state().closing = true;
        self.0.work.notify_all();
    }
}

struct Shared {
    limits: Limits,
    ram: Ram,
    state: Mutex<State>,
    /// There is work, or the queue closes.
    work: Condvar,
    /// Nothing is in flight any more, or the last thread ended.
    idle: Condvar,
    device: Mutex<Weak<Mutex<dyn Completions>>>,
    alarm: OnceLock<Box<dyn Alarm>>,
    tally: Tally,
    bench: Option<bench::Bench>,
}

struct State {
    jobs: VecDeque<Job>,
    /// Jobs that met a full host, oldest first.
    held: Vec<Job>,
    /// Jobs queued or being done.
    in_flight: usize,
    closing: bool,
    threads: usize,
    /// Once a flush has failed the host may have dropped dirty pages: no later one can be believed.
    flush_failed: bool,
    /// The flush of a thread that ended.
    closed_with: io::Result<()>,
}

struct Job {
    op: Op,
    reply: Reply,
}

enum Reply {
    Device(u64),
    Waiter(SyncSender<io::Result<()>>),
}

impl DiskQueue {
    /// A queue with a thread for each of `images`, which are all the same image.
    pub(crate) fn start(
        images: Vec<Box<dyn Image>>,
        limits: Limits,
        ram: Ram,
        settle: Option<Duration>,
    ) -> io::Result<Self> {
        let queue = Self::with(limits, ram, None);
        for image in images {
            let shared = Arc::clone(&queue.shared);
            queue.shared.state().threads += 1;
            std::thread::Builder::new()
                .name("disk".to_owned())
                .spawn(move || work(&shared, image, settle))
                .inspect_err(|_| queue.shared.state().threads -= 1)?;
        }
        Ok(queue)
    }

    fn with(limits: Limits, ram: Ram, bench: Option<bench::Bench>) -> Self {
        struct Nobody;
        impl Completions for Nobody {
            fn completed(&mut self, _: u64, _: io::Result<()>) {}
        }
        let state = State {
            jobs: VecDeque::new(),
            held: Vec::new(),
            in_flight: 0,
            closing: false,
            threads: 0,
            flush_failed: false,
            closed_with: Ok(()),
        };
        let shared = Arc::new(Shared {
            limits,
            ram,
            state: Mutex::new(state),
            work: Condvar::new(),
            idle: Condvar::new(),
            device: Mutex::new(Weak::<Mutex<Nobody>>::new()),
            alarm: OnceLock::new(),
            tally: Tally::default(),
            bench,
        });
        Self { _handle: Arc::new(Handle(Arc::clone(&shared))), shared }
    }

    /// Says who hears of completions; the board calls it once it has the device behind its mutex, before the device submits.
    /// A queue has one device at a time.
    pub fn connect(&self, device: Weak<Mutex<dyn Completions>>) {
        *self.shared.device.lock().unwrap_or_else(PoisonError::into_inner) = device;
    }

    /// Says who hears of a full host; the first one stays. Without anybody, the device gets an error.
    pub fn connect_alarm(&self, alarm: Box<dyn Alarm>) {
        // Another one has nothing to say that the first does not.
        let _ = self.shared.alarm.set(alarm);
    }

    /// Do requests wait for room on the host?
    pub fn is_full(&self) -> bool {
        !self.shared.state().held.is_empty()
    }

    /// Tries again what met a full host: called when the machine goes on.
    pub fn retry(&self) {
        let mut state = self.shared.state();
        let held = std::mem::take(&mut state.held);
        state.in_flight += held.len();
        for job in held.into_iter().rev() {
            state.jobs.push_front(job);
        }
        drop(state);
        self.shared.work.notify_all();
    }

    /// Answers what met a full host with that error: called after the device was reset, which is still told of each request.
    pub fn abandon(&self) {
        let held = std::mem::take(&mut self.shared.state().held);
        for Job { op: _, reply } in held {
            self.shared.answer(reply, Err(io::ErrorKind::StorageFull.into()));
        }
    }

    /// Bytes of the disk, a multiple of [`crate::SECTOR`].
    pub fn size(&self) -> u64 {
        self.shared.limits.size
    }

    /// Do writes fail?
    pub fn is_read_only(&self) -> bool {
        self.shared.limits.read_only
    }

    /// What devices asked for and was done, so far.
    pub fn counters(&self) -> BlockStats {
        self.shared.tally.read()
    }

    /// Queues a request; the device is told by [`Completions::completed`] with `tag`, never from within this call. How many
    /// are in flight is bounded by the device. Requests may overtake each other. After [`Self::close`] nothing is answered.
    pub fn submit(&self, op: Op, tag: u64) {
        self.shared.push(Job { op, reply: Reply::Device(tag) });
    }

    /// Waits until nothing is in flight but what a full host holds, for pause, reset and save: the devices must have stopped
    /// submitting.
    pub fn drain(&self, timeout: Duration) -> Result<(), Timeout> {
        self.shared.wait(timeout, |state| state.in_flight == 0)
    }

    /// Brings everything that has completed to stable storage and waits for it: before a saved state or a snapshot.
    pub fn flush(&self, timeout: Duration) -> io::Result<()> {
        self.wait_for(Op::Flush, timeout)
    }

    /// Reads what the guest sees on the disk and waits for it: for those who want to know what a guest has written.
    pub fn read(&self, at: u64, len: usize, timeout: Duration) -> io::Result<Vec<u8>> {
        let buffer = Buffer::new(vec![0; len]);
        self.wait_for(Op::ReadBuffer { at, to: buffer.clone() }, timeout)?;
        Ok(buffer.with(|bytes| bytes.to_vec()))
    }

    fn wait_for(&self, op: Op, timeout: Duration) -> io::Result<()> {
        let (reply, answer) = sync_channel(1);
        self.shared.push(Job { op, reply: Reply::Waiter(reply) });
        while self.step() {}
        answer.recv_timeout(timeout).unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, Timeout)))
    }

    /// Finishes what is queued, flushes, ends the threads and so lets go of the files, and waits for it.
    pub fn close(&self, timeout: Duration) -> io::Result<()> {
        self.shared.state().closing = true;
        self.shared.work.notify_all();
        self.shared
            .wait(timeout, |state| state.threads == 0)
            .map_err(|timeout| io::Error::new(io::ErrorKind::TimedOut, timeout))?;
        std::mem::replace(&mut self.shared.state().closed_with, Ok(()))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let mut state = self.state();
        if state.closing {
            return;
        }
        state.in_flight += 1;
        state.jobs.push_back(job);
        drop(state);
        self.work.notify_one();
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> Result<(), Timeout> {
        let (state, _) = self
            .idle
            .wait_timeout_while(self.state(), timeout, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner);
        if done(&state) { Ok(()) } else { Err(Timeout) }
    }

    /// Does a job and reports it.
    fn perform(&self, image: &mut dyn Image, job: Job) {
        let Job { op, reply } = job;
        let mut result = run(image, self.limits, &self.ram, &op);
        if op.is_durable() {
            result = self.judge(matches!(op, Op::Flush), result);
        }
        if let Err(error) = &result {
            tracing::debug!("disk request failed: {error}");
        }
        let full = result.as_ref().is_err_and(is_full);
        match (reply, self.alarm.get()) {
            (reply @ Reply::Device(_), Some(alarm)) if full => {
                // Held before anybody hears of it, and counted until then: who drains the queue knows what it holds.
                self.state().held.push(Job { op, reply });
                alarm.storage_full();
            }
            (reply, _) => {
                if let (Reply::Device(_), Ok(())) = (&reply, &result) {
                    self.tally.count(&op);
                }
                self.answer(reply, result);
            }
        }
        let mut state = self.state();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            self.idle.notify_all();
        }
    }

    fn answer(&self, reply: Reply, result: io::Result<()>) {
        match reply {
            Reply::Device(tag) => {
                let device = self.device.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
                if let Some(device) = device {
                    device.lock().unwrap_or_else(PoisonError::into_inner).completed(tag, result);
                }
            }
            // A waiter that has given up needs no answer.
            Reply::Waiter(waiter) => drop(waiter.try_send(result)),
        }
    }

    /// What the result of bringing something to stable storage is worth. A full host is no reason for distrust: what could
    /// not be written is still in memory.
    fn judge(&self, is_flush: bool, result: io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        match &result {
            Ok(()) if state.flush_failed => Err(io::Error::other("an earlier flush failed")),
            Err(error) if is_flush && !is_full(error) => {
                state.flush_failed = true;
                result
            }
            _ => result,
        }
    }
}

/// Is it that the host has no room: on its disk, or in what the person may use of it?
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A thread's life.
fn work(shared: &Shared, mut image: Box<dyn Image>, settle: Option<Duration>) {
    let mut dirty = false;
    while let Some(job) = next(shared, dirty.then_some(settle).flatten()) {
        match job {
            Next::Job(job) => {
                dirty |= job.op.is_write();
                shared.perform(&mut *image, job);
            }
            Next::Settle => {
                dirty = false;
                if let Err(error) = shared.judge(true, image.flush()) {
                    tracing::error!("the disk's metadata cannot be flushed: {error}");
                }
            }
        }
    }
    let result = if shared.limits.read_only { Ok(()) } else { shared.judge(true, image.flush()) };
    // The file is closed before anybody is told so.
    drop(image);
    let mut state = shared.state();
    if let Err(error) = result {
        tracing::error!("the disk cannot be flushed: {error}");
        state.closed_with = Err(error);
    }
    state.threads -= 1;
    shared.idle.notify_all();
}

enum Next {
    Job(Job),
    /// Nothing was asked for a while.
    Settle,
}

fn next(shared: &Shared, settle: Option<Duration>) -> Option<Next> {
    let until = settle.map(|settle| Instant::now() + settle);
    let mut state = shared.state();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            return Some(Next::Job(job));
        }
        if state.closing {
            return None;
        }
        state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(Duration::ZERO) => return Some(Next::Settle),
            Some(left) => shared.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
}

#[cfg(test)]
#[path = "queue_test.rs"]
mod tests;
