//! `etc/table-loader`: how firmware puts tables into the guest's memory and links them.
//!
//! A list of commands of 128 bytes: allocate a file, add its address to a pointer in another, fix a checksum. SeaBIOS and OVMF run
//! them in order. A command 0 does nothing, so that the list may be padded.

/// Bytes of a command.
const COMMAND: usize = 128;
/// Bytes of a file's name in it, with its closing zero.
const NAME: usize = 56;

const ALLOCATE: u32 = 1;
const ADD_POINTER: u32 = 2;
const ADD_CHECKSUM: u32 = 3;

/// Where firmware puts a file.
#[derive(Clone, Copy)]
pub(super) enum Zone {
    /// Anywhere below 4 GiB.
    High = 1,
    /// F0000–FFFFF, where systems look for entry points.
    FSegment = 2,
}

/// A pointer's width.
#[derive(Clone, Copy)]
pub(super) enum Pointer {
    /// 32 bits.
    Dword = 4,
    /// 64 bits.
    Qword = 8,
}

/// The commands so far.
#[derive(Default)]
pub(super) struct TableLoader {
    bytes: Vec<u8>,
}

impl TableLoader {
    /// Loads `file` at a multiple of `align`, a power of two.
    pub(super) fn allocate(&mut self, file: &str, align: u32, zone: Zone) {
        self.command(ALLOCATE, &[file], &[&align.to_le_bytes(), &[zone as u8]]);
    }

    /// Adds the address of `pointee` to the pointer at `offset` of `file`, which holds an offset in `pointee`.
    pub(super) fn add_pointer(&mut self, file: &str, pointee: &str, offset: usize, width: Pointer) {
        self.command(ADD_POINTER, &[file, pointee], &[&(offset as u32).to_le_bytes(), &[width as u8]]);
    }

    /// Sets the byte at `offset` of `file`, which is 0 yet, so that the `length` bytes from `start` sum to 0.
    pub(super) fn add_checksum(&mut self, file: &str, offset: usize, start: usize, length: usize) {
        let [offset, start, length] = [offset, start, length].map(|number| (number as u32).to_le_bytes());
        self.command(ADD_CHECKSUM, &[file], &[&offset, &start, &length]);
    }

    fn command(&mut self, command: u32, names: &[&str], rest: &[&[u8]]) {
        let start = self.bytes.len();
        self.bytes.extend(command.to_le_bytes());
        for name in names {
            let end = self.bytes.len() + NAME;
            self.bytes.extend(name.as_bytes());
            self.bytes.resize(end, 0);
        }
        for field in rest {
            self.bytes.extend(*field);
        }
        self.bytes.resize(start + COMMAND, 0);
    }

    /// The file, padded to a multiple of `size` bytes.
    pub(super) fn finish(mut self, size: usize) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(size), 0);
        self.bytes
    }
}

#[cfg(test)]
pub(super) mod play {
    //! Firmware's side of the list.

    use std::collections::BTreeMap;

    use super::*;

    /// Runs a list over `files`, giving each the address that `place` names. Panics on what firmware would refuse.
    pub(in crate::firmware) fn run(
        list: &[u8],
        files: &mut BTreeMap<String, Vec<u8>>,
        place: impl Fn(&str, u32, u8) -> u64,
    ) -> BTreeMap<String, u64> {
        let mut placed = BTreeMap::new();
        assert_eq!(list.len() % COMMAND, 0);
        for command in list.chunks(COMMAND) {
            let dword = |at: usize| u32::from_le_bytes(command[at..at + 4].try_into().unwrap());
            let name = |at: usize| {
                let bytes = &command[at..at + NAME];
                String::from_utf8(bytes.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap()
            };
            match dword(0) {
                0 => {}
                ALLOCATE => {
                    let file = name(4);
                    assert!(files.contains_key(&file));
                    let (align, zone) = (dword(60), command[64]);
                    assert!(align.is_power_of_two() && align <= 4096);
                    placed.insert(file.clone(), place(&file, align, zone));
                }
                ADD_POINTER => {
                    let (at, width) = (dword(116) as usize, usize::from(command[120]));
                    let pointee = name(60);
                    let limit = files[&pointee].len() as u64;
                    let field = &mut files.get_mut(&name(4)).unwrap()[at..at + width];
                    let mut value = [0; 8];
                    value[..width].copy_from_slice(field);
                    let offset = u64::from_le_bytes(value);
                    assert!(offset < limit);
                    field.copy_from_slice(&(offset + placed[&pointee]).to_le_bytes()[..width]);
                }
                ADD_CHECKSUM => {
                    let (at, start, length) = (dword(60) as usize, dword(64) as usize, dword(68) as usize);
                    let file = files.get_mut(&name(4)).unwrap();
                    assert!((start..start + length).contains(&at));
                    assert_eq!(file[at], 0);
                    let sum = file[start..start + length].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                    file[at] = sum.wrapping_neg();
                }
                other => panic!("command {other}"),
            }
        }
        placed
    }
}
