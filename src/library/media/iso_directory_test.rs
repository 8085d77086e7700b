use super::super::iso;
use super::*;

const BLOCK: usize = SECTOR as usize;

fn record(sector: u32, bytes: u32, flags: u8, name: &str) -> Vec<u8> {
    let mut record = vec![0; (33 + name.len()).next_multiple_of(2)];
    record[0] = record.len() as u8;
    record[2..6].copy_from_slice(&sector.to_le_bytes());
    record[10..14].copy_from_slice(&bytes.to_le_bytes());
    record[25] = flags;
    record[32] = name.len() as u8;
    record[33..33 + name.len()].copy_from_slice(name.as_bytes());
    record
}

/// A disc whose root is at sector 20 and has two sectors.
fn disc(first: &[Vec<u8>], second: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 40 * BLOCK];
    bytes[16 * BLOCK..][..7].copy_from_slice(b"\x01CD001\x01");
    bytes[16 * BLOCK + 156..][..34].copy_from_slice(&record(20, 2 * BLOCK as u32, IS_DIRECTORY, "\0"));
    for (sector, records) in [(20, first), (21, second)] {
        let records = records.concat();
        bytes[sector * BLOCK..][..records.len()].copy_from_slice(&records);
    }
    bytes
}

fn read(bytes: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let file = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).unwrap();
    let image = Image { file: &file, start: 0, length: bytes.len() as u64 };
    let found = super::file(&image, &iso::volume(&image)?, path)?;
    found.read(&image, 0, found.length().min(1 << 20) as usize)
}

#[test]
fn files_are_found() {
    let first = [record(22, 2048, IS_DIRECTORY, "SOURCES"), record(23, 5, 0, "README.;1")];
    let second =
        [record(24, 2048, GOES_ON, "LARGE.WIM;1"), record(30, 3, 0, "LARGE.WIM;1"), record(31, 9, 0, "LAST.TXT;1")];
    let mut bytes = disc(&first, &second);
    let inner = record(25, 6, 0, "INSTALL.WIM;1");
    bytes[22 * BLOCK..][..inner.len()].copy_from_slice(&inner);
    bytes[24 * BLOCK..25 * BLOCK].fill(b'a');
    for (sector, text) in [(23, "hello"), (25, "inside"), (30, "end"), (31, "last text")] {
        bytes[sector * BLOCK..][..text.len()].copy_from_slice(text.as_bytes());
    }
    assert_eq!(read(&bytes, &["readme"]).unwrap(), b"hello");
    assert_eq!(read(&bytes, &["sources", "install.wim"]).unwrap(), b"inside");
    let large = read(&bytes, &["large.wim"]).unwrap();
    assert!(large.len() == 2051 && large.ends_with(b"aaend"), "pieces are joined");
    assert_eq!(read(&bytes, &["last.txt"]).unwrap(), b"last text");
    assert_eq!(read(&bytes, &["sources"]), None, "a directory is no file");
    assert_eq!(read(&bytes, &["readme", "x"]), None);
    assert_eq!(read(&bytes, &["install.wim"]), None);
    assert_eq!(read(&bytes, &[]), None);
}

#[test]
fn a_file_whose_end_is_missing_is_none() {
    let bytes = disc(&[record(23, 5, GOES_ON, "A"), record(23, 5, 0, "B")], &[]);
    assert_eq!(read(&bytes, &["a"]), None);
    assert_eq!(read(&disc(&[record(23, 5, GOES_ON, "A")], &[]), &["a"]), None);
    assert_eq!(read(&disc(&[record(u32::MAX, 5, 0, "A")], &[]), &["a"]), None);
}

proptest::proptest! {
    #[test]
    fn garbage_is_survived(
        changes in proptest::collection::vec((0usize..300, proptest::num::u8::ANY), 0..40),
        directory in proptest::collection::vec(proptest::num::u8::ANY, 0..2 * BLOCK),
    ) {
        let mut bytes = disc(&[record(22, 2048, IS_DIRECTORY, "SOURCES"), record(23, 5, 0, "A")], &[]);
        for (at, value) in changes {
            bytes[20 * BLOCK + at] = value;
            bytes[16 * BLOCK + 150 + at % 50] ^= value;
        }
        bytes[22 * BLOCK..][..directory.len()].copy_from_slice(&directory);
        let _ = read(&bytes, &["a"]);
        let _ = read(&bytes, &["sources", "x"]);
    }
}
