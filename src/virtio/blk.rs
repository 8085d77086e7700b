//! Block device (VIRTIO 1.2 §5.2) over a [`DiskQueue`].
//!
//! One queue, as many requests under way as it has entries; they complete in any order. A write is on stable storage when it
//! completes unless the driver took FLUSH and so promises to ask for it (§5.2.6.2). A request that a full host holds in the queue
//! is saved with the device, and made again when the board rings the doorbell after restoring.

use std::io;

use device::{RestoreError, State};
use disk::{Completions, DiskQueue, GuestRange, Op, SECTOR};
use serde::{Deserialize, Serialize};

use crate::VirtioPci;
use crate::chain::{Chain, ChainState, cut};
use crate::queues::Queues;
use crate::virtio_device::{DeviceType, Identity, VirtioDevice};

const QUEUE: u16 = 0;
const QUEUE_SIZE: u16 = 256;

// Features.
const SEG_MAX: u64 = 1 << 2;
const RO: u64 = 1 << 5;
const BLK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;

/// Bytes of a request before its data: type, reserved, sector.
const HEADER: u64 = 16;
/// Bytes of a discard or write-zeroes segment: sector, sectors, flags.
const SEGMENT: usize = 16;
const SEGMENT_UNMAP: u32 = 1;
/// Bytes of the answer to GET_ID.
const ID_LENGTH: usize = 20;

/// Sectors of one discard, 1 GiB: longer ones hold up the requests behind them.
const MAX_DISCARD: u32 = 1 << 21;
/// Sectors of one write-zeroes, 64 MiB: where the host cannot make holes it is written.
const MAX_ZEROES: u32 = 1 << 17;
/// Physical sectors of 4 KiB, as a power of two of [`SECTOR`]s.
const PHYSICAL_EXPONENT: u8 = 3;

const CONFIG_LENGTH: usize = 60;

/// Request types (§5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    In,
    Out,
    Flush,
    GetId,
    Discard,
    WriteZeroes,
}

