use super::*;
use crate::machine::{MacAddress, Network, Protocol};

/// Two disks, a CD drive, two cards.
fn machine() -> Machine {
    let text = r#"
        format = 1
        uuid = "00000000-0000-0000-0000-000000000001"
        name = "Debian 13"
        processors = 2
        memory = 2048
        [[drive]]
        kind = "disk"
        bus = "virtio"
        image = "disk.qcow2"
        [[drive]]
        kind = "cd"
        [[drive]]
        kind = "disk"
        image = "disk-2.qcow2"
        [[network]]
        mac = "52:54:00:00:00:01"
        [[network]]
        mac = "52:54:00:00:00:02"
    "#;
    toml::from_str(text).unwrap()
}

#[test]
fn names_are_read_as_they_are_written() {
    let machine = machine();
    let keys = machine.keys();
    assert_eq!(keys.len(), 13 + 6 + 6 + 2 * 3 + 2 * 5);
    for key in keys {
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!(machine.get(key).is_some() && !key.about().is_empty(), "{key}");
    }
    for bad in [
        "",
        "Memory",
        "memory ",
        "disk.bus",
        "disk0",
        "disk0.",
        "disk00.bus",
        "disk-1.bus",
        "cd0.bus",
        "net0.x",
        "0net.mac",
    ] {
        assert_eq!(bad.parse::<Key>(), Err(Problem::NoSetting(bad.into())), "{bad}");
    }
    assert_eq!(machine.get(Key::Disk(2, DiskKey::Bus)), None);
    assert_eq!(machine.get(Key::Card(2, CardKey::Mac)), None);
}

/// Every setting can be changed to another value, reads back as it was set, and setting what is there changes nothing.
#[test]
fn what_is_set_is_there() {
    for key in machine().keys() {
        let mut changed = machine();
        let value = match key.takes() {
            Takes::Words(words) => {
                let now = changed.get(key).unwrap();
                (*words.iter().find(|word| **word != now).unwrap()).to_owned()
            }
            Takes::Number(range) if key == Key::Sound(SoundKey::Volume) => range.start().to_string(),
            Takes::Number(range) => range.end().to_string(),
            Takes::Network => "internal:lab".to_owned(),
            Takes::Forwards => "tcp:2222:22 udp:53:5353".to_owned(),
            Takes::UsbRules => "0781:5581:4C%2053@1-2.3=always 046d:c52b=ask".to_owned(),
            Takes::Devices => "net1,cd0,disk0,disk1,net0".to_owned(),
            Takes::Text => match key {
                Key::Card(..) => "52:54:00:00:00:03".to_owned(),
                _ => "debian13".to_owned(),
            },
        };
        changed.set(key, &value).unwrap();
        assert_eq!(changed.get(key), Some(value), "{key}");
        assert_ne!(changed, machine(), "{key}");
        assert_eq!(live(&machine(), &changed).is_ok(), key.is_live(), "{key}");
        let mut same = machine();
        same.set(key, &machine().get(key).unwrap()).unwrap();
        assert_eq!(same, machine(), "{key}");
    }
}

