use std::sync::Mutex;

use device::bench::check_state;

use super::*;

const SIZE: u64 = 0x21000;

struct Fixture {
    flash: Pflash,
    shown: Arc<Mutex<Vec<bool>>>,
}

impl Fixture {
    fn new(writable: bool) -> Self {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        let memory = Arc::new(SharedMemory::new(1, file, false).unwrap());
        memory.region().as_volatile_slice().write_slice(&[0xee; SIZE as usize], 0).unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&shown);
        let flash = Pflash::new(memory, writable, Box::new(move |show| log.lock().unwrap().push(show)));
        Self { flash, shown }
    }

    fn read(&mut self, offset: u64) -> u8 {
        self.flash.read(offset, Size::Byte) as u8
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        for &byte in bytes {
            self.flash.write(offset, Size::Byte, byte.into());
        }
    }

    fn shown(&self) -> Vec<bool> {
        std::mem::take(&mut self.shown.lock().unwrap())
    }
}

#[test]
fn is_found_as_firmware_looks_for_it() {
    let mut f = Fixture::new(true);
    f.write(0x123, &[0x50]);
    assert_eq!(f.read(0x123), 0xee, "not RAM");
    f.write(0x123, &[0x70]);
    assert_eq!(f.read(0x123), 0x00, "flash with a clear status");
    f.write(0x123, &[0x10, 0xee, 0x70]);
    assert_eq!(f.read(0x123), 0x80, "writable");
    f.write(0x123, &[0xff]);
    assert_eq!(f.read(0x123), 0xee);
    assert_eq!(f.shown(), [false, true]);
}

#[test]
fn programs_and_erases() {
    let mut f = Fixture::new(true);
    for (i, byte) in [1, 2, 3].into_iter().enumerate() {
        f.write(0x1fff + i as u64, &[0x40, byte]);
    }
    assert_eq!(f.read(0x1fff), 0x80);
    f.write(0x2001, &[0xff]);
    assert_eq!([0x1ffe, 0x1fff, 0x2000, 0x2001, 0x2002].map(|at| f.read(at)), [0xee, 1, 2, 3, 0xee]);
    assert_eq!(f.flash.changes(), 3);
    f.write(0x2345, &[0x20]);
    assert_eq!(f.read(0), 0x80);
    f.write(0x2345, &[0xd0, 0xff]);
    assert_eq!([0x1fff, 0x2000, 0x2fff, 0x3000].map(|at| f.read(at)), [1, 0xff, 0xff, 0xee]);
    assert_eq!(f.flash.changes(), 3 + 0x1000);
    f.write(0x2345, &[0x20, 0xff]);
    assert_eq!(f.read(0x3000), 0xee, "erase taken back");
    f.write(0x3000, &[0x20, 0x33]);
    assert_eq!(f.read(0), 0xb0, "wrong sequence");
    f.write(0, &[0x50]);
    f.flash.write(0x4000, Size::Byte, 0x10);
    f.flash.write(0x4000, Size::Dword, 0x0403_0201);
    f.write(0, &[0xff]);
    assert_eq!(f.flash.read(0x4000, Size::Qword), 0xeeee_eeee_0403_0201);
}

#[test]
fn programs_by_the_buffer() {
    let mut f = Fixture::new(true);
    f.write(0x1080, &[0xe8, 2]);
    for (offset, byte) in [(0x1080, 7), (0x1082, 9), (0x1081, 8)] {
        f.write(offset, &[byte]);
    }
    assert_eq!(f.read(0), 0x80);
    assert_eq!(f.flash.changes(), 0, "not before it is confirmed");
    f.write(0x1080, &[0xd0, 0xff]);
    assert_eq!(f.flash.read(0x1080, Size::Dword) as u32, 0xee09_0807);
    f.write(0x1000, &[0xe8, 1, 5]);
    f.write(0x1100, &[5, 0xff]);
    assert_eq!(f.read(0x1000), 0xee, "the buffer does not reach so far");
    f.write(0, &[0x70]);
    assert_eq!(f.read(0), 0xb0);
}

#[test]
fn protected_chip_reports_errors_and_keeps_its_bytes() {
    let mut f = Fixture::new(false);
    f.write(0x1000, &[0x50, 0x10, 0x00]);
    assert_eq!(f.read(0), 0x90);
    f.write(0x1000, &[0x20, 0xd0]);
    assert_eq!(f.read(0), 0xb0);
    f.write(0x1000, &[0xe8, 0, 0, 0xd0, 0xff]);
    assert_eq!((f.read(0x1000), f.flash.changes()), (0xee, 0));
}

#[test]
fn says_what_it_is() {
    let mut f = Fixture::new(true);
    f.write(0, &[0x98]);
    assert_eq!([0x10, 0x11, 0x12].map(|at| f.read(at)), *b"QRY");
    assert_eq!([0x2d, 0x2e, 0x2f, 0x30].map(|at| f.read(at)), [0x20, 0, 0x10, 0]);
    f.write(0, &[0x90]);
    assert_eq!(f.flash.read(0, Size::Word), 0xffff_ffff_ffff_0000);
    f.write(0, &[0x60, 0x01]);
    assert_eq!(f.read(0), 0x80);
}

#[test]
fn survives_anything() {
    let mut f = Fixture::new(true);
    let sizes = [Size::Byte, Size::Word, Size::Dword, Size::Qword];
    for round in 0..0x8000u64 {
        let value = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let offset = [value >> 40, SIZE - 1, SIZE, u64::MAX][(value >> 20) as usize % 4] % (SIZE * 2);
        f.flash.write(offset, sizes[round as usize % 4], value);
        f.flash.read(offset, sizes[(round >> 2) as usize % 4]);
        if round % 16 == 0 {
            let saved = f.flash.save();
            f.flash.restore(saved).unwrap();
        }
    }
    f.flash.write(u64::MAX, Size::Qword, 0);
    assert_eq!(f.flash.read(u64::MAX, Size::Qword), u64::MAX);
    f.flash.reset();
    assert!(f.flash.shows_memory());
    assert_eq!(f.shown().last(), Some(&true));
}

#[test]
fn state() {
    let mut f = Fixture::new(true);
    f.write(0x1000, &[0xe8, 3, 1]);
    f.shown();
    check_state(&mut f.flash, |flash| flash.reset());
    assert_eq!(f.shown(), [true, false]);
    f.write(0x1000, &[2, 3, 4, 0xd0, 0xff]);
    assert_eq!(f.read(0x1000), 4);
    for broken in [
        r#"{"view": "Array", "cycle": {"Fill": {"left": 257, "bytes": []}}, "status": 128}"#.to_owned(),
        r#"{"view": "Array", "cycle": "Command", "status": 1}"#.to_owned(),
        format!(r#"{{"view": "Array", "cycle": {{"Commit": {{"bytes": {:?}}}}}, "status": 0}}"#, vec![[0, 0]; 2049]),
    ] {
        assert!(f.flash.restore(serde_json::from_str(&broken).unwrap()).is_err(), "{broken}");
    }
}
