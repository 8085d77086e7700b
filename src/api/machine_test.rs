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
        drives: vec![Drive {
            kind: DriveKind::Disk,
            bus: DriveBus::Virtio,
            image: Some("disk.qcow2".into()),
            format: ImageFormat::Qcow2,
            read_only: false,
            installer: false,
        }],
        networks: vec![Network {
            model: NetworkModel::Virtio,
            mac: MacAddress::from_random([1, 2, 3]),
            link: true,
            forwards: vec![Forward { protocol: Protocol::Tcp, host: 2222, guest: 22 }],
        }],
        virtio_input: true,
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
