//! What of the memory space belongs to PCI, beside RAM, ECAM and the chips.
//!
//! Everything between RAM and the I/O APIC except the ECAM, and a window above RAM. Where firmware put BARs above 4 GiB decides where
//! that window is; without any it starts behind RAM. All numbers but RAM's sizes are the guest's: windows are never inside out,
//! whatever they are.

use std::ops::Range;

use super::super::FirmwareFacts;
use crate::memory::HIGH_RAM;

/// Bytes of the ECAM of 256 buses.
pub(super) const ECAM_SIZE: u64 = 256 << 20;
/// The I/O APIC, first of the chips below 4 GiB.
const CHIPS: u64 = 0xfec0_0000;
/// The window above RAM: at least this large, in steps of this much. As on QEMU's Q35, 32-bit systems with PAE can still use it.
const HIGH_WINDOW: u64 = 32 << 30;
const HIGH_STEP: u64 = 1 << 30;
/// x86 processors have no more.
const ADDRESS_LIMIT: u64 = 1 << 52;

/// Where the ECAM is, if that is where the tables can name it: below 4 GiB, not over RAM.
pub(super) fn ecam(facts: &FirmwareFacts) -> Option<Range<u64>> {
    let start = facts.ecam.filter(|at| *at >= facts.ram.low && *at <= HIGH_RAM - ECAM_SIZE)?;
    Some(start..start + ECAM_SIZE)
}

/// The windows below 4 GiB, one or two, in order.
pub(super) fn low(facts: &FirmwareFacts) -> Vec<Range<u64>> {
    let hole = facts.ram.low.clamp(1 << 20, CHIPS - 1)..CHIPS;
    let parts = match ecam(facts) {
        Some(ecam) => vec![hole.start..ecam.start.min(hole.end), ecam.end.max(hole.start)..hole.end],
        None => vec![hole],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// The window above 4 GiB.
pub(super) fn high(facts: &FirmwareFacts) -> Range<u64> {
    let ram_end = (HIGH_RAM + facts.ram.high).next_multiple_of(HIGH_STEP);
    let bars = facts.high_bars.clone().filter(|bars| bars.start >= ram_end && bars.end <= ADDRESS_LIMIT);
    let bars = bars.unwrap_or(ram_end..ram_end);
    let start = bars.start / HIGH_STEP * HIGH_STEP;
    start..bars.end.max(start + HIGH_WINDOW).next_multiple_of(HIGH_STEP)
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn the_ecam_splits_the_low_window() {
        let facts = FirmwareFacts::example();
        assert_eq!(low(&facts), [0x8000_0000..0xb000_0000, 0xc000_0000..0xfec0_0000]);
        assert_eq!(low(&FirmwareFacts { ecam: None, ..facts.clone() }), from_ref(&(0x8000_0000..0xfec0_0000)));
        let beside_ram = FirmwareFacts { ecam: Some(0x8000_0000), ..facts.clone() };
        assert_eq!(low(&beside_ram), from_ref(&(0x9000_0000..0xfec0_0000)));
        let at_the_top = FirmwareFacts { ecam: Some(0xf000_0000), ..facts.clone() };
        assert_eq!(low(&at_the_top), from_ref(&(0x8000_0000..0xf000_0000)));
        for nonsense in [0, 0x7000_0000, 1 << 32, u64::MAX - 0xfff_ffff] {
            assert_eq!(ecam(&FirmwareFacts { ecam: Some(nonsense), ..facts.clone() }), None);
        }
    }

    #[test]
    fn the_high_window_holds_ram_s_neighbours_or_the_bars() {
        let facts = FirmwareFacts::example();
        assert_eq!(high(&facts), 0x2_0000_0000..0xa_0000_0000);
        let at = 0x3800_0000_4000;
        let bars = FirmwareFacts { high_bars: Some(at..at + (64 << 30)), ..facts.clone() };
        assert_eq!(high(&bars), 0x3800_0000_0000..0x3810_4000_0000);
        for nonsense in [0x1_0000_0000..0x1_0000_1000, u64::MAX - 1..u64::MAX] {
            assert_eq!(high(&FirmwareFacts { high_bars: Some(nonsense), ..facts.clone() }), high(&facts));
        }
    }
}
