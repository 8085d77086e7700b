use std::process::Command;

use super::*;

const SECTOR: usize = 2048;

/// An ISO by hand: primary volume descriptor, boot record and boot catalogue.
struct Iso {
    bytes: Vec<u8>,
}

impl Iso {
    fn new(volume: &str, publisher: &str) -> Self {
        let mut bytes = vec![0; 64 * SECTOR];
        let pvd = &mut bytes[16 * SECTOR..17 * SECTOR];
        pvd[..7].copy_from_slice(b"\x01CD001\x01");
        pvd[8..72].fill(b' ');
        pvd[40..40 + volume.len()].copy_from_slice(volume.as_bytes());
        pvd[80..84].copy_from_slice(&64u32.to_le_bytes());
        pvd[128..130].copy_from_slice(&(SECTOR as u16).to_le_bytes());
        pvd[318..318 + publisher.len()].copy_from_slice(publisher.as_bytes());
        bytes[17 * SECTOR..][..7].copy_from_slice(b"\xffCD001\x01");
        Self { bytes }
    }

    /// Adds a boot catalogue at sector 20: platform of the default entry, its media type, then sections.
    fn catalog(mut self, platform: u8, media: u8, sections: &[(u8, u32)]) -> Self {
        self.bytes.copy_within(17 * SECTOR..18 * SECTOR, 18 * SECTOR);
        let record = &mut self.bytes[17 * SECTOR..18 * SECTOR];
        record[..7].copy_from_slice(b"\0CD001\x01");
        record[7..30].copy_from_slice(b"EL TORITO SPECIFICATION");
        record[0x47..0x4b].copy_from_slice(&20u32.to_le_bytes());
        let catalog = &mut self.bytes[20 * SECTOR..21 * SECTOR];
        catalog[0] = 1;
        catalog[1] = platform;
        catalog[30..32].copy_from_slice(&[0x55, 0xaa]);
        let sum = catalog[..32].chunks_exact(2).fold(0u16, |sum, word| sum.wrapping_add(le16(word, 0)));
        catalog[28..30].copy_from_slice(&0u16.wrapping_sub(sum).to_le_bytes());
        let entry = |sector: u32, media: u8| {
            let mut entry = [0; 32];
            entry[0] = 0x88;
            entry[1] = media;
            entry[8..12].copy_from_slice(&sector.to_le_bytes());
            entry
        };
        catalog[32..64].copy_from_slice(&entry(21, media));
        for (number, &(platform, sector)) in sections.iter().enumerate() {
            let at = 64 + 64 * number;
            catalog[at..at + 4].copy_from_slice(&[
                if number + 1 == sections.len() { 0x91 } else { 0x90 },
                platform,
                1,
                0,
            ]);
            catalog[at + 32..at + 64].copy_from_slice(&entry(sector, 0));
        }
        self
    }
}

fn look(bytes: &[u8]) -> Result<Medium, Error> {
    look_as("picked.iso", bytes)
}

fn look_as(name: &str, bytes: &[u8]) -> Result<Medium, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    inspect_with(&path, &mut osinfo::Database::default)
}

#[test]
fn boot_catalogues() {
    let boots = |iso: Iso| look(&iso.bytes).unwrap().boots;
    let (bios, uefi) = (Boots { bios: true, uefi: false }, Boots { bios: false, uefi: true });
    let iso = || Iso::new("X", "Y");
    assert_eq!(boots(iso()), Boots::default());
    assert_eq!(boots(iso().catalog(0, 0, &[])), bios);
    assert_eq!(boots(iso().catalog(0, 2, &[])), bios, "floppy emulation starts too");
    assert_eq!(boots(iso().catalog(0xef, 0, &[])), uefi);
    assert_eq!(boots(iso().catalog(0, 0, &[(0xef, 30)])), Boots { bios: true, uefi: true });
    assert_eq!(boots(iso().catalog(1, 0, &[(2, 30)])), Boots::default(), "PowerPC and Macintosh");
    assert_eq!(boots(iso().catalog(0, 0, &[(0xef, 30_000)])), bios, "what lies behind the end does not start");
    let mut broken = iso().catalog(0, 0, &[]);
    broken.bytes[20 * SECTOR + 5] = 7;
    assert_eq!(boots(broken), Boots::default(), "a wrong checksum");
    let mut nowhere = iso().catalog(0, 0, &[]);
    nowhere.bytes[17 * SECTOR + 0x47..][..4].fill(0xff);
    assert_eq!(boots(nowhere), Boots::default());
}

