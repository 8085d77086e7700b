//! Firmware's flash: one x8 NOR chip with the Intel Standard Command Set (JEDEC JEP137 algorithm 0x0001; Common Flash
//! Interface, JESD68.01), in blocks of 4 KiB, as OVMF expects it.
//!
//! The bytes live in shared memory of the board. While the chip shows its array, the guest reads and executes that memory
//! without this device; writes always come here. A command makes the chip show something else (its status, mostly), and the
//! memory has to be hidden until it shows the array again: the board hears of both through a handle.
//!
//! Two things differ from silicon, as they do on every virtual board: operations end at once, and programming sets bits as
//! well as clearing them.

use std::sync::Arc;

use device::pci::SharedMemory;
use device::{Device, Mmio, RestoreError, Size, State};
use serde::{Deserialize, Serialize};
use vm_memory::{Bytes, VolatileMemory};

/// Bytes of an erase block.
const BLOCK: u64 = 0x1000;
/// Bytes of the write buffer, as a power of two.
const BUFFER_SHIFT: u8 = 8;
const BUFFER: u64 = 1 << BUFFER_SHIFT;

/// Bits of the status register.
mod status {
    pub(super) const READY: u8 = 0x80;
    pub(super) const ERASE_ERROR: u8 = 0x20;
    pub(super) const PROGRAM_ERROR: u8 = 0x10;
    /// Both errors at once: the command sequence was wrong.
    pub(super) const SEQUENCE_ERROR: u8 = ERASE_ERROR | PROGRAM_ERROR;
}

/// What reads show between commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum View {
    Array,
    Status,
    Identity,
    Query,
}

/// What the next write is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Cycle {
    Command,
    /// The data to program.
    Program,
    /// The confirmation of an erase.
    Erase,
    /// Which lock operation; there are no locks.
    Lock,
    /// How many writes go into the buffer, less one.
    Count,
    /// That many writes into the buffer.
    Fill {
        left: u16,
        bytes: Vec<(u64, u8)>,
    },
    /// The confirmation of the buffer.
    Commit {
        bytes: Vec<(u64, u8)>,
    },
}

/// One flash chip. Wants as many bytes of memory space as its memory has.
pub struct Pflash {
    view: View,
    cycle: Cycle,
    status: u8,
    /// Bytes programmed and erased since the device was made.
    changes: u64,
    writable: bool,
    memory: Arc<SharedMemory>,
    show_memory: Box<dyn Fn(bool) + Send>,
}

/// The saved state of a flash chip; its bytes are saved with the memory.
#[derive(Serialize, Deserialize)]
pub struct PflashState {
    view: View,
    cycle: Cycle,
    status: u8,
}

impl Pflash {
    /// A chip that holds `memory`, and that takes programs and erases if it is `writable`.
    ///
    /// `show_memory` is called when the chip begins (true) or ceases (false) to show its array: while it does, the board lets
    /// the guest read `memory` in place and sends only writes here; while it does not, reads come here too. It starts with the
    /// array shown. The handle is called under this device's mutex by the vCPU that wrote, and must have taken effect when it
    /// returns.
    pub fn new(memory: Arc<SharedMemory>, writable: bool, show_memory: Box<dyn Fn(bool) + Send>) -> Self {
        Self {
            view: View::Array,
            cycle: Cycle::Command,
            status: status::READY,
            changes: 0,
            writable,
            memory,
            show_memory,
        }
    }

    /// How many bytes were programmed or erased so far: when that has grown and then rests, the machine syncs the memory's
    /// file.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Does the guest see the array?
    pub fn shows_memory(&self) -> bool {
        self.view == View::Array && self.cycle == Cycle::Command
    }

    fn size(&self) -> u64 {
        self.memory.size()
    }

    fn load(&self, offset: u64) -> u8 {
        let byte = || self.memory.region().as_volatile_slice().read_obj(usize::try_from(offset).ok()?).ok();
        byte().unwrap_or(0xff)
    }

