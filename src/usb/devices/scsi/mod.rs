//! A disk as SCSI has it (SPC-4, SBC-3): what it does with a command, whatever carries it.
//!
//! A transport hands a command block to [`Unit::command`] and carries out the [`Action`] that it gets: data for the host, or reads and
//! writes that the disk's queue does. What goes wrong is a [`Sense`], which the transport delivers.
//!
//! A write is on stable storage when it completes, until the host flushes for the first time: from then on it knows of the write cache
//! and says itself when it wants that. Drivers of plain USB sticks never flush.

mod inquiry;
mod mode;
mod sense;

use disk::SECTOR;
use serde::{Deserialize, Serialize};

pub(super) use self::inquiry::hash;
pub(super) use self::sense::Sense;

/// Bytes of the longest command block.
pub(super) const CDB: usize = 16;
/// Bytes of the longest parameter list.
const MOST_PARAMETERS: usize = 24 + 16 * MOST_RANGES;
/// Ranges of one UNMAP.
const MOST_RANGES: usize = 64;
/// Sectors of one UNMAP, 1 GiB: longer ones hold up the commands behind them.
const MOST_UNMAPPED: u32 = 1 << 21;

/// A command block, filled up with zeroes.
pub(super) type Cdb = [u8; CDB];

/// What a disk is, unchangeably.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Printable ASCII.
    pub(super) serial: String,
    /// Can it be taken out?
    pub(super) removable: bool,
    pub(super) read_only: bool,
    /// May space be given back?
    pub(super) discard: bool,
    /// Sectors.
    pub(super) sectors: u64,
}

/// What is to be done for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Done,
    /// It cannot be.
    Fail(Sense),
    /// These are for the host, already cut to what it asked for.
    Data(Vec<u8>),
    /// The host sends so many bytes of parameters, to be handed to [`Unit::receive`]; at most [`MOST_PARAMETERS`].
    Receive(usize),
    /// This is to be read, in bytes, and is within the disk.
    Read { at: u64, length: u64 },
    /// This is to be written, in bytes, and is within the disk.
    Write { at: u64, length: u64, durable: bool },
    /// What was written is to be brought to stable storage.
    Flush,
    /// These are not needed any more, offset and length in bytes.
    Discard(Vec<(u64, u64)>),
}

/// A logical unit: the disk.
pub(super) struct Unit {
    identity: Identity,
    state: UnitState,
}

/// Its state, and its saved state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UnitState {
    /// Of the command that failed last, until the host asks; where the transport does not deliver it.
    kept: Option<Sense>,
    /// The host has flushed.
    flushes: bool,
    /// The write cache was switched off.
    cache_off: bool,
    /// Sense data are to be in the descriptor format.
    descriptors: bool,
    /// The medium may not be taken out.
    locked: bool,
    /// The host has thrown the medium out.
    ejected: bool,
}

/// Operation codes (SPC-4, SBC-3).
mod code {
    pub(super) const TEST_UNIT_READY: u8 = 0x00;
    pub(super) const REQUEST_SENSE: u8 = 0x03;
    pub(super) const READ_6: u8 = 0x08;
    pub(super) const WRITE_6: u8 = 0x0a;
    pub(super) const INQUIRY: u8 = 0x12;
    pub(super) const MODE_SELECT_6: u8 = 0x15;
    pub(super) const MODE_SENSE_6: u8 = 0x1a;
    pub(super) const START_STOP_UNIT: u8 = 0x1b;
    pub(super) const SEND_DIAGNOSTIC: u8 = 0x1d;
    pub(super) const PREVENT_ALLOW: u8 = 0x1e;
    pub(super) const READ_FORMAT_CAPACITIES: u8 = 0x23;
    pub(super) const READ_CAPACITY_10: u8 = 0x25;
    pub(super) const READ_10: u8 = 0x28;
    pub(super) const WRITE_10: u8 = 0x2a;
    pub(super) const WRITE_AND_VERIFY_10: u8 = 0x2e;
    pub(super) const VERIFY_10: u8 = 0x2f;
    pub(super) const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub(super) const UNMAP: u8 = 0x42;
    pub(super) const MODE_SELECT_10: u8 = 0x55;
    pub(super) const MODE_SENSE_10: u8 = 0x5a;
    pub(super) const READ_16: u8 = 0x88;
    pub(super) const WRITE_16: u8 = 0x8a;
    pub(super) const WRITE_AND_VERIFY_16: u8 = 0x8e;
    pub(super) const VERIFY_16: u8 = 0x8f;
    pub(super) const SYNCHRONIZE_CACHE_16: u8 = 0x91;
    pub(super) const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub(super) const REPORT_LUNS: u8 = 0xa0;
    pub(super) const READ_12: u8 = 0xa8;
    pub(super) const WRITE_12: u8 = 0xaa;
    pub(super) const WRITE_AND_VERIFY_12: u8 = 0xae;
    pub(super) const VERIFY_12: u8 = 0xaf;
}

