//! Guest RAM and ROM: where they stand, and what the memory controller moves.
//!
//! RAM below 4 GiB ends at 2 GiB on machines with more than that (at 2.75 GiB when all of it fits), the rest starts at 4 GiB: the hole
//! between is for PCI, the chips and the firmware. Each part of C0000–FFFFF has a slot of its own, so that PAM can show RAM or ROM
//! there.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use api::machine::limits;
use chipset::{MemoryController, PAM_SEGMENTS, PamAccess, pam_segment};
use device::pci::{PciRoot, SharedMemory};
use device::{Dma, Mmio, MmioBus, Ram, Size};
use kvm::Access;
use rustix::fs::{MemfdFlags, SealFlags};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use crate::hypervisor::Hypervisor;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Where RAM above the hole starts.
pub(crate) const HIGH_RAM: u64 = 4 * GIB;
/// First address that is not conventional memory.
const LEGACY: u64 = 0xa_0000;
/// C0000–FFFFF: option ROMs and the BIOS.
const SHADOW: std::ops::Range<u64> = 0xc_0000..0x10_0000;

/// RAM slots; PAM segments come behind these.
const SLOT_BASE: u32 = 0;
const SLOT_LOW: u32 = 1;
const SLOT_HIGH: u32 = 2;
const SLOT_PAM: u32 = 8;

/// How much RAM is where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamLayout {
    /// Bytes from address 0.
    pub low: u64,
    /// Bytes from 4 GiB.
    pub high: u64,
}

impl RamLayout {
    /// The layout of `bytes` of RAM.
    pub fn of(bytes: u64) -> Self {
        let low = if bytes <= limits::MEMORY_BELOW_4_GIB * MIB { bytes } else { 2 * GIB };
        Self { low, high: bytes - low }
    }
}

/// Makes memfds for everything that guest, engine and desk see together.
pub(crate) struct MemoryFactory {
    next_id: AtomicU32,
}

impl MemoryFactory {
    /// A factory that counts from 0.
    pub(crate) fn new() -> Self {
        Self { next_id: AtomicU32::new(0) }
    }

    /// `bytes` of zeros that the guest may write when mapped, sealed against changes of size.
    pub(crate) fn zeroed(&self, name: &str, bytes: u64) -> io::Result<Arc<SharedMemory>> {
        let file = sealed(name, bytes)?;
        self.share(file, true)
    }

    /// A ROM that starts with these contents, padded with ones up to `size`.
    pub(crate) fn rom(&self, name: &str, contents: &[u8], size: u64) -> io::Result<Arc<SharedMemory>> {
        let file = sealed(name, size)?;
        let memory = self.share(file, false)?;
        let mut bytes = contents.to_vec();
        bytes.resize(size as usize, 0xff);
        vm_memory::VolatileMemory::as_volatile_slice(memory.region()).copy_from(&bytes);
        Ok(memory)
    }

    /// An existing file, mapped; its changes reach the file.
    pub(crate) fn share(&self, file: File, writable: bool) -> io::Result<Arc<SharedMemory>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(SharedMemory::new(id, file, writable)?))
    }
}

impl display::Surfaces for MemoryFactory {
    fn allocate(&self, bytes: u64) -> io::Result<Arc<SharedMemory>> {
        self.zeroed("dormer-surface", bytes.next_multiple_of(4096))
    }
}

fn sealed(name: &str, bytes: u64) -> io::Result<File> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, bytes)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(File::from(fd))
}

/// Makes the RAM of `layout`, all in one memfd.
pub(crate) fn make_ram(layout: RamLayout) -> io::Result<Ram> {
    let file = Arc::new(sealed("dormer-ram", layout.low + layout.high)?);
    let mut ranges = vec![(GuestAddress(0), layout.low as usize, Some(FileOffset::from_arc(Arc::clone(&file), 0)))];
    if layout.high > 0 {
        ranges.push((GuestAddress(HIGH_RAM), layout.high as usize, Some(FileOffset::from_arc(file, layout.low))));
    }
    Ram::from_ranges_with_files(ranges).map_err(io::Error::other)
}

/// Bytes of RAM that the host keeps because guest or engine touched them. Pages that were swapped out are among them.
pub(crate) fn touched(ram: &Ram) -> u64 {
    // All ranges are in one memfd.
    let file = ram.iter().find_map(|range| range.file_offset());
    let stat = file.and_then(|offset| rustix::fs::fstat(offset.file()).ok());
    // In units of 512 bytes, whatever the page's size.
    stat.map_or(0, |stat| stat.st_blocks as u64 * 512)
}

/// Shows RAM to the guest, but for the parts that PAM governs.
pub(crate) fn map_ram(space: &dyn Hypervisor, ram: &Ram, layout: RamLayout) -> Result<(), kvm::Error> {
    space.map_ram(SLOT_BASE, ram, 0, LEGACY, Access::ReadWrite)?;
    space.map_ram(SLOT_LOW, ram, MIB, layout.low - MIB, Access::ReadWrite)?;
    if layout.high > 0 {
        space.map_ram(SLOT_HIGH, ram, HIGH_RAM, layout.high, Access::ReadWrite)?;
    }
    Ok(())
}

