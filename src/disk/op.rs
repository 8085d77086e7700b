//! Requests to a disk.

use std::sync::{Arc, Mutex, PoisonError};

/// A range of guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRange {
    /// Guest-physical address of its first byte.
    pub at: u64,
    /// Bytes.
    pub len: u64,
}

/// One request. All offsets and lengths are bytes; a request that does not lie within the disk from end to end, or whose
/// memory is not RAM from end to end, fails before its first byte moves.
#[derive(Clone, Debug)]
pub enum Op {
    /// Reads from the disk at `at` into guest RAM, range by range; the ranges' lengths sum up to the request's.
    Read {
        /// Where on the disk.
        at: u64,
        /// Where to.
        to: Vec<GuestRange>,
    },
    /// Writes guest RAM to the disk at `at`.
    Write {
        /// Where on the disk.
        at: u64,
        /// Where from.
        from: Vec<GuestRange>,
        /// Must it be on stable storage when it completes (force unit access, or a write cache that is off)?
        durable: bool,
    },
    /// Fills `to` from the disk; for devices that hand data out through registers.
    ReadBuffer {
        /// Where on the disk.
        at: u64,
        /// The buffer, whose size is the request's.
        to: Buffer,
    },
    /// Writes `from` to the disk.
    WriteBuffer {
        /// Where on the disk.
        at: u64,
        /// The buffer, whose size is the request's.
        from: Buffer,
        /// As in [`Op::Write`].
        durable: bool,
    },
    /// Brings every write that has completed before this was submitted to stable storage.
    Flush,
    /// The guest no longer needs what is there: it may be given back to the host. Reads give anything until it is written
    /// (here: the old data or zeroes).
    Discard {
        /// Where on the disk.
        at: u64,
        /// Bytes.
        len: u64,
    },
    /// Makes a range read as zeroes.
    Zero {
        /// Where on the disk.
        at: u64,
        /// Bytes.
        len: u64,
        /// May the space be given back to the host?
        unmap: bool,
        /// As in [`Op::Write`].
        durable: bool,
    },
}

impl Op {
    /// Does it change the disk?
    pub fn is_write(&self) -> bool {
        match self {
            Op::Read { .. } | Op::ReadBuffer { .. } | Op::Flush => false,
            Op::Write { .. } | Op::WriteBuffer { .. } | Op::Discard { .. } | Op::Zero { .. } => true,
        }
    }

    /// Does it promise stable storage?
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Op::Read { .. } | Op::ReadBuffer { .. } | Op::Discard { .. } => false,
            Op::Flush => true,
            Op::Write { durable, .. } | Op::WriteBuffer { durable, .. } | Op::Zero { durable, .. } => *durable,
        }
    }

    /// The part of the disk that it touches: offset and length, `None` when the length overflows.
    pub(crate) fn extent(&self) -> Option<(u64, u64)> {
        let total = |ranges: &[GuestRange]| ranges.iter().try_fold(0u64, |sum, range| sum.checked_add(range.len));
        match self {
            Op::Read { at, to } => Some((*at, total(to)?)),
            Op::Write { at, from, durable: _ } => Some((*at, total(from)?)),
            Op::ReadBuffer { at, to: buffer } | Op::WriteBuffer { at, from: buffer, durable: _ } => {
                Some((*at, buffer.len() as u64))
            }
            Op::Flush => Some((0, 0)),
            Op::Discard { at, len } | Op::Zero { at, len, .. } => Some((*at, *len)),
        }
    }
}

/// Host memory that a device and a request share. While the request is in flight its contents are undefined; touching it
/// then waits for the I/O.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Mutex<Box<[u8]>>>, usize);

impl Buffer {
    /// A buffer that holds `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self(Arc::new(Mutex::new(bytes.into_boxed_slice())), len)
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.1
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.1 == 0
    }

    /// Looks at, or changes, the bytes.
    pub fn with<R>(&self, body: impl FnOnce(&mut [u8]) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
