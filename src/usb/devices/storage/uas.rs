//! USB Attached SCSI (T10 UAS): commands with tags, whose data and status go over streams with their tags' numbers.
//!
//! It is there at USB 3's speeds only, so pipes always have streams, and no ready units are sent. A tag that there is no stream for could
//! never be answered: the command pipe halts. A tag that is in use already, or a unit that makes no sense, is answered as such, and
//! what the tag stood for is gone.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use serde::{Deserialize, Serialize};

use super::link::Link;
use super::work::{Part, Step, Work, are_possible, failure};
use super::{COMMAND, IN, OUT, STATUS};
use crate::devices::pending::Pending;
use crate::devices::scsi::{Action, CDB, Cdb, Sense, Unit};
use crate::{Completion, Fault, Transfer, TransferId};

/// Power of two of how many streams there are.
pub(super) const STREAMS: u8 = 5;
const MOST_TAG: u16 = 1 << STREAMS;
/// Answers that the host did not fetch: one for each tag, and as many again.
const MOST_ANSWERS: usize = 2 * MOST_TAG as usize;
/// Bytes of the longest answer.
const ANSWER: usize = 34;

// Information units (6.2).
const COMMAND_UNIT: u8 = 1;
const SENSE_UNIT: u8 = 3;
const RESPONSE_UNIT: u8 = 4;
const TASK_MANAGEMENT_UNIT: u8 = 5;
const COMMAND_LENGTH: usize = 32;
const TASK_MANAGEMENT_LENGTH: usize = 16;

/// SCSI's status where sense data say more.
const CHECK_CONDITION: u8 = 2;

/// Response codes (table 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    Complete = 0,
    InvalidUnit = 2,
    NotSupported = 4,
    Succeeded = 8,
    IncorrectUnit = 9,
    OverlappedTag = 0x0a,
}

/// Task management functions (table 16).
mod function {
    pub(super) const ABORT_TASK: u8 = 0x01;
    pub(super) const ABORT_TASK_SET: u8 = 0x02;
    pub(super) const CLEAR_TASK_SET: u8 = 0x04;
    pub(super) const LOGICAL_UNIT_RESET: u8 = 0x08;
    pub(super) const NEXUS_RESET: u8 = 0x10;
    pub(super) const QUERY_TASK: u8 = 0x80;
    pub(super) const QUERY_TASK_SET: u8 = 0x81;
    pub(super) const QUERY_EVENT: u8 = 0x82;
}

/// A command that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    cdb: Cdb,
    work: Work,
    steps: VecDeque<Step>,
}

/// A request that the disk has for a task.
struct Flight {
    tag: u64,
    /// The transfer whose data it moves, and how many bytes.
    transfer: Option<(TransferId, u64)>,
}

/// The transport.
#[derive(Default)]
pub(super) struct Uas {
    tasks: BTreeMap<u16, Task>,
    flights: BTreeMap<u16, Flight>,
    answers: VecDeque<(u16, Vec<u8>)>,
}

/// The saved transport.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UasState {
    tasks: Vec<(u16, Task)>,
    answers: Vec<(u16, Vec<u8>)>,
}

impl Uas {
    /// Forgets all tasks.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Goes on as far as it can. True when the command pipe halts.
    pub(super) fn advance(&mut self, unit: &mut Unit, link: &mut Link, pending: &mut Pending) -> bool {
        let mut halts = false;
        while !halts && self.answers.len() < MOST_ANSWERS - usize::from(MOST_TAG) {
            let Some(transfer) = pending.pop(COMMAND) else { break };
            let id = transfer.id;
            let completion = self.take(&transfer, unit, link);
            halts = completion.fault == Some(Fault::Stall);
            pending.finish(id, completion);
        }
        for tag in self.tasks.keys().copied().collect::<Vec<_>>() {
            while !self.flights.contains_key(&tag) && !link.is_draining() && self.go_on(tag, unit, link, pending) {}
        }
        self.deliver(pending);
        if halts {
            pending.fail(COMMAND, Fault::Stall);
        }
        halts
    }

