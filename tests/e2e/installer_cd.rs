//! An installer's CD is taken out when there is a system on the disk: at the reset that ends the installation, or before the next start.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use api::control::Event;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::program::{SECTOR, boot_sector};
use dormer_tests::serial::SerialPort;

const LIMIT: Duration = Duration::from_secs(180);

/// Sends `I`, and has the BIOS write the two sectors behind this one to the first disk.
const INSTALLS: [u8; 27] = [
    0x31, 0xc0, 0x8e, 0xc0, 0x8e, 0xd8, // xor ax, ax; mov es, ax; mov ds, ax
    0xba, 0xf8, 0x03, 0xb0, b'I', 0xee, // mov dx, 3f8; mov al, 'I'; out dx, al
    0xb8, 0x02, 0x03, 0xbb, 0x00, 0x7e, // mov ax, 0302; mov bx, 7e00
    0xb9, 0x01, 0x00, 0xba, 0x80, 0x00, // mov cx, 1; mov dx, 80
    0xcd, 0x13, 0xfa, // int 13; cli
];
/// Resets by port CF9.
const RESETS: [u8; 12] = [0xba, 0xf9, 0x0c, 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee, 0xf4, 0xeb, 0xfd]; // …; hlt; jmp back
/// Sets SLP_EN for S5 in PM1 control, where SeaBIOS puts it.
const TURNS_OFF: [u8; 10] = [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd]; // …; hlt; jmp back
/// Has the BIOS read the sector behind this one, and jumps there.
const LOADS: [u8; 19] = [
    0x31, 0xc0, 0x8e, 0xc0, // xor ax, ax; mov es, ax
    0xb8, 0x01, 0x02, 0xbb, 0x00, 0x7e, // mov ax, 0201; mov bx, 7e00
    0xb9, 0x02, 0x00, 0xb6, 0x00, // mov cx, 2; mov dh, 0
    0xcd, 0x13, 0xff, 0xe3, // int 13; jmp bx
];
/// Sends `D` and stands.
const INSTALLED: [u8; 9] = [0xba, 0xf8, 0x03, 0xb0, b'D', 0xee, 0xf4, 0xeb, 0xfd]; // …; hlt; jmp back

/// A CD that installs a system of two sectors, an MBR and what it loads from behind it, and ends as `end` says.
fn installer(home: &Home, end: &[u8]) -> PathBuf {
    let mut first = boot_sector(&LOADS);
    first[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    let mut boot = [boot_sector(&[&INSTALLS, end].concat()), first, boot_sector(&INSTALLED)].concat();
    boot.resize(4 * SECTOR, 0);
    let (content, iso) = (home.path().join("content"), home.path().join("setup.iso"));
    fs::create_dir(&content).unwrap();
    fs::write(content.join("boot.img"), boot).unwrap();
    let made = Command::new("xorriso")
        .args([
            "-as",
            "mkisofs",
            "-quiet",
            "-V",
            "SETUP",
            "-b",
            "boot.img",
            "-no-emul-boot",
            "-boot-load-size",
            "4",
            "-o",
        ])
        .args([&iso, &content])
        .output()
        .expect("xorriso");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    iso
}

fn start(name: &str, end: &[u8]) -> Guest {
    let home = Home::new();
    let iso = installer(&home, end);
    let iso = iso.to_str().expect("a path of plain characters");
    let machine = ["--firmware", "bios", "--disk", "64M", "--profile", "legacy", "--memory", "256", "--cpus", "1"];
    home.must(&[&["create", name, "--iso", iso], machine.as_slice()].concat());
    Guest::start_in(home, name)
}

#[test]
fn a_reset_takes_it_out() {
    let mut guest = start("installs-and-resets", &RESETS);
    guest.wait_event(
        "the installer's CD that is taken out",
        LIMIT,
        |event| matches!(event, Event::DeviceTrayMoved { tray_open: true, id, .. } if id == "cd0"),
    );
    guest.wait_serial("ID", LIMIT);
    assert!(guest.verb("show", &[]).contains("empty: the installer’s CD was taken out"));
    guest.verb("power-off", &[]);
    guest.wait_end(LIMIT);
    assert_eq!(guest.log("serial.log"), "ID", "it started from its disk");
}

#[test]
fn it_is_out_at_the_start_after_power_off() {
    let mut guest = start("installs-and-turns-off", &TURNS_OFF);
    guest.wait_event("the guest turning itself off", LIMIT, |event| {
        matches!(event, Event::Shutdown { guest: true, .. })
    });
    guest.wait_end(LIMIT);
    assert!(guest.verb("show", &[]).contains("setup.iso"));
    guest.verb("start", &["--debug-logs"]);
    assert!(guest.verb("show", &[]).contains("empty: the installer’s CD was taken out"));
    guest.verb("wait", &["--serial-text", "D", "--timeout", "180"]);
    guest.verb("power-off", &[]);
}
