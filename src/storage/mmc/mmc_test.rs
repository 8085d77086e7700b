use std::sync::{Arc, Mutex};

use device::bench::{check_state, ram};
use proptest::prelude::*;

use super::*;

const CD: usize = 300 * 2048;
const DVD: usize = (CD_BLOCKS as usize + 1000) * 2048;

fn medium(bytes: usize) -> DiskQueue {
    DiskQueue::bench(vec![0; bytes], ram(0x1000), true)
}

/// A drive whose unit attention has been heard.
fn drive(bytes: usize) -> Cdrom {
    let mut cd = Cdrom::new(Some(medium(bytes)));
    assert_eq!(cd.execute(&[0]), Outcome::Check);
    assert_eq!(cd.sense(), Sense::RESET);
    cd
}

fn data(cd: &mut Cdrom, cdb: &[u8]) -> Vec<u8> {
    match cd.execute(cdb) {
        Outcome::Data(bytes) => bytes,
        other => panic!("{cdb:x?}: {other:?}, {:?}", cd.sense()),
    }
}

fn fails(cd: &mut Cdrom, cdb: &[u8]) -> Sense {
    assert_eq!(cd.execute(cdb), Outcome::Check, "{cdb:x?}");
    cd.sense()
}

#[test]
fn inquiry_and_identification() {
    let mut cd = Cdrom::new(None);
    let bytes = data(&mut cd, &[0x12, 0, 0, 0, 96]);
    assert_eq!((bytes.len(), &bytes[..5]), (36, &[5, 0x80, 5, 2, 31][..]));
    assert_eq!(data(&mut cd, &[0x12, 1, 0, 0, 96]), [5, 0, 0, 2, 0, 0x83]);
    assert_eq!(data(&mut cd, &[0x12, 1, 0x83, 0, 96]).len(), 32);
    assert_eq!(fails(&mut cd, &[0x12, 1, 0x80, 0, 96]), Sense::INVALID_FIELD);
    assert_eq!(fails(&mut cd, &[0x12, 0, 1, 0, 96]), Sense::INVALID_FIELD);
    assert_eq!(data(&mut cd, &[0x12, 0, 0, 0, 3]).len(), 3);
    assert_eq!(cd.execute(&[0x12, 0, 0, 0, 0]), Outcome::Done);
    assert_eq!(data(&mut cd, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16])[3], 8);
    // The reset is still to be heard of.
    assert_eq!(fails(&mut cd, &[0]), Sense::RESET);
    assert_eq!(fails(&mut cd, &[0]), Sense::NO_MEDIUM);
    assert_eq!(data(&mut cd, &[0x03, 0, 0, 0, 18])[2..14], [2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3a, 1]);
    assert_eq!(data(&mut cd, &[0x03, 0, 0, 0, 18])[2], 0);
    assert_eq!(fails(&mut cd, &[0xff]), Sense::UNKNOWN_COMMAND);
    assert_eq!(fails(&mut cd, &[]), Sense::NO_MEDIUM);
}

