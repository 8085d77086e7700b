//! Bulk-Only Transport (USB Mass Storage Class, Bulk-Only Transport 1.0): a command wrapper out, data in or out, a status wrapper in.
//!
//! Of the thirteen cases (section 6.7), those in which the host expects more than there is are filled up with zeroes to the host's
//! length, or taken and thrown away, which is the way that leaves no endpoint halted; the residue says how much of it was worth
//! something. Where the host expects less, or the other direction, nothing is done, and the status is a phase error.

use std::collections::VecDeque;
use std::io;

use serde::{Deserialize, Serialize};

use super::link::Link;
use super::work::{Part, Step, Work, are_possible, failure, wants};
use super::{IN, OUT};
use crate::devices::pending::Pending;
use crate::devices::scsi::{Action, CDB, Cdb, Sense, Unit};
use crate::{Completion, Fault, Memory, Transfer, TransferId};

/// Bytes of a command block wrapper.
const COMMAND: usize = 31;
/// Bytes of a command status wrapper.
const STATUS: usize = 13;
const COMMAND_SIGNATURE: [u8; 4] = *b"USBC";
const STATUS_SIGNATURE: [u8; 4] = *b"USBS";

// Status; 0 is that all is well.
const FAILED: u8 = 1;
const PHASE_ERROR: u8 = 2;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    /// A command wrapper.
    #[default]
    Command,
    /// Data.
    Data,
    /// An answer of the disk to what moves no data.
    Busy,
    /// The status wrapper.
    Status,
    /// A reset: no command wrapper made sense of what came.
    Broken,
}

/// The transport's state, and its saved state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct BotState {
    phase: Phase,
    tag: u32,
    cdb: Cdb,
    /// Bytes that the host expects to move.
    length: u32,
    to_host: bool,
    /// Bytes that were moved.
    moved: u32,
    /// Of these, bytes that were worth something.
    useful: u32,
    status: u8,
    work: Work,
    steps: VecDeque<Step>,
}

/// A request that the disk has.
struct Flight {
    tag: u64,
    /// Whose data it moves: the transfer, its part of the host's length, and how much of that is the disk's.
    transfer: Option<(TransferId, Memory, u32, u32)>,
}

/// The transport.
#[derive(Default)]
pub(super) struct Bot {
    state: BotState,
    flight: Option<Flight>,
}

impl Bot {
    /// Waits for a command wrapper.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Goes on as far as it can. True when host and function do not understand each other: both endpoints halt.
    pub(super) fn advance(&mut self, unit: &mut Unit, link: &mut Link, pending: &mut Pending) -> bool {
        while self.flight.is_none() && !link.is_draining() {
            let phase = self.state.phase;
            let pipe = match phase {
                Phase::Busy => {
                    self.step(link);
                    continue;
                }
                Phase::Command => OUT,
                Phase::Data if !self.state.to_host => OUT,
                Phase::Data | Phase::Status => IN,
                Phase::Broken => {
                    let halts = pending.first(IN).is_some() || pending.first(OUT).is_some();
                    pending.fail(IN, Fault::Stall);
                    pending.fail(OUT, Fault::Stall);
                    return halts;
                }
            };
            let Some(transfer) = pending.pop(pipe) else { return false };
            match phase {
                Phase::Command => {
                    let id = transfer.id;
                    let completion = self.begin(&transfer, unit);
                    pending.finish(id, completion);
                    if self.state.phase == Phase::Broken {
                        pending.fail(IN, Fault::Stall);
                        pending.fail(OUT, Fault::Stall);
                        return true;
                    }
                }
                Phase::Data => self.move_data(transfer, unit, link, pending),
                _ => {
                    let completion = self.finish(&transfer);
                    pending.finish(transfer.id, completion);
                }
            }
        }
        false
    }

    /// Takes a command wrapper (5.1, 6.2).
    fn begin(&mut self, transfer: &Transfer, unit: &mut Unit) -> Completion {
        let mut wrapper = [0; COMMAND];
        let length = transfer.memory.len();
        match transfer.memory.read(0, &mut wrapper) {
            Err(_) => return Completion::failed(Fault::Transaction),
            Ok(COMMAND) if length == COMMAND as u64 && wrapper[..4] == COMMAND_SIGNATURE => {}
            Ok(_) => {
                self.state.phase = Phase::Broken;
                return Completion::failed(Fault::Stall);
            }
        }
        let word = |at: usize| u32::from_le_bytes([wrapper[at], wrapper[at + 1], wrapper[at + 2], wrapper[at + 3]]);
        let (flags, lun, block) = (wrapper[12], wrapper[13], usize::from(wrapper[14]));
        // Bits that mean nothing are zero in wrappers that do.
        if flags & 0x7f != 0 || lun & 0xf0 != 0 || !(1..=CDB).contains(&block) {
            self.state.phase = Phase::Broken;
            return Completion::failed(Fault::Stall);
        }
        let mut cdb = [0; CDB];
        cdb[..block].copy_from_slice(&wrapper[15..15 + block]);
        self.state = BotState { tag: word(4), length: word(8), to_host: flags & 0x80 != 0, cdb, ..BotState::default() };
        let action = unit.command(lun.into(), &cdb);
        self.decide(action, unit);
        self.next();
        Completion::done(COMMAND as u64)
    }

    /// What a command does, against what the host expects.
    fn decide(&mut self, action: Action, unit: &mut Unit) {
        let state = &mut self.state;
        let (to_host, length) = wants(&action).unwrap_or((state.to_host, 0));
        if length > u64::from(state.length) || to_host != state.to_host {
            state.status = PHASE_ERROR;
            return;
        }
        match Work::of(action) {
            Ok((work, steps)) => (state.work, state.steps) = (work, steps),
            Err(sense) => self.fail(sense, unit),
        }
    }

