//! What firmware fetches by fw_cfg to learn about the machine: ACPI and SMBIOS tables, the memory map, the boot order.
//!
//! File names and formats are those of QEMU's Q35 (`docs/specs/fw_cfg.rst`, `include/hw/acpi/bios-linker-loader.h` as an interface),
//! because SeaBIOS and OVMF, as distributions ship them, know no other. Most files never change ([`files`]). The ACPI tables name
//! places that firmware itself chooses (PCIEXBAR, BARs above 4 GiB), so [`acpi_files`] is called again when the guest first
//! selects one of [`ACPI_FILES`] after a reset.

mod acpi;
mod boot_order;
mod e820;
mod loader;
mod smbios;

use std::ops::Range;

pub use crate::memory::RamLayout;
pub use boot_order::BootTarget;
pub(crate) use boot_order::ordered;

/// The files that [`acpi_files`] makes.
pub const ACPI_FILES: [&str; 3] = [acpi::RSDP_FILE, acpi::TABLES_FILE, acpi::LOADER_FILE];

/// What the files tell of.
#[derive(Clone, Debug)]
pub struct FirmwareFacts {
    /// vCPUs. Their APIC ids are 0 to one less.
    pub processors: u32,
    /// Where RAM is.
    pub ram: RamLayout,
    /// SMBIOS system UUID, as its text form is read.
    pub uuid: [u8; 16],
    /// Is there an HPET?
    pub hpet: bool,
    /// Where PCIEXBAR puts the ECAM now, of 256 buses.
    pub ecam: Option<u64>,
    /// The span of all memory BARs that stand above 4 GiB now.
    pub high_bars: Option<Range<u64>>,
    /// What to boot from, best first.
    pub boot: Vec<BootTarget>,
    /// Milliseconds that firmware waits for the key of its boot menu; `None` leaves the wait to firmware.
    pub boot_menu_wait: Option<u16>,
}

/// Sleep states as `etc/system-states` has them, S0 to S5: bit 7 says there is such a state, the rest is its SLP_TYP.
const SYSTEM_STATES: [u8; 6] = [0x80, 0, 0, 1, 2, 0x80];

/// The files that stay as they are for the life of the machine. Called once, when the machine is built.
pub fn files(facts: &FirmwareFacts) -> Vec<(String, Vec<u8>)> {
    let (anchor, tables) = smbios::tables(facts);
    let mut files = vec![
        ("etc/e820".into(), e820::map(facts.ram)),
        ("etc/smbios/smbios-anchor".into(), anchor),
        ("etc/smbios/smbios-tables".into(), tables),
        ("etc/system-states".into(), SYSTEM_STATES.to_vec()),
        // When nothing boots, stay and say so.
        ("etc/boot-fail-wait".into(), u32::MAX.to_le_bytes().to_vec()),
    ];
    if let Some(order) = boot_order::text(&facts.boot) {
        files.push(("bootorder".into(), order));
    }
    if let Some(wait) = facts.boot_menu_wait {
        files.push(("etc/boot-menu-wait".into(), wait.to_le_bytes().to_vec()));
    }
    files
}

/// [`ACPI_FILES`] as they are now. Sizes depend on nothing that the guest can change.
pub fn acpi_files(facts: &FirmwareFacts) -> Vec<(String, Vec<u8>)> {
    acpi::files(facts).into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

#[cfg(test)]
impl FirmwareFacts {
    /// Four processors, 6 GiB, SeaBIOS's ECAM.
    fn example() -> Self {
        Self {
            processors: 4,
            ram: RamLayout { low: 0x8000_0000, high: 0x1_0000_0000 },
            uuid: *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
            hpet: true,
            ecam: Some(0xb000_0000),
            high_bars: None,
            boot: vec![BootTarget::Ahci { port: 0 }],
            boot_menu_wait: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_own_name() {
        let facts = FirmwareFacts { boot_menu_wait: Some(0x1234), ..FirmwareFacts::example() };
        let files: Vec<_> = files(&facts).into_iter().chain(acpi_files(&facts)).collect();
        let mut names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), files.len());
        assert!(names.iter().all(|name| name.len() < 56));
        assert!(files.contains(&("etc/boot-menu-wait".into(), vec![0x34, 0x12])));
        assert!(files.contains(&("etc/system-states".into(), vec![128, 0, 0, 1, 2, 128])));
    }

    #[test]
    fn without_targets_there_is_no_order() {
        let facts = FirmwareFacts { boot: Vec::new(), ..FirmwareFacts::example() };
        assert!(files(&facts).iter().all(|(name, _)| name != "bootorder"));
    }
}
