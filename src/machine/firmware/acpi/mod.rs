//! ACPI tables (ACPI Specification 6.5, chapter 5), with the list of commands by which firmware links them.
//!
//! One file holds all tables, another the RSDP. As on QEMU's Q35 the RSDP is that of ACPI 1.0 and points to an RSDT: every guest from
//! Windows XP on reads it, and OVMF makes its own RSDP, RSDT and XSDT from the tables that it finds.

mod aml;
mod dsdt;
mod interrupts;
mod tables;
mod windows;

use acpi_tables::sdt::Sdt;

use super::FirmwareFacts;
use super::loader::{Pointer, TableLoader, Zone};

pub(super) const RSDP_FILE: &str = "etc/acpi/rsdp";
pub(super) const TABLES_FILE: &str = "etc/acpi/tables";
pub(super) const LOADER_FILE: &str = "etc/table-loader";

/// Files are padded to multiples of these, so that their sizes stay when their contents change.
const TABLES_PAD: usize = 128 << 10;
const LOADER_PAD: usize = 4 << 10;

const OEM: [u8; 6] = *b"DORMER";
const OEM_TABLE: [u8; 8] = *b"Q35     ";

/// Bytes of a table's header, and its checksum's place in it.
const HEADER: usize = 36;
const CHECKSUM: usize = 9;

/// A table with its header and checksum.
fn table(signature: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut table = Sdt::new(*signature, HEADER as u32, revision, OEM, OEM_TABLE, 1);
    table.append_slice(body);
    table.as_slice().to_vec()
}

/// The tables' file as it grows, and how it is linked.
struct Linked {
    bytes: Vec<u8>,
    loader: TableLoader,
}

impl Linked {
    /// Appends a table without pointers. Gives its offset.
    fn add(&mut self, table: &[u8]) -> usize {
        // FACS wants 64; anything does for the rest.
        let start = self.bytes.len().next_multiple_of(64);
        self.bytes.resize(start, 0);
        self.bytes.extend(table);
        start
    }

    /// Appends a table whose fields at these offsets hold the offsets of other tables.
    fn add_linked(&mut self, table: &[u8], pointers: &[(usize, Pointer)]) -> usize {
        let start = self.add(table);
        for (at, width) in pointers {
            self.loader.add_pointer(TABLES_FILE, TABLES_FILE, start + at, *width);
        }
        self.bytes[start + CHECKSUM] = 0;
        self.loader.add_checksum(TABLES_FILE, start + CHECKSUM, start, table.len());
        start
    }
}

/// RSDP, tables and commands.
pub(super) fn files(facts: &FirmwareFacts) -> [(&'static str, Vec<u8>); 3] {
    let mut loader = TableLoader::default();
    loader.allocate(TABLES_FILE, 64, Zone::High);
    loader.allocate(RSDP_FILE, 16, Zone::FSegment);

    let mut linked = Linked { bytes: Vec::new(), loader };
    let facs = linked.add(&tables::facs());
    let dsdt = linked.add(&dsdt::table(facts));
    let fadt = linked.add_linked(&tables::fadt(facs, dsdt), &tables::FADT_POINTERS);
    let mut all = vec![fadt, linked.add(&tables::madt(facts.processors))];
    if facts.hpet {
        all.push(linked.add(&tables::hpet()));
    }
    if let Some(ecam) = windows::ecam(facts) {
        all.push(linked.add(&tables::mcfg(ecam.start)));
    }
    all.push(linked.add(&tables::waet()));

    let body: Vec<u8> = all.iter().flat_map(|at| (*at as u32).to_le_bytes()).collect();
    let pointers: Vec<_> = (0..all.len()).map(|index| (HEADER + 4 * index, Pointer::Dword)).collect();
    let rsdt = linked.add_linked(&table(b"RSDT", 1, &body), &pointers);

    let Linked { mut bytes, mut loader } = linked;
    let mut rsdp = b"RSD PTR \0".to_vec();
    rsdp.extend(OEM);
    rsdp.push(0);
    rsdp.extend((rsdt as u32).to_le_bytes());
    loader.add_pointer(RSDP_FILE, TABLES_FILE, 16, Pointer::Dword);
    loader.add_checksum(RSDP_FILE, 8, 0, rsdp.len());

    bytes.resize(bytes.len().next_multiple_of(TABLES_PAD), 0);
    [(RSDP_FILE, rsdp), (TABLES_FILE, bytes), (LOADER_FILE, loader.finish(LOADER_PAD))]
}

#[cfg(test)]
#[path = "acpi_test.rs"]
mod tests;
