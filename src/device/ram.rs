//! Guest RAM, and a device's view of it.
//!
//! A device reaches RAM only: an address that belongs to another device or to nothing is an error, so no DMA can re-enter a
//! register handler. Ranges are checked whole before the first byte moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, VolatileSlice};

/// The guest's RAM: regions below and above the hole under 4 GiB.
pub type Ram = GuestMemoryMmap<()>;

/// A DMA that could not be made: the device reports it as its hardware reports a bus error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DmaError {
    /// Bus mastering is off for the function.
    #[error("bus mastering is off")]
    Disabled,
    /// The range is not RAM from end to end.
    #[error("{length} bytes at {address:#x} are not RAM")]
    NotRam {
        /// Where the range starts.
        address: u64,
        /// Its length in bytes.
        length: u64,
    },
}

/// A device's handle to guest RAM, open while the function's bus-master bit is set.
#[derive(Clone)]
pub struct Dma {
    ram: Ram,
    enabled: Arc<AtomicBool>,
}

impl Dma {
    /// A handle that starts closed (as PCI functions do) or open (fw_cfg and others without such a bit).
    pub fn new(ram: Ram, enabled: bool) -> Self {
        Self { ram, enabled: Arc::new(AtomicBool::new(enabled)) }
    }

    /// Opens or closes the handle and all its clones; called by the PCI config space.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Release);
    }

    /// Is bus mastering on?
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// The RAM behind the handle, for queue walkers that check ranges themselves. `None` while bus mastering is off.
    pub fn ram(&self) -> Option<&Ram> {
        self.is_enabled().then_some(&self.ram)
    }

    /// RAM whatever the bus-master bit says; for transports that keep it once started (virtio requests in flight).
    pub fn all_ram(&self) -> &Ram {
        &self.ram
    }

    /// Fills `into` from guest memory at `address`.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        self.check(address, into.len() as u64)?;
        self.ram
            .read_slice(into, GuestAddress(address))
            .map_err(|_| DmaError::NotRam { address, length: into.len() as u64 })
    }

    /// Writes `from` to guest memory at `address`.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        self.check(address, from.len() as u64)?;
        self.ram
            .write_slice(from, GuestAddress(address))
            .map_err(|_| DmaError::NotRam { address, length: from.len() as u64 })
    }

    /// A little-endian `u32` at `address`.
    pub fn read_u32(&self, address: u64) -> Result<u32, DmaError> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The guest memory at `address`, as host slices in order. The slices stay valid as long as the handle.
    pub fn slices(&self, address: u64, length: u64) -> Result<Vec<VolatileSlice<'_>>, DmaError> {
        self.check(address, length)?;
        let length = usize::try_from(length).map_err(|_| DmaError::NotRam { address, length })?;
        self.ram
            .get_slices(GuestAddress(address), length)
            .collect::<Result<_, _>>()
            .map_err(|_| DmaError::NotRam { address, length: length as u64 })
    }

    fn check(&self, address: u64, length: u64) -> Result<(), DmaError> {
        if !self.is_enabled() {
            return Err(DmaError::Disabled);
        }
        let error = DmaError::NotRam { address, length };
        let length = usize::try_from(length).map_err(|_| error)?;
        match self.ram.check_range(GuestAddress(address), length) {
            true => Ok(()),
            false => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench;

    #[test]
    fn reaches_ram_only() {
        let dma = Dma::new(bench::ram(0x10000), true);
        dma.write(0xfffc, &7u32.to_le_bytes()).unwrap();
        assert_eq!(dma.read_u32(0xfffc), Ok(7));
        assert_eq!(dma.read_u32(0xfffd), Err(DmaError::NotRam { address: 0xfffd, length: 4 }));
        assert!(dma.read_u32(u64::MAX - 1).is_err());
        assert!(dma.slices(0, u64::MAX).is_err());
        dma.set_enabled(false);
        assert_eq!(dma.read_u32(0), Err(DmaError::Disabled));
    }
}
