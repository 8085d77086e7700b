use std::process::Command;

use super::*;

const BLOCK: usize = SECTOR as usize;
/// First sector of the partition, and its length.
const START: usize = 270;
const SECTORS: u32 = 40;

/// A disc by hand. `wide`: extended file entries with `long_ad`s, the root directory in its own entry, the file's list of pieces continued
/// in a descriptor of its own.
pub(in crate::media) fn disc(wide: bool, name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (START + SECTORS as usize) * BLOCK];
    let put = |bytes: &mut Vec<u8>, sector: usize, at: usize, value: &[u8]| {
        bytes[sector * BLOCK + at..][..value.len()].copy_from_slice(value);
    };
    for (sector, id) in [(16, b"BEA01"), (17, if wide { b"NSR03" } else { b"NSR02" }), (18, b"TEA01")] {
        put(&mut bytes, sector, 1, id);
    }
    // The anchor, and a sequence of two descriptors and an end.
    put(&mut bytes, 256, 16, &(16 * BLOCK as u32).to_le_bytes());
    put(&mut bytes, 256, 20, &257u32.to_le_bytes());
    put(&mut bytes, 257, 22, &7u16.to_le_bytes());
    put(&mut bytes, 257, 188, &(START as u32).to_le_bytes());
    put(&mut bytes, 257, 192, &SECTORS.to_le_bytes());
    put(&mut bytes, 258, 212, &(BLOCK as u32).to_le_bytes());
    put(&mut bytes, 258, 248 + 4, &2u32.to_le_bytes());
    put(&mut bytes, 258, 264, &[6, 0, 0, 0, 1, 0, 0, 0]);
    put(&mut bytes, 258, 440, &[1, 6, 1, 0, 7, 0]);
    // The file set, the root at block 3, its child at block 5.
    put(&mut bytes, START + 2, 400 + 4, &3u32.to_le_bytes());
    let mut child = vec![0u8; 38];
    child[18] = 0;
    child[19] = name.len() as u8 + 1;
    child[24..28].copy_from_slice(&5u32.to_le_bytes());
    child.push(8);
    child.extend(name.as_bytes());
    child.resize(child.len().next_multiple_of(4), 0);
    sign(&mut child, tag::FILE_IDENTIFIER);
    let mut above = vec![0u8; 40];
    above[18] = 0b1010;
    sign(&mut above, tag::FILE_IDENTIFIER);
    let directory = [above, child].concat();
    let (lengths, entry) = if wide { (208, tag::EXTENDED_FILE_ENTRY) } else { (168, tag::FILE_ENTRY) };
    let file = |bytes: &mut Vec<u8>, block: usize, how: u16, length: usize, list: &[u8]| {
        let sector = START + block;
        put(bytes, sector, 34, &how.to_le_bytes());
        put(bytes, sector, 56, &(length as u64).to_le_bytes());
        put(bytes, sector, lengths + 4, &(list.len() as u32).to_le_bytes());
        put(bytes, sector, lengths + 8, list);
        sign(&mut bytes[sector * BLOCK..], entry);
    };
    let short = |bytes: usize, block: u32| [(bytes as u32).to_le_bytes(), block.to_le_bytes()].concat();
    let long = |kind: u32, bytes: usize, block: u32| {
        [(bytes as u32 | kind << 30).to_le_bytes().as_slice(), &block.to_le_bytes(), &[0; 8]].concat()
    };
    let (first, second) = content.split_at(content.len().min(BLOCK));
    if wide {
        file(&mut bytes, 3, 3, directory.len(), &directory);
        file(&mut bytes, 5, 1, content.len(), &[long(0, first.len(), 20), long(3, BLOCK, 8)].concat());
        let list = long(0, second.len(), 10);
        put(&mut bytes, START + 8, 20, &(list.len() as u32).to_le_bytes());
        put(&mut bytes, START + 8, 24, &list);
        sign(&mut bytes[(START + 8) * BLOCK..], tag::ALLOCATION_EXTENT);
    } else {
        put(&mut bytes, START + 4, 0, &directory);
        file(&mut bytes, 3, 0, directory.len(), &short(directory.len(), 4));
        file(&mut bytes, 5, 0, content.len(), &[short(first.len(), 20), short(second.len(), 10)].concat());
    }
    put(&mut bytes, START + 20, 0, first);
    put(&mut bytes, START + 10, 0, second);
    for (sector, id) in [
        (256, tag::ANCHOR),
        (257, tag::PARTITION),
        (258, tag::LOGICAL_VOLUME),
        (259, tag::TERMINATING),
        (START + 2, tag::FILE_SET),
    ] {
        sign(&mut bytes[sector * BLOCK..], id);
    }
    bytes
}

