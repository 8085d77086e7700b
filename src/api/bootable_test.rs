use std::process::Command;

use super::*;

/// A disk of some MiB.
struct Disk(Vec<u8>);

impl Disk {
    fn new() -> Self {
        let mut disk = Self(vec![0; 4 << 20]);
        disk.put(0, 510, &[0x55, 0xaa]);
        disk
    }

    fn put(&mut self, sector: usize, at: usize, bytes: &[u8]) {
        self.0[sector * SECTOR + at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn code(mut self) -> Self {
        self.put(0, 0, &[0xeb, 0x63]);
        self
    }

    /// The MBR's code of a boot loader that says at this place who it is.
    fn named(self, at: usize, name: &[u8]) -> Self {
        let mut disk = self.code();
        disk.put(0, at, name);
        disk
    }

    /// The first sector of GRUB's core.img, or what else begins with a jump and has no signature.
    fn core(mut self, sector: usize) -> Self {
        self.put(sector, 0, &[0x52, 0x56, 0xbe, 0x1b]);
        self
    }

    /// A partition's boot sector with these bytes where its code is.
    fn boot_sector(mut self, sector: usize, code: &[u8]) -> Self {
        self.put(sector, 0, &[0xeb, 0x58, 0x90]);
        self.put(sector, 200, code);
        self.put(sector, 510, &[0x55, 0xaa]);
        self
    }

    /// A partition in the MBR.
    fn partition(mut self, kind: u8, start: u32) -> Self {
        self.put(0, 446, &[[0x80, 0, 0, 0, kind, 0, 0, 0], [0; 8]].concat());
        self.put(0, 446 + 8, &start.to_le_bytes());
        self.put(0, 446 + 12, &2000u32.to_le_bytes());
        self
    }

    /// A GPT with this partition as its sixth.
    fn gpt(self, kind: [u8; 16], start: u64) -> Self {
        let mut disk = self.partition(MBR_GPT, 1);
        disk.put(1, 0, b"EFI PART");
        disk.put(1, 72, &2u64.to_le_bytes());
        disk.put(1, 80, &128u32.to_le_bytes());
        disk.put(1, 84, &128u32.to_le_bytes());
        disk.put(3, 128, &kind);
        disk.put(3, 128 + 32, &start.to_le_bytes());
        disk
    }

    /// A FAT at this sector whose root directory has these names.
    fn fat(mut self, start: usize, wide: bool, names: &[&[u8; 11]]) -> Self {
        self.put(start, 510, &[0x55, 0xaa]);
        self.put(start, 11, &512u16.to_le_bytes());
        self.put(start, 13, &[4, 8, 0, 2]);
        let root = if wide {
            self.put(start, 36, &40u32.to_le_bytes());
            self.put(start, 44, &5u32.to_le_bytes());
            start + 8 + 80 + 3 * 4
        } else {
            self.put(start, 17, &512u16.to_le_bytes());
            self.put(start, 22, &20u16.to_le_bytes());
            start + 8 + 40
        };
        for (number, name) in names.iter().enumerate() {
            self.put(root, number * 32, *name);
            self.put(root, number * 32 + 11, &[if name[8] == b' ' { 0x10 } else { 0x20 }]);
        }
        self
    }

    fn is_installed(&self) -> bool {
        is_installed(|sector| {
            let at = usize::try_from(sector).ok()?.checked_mul(SECTOR)?;
            self.0.get(at..)?.first_chunk().copied()
        })
    }
}

const EFI: &[u8; 11] = b"EFI        ";

#[test]
fn what_a_bios_starts() {
    assert!(!Disk(vec![0; 1 << 20]).is_installed() && !Disk(Vec::new()).is_installed());
    assert!(!Disk::new().is_installed(), "a label and nothing else");
    assert!(!Disk::new().code().is_installed(), "code and no partition");
    assert!(!Disk::new().partition(0x83, 2048).is_installed(), "a partition and no code");
    // libparted and FDISK write the MBR's code when they partition, and FDISK fills the partition.
    let partitioned = || Disk::new().code().partition(0x83, 2048);
    assert!(!partitioned().is_installed(), "nothing to load");
    let mut filled = partitioned();
    filled.put(2048, 0, &[0xf6; SECTOR]);
    assert!(!filled.is_installed());
    // mkfs.fat's boot sector prints (INT 10h), waits for a key (16h), and goes back (19h); its serial number may be anything.
    let formatted = || partitioned().boot_sector(2048, &[0xcd, 0x10, 0xcd, 0x16, 0xcd, 0x19]);
    assert!(!formatted().is_installed());
    let mut numbered = formatted();
    numbered.put(2048, 67, &READS);
    assert!(!numbered.is_installed());

    // Windows, DOS, Syslinux and the BSDs go on in a partition.
    assert!(partitioned().boot_sector(2048, &READS).is_installed());
    assert!(Disk::new().code().partition(0x07, 2048).boot_sector(2048, &READS).is_installed());
    assert!(!Disk::new().partition(0x07, 2048).boot_sector(2048, &READS).is_installed(), "nothing starts it");
    assert!(!Disk::new().code().partition(0x83, 0).boot_sector(0, &READS).is_installed(), "no partition");
    // GRUB behind the MBR, and GRUB and LILO with lists of blocks.
    assert!(partitioned().core(1).is_installed());
    assert!(!Disk::new().partition(0x83, 2048).core(1).is_installed());
    assert!(!Disk::new().code().partition(0x83, 1).core(1).is_installed(), "that is in the partition");
    assert!(partitioned().named(384, b"GRUB ").is_installed() && partitioned().named(6, b"LILO").is_installed());
    let mut converted = partitioned();
    converted.put(1, 0, b"EFI PART");
    assert!(!converted.is_installed(), "left of a GPT");
}

#[test]
fn what_a_bios_starts_of_a_gpt() {
    let gpt = |kind| Disk::new().code().gpt(kind, 34);
    assert!(!gpt([7; 16]).core(34).is_installed(), "its own entry in the MBR is no partition");
    for kind in [GPT_BIOS, GPT_FREEBSD] {
        assert!(!gpt(kind).is_installed(), "empty");
        assert!(gpt(kind).core(34).is_installed());
        assert!(!Disk::new().gpt(kind, 34).core(34).is_installed(), "no code");
    }
    let mut marked = gpt([7; 16]).boot_sector(34, &READS);
    assert!(!marked.is_installed());
    marked.put(3, 128 + 48, &GPT_LEGACY.to_le_bytes());
    assert!(marked.is_installed());
    assert!(gpt([7; 16]).named(384, b"GRUB ").is_installed());
    assert!(!gpt([0; 16]).named(384, b"GRUB ").is_installed(), "no partition");
}

#[test]
fn the_boot_sector_of_the_grub_that_is_here() {
    let Ok(boot) = std::fs::read("/usr/lib/grub/i386-pc/boot.img") else {
        eprintln!("SKIPPED: GRUB for a BIOS is not installed (package grub-pc-bin)");
        return;
    };
    let mut disk = Disk::new().partition(0x83, 2048);
    disk.put(0, 0, &boot[CODE]);
    assert!(disk.is_installed(), "in the MBR");
    let mut disk = Disk::new().code().partition(0x05, 2048);
    disk.put(2048, 0, &boot);
    assert!(disk.is_installed(), "in a partition");
}

#[test]
fn what_uefi_starts() {
    for wide in [false, true] {
        let gpt = || Disk::new().gpt(GPT_EFI, 64);
        assert!(!gpt().is_installed(), "not formatted yet");
        assert!(!gpt().fat(64, wide, &[]).is_installed(), "nothing installed yet");
        assert!(!gpt().fat(64, wide, &[b"EFI     TXT"]).is_installed(), "a file");
        assert!(gpt().fat(64, wide, &[b"README  TXT", EFI]).is_installed());
        assert!(Disk::new().partition(MBR_EFI, 64).fat(64, wide, &[EFI]).is_installed());
        assert!(!Disk::new().code().partition(MBR_EFI, 64).fat(64, wide, &[]).core(1).is_installed());
    }
    let mut wild = Disk::new().gpt(GPT_EFI, u64::MAX);
    assert!(!wild.is_installed());
    wild.put(1, 72, &u64::MAX.to_le_bytes());
    assert!(!wild.is_installed());
}

#[test]
fn file_systems_of_another_tool() {
    let folder = std::env::temp_dir().join(format!("dormer-bootable-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("fat.img");
    let image = path.to_str().unwrap();
    for (kind, size) in [("FAT16", 16 << 20), ("FAT32", 40 << 20)] {
        std::fs::write(&path, vec![0; size]).unwrap();
        let look = || {
            let mut disk = Disk::new().gpt(GPT_EFI, 64);
            disk.0.truncate(64 * SECTOR);
            disk.0.extend(std::fs::read(&path).unwrap());
            disk.is_installed()
        };
        let sectors = (size / SECTOR).to_string();
        let mut format = Command::new("mformat");
        format.args(["-i", image, "-T", &sectors, "-v", "ESP"]).args((kind == "FAT32").then_some("-F")).arg("::");
        let Ok(made) = format.output() else {
            eprintln!("SKIPPED: mtools is not installed");
            return;
        };
        assert!(made.status.success(), "{kind}: {}", String::from_utf8_lossy(&made.stderr));
        assert!(!look(), "{kind}: empty");
        assert!(Command::new("mmd").args(["-i", image, "::/EFI"]).status().unwrap().success());
        assert!(look(), "{kind}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn garbage_is_survived() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..2000 {
        let disk = if round % 2 == 0 { Disk::new().gpt(GPT_EFI, 64) } else { Disk::new().partition(MBR_EFI, 64) };
        let mut disk = disk.code().fat(64, round % 3 == 0, &[b"README  TXT", EFI]);
        for _ in 0..random(30) {
            let sector = [0, 1, 2, 3, 64, 65][random(6)];
            // Not the signatures, or little of the rest would be read.
            let at = random(508);
            if sector != 1 || at >= 8 {
                disk.put(sector, at, &[random(256) as u8]);
            }
        }
        disk.0.truncate(random(3) * 40 * SECTOR + 66 * SECTOR);
        let mut reads = 0;
        is_installed(|sector| {
            reads += 1;
            let at = usize::try_from(sector).ok()?.checked_mul(SECTOR)?;
            disk.0.get(at..)?.first_chunk().copied()
        });
        assert!(reads < 10_000, "{reads} reads");
    }
}
