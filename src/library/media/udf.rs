//! Files on a UDF file system (OSTA UDF 1.02 to 2.01 over ECMA-167, third edition), as DVDs of Windows have it beside ISO 9660.
//!
//! As much as finds a file by its path: the anchor, the volume's descriptors, the root directory, file entries. Read-only discs that
//! are written once and whole are like that; partitions with a table of their own (virtual, sparable, metadata) are not looked into.

use super::contents::Contents;
use super::{Image, le16, le32, le64};

/// A disc's sector, and the only block size on discs.
const SECTOR: u64 = 2048;
/// Where the anchor is (ECMA-167 3/8.4.2.1); the other places are at the end.
const ANCHOR: u64 = 256;
/// More volume descriptors than any disc has.
const DESCRIPTORS: u64 = 64;
/// Most partitions that a volume may name (UDF 2.2.4: two).
const PARTITIONS: usize = 4;
/// Most bytes of a directory.
const DIRECTORY: u64 = 1 << 20;
/// Most descriptors that continue a file's list of pieces.
const CONTINUATIONS: usize = 64;

/// Tag identifiers (ECMA-167 3/7.2.1, 4/7.2.1).
mod tag {
    pub(super) const ANCHOR: u16 = 2;
    pub(super) const PARTITION: u16 = 5;
    pub(super) const LOGICAL_VOLUME: u16 = 6;
    pub(super) const TERMINATING: u16 = 8;
    pub(super) const FILE_SET: u16 = 256;
    pub(super) const FILE_IDENTIFIER: u16 = 257;
    pub(super) const ALLOCATION_EXTENT: u16 = 258;
    pub(super) const FILE_ENTRY: u16 = 261;
    pub(super) const EXTENDED_FILE_ENTRY: u16 = 266;
}

/// A block of a partition (`long_ad` without its length, ECMA-167 4/14.14.2).
#[derive(Clone, Copy, Debug)]
struct Place {
    block: u32,
    partition: u16,
}

impl Place {
    /// From a `long_ad`.
    fn of(descriptor: &[u8]) -> Self {
        Self { block: le32(descriptor, 4), partition: le16(descriptor, 8) }
    }
}

/// A partition's first sector, and how many it has.
#[derive(Clone, Copy, Debug)]
struct Partition {
    number: u16,
    start: u32,
    sectors: u32,
}

/// A UDF volume.
pub(super) struct Volume<'a> {
    image: &'a Image<'a>,
    /// As allocation descriptors count them.
    partitions: Vec<Option<Partition>>,
    file_set: Place,
}

/// The type of a descriptor whose tag is right.
fn tag_of(bytes: &[u8]) -> Option<u16> {
    let (number, version) = (le16(bytes, 0), le16(bytes, 2));
    let sum = bytes[..16].iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)).wrapping_sub(bytes[4]);
    (matches!(version, 2 | 3) && sum == bytes[4]).then_some(number)
}

/// A sector that begins with this descriptor.
fn descriptor(image: &Image<'_>, sector: u64, wanted: u16) -> Option<[u8; 2048]> {
    let bytes = image.read::<2048>(sector.checked_mul(SECTOR)?)?;
    (tag_of(&bytes)? == wanted).then_some(bytes)
}

/// A UDF file system on this image, with or without ISO 9660 beside it (ECMA-167 2/8, 3/9)?
pub(super) fn is_udf(image: &Image<'_>) -> bool {
    let identifier = |sector: u64| image.read::<6>(sector * SECTOR).and_then(|bytes| bytes[1..].first_chunk().copied());
    (16..16 + DESCRIPTORS)
        .map_while(|sector| identifier(sector).filter(|id: &[u8; 5]| id != &[0; 5]))
        .any(|id| &id == b"NSR02" || &id == b"NSR03")
}

impl<'a> Volume<'a> {
    /// The volume on this image.
    pub(super) fn open(image: &'a Image<'a>) -> Option<Self> {
        if !is_udf(image) {
            return None;
        }
        let last = (image.length / SECTOR).checked_sub(1)?;
        let anchors = [Some(ANCHOR), Some(last), last.checked_sub(256)];
        let anchor = anchors.into_iter().flatten().find_map(|sector| descriptor(image, sector, tag::ANCHOR))?;
        // The main sequence, else the reserve (ECMA-167 3/10.2).
        let sequences = [(le32(&anchor, 16), le32(&anchor, 20)), (le32(&anchor, 24), le32(&anchor, 28))];
        sequences
            .into_iter()
            .find_map(|(bytes, start)| Self::of_sequence(image, start.into(), u64::from(bytes) / SECTOR))
    }