    fn store(&mut self, offset: u64, bytes: &[u8]) {
        let Ok(at) = usize::try_from(offset) else { return };
        // Only what lies in the chip is asked for.
        let stored = self.memory.region().as_volatile_slice().write_slice(bytes, at).is_ok();
        self.changes += if stored { bytes.len() as u64 } else { 0 };
    }

    fn program(&mut self, bytes: impl IntoIterator<Item = (u64, u8)>) {
        self.status |= status::READY;
        if !self.writable {
            self.status |= status::PROGRAM_ERROR;
            return;
        }
        for (offset, byte) in bytes {
            if offset < self.size() {
                self.store(offset, &[byte]);
            }
        }
    }

    fn erase(&mut self, offset: u64) {
        self.status |= status::READY;
        if !self.writable {
            self.status |= status::ERASE_ERROR;
            return;
        }
        let block = offset & !(BLOCK - 1);
        let length = BLOCK.min(self.size() - block);
        self.store(block, &[0xff; BLOCK as usize][..length as usize]);
    }

    /// A command in the first cycle: what is written next, and what reads show then.
    fn command(&mut self, command: u8) -> (Cycle, View) {
        match command {
            0x10 | 0x40 => (Cycle::Program, View::Status),
            0x20 => (Cycle::Erase, View::Status),
            0x50 => {
                self.status = 0;
                (Cycle::Command, View::Array)
            }
            0x60 => (Cycle::Lock, View::Status),
            0x70 => (Cycle::Command, View::Status),
            0x90 => (Cycle::Command, View::Identity),
            0x98 => (Cycle::Command, View::Query),
            0xe8 => {
                self.status |= status::READY;
                (Cycle::Count, View::Status)
            }
            // 0xff reads the array, and so does what the chip does not know.
            _ => (Cycle::Command, View::Array),
        }
    }

    /// A write that the cycle does not expect.
    fn out_of_sequence(&mut self) -> (Cycle, View) {
        self.status |= status::READY | status::SEQUENCE_ERROR;
        (Cycle::Command, View::Status)
    }

    /// The second cycle of commands that want confirming: `Some` unless it was not confirmed.
    fn confirmed(&mut self, value: u8, confirmations: &[u8]) -> Result<(), (Cycle, View)> {
        match value {
            0xff => Err((Cycle::Command, View::Array)),
            _ if confirmations.contains(&value) => Ok(()),
            _ => Err(self.out_of_sequence()),
        }
    }

    fn next_cycle(&mut self, offset: u64, size: Size, value: u64) -> (Cycle, View) {
        let done = (Cycle::Command, View::Status);
        let written = (offset..).zip(value.to_le_bytes()).take(size.bytes() as usize);
        match std::mem::replace(&mut self.cycle, Cycle::Command) {
            Cycle::Command => self.command(value as u8),
            Cycle::Program => {
                self.program(written);
                done
            }
            Cycle::Erase => match self.confirmed(value as u8, &[0xd0]) {
                Ok(()) => {
                    self.erase(offset);
                    done
                }
                Err(otherwise) => otherwise,
            },
            Cycle::Lock => match self.confirmed(value as u8, &[0x01, 0xd0]) {
                Ok(()) => {
                    self.status |= status::READY;
                    done
                }
                Err(otherwise) => otherwise,
            },
            Cycle::Count => (Cycle::Fill { left: u16::from(value as u8) + 1, bytes: Vec::new() }, View::Status),
            Cycle::Fill { left, mut bytes } => {
                let buffer = |offset: u64| offset & !(BUFFER - 1);
                if bytes.first().is_some_and(|&(first, _)| buffer(first) != buffer(offset)) {
                    return self.out_of_sequence();
                }
                bytes.extend(written.filter(|&(at, _)| buffer(at) == buffer(offset)));
                match left {
                    2.. => (Cycle::Fill { left: left - 1, bytes }, View::Status),
                    _ => (Cycle::Commit { bytes }, View::Status),
                }
            }
            Cycle::Commit { bytes } => match self.confirmed(value as u8, &[0xd0]) {
                Ok(()) => {
                    self.program(bytes);
                    done
                }
                Err(otherwise) => otherwise,
            },
        }
    }

