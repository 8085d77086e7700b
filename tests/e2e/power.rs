//! A guest that resets its machine, or turns it off, does nothing after that: the instruction behind is not executed.

use std::fs;
use std::time::Duration;

use api::control::Event;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::program::boot_sector;

const LIMIT: Duration = Duration::from_secs(180);

/// Sends `R`, resets by port CF9 (hard, as Linux does), and would send `!`.
const RESETS: [u8; 25] = [
    0xfa, 0xba, 0xf8, 0x03, 0xb0, b'R', 0xee, // cli; mov dx, 3f8; mov al, 'R'; out dx, al
    0xba, 0xf9, 0x0c, 0xb0, 0x02, 0xee, 0xb0, 0x06,
    0xee, // mov dx, cf9; mov al, 2; out dx, al; mov al, 6; out dx, al
    0xba, 0xf8, 0x03, 0xb0, b'!', 0xee, // mov dx, 3f8; mov al, '!'; out dx, al
    0xf4, 0xeb, 0xfd, // hlt; jmp back
];

/// Sends `O`, sets SLP_EN for S5 in PM1 control, where SeaBIOS puts it, and would send `!`.
const TURNS_OFF: [u8; 23] = [
    0xfa, 0xba, 0xf8, 0x03, 0xb0, b'O', 0xee, // cli; mov dx, 3f8; mov al, 'O'; out dx, al
    0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, // mov dx, 604; mov ax, 2000; out dx, ax
    0xba, 0xf8, 0x03, 0xb0, b'!', 0xee, // mov dx, 3f8; mov al, '!'; out dx, al
    0xf4, 0xeb, 0xfd, // hlt; jmp back
];

fn start(name: &str, code: &[u8]) -> Guest {
    let home = Home::new();
    let image = home.path().join("program.raw");
    fs::write(&image, boot_sector(code)).unwrap();
    fs::OpenOptions::new().write(true).open(&image).unwrap().set_len(1 << 20).unwrap();
    let image = image.to_str().expect("a path of plain characters");
    home.must(&["create", name, "--disk", image, "--firmware", "bios", "--memory", "256", "--cpus", "1"]);
    Guest::start_in(home, name)
}

#[test]
fn nothing_runs_behind_a_reset() {
    let mut guest = start("resets", &RESETS);
    for _ in 0..10 {
        guest.wait_event("a reset by the guest", LIMIT, |event| matches!(event, Event::Reset { guest: true, .. }));
    }
    guest.verb("power-off", &[]);
    guest.wait_end(LIMIT);
    let sent = guest.log("serial.log");
    assert!(sent.len() >= 10 && sent.bytes().all(|byte| byte == b'R'), "the serial port has sent {sent:?}");
}

#[test]
fn nothing_runs_behind_power_off() {
    let mut guest = start("turns-off", &TURNS_OFF);
    guest.wait_event("the guest turning itself off", LIMIT, |event| {
        matches!(event, Event::Shutdown { guest: true, .. })
    });
    guest.wait_end(LIMIT);
    assert_eq!(guest.log("serial.log"), "O");
}
