use api::machine::UsbController;

use super::*;
use crate::media::{Boots, System};

const HOST: Host = Host { processors: 8, memory: 16384 };

fn system(profile: Profile, firmware: Firmware) -> System {
    let name = "Some System".into();
    System {
        id: Some("some1".into()),
        name,
        recognised: true,
        profile,
        firmware,
        wants: Wants::default(),
        live: false,
        foreign: None,
        windows: None,
    }
}

fn medium(path: &Path, kind: MediumKind, profile: Profile) -> Medium {
    Medium {
        path: path.to_owned(),
        kind,
        format: ImageFormat::Raw,
        size: 1 << 20,
        boots: Boots { bios: true, uefi: true },
        volume: None,
        system: system(profile, Firmware::Bios),
    }
}

#[test]
fn an_installer_gets_a_disk_that_starts_first_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path());
    let iso = folder.path().join("installer.iso");
    std::fs::write(&iso, b"x").unwrap();
    let new = NewMachine::for_medium("Some", &medium(&iso, MediumKind::Cd, Profile::Linux), HOST);
    let entry = library.create(&new).unwrap();
    let machine = &entry.machine;
    let kinds: Vec<_> = machine.drives.iter().map(|drive| (drive.kind, drive.bus)).collect();
    assert_eq!(kinds, [(DriveKind::Disk, DriveBus::Virtio), (DriveKind::Cd, DriveBus::Ahci)]);
    assert_eq!(machine.drives[1].image.as_deref(), Some(iso.as_path()));
    assert!(machine.drives[1].installer && machine.drives[1].read_only);
    assert_eq!((machine.os.as_deref(), machine.processors, machine.memory), (Some("some1"), 4, 4096));
    let disk = entry.image(machine.drives[0].image.as_deref().unwrap());
    assert!(std::fs::read(&disk).unwrap().starts_with(b"QFI\xfb"));
    assert_eq!(entry, entry.reload().unwrap(), "the file says the same");
    assert!(entry.logs().is_dir());
}

#[test]
fn profiles_choose_devices() {
    let configuration = |profile| {
        let new = NewMachine::for_medium("x", &medium(Path::new("/x.iso"), MediumKind::Cd, profile), HOST);
        new.configuration(vec![("disk".into(), ImageFormat::Qcow2)])
    };
    let windows = configuration(Profile::Windows);
    assert_eq!((windows.drives[0].bus, windows.clock), (DriveBus::Ahci, RealTimeClock::Local));
    assert!(windows.usb.tablet && windows.usb.controller == UsbController::Xhci);
    let usb = [Profile::Linux, Profile::Legacy].map(|profile| configuration(profile).usb);
    assert!(usb.iter().all(|usb| !usb.tablet));
    assert_eq!(usb.map(|usb| usb.controller), [UsbController::Xhci, UsbController::None]);
    assert!(!windows.virtio_input && windows.networks.len() == 1);
    assert_eq!(windows.networks[0].model, NetworkModel::E1000);
    assert_eq!((windows.sound.card, configuration(Profile::Linux).sound.card), (SoundCard::Hda, SoundCard::Virtio));
    let dos = configuration(Profile::Legacy);
    assert!(dos.networks.is_empty() && dos.drives[0].bus == DriveBus::Ahci);
    assert_eq!(dos.sound.card, SoundCard::Hda);
    let mut forwarded = NewMachine::new("x", Profile::Legacy, Firmware::Bios, Wants::default(), HOST);
    forwarded.forwards = vec![Forward { protocol: Default::default(), host: 1, guest: 2 }];
    let [card] = forwarded.configuration(Vec::new()).networks.try_into().unwrap();
    assert_eq!(card.model, NetworkModel::E1000);
    assert_ne!(windows.networks[0].mac, configuration(Profile::Windows).networks[0].mac);
}

#[test]
fn a_32_bit_windows_gets_no_memory_that_it_does_not_see() {
    let host = Host { processors: 8, memory: 65536 };
    let mut medium = medium(Path::new("/x.iso"), MediumKind::Cd, Profile::Windows);
    medium.system.id = None;
    assert_eq!(NewMachine::for_medium("x", &medium, host).system.as_deref(), Some("Some System"));
    let mut memory = |processor| {
        medium.system.windows = Some(Windows { processor, ..Windows::default() });
        NewMachine::for_medium("x", &medium, host).memory
    };
    assert_eq!((memory(0), memory(9)), (2816, 8192));
}

#[test]
fn disks_that_are_full_already() {
    let mut new = NewMachine::for_medium("x", &medium(Path::new("/x.img"), MediumKind::Disk, Profile::Linux), HOST);
    let disk = || vec![(PathBuf::from("/x.img"), ImageFormat::Raw)];
    assert_eq!(new.configuration(disk()).drives[0].kind, DriveKind::Disk);
    assert_eq!(new.configuration(disk()).drives[0].bus, DriveBus::Virtio);
    assert_eq!(new.configuration(disk()).networks[0].model, NetworkModel::Virtio);
    new.os = None;
    assert_eq!(new.configuration(disk()).drives[0].bus, DriveBus::Ahci, "nobody knows its drivers");
    assert_eq!(new.configuration(disk()).networks[0].model, NetworkModel::E1000);
    new.cd = Some("/y.iso".into());
    assert_eq!(new.configuration(disk()).drives[0].kind, DriveKind::Cd, "a CD put in beside a full disk comes first");
    new.installer = true;
    assert!(!new.configuration(disk()).drives[0].installer, "and stays, though there is a system");
}

#[test]
fn failures_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path());
    let mut new = NewMachine::new("x", Profile::Linux, Firmware::Bios, Wants::default(), HOST);
    new.processors = 0;
    assert!(matches!(library.create(&new), Err(Error::Problem(_))));
    new.processors = 1;
    new.memory = api::machine::limits::MEMORY_MAX;
    assert!(matches!(library.create(&new), Err(Error::Memory { .. })));
    new.memory = 64;
    new.disks = vec![NewDisk::Create { size: u64::MAX, format: ImageFormat::Qcow2 }];
    assert!(matches!(library.create(&new), Err(Error::Size(_))));
    assert_eq!(std::fs::read_dir(library.machines()).unwrap().count(), 0);
}

#[test]
fn uefi_machines_have_variables() {
    let folder = tempfile::tempdir().unwrap();
    let new = NewMachine::new("x", Profile::Linux, Firmware::Uefi, Wants::default(), HOST);
    match (Library::at(folder.path()).create(&new), firmware::uefi(None)) {
        (Ok(entry), Ok(uefi)) => {
            let variables = std::fs::read(entry.folder.join(firmware::VARIABLES)).unwrap();
            assert!(variables == std::fs::read(uefi.template).unwrap());
        }
        (Err(error), Err(missing)) => eprintln!("SKIPPED: {error}, {missing}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sizes() {
    for (text, bytes) in
        [("40G", 40 << 30), ("1.5T", 3 << 39), ("512m", 512 << 20), ("64k", 65536), ("10 GiB", 10 << 30)]
    {
        assert_eq!(NewDisk::parse_size(text).unwrap(), bytes, "{text}");
    }
    for bad in ["", "4096", "G", "-1G", "0", "1X", "nan", "1e30", "9999T", "1GG"] {
        assert!(NewDisk::parse_size(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_from_anything() {
    for text in ["", "   ", "...", "a/b", &"x".repeat(500), "\u{7}", "Debian 12"] {
        assert!(check_name(&name_from(text)).is_ok(), "{text:?}");
    }
    assert_eq!(name_from("Debian 12"), "Debian 12");
}
