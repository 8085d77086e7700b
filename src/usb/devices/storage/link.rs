//! The way to the disk and back.
//!
//! A disk answers from a thread of its own, which must not find the function locked by the controller that it then wakes: it leaves its
//! answer in a list with a mutex of its own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use disk::{Completions, DiskQueue, Op};

use crate::Waker;

/// Answers that were not looked at, with their requests' tags.
type Answers = Arc<Mutex<Vec<(u64, io::Result<()>)>>>;

/// What the disk reports to.
struct Reporter {
    answers: Answers,
    waker: Waker,
}

impl Completions for Reporter {
    fn completed(&mut self, tag: u64, result: io::Result<()>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push((tag, result));
        self.waker.wake();
    }
}

/// A disk's queue, with what it has of this function's.
pub(super) struct Link {
    disk: DiskQueue,
    answers: Answers,
    /// Never locked from here.
    reporter: Option<Arc<Mutex<Reporter>>>,
    next: u64,
    /// Tags of requests that the disk has, and whether their answers are of interest still.
    sent: Vec<(u64, bool)>,
}

impl Link {
    pub(super) fn new(disk: DiskQueue) -> Self {
        Self { disk, answers: Arc::default(), reporter: None, next: 0, sent: Vec::new() }
    }

    pub(super) fn connect(&mut self, waker: Waker) {
        let reporter = Arc::new(Mutex::new(Reporter { answers: Arc::clone(&self.answers), waker }));
        let weak: Weak<Mutex<Reporter>> = Arc::downgrade(&reporter);
        self.disk.connect(weak);
        self.reporter = Some(reporter);
    }

    /// Gives the disk a request; the tag comes back with the answer.
    pub(super) fn send(&mut self, op: Op) -> u64 {
        let tag = self.next;
        self.next += 1;
        self.sent.push((tag, true));
        self.disk.submit(op, tag);
        tag
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, tag: u64) {
        for (sent, wanted) in &mut self.sent {
            *wanted &= *sent != tag;
        }
    }

    pub(super) fn forget_all(&mut self) {
        for (_, wanted) in &mut self.sent {
            *wanted = false;
        }
    }

    /// Are there requests that nobody waits for? Until they are done, no new one is made: so their number is bounded, and what was given
    /// up does not come behind what is new.
    pub(super) fn is_draining(&self) -> bool {
        self.sent.iter().any(|(_, wanted)| !wanted)
    }

    /// The answers that somebody waits for.
    pub(super) fn answers(&mut self) -> Vec<(u64, io::Result<()>)> {
        let mut answers = std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        answers.retain(|(tag, _)| match self.sent.iter().position(|(sent, _)| sent == tag) {
            Some(at) => self.sent.swap_remove(at).1,
            None => false,
        });
        answers
    }
}
