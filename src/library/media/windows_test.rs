use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::{Medium, MediumKind, inspect_with};
use super::*;

/// One `<IMAGE>`, with what Microsoft's have.
fn image(name: &str, edition: &str, arch: u32, kind: &str, version: (u32, u32, u32), language: &str) -> String {
    let (major, minor, build) = version;
    format!(
        "<IMAGE INDEX=\"1\"><DIRCOUNT>26371</DIRCOUNT><FILECOUNT>125366</FILECOUNT><TOTALBYTES>20035829163</TOTALBYTES>\
         <CREATIONTIME><HIGHPART>0x01DB0000</HIGHPART><LOWPART>0x1</LOWPART></CREATIONTIME><WINDOWS><ARCH>{arch}</ARCH>\
         <PRODUCTNAME>Microsoft® Windows® Operating System</PRODUCTNAME><EDITIONID>{edition}</EDITIONID>\
         <INSTALLATIONTYPE>Client</INSTALLATIONTYPE><PRODUCTTYPE>{kind}</PRODUCTTYPE><PRODUCTSUITE></PRODUCTSUITE>\
         <LANGUAGES><LANGUAGE>{language}</LANGUAGE><DEFAULT>{language}</DEFAULT></LANGUAGES><VERSION><MAJOR>{major}</MAJOR>\
         <MINOR>{minor}</MINOR><BUILD>{build}</BUILD><SPBUILD>1742</SPBUILD><SPLEVEL>0</SPLEVEL></VERSION>\
         <SYSTEMROOT>WINDOWS</SYSTEMROOT></WINDOWS><NAME>{name}</NAME><DESCRIPTION>{name}</DESCRIPTION>\
         <DISPLAYNAME>{name}</DISPLAYNAME><DISPLAYDESCRIPTION>{name}</DISPLAYDESCRIPTION></IMAGE>"
    )
}

fn document(images: &[String]) -> String {
    format!("<WIM><TOTALBYTES>5000000000</TOTALBYTES>{}</WIM>", images.concat())
}