    /// Takes an information unit.
    fn take(&mut self, transfer: &Transfer, unit: &mut Unit, link: &mut Link) -> Completion {
        let length = transfer.memory.len();
        let mut bytes = [0; COMMAND_LENGTH];
        let Ok(read) = transfer.memory.read(0, &mut bytes) else { return Completion::failed(Fault::Transaction) };
        let tag = u16::from_be_bytes([bytes[2], bytes[3]]);
        if read < 4 || !(1..=MOST_TAG).contains(&tag) {
            return Completion::failed(Fault::Stall);
        }
        let is_taken = self.tasks.contains_key(&tag);
        let lun = |at: usize| bytes[at..at + 8].iter().fold(0, |lun, &byte| lun << 8 | u64::from(byte));
        match bytes[0] {
            COMMAND_UNIT | TASK_MANAGEMENT_UNIT if is_taken => {
                self.drop_task(tag, link);
                self.respond(tag, Response::OverlappedTag);
            }
            COMMAND_UNIT if read == COMMAND_LENGTH => {
                let mut cdb = [0; CDB];
                cdb.copy_from_slice(&bytes[16..]);
                // Longer command blocks are of commands that there are not.
                let action = match bytes[6] >> 2 {
                    0 => unit.command(lun(8), &cdb),
                    _ => Action::Fail(Sense::UNKNOWN_COMMAND),
                };
                self.begin(tag, cdb, action, unit);
            }
            TASK_MANAGEMENT_UNIT if read >= TASK_MANAGEMENT_LENGTH => {
                let other = u16::from_be_bytes([bytes[6], bytes[7]]);
                let response = match lun(8) {
                    0 => self.manage(bytes[4], other, unit, link),
                    _ => Response::IncorrectUnit,
                };
                self.respond(tag, response);
            }
            _ => self.respond(tag, Response::InvalidUnit),
        }
        Completion::done(length)
    }

    fn begin(&mut self, tag: u16, cdb: Cdb, action: Action, unit: &mut Unit) {
        match Work::of(action) {
            Ok((work, steps)) => drop(self.tasks.insert(tag, Task { cdb, work, steps })),
            Err(sense) => self.conclude(tag, Err(sense), unit),
        }
    }

    fn manage(&mut self, function: u8, tag: u16, unit: &mut Unit, link: &mut Link) -> Response {
        match function {
            function::ABORT_TASK => self.drop_task(tag, link),
            function::ABORT_TASK_SET | function::CLEAR_TASK_SET => self.drop_all(link),
            function::LOGICAL_UNIT_RESET | function::NEXUS_RESET => {
                self.drop_all(link);
                unit.reset();
            }
            function::QUERY_TASK if self.tasks.contains_key(&tag) => return Response::Succeeded,
            function::QUERY_TASK_SET if !self.tasks.is_empty() => return Response::Succeeded,
            function::QUERY_TASK | function::QUERY_TASK_SET | function::QUERY_EVENT => {}
            _ => return Response::NotSupported,
        }
        Response::Complete
    }

    fn drop_task(&mut self, tag: u16, link: &mut Link) {
        self.tasks.remove(&tag);
        if let Some(flight) = self.flights.remove(&tag) {
            link.forget(flight.tag);
        }
    }