#[test]
fn bad_values_change_nothing() {
    let card = |what| Key::Card(0, what);
    let mut machine = machine();
    let before = machine.clone();
    for (key, value, words) in [
        (Key::Name, "", "cannot be a machine's name"),
        (Key::Name, "a/b", "cannot be a machine's name"),
        (Key::Os, "two words", "“os” takes"),
        (Key::Group, " ", "cannot be a group's name"),
        (Key::Group, "two\nlines", "cannot be a group's name"),
        (Key::Firmware, "coreboot", "“firmware” takes uefi or bios, not “coreboot”"),
        (Key::Processors, "0", "a number from 1 to 64"),
        (Key::Processors, "65", "a number from 1 to 64"),
        (Key::Processors, "4294967297", "a number from 1 to 64"),
        (Key::Memory, "15", "a number from 16 to"),
        (Key::Memory, "-1", "a number from 16 to"),
        (Key::Memory, "", "a number from 16 to"),
        (Key::Clock, "UTC", "utc or local"),
        (Key::VirtioInput, "true", "on or off"),
        (Key::Resolution, "1x1", "800x600 or"),
        (Key::Resolution, "3840x2160", "a screen of 3840x2160 needs 32 MiB of video memory"),
        (Key::VideoMemory, "24", "16 or 32 or 64 or 128 or 256"),
        (Key::VideoMemory, "0", "16 or 32 or 64 or 128 or 256"),
        (Key::VideoMemory, "4294967312", "16 or 32 or 64 or 128 or 256"),
        (Key::Notes, "\0", "no control characters"),
        (Key::Sound(SoundKey::Card), "ac97", "hda or virtio or none"),
        (Key::Usb(UsbKey::Controller), "ehci", "xhci or none"),
        (Key::Usb(UsbKey::Tablet), "yes", "on or off"),
        (Key::Sound(SoundKey::Volume), "101", "a number from 0 to 100"),
        (Key::Sound(SoundKey::Volume), "-1", "a number from 0 to 100"),
        (Key::Sound(SoundKey::Microphone), "yes", "on or off"),
        (Key::Sound(SoundKey::Output), "a\nb", "cannot be the name of a device for sound"),
        (Key::Sound(SoundKey::Input), &"x".repeat(257), "cannot be the name of a device for sound"),
        (Key::Boot, "cd0,floppy0", "no “floppy0” to start from"),
        (Key::Boot, "cd0,cd0", "twice"),
        (Key::Disk(0, DiskKey::Bus), "ide", "ahci or virtio"),
        (Key::Disk(0, DiskKey::Cache), "unsafe", "writeback or direct"),
        (Key::Disk(2, DiskKey::ReadOnly), "on", "no setting “disk2.read-only”"),
        (card(CardKey::Link), "up", "on or off"),
        (card(CardKey::Model), "ne2000", "virtio or e1000"),
        (card(CardKey::Mac), "01:02:03:04:05:06", "not an Ethernet address"),
        (card(CardKey::Mac), "52:54:00:00:00:02", "both have the address"),
        (card(CardKey::Network), "lan", "is not a network: write nat, or as in internal:lab"),
        (card(CardKey::Network), "internal:a/b", "“a/b” cannot be a network's name"),
        (card(CardKey::Network), "tap:a/b", "“a/b” cannot be the name of a network device"),
        (card(CardKey::Forwards), "22", "not a forward"),
        (card(CardKey::Forwards), "2222:22 2222:23", "port 2222 of this computer cannot lead to two places"),
    ] {
        let problem = machine.set(key, value).unwrap_err().to_string();
        assert!(problem.contains(words), "{key}={value}: {problem}");
        assert_eq!(machine, before);
    }
    // TCP and UDP are different ports.
    machine.set(card(CardKey::Forwards), "53:53 udp:53:53").unwrap();
    assert_eq!(machine.networks[0].forwards[1].protocol, Protocol::Udp);
    assert!(machine.set(Key::Card(1, CardKey::Forwards), "udp:53:1").is_err(), "another card has that port");
}

#[test]
fn running_machines_follow_networks_only() {
    let old = machine();
    let change = |key: &str, value: &str| {
        let mut new = old.clone();
        new.set(key.parse().unwrap(), value).unwrap();
        live(&old, &new)
    };
    assert_eq!(live(&old, &old), Ok(vec![]));
    assert_eq!(change("os", "debian13"), Ok(vec![]));
    assert_eq!(change("autostart", "on"), Ok(vec![]));
    assert_eq!(change("usb.rules", "0781:5581=always"), Ok(vec![]));
    assert_eq!(change("notes", "password: none"), Ok(vec![]));
    assert_eq!(change("group", "Ärger & Co"), Ok(vec![]));
    assert_eq!(change("sound.volume", "30"), Ok(vec![]));
    assert_eq!(change("net1.link", "off"), Ok(vec![Live::Link { card: 1, up: false }]));
    let one = Forward { protocol: Protocol::Tcp, host: 2222, guest: 22 };
    assert_eq!(
        change("net0.forwards", "2222:22"),
        Ok(vec![Live::Forwards { card: 0, remove: vec![], add: vec![one] }])
    );
    let inside = Network { attachment: "internal:lab".parse().unwrap(), ..old.networks[1].clone() };
    assert_eq!(change("net1.network", "internal:lab"), Ok(vec![Live::Network { card: 1, network: inside.clone() }]));
    // A network is made with the ports that lead through it.
    let mut inside_only = old.clone();
    inside_only.networks[1] = inside;
    let mut shared = old.clone();
    shared.networks[1].forwards = vec![one];
    let shared_card = shared.networks[1].clone();
    assert_eq!(live(&inside_only, &shared), Ok(vec![Live::Network { card: 1, network: shared_card }]));
    for (key, value) in [
        ("memory", "1024"),
        ("sound.card", "hda"),
        ("usb.tablet", "on"),
        ("disk1.bus", "virtio"),
        ("net0.mac", "52:54:00:00:00:09"),
    ] {
        assert_eq!(change(key, value), Err(Problem::NeedsOff(key.into())));
    }
    let mut fewer = old.clone();
    fewer.networks.pop();
    assert_eq!(live(&old, &fewer), Err(Problem::NeedsOff("drives and network cards".into())));
    // A port that leads elsewhere now is taken away first.
    let mut with = old.clone();
    with.networks[0].forwards = vec![one];
    let mut other = with.clone();
    other.networks[0].forwards[0].guest = 23;
    let elsewhere = Forward { guest: 23, ..one };
    assert_eq!(live(&with, &other), Ok(vec![Live::Forwards { card: 0, remove: vec![one], add: vec![elsewhere] }]));
}

