//! A file's contents in an image: which pieces of the image they are, in order.

use super::Image;

/// Most pieces of a file. A DVD's installer has a piece for each GiB.
const PIECES: usize = 4096;

/// Where a file's bytes are in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Offset in the image, and bytes.
    pieces: Vec<(u64, u64)>,
    length: u64,
}

impl Contents {
    /// Adds a piece behind those there are; `None` when there are too many.
    pub(super) fn push(&mut self, offset: u64, bytes: u64) -> Option<()> {
        if self.pieces.len() >= PIECES {
            return None;
        }
        self.length = self.length.checked_add(bytes)?;
        self.pieces.push((offset, bytes));
        Some(())
    }

    /// The file has so many bytes, and the last piece may have more; `None` when the pieces have fewer.
    pub(super) fn truncate(&mut self, length: u64) -> Option<()> {
        (length <= self.length).then(|| self.length = length)
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads `count` bytes at `offset`; `None` when the file or the image ends before. The caller bounds `count`.
    pub(super) fn read(&self, image: &Image<'_>, offset: u64, count: usize) -> Option<Vec<u8>> {
        offset.checked_add(count as u64).filter(|&end| end <= self.length)?;
        let mut bytes = vec![0; count];
        let mut rest = bytes.as_mut_slice();
        let mut skip = offset;
        for &(start, length) in &self.pieces {
            if rest.is_empty() {
                break;
            }
            if skip >= length {
                skip -= length;
                continue;
            }
            let here = usize::try_from(length - skip).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(here);
            image.read_into(start.checked_add(skip)?, now)?;
            (rest, skip) = (later, 0);
        }
        rest.is_empty().then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined() {
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"0123456789", 0).unwrap();
        let image = Image { file: &file, start: 0, length: 10 };
        let mut contents = Contents::default();
        for (offset, bytes) in [(8, 2), (3, 0), (0, 3), (5, 1)] {
            contents.push(offset, bytes).unwrap();
        }
        assert_eq!(contents.read(&image, 0, 6).unwrap(), b"890125");
        assert_eq!(contents.read(&image, 1, 3).unwrap(), b"901");
        assert_eq!(contents.read(&image, 6, 0).unwrap(), b"");
        assert_eq!(contents.read(&image, 5, 2), None);
        assert_eq!(contents.read(&image, u64::MAX, 2), None);
        assert_eq!(contents.truncate(7), None);
        contents.truncate(4).unwrap();
        assert_eq!((contents.length(), contents.read(&image, 3, 2)), (4, None));
        contents.push(9, 2).unwrap();
        assert_eq!(contents.push(0, u64::MAX), None);
    }
}