    fn drop_all(&mut self, link: &mut Link) {
        for tag in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.drop_task(tag, link);
        }
    }

    /// The next part of a task; false when it has to wait, or is no more.
    fn go_on(&mut self, tag: u16, unit: &mut Unit, link: &mut Link, pending: &mut Pending) -> bool {
        let Some(task) = self.tasks.get_mut(&tag) else { return false };
        if task.work.left() == 0 {
            let Some(step) = task.steps.front() else {
                self.conclude(tag, Ok(()), unit);
                // What the host had ready and did not need.
                while let Some(transfer) = pending.pop_of(IN, tag) {
                    pending.finish(transfer.id, Completion::done(0));
                }
                return false;
            };
            let flight = Flight { tag: link.send(step.op()), transfer: None };
            self.flights.insert(tag, flight);
            return false;
        }
        let pipe = if task.work.direction() == Some(true) { IN } else { OUT };
        let Some(Transfer { id, memory, .. }) = pending.pop_of(pipe, tag) else { return false };
        match task.work.part(&memory, u64::MAX) {
            Ok(Part::Moved(length)) => pending.finish(id, Completion::done(length)),
            Ok(Part::Disk(op, length)) => {
                let flight = Flight { tag: link.send(op), transfer: Some((id, length)) };
                self.flights.insert(tag, flight);
                return false;
            }
            Err(_) => {
                pending.finish(id, Completion::failed(Fault::Transaction));
                self.conclude(tag, Err(Sense::NO_MEMORY), unit);
                return false;
            }
        }
        if let Some(parameters) = task.work.parameters() {
            let cdb = task.cdb;
            let action = unit.receive(&cdb, &parameters);
            self.begin(tag, cdb, action, unit);
        }
        true
    }

    /// The disk has answered.
    pub(super) fn answered(&mut self, sent: u64, result: io::Result<()>, unit: &mut Unit, pending: &mut Pending) {
        let found = self.flights.iter().find_map(|(tag, flight)| (flight.tag == sent).then_some(*tag));
        let Some((tag, flight)) = found.and_then(|tag| Some((tag, self.flights.remove(&tag)?))) else { return };
        let Some(task) = self.tasks.get_mut(&tag) else { return };
        let is_write = task.work.direction() != Some(true);
        match (flight.transfer, result) {
            (Some((id, length)), Ok(())) => {
                task.work.went_on(length);
                pending.finish(id, Completion::done(length));
            }
            (None, Ok(())) => drop(task.steps.pop_front()),
            (transfer, Err(error)) => {
                if let Some((id, ..)) = transfer {
                    pending.finish(id, Completion::done(0));
                }
                self.conclude(tag, Err(failure(&error, is_write)), unit);
            }
        }
    }

    /// Ends a task with its status.
    fn conclude(&mut self, tag: u16, result: Result<(), Sense>, unit: &Unit) {
        self.tasks.remove(&tag);
        let (status, sense) = match result {
            Ok(()) => (0, Vec::new()),
            Err(sense) => (CHECK_CONDITION, unit.sense_data(sense)),
        };
        let mut answer = vec![SENSE_UNIT, 0];
        answer.extend(tag.to_be_bytes());
        answer.extend([0, 0, status, 0, 0, 0, 0, 0, 0, 0]);
        answer.extend((sense.len() as u16).to_be_bytes());
        answer.extend(sense);
        self.answers.push_back((tag, answer));
    }

    fn respond(&mut self, tag: u16, response: Response) {
        let mut answer = vec![RESPONSE_UNIT, 0];
        answer.extend(tag.to_be_bytes());
        answer.extend([0, 0, 0, response as u8]);
        self.answers.push_back((tag, answer));
    }

    /// Hands out answers as far as the host asks for them.
    fn deliver(&mut self, pending: &mut Pending) {
        self.answers.retain(|(tag, answer)| {
            let Some(transfer) = pending.pop_of(STATUS, *tag) else { return true };
            let completion = match transfer.memory.write(0, answer) {
                Ok(written) if written < answer.len() => {
                    Completion { length: written as u64, fault: Some(Fault::Babble) }
                }
                Ok(written) => Completion::done(written as u64),
                Err(_) => Completion::failed(Fault::Transaction),
            };
            pending.finish(transfer.id, completion);
            false
        });
    }

    /// A transfer is taken back: what the disk has of it counts as not moved.
    pub(super) fn cancel(&mut self, id: TransferId, link: &mut Link) {
        self.flights.retain(|_, flight| {
            let is_it = flight.transfer.as_ref().is_some_and(|(of, ..)| *of == id);
            if is_it {
                link.forget(flight.tag);
            }
            !is_it
        });
    }

    /// The state; what the disk has is begun anew.
    pub(super) fn save(&self) -> UasState {
        let Self { tasks, flights: _, answers } = self;
        let tasks = tasks.iter().map(|(tag, task)| (*tag, task.clone())).collect();
        UasState { tasks, answers: answers.iter().cloned().collect() }
    }

    /// Takes a state; the error names the impossible field.
    pub(super) fn restore(&mut self, saved: UasState, unit: &Unit) -> Result<(), &'static str> {
        let UasState { tasks, answers } = saved;
        let is_tag = |tag: u16| (1..=MOST_TAG).contains(&tag);
        let possible = |(tag, task): &(u16, Task)| {
            let Task { cdb: _, work, steps } = task;
            is_tag(*tag) && work.is_possible(unit) && are_possible(steps, unit)
        };
        if tasks.len() > MOST_TAG.into() || !tasks.iter().all(possible) {
            return Err("task");
        }
        if answers.len() > MOST_ANSWERS || !answers.iter().all(|(tag, answer)| is_tag(*tag) && answer.len() <= ANSWER) {
            return Err("answer");
        }
        let answers = answers.into();
        *self = Self { tasks: tasks.into_iter().collect(), flights: BTreeMap::new(), answers };
        Ok(())
    }
}

#[cfg(test)]
#[path = "uas_test.rs"]
mod tests;