    fn fail(&mut self, sense: Sense, unit: &mut Unit) {
        self.state.status = FAILED;
        self.state.work = Work::Nothing;
        self.state.steps.clear();
        unit.keep(sense);
    }

    /// What comes next, when data or a step are done.
    fn next(&mut self) {
        let state = &mut self.state;
        state.phase = match () {
            () if state.moved < state.length => Phase::Data,
            () if !state.steps.is_empty() => Phase::Busy,
            () => Phase::Status,
        };
    }

    fn step(&mut self, link: &mut Link) {
        let Some(step) = self.state.steps.front() else { return self.next() };
        let op = step.op();
        self.flight = Some(Flight { tag: link.send(op), transfer: None });
    }

    fn move_data(&mut self, transfer: Transfer, unit: &mut Unit, link: &mut Link, pending: &mut Pending) {
        let Transfer { id, memory, .. } = transfer;
        let left = self.state.length - self.state.moved;
        let part = u32::try_from(memory.len()).map_or(left, |length| length.min(left));
        match self.state.work.part(&memory, part.into()) {
            // No more than the part has.
            Ok(Part::Moved(useful)) => self.moved(id, &memory, part, useful as u32, pending),
            Ok(Part::Disk(op, useful)) => {
                self.flight = Some(Flight { tag: link.send(op), transfer: Some((id, memory, part, useful as u32)) });
                return;
            }
            Err(_) => pending.finish(id, Completion::failed(Fault::Transaction)),
        }
        if let Some(parameters) = self.state.work.parameters() {
            let cdb = self.state.cdb;
            let action = unit.receive(&cdb, &parameters);
            self.decide(action, unit);
            self.next();
        }
    }

    /// A transfer has moved `part`, of which `useful` bytes are worth something; the rest is filled up.
    fn moved(&mut self, id: TransferId, memory: &Memory, part: u32, useful: u32, pending: &mut Pending) {
        let filled = !self.state.to_host || fill(memory, useful.into(), part.into());
        self.state.moved += part;
        self.state.useful += useful;
        let completion = if filled { Completion::done(part.into()) } else { Completion::failed(Fault::Transaction) };
        pending.finish(id, completion);
        self.next();
    }

    /// The disk has answered.
    pub(super) fn answered(&mut self, tag: u64, result: io::Result<()>, unit: &mut Unit, pending: &mut Pending) {
        let Some(flight) = self.flight.take_if(|flight| flight.tag == tag) else { return };
        let Some((id, memory, part, useful)) = flight.transfer else {
            self.state.steps.pop_front();
            if let Err(error) = result {
                let sense = failure(&error, true);
                self.fail(sense, unit);
            }
            return self.next();
        };
        match result {
            Ok(()) => {
                self.state.work.went_on(useful.into());
                self.moved(id, &memory, part, useful, pending);
            }
            Err(error) => {
                let sense = failure(&error, !self.state.to_host);
                self.fail(sense, unit);
                self.moved(id, &memory, part, 0, pending);
            }
        }
    }

    /// Gives the status wrapper (5.2).
    fn finish(&mut self, transfer: &Transfer) -> Completion {
        let BotState { tag, length, useful, status, .. } = self.state;
        let mut wrapper = STATUS_SIGNATURE.to_vec();
        wrapper.extend(tag.to_le_bytes());
        wrapper.extend((length - useful).to_le_bytes());
        wrapper.push(status);
        self.state = BotState::default();
        match transfer.memory.write(0, &wrapper) {
            Ok(STATUS) => Completion::done(STATUS as u64),
            Ok(written) => Completion { length: written as u64, fault: Some(Fault::Babble) },
            Err(_) => Completion::failed(Fault::Transaction),
        }
    }

    /// A transfer is taken back: what the disk has of it counts as not moved.
    pub(super) fn cancel(&mut self, id: TransferId, link: &mut Link) {
        let of_transfer = |flight: &mut Flight| flight.transfer.as_ref().is_some_and(|(of, ..)| *of == id);
        if let Some(flight) = self.flight.take_if(of_transfer) {
            link.forget(flight.tag);
        }
    }

    /// The state; what the disk has is begun anew.
    pub(super) fn save(&self) -> BotState {
        let Self { state, flight: _ } = self;
        state.clone()
    }

    /// Takes a state; the error names the impossible field.
    pub(super) fn restore(&mut self, saved: BotState, unit: &Unit) -> Result<(), &'static str> {
        let BotState { phase, length, moved, useful, status, work, steps, cdb: _, tag: _, to_host } = &saved;
        if moved > length || useful > moved || *status > PHASE_ERROR {
            return Err("progress");
        }
        if !work.is_possible(unit) || work.direction().is_some_and(|towards| towards != *to_host) {
            return Err("work");
        }
        if !are_possible(steps, unit) {
            return Err("step");
        }
        if (*phase == Phase::Data) != (moved < length) || *phase == Phase::Busy && steps.is_empty() {
            return Err("phase");
        }
        *self = Self { state: saved, flight: None };
        Ok(())
    }
}

/// Zeroes from `from` to `to`; false where there is no memory.
fn fill(memory: &Memory, from: u64, to: u64) -> bool {
    const CHUNK: u64 = 4096;
    let mut at = from;
    while at < to {
        let length = (to - at).min(CHUNK);
        if memory.write(at, &[0; CHUNK as usize][..length as usize]).is_err() {
            return false;
        }
        at += length;
    }
    true
}
