//! Disks of the host in a guest, at length: 200 MB both ways on a stick and on a disk that does UAS, with checksums; pulled out in the
//! middle of it; there still after the guest's reset; and another device that comes and goes 200 times meanwhile.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use api::control::Event;
use api::usb::UsbGone;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::host_device::HostDevice;
use dormer_tests::monitor::Monitor;
use dormer_tests::server::noise;
use dormer_tests::{media, medium_or_skip};
use serde_json::json;

/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(240);
/// For 200 MB.
const LONG: Duration = Duration::from_secs(3600);
/// What is copied: so many MiB are 200 MB.
const COPIED: usize = 191;
/// How often a device comes and goes.
const TIMES: u32 = 200;

/// Something that no two MiB of are alike.
fn fill(disk: &Path) {
    let mut file = File::options().write(true).open(disk).expect("a disk");
    file.write_all(&noise(COPIED << 20, 1)).and_then(|()| file.sync_all()).expect("there is room");
}

/// So many MiB from there on, as a sum, by whoever has the disk.
fn sum(disk: &str, skip: usize) -> String {
    format!("dd if={disk} bs=1M skip={skip} count={COPIED} iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1")
}

#[track_caller]
fn host(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// How many files the engine has open. It is older than its helpers.
fn open_files() -> String {
    host("ls /proc/$(pgrep -o dormer-vm)/fd | wc -l")
}

/// Reads what the host wrote, writes it elsewhere on the disk, and the host reads that.
fn copies_both_ways(guest: &mut Guest, name: &str, device: &HostDevice, driver: &str) {
    let disk = device.disk(SHORT);
    fill(&disk);
    let written = host(&sum(disk.to_str().expect("a plain path"), 0));
    let hosts = device.driver();
    guest.must(&["usb", "attach", "--yes", name, device.id()]);
    guest.shell_until("[ -b /dev/sda ]", SHORT);
    let drivers = guest.shell("ls -d /sys/bus/usb/drivers/*/*:1.0 | cut -d/ -f6 | sort -u", SHORT);
    assert!(drivers.lines().any(|line| line == driver), "{driver} is none of {drivers}");
    assert_eq!(guest.shell(&sum("/dev/sda", 0), LONG), written, "what the guest reads");
    guest.shell(
        &format!("dd if=/dev/sda of=/dev/sda bs=1M count={COPIED} seek=200 iflag=direct oflag=direct conv=fsync,notrunc 2>/dev/null"),
        LONG,
    );
    guest.must(&["usb", "detach", name, device.id()]);
    device.wait_driver(hosts.as_deref(), SHORT);
    let disk = device.disk(SHORT);
    assert_eq!(host(&sum(disk.to_str().expect("a plain path"), 200)), written, "what the guest wrote");
    guest.shell_until("[ ! -b /dev/sda ]", SHORT);
}

#[test]
fn disks_of_the_host_work_at_length() {
    let medium = medium_or_skip!(media::DEBIAN_DISK.path());
    let Some(mut monitor) = Monitor::open() else {
        println!("skipped: only a test host has these disks");
        return;
    };
    let name = "usb-storage";
    let mut guest = Guest::debian_with_usb(Home::new(), name, &medium, &["--firmware", "bios"], &[]);
    let stick = HostDevice::called("QEMU USB HARDDRIVE").expect("the test host has a stick");
    let uas = HostDevice::called("USB Attached SCSI HBA").expect("the test host has a disk that does UAS");

    copies_both_ways(&mut guest, name, &stick, "usb-storage");
    copies_both_ways(&mut guest, name, &uas, "uas");

    // There again after the guest's reset, and as good as before.
    let written = host(&sum(uas.disk(SHORT).to_str().expect("a plain path"), 0));
    guest.must(&["usb", "attach", "--yes", name, uas.id()]);
    guest.verb("reset", &[]);
    guest.log_in(BOOT);
    guest.shell_until("[ -b /dev/sda ]", SHORT);
    assert_eq!(guest.shell(&sum("/dev/sda", 0), LONG), written, "after a reset");

    // Another comes and goes, while the disk is read.
    // Nobody looks for a driver of what is plugged into a test host.
    host("modprobe usbhid");
    let mouse = json!({ "driver": "usb-mouse", "id": "mouse", "bus": "xhci.0" });
    monitor.plug(mouse);
    let mouse = HostDevice::appears("QEMU USB Mouse", SHORT);
    let reads = "(while dd if=/dev/sda of=/dev/null bs=256k count=16 iflag=direct 2>/dev/null; do echo; done > /run/reads) & sleep 1";
    guest.shell(reads, SHORT);
    let before = open_files();
    let start = Instant::now();
    for time in 0..TIMES {
        guest.must(&["usb", "attach", "--yes", name, mouse.id()]);
        guest.must(&["usb", "detach", name, mouse.id()]);
        if time % 10 == 9 {
            println!("  {} times, after {} s", time + 1, start.elapsed().as_secs());
        }
    }
    mouse.wait_driver(Some("usbhid"), SHORT);
    assert_ne!(guest.shell("wc -l < /run/reads", SHORT), "0", "the disk was not read meanwhile");
    assert_eq!(open_files(), before, "the engine's open files");
    assert_eq!(host("pgrep -c dormer-vm"), "2", "the engine, and the one that gives the disk back");

    // Pulled out in the middle of being read.
    monitor.pull("uas0");
    guest.wait_event("word of it", SHORT, |event| {
        *event == Event::UsbDetached { id: uas.id().to_owned(), reason: UsbGone::Unplugged }
    });
    guest.shell("wait", SHORT);
    guest.shell_until("[ ! -b /dev/sda ]", SHORT);
    assert!(guest.must(&["usb", "list", name]).contains("no USB device"));
    // And the next one works.
    guest.must(&["usb", "attach", "--yes", name, stick.id()]);
    guest.shell_until("ls /dev/sd?", SHORT);
    guest.shell("dd if=$(ls /dev/sd?) of=/dev/null bs=1M count=8 iflag=direct", SHORT);
    let said = guest.shell("dmesg | grep -i -e xhci", SHORT);
    println!("{said}");
    for bad in ["WARN", "timed out", "timeout", "died", "not responding", "ERROR"] {
        assert!(!said.contains(bad), "{bad}: {said}");
    }
}
