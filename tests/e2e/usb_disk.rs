//! Disks on USB: both firmwares start from a stick, and Linux reads and writes it by both of its drivers.

use std::path::Path;
use std::time::Duration;

use dormer_tests::guest::{Guest, Home};
use dormer_tests::serial::SerialPort;
use dormer_tests::{media, medium_or_skip, only_in_full};

const LIMIT: Duration = Duration::from_secs(600);
/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(300);

fn text(path: &Path) -> String {
    path.to_str().expect("a path of plain characters").to_owned()
}

/// A machine whose only disk is `stick`, beside a CD that starts too.
fn from_stick(name: &str, firmware: &str, cd: &Path, stick: &Path) -> Guest {
    let home = Home::new();
    let media = ["create", name, "--iso", &text(cd), "--disk", &text(stick), "--firmware", firmware];
    home.must(&[&media[..], &["--profile", "linux", "--memory", "512", "--cpus", "1"]].concat());
    let settings = ["usb.controller=xhci", "disk0.bus=usb", "disk0.read-only=on", "boot=disk0,cd0", "net0.link=off"];
    home.must(&[&["set", name], &settings[..]].concat());
    Guest::start_in(home, name)
}

#[test]
fn seabios_starts_from_a_stick() {
    let (memtest, grub) = (medium_or_skip!(media::memtest()), medium_or_skip!(media::grub_rescue_disk()));
    from_stick("stick-bios", "bios", &memtest, &grub).wait_screen("GNU GRUB  version", LIMIT);
}

#[test]
fn ovmf_starts_from_a_stick() {
    let (ipxe, memtest) = (medium_or_skip!(media::IPXE_UEFI.path()), medium_or_skip!(media::memtest()));
    let mut guest = from_stick("stick-uefi", "uefi", &ipxe, &memtest);
    guest.wait_screen("<F2> to disable SMP, <Enter> to start testing", LIMIT);
}

#[test]
fn a_system_that_is_wholly_on_a_stick_starts_by_bios() {
    starts_wholly_from_a_stick("bios");
}

#[test]
fn a_system_that_is_wholly_on_a_stick_starts_by_uefi() {
    starts_wholly_from_a_stick("uefi");
}

/// Firmware, GRUB and Linux have it from the stick, one after the other, and nothing else is there.
fn starts_wholly_from_a_stick(firmware: &str) {
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let (name, arguments) = (format!("wholly-{firmware}"), ["--firmware", firmware, "--cpus", "1"]);
    let mut guest = Guest::debian_with_usb(Home::new(), &name, &disk, &arguments, &["disk0.bus=usb"]);
    let root = "basename $(readlink -f /sys/block/$(lsblk -no PKNAME $(findmnt -no SOURCE /))/device/../../../driver)";
    assert_eq!(guest.shell(root, SHORT), "uas");
    // What is written stays when it starts again.
    guest.shell("echo stays > /root/note; sync", SHORT);
    guest.send_serial("reboot\n");
    guest.log_in(BOOT);
    assert_eq!(guest.shell("cat /root/note", SHORT), "stays");
}

#[test]
fn linux_uses_a_stick_by_both_drivers() {
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let arguments = ["--firmware", "bios", "--cpus", "1", "--disk", "64M"];
    let mut guest = Guest::debian_with_usb(Home::new(), "stick", &disk, &arguments, &["disk1.bus=usb"]);

    let driver = "basename $(readlink /sys/bus/usb/devices/2-1:1.0/driver)";
    assert_eq!(guest.shell(driver, SHORT), "uas");
    let about = "lsblk -dno SIZE,RM,VENDOR,MODEL /dev/sda | tr -s ' '";
    assert_eq!(guest.shell(about, SHORT).trim(), "64M 1 Dormer USB Disk");
    // A write cache that is flushed, and space that is given back.
    let queue = "cat /sys/block/sda/queue/write_cache /sys/block/sda/device/queue_depth";
    let said = guest.shell(queue, SHORT);
    println!("{said}");
    assert!(said.starts_with("write back"), "{said}");
    assert_ne!(guest.shell("cat /sys/block/sda/queue/discard_max_bytes", SHORT), "0");
    read_and_write(&mut guest, "uas");
    guest.shell("blkdiscard -o 1M -l 4M /dev/sda", SHORT);
    let zeroes = "dd if=/dev/sda iflag=direct bs=1M skip=1 count=4 2>/dev/null | tr -d '\\0' | wc -c";
    assert_eq!(guest.shell(zeroes, SHORT), "0");

    // Its other setting, by the driver of old.
    guest.shell(
        "udevadm settle && rmmod uas usb_storage && modprobe usb-storage quirks=46f4:0001:u && udevadm settle",
        SHORT,
    );
    guest.shell_until("ls /dev/sd?", SHORT);
    assert_eq!(guest.shell(driver, SHORT), "usb-storage");
    read_and_write(&mut guest, "usb-storage");
    // The driver of UAS itself refuses the last flush when it is taken away.
    let said = "dmesg | grep -i -e xhci -e usb -e uas -e sda | grep -v 'Synchronize Cache(10) failed: .*DID_ERROR'";
    let said = guest.shell(said, SHORT);
    println!("{said}");
    for bad in ["error", "fail", "WARN", "timed out", "timeout", "died", "unable", "not responding", "reset"] {
        assert!(!said.to_lowercase().contains(&bad.to_lowercase()), "{bad}: {said}");
    }
}

/// What is written to the stick comes back from it.
fn read_and_write(guest: &mut Guest, name: &str) {
    let disk = "$(ls /dev/sd? | tail -1)";
    guest.shell("head -c 8M /dev/urandom > /run/file", SHORT);
    guest.shell(&format!("dd if=/run/file of={disk} bs=1M seek=1 conv=fsync 2>/dev/null"), SHORT);
    guest.shell("echo 3 > /proc/sys/vm/drop_caches", SHORT);
    let same = format!("dd if={disk} bs=1M skip=1 count=8 2>/dev/null | cmp - /run/file && echo same");
    assert_eq!(guest.shell(&same, SHORT), "same", "{name}");
}
