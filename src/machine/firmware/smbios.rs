//! SMBIOS: the machine's name, identity, processors and memory, as `etc/smbios/smbios-anchor` and `-tables`.
//!
//! Follows the DMTF's System Management BIOS Reference Specification (DSP0134) 2.8 with its 32-bit entry point. Firmware places the
//! tables, fills in the entry point's address and checksums, and adds type 0 (itself).

use crate::memory::{HIGH_RAM, RamLayout};

use super::FirmwareFacts;

const MAKER: &str = "Dormer";
const PRODUCT: &str = "Dormer machine";
const BOARD: &str = "q35-1";
/// Bytes of a memory module at most.
const MODULE: u64 = 16 << 30;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// "No such structure", for handles.
const NO_HANDLE: u16 = 0xffff;
const NO_ERROR_HANDLE: u16 = 0xfffe;
const MEMORY_ARRAY: u16 = 0x1000;

/// A structure as it grows: fields after its header, strings that they name.
struct Structure {
    kind: u8,
    handle: u16,
    fields: Vec<u8>,
    strings: Vec<String>,
}

impl Structure {
    fn new(kind: u8, handle: u16) -> Self {
        Self { kind, handle, fields: Vec::new(), strings: Vec::new() }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.fields.extend(bytes);
        self
    }

