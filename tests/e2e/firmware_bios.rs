//! SeaBIOS on our board: media that are programs of their own show their screens and take keys.

use std::time::Duration;

use dormer_tests::guest::Guest;
use dormer_tests::{media, medium_or_skip, only_in_full};

const LIMIT: Duration = Duration::from_secs(300);

fn cd(name: &str, path: &std::path::Path, more: &[&str]) -> Guest {
    let path = path.to_str().expect("a path of plain characters");
    let arguments = ["--iso", path, "--firmware", "bios", "--disk", "none", "--memory", "512", "--cpus", "1"];
    Guest::start(name, &[&arguments, more].concat())
}

/// Nothing to start from: SeaBIOS says so on the screen.
#[test]
fn seabios_without_a_medium_says_so() {
    let arguments = ["--firmware", "bios", "--disk", "1G", "--memory", "256", "--cpus", "1"];
    let mut guest = Guest::start("bios-nothing", &arguments);
    guest.wait_screen("SeaBIOS (version", LIMIT);
    guest.wait_screen("No bootable device", LIMIT);
}

#[test]
fn memtest_starts_on_bios() {
    let mut guest = cd("bios-memtest", &medium_or_skip!(media::memtest()), &[]);
    guest.wait_screen("Memtest86+", LIMIT);
    guest.wait_screen("Press <F1> to configure", LIMIT);
    guest.keys(&["ret"]);
    guest.wait_screen("Testing: ", LIMIT);
}

#[test]
fn grub_rescue_takes_keys() {
    let mut guest = cd("bios-grub", &medium_or_skip!(media::grub_rescue()), &[]);
    guest.wait_screen("GNU GRUB  version", LIMIT);
    guest.keys(&["down", "c"]);
    guest.wait_screen("grub>", LIMIT);
    guest.type_text("echo Dormer-$cmdpath\n");
    guest.wait_screen("Dormer-(", LIMIT);
}

#[test]
fn ipxe_finds_the_card_and_an_address() {
    // It asks the card without a pause, and each question costs an emulated processor dearly: a quarter of an hour.
    only_in_full!();
    let mut guest = cd("bios-ipxe", &medium_or_skip!(media::ipxe()), &["--profile", "linux"]);
    guest.wait_screen("Open Source Network Boot Firmware", LIMIT);
    guest.wait_screen("using virtio-net", LIMIT);
    guest.wait_screen("10.0.2.15/255.255.255.0", LIMIT);
}

#[test]
fn mikeos_opens_its_menu() {
    let mut guest = cd("bios-mikeos", &medium_or_skip!(media::mikeos()), &["--profile", "legacy"]);
    guest.wait_screen("Welcome to MikeOS", LIMIT);
    guest.keys(&["ret"]);
    guest.wait_screen("FILEMAN.BIN", LIMIT);
}
