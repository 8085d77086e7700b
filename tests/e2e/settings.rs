//! Settings as an installed system finds them: what `dormerctl set` was told, as the guest's own drivers see it. Those that a guest does
//! not see, or that have tests of their own (`boot_order`, `past_the_cache`, `networks`), are not here.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dormer_tests::guest::{Guest, Home};
use dormer_tests::{media, medium_or_skip};

/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(180);
const NAME: &str = "settings";
/// Five and a half hours east.
const ZONE: &str = "IST-5:30";
const EAST: i64 = 5 * 3600 + 1800;

#[test]
fn a_guest_finds_what_was_set() {
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let home = Home::in_zone(ZONE);
    let (copy, second) = (home.path().join("disk.qcow2"), home.path().join("second.qcow2"));
    std::fs::copy(disk, &copy).expect("room for a copy of the disk");
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&second).arg("48M").status();
    assert!(made.expect("qemu-img is there").success());
    let word = |path: &std::path::Path| path.to_str().expect("a path of plain characters").to_owned();
    let (copy, second) = (word(&copy), word(&second));
    home.must(&[
        "create",
        NAME,
        "--disk",
        &copy,
        "--disk",
        &second,
        "--firmware",
        "bios",
        "--profile",
        "linux",
        "--os",
        "debian13",
    ]);
    home.must(&[
        "set",
        NAME,
        "processors=2",
        "memory=704",
        "clock=local",
        "virtio-input=off",
        "video-memory=64",
        "resolution=3840x2160",
        "disk0.bus=ahci",
        "disk1.bus=virtio",
        "disk1.read-only=on",
        "sound.card=virtio",
        "net0.mac=52:54:00:aa:bb:cc",
        "net0.link=off",
    ]);
    let mut guest = Guest::start_in(home, NAME);
    guest.log_in(BOOT);

    assert_eq!(guest.shell("nproc", SHORT), "2");
    let memory = number(&guest.shell("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo", SHORT));
    assert!((600 << 10..704 << 10).contains(&memory), "{memory} KiB of memory");

    // The clock on its wall is ours.
    let shown = number(&guest.shell("cat /sys/class/rtc/rtc0/since_epoch", SHORT));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    assert!((shown - now - EAST).abs() < 120, "the clock is {} s east", shown - now);

    let input = guest.shell("cat /proc/bus/input/devices", SHORT);
    assert!(input.contains("AT Translated Set 2 keyboard") && !input.to_lowercase().contains("virtio"), "{input}");

    let range = guest.shell("head -1 /sys/bus/pci/devices/0000:00:01.0/resource", SHORT);
    let ends: Vec<_> = range.split(' ').take(2).map(hexadecimal).collect();
    assert_eq!(ends[1] - ends[0] + 1, 64 << 20, "video memory: {range}");
    let mode = guest.shell("head -1 /sys/class/drm/card*-Virtual-1/modes", SHORT);
    assert_eq!(mode, "3840x2160");
    let picture = guest.screenshot("screen");
    assert_eq!((picture.width, picture.height), (3840, 2160));

    assert_eq!(guest.shell("ls /sys/bus/virtio/drivers/virtio_snd | grep -c ^virtio", SHORT), "1");
    assert_eq!(guest.shell("aplay -l | grep -c ^card; arecord -l | grep -c ^card", SHORT), "1\n1");

    assert_eq!(guest.shell("findmnt -no SOURCE /", SHORT), "/dev/sda3");
    assert_eq!(guest.shell("cat /sys/block/vda/ro /sys/block/vda/size", SHORT), "1\n98304");
    guest.shell("! dd if=/dev/zero of=/dev/vda bs=512 count=1 oflag=direct 2>/dev/null", SHORT);

    assert_eq!(guest.shell("cat /sys/class/net/eth0/address", SHORT), "52:54:00:aa:bb:cc");
    carrier(&mut guest, "0");
    // It follows while it runs: the cable, and a port that leads into it.
    guest.home.must(&["set", NAME, "net0.link=on", "net0.forwards=2323:2323"]);
    carrier(&mut guest, "1");
    guest.shell_until("ip -4 -br addr show eth0 | grep 10.0.2.15/24", SHORT);
    guest.shell("systemd-socket-activate -l 2323 --inetd -a echo here I am >/dev/null 2>&1 & sleep 1", SHORT);
    let mut said = String::new();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 2323)).expect("the port leads somewhere");
    stream.set_read_timeout(Some(SHORT)).expect("a limit");
    stream.read_to_string(&mut said).expect("the guest speaks");
    assert_eq!(said, "here I am\n");
    guest.home.must(&["set", NAME, "net0.forwards="]);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, 2323)).is_err(), "the port leads nowhere");
}

/// Waits until the guest sees whether the cable is in.
fn carrier(guest: &mut Guest, expected: &str) {
    guest.shell("ip link set eth0 up", SHORT);
    guest.shell_until(&format!("grep {expected} /sys/class/net/eth0/carrier"), SHORT);
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("“{text}” is not a number"))
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_else(|_| panic!("“{text}” is not a number"))
}