impl Kind {
    fn decode(value: u32) -> Option<Self> {
        match value {
            0 => Some(Self::In),
            1 => Some(Self::Out),
            4 => Some(Self::Flush),
            8 => Some(Self::GetId),
            11 => Some(Self::Discard),
            13 => Some(Self::WriteZeroes),
            _ => None,
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// The device.
pub struct Blk {
    disk: DiskQueue,
    serial: [u8; ID_LENGTH],
    features: u64,
    /// Counts resets, so that what was submitted before one is known when it completes.
    generation: u32,
    /// Requests that the disk has, of whatever generation.
    with_disk: u32,
    /// By head index.
    requests: Vec<Option<Chain>>,
    /// Requests that were under way when the machine was saved.
    restored: Vec<ChainState>,
}

/// The saved device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlkState {
    features: u64,
    waiting: Vec<ChainState>,
}

impl Blk {
    /// A device over `disk`, which must be connected to the [`VirtioPci`] that the device becomes part of. `serial` is ASCII, cut
    /// to 20 bytes.
    pub fn new(disk: DiskQueue, serial: &str) -> Self {
        let mut id = [0; ID_LENGTH];
        for (to, from) in id.iter_mut().zip(serial.bytes()) {
            *to = from;
        }
        Self { disk, serial: id, features: 0, generation: 0, with_disk: 0, requests: empty(), restored: Vec::new() }
    }

    /// Config space (§5.2.4).
    fn config(&self) -> [u8; CONFIG_LENGTH] {
        let mut config = [0; CONFIG_LENGTH];
        let mut set = |at: usize, bytes: &[u8]| config[at..at + bytes.len()].copy_from_slice(bytes);
        set(0, &(self.disk.size() / SECTOR).to_le_bytes());
        // Header and status take a descriptor each.
        set(12, &(u32::from(QUEUE_SIZE) - 2).to_le_bytes());
        set(20, &(SECTOR as u32).to_le_bytes());
        // Topology: physical block exponent, alignment offset, least and best I/O size in sectors.
        set(24, &[PHYSICAL_EXPONENT, 0, 1 << PHYSICAL_EXPONENT, 0]);
        set(36, &MAX_DISCARD.to_le_bytes());
        set(40, &1u32.to_le_bytes());
        set(44, &(1u32 << PHYSICAL_EXPONENT).to_le_bytes());
        set(48, &MAX_ZEROES.to_le_bytes());
        set(52, &1u32.to_le_bytes());
        // Write zeroes may give the space back.
        set(56, &[1]);
        config
    }

    /// Begins a request: gives what the disk has to do, or how the request ends at once.
    fn begin(&self, chain: &Chain) -> Result<Op, Status> {
        let header: [u8; HEADER as usize] = chain.read(0).ok_or(Status::IoError)?;
        let field = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let sector = u64::from(field(8)) | u64::from(field(12)) << 32;
        let has = |feature| match self.features & feature {
            0 => Err(Status::Unsupported),
            _ => Ok(()),
        };
        let kind = Kind::decode(field(0)).ok_or(Status::Unsupported)?;
        if self.disk.is_read_only() && matches!(kind, Kind::Out | Kind::Discard | Kind::WriteZeroes) {
            return Err(Status::IoError);
        }
        let durable = self.features & FLUSH == 0;
        match kind {
            Kind::In => {
                let to = data(chain.writable(), 0, chain.writable_len() - 1)?;
                Ok(Op::Read { at: offset(sector)?, to })
            }
            Kind::Out => {
                let from = data(chain.readable(), HEADER, chain.readable_len() - HEADER)?;
                Ok(Op::Write { at: offset(sector)?, from, durable })
            }
            Kind::Flush => Ok(Op::Flush),
            Kind::GetId => {
                let length = (chain.writable_len() - 1).min(ID_LENGTH as u64) as usize;
                Err(if chain.write_at(0, &self.serial[..length]) { Status::Ok } else { Status::IoError })
            }
            Kind::Discard => {
                has(DISCARD)?;
                let (at, len, flags) = segment(chain, MAX_DISCARD)?;
                if flags == 0 { Ok(Op::Discard { at, len }) } else { Err(Status::Unsupported) }
            }
            Kind::WriteZeroes => {
                has(WRITE_ZEROES)?;
                let (at, len, flags) = segment(chain, MAX_ZEROES)?;
                match flags & !SEGMENT_UNMAP {
                    0 => Ok(Op::Zero { at, len, unmap: flags & SEGMENT_UNMAP != 0, durable }),
                    _ => Err(Status::Unsupported),
                }
            }
        }
    }

    fn submit(&mut self, chain: Chain, queues: &mut Queues) {
        if chain.writable_len() == 0 {
            // There is no place to say so.
            queues.fail();
            return;
        }
        match self.begin(&chain) {
            Ok(op) => {
                let head = chain.head();
                let tag = u64::from(self.generation) << 16 | u64::from(head);
                self.requests[usize::from(head)] = Some(chain);
                self.with_disk += 1;
                self.disk.submit(op, tag);
            }
            Err(status) => finish(chain, status, queues),
        }
    }

    /// Makes the requests again that were under way when the machine was saved.
    fn readmit(&mut self, queues: &mut Queues) {
        for saved in std::mem::take(&mut self.restored) {
            match queues.readmit(QUEUE, saved) {
                Some(chain) if self.requests[usize::from(chain.head())].is_none() => self.submit(chain, queues),
                _ => queues.fail(),
            }
        }
    }

    fn completed(&mut self, tag: u64, result: io::Result<()>, queues: &mut Queues) {
        self.with_disk = self.with_disk.saturating_sub(1);
        if tag >> 16 != u64::from(self.generation) {
            return;
        }
        if let Some(chain) = self.requests.get_mut(usize::from(tag as u16)).and_then(Option::take) {
            finish(chain, if result.is_ok() { Status::Ok } else { Status::IoError }, queues);
        }
    }
}

/// Answers a request, whose last writable byte is for the status.
fn finish(chain: Chain, status: Status, queues: &mut Queues) {
    let length = chain.writable_len();
    let written = match chain.write_at(length.saturating_sub(1), &[status as u8]) {
        // A chain has at most 4 GiB - 1.
        true => length as u32,
        false => 0,
    };
    queues.push(QUEUE, chain, written);
}

fn empty() -> Vec<Option<Chain>> {
    (0..QUEUE_SIZE).map(|_| None).collect()
}

/// The byte offset of a sector.
fn offset(sector: u64) -> Result<u64, Status> {
    sector.checked_mul(SECTOR).ok_or(Status::IoError)
}

/// A part of a chain, whole sectors.
fn data(spans: &[crate::Span], from: u64, length: u64) -> Result<Vec<GuestRange>, Status> {
    if !length.is_multiple_of(SECTOR) {
        return Err(Status::IoError);
    }
    let spans = cut(spans, from, length).ok_or(Status::IoError)?;
    Ok(spans.into_iter().map(|span| GuestRange { at: span.address, len: span.length.into() }).collect())
}

/// The one segment of a discard or write-zeroes: offset and length in bytes, and flags.
fn segment(chain: &Chain, most: u32) -> Result<(u64, u64, u32), Status> {
    if chain.readable_len() != HEADER + SEGMENT as u64 {
        return Err(Status::IoError);
    }
    let segment: [u8; SEGMENT] = chain.read(HEADER).ok_or(Status::IoError)?;
    let field = |at: usize| u32::from_le_bytes([segment[at], segment[at + 1], segment[at + 2], segment[at + 3]]);
    let (sector, sectors) = (u64::from(field(0)) | u64::from(field(4)) << 32, field(8));
    if sectors > most {
        return Err(Status::IoError);
    }
    Ok((offset(sector)?, u64::from(sectors) * SECTOR, field(12)))
}

impl VirtioDevice for Blk {
    fn identity(&self) -> Identity {
        let writes = if self.disk.is_read_only() { RO } else { DISCARD | WRITE_ZEROES };
        Identity {
            device_type: DeviceType::Block,
            class: 0x010000,
            features: SEG_MAX | BLK_SIZE | FLUSH | TOPOLOGY | writes,
            queue_sizes: vec![QUEUE_SIZE],
            config_length: CONFIG_LENGTH as u64,
        }
    }

    fn read_config(&self, at: u64, into: &mut [u8]) {
        into.copy_from_slice(&self.config()[at as usize..at as usize + into.len()]);
    }

    fn start(&mut self, features: u64) {
        self.features = features;
    }

    fn process(&mut self, _: u16, queues: &mut Queues) {
        self.readmit(queues);
        while let Some(chain) = queues.pop(QUEUE) {
            self.submit(chain, queues);
        }
    }

    fn reset(&mut self) {
        self.features = 0;
        self.generation = self.generation.wrapping_add(1);
        self.requests = empty();
        self.restored.clear();
    }

    fn is_idle(&self) -> bool {
        self.with_disk == 0
    }
}

impl Completions for VirtioPci<Blk> {
    fn completed(&mut self, tag: u64, result: io::Result<()>) {
        self.change(|blk, queues| blk.completed(tag, result, queues));
    }
}

impl State for Blk {
    const KIND: &'static str = "virtio-blk";
    type Saved = BlkState;

    fn save(&self) -> BlkState {
        let Self { disk: _, serial: _, features, generation: _, with_disk: _, requests, restored } = self;
        let under_way = requests.iter().flatten().map(Chain::save);
        BlkState { features: *features, waiting: restored.iter().cloned().chain(under_way).collect() }
    }

    fn restore(&mut self, saved: BlkState) -> Result<(), RestoreError> {
        let BlkState { features, waiting } = saved;
        if waiting.len() > usize::from(QUEUE_SIZE) {
            return Err(Self::impossible("waiting"));
        }
        self.reset();
        self.features = features;
        self.restored = waiting;
        Ok(())
    }
}

#[cfg(test)]
#[path = "blk_test.rs"]
mod tests;