#[test]
fn an_iso_says_what_it_is() {
    let medium = look(&Iso::new("Debian 12.4.0 amd64 n", "PUB").catalog(0, 0, &[(0xef, 30)]).bytes).unwrap();
    let volume = medium.volume.clone().unwrap();
    assert_eq!((volume.volume.as_str(), volume.publisher.as_str()), ("Debian 12.4.0 amd64 n", "PUB"));
    assert_eq!(volume.bytes, 64 * SECTOR as u64);
    assert_eq!((medium.kind, medium.format), (MediumKind::Cd, ImageFormat::Raw));
    assert_eq!(medium.system.name, "Debian 12", "by the fallback");
    assert_eq!(medium.firmware(), Firmware::Uefi);
    medium.check_bootable().unwrap();

    let dos = look(&Iso::new("FREEDOS", "").catalog(0, 2, &[]).bytes).unwrap();
    assert_eq!((dos.system.profile, dos.firmware()), (Profile::Legacy, Firmware::Bios));
    let data = look(&Iso::new("PHOTOS", "").bytes).unwrap();
    assert!(!data.system.recognised);
    assert!(matches!(data.check_bootable(), Err(Error::CannotBoot(_))));
    let only_bios = look(&Iso::new("UBUNTU", "").catalog(0, 0, &[]).bytes).unwrap();
    assert_eq!(only_bios.firmware(), Firmware::Bios, "the medium has the last word");
}

#[test]
fn what_people_pick_by_mistake_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let none = inspect(&folder.path().join("none.iso")).unwrap_err();
    assert!(matches!(none, Error::NotFound(_)), "{none}");
    assert!(matches!(inspect(folder.path()).unwrap_err(), Error::Folder(_)));
    assert!(matches!(inspect(Path::new("/dev/null")).unwrap_err(), Error::NotAFile(_)));
    assert!(matches!(look(b"").unwrap_err(), Error::Empty(_)));
    assert!(matches!(look(b"hello").unwrap_err(), Error::Unknown(_)));
    assert!(matches!(look(&[0; 100_000]).unwrap_err(), Error::Unknown(_)));
    assert!(matches!(look(b"\x1f\x8b\x08\0 and so on").unwrap_err(), Error::Packed { packer: "gzip", .. }));
    assert!(matches!(look(b"KDMV\x01\0\0\0").unwrap_err(), Error::Foreign { .. }));
    let mut vdi = [0; 512];
    vdi[64..68].copy_from_slice(&0xbeda_107fu32.to_le_bytes());
    assert!(matches!(look(&vdi).unwrap_err(), Error::Foreign { .. }));
    let mut vhd = vec![0; 4096];
    vhd[3584..3592].copy_from_slice(b"conectix");
    assert!(matches!(look(&vhd).unwrap_err(), Error::Foreign { .. }));
    assert!(matches!(look(&vec![0; 1440 << 10]).unwrap_err(), Error::Floppy(_)));
    let mut short = Iso::new("X", "");
    short.bytes[16 * SECTOR + 80..][..4].copy_from_slice(&1_000_000u32.to_le_bytes());
    let short = look(&short.bytes).unwrap_err();
    assert!(short.to_string().ends_with("picked.iso is incomplete: download it again"), "{short}");
}

#[test]
fn disks() {
    let mut mbr = vec![0u8; 1 << 20];
    mbr[510..512].copy_from_slice(&[0x55, 0xaa]);
    let empty = look(&mbr).unwrap();
    assert_eq!((empty.kind, empty.boots), (MediumKind::Disk, Boots::default()));
    assert!(empty.check_bootable().is_err());
    mbr[0] = 0xeb;
    assert_eq!(look(&mbr).unwrap().boots, Boots { bios: true, uefi: false });
    mbr[446 + 4] = 0xef;
    assert_eq!(look(&mbr).unwrap().boots, Boots { bios: true, uefi: true });

    let mut gpt = vec![0u8; 1 << 20];
    gpt[510..512].copy_from_slice(&[0x55, 0xaa]);
    gpt[446 + 4] = 0xee;
    gpt[512..520].copy_from_slice(b"EFI PART");
    gpt[512 + 72..][..8].copy_from_slice(&2u64.to_le_bytes());
    gpt[512 + 80..][..4].copy_from_slice(&128u32.to_le_bytes());
    gpt[512 + 84..][..4].copy_from_slice(&128u32.to_le_bytes());
    let esp = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
    gpt[1024 + 3 * 128..][..16].copy_from_slice(&esp);
    assert_eq!(look(&gpt).unwrap().boots, Boots { bios: false, uefi: true });
    // Tables that point anywhere.
    gpt[512 + 72..][..16].fill(0xff);
    assert_eq!(look(&gpt).unwrap().boots, Boots::default());
}

