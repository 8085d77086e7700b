//! Video memory, and what the host's side wrote to it.
//!
//! Planes lie interleaved: a *unit* is 32 bits, one byte of each plane, plane 0 lowest. Seen as bytes it is the linear
//! framebuffer. What guests write through the BAR is found by the hypervisor's dirty log; what comes through the legacy window
//! is written by us, so it is noted here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use device::pci::{AddressSpace, SharedMemory};
use vm_memory::{Bytes, VolatileMemory};

use crate::surface;

const PAGE: u64 = 4096;

/// Which pages changed since the last look.
pub(super) struct Dirty {
    /// Bit n of word n/64 is page n.
    pages: Vec<u64>,
    /// Plane 2, where fonts are, may have changed.
    pub(super) fonts: bool,
}

impl Dirty {
    /// Nothing at all?
    pub(super) fn is_empty(&self) -> bool {
        self.pages.iter().all(|word| *word == 0)
    }

    /// Any page of `bytes` bytes from `start` on?
    pub(super) fn touches(&self, start: u64, bytes: u64) -> bool {
        let last = start.saturating_add(bytes.max(1) - 1) / PAGE;
        (start / PAGE..=last).any(|page| {
            let word = self.pages.get((page / 64) as usize).copied().unwrap_or(0);
            word >> (page % 64) & 1 != 0
        })
    }
}

/// The adapter's memory.
pub(super) struct Vram {
    memory: Arc<SharedMemory>,
    /// The part that is used, a power of two.
    size: u64,
    written: Vec<u64>,
    fonts_written: bool,
}

impl Vram {
    /// Uses the largest power of two of `memory`, so that every address can be masked into it.
    pub(super) fn new(memory: Arc<SharedMemory>) -> Self {
        // A mapping of zero bytes cannot be made, so there is always one.
        let size = 1 << memory.size().max(1).ilog2();
        Self { size, written: vec![0; size.div_ceil(PAGE * 64) as usize], fonts_written: false, memory }
    }

    pub(super) fn memory(&self) -> &Arc<SharedMemory> {
        &self.memory
    }

    /// Bytes, a power of two.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The byte at `at`, masked into the memory.
    pub(super) fn byte(&self, at: u64) -> u8 {
        let at = at & (self.size - 1);
        self.memory.region().as_volatile_slice().load(at as usize, Ordering::Relaxed).unwrap_or(0xff)
    }

    /// Writes the byte at `at`, masked.
    pub(super) fn set_byte(&mut self, at: u64, value: u8) {
        let at = at & (self.size - 1);
        self.note(at, at % 4 == 2);
        // In range by the mask.
        let _ = self.memory.region().as_volatile_slice().store(value, at as usize, Ordering::Relaxed);
    }

    /// Unit `unit`, masked.
    pub(super) fn unit(&self, unit: u64) -> u32 {
        let at = (unit << 2) & (self.size - 1) & !3;
        self.memory
            .region()
            .as_volatile_slice()
            .load::<u32>(at as usize, Ordering::Relaxed)
            .map_or(u32::MAX, u32::from_le)
    }

    /// Changes the bits of `mask` in unit `unit`, masked.
    pub(super) fn change_unit(&mut self, unit: u64, value: u32, mask: u32) {
        let at = (unit << 2) & (self.size - 1) & !3;
        let new = self.unit(unit) & !mask | value & mask;
        self.note(at, mask & 0x00ff_0000 != 0);
        let _ = self.memory.region().as_volatile_slice().store(new.to_le(), at as usize, Ordering::Relaxed);
    }

    /// Copies bytes out, wrapping at the end of the memory.
    pub(super) fn copy(&self, at: u64, into: &mut [u8]) {
        let slice = self.memory.region().as_volatile_slice();
        let mut at = at & (self.size - 1);
        let mut rest = into;
        while !rest.is_empty() {
            let count = (self.size - at).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at_mut(count);
            if slice.read_slice(now, at as usize).is_err() {
                return;
            }
            (rest, at) = (later, 0);
        }
    }

    /// Zeroes the first `bytes`.
    pub(super) fn clear(&mut self, bytes: u64) {
        surface::clear(&self.memory, 0, bytes.min(self.size));
        self.written.fill(u64::MAX);
        self.fonts_written = true;
    }

    fn note(&mut self, at: u64, font: bool) {
        let page = at / PAGE;
        self.written[(page / 64) as usize] |= 1 << (page % 64);
        self.fonts_written |= font;
    }

    /// What changed since the last call, by whomever.
    pub(super) fn take_dirty(&mut self, space: &dyn AddressSpace) -> Dirty {
        let by_guest = space.take_dirty(&self.memory);
        let mut pages = std::mem::take(&mut self.written);
        self.written = vec![0; pages.len()];
        let mut fonts = std::mem::take(&mut self.fonts_written);
        for (page, guest) in pages.iter_mut().zip(by_guest) {
            *page |= guest;
            fonts |= guest != 0;
        }
        Dirty { pages, fonts }
    }
}
