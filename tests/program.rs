//! Guests of a few instructions: a boot sector that a BIOS starts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// Bytes that one request of [`WRITER`] writes.
pub const REQUEST: u64 = 64 * SECTOR as u64;
/// How many requests it makes.
pub const REQUESTS: u64 = 1023;

/// A boot sector that writes itself, and what is behind it in memory, all over its disk: 64 sectors at a time by INT 13h, AH = 43h
/// (Enhanced Disk Drive 3.0), from sector 64 to 65535. Then it shows a `*`, or a `!` when the BIOS reported an error.
pub const WRITER: [u8; 62] = [
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

/// The first sector of a disk, whose code runs in real mode at 0000:7c00.
pub fn boot_sector(code: &[u8]) -> Vec<u8> {
    let mut sector = code.to_vec();
    assert!(sector.len() <= SECTOR - 2, "the code does not fit into a sector");
    sector.resize(SECTOR - 2, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

/// A raw image with [`WRITER`] on it.
///
/// # Errors
/// It cannot be written.
pub fn make_writer(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(&boot_sector(&WRITER))?;
    file.set_len((REQUESTS + 2) * REQUEST)
}

/// All that [`WRITER`] wrote is in the image.
#[track_caller]
pub fn check_written(image: &Path, format: &str) {
    let whole = image.with_extension("whole");
    let read = Command::new("qemu-img").args(["convert", "-O", "raw", "-f", format]).args([image, &whole]).status();
    assert!(read.expect("qemu-img can be run").success());
    let mut disk = File::open(&whole).expect("an image");
    for request in 1..=REQUESTS {
        let mut begin = [0; 0x36];
        disk.seek(SeekFrom::Start(request * REQUEST)).and_then(|_| disk.read_exact(&mut begin)).expect("an image");
        assert_eq!(begin, WRITER[..0x36], "request {request} was lost");
    }
}
