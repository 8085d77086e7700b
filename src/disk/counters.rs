//! What went through a disk's queue, counted as QMP's `query-blockstats` counts: requests that were done, and their bytes.
//!
//! Counting is a relaxed addition by the thread that did the request, before the device hears of it, so that whoever knows of a
//! request finds it counted. The numbers belong to no instant: two of them may be a request apart.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Op;

/// What went through a queue since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads that were done.
    pub reads: u64,
    /// Bytes of them.
    pub read_bytes: u64,
    /// Writes that were done, of zeroes too.
    pub writes: u64,
    /// Bytes of them.
    pub written_bytes: u64,
    /// Flushes that were done.
    pub flushes: u64,
    /// Discards that were done.
    pub discards: u64,
    /// Bytes of them.
    pub discarded_bytes: u64,
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            reads: self.reads.wrapping_add(other.reads),
            read_bytes: self.read_bytes.wrapping_add(other.read_bytes),
            writes: self.writes.wrapping_add(other.writes),
            written_bytes: self.written_bytes.wrapping_add(other.written_bytes),
            flushes: self.flushes.wrapping_add(other.flushes),
            discards: self.discards.wrapping_add(other.discards),
            discarded_bytes: self.discarded_bytes.wrapping_add(other.discarded_bytes),
        }
    }
}

/// Where the threads of a queue count.
#[derive(Default)]
pub(crate) struct Tally {
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    flushes: AtomicU64,
    discards: AtomicU64,
    discarded_bytes: AtomicU64,
}

impl Tally {
    /// A request was done.
    pub(crate) fn count(&self, op: &Op) {
        let (requests, sizes) = match op {
            Op::Read { .. } | Op::ReadBuffer { .. } => (&self.reads, Some(&self.read_bytes)),
            Op::Write { .. } | Op::WriteBuffer { .. } | Op::Zero { .. } => (&self.writes, Some(&self.written_bytes)),
            Op::Flush => (&self.flushes, None),
            Op::Discard { .. } => (&self.discards, Some(&self.discarded_bytes)),
        };
        requests.fetch_add(1, Relaxed);
        if let Some(sizes) = sizes {
            // What was done lies within the disk: it has an extent.
            sizes.fetch_add(op.extent().map_or(0, |(_, length)| length), Relaxed);
        }
    }

    /// So far.
    pub(crate) fn read(&self) -> Counters {
        let Self { reads, read_bytes, writes, written_bytes, flushes, discards, discarded_bytes } = self;
        Counters {
            reads: reads.load(Relaxed),
            read_bytes: read_bytes.load(Relaxed),
            writes: writes.load(Relaxed),
            written_bytes: written_bytes.load(Relaxed),
            flushes: flushes.load(Relaxed),
            discards: discards.load(Relaxed),
            discarded_bytes: discarded_bytes.load(Relaxed),
        }
    }
}
