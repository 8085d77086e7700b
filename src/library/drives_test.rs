use api::machine::NetworkModel;

use super::*;
use crate::fixture::library_with_one;

fn empty(size: u64, format: ImageFormat) -> NewDisk {
    NewDisk::Create { size, format }
}

#[test]
fn disks_come_and_go_with_their_images() {
    let (home, library, entry) = library_with_one();
    let two = library.add_disk(&entry, &empty(1 << 20, ImageFormat::Qcow2), DriveBus::Ahci).unwrap();
    let three = library.add_disk(&two, &empty(1 << 20, ImageFormat::Raw), DriveBus::Virtio).unwrap();
    assert_eq!(three.machine.drive_names(), ["disk0", "cd0", "disk1", "disk2"]);
    let sizes: Vec<_> = three.machine.drives.iter().map(|drive| three.disk_size(drive)).collect();
    assert_eq!(sizes, [Some(25 << 30), None, Some(1 << 20), Some(1 << 20)]);
    let image = three.own_image("disk1").unwrap().unwrap();
    let left = library.remove_drive(&three, "disk1").unwrap();
    assert!(!image.exists());
    assert_eq!(left.machine.drive_names(), ["disk0", "cd0", "disk1"]);
    assert_eq!(left.machine.drives[2], three.machine.drives[3]);
    // Images elsewhere stay.
    let elsewhere = home.path().join("data.img");
    std::fs::write(&elsewhere, [0; 512]).unwrap();
    let used = NewDisk::Use { path: elsewhere.clone(), format: ImageFormat::Raw };
    let with = library.add_disk(&left, &used, DriveBus::Ahci).unwrap();
    assert_eq!(with.own_image("disk2").unwrap(), None);
    library.remove_drive(&with, "disk2").unwrap();
    assert!(elsewhere.exists());
    // A person's CD image stays wherever they put it, and so does what the machine itself needs.
    let mut odd = left.clone();
    let iso = odd.folder.join("installer.iso");
    std::fs::write(&iso, b"x").unwrap();
    odd.machine.drives[1].image = Some(iso);
    odd.machine.drives[2].image = Some("machine.toml".into());
    assert_eq!((odd.own_image("cd0").unwrap(), odd.own_image("disk1").unwrap()), (None, None));
    assert!(matches!(library.remove_drive(&entry, "disk7"), Err(Error::NoDrive { .. })));
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let (_home, library, mut entry) = library_with_one();
    for _ in 0..5 {
        entry = library.add_cd(&entry).unwrap();
    }
    let files = || std::fs::read_dir(&entry.folder).unwrap().count();
    let before = files();
    let refused = library.add_disk(&entry, &empty(1 << 20, ImageFormat::Qcow2), DriveBus::Ahci);
    assert!(matches!(refused, Err(Error::Problem(Problem::Drives))), "six ports are taken");
    assert!(library.add_disk(&entry, &empty(0, ImageFormat::Qcow2), DriveBus::Virtio).is_err());
    assert_eq!(files(), before);
    let _on = entry.lock().unwrap();
    let refused = library.add_disk(&entry, &empty(1 << 20, ImageFormat::Qcow2), DriveBus::Virtio);
    assert!(matches!(refused, Err(Error::Problem(Problem::NeedsOff(_)))));
    assert!(library.remove_drive(&entry, "disk0").is_err());
    assert!(matches!(library.grow_disk(&entry, "disk0", 30 << 30), Err(Error::Running(_))));
    assert_eq!(files(), before);
    assert_eq!(entry.reload().unwrap(), entry);
}

#[test]
fn disks_grow() {
    let (_home, library, entry) = library_with_one();
    let entry = library.add_disk(&entry, &empty(1 << 20, ImageFormat::Raw), DriveBus::Ahci).unwrap();
    library.grow_disk(&entry, "disk0", 40 << 30).unwrap();
    library.grow_disk(&entry, "disk1", (2 << 20) + 1).unwrap();
    let sizes: Vec<_> = entry.machine.drives.iter().filter_map(|drive| entry.disk_size(drive)).collect();
    assert_eq!(sizes, [40 << 30, (2 << 20) + 512]);
    for (name, size, words) in [
        ("disk0", 1 << 30, "bytes already"),
        ("disk1", 1 << 20, "bytes already"),
        ("disk0", 63 << 40, "can grow to 4096 GiB only"),
        ("disk0", u64::MAX, "is not a size"),
        ("cd0", 1 << 30, "has no drive “cd0”"),
        ("disk2", 1 << 30, "has no drive “disk2”"),
    ] {
        let error = library.grow_disk(&entry, name, size).unwrap_err().to_string();
        assert!(error.contains(words), "{name} {size}: {error}");
    }
    // Whether there can be such a file is the file system's matter.
    if let Err(error) = library.grow_disk(&entry, "disk1", 63 << 40) {
        assert!(error.to_string().contains("its file system has no files of 64512 GiB"), "{error}");
    }
    let fits: Vec<_> = entry.machine.drives.iter().map(|drive| entry.disk_fits(drive).is_some()).collect();
    assert_eq!(fits, [true, false, true]);
    assert!(entry.disk_fits(&entry.machine.drives[0]) >= entry.new_disk_fits().map(|free| free / 2));
    let held = open_image(&entry.folder.join("disk.qcow2"), false).unwrap();
    assert!(matches!(library.grow_disk(&entry, "disk0", 50 << 30), Err(Error::ImageInUse(_))));
    drop(held);
}

#[test]
fn network_cards_come_and_go() {
    let (_home, library, entry) = library_with_one();
    let two = library.add_card(&entry, "internal:lab".parse().unwrap()).unwrap();
    assert_eq!(two.machine.networks[1].attachment.to_string(), "internal:lab");
    assert_eq!(two.machine.networks.len(), 2);
    assert_eq!(two.machine.networks[1].model, NetworkModel::Virtio, "as the other one");
    let none = library.remove_card(&library.remove_card(&two, "net1").unwrap(), "net0").unwrap();
    let one = library.add_card(&none, Attachment::Nat).unwrap();
    assert_eq!(one.machine.networks[0].model, NetworkModel::E1000, "works with every system");
    let two = library.add_card(&one, "internal:lab".parse().unwrap()).unwrap();
    let left = library.remove_card(&two, "net0").unwrap();
    assert_eq!(left.machine.networks, two.machine.networks[1..]);
    assert!(library.remove_card(&left, "net1").is_err());
    let full = (0..3).try_fold(left, |entry, _| library.add_card(&entry, Attachment::Nat)).unwrap();
    assert!(matches!(library.add_card(&full, Attachment::Nat), Err(Error::Problem(Problem::Networks))));
}