    fn of_sequence(image: &'a Image<'a>, start: u64, sectors: u64) -> Option<Self> {
        let (mut there, mut volume) = (Vec::new(), None);
        for sector in start..start + sectors.min(DESCRIPTORS) {
            let Some(bytes) = image.read::<2048>(sector * SECTOR) else { break };
            match tag_of(&bytes) {
                Some(tag::PARTITION) if there.len() < PARTITIONS => there.push(Partition {
                    number: le16(&bytes, 22),
                    start: le32(&bytes, 188),
                    sectors: le32(&bytes, 192),
                }),
                Some(tag::LOGICAL_VOLUME) => volume = volume.or(Some(bytes)),
                Some(tag::TERMINATING) | None => break,
                Some(_) => {}
            }
        }
        let volume = volume.filter(|volume| u64::from(le32(volume, 212)) == SECTOR)?;
        let maps = &volume[440..];
        let mut maps = &maps[..maps.len().min(le32(&volume, 264) as usize)];
        let mut partitions = Vec::new();
        for _ in 0..PARTITIONS.min(le32(&volume, 268) as usize) {
            let length = usize::from(*maps.get(1)?);
            let map = maps.get(..length).filter(|map| map.len() >= 6)?;
            // Type 1: a partition as it is (ECMA-167 3/10.7.2).
            let number = (map[0] == 1).then(|| le16(map, 4));
            partitions.push(there.iter().find(|partition| Some(partition.number) == number).copied());
            maps = &maps[length..];
        }
        Some(Self { image, partitions, file_set: Place::of(&volume[248..264]) })
    }

    /// The file at this path, each name in whatever case.
    pub(super) fn file(&self, path: &[&str]) -> Option<Contents> {
        let set = self.image.read::<2048>(self.offset(self.file_set, 1)?)?;
        if tag_of(&set)? != tag::FILE_SET {
            return None;
        }
        let mut entry = Place::of(&set[400..416]);
        for name in path {
            let directory = self.contents(entry)?;
            let length = directory.length().min(DIRECTORY) as usize;
            entry = find(&directory.read(self.image, 0, length)?, name)?;
        }
        self.contents(entry)
    }

    /// Where a block with so many bytes behind it is, when the partition has it.
    fn offset(&self, place: Place, bytes: u64) -> Option<u64> {
        let partition = (*self.partitions.get(usize::from(place.partition))?)?;
        let end = u64::from(place.block).checked_add(bytes.div_ceil(SECTOR))?;
        (end <= u64::from(partition.sectors)).then(|| (u64::from(partition.start) + u64::from(place.block)) * SECTOR)
    }

    /// What a file entry (ECMA-167 4/14.9, 4/14.17) says where its file is.
    fn contents(&self, entry: Place) -> Option<Contents> {
        let at = self.offset(entry, SECTOR)?;
        let bytes = self.image.read::<2048>(at)?;
        let (attributes, list) = match tag_of(&bytes)? {
            tag::FILE_ENTRY => (168, 176),
            tag::EXTENDED_FILE_ENTRY => (208, 216),
            _ => return None,
        };
        let length = le64(&bytes, 56);
        let start = list + le32(&bytes, attributes) as usize;
        let end = start.checked_add(le32(&bytes, attributes + 4) as usize)?;
        let list = bytes.get(start..end)?;
        let mut contents = Contents::default();
        // How its pieces are listed (ECMA-167 4/14.6.8).
        let wide = match le16(&bytes, 34) & 7 {
            0 => false,
            1 => true,
            // In the entry itself.
            3 => {
                contents.push(at + start as u64, list.len() as u64)?;
                contents.truncate(length)?;
                return Some(contents);
            }
            _ => return None,
        };
        let mut next = self.pieces(list, wide, entry.partition, &mut contents)?;
        for _ in 0..CONTINUATIONS {
            let Some(place) = next else { break };
            let bytes = self.image.read::<2048>(self.offset(place, SECTOR)?)?;
            if tag_of(&bytes)? != tag::ALLOCATION_EXTENT {
                return None;
            }
            let list = bytes.get(24..24usize.checked_add(le32(&bytes, 20) as usize)?)?;
            next = self.pieces(list, wide, place.partition, &mut contents)?;
        }
        contents.truncate(length)?;
        Some(contents)
    }

    /// Takes over a list of pieces. Gives where the list goes on, if it does.
    fn pieces(&self, list: &[u8], wide: bool, partition: u16, contents: &mut Contents) -> Option<Option<Place>> {
        for piece in list.chunks_exact(if wide { 16 } else { 8 }) {
            let place = if wide { Place::of(piece) } else { Place { block: le32(piece, 4), partition } };
            let bytes = le32(piece, 0) & 0x3fff_ffff;
            match (le32(piece, 0) >> 30, bytes) {
                (_, 0) => break,
                (0, _) => contents.push(self.offset(place, bytes.into())?, bytes.into())?,
                (3, _) => return Some(Some(place)),
                // A file with holes: no installer is.
                _ => return None,
            }
        }
        Some(None)
    }
}

/// The entry of a name in a directory (ECMA-167 4/14.4).
fn find(directory: &[u8], name: &str) -> Option<Place> {
    /// File characteristics: deleted, and the directory above.
    const NOT_A_CHILD: u8 = 0b1100;
    let mut rest = directory;
    while rest.len() >= 38 && tag_of(rest) == Some(tag::FILE_IDENTIFIER) {
        let start = 38 + usize::from(le16(rest, 36));
        let end = start + usize::from(rest[19]);
        let identifier = rest.get(start..end)?;
        if rest[18] & NOT_A_CHILD == 0 && text(identifier).eq_ignore_ascii_case(name) {
            return Some(Place::of(&rest[20..36]));
        }
        rest = rest.get(end.next_multiple_of(4)..)?;
    }
    None
}

/// A name in OSTA's compressed Unicode (UDF 2.1.1).
fn text(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((8, rest)) => rest.iter().map(|&byte| char::from(byte)).collect(),
        Some((16, rest)) => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
#[path = "udf_test.rs"]
mod tests;
