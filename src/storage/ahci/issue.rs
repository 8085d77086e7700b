//! Commands of a port: fetching, starting, completing (AHCI 1.3.1 §5.3, §5.5, §5.6, §6.2).

use std::collections::VecDeque;
use std::io;

use device::{Dma, DmaError};
use disk::{GuestRange, Op};

use super::fis::{self, FromHost};
use super::port::{Kind, Port, Running, SLOTS};
use super::prdt::{Header, gather, scatter, total};
use super::registers::{Command, Interrupts};
use crate::ata::{ABORTED, Action, BUSY, DRQ, ERR, Protocol, READY, TaskFile, UNCORRECTABLE, is_queued};
use crate::drive::Drive;
use crate::mmc::Outcome;

/// What stops a list.
enum Fault {
    /// Memory that the guest named is not there.
    Memory,
    /// A FIS that no drive would understand.
    Fis,
}

impl From<DmaError> for Fault {
    fn from(_: DmaError) -> Self {
        Self::Memory
    }
}

/// A command that is starting.
struct Starting {
    slot: usize,
    header: Header,
    registers: TaskFile,
}

impl Port {
    /// Starts what can be started.
    pub(super) fn kick(&mut self, dma: &Dma) {
        while let Some(slot) = self.next_slot() {
            match self.fetch(slot, dma) {
                Ok(true) => {}
                Ok(false) => return,
                Err(Fault::Memory) => self.fault(Interrupts::HOST_BUS_FATAL),
                Err(Fault::Fis) => self.fault(Interrupts::INTERFACE_FATAL),
            }
        }
    }

    /// The slot whose command comes next, round robin.
    fn next_slot(&self) -> Option<usize> {
        let registers = &self.registers;
        let ready = registers.has(Command::START)
            && !registers.halted
            && registers.sata_status & 0xf == 3
            && !self.is_draining()
            && self.single().is_none();
        if !ready || registers.issue == 0 {
            return None;
        }
        let after = (usize::from(registers.current_slot) + 1) % SLOTS;
        let ahead = registers.issue.rotate_right(after as u32).trailing_zeros() as usize;
        Some((after + ahead) % SLOTS)
    }

    /// The slot of a command that does not share the drive.
    fn single(&self) -> Option<usize> {
        self.running.iter().position(|running| running.as_ref().is_some_and(|running| running.kind != Kind::Queued))
    }

    /// Fetches and starts the command in `slot`; false when it has to wait for queued ones.
    fn fetch(&mut self, slot: usize, dma: &Dma) -> Result<bool, Fault> {
        const FIS_DWORDS: u16 = 5;
        let header = Header::read(dma, self.registers.command_list, slot as u8)?;
        if !(FIS_DWORDS..=16).contains(&header.fis_dwords()) {
            return Err(Fault::Fis);
        }
        match fis::parse(&header.fis(dma)?).ok_or(Fault::Fis)? {
            FromHost::Control { reset } => {
                self.registers.current_slot = slot as u8;
                self.control(reset, slot, dma);
            }
            FromHost::Command(registers) => {
                let disk = matches!(self.drive, Some(Drive::Disk(_)));
                let queued = disk && is_queued(registers.command);
                if !queued && self.running.iter().any(Option::is_some) {
                    return Ok(false);
                }
                self.registers.current_slot = slot as u8;
                let starting = Starting { slot, header, registers };
                if queued { self.start_queued(starting, dma)? } else { self.start(starting, dma)? }
            }
        }
        Ok(true)
    }

    /// Software reset: held in one FIS, let go in another one.
    fn control(&mut self, reset: bool, slot: usize, dma: &Dma) {
        self.registers.issue &= !(1 << slot);
        let was_held = std::mem::replace(&mut self.registers.held, reset);
        if reset {
            self.abandon();
            (self.registers.issue, self.registers.active) = (0, 0);
        } else if was_held {
            if let Some(drive) = &mut self.drive {
                drive.soft_reset();
            }
            self.registers.greeting = true;
            self.greet(dma);
        }
    }

    fn start_queued(&mut self, starting: Starting, dma: &Dma) -> Result<(), Fault> {
        let Starting { slot, header, mut registers } = starting;
        let Some(drive) = &mut self.drive else { return Ok(()) };
        let tag = usize::from(registers.count >> 3 & 0x1f);
        let action = if tag == slot && self.running[slot].is_none() {
            drive.execute(&mut registers)
        } else {
            Action::Fail(ABORTED)
        };
        // The drive accepts: the slot is free, the tag is not.
        self.registers.issue &= !(1 << slot);
        self.registers.active |= 1 << tag;
        self.answer(dma, &registers, READY, 0, false);
        let (op, len, write) = match action {
            Action::Read { at, len, .. } => {
                let to = self.memory(&header, len, dma)?;
                (to.map(|to| Op::Read { at, to }), len, false)
            }
            Action::Write { at, len, durable, .. } => {
                let from = self.memory(&header, len, dma)?;
                (from.map(|from| Op::Write { at, from, durable }), len, true)
            }
            Action::Fail(error) => {
                self.queued_failed(tag as u8, error, registers, dma);
                return Ok(());
            }
            _ => (None, 0, false),
        };
        match op {
            Some(op) => {
                let kind = Kind::Queued;
                self.submit(slot, Running { registers, header, kind, len, write, discards: VecDeque::new() }, op);
            }
            None => self.queued_failed(tag as u8, ABORTED, registers, dma),
        }
        Ok(())
    }

