//! What an installed Debian must do on our board, whatever its firmware and its disk's controller: start, be reached, load a file,
//! turn itself off. And its kernel must have nothing to complain about that it has not on QEMU's Q35.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use api::control::Event;
use regex::Regex;

use crate::guest::{Guest, Home};
use crate::qemu::Qemu;
use crate::server::{Server, noise};

/// A way to run it.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name, for pictures.
    pub name: &'static str,
    /// `bios` or `uefi`.
    pub firmware: &'static str,
    /// On virtio-blk, else on AHCI.
    pub virtio: bool,
    /// Its network card is an e1000, else virtio-net.
    pub e1000: bool,
    /// Virtual processors.
    pub cpus: u32,
}

/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(180);
/// What is loaded over the network.
const FILE: usize = 8 << 20;

/// Runs all of it. `disk` is a qcow2 image, which is copied.
pub fn runs(variant: Variant, disk: &Path) {
    let Variant { name, firmware, virtio, e1000, cpus } = variant;
    let home = Home::new();
    let copy = home.path().join("disk.qcow2");
    std::fs::copy(disk, &copy).expect("room for a copy of the disk");
    let (cpus_word, copy) = (cpus.to_string(), copy.to_str().expect("a path of plain characters"));
    let mut arguments = vec!["create", name, "--disk", copy, "--firmware", firmware, "--cpus", &cpus_word];
    arguments.extend(["--memory", "1024", "--profile", "linux"]);
    if virtio {
        // A disk whose system is known gets the bus that this system has a driver for.
        arguments.extend(["--os", "debian13"]);
    }
    home.must(&arguments);
    home.must(&["set", name, if e1000 { "net0.model=e1000" } else { "net0.model=virtio" }]);
    let file = noise(FILE, 13);
    let sum = checksum(&file);
    let server = Server::start(file);

    let mut guest = Guest::start_in(home, name);
    guest.log_in(BOOT);
    guest.wait_screen("Debian GNU/Linux 13 dormer tty1", SHORT);

    let root = guest.shell("findmnt -no SOURCE /", SHORT);
    assert_eq!(root, if virtio { "/dev/vda3" } else { "/dev/sda3" });
    assert_eq!(guest.shell("nproc", SHORT), cpus.to_string());
    let uefi = guest.shell("test -d /sys/firmware/efi && echo uefi || echo bios", SHORT);
    assert_eq!(uefi, firmware);

    let driver = guest.shell("basename $(readlink /sys/class/net/eth0/device/driver)", SHORT);
    assert_eq!(driver, if e1000 { "e1000" } else { "virtio_net" });
    // By DHCP.
    let address = "ip -4 -br -color=never addr show eth0 | grep 10.0.2.15/24";
    if e1000 {
        guest.shell_until(address, SHORT);
        pulls_the_cable(&mut guest, name);
    }
    guest.shell_until(address, SHORT);
    let loaded = guest.shell(&format!("curl -s {} | sha256sum", server.url("file")), SHORT * 2);
    assert_eq!(loaded.split(' ').next(), Some(sum.as_str()), "the file that came is not the one that was sent");

    guest.shell(
        &format!("dmesg --raw > /run/kernel-log; curl -s -T /run/kernel-log {}", server.url("kernel-log")),
        SHORT,
    );
    let log = server.sent("kernel-log").expect("the kernel log was sent");
    let folder = crate::output().join(name);
    std::fs::write(folder.join("kernel.log"), &log).expect("a file for the kernel log");

    // The keyboard, and a login on the screen.
    guest.type_text("root\n");
    guest.wait_screen("dormer login: root\nPassword: ", SHORT);
    guest.type_text("dormer\n");
    guest.wait_screen("Debian GNU/Linux comes with ABSOLUTELY NO WARRANTY", SHORT);

    guest.verb("power-button", &[]);
    guest.wait_event("POWERDOWN", SHORT, |event| matches!(event, Event::Powerdown {}));
    guest.wait_event("the guest turning itself off", SHORT * 3, |event| {
        matches!(event, Event::Shutdown { guest: true, .. })
    });
    guest.wait_end(SHORT);
    assert!(guest.log("serial.log").contains("reboot: Power down"), "the guest did not come to its end");
    if crate::full() {
        complains_no_more_than_under_qemu(variant, disk, &log, &server);
    }
}

/// The guest sees the cable go and come.
fn pulls_the_cable(guest: &mut Guest, name: &str) {
    for (link, carrier) in [("net0.link=off", "0"), ("net0.link=on", "1")] {
        guest.home.must(&["set", name, link]);
        guest.shell_until(&format!("grep {carrier} /sys/class/net/eth0/carrier"), SHORT);
    }
}

/// Its SHA-256, in hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut command =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum");
    command.stdin.take().expect("its input is ours").write_all(bytes).expect("it reads");
    let output = command.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a line of it").to_owned()
}