/// An image file with this document, behind contents of some length.
fn wim(document: &str) -> Vec<u8> {
    let text: Vec<u8> = std::iter::once(0xfeff).chain(document.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let mut file = vec![0x5a; 10_000];
    file[..HEADER].fill(0);
    file[..8].copy_from_slice(b"MSWIM\0\0\0");
    file[8..12].copy_from_slice(&(HEADER as u32).to_le_bytes());
    file[12..16].copy_from_slice(&0x0001_0d00u32.to_le_bytes());
    file[72..80].copy_from_slice(&(text.len() as u64 | 2 << 56).to_le_bytes());
    file[80..88].copy_from_slice(&10_000u64.to_le_bytes());
    file[88..96].copy_from_slice(&(text.len() as u64).to_le_bytes());
    file.extend(text);
    file
}

const HEADER: usize = 208;
const GE: (u32, u32, u32) = (10, 0, 26100);

#[test]
fn versions() {
    let client = |version, arch| read(&document(&[image("Windows", "Core", arch, "WinNT", version, "en-US")])).unwrap();
    let server = |version| read(&document(&[image("x", "ServerStandard", 9, "ServerNT", version, "en-US")])).unwrap();
    let none = osinfo::Database::default();
    let system = |windows: Windows| {
        let system = windows.system(&none);
        assert_eq!((system.profile, system.recognised, system.live), (Profile::Windows, true, false));
        (system.id.unwrap(), system.name, system.firmware)
    };
    for (version, id, name, firmware) in [
        ((6, 0, 6002), "winvista", "Windows Vista", Firmware::Bios),
        ((6, 1, 7601), "win7", "Windows 7", Firmware::Bios),
        ((6, 2, 9200), "win8", "Windows 8", Firmware::Uefi),
        ((6, 3, 9600), "win8.1", "Windows 8.1", Firmware::Uefi),
        ((10, 0, 10240), "win10", "Windows 10", Firmware::Uefi),
        ((10, 0, 19045), "win10", "Windows 10", Firmware::Uefi),
        ((10, 0, 22000), "win11", "Windows 11", Firmware::Uefi),
        ((10, 0, 26200), "win11", "Windows 11", Firmware::Uefi),
    ] {
        assert_eq!(system(client(version, 9)), (id.into(), name.into(), firmware));
    }
    for (version, id, name) in [
        ((6, 1, 7601), "win2k8r2", "Windows Server 2008 R2"),
        ((6, 3, 9600), "win2k12r2", "Windows Server 2012 R2"),
        ((10, 0, 14393), "win2k16", "Windows Server 2016"),
        ((10, 0, 17763), "win2k19", "Windows Server 2019"),
        ((10, 0, 20348), "win2k22", "Windows Server 2022"),
        ((10, 0, 25398), "win2k22", "Windows Server 2022"),
        ((10, 0, 26100), "win2k25", "Windows Server 2025"),
    ] {
        let system = system(server(version));
        assert_eq!((system.0.as_str(), system.1.as_str()), (id, name));
    }
    assert_eq!(system(client((10, 0, 19045), 0)).2, Firmware::Bios, "no UEFI for 32-bit systems");
    assert_eq!(client(GE, 12).system(&none).foreign.as_deref(), Some("aarch64"));
    let later = client((12, 1, 40000), 9).system(&none);
    assert_eq!((later.id, later.name.as_str(), later.profile), (None, "Windows", Profile::Windows));
    assert!(client(GE, 9).wants_tpm() && !client((10, 0, 19045), 9).wants_tpm() && !server(GE).wants_tpm());
}

#[test]
fn what_is_said_of_it() {
    let say = |images: &[String]| read(&document(images)).unwrap().description();
    let eleven = |name: &str, language: &str| image(name, "X", 9, "WinNT", GE, language);
    assert_eq!(say(&[eleven("Windows 11 Pro", "de-DE")]), "Windows 11 Pro, 64-bit, German");
    let two = [eleven("Windows 11 Home", "en-GB"), eleven("Windows 11 Pro", "en-GB")];
    assert_eq!(say(&two), "Windows 11, 64-bit, British English");
    assert_eq!(read(&document(&two)).unwrap().editions, ["Windows 11 Home", "Windows 11 Pro"]);
    let ten = image("Windows 10 Pro N", "ProfessionalN", 0, "WinNT", (10, 0, 19041), "xx-YY");
    assert_eq!(say(&[ten]), "Windows 10 Pro N, 32-bit, xx-YY");
    assert_eq!(say(&[eleven("Eleven", "de-DE"), eleven("Eleven", "fr-FR")]), "Windows 11, 64-bit, German, French");
    // What the Media Creation Tool downloads has Setup in it too.
    let setup = image("Microsoft Windows PE (x64)", PREINSTALLATION, 9, "WinNT", GE, "en-US");
    assert_eq!(say(&[setup.clone(), eleven("Windows 11 Pro", "de-DE")]), "Windows 11 Pro, 64-bit, German");
    let rescue = read(&document(&[setup])).unwrap();
    assert_eq!((rescue.description().as_str(), rescue.live), ("Windows PE, 64-bit, English", true));
    let rescue = rescue.system(&osinfo::Database::default());
    assert_eq!((rescue.id, rescue.live), (None, true));
}

#[test]
fn documents_are_hostile() {
    for nothing in ["", "<WIM>", "<WIM/>", "<WIM><IMAGE></IMAGE></WIM>", "</WIM>", "<WIM><IMAGE><WINDOWS>", "&", "\0"] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
    assert_eq!(read(&"<a>".repeat(100_000)), None, "deep");
    let many = document(&vec![image("\u{7}x", "y", 9, "WinNT", GE, "en-US"); 5000]);
    assert_eq!(read(&many).unwrap().editions, ["x"]);
    let odd = image(&"n".repeat(5000), "y", u32::MAX, "", (u32::MAX, u32::MAX, 0), &"l".repeat(5000));
    let odd = read(&document(&[odd])).unwrap();
    assert!(odd.description().chars().count() < 300 && odd.editions[0].len() == NAME);
    assert!(odd.system(&osinfo::Database::default()).foreign.is_some());
    let cut = document(&[image("Windows 11 Pro", "X", 9, "WinNT", GE, "de-DE")]);
    for length in 0..cut.len() {
        let _ = cut.get(..length).map(read);
    }
}

/// A disc with these files, `-udf` or not, that a BIOS starts from; `None` when there is nothing to make it with.
fn disc(folder: &Path, udf: bool, files: &[(&str, Vec<u8>)]) -> Option<PathBuf> {
    let (content, iso) = (folder.join("content"), folder.join("picked.iso"));
    let _ = std::fs::remove_dir_all(&content);
    std::fs::create_dir_all(&content).unwrap();
    std::fs::write(content.join("boot.img"), [0x90; 2048]).unwrap();
    for (path, bytes) in files {
        let path = content.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let mut tool = if udf { Command::new("genisoimage") } else { Command::new("xorriso") };
    let tool = if udf { tool.arg("-udf") } else { tool.args(["-as", "mkisofs"]) };
    let boot = ["-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4"];
    let label = ["-quiet", "-V", "CCCOMA_X64FRE_EN-US_DV9", "-publisher", "MICROSOFT CORPORATION"];
    let made = tool.args(label).args(boot).arg("-o").args([&iso, &content]).output();
    let Ok(made) = made else {
        eprintln!("SKIPPED: neither xorriso nor genisoimage is installed");
        return None;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(iso)
}

fn inspect(iso: &Path) -> Medium {
    inspect_with(iso, &mut osinfo::Database::load).unwrap()
}

#[test]
fn windows_10_and_11_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for udf in [false, true] {
        for (build, id, name) in [(19045, "win10", "Windows 10 Pro"), (26100, "win11", "Windows 11 Pro")] {
            let text = document(&[image(name, "Professional", 9, "WinNT", (10, 0, build), "de-DE")]);
            let files = [("sources/install.esd", wim(&text)), ("sources/boot.wim", wim("<WIM/>"))];
            let Some(iso) = disc(folder.path(), udf, &files) else { return };
            if udf {
                // As on Microsoft's discs, nothing but UDF has the files.
                let mut bytes = std::fs::read(&iso).unwrap();
                bytes[16 * 2048 + 156 + 2..][..4].fill(0);
                std::fs::write(&iso, bytes).unwrap();
            }
            let medium = inspect(&iso);
            assert_eq!((medium.kind, medium.system.id.as_deref()), (MediumKind::Cd, Some(id)), "{udf}");
            assert_eq!(medium.system.description(), format!("{name}, 64-bit, German"));
            assert_eq!((medium.boots.bios, medium.firmware()), (true, Firmware::Bios), "the disc has the last word");
            medium.check_bootable().unwrap();
        }
    }
}

#[test]
fn discs_for_both_kinds_of_processors_and_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let esd = |arch, name: &str| wim(&document(&[image(name, "Core", arch, "WinNT", (10, 0, 19041), "en-US")]));
    let both =
        [("x86/sources/install.esd", esd(0, "Windows 10 Home")), ("x64/sources/install.esd", esd(9, "Windows 10 Pro"))];
    let Some(iso) = disc(folder.path(), false, &both) else { return };
    assert_eq!(inspect(&iso).system.description(), "Windows 10 Pro, 64-bit, English");
    let small = disc(folder.path(), false, &[("sources/install.swm", esd(0, "Windows 10 Home"))]).unwrap();
    let small = inspect(&small);
    assert_eq!(
        (small.system.firmware, small.system.windows.as_ref().map(Windows::is_32_bit)),
        (Firmware::Bios, Some(true))
    );
    let arm = disc(folder.path(), false, &[("sources/install.wim", esd(12, "Windows 10 Pro"))]).unwrap();
    let refused = inspect(&arm).check_bootable().unwrap_err().to_string();
    assert!(refused.contains("is for aarch64 processors"), "{refused}");
}

#[test]
fn broken_image_files_leave_the_label() {
    let folder = tempfile::tempdir().unwrap();
    let good = wim(&document(&[image("Windows 11 Pro", "X", 9, "WinNT", GE, "de-DE")]));
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    // Not an image file; compressed; beyond the end; far too long.
    for bad in [with(0, 0), with(79, 4), with(86, 0xff), with(77, 0xff), good[..100].to_vec(), Vec::new()] {
        let Some(iso) = disc(folder.path(), false, &[("sources/install.wim", bad)]) else { return };
        let system = inspect(&iso).system;
        assert_eq!((system.windows, system.profile), (None, Profile::Windows), "by its label");
    }
}

#[test]
fn image_files_of_another_tool() {
    let folder = tempfile::tempdir().unwrap();
    let (content, file) = (folder.path().join("tree"), folder.path().join("install.wim"));
    std::fs::create_dir(&content).unwrap();
    std::fs::write(content.join("notepad.exe"), b"x").unwrap();
    let captured = Command::new("wimcapture").args([&content, &file]).args(["Windows 11 Pro", "--solid"]).output();
    let Ok(captured) = captured else {
        eprintln!("SKIPPED: wimcapture is not installed (package wimtools)");
        return;
    };
    assert!(captured.status.success(), "{}", String::from_utf8_lossy(&captured.stderr));
    let properties = [
        "WINDOWS/ARCH=9",
        "WINDOWS/EDITIONID=Professional",
        "WINDOWS/PRODUCTTYPE=WinNT",
        "WINDOWS/LANGUAGES/LANGUAGE=pt-BR",
        "WINDOWS/VERSION/MAJOR=10",
        "WINDOWS/VERSION/MINOR=0",
        "WINDOWS/VERSION/BUILD=26100",
    ];
    let arguments = properties.iter().flat_map(|property| ["--image-property", property]);
    let set = Command::new("wimlib-imagex").arg("info").arg(&file).arg("1").args(arguments).output().unwrap();
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let bytes = std::fs::read(&file).unwrap();
    let Some(iso) = disc(folder.path(), true, &[("sources/install.wim", bytes)]) else { return };
    assert_eq!(inspect(&iso).system.description(), "Windows 11 Pro, 64-bit, Brazilian Portuguese");
}
