//! Guests of a few instructions: a boot sector that a BIOS starts.

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// The first sector of a disk, whose code runs in real mode at 0000:7c00.
pub fn boot_sector(code: &[u8]) -> Vec<u8> {
    let mut sector = code.to_vec();
    assert!(sector.len() <= SECTOR - 2, "the code does not fit into a sector");
    sector.resize(SECTOR - 2, 0);
    sector.extend([0x55, 0xaa]);
    sector
}