/// Messages of the kernel that say something is wrong with hardware or firmware, without what differs from start to start.
fn complaints(log: &str) -> BTreeSet<String> {
    let words = r"(?i)error|warn|fail|bug\b|invalid|unable|cannot|can't|conflict|unexpected|timed? ?out|not responding|unstable|spurious|mismatch|broken|disabl|lost|skew";
    let words = Regex::new(words).expect("a regular expression");
    let topics = r"(?i)acpi|pci|\bata|scsi|\bsd\b|\bsr\b|ahci|virtio|\bvd[a-z]|blk|block|i/o|clock|tsc|hpet|timer|rtc|irq|apic|interrupt|nmi|msi|e1000|eth|i8042|dmi|e820|efi|mtrr|smp|cpu";
    let topics = Regex::new(topics).expect("a regular expression");
    let line = Regex::new(r"^<(\d+)>\[ *\d+\.\d+\] (.*)$").expect("a regular expression");
    let changing = Regex::new(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+").expect("a regular expression");
    let mut found = BTreeSet::new();
    for text in log.lines() {
        let Some(parts) = line.captures(text) else { continue };
        // Priorities of warnings and worse (syslog(2)), or words that say so.
        let serious = parts[1].parse::<u32>().is_ok_and(|priority| priority & 7 <= 4);
        if serious && topics.is_match(&parts[2]) || words.is_match(&parts[2]) && topics.is_match(&parts[2]) {
            found.insert(changing.replace_all(&parts[2], "#").into_owned());
        }
    }
    found
}

/// Compares with the same disk on QEMU's Q35, on this host's KVM.
fn complains_no_more_than_under_qemu(variant: Variant, disk: &Path, ours: &str, server: &Server) {
    let theirs = qemu_log(variant, disk, server);
    assert!(theirs.lines().count() > 100, "QEMU's log is no kernel log: {theirs}");
    std::fs::write(crate::output().join(variant.name).join("kernel-qemu.log"), &theirs).expect("a file for it");
    let (ours, theirs) = (complaints(ours), complaints(&theirs));
    println!("  {}: {} complaints of the kernel, {} under QEMU", variant.name, ours.len(), theirs.len());
    let more: Vec<_> = ours.difference(&theirs).map(String::as_str).collect();
    assert!(more.is_empty(), "the kernel complains about what it does not under QEMU:\n{}", more.join("\n"));
}

/// The kernel's log on QEMU's Q35 with the same devices.
fn qemu_log(variant: Variant, disk: &Path, server: &Server) -> String {
    let folder = tempfile::tempdir().expect("a folder for QEMU");
    let cpus = variant.cpus.to_string();
    let mut options = vec!["-m", "1024", "-smp", &cpus, "-snapshot"];
    let disk = format!("file={},format=qcow2,if=none,id=disk0", disk.display());
    options.extend(["-drive", &disk]);
    options.extend([
        "-device",
        if variant.virtio { "virtio-blk-pci,drive=disk0" } else { "ide-hd,drive=disk0,bus=ide.0" },
    ]);
    // Every machine of ours has a CD drive. QEMU looks for room on the first port alone.
    options.extend(["-device", "ide-cd,bus=ide.1"]);
    let card = if variant.e1000 { "user,model=e1000" } else { "user,model=virtio-net-pci" };
    options.extend(["-device", "virtio-vga", "-nic", card, "-device", "virtio-rng-pci"]);
    options.extend(["-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci"]);
    let mut options: Vec<OsString> = options.into_iter().map(OsString::from).collect();
    if variant.firmware == "uefi" {
        let uefi = library::firmware::uefi(None).expect("OVMF is installed");
        let variables = folder.path().join("variables");
        std::fs::copy(&uefi.template, &variables).expect("room for firmware variables");
        let code = format!("if=pflash,format=raw,readonly=on,file={}", uefi.code.display());
        let variables = format!("if=pflash,format=raw,file={}", variables.display());
        options.extend(["-drive".into(), code.into(), "-drive".into(), variables.into()]);
    }
    let mut qemu = Qemu::start(options);
    qemu.log_in(BOOT);
    let load = format!("until curl -s -m 5 {} | head -c 1 | grep -q .; do sleep 0.5; done", server.url("file"));
    qemu.shell(&load, SHORT);
    qemu.shell(&format!("dmesg --raw > /run/kernel-log; curl -s -T /run/kernel-log {}", server.url("qemu-log")), SHORT);
    server.sent("qemu-log").expect("the kernel log was sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_news() {
        let log = "<6>[    0.1] ACPI: Core revision 20240827\n<4>[    0.2] ACPI BIOS Error (bug): at 0xdeadbeef 12\n\
            <6>[    1.0] tsc: Fast TSC calibration failed\n<3>[   12.9] ata1: softreset failed (device not ready)\n<3>[ 1.0] bluetooth: error\n";
        let found: Vec<_> = complaints(log).into_iter().collect();
        assert_eq!(
            found,
            [
                "ACPI BIOS Error (bug): at # #",
                "ata#: softreset failed (device not ready)",
                "tsc: Fast TSC calibration failed"
            ]
        );
    }
}
