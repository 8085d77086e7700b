use std::path::Path;

use api::machine::{Firmware, Host, ImageFormat, Profile, Wants};

use super::*;
use crate::{Library, NewDisk, NewMachine};

/// A machine with an installer's CD in it, and what its disk's first sectors have.
fn machine(library: &Library, folder: &Path, name: &str, format: ImageFormat) -> Entry {
    let iso = folder.join("installer.iso");
    std::fs::write(&iso, b"x").unwrap();
    let host = Host { processors: 2, memory: 4096 };
    let mut new = NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), host);
    new.memory = 64;
    new.cd = Some(iso);
    new.installer = true;
    new.disks = vec![NewDisk::Create { size: 8 << 20, format }];
    library.create(&new).unwrap()
}

/// A first sector with code and a partition, and something behind it.
fn installed() -> Vec<u8> {
    let mut sectors = vec![0; 2 * SECTOR];
    sectors[0] = 0xeb;
    sectors[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    sectors[SECTOR] = 0xeb;
    sectors
}

#[test]
fn the_cd_goes_when_there_is_a_system() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path());
    let mut entry = machine(&library, folder.path(), "raw", ImageFormat::Raw);
    assert_eq!(take_out(&mut entry).unwrap(), None, "nothing is installed");
    let disk = entry.image(entry.machine.drives[0].image.as_deref().unwrap());
    std::os::unix::fs::FileExt::write_all_at(&File::options().write(true).open(&disk).unwrap(), &installed(), 0)
        .unwrap();
    let said = take_out(&mut entry).unwrap().unwrap();
    assert!(said.ends_with("it was installer.iso."), "{said}");
    let cd = &entry.reload().unwrap().machine.drives[1];
    assert!(cd.image.is_none() && cd.installer, "it is known that it was taken out");
    assert_eq!(take_out(&mut entry).unwrap(), None, "once");
    assert!(!note_installer_out(&mut entry).unwrap(), "nobody need be asked");
}

#[test]
fn other_cds_stay() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path());
    let mut entry = machine(&library, folder.path(), "live", ImageFormat::Raw);
    let disk = entry.image(entry.machine.drives[0].image.as_deref().unwrap());
    std::os::unix::fs::FileExt::write_all_at(&File::options().write(true).open(&disk).unwrap(), &installed(), 0)
        .unwrap();
    entry.machine.drives[1].installer = false;
    entry.save().unwrap();
    assert_eq!(take_out(&mut entry).unwrap(), None);
    assert!(entry.machine.drives[1].image.is_some());
}

#[test]
fn qcow2_disks_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path());
    let mut entry = machine(&library, folder.path(), "qcow2", ImageFormat::Qcow2);
    assert_eq!(take_out(&mut entry).unwrap(), None);
    let disk = entry.image(entry.machine.drives[0].image.as_deref().unwrap());
    let raw = folder.path().join("raw");
    let mut bytes = installed();
    bytes.resize(8 << 20, 0);
    std::fs::write(&raw, bytes).unwrap();
    let convert = |more: &[&str]| {
        let mut command = std::process::Command::new("qemu-img");
        command.args(["convert", "-O", "qcow2"]).args(more).args([&raw, &disk]).status()
    };
    match convert(&[]) {
        Ok(status) => assert!(status.success()),
        Err(_) => return eprintln!("SKIPPED: qemu-img is not installed (package qemu-utils)"),
    }
    assert!(take_out(&mut entry).unwrap().is_some());
    // What its tables hide, or point anywhere, is nothing.
    entry.machine.drives[1].image = Some("installer.iso".into());
    entry.save().unwrap();
    assert!(convert(&["-c"]).unwrap().success());
    assert_eq!(take_out(&mut entry).unwrap(), None, "compressed");
    assert!(convert(&[]).unwrap().success());
    for at in [20, 40, 44] {
        let mut bytes = std::fs::read(&disk).unwrap();
        bytes[at..at + 4].fill(0xff);
        std::fs::write(&disk, bytes).unwrap();
        assert_eq!(take_out(&mut entry).unwrap(), None);
    }
}
