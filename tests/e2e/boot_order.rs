//! The boot order, as a person sets it: both firmwares start from what comes first in it, of two media that could be started.

use std::path::Path;
use std::time::Duration;

use dormer_tests::guest::{Guest, Home};
use dormer_tests::{media, medium_or_skip, only_in_full};

const LIMIT: Duration = Duration::from_secs(600);

/// A machine with a CD and a disk that is full already, which start in this order unless `boot` says otherwise.
fn machine(name: &str, firmware: &str, cd: &Path, disk: &Path, boot: &str) -> Guest {
    let home = Home::new();
    let text = |path: &Path| path.to_str().expect("a path of plain characters").to_owned();
    let (cd, disk) = (text(cd), text(disk));
    let media = ["create", name, "--iso", &cd, "--disk", &disk, "--firmware", firmware];
    home.must(&[&media[..], &["--profile", "linux", "--memory", "512", "--cpus", "1"]].concat());
    // virtio's path in the boot order is another one than AHCI's.
    let settings = ["set", name, "disk0.bus=virtio", "disk0.read-only=on"].into_iter().chain(boot.split(' '));
    home.must(&settings.collect::<Vec<_>>());
    Guest::start_in(home, name)
}

#[test]
fn seabios_starts_from_the_cd_drive() {
    let (memtest, grub) = (medium_or_skip!(media::memtest()), medium_or_skip!(media::grub_rescue_disk()));
    machine("boot-bios-cd", "bios", &memtest, &grub, "boot=cd0,disk0").wait_screen("Memtest86+", LIMIT);
}

#[test]
fn seabios_starts_from_the_disk() {
    let (memtest, grub) = (medium_or_skip!(media::memtest()), medium_or_skip!(media::grub_rescue_disk()));
    machine("boot-bios-disk", "bios", &memtest, &grub, "boot=disk0").wait_screen("GNU GRUB  version", LIMIT);
}

#[test]
fn ovmf_starts_from_the_cd_drive() {
    let (ipxe, memtest) = (medium_or_skip!(media::IPXE_UEFI.path()), medium_or_skip!(media::memtest()));
    let mut guest = machine("boot-uefi-cd", "uefi", &ipxe, &memtest, "boot=cd0");
    guest.wait_screen("Open Source Network Boot Firmware", LIMIT);
}

#[test]
fn ovmf_starts_from_the_disk() {
    let (ipxe, memtest) = (medium_or_skip!(media::IPXE_UEFI.path()), medium_or_skip!(media::memtest()));
    let mut guest = machine("boot-uefi-disk", "uefi", &ipxe, &memtest, "boot=disk0,cd0");
    guest.wait_screen("<F2> to disable SMP, <Enter> to start testing", LIMIT);
}

/// By iPXE in the card's ROM, before both media.
#[test]
fn seabios_starts_from_the_network() {
    only_in_full!();
    let memtest = medium_or_skip!(media::memtest());
    let mut guest = machine("boot-bios-network", "bios", &memtest, &memtest, "boot=net0 net0.model=e1000");
    guest.wait_screen("Open Source Network Boot Firmware", LIMIT);
    guest.wait_screen("net0: 10.0.2.15/255.255.255.0", LIMIT);
}

/// Before both media. Nobody answers as a boot server.
#[test]
fn ovmf_starts_from_the_network() {
    only_in_full!();
    let memtest = medium_or_skip!(media::memtest());
    let mut guest = machine("boot-uefi-network", "uefi", &memtest, &memtest, "boot=net0 net0.model=virtio");
    guest.wait_screen("Start PXE over IPv4", LIMIT);
}
