//! What a running machine uses and moves, as counters that only grow: answers to `query-blockstats` and
//! `x-dormer-query-usage`. What goes through network cards stands in [`crate::control::NetworkStatus`].
//!
//! Nothing is measured over time here: whoever wants rates asks twice and knows how long that took. A counter that went back is one of
//! an engine that started anew.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// An element of the answer to `query-blockstats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveStats {
    /// The drive's name.
    pub device: String,
    /// What went through it since the machine started, whatever media were in it.
    pub stats: BlockStats,
}

/// Requests of the guest that were done, and their bytes, by QMP's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStats {
    /// Bytes read.
    pub rd_bytes: u64,
    /// Bytes written.
    pub wr_bytes: u64,
    /// Bytes discarded.
    #[serde(default)]
    pub unmap_bytes: u64,
    /// Reads.
    pub rd_operations: u64,
    /// Writes, of zeroes too.
    pub wr_operations: u64,
    /// Flushes.
    #[serde(default)]
    pub flush_operations: u64,
    /// Discards.
    #[serde(default)]
    pub unmap_operations: u64,
}

impl Add for BlockStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rd_bytes: self.rd_bytes.wrapping_add(other.rd_bytes),
            wr_bytes: self.wr_bytes.wrapping_add(other.wr_bytes),
            unmap_bytes: self.unmap_bytes.wrapping_add(other.unmap_bytes),
            rd_operations: self.rd_operations.wrapping_add(other.rd_operations),
            wr_operations: self.wr_operations.wrapping_add(other.wr_operations),
            flush_operations: self.flush_operations.wrapping_add(other.flush_operations),
            unmap_operations: self.unmap_operations.wrapping_add(other.unmap_operations),
        }
    }
}

/// An answer to `x-dormer-query-usage`: what the machine takes of this computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    /// Nanoseconds of processor time of the whole engine: the guest's and what is done for it.
    pub cpu_time: u64,
    /// The machine's processors.
    pub processors: u32,
    /// Bytes of the guest's memory that it has touched, and this computer keeps.
    pub memory: u64,
    /// Bytes of memory that the machine has.
    pub memory_size: u64,
}