    fn word(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn dword(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn qword(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A field that names a string.
    fn string(mut self, text: &str) -> Self {
        self.strings.push(text.to_owned());
        let number = self.strings.len() as u8;
        self.bytes(&[number])
    }
}

/// The table and what its entry point says of it.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    count: u16,
    longest: u16,
}

impl Table {
    fn add(&mut self, structure: Structure) {
        let Structure { kind, handle, fields, strings } = structure;
        let start = self.bytes.len();
        self.bytes.extend([kind, 4 + fields.len() as u8]);
        self.bytes.extend(handle.to_le_bytes());
        self.bytes.extend(fields);
        for text in &strings {
            self.bytes.extend(text.as_bytes());
            self.bytes.push(0);
        }
        // The set of strings ends with an empty one; without any it is two zeros.
        self.bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
        self.count += 1;
        self.longest = self.longest.max((self.bytes.len() - start) as u16);
    }
}

/// Entry point and table.
pub(super) fn tables(facts: &FirmwareFacts) -> (Vec<u8>, Vec<u8>) {
    let mut table = Table::default();
    table.add(system(facts.uuid));
    table.add(chassis());
    table.add(processor(facts.processors));
    add_memory(&mut table, facts.ram);
    // System boot: no errors detected.
    table.add(Structure::new(32, 0x2000).bytes(&[0; 7]));
    table.add(Structure::new(127, 0x7f00));
    (anchor(&table), table.bytes)
}

fn system(uuid: [u8; 16]) -> Structure {
    let [a, b, c, d, e, f, g, h, rest @ ..] = uuid;
    // The first three parts are little-endian (§7.2.1).
    let encoded = [d, c, b, a, f, e, h, g];
    let serial = uuid::Uuid::from_bytes(uuid).to_string();
    let structure = Structure::new(1, 0x100).string(MAKER).string(PRODUCT).string(BOARD).string(&serial);
    // Woken by the power switch; no SKU.
    structure.bytes(&encoded).bytes(&rest).bytes(&[6, 0]).string(PRODUCT)
}

fn chassis() -> Structure {
    let structure = Structure::new(3, 0x300).string(MAKER);
    // Of another kind than all those that there are; boot-up, power and thermal states safe, security unknown.
    let structure = structure.bytes(&[1]).string(BOARD).bytes(&[0, 0, 3, 3, 3, 2]);
    // No maker's own data, height, cords, elements or SKU.
    structure.dword(0).bytes(&[0; 5])
}

/// One socket with a core for each vCPU, as CPUID says.
fn processor(count: u32) -> Structure {
    // A byte; more than it holds reads as FF.
    let cores = count.min(0xff) as u8;
    let structure = Structure::new(4, 0x400).string("CPU 0").bytes(&[3, 1]).string(MAKER);
    // Identity, voltage, clocks: unknown. Populated and enabled; upgrade "other".
    let structure = structure.qword(0).string("vCPU").bytes(&[0]).word(0).word(0).word(0).bytes(&[0x41, 1]);
    let structure = structure.word(NO_HANDLE).word(NO_HANDLE).word(NO_HANDLE).bytes(&[0; 3]);
    // 64-bit capable, multi-core; family "other".
    let characteristics = 1 << 2 | if count > 1 { 1 << 3 } else { 0 };
    structure.bytes(&[cores; 3]).word(characteristics).word(1)
}

/// The memory array, its modules, and where it shows.
fn add_memory(table: &mut Table, ram: RamLayout) {
    let total = ram.low + ram.high;
    let modules = total.div_ceil(MODULE).clamp(1, 0xff) as u16;
    let array = Structure::new(16, MEMORY_ARRAY).bytes(&[1, 3, 3]);
    let array = match u32::try_from(total / KIB) {
        Ok(size) if size < 1 << 31 => array.dword(size),
        _ => array.dword(1 << 31),
    };
    let extended = if total / KIB < 1 << 31 { 0 } else { total };
    table.add(array.word(NO_ERROR_HANDLE).word(modules).qword(extended));

    for module in 0..modules {
        let before = u64::from(module) * MODULE;
        let size = if module + 1 == modules { total - before } else { MODULE };
        table.add(memory_module(module, size));
    }
    for (number, (start, size)) in [(0, ram.low), (HIGH_RAM, ram.high)].into_iter().enumerate() {
        if size > 0 {
            table.add(mapped(0x1300 + number as u16, start, start + size, modules as u8));
        }
    }
}

fn memory_module(number: u16, size: u64) -> Structure {
    let mib = size / MIB;
    let (short, extended) = if mib < 0x7fff { (mib as u16, 0) } else { (0x7fff, mib as u32) };
    // Widths unknown; a DIMM, in no set, of RAM; speed unknown.
    let structure = Structure::new(17, 0x1100 + number).word(MEMORY_ARRAY).word(NO_ERROR_HANDLE);
    let structure = structure.word(0xffff).word(0xffff).word(short).bytes(&[9, 0]);
    let structure = structure.string(&format!("DIMM {number}")).bytes(&[0, 7]).word(1 << 1).word(0);
    let structure = structure.string(MAKER).bytes(&[0, 0, 0, 0]).dword(extended);
    // Clock and voltages unknown.
    structure.word(0).word(0).word(0).word(0)
}

fn mapped(handle: u16, start: u64, end: u64, modules: u8) -> Structure {
    let structure = Structure::new(19, handle);
    // Inclusive, in KiB; what 32 bits do not hold goes to the extended fields, in bytes.
    match (u32::try_from(start / KIB), u32::try_from(end / KIB - 1)) {
        (Ok(first), Ok(last)) if last < u32::MAX => {
            structure.dword(first).dword(last).word(MEMORY_ARRAY).bytes(&[modules]).qword(0).qword(0)
        }
        _ => {
            let structure = structure.dword(u32::MAX).dword(u32::MAX).word(MEMORY_ARRAY).bytes(&[modules]);
            structure.qword(start).qword(end - 1)
        }
    }
}

/// The entry point (§5.2.1), with the table at address 0.
fn anchor(table: &Table) -> Vec<u8> {
    let mut bytes = b"_SM_\0\x1f\x02\x08".to_vec();
    bytes.extend(table.longest.to_le_bytes());
    bytes.extend([0; 6]);
    bytes.extend(b"_DMI_\0");
    bytes.extend((table.bytes.len() as u16).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(table.count.to_le_bytes());
    bytes.push(0x28);
    let checksum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes[0x15] = checksum(&bytes[0x10..]);
    bytes[4] = checksum(&bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type, formatted area and strings of each structure.
    fn parse(mut table: &[u8]) -> Vec<(u8, Vec<u8>, Vec<String>)> {
        let mut all = Vec::new();
        while let [kind, length, ..] = *table {
            let (fields, rest) = table.split_at(length.into());
            let end = rest.windows(2).position(|two| two == [0, 0]).unwrap();
            let text = rest[..end].split(|byte| *byte == 0).filter(|text| !text.is_empty());
            let strings = text.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect();
            all.push((kind, fields.to_vec(), strings));
            table = &rest[end + 2..];
        }
        all
    }

    #[test]
    fn structures_have_the_lengths_of_2_8() {
        let (anchor, table) = tables(&FirmwareFacts::example());
        let all = parse(&table);
        let shapes: Vec<_> = all.iter().map(|(kind, fields, _)| (*kind, fields.len())).collect();
        let expected =
            [(1, 0x1b), (3, 0x16), (4, 0x2a), (16, 0x17), (17, 0x28), (19, 0x1f), (19, 0x1f), (32, 0x0b), (127, 4)];
        assert_eq!(shapes, expected);
        assert_eq!(u16::from_le_bytes([anchor[0x1c], anchor[0x1d]]) as usize, all.len());
        assert_eq!(u16::from_le_bytes([anchor[0x16], anchor[0x17]]) as usize, table.len());
        assert_eq!(anchor.len(), 0x1f);
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!((sum(&anchor), sum(&anchor[0x10..])), (0, 0));
    }

    #[test]
    fn the_system_is_named() {
        let (_, table) = tables(&FirmwareFacts::example());
        let (_, fields, strings) = &parse(&table)[0];
        let serial = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(strings[..], ["Dormer", "Dormer machine", "q35-1", serial, "Dormer machine"]);
        assert_eq!(fields[8..24], *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
    }

    #[test]
    fn modules_add_up() {
        for gib in [1, 16, 17, 96, 1024] {
            let ram = RamLayout::of(gib << 30);
            let (_, table) = tables(&FirmwareFacts { ram, ..FirmwareFacts::example() });
            let modules = parse(&table).into_iter().filter(|(kind, ..)| *kind == 17);
            let sizes = modules.map(|(_, fields, _)| u64::from(u16::from_le_bytes([fields[12], fields[13]])));
            assert_eq!(sizes.sum::<u64>(), gib << 10);
        }
    }
}