    fn start(&mut self, starting: Starting, dma: &Dma) -> Result<(), Fault> {
        let Starting { slot, header, mut registers } = starting;
        let Some(drive) = &mut self.drive else { return Ok(()) };
        self.registers.task_file = u32::from(BUSY | READY);
        let action = drive.execute(&mut registers);
        let mut running =
            Running { registers, header, kind: Kind::Disk, len: 0, write: false, discards: VecDeque::new() };
        let by = |protocol| if protocol == Protocol::Pio { Kind::Pio } else { Kind::Disk };
        match action {
            Action::Done => self.conclude(slot, &running, Ok(()), dma),
            Action::Fail(error) => self.conclude(slot, &running, Err(error), dma),
            Action::DataIn { bytes, protocol } => {
                running.kind = by(protocol);
                running.len = self.hand_over(&header, &bytes, dma)?;
                self.conclude(slot, &running, Ok(()), dma);
            }
            Action::TrimList { len } => self.start_trim(slot, running, len.into(), dma)?,
            Action::Read { at, len, protocol } => {
                (running.kind, running.len) = (by(protocol), len);
                match self.memory(&header, len, dma)? {
                    Some(to) => self.submit(slot, running, Op::Read { at, to }),
                    None => self.conclude(slot, &running, Err(ABORTED), dma),
                }
            }
            Action::Write { at, len, protocol, durable } => {
                (running.kind, running.len, running.write) = (by(protocol), len, true);
                match self.memory(&header, len, dma)? {
                    Some(from) => self.submit(slot, running, Op::Write { at, from, durable }),
                    None => self.conclude(slot, &running, Err(ABORTED), dma),
                }
            }
            Action::Flush => {
                running.write = true;
                self.submit(slot, running, Op::Flush);
            }
            Action::Reset => {
                self.finish(slot, &running, READY, 1, dma);
            }
            Action::Packet => self.start_packet(slot, running, dma)?,
        }
        Ok(())
    }

    fn start_trim(&mut self, slot: usize, mut running: Running, len: u64, dma: &Dma) -> Result<(), Fault> {
        let Some(ranges) = self.memory(&running.header, len, dma)? else {
            self.conclude(slot, &running, Err(ABORTED), dma);
            return Ok(());
        };
        let list = gather(dma, &ranges)?;
        let Some(Drive::Disk(disk)) = &self.drive else { return Ok(()) };
        (running.len, running.write) = (len, true);
        match disk.trim_ranges(&list) {
            Ok(ranges) => {
                running.discards = ranges.into();
                self.discard_next(slot, running, dma);
            }
            Err(error) => self.conclude(slot, &running, Err(error), dma),
        }
        Ok(())
    }

    /// Discards the next range of a TRIM, or concludes it.
    fn discard_next(&mut self, slot: usize, mut running: Running, dma: &Dma) {
        match running.discards.pop_front() {
            Some((at, len)) => self.submit(slot, running, Op::Discard { at, len }),
            None => self.conclude(slot, &running, Ok(()), dma),
        }
    }

    fn start_packet(&mut self, slot: usize, mut running: Running, dma: &Dma) -> Result<(), Fault> {
        const BY_DMA: u16 = 1;
        let packet = running.header.packet(dma)?;
        let Some(Drive::Cdrom(drive)) = &mut self.drive else { return Ok(()) };
        running.kind = Kind::Packet { pio: running.registers.features & BY_DMA == 0 };
        match drive.packet(&packet) {
            Outcome::Done => self.conclude(slot, &running, Ok(()), dma),
            Outcome::Check => self.conclude(slot, &running, Err(ABORTED), dma),
            Outcome::Data(bytes) => {
                running.len = self.hand_over(&running.header, &bytes, dma)?;
                self.conclude(slot, &running, Ok(()), dma);
            }
            Outcome::Receive(len) => {
                let parameters = gather(dma, &running.header.memory(dma, len.into())?)?;
                running.len = parameters.len() as u64;
                let Some(Drive::Cdrom(drive)) = &mut self.drive else { return Ok(()) };
                let worked = drive.cd_mut().receive(&parameters) != Outcome::Check;
                self.conclude(slot, &running, if worked { Ok(()) } else { Err(ABORTED) }, dma);
            }
            Outcome::Read { at, len } => {
                running.len = len;
                match self.memory(&running.header, len, dma)? {
                    Some(to) => self.submit(slot, running, Op::Read { at, to }),
                    None => {
                        drive_read_failed(&mut self.drive);
                        self.conclude(slot, &running, Err(ABORTED), dma);
                    }
                }
            }
        }
        Ok(())
    }