#[test]
fn qcow2_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my windows.qcow2");
    crate::qcow2::create(&mut File::create(&path).unwrap(), 10 << 30).unwrap();
    let medium = inspect_with(&path, &mut osinfo::Database::default).unwrap();
    assert_eq!((medium.kind, medium.format, medium.size), (MediumKind::Disk, ImageFormat::Qcow2, 10 << 30));
    assert_eq!((medium.system.name.as_str(), medium.system.profile), ("my windows", Profile::Windows));
    medium.check_bootable().unwrap();

    let mut bytes = std::fs::read(&path).unwrap();
    bytes[15] = 1;
    assert!(look(&bytes).unwrap_err().to_string().contains("backing file"));
    bytes[15] = 0;
    bytes[7] = 9;
    assert!(look(&bytes).unwrap_err().to_string().contains("version"));
    bytes[7] = 3;
    // The first cluster is where the tables say, hostile or not.
    bytes[40..48].fill(0xff);
    assert_eq!(look(&bytes).unwrap().boots, Boots::default());

    let raw = folder.path().join("raw");
    let mut mbr = vec![0u8; 1 << 20];
    mbr[0] = 0xeb;
    mbr[446 + 4] = 0xef;
    mbr[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&raw, mbr).unwrap();
    let converted = folder.path().join("converted.qcow2");
    let convert = Command::new("qemu-img").args(["convert", "-O", "qcow2"]).args([&raw, &converted]).status();
    match convert {
        Ok(status) => {
            assert!(status.success());
            let medium = inspect_with(&converted, &mut osinfo::Database::default).unwrap();
            assert_eq!(medium.boots, Boots { bios: true, uefi: true });
        }
        Err(_) => eprintln!("SKIPPED: qemu-img is not installed (package qemu-utils)"),
    }
}

#[test]
fn isos_of_other_tools() {
    let folder = tempfile::tempdir().unwrap();
    let (content, iso) = (folder.path().join("content"), folder.path().join("made.iso"));
    std::fs::create_dir(&content).unwrap();
    std::fs::write(content.join("bios.img"), [0x90; 2048]).unwrap();
    std::fs::write(content.join("efi.img"), [0x90; 4096]).unwrap();
    let made = Command::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-V", "Ubuntu 24.04 LTS amd64", "-publisher", "SOMEBODY"])
        .args(["-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4"])
        .args(["-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", "-o"])
        .args([&iso, &content])
        .output();
    let Ok(made) = made else {
        eprintln!("SKIPPED: xorriso is not installed");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let medium = inspect_with(&iso, &mut osinfo::Database::default).unwrap();
    assert_eq!(medium.boots, Boots { bios: true, uefi: true });
    assert_eq!(medium.volume.unwrap().publisher, "SOMEBODY");
    assert_eq!(medium.system.name, "Ubuntu 24.04");
}

#[test]
fn real_media() {
    let both = Boots { bios: true, uefi: true };
    let media = [
        ("/usr/lib/memtest86+/memtest86+x64.iso", "Memtest86+", MediumKind::Cd, both),
        ("/usr/lib/grub-rescue/grub-rescue-cdrom.iso", "GRUB", MediumKind::Cd, Boots { bios: true, uefi: false }),
        ("/usr/lib/ipxe/ipxe.iso", "iPXE", MediumKind::Cd, both),
    ];
    for (path, name, kind, boots) in media {
        if !Path::new(path).exists() {
            eprintln!("SKIPPED: {path} is not installed");
            continue;
        }
        let medium = inspect(Path::new(path)).unwrap();
        assert_eq!((medium.system.name.as_str(), medium.kind, medium.boots), (name, kind, boots), "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn garbage_is_survived(
        changes in proptest::collection::vec((0usize..64 * SECTOR, proptest::num::u8::ANY), 0..200),
        length in 0usize..64 * SECTOR,
    ) {
        let mut bytes = Iso::new("Debian", "X").catalog(0, 0, &[(0xef, 30)]).bytes;
        for (at, value) in changes {
            bytes[at] = value;
            // Where it matters most.
            bytes[16 * SECTOR + at % (5 * SECTOR)] ^= value;
        }
        bytes.truncate(length);
        let _ = look(&bytes);
    }
}