    /// A byte of the CFI query structure (JESD68.01, section 4).
    fn query(&self, index: u8) -> u8 {
        let blocks = self.size().div_ceil(BLOCK).saturating_sub(1);
        match index {
            0x10 => b'Q',
            0x11 => b'R',
            0x12 => b'Y',
            // Intel's command set, its extended table at 0x31, no other set.
            0x13 => 0x01,
            0x15 => 0x31,
            // 4.5 to 5.5 V, no programming voltage.
            0x1b => 0x45,
            0x1c => 0x55,
            // Typical times, then by how much the longest is longer: byte, buffer, block; in powers of two.
            0x1f | 0x20 => 0x07,
            0x21 => 0x0a,
            0x23..=0x25 => 0x04,
            0x27 => self.size().next_power_of_two().trailing_zeros() as u8,
            0x28 => 0x02,
            0x2a => BUFFER_SHIFT,
            // One region of equal blocks: their number less one, their size in 256 bytes.
            0x2c => 0x01,
            0x2d => blocks as u8,
            0x2e => (blocks >> 8) as u8,
            0x2f => (BLOCK >> 8) as u8,
            0x30 => (BLOCK >> 16) as u8,
            0x31 => b'P',
            0x32 => b'R',
            0x33 => b'I',
            0x34 => b'1',
            0x35 => b'0',
            0x3f => 0x01,
            _ => 0x00,
        }
    }

    fn read_byte(&self, offset: u64) -> u8 {
        match self.view {
            View::Array => self.load(offset),
            View::Status => self.status,
            // A chip of no maker.
            View::Identity => 0,
            View::Query => self.query(offset as u8),
        }
    }
}

impl Mmio for Pflash {
    fn read(&mut self, offset: u64, size: Size) -> u64 {
        (0..size.bytes()).fold(u64::MAX, |value, i| {
            let byte = offset.checked_add(i).filter(|&at| at < self.size()).map_or(0xff, |at| self.read_byte(at));
            value & !(0xff << (8 * i)) | u64::from(byte) << (8 * i)
        })
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        if offset >= self.size() {
            return;
        }
        let shown = self.shows_memory();
        (self.cycle, self.view) = self.next_cycle(offset, size, value);
        if self.shows_memory() != shown {
            (self.show_memory)(!shown);
        }
    }
}

impl Device for Pflash {
    fn reset(&mut self) {
        let shown = self.shows_memory();
        (self.view, self.cycle, self.status) = (View::Array, Cycle::Command, status::READY);
        if !shown {
            (self.show_memory)(true);
        }
    }
}

impl State for Pflash {
    const KIND: &'static str = "pflash";
    type Saved = PflashState;

    fn save(&self) -> PflashState {
        let Self { view, cycle, status, changes: _, writable: _, memory: _, show_memory: _ } = self;
        PflashState { view: *view, cycle: cycle.clone(), status: *status }
    }

    fn restore(&mut self, saved: PflashState) -> Result<(), RestoreError> {
        let PflashState { view, cycle, status } = saved;
        match &cycle {
            Cycle::Fill { bytes, left } if bytes.len() > 8 * 256 || !(1..=256).contains(left) => {
                return Err(Self::impossible("write buffer"));
            }
            Cycle::Commit { bytes } if bytes.len() > 8 * 256 => return Err(Self::impossible("write buffer")),
            _ => {}
        }
        if status & !(status::READY | status::SEQUENCE_ERROR) != 0 {
            return Err(Self::impossible("status"));
        }
        (self.view, self.cycle, self.status) = (view, cycle, status);
        (self.show_memory)(self.shows_memory());
        Ok(())
    }
}

#[cfg(test)]
#[path = "pflash_test.rs"]
mod tests;
