//! `etc/e820`: the memory map, from which firmware makes the one it hands to the guest's system.
//!
//! Entries are those of INT 15h, AX=E820h (ACPI 6.5, §15.1): address, length, type, packed. Holes are not listed.

use crate::memory::{HIGH_RAM, RamLayout};

const RAM: u32 = 1;
const RESERVED: u32 = 2;

/// Pages that KVM itself keeps in the guest's memory space: identity map and task state for real mode.
const KVM_PAGES: (u64, u64) = (0xfeff_c000, 0x4000);

/// The file.
pub(super) fn map(ram: RamLayout) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut entry = |(address, length): (u64, u64), kind: u32| {
        if length > 0 {
            bytes.extend(address.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
        }
    };
    entry(KVM_PAGES, RESERVED);
    entry((0, ram.low), RAM);
    entry((HIGH_RAM, ram.high), RAM);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_have_nothing_above_4_gib() {
        assert_eq!(map(RamLayout { low: 0x2000_0000, high: 0 }).len(), 2 * 20);
        let map = map(RamLayout { low: 0x8000_0000, high: 0x4000_0000 });
        assert_eq!(map[20..40], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(map[40..60], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 1, 0, 0, 0]);
    }
}
