//! Sparse files: which parts of a file are no holes (lseek(2), `SEEK_DATA` and `SEEK_HOLE`), so that copies keep them.
//!
//! Where a file system knows no holes, all of a file is one part.

use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The parts of a file that are no holes: where they start and end.
pub(crate) fn parts(file: &File, length: u64) -> impl Iterator<Item = io::Result<(u64, u64)>> {
    let mut position = 0;
    std::iter::from_fn(move || {
        if position >= length {
            return None;
        }
        let start = match seek(file, SeekFrom::Data(position)) {
            Ok(start) => start,
            // Nothing but a hole until the end.
            Err(Errno::NXIO) => return None,
            Err(error) => {
                position = length;
                return Some(Err(error.into()));
            }
        };
        let end = match seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(length),
            Err(error) => {
                position = length;
                return Some(Err(error.into()));
            }
        };
        position = end.max(start + 1);
        Some(Ok((start, end)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn parts_are_in_order_and_hold_all_that_is_written() {
        let file = tempfile::tempfile().unwrap();
        let of = |length: u64| parts(&file, length).collect::<io::Result<Vec<_>>>().unwrap();
        assert_eq!(of(0), []);
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"one", 5 << 20).unwrap();
        file.write_all_at(b"two", (64 << 20) - 3).unwrap();
        let found = of(64 << 20);
        for at in [5 << 20, (64 << 20) - 1] {
            assert!(found.iter().any(|(start, end)| (*start..*end).contains(&at)), "{found:?}");
        }
        assert!(found.is_sorted_by(|one, next| one.0 < one.1 && one.1 <= next.0), "{found:?}");
        assert_eq!(found.last().unwrap().1, 64 << 20);
        // No more than was asked for, of a file that has grown.
        assert!(of((5 << 20) + 1).iter().all(|(_, end)| *end <= (5 << 20) + 1));
    }
}