#[test]
fn devices_that_the_boot_order_does_not_name_follow() {
    let mut machine = machine();
    machine.set(Key::Boot, " cd0 ,net1").unwrap();
    assert_eq!(machine.get(Key::Boot).as_deref(), Some("cd0,net1,disk0,disk1,net0"));
    // How the devices stand anyway is not written down.
    machine.set(Key::Boot, "").unwrap();
    assert_eq!((machine.boot.len(), machine.get(Key::Boot).as_deref()), (0, Some("disk0,cd0,disk1,net0,net1")));
}

#[test]
fn drives_are_named_by_kind() {
    assert_eq!(machine().drive_names(), ["disk0", "cd0", "disk1"]);
    assert_eq!(machine().networks[0].mac, MacAddress([0x52, 0x54, 0, 0, 0, 1]));
}

#[test]
fn a_large_screen_wants_video_memory_first() {
    let mut machine = machine();
    machine.set(Key::VideoMemory, "32").unwrap();
    machine.set(Key::Resolution, "3840x2160").unwrap();
    let problem = machine.set(Key::VideoMemory, "16").unwrap_err();
    assert_eq!(problem, Problem::ScreenNeeds { screen: machine.resolution, needs: 32 });
    assert_eq!(machine.get(Key::VideoMemory).as_deref(), Some("32"));
    // And no file says otherwise.
    machine.video_memory = 48;
    assert_eq!(machine.check(), Err(Problem::VideoMemory(48)));
    machine.video_memory = 0;
    assert_eq!(machine.check(), Err(Problem::VideoMemory(0)));
}

#[test]
fn usb_rules_are_checked_one_by_one_and_together() {
    let mut machine = machine();
    machine.set(Key::Usb(UsbKey::Rules), " 0781:5581=always  0781:5581@1-2=ask ").unwrap();
    assert_eq!(machine.get(Key::Usb(UsbKey::Rules)).as_deref(), Some("0781:5581=always 0781:5581@1-2=ask"));
    let refused = |machine: &mut Machine, value: &str| machine.set(Key::Usb(UsbKey::Rules), value).unwrap_err();
    assert_eq!(refused(&mut machine, "0781:5581=always x"), Problem::UsbRule("x".into()));
    assert_eq!(refused(&mut machine, "0781:5581=always 0781:5581=ask"), Problem::SameUsbRule("0781:5581".into()));
    let many = |count: usize| (0..count).map(|number| format!("0781:{number:04x}=ask ")).collect::<String>();
    assert_eq!(refused(&mut machine, &many(limits::USB_RULES + 1)), Problem::UsbRules);
    machine.set(Key::Usb(UsbKey::Rules), &many(limits::USB_RULES)).unwrap();
    machine.set(Key::Usb(UsbKey::Rules), "").unwrap();
    assert_eq!(machine.usb.rules, []);
    // Files say the same.
    machine.set(Key::Usb(UsbKey::Rules), "0781:5581:a%20b=start").unwrap();
    let text = toml::to_string(&machine).unwrap();
    assert!(text.contains("0781:5581:a%20b=start"), "{text}");
}
