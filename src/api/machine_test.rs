use super::*;

fn machine() -> Machine {
    Machine {
        format: Machine::FORMAT,
        uuid: Uuid::nil(),
        name: "Debian 13".into(),
        group: None,
        os: None,
        system: None,
        board: Board::Q35V1,
        firmware: Firmware::Uefi,
        processors: 2,
        memory: 2048,
        clock: RealTimeClock::Utc,
        boot: Vec::new(),
        drives: vec![Drive {
            kind: DriveKind::Disk,
            bus: DriveBus::Virtio,
            image: Some("disk.qcow2".into()),
            format: ImageFormat::Qcow2,
            cache: DiskCache::default(),
            read_only: false,
            installer: false,
        }],
        networks: vec![Network {
            forwards: vec![Forward { protocol: Protocol::Tcp, host: 2222, guest: 22 }],
            ..Network::new(MacAddress::from_random([1, 2, 3]))
        }],
        sound: Sound::default(),
        usb: Usb::default(),
        virtio_input: true,
        resolution: Resolution::default(),
        video_memory: 16,
        autostart: false,
        notes: String::new(),
    }
}

#[test]
fn checks() {
    assert_eq!(machine().check(), Ok(()));
    assert_eq!(Machine { processors: 0, ..machine() }.check(), Err(Problem::Processors(0)));
    assert_eq!(Machine { memory: 1, ..machine() }.check(), Err(Problem::Memory(1)));
    assert_eq!(Machine { format: 9, ..machine() }.check(), Err(Problem::Format(9)));
    for bad in ["", ".hidden", "a/b", "tab\t", " space", &"x".repeat(81)] {
        assert!(Machine { name: bad.into(), ..machine() }.check().is_err(), "{bad:?}");
    }
    let mut cd = machine();
    cd.drives[0].kind = DriveKind::Cd;
    assert_eq!(cd.check(), Err(Problem::CdBus));
    let mut empty = machine();
    empty.drives[0].image = None;
    assert_eq!(empty.check(), Err(Problem::NoImage(0)));
    let mut many = machine();
    many.drives = vec![many.drives[0].clone(); 9];
    assert_eq!(many.check(), Err(Problem::Drives));
    let mut sticks = machine();
    sticks.usb.controller = UsbController::Xhci;
    sticks.drives = vec![Drive { bus: DriveBus::Usb, ..sticks.drives[0].clone() }; 4];
    assert_eq!(sticks.check(), Ok(()));
    sticks.drives.push(sticks.drives[0].clone());
    assert_eq!(sticks.check(), Err(Problem::Drives));
    sticks.drives.truncate(1);
    sticks.usb.controller = UsbController::None;
    assert_eq!(sticks.check(), Err(Problem::NoUsb));
    let mut inside = machine();
    inside.networks[0].attachment = "internal:lab".parse().unwrap();
    assert_eq!(inside.check(), Err(Problem::ForwardsNeedNat(0)));
    inside.networks[0].forwards.clear();
    assert_eq!(inside.check(), Ok(()));
}

#[test]
fn boot_order_names_devices() {
    let mut machine = machine();
    let cd = Drive { kind: DriveKind::Cd, bus: DriveBus::Ahci, image: None, ..machine.drives[0].clone() };
    let second = Drive { bus: DriveBus::Ahci, ..machine.drives[0].clone() };
    machine.drives.extend([cd, second]);
    assert_eq!(machine.boot_order(), ["disk0", "cd0", "disk1", "net0"]);
    machine.boot = vec!["net0".into(), "disk1".into()];
    assert_eq!(machine.boot_order(), ["net0", "disk1", "disk0", "cd0"]);
    assert_eq!(machine.check(), Ok(()));
    // What goes takes its name along, and those behind it move up.
    let mut fewer = machine.clone();
    fewer.remove_drive(0);
    assert_eq!((fewer.boot.clone(), fewer.check()), (vec!["net0".into(), "disk0".into()], Ok(())));
    fewer.remove_card(0);
    assert_eq!(fewer.boot_order(), ["disk0", "cd0"]);
    machine.remove_drive(2);
    assert_eq!(machine.boot_order(), ["net0", "disk0", "cd0"]);
    for (bad, problem) in [
        (vec!["disk7"], Problem::NoBootDevice("disk7".into())),
        (vec!["cd0", "net0", "cd0"], Problem::SameBootDevice("cd0".into())),
    ] {
        let boot = bad.into_iter().map(String::from).collect();
        assert_eq!(Machine { boot, ..machine.clone() }.check(), Err(problem));
    }
}

#[test]
fn resolutions() {
    let resolution: Resolution = "1920x1080".parse().unwrap();
    assert_eq!((resolution.width, resolution.height, resolution.to_string().as_str()), (1920, 1080, "1920x1080"));
    for bad in ["", "x", "1920", "1921x1080", "1920x", "-1x600", "0x0", "3848x2160", "800x479", "4294967295x600"] {
        assert_eq!(bad.parse::<Resolution>(), Err(Problem::Resolution(bad.into())));
    }
}

#[test]
fn notes_are_short_texts() {
    let with = |notes: String| Machine { notes, ..machine() }.check();
    assert_eq!(with("Two lines\n\tof notes: ü".into()), Ok(()));
    assert_eq!(with("x".repeat(4096)), Ok(()));
    assert_eq!(with("x".repeat(4097)), Err(Problem::Notes(4097)));
    assert_eq!(with("bell \u{7}".into()), Err(Problem::Notes(6)));
}

#[test]
fn mac_addresses() {
    let mac: MacAddress = "52:54:00:01:02:ff".parse().unwrap();
    assert_eq!(mac.to_string(), "52:54:00:01:02:ff");
    for bad in
        ["", "52:54:00:01:02", "52:54:00:01:02:ff:00", "53:54:00:01:02:ff", "5254.0001.02ff", "+2:54:00:01:02:ff "]
    {
        assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
    }
}

#[test]
fn defaults_stay_within_the_host() {
    let small = Host { processors: 2, memory: 4096 };
    let sizes = Sizes::for_guest(Profile::Windows, Wants::default(), small);
    assert_eq!(sizes, Sizes { processors: 1, memory: 2048, disk: 64 });
    let large = Host { processors: 16, memory: 65536 };
    let wants = Wants { processors: Some(2), memory: Some(6144), disk: Some(40), least_disk: None };
    assert_eq!(Sizes::for_guest(Profile::Linux, wants, large), Sizes { processors: 4, memory: 6144, disk: 40 });
}
