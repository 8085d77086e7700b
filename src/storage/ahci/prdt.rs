//! Command headers and physical region tables (AHCI 1.3.1 §4.2.2, §4.2.3).

use device::{Dma, DmaError};
use disk::GuestRange;

/// Bytes of a command header.
pub(super) const HEADER: u64 = 32;
/// Where in a command table things are.
const PACKET_AT: u64 = 0x40;
const REGIONS_AT: u64 = 0x80;
const REGION: usize = 16;
/// Regions read at once.
const BATCH: usize = 128;

/// A command header, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Where it is.
    at: u64,
    options: u16,
    regions: u16,
    table: u64,
}

impl Header {
    /// Reads the header of `slot` in the list at `list`.
    pub(super) fn read(dma: &Dma, list: u64, slot: u8) -> Result<Self, DmaError> {
        let at = list.wrapping_add(HEADER * u64::from(slot));
        let mut bytes = [0; 16];
        dma.read(at, &mut bytes)?;
        let dword = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Ok(Self {
            at,
            options: dword(0) as u16,
            regions: (dword(0) >> 16) as u16,
            table: u64::from(dword(8) & !0x7f) | u64::from(dword(12)) << 32,
        })
    }

    /// Dwords of the command FIS.
    pub(super) fn fis_dwords(&self) -> u16 {
        self.options & 0x1f
    }

    /// Reads the command FIS.
    pub(super) fn fis(&self, dma: &Dma) -> Result<[u8; 20], DmaError> {
        let mut fis = [0; 20];
        dma.read(self.table, &mut fis)?;
        Ok(fis)
    }

    /// Reads the packet of a PACKET command.
    pub(super) fn packet(&self, dma: &Dma) -> Result<[u8; 12], DmaError> {
        let mut packet = [0; 12];
        dma.read(self.table.wrapping_add(PACKET_AT), &mut packet)?;
        Ok(packet)
    }

    /// Tells the guest how many bytes were moved.
    pub(super) fn set_moved(&self, dma: &Dma, bytes: u64) -> Result<(), DmaError> {
        dma.write(self.at.wrapping_add(4), &(bytes.min(u32::MAX.into()) as u32).to_le_bytes())
    }

    /// The guest memory for the first `len` bytes of the transfer; less when the regions are shorter. Reads no more regions
    /// than that takes.
    pub(super) fn memory(&self, dma: &Dma, len: u64) -> Result<Vec<GuestRange>, DmaError> {
        let mut ranges = Vec::new();
        let mut left = len;
        let mut next = 0;
        while left > 0 && next < usize::from(self.regions) {
            let count = BATCH.min(usize::from(self.regions) - next);
            let mut bytes = [0; BATCH * REGION];
            let bytes = &mut bytes[..count * REGION];
            dma.read(self.table.wrapping_add(REGIONS_AT + (next * REGION) as u64), bytes)?;
            for region in bytes.chunks_exact(REGION) {
                if left == 0 {
                    break;
                }
                let dword = |i: usize| u32::from_le_bytes([region[i], region[i + 1], region[i + 2], region[i + 3]]);
                // Addresses are even and lengths are too: the lowest bits do not exist.
                let at = u64::from(dword(0) & !1) | u64::from(dword(4)) << 32;
                let here = (u64::from(dword(12) & 0x3f_ffff | 1) + 1).min(left);
                ranges.push(GuestRange { at, len: here });
                left -= here;
            }
            next += count;
        }
        Ok(ranges)
    }
}

/// Bytes in all ranges.
pub(super) fn total(ranges: &[GuestRange]) -> u64 {
    ranges.iter().map(|range| range.len).sum()
}

/// Copies bytes into ranges, as far as both go.
pub(super) fn scatter(dma: &Dma, ranges: &[GuestRange], mut bytes: &[u8]) -> Result<(), DmaError> {
    for range in ranges {
        let (here, rest) = bytes.split_at(bytes.len().min(range.len as usize));
        dma.write(range.at, here)?;
        bytes = rest;
    }
    Ok(())
}

/// Collects the bytes of ranges. The caller has bounded their sum.
pub(super) fn gather(dma: &Dma, ranges: &[GuestRange]) -> Result<Vec<u8>, DmaError> {
    let mut bytes = vec![0; total(ranges) as usize];
    let mut left = &mut bytes[..];
    for range in ranges {
        let (here, rest) = left.split_at_mut(range.len as usize);
        dma.read(range.at, here)?;
        left = rest;
    }
    Ok(bytes)
}
