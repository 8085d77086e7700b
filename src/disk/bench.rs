//! A queue without threads, for tests: requests wait until the test lets them happen.

use std::io;
use std::sync::{Mutex, PoisonError};

use device::Ram;
use vm_memory::VolatileSlice;

use super::{DiskQueue, Shared};
use crate::image::{Image, Limits};
use crate::memory::fill;
use crate::{Op, SECTOR};

/// The disk behind a queue for tests.
pub(super) struct Bench(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    flushes: usize,
    fail: Option<io::ErrorKind>,
}

impl DiskQueue {
    /// A queue over `contents`, cut to whole sectors, for tests of devices: nothing happens until [`Self::step`].
    pub fn bench(mut contents: Vec<u8>, ram: Ram, read_only: bool) -> Self {
        contents.truncate(contents.len() - contents.len() % SECTOR as usize);
        let limits = Limits { size: contents.len() as u64, read_only };
        Self::with(limits, ram, Some(Bench(Mutex::new(Contents { bytes: contents, ..Contents::default() }))))
    }

    /// Does the oldest request and reports it; false when there is none, or this is not a bench's queue. The device must not
    /// be locked.
    pub fn step(&self) -> bool {
        let shared = &*self.shared;
        let Some(bench) = &shared.bench else { return false };
        let Some(job) = shared.state().jobs.pop_front() else { return false };
        shared.perform(&mut Stepped(bench), job);
        true
    }

    /// Does everything that is queued and that the device queues meanwhile, at most `limit` requests; gives how many.
    pub fn steps(&self, limit: usize) -> usize {
        (0..limit).take_while(|_| self.step()).count()
    }

    /// The requests that wait, oldest first.
    pub fn waiting(&self) -> Vec<Op> {
        self.shared.state().jobs.iter().map(|job| job.op.clone()).collect()
    }

    /// Makes the next request fail so.
    pub fn fail_next(&self, kind: io::ErrorKind) {
        self.on_bench(|contents| contents.fail = Some(kind));
    }

    /// What the disk holds.
    pub fn contents(&self) -> Vec<u8> {
        self.on_bench(|contents| contents.bytes.clone()).unwrap_or_default()
    }

    /// How many flushes and durable writes have been done.
    pub fn flushes(&self) -> usize {
        self.on_bench(|contents| contents.flushes).unwrap_or_default()
    }

    fn on_bench<R>(&self, body: impl FnOnce(&mut Contents) -> R) -> Option<R> {
        let Shared { bench, .. } = &*self.shared;
        bench.as_ref().map(|bench| bench.with(body))
    }
}

impl Bench {
    fn with<R>(&self, body: impl FnOnce(&mut Contents) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Stepped<'a>(&'a Bench);

impl Stepped<'_> {
    /// The bytes from `at` to `at + len`; the caller has checked that they are within the disk.
    fn on(&self, at: u64, len: usize, body: impl FnOnce(&mut [u8])) -> io::Result<()> {
        self.0.with(|contents| match contents.fail.take() {
            Some(kind) => Err(kind.into()),
            None => {
                body(&mut contents.bytes[at as usize..at as usize + len]);
                Ok(())
            }
        })
    }
}

impl Image for Stepped<'_> {
    fn read(&mut self, at: u64, to: &[VolatileSlice<'_>]) -> io::Result<()> {
        let len = to.iter().map(VolatileSlice::len).sum();
        self.on(at, len, |mut bytes| {
            for slice in to {
                let (here, after) = std::mem::take(&mut bytes).split_at_mut(slice.len());
                slice.copy_from(here);
                bytes = after;
            }
        })
    }

    fn write(&mut self, at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()> {
        let len = from.iter().map(VolatileSlice::len).sum();
        self.on(at, len, |mut bytes| {
            for slice in from {
                let (here, after) = std::mem::take(&mut bytes).split_at_mut(slice.len());
                slice.copy_to(here);
                bytes = after;
            }
        })?;
        if durable { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.on(0, 0, |_| {})?;
        self.0.with(|contents| contents.flushes += 1);
        Ok(())
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.zero(at, len, true)
    }

    fn zero(&mut self, at: u64, len: u64, _: bool) -> io::Result<()> {
        self.on(at, len as usize, |bytes| fill(&VolatileSlice::from(bytes), 0))
    }
}