/// The memory controller's hands: the slots of PAM segments, and the ECAM on the bus.
pub(crate) struct Placement {
    pub(crate) hypervisor: Arc<dyn Hypervisor>,
    pub(crate) ram: Ram,
    pub(crate) mmio: Arc<MmioBus>,
    /// The BIOS, whose end shows below 1 MiB.
    pub(crate) bios: Option<Arc<SharedMemory>>,
    pub(crate) root: Arc<Mutex<PciRoot>>,
    pub(crate) shadow: Arc<Mutex<ShadowWrites>>,
    pub(crate) ecam: Arc<AtomicEcam>,
}

/// Where the ECAM stands now, for the ACPI tables: 0 is nowhere.
pub(crate) type AtomicEcam = std::sync::atomic::AtomicU64;

/// Bytes of the BIOS that show below 1 MiB.
const BIOS_VIEW: u64 = 128 << 10;

impl MemoryController for Placement {
    fn place_ecam(&mut self, at: Option<(u64, u16)>) {
        let old = self.ecam.swap(at.map_or(0, |(at, _)| at), Ordering::AcqRel);
        // The largest size that PCIEXBAR has covers the smaller ones: their buses have nothing on them.
        let range = |at: u64| at..at + (256 << 20);
        if old != 0 {
            self.mmio.release(&range(old));
        }
        if let Some((at, _)) = at
            && let Err(overlap) = self.mmio.claim(range(at), self.root.clone())
        {
            tracing::debug!("ECAM: {overlap}");
        }
    }

    fn set_pam(&mut self, segment: usize, access: PamAccess) {
        let (at, size) = pam_segment(segment);
        self.shadow.lock().unwrap_or_else(std::sync::PoisonError::into_inner).access[segment] = access;
        let slot = SLOT_PAM + segment as u32;
        let bios = self.bios.as_ref().filter(|bios| at >= 0x10_0000 - BIOS_VIEW.min(bios.size()));
        // F0000 and E0000 to EFFFF: five views, behind the one at the top of 4 GiB.
        let view = if segment == 0 { 1 } else { (segment as u32).saturating_sub(7) };
        self.hypervisor.unmap(slot);
        if let Some(bios) = bios {
            self.hypervisor.unmap_shared(view, bios);
        }
        let done = match (access.read_ram, bios) {
            (true, _) => {
                let how = if access.write_ram { Access::ReadWrite } else { Access::ReadOnly };
                self.hypervisor.map_ram(slot, &self.ram, at, size, how)
            }
            (false, Some(bios)) => {
                let offset = bios.size() - (0x10_0000 - at);
                self.hypervisor.map_shared(view, bios, offset, at, size)
            }
            (false, None) => Ok(()),
        };
        if let Err(error) = done {
            // Only a guest that has put a BAR there.
            tracing::debug!("memory at {at:#x}: {error}");
        }
    }
}

/// Writes to C0000–FFFFF that KVM does not put into RAM itself, because reads go elsewhere.
pub(crate) struct ShadowWrites {
    access: [PamAccess; PAM_SEGMENTS],
    dma: Dma,
}

impl ShadowWrites {
    /// The addresses on the bus.
    pub(crate) const RANGE: std::ops::Range<u64> = SHADOW;

    /// All writes go nowhere yet.
    pub(crate) fn new(dma: Dma) -> Self {
        Self { access: [PamAccess::default(); PAM_SEGMENTS], dma }
    }
}

impl Mmio for ShadowWrites {
    fn read(&mut self, _: u64, size: Size) -> u64 {
        size.ones()
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        let at = SHADOW.start + offset;
        let segment = if at >= 0xf_0000 { 0 } else { 1 + (offset / 0x4000) as usize };
        if self.access.get(segment).is_some_and(|access| access.write_ram) {
            // A PC's RAM is there, whatever the size of the machine.
            let _ = self.dma.write(at, &value.to_le_bytes()[..size.bytes() as usize]);
        }
    }
}

/// Clears what a reset clears: nothing. RAM keeps its contents, as on a PC; firmware that wants the shadow fresh copies it.
pub(crate) fn clear_warm_boot_flag(ram: &Ram) {
    // 40:72, the BIOS data area's word that says "skip the memory test".
    let _ = ram.write_obj(0u16, GuestAddress(0x472));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hole_is_under_4_gib() {
        assert_eq!(RamLayout::of(512 * MIB), RamLayout { low: 512 * MIB, high: 0 });
        assert_eq!(RamLayout::of(0xb000_0000), RamLayout { low: 0xb000_0000, high: 0 });
        assert_eq!(RamLayout::of(4 * GIB), RamLayout { low: 2 * GIB, high: 2 * GIB });
    }

    #[test]
    fn memory_that_was_touched_is_counted() {
        let ram = make_ram(RamLayout::of(3 * GIB)).unwrap();
        assert_eq!(touched(&ram), 0);
        // In both ranges; a page is touched once.
        for at in [0, 1, MIB, HIGH_RAM + MIB] {
            ram.write_obj(1_u8, GuestAddress(at)).unwrap();
        }
        let counted = touched(&ram);
        // The host may give more than a page at a time.
        assert!((3 * 4096..=3 * 2 * MIB).contains(&counted), "{counted}");
    }

    #[test]
    fn roms_are_padded() {
        let rom = MemoryFactory::new().rom("rom", &[1, 2, 3], 4096).unwrap();
        let mut start = [0u8; 4];
        vm_memory::VolatileMemory::get_slice(rom.region(), 0, 4).unwrap().copy_to(&mut start[..]);
        assert_eq!(start, [1, 2, 3, 0xff]);
        assert!(!rom.is_writable());
    }
}