    /// Guest memory for all of a transfer; `None`, and an interrupt, when the guest gave too little.
    fn memory(&mut self, header: &Header, len: u64, dma: &Dma) -> Result<Option<Vec<GuestRange>>, Fault> {
        let ranges = header.memory(dma, len)?;
        if total(&ranges) < len {
            self.interrupt(Interrupts::OVERFLOW);
            return Ok(None);
        }
        Ok(Some(ranges))
    }

    /// Gives bytes to the guest, as many as it has room for; says how many.
    fn hand_over(&mut self, header: &Header, bytes: &[u8], dma: &Dma) -> Result<u64, Fault> {
        let ranges = header.memory(dma, bytes.len() as u64)?;
        let room = total(&ranges);
        if room < bytes.len() as u64 {
            self.interrupt(Interrupts::OVERFLOW);
        }
        scatter(dma, &ranges, bytes)?;
        Ok(room)
    }

    fn submit(&mut self, slot: usize, running: Running, op: Op) {
        let tag = self.tag(slot);
        // Drives make requests only of media that they have.
        let Some(queue) = self.drive.as_ref().and_then(Drive::queue) else { return };
        queue.submit(op, tag);
        self.running[slot] = Some(running);
        self.in_flight += 1;
    }

    /// The disk has answered a request of the command in `slot`.
    pub(super) fn answered(&mut self, slot: usize, result: io::Result<()>, dma: &Dma) {
        let Some(running) = self.running.get_mut(slot).and_then(Option::take) else { return };
        let moves_data = running.len > 0 && running.discards.is_empty();
        match result {
            Ok(()) if running.kind == Kind::Queued => {
                self.registers.active &= !(1 << slot);
                self.registers.task_file = READY.into();
                self.receive(dma, fis::SET_DEVICE_BITS_AT, &fis::set_device_bits(READY, 0, 1 << slot, false));
                self.interrupt(Interrupts::SET_DEVICE_BITS_FIS);
            }
            Ok(()) => self.discard_next(slot, running, dma),
            // The extent was checked, so it is the memory that was not there.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && moves_data => {
                self.abandon();
                self.fault(Interrupts::HOST_BUS_FATAL);
            }
            Err(_) => {
                let error = if running.write { ABORTED } else { UNCORRECTABLE };
                match running.kind {
                    Kind::Queued => self.queued_failed(slot as u8, error, running.registers, dma),
                    Kind::Pio | Kind::Disk => self.conclude(slot, &running, Err(error), dma),
                    Kind::Packet { .. } => {
                        drive_read_failed(&mut self.drive);
                        self.conclude(slot, &running, Err(error), dma);
                    }
                }
            }
        }
    }

    /// Concludes a command that was not queued, with the error bits if it failed.
    fn conclude(&mut self, slot: usize, running: &Running, result: Result<(), u8>, dma: &Dma) {
        let mut registers = running.registers;
        let error = match (&self.drive, running.kind) {
            (Some(Drive::Cdrom(drive)), Kind::Packet { .. }) => drive.conclude(&mut registers, result.is_err()),
            _ => result.err().unwrap_or(0),
        };
        let status = if result.is_ok() { READY } else { READY | ERR };
        let pio = matches!(running.kind, Kind::Pio | Kind::Packet { pio: true });
        if pio && running.len > 0 && result.is_ok() {
            let setup = fis::pio_setup(&registers, !running.write, READY | DRQ, status, running.len);
            self.receive(dma, fis::PIO_SETUP_AT, &setup);
            self.interrupt(Interrupts::PIO_SETUP_FIS);
        }
        self.finish(slot, &Running { registers, ..running.clone() }, status, error, dma);
    }

    fn finish(&mut self, slot: usize, running: &Running, status: u8, error: u8, dma: &Dma) {
        let failed = status & ERR != 0;
        if running.header.set_moved(dma, if failed { 0 } else { running.len }).is_err() {
            self.fault(Interrupts::HOST_BUS_FATAL);
            return;
        }
        if !failed {
            self.registers.issue &= !(1 << slot);
        }
        self.answer(dma, &running.registers, status, error, true);
    }

    /// A queued command failed: the drive forgets the others too, until the guest has read why.
    fn queued_failed(&mut self, tag: u8, error: u8, registers: TaskFile, dma: &Dma) {
        if let Some(Drive::Disk(disk)) = &mut self.drive {
            disk.queued_failed(tag, error, registers);
        }
        self.abandon();
        let status = READY | ERR;
        self.registers.task_file = u32::from(error) << 8 | u32::from(status);
        self.registers.halted = true;
        self.receive(dma, fis::SET_DEVICE_BITS_AT, &fis::set_device_bits(status, error, 0, false));
        self.interrupt(Interrupts::SET_DEVICE_BITS_FIS | Interrupts::TASK_FILE_ERROR);
    }
}

fn drive_read_failed(drive: &mut Option<Drive>) {
    if let Some(Drive::Cdrom(drive)) = drive {
        drive.cd_mut().read_failed();
    }
}
