//! What went through a disk's queue, counted as QMP's `query-blockstats` counts: requests that were done, and their bytes.
//!
//! Counting is a relaxed addition by the thread that did the request, before the device hears of it, so that whoever knows of a
//! request finds it counted. The numbers belong to no instant: two of them may be a request apart.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::stats::BlockStats;

use crate::Op;

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
    pub(crate) fn read(&self) -> BlockStats {
        let Self { reads, read_bytes, writes, written_bytes, flushes, discards, discarded_bytes } = self;
        BlockStats {
            rd_bytes: read_bytes.load(Relaxed),
            wr_bytes: written_bytes.load(Relaxed),
            unmap_bytes: discarded_bytes.load(Relaxed),
            rd_operations: reads.load(Relaxed),
            wr_operations: writes.load(Relaxed),
            flush_operations: flushes.load(Relaxed),
            unmap_operations: discards.load(Relaxed),
        }
    }
}
