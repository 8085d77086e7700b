//! Base address registers, and what stands behind them.

use std::fs::File;
use std::sync::Arc;

use vm_memory::{FileOffset, MmapRegion};

use super::Devfn;

/// The kind of address a BAR decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Ports.
    Io,
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere; takes the next BAR's register as its upper half.
    Memory64,
}

/// What answers accesses to a BAR.
#[derive(Clone)]
pub enum Backing {
    /// The function's [`super::PciFunction::bar_read`] and [`super::PciFunction::bar_write`].
    Registers,
    /// Memory that the guest reaches without an exit.
    Memory(Arc<SharedMemory>),
}

/// A guest write that wakes the I/O thread instead of stopping the vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doorbell {
    /// Byte offset in the BAR.
    pub offset: u64,
    /// The number handed to [`crate::Doorbells::ring`].
    pub index: u16,
}

/// One base address register of a function.
#[derive(Clone)]
pub struct Bar {
    /// The address space.
    pub kind: BarKind,
    /// May reads be merged and prefetched?
    pub prefetchable: bool,
    /// Bytes, a power of two (at least 4 for ports, 16 for memory).
    pub size: u64,
    /// What answers.
    pub backing: Backing,
    /// Doorbells in it.
    pub doorbells: Vec<Doorbell>,
}

impl Bar {
    /// A BAR of registers.
    pub fn registers(kind: BarKind, size: u64) -> Self {
        Self { kind, prefetchable: false, size, backing: Backing::Registers, doorbells: Vec::new() }
    }

    /// A prefetchable BAR that shows `memory`.
    pub fn memory(kind: BarKind, memory: Arc<SharedMemory>) -> Self {
        Self { kind, prefetchable: true, size: memory.size(), backing: Backing::Memory(memory), doorbells: Vec::new() }
    }

    /// The read-only low bits of the register.
    pub(super) fn flags(&self) -> u32 {
        let prefetch = if self.prefetchable { 8 } else { 0 };
        match self.kind {
            BarKind::Io => 1,
            BarKind::Memory32 => prefetch,
            BarKind::Memory64 => prefetch | 4,
        }
    }
}

/// Host memory that guest and host both see: a memfd, mapped. The board makes it, with the seals that the desk asks for.
#[derive(Debug)]
pub struct SharedMemory {
    id: u32,
    region: MmapRegion<()>,
    writable: bool,
}

impl SharedMemory {
    /// Maps the whole of `file`. `id` is unique in the machine; the guest may write unless it is a ROM.
    pub fn new(id: u32, file: File, writable: bool) -> std::io::Result<Self> {
        let size = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
        let region = MmapRegion::from_file(FileOffset::new(file, 0), size).map_err(std::io::Error::other)?;
        Ok(Self { id, region, writable })
    }

    /// The number by which the [`AddressSpace`] knows this memory.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.region.size() as u64
    }

    /// May the guest write?
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The host's mapping.
    pub fn region(&self) -> &MmapRegion<()> {
        &self.region
    }

    /// The memfd, to pass on.
    pub fn file(&self) -> Option<&File> {
        self.region.file_offset().map(FileOffset::file)
    }
}

/// The hypervisor's part of address decoding: what the guest reaches without a device's code. Called under no device's mutex.
pub trait AddressSpace: Send + Sync {
    /// Shows `memory` at `at`, or nowhere. False when the place is taken by RAM or other memory: the guest then meets nothing of
    /// this one.
    fn place_memory(&self, memory: &Arc<SharedMemory>, at: Option<u64>) -> bool;

    /// Puts a doorbell of `function` at a memory address, or nowhere.
    fn place_doorbell(&self, function: Devfn, index: u16, at: Option<u64>);

    /// Which 4 KiB pages of `memory` the guest has written since the last call: bit n of word n/64 is page n. All ones where
    /// that is not known.
    fn take_dirty(&self, memory: &SharedMemory) -> Vec<u64>;
}
