//! Message signalled interrupts: the handle, and the MSI-X table (PCI 3.0 §6.8.2).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Size;

/// Where messages go: the interrupt controllers.
pub trait MsiSink: Send + Sync {
    /// Delivers a message. Called from any thread, possibly under a device's mutex; must not call a device.
    fn deliver(&self, address: u64, data: u32);
}

/// A handle to send messages by.
#[derive(Clone)]
pub struct Msi(Arc<dyn MsiSink>);

impl Msi {
    /// Messages into `sink`.
    pub fn new(sink: Arc<dyn MsiSink>) -> Self {
        Self(sink)
    }

    /// Sends one.
    pub fn send(&self, address: u64, data: u32) {
        self.0.deliver(address, data);
    }
}

const ENTRY: u64 = 16;
const MASKED: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    address: u64,
    data: u32,
    control: u32,
}

const RESET: Entry = Entry { address: 0, data: 0, control: MASKED };

/// The table and pending bits of a function's MSI-X, as its BAR shows them: the table first, the pending bits at
/// [`Self::pending_offset`].
pub struct MsixTable {
    entries: Vec<Entry>,
    pending: Vec<u64>,
}

/// The saved table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MsixTableState {
    entries: Vec<Entry>,
    pending: Vec<u64>,
}

impl MsixTable {
    /// A table of `vectors` (1 to 2048) masked entries.
    pub fn new(vectors: u16) -> Self {
        let vectors = usize::from(vectors.clamp(1, 2048));
        Self { entries: vec![RESET; vectors], pending: vec![0; vectors.div_ceil(64)] }
    }

    /// How many vectors it has.
    pub fn vectors(&self) -> u16 {
        self.entries.len() as u16
    }

    /// Where in the BAR the pending bits stand: the first 2 KiB boundary behind the table.
    pub fn pending_offset(&self) -> u64 {
        (self.entries.len() as u64 * ENTRY).next_multiple_of(0x800)
    }

    /// Bytes of BAR that table and pending bits need, a power of two of at least 4 KiB.
    pub fn bar_size(&self) -> u64 {
        (self.pending_offset() + self.pending.len() as u64 * 8).next_power_of_two().max(0x1000)
    }

    pub(super) fn reset(&mut self) {
        self.entries.fill(RESET);
        self.pending.fill(0);
    }

    /// A guest's read of the BAR. Aligned 4 and 8 byte accesses are defined; others read as zero.
    pub fn read(&self, offset: u64, size: Size) -> u64 {
        let dword = |at| u64::from(self.dword(at));
        match size {
            Size::Dword if offset.is_multiple_of(4) => dword(offset),
            Size::Qword if offset.is_multiple_of(8) => dword(offset) | dword(offset + 4) << 32,
            _ => 0,
        }
    }

    fn dword(&self, offset: u64) -> u32 {
        if let Some(entry) = self.entries.get((offset / ENTRY) as usize) {
            return match offset % ENTRY {
                0 => entry.address as u32,
                4 => (entry.address >> 32) as u32,
                8 => entry.data,
                _ => entry.control,
            };
        }
        let bits = offset.checked_sub(self.pending_offset()).and_then(|at| self.pending.get((at / 8) as usize));
        match bits {
            Some(bits) if offset.is_multiple_of(8) => *bits as u32,
            Some(bits) => (bits >> 32) as u32,
            None => 0,
        }
    }

    /// A guest's write to the BAR. Gives the vectors that were pending and are now unmasked, to be sent at once when MSI-X is on.
    pub(super) fn write(&mut self, offset: u64, size: Size, value: u64) -> Option<u16> {
        match size {
            Size::Dword if offset.is_multiple_of(4) => self.write_dword(offset, value as u32),
            Size::Qword if offset.is_multiple_of(8) => {
                let low = self.write_dword(offset, value as u32);
                self.write_dword(offset + 4, (value >> 32) as u32).or(low)
            }
            _ => None,
        }
    }

    fn write_dword(&mut self, offset: u64, value: u32) -> Option<u16> {
        let vector = offset / ENTRY;
        let entry = self.entries.get_mut(vector as usize)?;
        let address = entry.address;
        match offset % ENTRY {
            0 => entry.address = address & !0xffff_ffff | u64::from(value & !3),
            4 => entry.address = address & 0xffff_ffff | u64::from(value) << 32,
            8 => entry.data = value,
            _ => {
                entry.control = value & MASKED;
                if entry.control & MASKED == 0 && self.is_pending(vector as u16) {
                    return Some(vector as u16);
                }
            }
        }
        None
    }

    fn is_pending(&self, vector: u16) -> bool {
        self.pending[usize::from(vector / 64)] >> (vector % 64) & 1 == 1
    }

    /// The message of `vector` when it may be sent now; otherwise it is marked pending. `None` too for a vector that is not
    /// there.
    pub(super) fn take(&mut self, vector: u16, masked: bool) -> Option<(u64, u32)> {
        let entry = *self.entries.get(usize::from(vector))?;
        let bit = 1 << (vector % 64);
        let pending = &mut self.pending[usize::from(vector / 64)];
        if masked || entry.control & MASKED != 0 {
            *pending |= bit;
            return None;
        }
        *pending &= !bit;
        Some((entry.address, entry.data))
    }

    /// All vectors that are pending.
    pub(super) fn pending(&self) -> Vec<u16> {
        (0..self.vectors()).filter(|&vector| self.is_pending(vector)).collect()
    }

    pub(super) fn save(&self) -> MsixTableState {
        let Self { entries, pending } = self;
        MsixTableState { entries: entries.clone(), pending: pending.clone() }
    }

    pub(super) fn restore(&mut self, saved: MsixTableState) -> bool {
        let fits = saved.entries.len() == self.entries.len() && saved.pending.len() == self.pending.len();
        if fits {
            let MsixTableState { entries, pending } = saved;
            *self = Self { entries, pending };
        }
        fits
    }
}