/// Puts the tag that belongs there before a descriptor.
fn sign(bytes: &mut [u8], id: u16) {
    bytes[..2].copy_from_slice(&id.to_le_bytes());
    bytes[2] = 3;
    bytes[4] = 0;
    bytes[4] = bytes[..16].iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
}

fn read(bytes: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let file = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).unwrap();
    let image = Image { file: &file, start: 0, length: bytes.len() as u64 };
    let found = Volume::open(&image)?.file(path)?;
    found.read(&image, 0, found.length().min(1 << 20) as usize)
}

#[test]
fn files_are_found() {
    let content: Vec<u8> = (0..3000u32).map(|n| (n % 251) as u8).collect();
    for wide in [false, true] {
        let mut bytes = disc(wide, "Setup.exe", &content);
        assert_eq!(read(&bytes, &["setup.EXE"]).unwrap(), content, "{wide}");
        assert_eq!(read(&bytes, &["setup"]), None);
        assert_eq!(read(&bytes, &["setup.exe", "x"]), None, "a file is no directory");
        // The anchor may be at the end.
        let anchor = bytes[256 * BLOCK..257 * BLOCK].to_vec();
        bytes.extend(anchor);
        bytes[256 * BLOCK..257 * BLOCK].fill(0);
        assert!(read(&bytes, &["setup.exe"]).is_some());
        bytes[257 * BLOCK + 192..][..4].copy_from_slice(&10u32.to_le_bytes());
        assert_eq!(read(&bytes, &["setup.exe"]), None, "nothing lies outside of the partition");
    }
    assert_eq!(read(&vec![0; 300 * BLOCK], &["x"]), None);
}

#[test]
fn a_list_that_goes_on_for_ever_ends() {
    let mut bytes = disc(true, "x", &[7; 3000]);
    let at = (START + 8) * BLOCK + 24;
    // It continues in itself.
    bytes[at..at + 4].copy_from_slice(&(3u32 << 30 | BLOCK as u32).to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&8u32.to_le_bytes());
    assert_eq!(read(&bytes, &["x"]), None, "too few pieces for its length");
}

#[test]
fn discs_of_another_tool() {
    let folder = tempfile::tempdir().unwrap();
    let (content, iso) = (folder.path().join("content"), folder.path().join("made.iso"));
    std::fs::create_dir_all(content.join("Sources/größer")).unwrap();
    let text: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(content.join("Sources/Install.wim"), &text).unwrap();
    std::fs::write(content.join("Sources/größer/a long name with spaces.txt"), b"inside").unwrap();
    let many = content.join("many");
    std::fs::create_dir(&many).unwrap();
    (0..400).for_each(|number| std::fs::write(many.join(format!("file number {number}")), [number as u8]).unwrap());
    let made = Command::new("genisoimage").args(["-quiet", "-udf", "-V", "DISC", "-o"]).args([&iso, &content]).output();
    let Ok(made) = made else {
        eprintln!("SKIPPED: genisoimage is not installed");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bytes = std::fs::read(&iso).unwrap();
    assert_eq!(read(&bytes, &["sources", "install.wim"]).unwrap(), text);
    assert_eq!(read(&bytes, &["sources", "größer", "a long name with spaces.txt"]).unwrap(), b"inside");
    assert_eq!(read(&bytes, &["many", "file number 399"]).unwrap(), [399u32 as u8]);
    assert_eq!(read(&bytes, &["sources", "install.esd"]), None);
}

proptest::proptest! {
    #[test]
    fn garbage_is_survived(
        wide: bool,
        // Not the tags, or little of the rest would be read.
        changes in proptest::collection::vec((0usize..START + 12, 16usize..600, proptest::num::u8::ANY), 0..60),
        sectors in 0usize..START + SECTORS as usize,
    ) {
        let mut bytes = disc(wide, "x", &[7; 3000]);
        for (sector, at, value) in changes {
            // Where it matters most.
            let sector = if sector < 256 { START + sector % 12 } else { sector };
            bytes[sector * BLOCK + at] = value;
        }
        if sectors > START + 21 {
            bytes.truncate(sectors * BLOCK);
        }
        let _ = read(&bytes, &["x"]);
    }
}