/// SERVICE ACTION IN's READ CAPACITY.
const READ_CAPACITY_16: u8 = 0x10;

impl Unit {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, state: UnitState::default() }
    }

    /// Power was off, or the bus was reset.
    pub(super) fn reset(&mut self) {
        self.state = UnitState::default();
    }

    /// Keeps the sense of a command that failed for REQUEST SENSE.
    pub(super) fn keep(&mut self, sense: Sense) {
        self.state.kept = Some(sense);
    }

    /// Sense data in the format that the host chose.
    pub(super) fn sense_data(&self, sense: Sense) -> Vec<u8> {
        sense.data(self.state.descriptors)
    }

    /// Begins a command to logical unit `lun`; there is 0.
    pub(super) fn command(&mut self, lun: u64, cdb: &Cdb) -> Action {
        // What failed before is told now or never.
        let kept = self.state.kept.take();
        let is_here = lun == 0;
        match cdb[0] {
            code::INQUIRY => self.inquiry(cdb, is_here),
            code::REQUEST_SENSE => {
                let sense = if is_here { kept.unwrap_or(Sense::NONE) } else { Sense::NO_UNIT };
                let descriptors = cdb[1] & 1 != 0;
                cut(sense.data(descriptors), cdb[4].into())
            }
            code::REPORT_LUNS => report_luns(cdb),
            _ if !is_here => Action::Fail(Sense::NO_UNIT),
            _ => self.of_disk(cdb),
        }
    }

    fn of_disk(&mut self, cdb: &Cdb) -> Action {
        match cdb[0] {
            code::START_STOP_UNIT => return self.start_stop(cdb),
            code::PREVENT_ALLOW => {
                self.state.locked = cdb[4] & 1 != 0;
                return Action::Done;
            }
            code::MODE_SENSE_6 | code::MODE_SENSE_10 => return self.mode_sense(cdb),
            code::MODE_SELECT_6 | code::MODE_SELECT_10 => return self.mode_select(cdb),
            // The self-test that there is passes.
            code::SEND_DIAGNOSTIC if cdb[1] & 0xe0 == 0 && be16(cdb, 3) == 0 => return Action::Done,
            code::SEND_DIAGNOSTIC => return Action::Fail(Sense::INVALID_FIELD),
            _ => {}
        }
        if self.state.ejected {
            return Action::Fail(Sense::NO_MEDIUM);
        }
        match cdb[0] {
            code::TEST_UNIT_READY => Action::Done,
            code::READ_CAPACITY_10 => Action::Data(self.capacity_10()),
            code::SERVICE_ACTION_IN_16 if cdb[1] & 0x1f == READ_CAPACITY_16 => {
                cut(self.capacity_16(), be32(cdb, 10) as usize)
            }
            code::READ_FORMAT_CAPACITIES => cut(self.format_capacities(), be16(cdb, 7).into()),
            code::READ_6 | code::READ_10 | code::READ_12 | code::READ_16 => match self.extent(cdb) {
                Ok((_, 0)) => Action::Done,
                Ok((at, length)) => Action::Read { at, length },
                Err(sense) => Action::Fail(sense),
            },
            code::WRITE_6
            | code::WRITE_10
            | code::WRITE_12
            | code::WRITE_16
            | code::WRITE_AND_VERIFY_10
            | code::WRITE_AND_VERIFY_12
            | code::WRITE_AND_VERIFY_16 => self.write(cdb),
            // What is written is good; that it is what the host sends is not looked at.
            code::VERIFY_10 | code::VERIFY_12 | code::VERIFY_16 => match self.extent(cdb) {
                Ok(_) if cdb[1] & 0x06 != 0 => Action::Fail(Sense::INVALID_FIELD),
                Ok(_) => Action::Done,
                Err(sense) => Action::Fail(sense),
            },
            code::SYNCHRONIZE_CACHE_10 | code::SYNCHRONIZE_CACHE_16 => match self.extent(cdb) {
                Ok(_) => {
                    self.state.flushes = true;
                    Action::Flush
                }
                Err(sense) => Action::Fail(sense),
            },
            code::UNMAP if self.identity.discard && !self.identity.read_only => match be16(cdb, 7).into() {
                0 => Action::Done,
                length @ 1..=MOST_PARAMETERS => Action::Receive(length),
                _ => Action::Fail(Sense::INVALID_FIELD),
            },
            _ => Action::Fail(Sense::UNKNOWN_COMMAND),
        }
    }

    /// Takes the parameters of a command that wanted some.
    pub(super) fn receive(&mut self, cdb: &Cdb, parameters: &[u8]) -> Action {
        match cdb[0] {
            code::MODE_SELECT_6 => self.select(parameters, 4),
            code::MODE_SELECT_10 => self.select(parameters, 8),
            code::UNMAP => match self.ranges(parameters) {
                Ok(ranges) => Action::Discard(ranges),
                Err(sense) => Action::Fail(sense),
            },
            _ => Action::Fail(Sense::UNKNOWN_COMMAND),
        }
    }

    fn write(&self, cdb: &Cdb) -> Action {
        let extent = self.extent(cdb);
        match extent {
            Err(sense) => Action::Fail(sense),
            Ok(_) if self.identity.read_only => Action::Fail(Sense::WRITE_PROTECTED),
            Ok((_, 0)) => Action::Done,
            Ok((at, length)) => {
                let verified =
                    matches!(cdb[0], code::WRITE_AND_VERIFY_10 | code::WRITE_AND_VERIFY_12 | code::WRITE_AND_VERIFY_16);
                let forced = cdb[0] != code::WRITE_6 && cdb[1] & 0x08 != 0;
                let cached = self.state.flushes && !self.state.cache_off;
                Action::Write { at, length, durable: !cached || verified || forced }
            }
        }
    }

    /// The bytes of the disk that a command is about, offset and length.
    fn extent(&self, cdb: &Cdb) -> Result<(u64, u64), Sense> {
        let (at, count) = match cdb[0] >> 5 {
            0 => {
                let at = u64::from(be32(cdb, 0) & 0x1f_ffff);
                (at, if cdb[4] == 0 { 0x100 } else { cdb[4].into() })
            }
            1 => (be32(cdb, 2).into(), be16(cdb, 7).into()),
            5 => (be32(cdb, 2).into(), be32(cdb, 6).into()),
            _ => (u64::from(be32(cdb, 2)) << 32 | u64::from(be32(cdb, 6)), u64::from(be32(cdb, 10))),
        };
        // Protection information, which there is none of.
        if cdb[0] >> 5 != 0 && cdb[1] & 0xe0 != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        self.within(at, count)
    }

    fn within(&self, at: u64, count: u64) -> Result<(u64, u64), Sense> {
        match at.checked_add(count) {
            Some(end) if end <= self.identity.sectors => Ok((at * SECTOR, count * SECTOR)),
            _ => Err(Sense::OUT_OF_RANGE),
        }
    }

    /// The ranges of an UNMAP (SBC-3, 5.28).
    fn ranges(&self, parameters: &[u8]) -> Result<Vec<(u64, u64)>, Sense> {
        const HEADER: usize = 8;
        const RANGE: usize = 16;
        let Some(header) = parameters.get(..HEADER) else { return Err(Sense::PARAMETER_LENGTH) };
        let length = usize::from(be16(header, 2));
        let list = &parameters[HEADER..];
        if length > list.len() || length % RANGE != 0 {
            return Err(Sense::PARAMETER_LENGTH);
        }
        let mut total = 0u64;
        let mut ranges = Vec::new();
        for range in list[..length].chunks_exact(RANGE) {
            let at = u64::from(be32(range, 0)) << 32 | u64::from(be32(range, 4));
            let count = u64::from(be32(range, 8));
            total += count;
            if total > MOST_UNMAPPED.into() || ranges.len() >= MOST_RANGES {
                return Err(Sense::INVALID_PARAMETER);
            }
            let extent = self.within(at, count)?;
            if count > 0 {
                ranges.push(extent);
            }
        }
        Ok(ranges)
    }

    fn start_stop(&mut self, cdb: &Cdb) -> Action {
        let (start, load) = (cdb[4] & 1 != 0, cdb[4] & 2 != 0);
        if cdb[4] & 0xf0 != 0 {
            // Power conditions: there are none to change.
            return Action::Done;
        }
        match (start, load) {
            (false, true) if !self.identity.removable => Action::Fail(Sense::INVALID_FIELD),
            (false, true) if self.state.locked => Action::Fail(Sense::LOCKED),
            (false, _) => {
                self.state.ejected |= load;
                Action::Flush
            }
            (true, _) => {
                self.state.ejected &= !load;
                Action::Done
            }
        }
    }

    fn last(&self) -> u64 {
        self.identity.sectors.saturating_sub(1)
    }

    fn capacity_10(&self) -> Vec<u8> {
        let last = u32::try_from(self.last()).unwrap_or(u32::MAX);
        [last.to_be_bytes(), (SECTOR as u32).to_be_bytes()].concat()
    }

    fn capacity_16(&self) -> Vec<u8> {
        let mut data = self.last().to_be_bytes().to_vec();
        data.extend((SECTOR as u32).to_be_bytes());
        // No protection; physical blocks of 4 KiB, as a power of two; space may be given back.
        data.extend([0, inquiry::PHYSICAL_EXPONENT, if self.identity.discard { 0x80 } else { 0 }, 0]);
        data.resize(32, 0);
        data
    }

    /// One capacity: of the formatted medium (MMC-6, 6.23).
    fn format_capacities(&self) -> Vec<u8> {
        let sectors = u32::try_from(self.identity.sectors).unwrap_or(u32::MAX);
        let mut data = vec![0, 0, 0, 8];
        data.extend(sectors.to_be_bytes());
        data.extend([2, 0, 2, 0]);
        data
    }

    /// Are these bytes within the disk?
    pub(super) fn has(&self, at: u64, length: u64) -> bool {
        at.checked_add(length).is_some_and(|end| end <= self.identity.sectors * SECTOR)
    }

    pub(super) fn save(&self) -> UnitState {
        self.state.clone()
    }

    pub(super) fn restore(&mut self, saved: UnitState) {
        self.state = saved;
    }
}

fn report_luns(cdb: &Cdb) -> Action {
    // All, those that are well-known, and all that are not.
    match cdb[2] {
        0 | 2 => cut([&[0, 0, 0, 8][..], &[0; 12]].concat(), be32(cdb, 6) as usize),
        1 => cut(vec![0; 8], be32(cdb, 6) as usize),
        _ => Action::Fail(Sense::INVALID_FIELD),
    }
}

/// Data, as many as the host asked for.
fn cut(mut data: Vec<u8>, most: usize) -> Action {
    data.truncate(most);
    if data.is_empty() { Action::Done } else { Action::Data(data) }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
#[path = "scsi_test.rs"]
mod tests;
