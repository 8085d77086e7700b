//! OVMF on our board: its shell, and media that are programs of their own.

use std::path::Path;
use std::time::Duration;

use dormer_tests::guest::{Guest, Home};
use dormer_tests::serial::SerialPort;
use dormer_tests::{media, medium_or_skip};

const LIMIT: Duration = Duration::from_secs(180);

fn cd(name: &str, path: &Path) -> Guest {
    let path = path.to_str().expect("a path of plain characters");
    let arguments = ["--iso", path, "--firmware", "uefi", "--disk", "none", "--memory", "512", "--cpus", "1"];
    Guest::start(name, &[&arguments[..], &["--profile", "linux"]].concat())
}

/// Nothing to start from: OVMF opens its shell, which takes keys.
#[test]
fn ovmf_opens_its_shell() {
    let arguments = ["--firmware", "uefi", "--disk", "none", "--memory", "512", "--cpus", "1"];
    let mut guest = Guest::start("uefi-shell", &arguments);
    // Else it looks for a server on the network first, in four ways, for minutes.
    guest.verb("net", &["link", "out"]);
    guest.wait_screen("or any other key to continue.", LIMIT);
    guest.keys(&["esc"]);
    // What is typed before its prompt may be lost with the countdown. It is too short to be found on a picture.
    guest.wait_serial("Shell> ", LIMIT);
    guest.type_text("echo dormer dormer dormer\n");
    guest.wait_screen("dormer dormer dormer", LIMIT);
}

/// Firmware takes the size that the monitor prefers.
#[test]
fn the_screen_has_the_size_that_was_set() {
    let home = Home::new();
    let arguments = ["--firmware", "uefi", "--disk", "none", "--memory", "512", "--cpus", "1"];
    home.must(&[&["create", "uefi-size"], &arguments[..]].concat());
    home.must(&["set", "uefi-size", "resolution=1440x900", "net0.link=off"]);
    let mut guest = Guest::start_in(home, "uefi-size");
    guest.wait_screen("or any other key to continue.", LIMIT);
    let picture = guest.screenshot("size");
    assert_eq!((picture.width, picture.height), (1440, 900));
}

#[test]
fn memtest_starts_on_uefi() {
    let mut guest = cd("uefi-memtest", &medium_or_skip!(media::memtest()));
    guest.wait_screen("<F2> to disable SMP, <Enter> to start testing", LIMIT);
}

#[test]
fn ipxe_finds_the_card_on_uefi() {
    let mut guest = cd("uefi-ipxe", &medium_or_skip!(media::IPXE_UEFI.path()));
    guest.wait_screen("Open Source Network Boot Firmware", LIMIT);
    guest.wait_screen("net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2", LIMIT);
}
