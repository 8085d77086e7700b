//! ATA drives: the task file, and what commands make of it (ATA/ATAPI Command Set 3, Serial ATA 3.1).
//!
//! A controller collects a [`TaskFile`] and hands it to the drive's `execute`, which changes the registers that the command
//! returns and says what is to be done: an [`Action`]. The controller moves the data, tells the drive of failures, and
//! completes the command with status [`READY`] or [`READY`]` | `[`ERR`].

mod disk;
mod identify;
mod packet;
mod smart;

pub use self::disk::{AtaDisk, AtaDiskState};
pub use self::packet::{AtapiDrive, AtapiDriveState};

use serde::{Deserialize, Serialize};

/// Status: an error occurred.
pub const ERR: u8 = 0x01;
/// Status: data are to be transferred.
pub const DRQ: u8 = 0x08;
/// Status after a command that worked: ready, and the obsolete "seek complete" that old software waits for.
pub const READY: u8 = 0x50;
/// Status: a command is being executed.
pub const BUSY: u8 = 0x80;

/// Error: the command was aborted.
pub const ABORTED: u8 = 0x04;
/// Error: no such address.
pub const ID_NOT_FOUND: u8 = 0x10;
/// Error: data that cannot be read.
pub const UNCORRECTABLE: u8 = 0x40;

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// A drive's registers, as a command comes and as it leaves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFile {
    /// The command's number.
    pub command: u8,
    /// Features, 16 bits in 48 bit commands.
    pub features: u16,
    /// Count, 16 bits in 48 bit commands.
    pub count: u16,
    /// The address, 48 bits.
    pub lba: u64,
    /// Device.
    pub device: u8,
}

/// How the data of a command travel; the controller's signalling depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By the processor, a block at a time.
    Pio,
    /// By DMA.
    Dma,
    /// By DMA, whenever the drive likes (native command queuing).
    Queued,
}

/// What a command amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Done; the registers are set.
    Done,
    /// It failed with these error bits.
    Fail(u8),
    /// These bytes go to the host.
    DataIn {
        /// The bytes.
        bytes: Vec<u8>,
        /// How.
        protocol: Protocol,
    },
    /// So many bytes of ranges come from the host, for [`AtaDisk::trim_ranges`].
    TrimList {
        /// Bytes, a multiple of 512.
        len: u32,
    },
    /// Sectors go to the host.
    Read {
        /// Where, in bytes.
        at: u64,
        /// How many bytes.
        len: u64,
        /// How.
        protocol: Protocol,
    },
    /// Sectors come from the host.
    Write {
        /// Where, in bytes.
        at: u64,
        /// How many bytes.
        len: u64,
        /// How.
        protocol: Protocol,
        /// Must they be on stable storage before the command completes?
        durable: bool,
    },
    /// What has been written goes to stable storage.
    Flush,
    /// The drive was reset; the registers hold its signature.
    Reset,
    /// A packet command: the controller fetches 12 bytes and calls [`AtapiDrive::packet`].
    Packet,
}

/// Does this command take part in native command queuing?
pub fn is_queued(command: u8) -> bool {
    matches!(command, 0x60 | 0x61 | 0x63 | 0x64 | 0x65)
}

impl TaskFile {
    /// The registers after a reset, by which hosts tell what the drive is.
    pub fn signature(packet: bool) -> Self {
        Self { lba: if packet { 0xeb_1401 } else { 1 }, count: 1, ..Self::default() }
    }

    /// The signature as one register: address in the top 24 bits, count below.
    pub fn signature_register(self) -> u32 {
        (self.lba as u32) << 8 | u32::from(self.count & 0xff)
    }

    fn features_low(&self) -> u8 {
        self.features as u8
    }

    fn count_low(&self) -> u8 {
        self.count as u8
    }
}

#[cfg(test)]
#[path = "ata_test.rs"]
mod tests;
