use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::firmware::loader::play;

/// Where the bench's firmware loads the files.
const TABLES_AT: u64 = 0x7ffe_0000;
const RSDP_AT: u64 = 0xf_5000;

/// The tables' file as it stands in memory, and the RSDP.
struct Loaded {
    tables: Vec<u8>,
    rsdp: Vec<u8>,
}

fn dword(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn load(facts: &FirmwareFacts) -> Loaded {
    let mut files: BTreeMap<_, _> = files(facts).map(|(name, bytes)| (name.to_owned(), bytes)).into();
    let list = files.remove(LOADER_FILE).unwrap();
    let placed = play::run(&list, &mut files, |file, _, zone| match (file, zone) {
        (TABLES_FILE, 1) => TABLES_AT,
        (RSDP_FILE, 2) => RSDP_AT,
        other => panic!("{other:?}"),
    });
    assert_eq!(placed.len(), 2);
    Loaded { tables: files.remove(TABLES_FILE).unwrap(), rsdp: files.remove(RSDP_FILE).unwrap() }
}

impl Loaded {
    fn table(&self, at: u32) -> &[u8] {
        let start = (u64::from(at) - TABLES_AT) as usize;
        let length = dword(&self.tables, start + 4) as usize;
        &self.tables[start..start + length]
    }

    /// By signature, as the RSDT and the FADT lead to them.
    fn all(&self) -> BTreeMap<String, &[u8]> {
        let rsdt = self.table(dword(&self.rsdp, 16));
        assert_eq!((&rsdt[..4], sum(rsdt)), (&b"RSDT"[..], 0));
        let mut all: Vec<_> = rsdt[HEADER..].chunks(4).map(|entry| self.table(dword(entry, 0))).collect();
        let fadt = all[0];
        assert_eq!(dword(fadt, 40), dword(fadt, 140));
        assert_eq!(dword(fadt, 36) % 64, 0);
        all.push(self.table(dword(fadt, 40)));
        for table in &all {
            assert_eq!(sum(table), 0);
        }
        all.push(self.table(dword(fadt, 36)));
        all.into_iter().map(|table| (String::from_utf8(table[..4].to_vec()).unwrap(), table)).collect()
    }
}

#[test]
fn firmware_links_the_tables() {
    let loaded = load(&FirmwareFacts::example());
    assert_eq!((loaded.rsdp.len(), sum(&loaded.rsdp)), (20, 0));
    let all = loaded.all();
    assert_eq!(
        all.keys().map(String::as_str).collect::<Vec<_>>(),
        ["APIC", "DSDT", "FACP", "FACS", "HPET", "MCFG", "WAET"]
    );
    assert_eq!(all["FACP"].len(), 244);
    assert_eq!(all["FACS"].len(), 64);
    assert_eq!(dword(all["MCFG"], 44), 0xb000_0000);
    assert_eq!(all["MCFG"][54..56], [0, 255]);
}

#[test]
fn what_is_not_there_has_no_table() {
    let facts = FirmwareFacts { hpet: false, ecam: None, ..FirmwareFacts::example() };
    let loaded = load(&facts);
    let all = loaded.all();
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), ["APIC", "DSDT", "FACP", "FACS", "WAET"]);
}

#[test]
fn fields_stand_where_systems_look() {
    let loaded = load(&FirmwareFacts::example());
    let fadt = loaded.all()["FACP"];
    assert_eq!([fadt[46], fadt[89], fadt[91], fadt[92], fadt[108]], [9, 2, 4, 16, 0x32]);
    let blocks = [48, 56, 60, 64, 72, 76, 80, 84].map(|at| dword(fadt, at));
    assert_eq!(blocks, [0, 0x600, 0, 0x604, 0, 0x608, 0x620, 0]);
    assert_eq!([fadt[116], fadt[117], fadt[128]], [1, 8, 0x0f]);
    assert_eq!(dword(fadt, 120), 0xcf9);
    assert_eq!([148, 172, 208, 220].map(|at| dword(fadt, at + 4)), [0x600, 0x604, 0x608, 0x620]);
}

#[test]
fn sizes_do_not_change_with_what_the_guest_does() {
    let facts = FirmwareFacts::example();
    let sizes = |facts: &FirmwareFacts| files(facts).map(|(_, bytes)| bytes.len());
    let moved = FirmwareFacts { ecam: None, high_bars: Some(0x3800_0000_0000..0x3800_0000_1000), ..facts.clone() };
    assert_eq!(sizes(&facts), [20, 128 << 10, 4096]);
    assert_eq!(sizes(&moved), sizes(&facts));
    let nonsense = FirmwareFacts { ecam: Some(u64::MAX), high_bars: Some(u64::MAX..u64::MAX), ..facts.clone() };
    assert_eq!(sizes(&nonsense), sizes(&facts));
}

#[test]
fn every_processor_has_an_apic() {
    let madt = tables::madt(300);
    let mut rest = &madt[44..];
    let mut ids = Vec::new();
    while let [kind, length, ..] = *rest {
        match kind {
            0 => ids.push(u32::from(rest[3])),
            9 => ids.push(dword(rest, 4)),
            _ => {}
        }
        rest = &rest[usize::from(length)..];
    }
    assert_eq!(ids, (0..300).collect::<Vec<_>>());
}

/// Disassembles a table. Gives the source.
fn disassemble(folder: &Path, name: &str, table: &[u8]) -> String {
    let file = folder.join(format!("{name}.aml"));
    std::fs::write(&file, table).unwrap();
    let output = Command::new("iasl").arg("-d").arg(&file).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("Error") && !said.contains("Warning"), "{said}");
    std::fs::read_to_string(file.with_extension("dsl")).unwrap()
}

#[test]
fn the_reference_compiler_agrees() {
    if Command::new("iasl").arg("-v").output().is_err() {
        eprintln!("SKIPPED: there is no iasl (package acpica-tools)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (variant, facts) in [
        ("full", FirmwareFacts::example()),
        ("bare", FirmwareFacts { hpet: false, ecam: None, ..FirmwareFacts::example() }),
        ("many", FirmwareFacts { processors: 300, ..FirmwareFacts::example() }),
    ] {
        let folder = folder.path().join(variant);
        std::fs::create_dir(&folder).unwrap();
        let loaded = load(&facts);
        for (name, table) in loaded.all() {
            disassemble(&folder, &name, table);
        }
        let output = Command::new("iasl").args(["-p", "again", "DSDT.dsl"]).current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let complaints = said.lines().filter(|line| line.starts_with("Error") || line.starts_with("Warning"));
        // The object of ACPI 1.0 is what XP needs; QEMU has it as well.
        let complaints: Vec<_> = complaints.filter(|line| !line.contains("Legacy Processor() keyword")).collect();
        assert!(output.status.success() && complaints.is_empty(), "{said}");
        assert!(said.contains("0 Errors"), "{said}");
    }
}
