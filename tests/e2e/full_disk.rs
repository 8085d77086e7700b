//! The computer's own disk runs full under a guest that writes: the machine pauses, says why, and goes on when there is room, and not one
//! of its writes is lost.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use api::control::Event;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::program::{SECTOR, boot_sector};

const LIMIT: Duration = Duration::from_secs(180);

/// Bytes that one request of the program writes, and how many requests it makes.
const REQUEST: u64 = 64 * SECTOR as u64;
const REQUESTS: u64 = 1023;

/// A boot sector that writes itself, and what is behind it in memory, all over its disk: 64 sectors at a time by INT 13h, AH = 43h
/// (Enhanced Disk Drive 3.0), from sector 64 to 65535. Then it shows a `*`, or a `!` when the BIOS reported an error.
const PROGRAM: [u8; 62] = [
    0xea, 0x05, 0x7c, 0x00, 0x00, // 00 ljmp 0:7c05
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, // 05 xor ax, ax; mov ds, ax; mov ss, ax
    0xbc, 0x00, 0x7c, // 0b mov sp, 7c00
    0xbe, 0x2e, 0x7c, // 0e mov si, packet
    0xb8, 0x00, 0x43, 0xb2, 0x80, 0xcd, 0x13, // 11 mov ax, 4300; mov dl, 80; int 13
    0xb0, 0x21, 0x72, 0x09, // 18 mov al, '!'; jc 25
    0x83, 0x06, 0x36, 0x7c, 0x40, // 1c add word [packet.sector], 64
    0x73, 0xeb, // 21 jnc 0e
    0xb0, 0x2a, // 23 mov al, '*'
    0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10, // 25 mov ah, 0e; xor bx, bx; int 10
    0xf4, 0xeb, 0xfd, // 2b hlt; jmp 2b
    0x10, 0x00, 0x40, 0x00, // 2e packet: its size, sectors
    0x00, 0x7c, 0x00, 0x00, // 32 from here
    0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // 36 to this sector
];

/// A file system of its own, which is full after 8 MiB.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn new(at: &'a Path) -> Self {
        fs::create_dir(at).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=8M", "small"], at);
        Self(at)
    }

    fn make_room(&self) {
        mount(&["-o", "remount,size=128M"], self.0);
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, because the engine may have its image open yet. What fails here ends with the test host.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().expect("mount can be run");
    assert!(status.success(), "mount {arguments:?}: {status}");
}

fn goes_on(format: &str, bus: &[&str]) {
    if std::env::var_os("DORMER_TEST_HOST").is_none() {
        println!("skipped: file systems are only mounted in a test host");
        return;
    }
    let home = Home::new();
    let folder = home.path().join("small");
    let small = SmallDisk::new(&folder);
    let raw = folder.join("program.raw");
    fs::write(&raw, boot_sector(&PROGRAM)).unwrap();
    fs::OpenOptions::new().write(true).open(&raw).unwrap().set_len((REQUESTS + 2) * REQUEST).unwrap();
    let image = folder.join(format!("disk.{format}"));
    let made = Command::new("qemu-img").args(["convert", "-f", "raw", "-O", format]).args([&raw, &image]).status();
    assert!(made.expect("qemu-img can be run").success());
    fs::remove_file(&raw).unwrap();

    let image_word = image.to_str().expect("a path of plain characters");
    let arguments = ["create", "writer", "--disk", image_word, "--firmware", "bios", "--memory", "256", "--cpus", "1"];
    home.must(&[&arguments, bus].concat());
    let mut guest = Guest::start_in(home, "writer");
    let full = |event: &Event| matches!(event, Event::BlockIoError { nospace: true, .. });
    guest.wait_event("a full disk", LIMIT, full);
    assert!(guest.home.must(&["list"]).contains("io-error"));

    // Without room it pauses again.
    guest.verb("resume", &[]);
    guest.wait_event("a disk that is still full", LIMIT, full);
    guest.home.must(&["wait", "writer", "--state", "io-error", "--timeout", "60"]);
    let seen = guest.text().expect("a text mode").concat();
    assert!(!seen.contains('*') && !seen.contains('!'), "the program learnt of it: {seen}");

    small.make_room();
    guest.verb("resume", &[]);
    guest.wait("the end of the program", LIMIT * 2, Duration::from_millis(200), |guest| {
        let seen = guest.text()?.concat();
        assert!(!seen.contains('!'), "the BIOS reported an error");
        seen.contains('*').then_some(())
    });
    let stats: serde_json::Value = serde_json::from_str(&guest.verb("stats", &["--json"])).expect("JSON");
    let disk = &stats["drives"][0];
    assert_eq!(disk["written"], REQUESTS * REQUEST, "what waited for room is counted once: {stats}");
    assert!(disk["read"].as_u64().is_some_and(|bytes| bytes >= SECTOR as u64), "the BIOS read the program: {stats}");
    let memory = stats["memory"]["used"].as_u64().unwrap();
    assert!(memory > REQUEST && memory <= 256 << 20, "{stats}");
    assert!(stats["processors"]["nanoseconds"].as_u64().unwrap() > 0, "{stats}");
    guest.verb("power-off", &[]);
    guest.wait_end(LIMIT);

    let whole = folder.join("whole.raw");
    let read = Command::new("qemu-img").args(["convert", "-O", "raw", "-f", format]).args([&image, &whole]).status();
    assert!(read.expect("qemu-img can be run").success());
    let mut disk = fs::File::open(&whole).unwrap();
    for request in 1..=REQUESTS {
        disk.seek(SeekFrom::Start(request * REQUEST)).unwrap();
        let mut begin = [0; 0x36];
        disk.read_exact(&mut begin).unwrap();
        assert_eq!(begin, PROGRAM[..0x36], "request {request} was lost");
    }
}

#[test]
fn a_raw_image_on_ahci() {
    goes_on("raw", &[]);
}

#[test]
fn a_qcow2_image_on_virtio() {
    goes_on("qcow2", &["--os", "debian13"]);
}