#[test]
fn table_of_contents() {
    let mut cd = drive(CD);
    let toc = data(&mut cd, &[0x43, 0, 0, 0, 0, 0, 0, 0, 100]);
    assert_eq!(toc, [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 1, 44]);
    let toc = data(&mut cd, &[0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100]);
    assert_eq!(toc, [0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 6, 0]);
    assert_eq!(fails(&mut cd, &[0x43, 0, 0, 0, 0, 0, 2, 0, 100]), Sense::INVALID_FIELD);
    assert_eq!(data(&mut cd, &[0x43, 0, 1, 0, 0, 0, 0, 0, 100]), [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    let raw = data(&mut cd, &[0x43, 2, 0, 0, 0, 0, 0, 0, 100, 0x80]);
    assert_eq!((raw.len(), raw[1]), (48, 46));
    assert_eq!(raw[26..37], [1, 0x14, 0, 0xa2, 0, 0, 0, 0, 0, 6, 0]);
    assert_eq!(fails(&mut cd, &[0x43, 0, 5, 0, 0, 0, 0, 0, 100]), Sense::INVALID_FIELD);
}

#[test]
fn configuration_follows_the_medium() {
    let profile = |cd: &mut Cdrom| data(cd, &[0x46, 0, 0, 0, 0, 0, 0, 0x10, 0])[6..8].to_vec();
    assert_eq!(profile(&mut drive(CD)), [0, 8]);
    assert_eq!(profile(&mut drive(DVD)), [0, 0x10]);
    let mut empty = Cdrom::new(None);
    assert_eq!(profile(&mut empty), [0, 0]);
    let mut cd = drive(CD);
    let all = data(&mut cd, &[0x46, 0, 0, 0, 0, 0, 0, 0x10, 0]);
    assert_eq!(all.len() as u32 - 4, u32::from_be_bytes([all[0], all[1], all[2], all[3]]));
    let mut at = 8;
    let mut codes = Vec::new();
    while at < all.len() {
        codes.push(u16::from_be_bytes([all[at], all[at + 1]]));
        at += 4 + usize::from(all[at + 3]);
    }
    assert_eq!(codes, [0, 1, 2, 3, 0x10, 0x1d, 0x1e, 0x1f, 0x100, 0x105]);
    let one = data(&mut cd, &[0x46, 2, 0, 3, 0, 0, 0, 1, 0]);
    assert_eq!(one[8..], [0, 3, 7, 4, 0x39, 0, 0, 0]);
    let current = data(&mut cd, &[0x46, 1, 0, 0x1e, 0, 0, 0, 1, 0]);
    assert_eq!(current[8..10], [0, 0x1e]);
    assert!(!current.windows(2).any(|window| window == [0, 0x1f]));
    assert_eq!(fails(&mut cd, &[0x46, 3]), Sense::INVALID_FIELD);
}

#[test]
fn disc_facts() {
    let mut cd = drive(CD);
    assert_eq!(data(&mut cd, &[0x25]), [0, 0, 1, 43, 0, 0, 8, 0]);
    assert_eq!(data(&mut cd, &[0x51, 0, 0, 0, 0, 0, 0, 0, 34])[..7], [0, 32, 0x0e, 1, 1, 1, 1]);
    assert_eq!(data(&mut cd, &[0x52, 1, 0, 0, 0, 1, 0, 0, 36])[24..28], [0, 0, 1, 44]);
    assert_eq!(fails(&mut cd, &[0x52, 1, 0, 0, 0, 2, 0, 0, 36]), Sense::INVALID_FIELD);
    assert_eq!(fails(&mut cd, &[0xad, 0, 0, 0, 0, 0, 0, 0, 8]), Sense::WRONG_MEDIUM);
    let mut dvd = drive(DVD);
    let structure = data(&mut dvd, &[0xad, 0, 0, 0, 0, 0, 0, 0, 0, 16]);
    assert_eq!(structure[..2], 2050u16.to_be_bytes());
    assert_eq!(structure[12..], (0x3_0000 + CD_BLOCKS + 999).to_be_bytes());
    assert_eq!(data(&mut cd, &[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]).len(), 8);
}

#[test]
fn mode_pages() {
    let mut cd = drive(CD);
    let page = data(&mut cd, &[0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255]);
    assert_eq!((page.len(), page[1], page[8], page[9], page[14]), (30, 28, 0x2a, 20, 0x29));
    cd.execute(&[0x1e, 0, 0, 0, 1]);
    assert_eq!(data(&mut cd, &[0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255])[14], 0x2b);
    assert_eq!(data(&mut cd, &[0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255]).len(), 8 + 12 + 12 + 22);
    assert!(data(&mut cd, &[0x5a, 0, 0x6a, 0, 0, 0, 0, 0, 255])[10..].iter().all(|byte| *byte == 0));
    assert_eq!(fails(&mut cd, &[0x5a, 0, 0xea, 0, 0, 0, 0, 0, 255]), Sense::NO_SAVING);
    assert_eq!(fails(&mut cd, &[0x5a, 0, 0x05, 0, 0, 0, 0, 0, 255]), Sense::INVALID_FIELD);
    assert_eq!(data(&mut cd, &[0x1a, 0, 0x01, 0, 255])[0], 15);
    for (list, wanted) in [
        (vec![], Outcome::Done),
        (vec![0; 8], Outcome::Done),
        (vec![0; 7], Outcome::Check),
        (vec![0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 2, 0, 0], Outcome::Done),
        (vec![0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 3, 0, 0], Outcome::Check),
        (vec![0, 0, 0, 0, 0, 0, 0, 0, 0x07, 2, 0, 0], Outcome::Check),
        (vec![0, 0, 0, 0, 0, 0, 0xff, 0xff], Outcome::Check),
    ] {
        assert_eq!(cd.receive(&list), wanted, "{list:x?}");
    }
}

#[test]
fn reading() {
    let mut cd = drive(CD);
    let read = |at, len| Outcome::Read { at, len };
    assert_eq!(cd.execute(&[0x28, 0, 0, 0, 1, 0, 0, 0, 44]), read(256 * 2048, 44 * 2048));
    assert_eq!(cd.execute(&[0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 1]), read(7 * 2048, 2048));
    assert_eq!(cd.execute(&[0xbe, 0, 0, 0, 0, 7, 0, 0, 1, 0x10]), read(7 * 2048, 2048));
    assert_eq!(cd.execute(&[0xbe, 0, 0, 0, 0, 7, 0, 0, 1, 0]), Outcome::Done);
    assert_eq!(fails(&mut cd, &[0xbe, 0, 0, 0, 0, 7, 0, 0, 1, 0xf8]), Sense::INVALID_FIELD);
    assert_eq!(cd.execute(&[0x28, 0, 0, 0, 1, 0, 0, 0, 0]), Outcome::Done);
    assert_eq!(fails(&mut cd, &[0x28, 0, 0, 0, 1, 0, 0, 0, 45]), Sense::OUT_OF_RANGE);
    assert_eq!(fails(&mut cd, &[0xa8, 0, 255, 255, 255, 255, 255, 255, 255, 255]), Sense::OUT_OF_RANGE);
    cd.read_failed();
    assert_eq!(data(&mut cd, &[0x03, 0, 0, 0, 18])[2], 3);
    assert_eq!(cd.execute(&[0x2b, 0, 0, 0, 1, 43]), Outcome::Done);
    assert_eq!(fails(&mut cd, &[0x2b, 0, 0, 0, 1, 44]), Sense::OUT_OF_RANGE);
}

struct Tray(Arc<Mutex<Vec<bool>>>);
impl TraySink for Tray {
    fn moved(&self, open: bool) {
        self.0.lock().unwrap().push(open);
    }
}

#[test]
fn the_tray() {
    let mut cd = drive(CD);
    let moves = Arc::new(Mutex::new(Vec::new()));
    cd.set_tray_sink(Box::new(Tray(moves.clone())));
    let (eject, load, unlock) = ([0x1b, 0, 0, 0, 2], [0x1b, 0, 0, 0, 3], [0x1e, 0, 0, 0, 0]);
    cd.execute(&[0x1e, 0, 0, 0, 1]);
    assert_eq!(fails(&mut cd, &eject), Sense::LOCKED);
    cd.execute(&unlock);
    assert_eq!(cd.execute(&eject), Outcome::Done);
    assert_eq!(cd.execute(&eject), Outcome::Done);
    assert_eq!(fails(&mut cd, &[0]), Sense::TRAY_OPEN);
    assert!(cd.medium().is_none());
    assert_eq!(data(&mut cd, &[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8])[4..6], [3, 1]);
    assert_eq!(cd.execute(&load), Outcome::Done);
    assert_eq!(fails(&mut cd, &[0]), Sense::MEDIUM_CHANGED);
    assert_eq!(cd.execute(&[0]), Outcome::Done);
    assert_eq!(*moves.lock().unwrap(), [true, false]);
    // START and STOP without LOEJ, and power conditions, move nothing.
    cd.execute(&[0x1b, 0, 0, 0, 0]);
    cd.execute(&[0x1b, 0, 0, 0, 0x32]);
    assert!(!cd.is_open());
    // The person takes it out: refused while locked, unless forced.
    cd.execute(&[0x1e, 0, 0, 0, 1]);
    assert!(cd.insert(None, false).is_err());
    assert!(cd.insert(None, true).unwrap().is_some());
    assert_eq!(fails(&mut cd, &[0]), Sense::NO_MEDIUM);
    assert_eq!(data(&mut cd, &[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8])[4..6], [3, 0]);
    assert_eq!(data(&mut cd, &[0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8]), [0, 2, 0x80, 0x10]);
    assert_eq!(fails(&mut cd, &[0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8]), Sense::INVALID_FIELD);
}

#[test]
fn state() {
    let mut cd = drive(CD);
    cd.execute(&[0x1e, 0, 0, 0, 1]);
    cd.execute(&[0x28, 255]);
    check_state(&mut cd, Cdrom::reset);
}

proptest! {
    /// Any command, with a medium or without: an answer, never longer than there is room for, and reads within the medium.
    #[test]
    fn any_command_is_answered(cdbs in prop::collection::vec(any::<[u8; 12]>(), 1..20), parameters in prop::collection::vec(any::<u8>(), 0..64), present in any::<bool>()) {
        let mut cd = if present { drive(CD) } else { Cdrom::new(None) };
        for cdb in cdbs {
            match cd.execute(&cdb) {
                Outcome::Read { at, len } => prop_assert!(present && at + len <= CD as u64),
                Outcome::Data(bytes) => prop_assert!(!bytes.is_empty() && bytes.len() < 4096),
                Outcome::Receive(_) => { cd.receive(&parameters); }
                Outcome::Done => {}
                Outcome::Check => prop_assert_ne!(cd.sense().key, 0),
            }
        }
    }
}
