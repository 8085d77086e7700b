//! Files on an ISO 9660 file system, found by their paths (ECMA-119, chapter 9). Names are those of the primary volume descriptor.

use super::contents::Contents;
use super::iso::{SECTOR, Volume};
use super::{Image, le32};

/// Most bytes of a directory.
const DIRECTORY: u32 = 1 << 20;
/// File flags (ECMA-119, 9.1.6).
const IS_DIRECTORY: u8 = 1 << 1;
const GOES_ON: u8 = 1 << 7;

/// A directory record: what this is about.
struct Record<'a> {
    sector: u32,
    bytes: u32,
    flags: u8,
    name: &'a [u8],
}

/// The file at this path, each name in whatever case and without its version.
pub(super) fn file(image: &Image<'_>, volume: &Volume, path: &[&str]) -> Option<Contents> {
    let (last, folders) = path.split_last()?;
    let mut directory = read(image, volume.root)?;
    for name in folders {
        let found = records(&directory).find(|record| record.flags & IS_DIRECTORY != 0 && record.is(name))?;
        directory = read(image, (found.sector, found.bytes))?;
    }
    // A file of 4 GiB and more has several records, one behind the other.
    let mut contents = Contents::default();
    let mut pieces =
        records(&directory).skip_while(|record| record.flags & IS_DIRECTORY != 0 || !record.is(last)).peekable();
    pieces.peek()?;
    for piece in pieces {
        if !piece.is(last) {
            return None;
        }
        contents.push(u64::from(piece.sector) * SECTOR, piece.bytes.into())?;
        if piece.flags & GOES_ON == 0 {
            return Some(contents);
        }
    }
    None
}

fn read(image: &Image<'_>, (sector, bytes): (u32, u32)) -> Option<Vec<u8>> {
    let mut directory = vec![0; bytes.min(DIRECTORY) as usize];
    image.read_into(u64::from(sector) * SECTOR, &mut directory)?;
    Some(directory)
}

/// A directory's records; none of them crosses a sector's end, and zeros fill up what is left of one.
fn records(directory: &[u8]) -> impl Iterator<Item = Record<'_>> {
    directory.chunks(SECTOR as usize).flat_map(|sector| {
        let mut rest = sector;
        std::iter::from_fn(move || {
            let length = usize::from(*rest.first()?);
            let record = rest.get(..length).filter(|record| record.len() > 33)?;
            rest = &rest[length..];
            let name = record.get(33..33 + usize::from(record[32]))?;
            Some(Record { sector: le32(record, 2), bytes: le32(record, 10), flags: record[25], name })
        })
    })
}

impl Record<'_> {
    fn is(&self, name: &str) -> bool {
        let mut own = self.name.split(|&byte| byte == b';').next().unwrap_or_default();
        // A name without extension may have its dot all the same.
        if let Some(short) = own.strip_suffix(b".") {
            own = short;
        }
        own.eq_ignore_ascii_case(name.as_bytes())
    }
}

#[cfg(test)]
#[path = "iso_directory_test.rs"]
mod tests;
