//! What a command does, in parts as large as the transfers that the host makes for it.

use std::collections::VecDeque;
use std::io;

use device::DmaError;
use disk::{GuestRange, Op};
use serde::{Deserialize, Serialize};

use crate::Memory;
use crate::devices::scsi::{Action, Sense, Unit};

/// Most bytes that a command has for the host, or wants from it, which do not come from the disk or go there.
const MOST_BYTES: usize = 4096;
/// Most requests to the disk that a command makes without data.
const MOST_STEPS: usize = 64;

/// A command's data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Work {
    /// None, or none that are left.
    #[default]
    Nothing,
    /// These, for the host.
    Give(VecDeque<u8>),
    /// Parameters, of which there are to be so many.
    Take { wanted: usize, taken: Vec<u8> },
    /// From the disk.
    Read { at: u64, length: u64 },
    /// To the disk.
    Write { at: u64, length: u64, durable: bool },
}

/// What a command has to do without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    Flush,
    Discard { at: u64, length: u64 },
}

/// What a transfer does.
#[derive(Debug)]
pub(super) enum Part {
    /// It has moved so many bytes.
    Moved(u64),
    /// The disk moves so many bytes.
    Disk(Op, u64),
}

impl Work {
    /// What an action is in data and in steps.
    pub(super) fn of(action: Action) -> Result<(Self, VecDeque<Step>), Sense> {
        let mut steps = VecDeque::new();
        let work = match action {
            Action::Done => Self::Nothing,
            Action::Fail(sense) => return Err(sense),
            Action::Data(data) => Self::Give(data.into()),
            Action::Receive(wanted) => Self::Take { wanted, taken: Vec::new() },
            Action::Read { at, length } => Self::Read { at, length },
            Action::Write { at, length, durable } => Self::Write { at, length, durable },
            Action::Flush => {
                steps.push_back(Step::Flush);
                Self::Nothing
            }
            Action::Discard(ranges) => {
                steps.extend(ranges.into_iter().map(|(at, length)| Step::Discard { at, length }));
                Self::Nothing
            }
        };
        Ok((work, steps))
    }

    /// Does it go to the host? `None` where nothing goes.
    pub(super) fn direction(&self) -> Option<bool> {
        match self {
            Self::Nothing => None,
            Self::Give(_) | Self::Read { .. } => Some(true),
            Self::Take { .. } | Self::Write { .. } => Some(false),
        }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Give(data) => data.len() as u64,
            Self::Take { wanted, taken } => (*wanted - taken.len()) as u64,
            Self::Read { length, .. } | Self::Write { length, .. } => *length,
        }
    }

    /// Does the part that a transfer has memory for, at most `most` bytes. What the disk has to do counts with [`Self::went_on`].
    pub(super) fn part(&mut self, memory: &Memory, most: u64) -> Result<Part, DmaError> {
        let length = self.left().min(most).min(memory.len());
        if length == 0 {
            return Ok(Part::Moved(0));
        }
        match self {
            Self::Nothing => {}
            Self::Give(data) => {
                // As many as there are.
                let bytes: Vec<u8> = data.drain(..length as usize).collect();
                memory.write(0, &bytes)?;
            }
            Self::Take { taken, .. } => {
                let mut bytes = vec![0; length as usize];
                memory.read(0, &mut bytes)?;
                taken.extend(bytes);
            }
            Self::Read { at, .. } => {
                return Ok(Part::Disk(Op::Read { at: *at, to: ranges(&memory.part(0, length)) }, length));
            }
            Self::Write { at, durable, .. } => {
                let from = ranges(&memory.part(0, length));
                return Ok(Part::Disk(Op::Write { at: *at, from, durable: *durable }, length));
            }
        }
        Ok(Part::Moved(length))
    }

    /// The disk has moved so many bytes.
    pub(super) fn went_on(&mut self, bytes: u64) {
        if let Self::Read { at, length } | Self::Write { at, length, .. } = self {
            *at += bytes;
            *length -= bytes;
        }
    }

    /// The parameters, when they are all there.
    pub(super) fn parameters(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Take { wanted, taken } if taken.len() == *wanted => {
                let parameters = std::mem::take(taken);
                *self = Self::Nothing;
                Some(parameters)
            }
            _ => None,
        }
    }

    /// Can a command have come here?
    pub(super) fn is_possible(&self, unit: &Unit) -> bool {
        match self {
            Self::Nothing => true,
            Self::Give(data) => data.len() <= MOST_BYTES,
            Self::Take { wanted, taken } => *wanted <= MOST_BYTES && taken.len() < *wanted,
            Self::Read { at, length } | Self::Write { at, length, .. } => unit.has(*at, *length),
        }
    }
}

impl Step {
    pub(super) fn op(self) -> Op {
        match self {
            Self::Flush => Op::Flush,
            Self::Discard { at, length } => Op::Discard { at, len: length },
        }
    }
}

/// Can a command have come to these?
pub(super) fn are_possible(steps: &VecDeque<Step>, unit: &Unit) -> bool {
    let possible = |step: &Step| match step {
        Step::Flush => true,
        Step::Discard { at, length } => unit.has(*at, *length),
    };
    steps.len() <= MOST_STEPS && steps.iter().all(possible)
}

/// Whether an action's data go to the host, and how many; `None` where it has none.
pub(super) fn wants(action: &Action) -> Option<(bool, u64)> {
    match action {
        Action::Done | Action::Fail(_) | Action::Flush | Action::Discard(_) => None,
        Action::Data(data) => Some((true, data.len() as u64)),
        Action::Read { length, .. } => Some((true, *length)),
        Action::Receive(length) => Some((false, *length as u64)),
        Action::Write { length, .. } => Some((false, *length)),
    }
}

/// Guest memory as disks take it.
fn ranges(memory: &Memory) -> Vec<GuestRange> {
    memory.pieces().iter().map(|piece| GuestRange { at: piece.at, len: piece.length.into() }).collect()
}

/// What a disk's error is to the host.
pub(super) fn failure(error: &io::Error, write: bool) -> Sense {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Sense::WRITE_PROTECTED,
        // The extent was checked, so it is the memory that was not there.
        io::ErrorKind::InvalidInput => Sense::NO_MEMORY,
        _ if write => Sense::WRITE_ERROR,
        _ => Sense::READ_ERROR,
    }
}
