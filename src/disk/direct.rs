//! A raw image that passes the host's page cache by: its file was opened with O_DIRECT (open(2), "O_DIRECT"; statx(2),
//! `stx_dio_offset_align` and `stx_dio_mem_align`).
//!
//! The kernel takes whole blocks from aligned memory only, and guests may ask for single sectors from anywhere. What is aligned goes
//! straight to and from guest memory; the rest goes through a buffer. A write that covers a block in part reads that block first, with
//! all other writers kept out meanwhile, or they would lose what they write beside it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, statx};
use vm_memory::VolatileSlice;

use crate::memory::{read_at, write_at};

/// The most that is moved at once through the buffer.
const CHUNK: u64 = 1 << 20;
/// What suits all file systems, for kernels that do not say (before Linux 6.1).
const USUAL: Alignment = Alignment { block: 4096, memory: 4096 };
/// The largest blocks that are bothered with.
const MOST: u64 = 64 << 10;

/// What the kernel wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alignment {
    /// Of places in the file and of lengths.
    block: u64,
    /// Of addresses.
    memory: u64,
}

/// Moves whole blocks. Clones are the same image.
#[derive(Clone)]
pub(crate) struct Direct {
    file: Arc<File>,
    alignment: Alignment,
    /// Who writes blocks in part holds it alone, other writers together.
    parts: Arc<RwLock<()>>,
}

impl Direct {
    /// None for a file that uses the cache. A file that cannot do without, whatever it was opened with, uses it from now on.
    pub(crate) fn of(file: &Arc<File>, size: u64) -> io::Result<Option<Self>> {
        let Some(alignment) = usable(file)? else { return Ok(None) };
        // A part of a block at the end could not be written.
        if !size.is_multiple_of(alignment.block) {
            use_cache(file)?;
            return Ok(None);
        }
        Ok(Some(Self { file: Arc::clone(file), alignment, parts: Arc::default() }))
    }

    pub(crate) fn read(&self, at: u64, to: &[VolatileSlice<'_>]) -> io::Result<()> {
        let len = length(to);
        if self.suits(at, len) && self.all_suit(to) {
            return read_at(self.file.as_fd(), at, to);
        }
        let mut rest = Cursor::new(to);
        self.chunks(at, len, |start, bytes, part| {
            self.read_blocks(start, bytes)?;
            rest.fill(&bytes[part]);
            Ok(())
        })
    }

    pub(crate) fn write(&self, at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()> {
        let len = length(from);
        if !self.suits(at, len) {
            let _alone = self.parts.write().unwrap_or_else(PoisonError::into_inner);
            return self.write_through(at, from, durable);
        }
        self.beside(|| match self.all_suit(from) {
            true => write_at(self.file.as_fd(), at, from, durable),
            false => self.write_through(at, from, durable),
        })
    }

    /// Does something to the file while nobody writes blocks in part.
    pub(crate) fn beside<R>(&self, act: impl FnOnce() -> R) -> R {
        let _together = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        act()
    }

    /// Writes by way of the buffer.
    fn write_through(&self, at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()> {
        let mut rest = Cursor::new(from);
        self.chunks(at, length(from), |start, bytes, part| {
            for range in kept(bytes.len(), &part, self.alignment.block as usize) {
                self.read_blocks(start + range.start as u64, &mut bytes[range])?;
            }
            rest.take(&mut bytes[part]);
            write_at(self.file.as_fd(), start, &[VolatileSlice::from(bytes)], durable)
        })
    }

    fn read_blocks(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        read_at(self.file.as_fd(), at, &[VolatileSlice::from(bytes)])
    }

    /// Goes through a range in whole blocks: tells where they start, gives room for them, and says which part of them is meant.
    fn chunks(
        &self,
        at: u64,
        len: u64,
        mut each: impl FnMut(u64, &mut [u8], Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let block = self.alignment.block;
        let end = at + len;
        let blocks = at / block * block..end.next_multiple_of(block);
        with_buffer((blocks.end - blocks.start).min(CHUNK), self.alignment, |buffer| {
            let mut start = blocks.start;
            while start < blocks.end {
                let stop = (start + CHUNK).min(blocks.end);
                let part = (at.max(start) - start) as usize..(end.min(stop) - start) as usize;
                each(start, &mut buffer[..(stop - start) as usize], part)?;
                start = stop;
            }
            Ok(())
        })
    }

    fn suits(&self, at: u64, len: u64) -> bool {
        (at | len).is_multiple_of(self.alignment.block)
    }

    fn all_suit(&self, slices: &[VolatileSlice<'_>]) -> bool {
        slices.iter().all(|slice| {
            let address = slice.ptr_guard().as_ptr() as u64;
            address.is_multiple_of(self.alignment.memory) && (slice.len() as u64).is_multiple_of(self.alignment.block)
        })
    }
}

/// Where the blocks are of a chunk of `len` bytes that keep something when `part` of it is written: its first, its last, or both.
fn kept(len: usize, part: &Range<usize>, block: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let (first, last) = (part.start > 0, part.end < len);
    let ranges = match (first, last) {
        // Neighbours are read at once.
        (true, true) if len <= 2 * block => [Some(0..len), None],
        _ => [first.then_some(0..block), last.then_some(len - block..len)],
    };
    ranges.into_iter().flatten()
}

/// Does this file pass the cache by? One that was opened so and cannot uses it from now on.
pub(crate) fn passes_cache(file: &File) -> io::Result<bool> {
    Ok(usable(file)?.is_some())
}

/// What the kernel wants of a file that passes the cache by. One that was opened so and cannot uses it from now on.
fn usable(file: &File) -> io::Result<Option<Alignment>> {
    if !fcntl_getfl(file)?.contains(OFlags::DIRECT) {
        return Ok(None);
    }
    let alignment = alignment(file);
    let read = |bytes: &mut [u8]| read_at(file.as_fd(), 0, &[VolatileSlice::from(bytes)]);
    if with_buffer(alignment.block, alignment, read).is_err() {
        use_cache(file)?;
        return Ok(None);
    }
    Ok(Some(alignment))
}

fn use_cache(file: &File) -> io::Result<()> {
    tracing::warn!("the image's file cannot pass the host's cache by: it goes through it");
    Ok(fcntl_setfl(file, fcntl_getfl(file)? - OFlags::DIRECT)?)
}

/// Lends memory that is aligned as the kernel wants it.
fn with_buffer<R>(len: u64, alignment: Alignment, act: impl FnOnce(&mut [u8]) -> R) -> R {
    let (len, align) = (len as usize, alignment.memory as usize);
    let mut room = vec![0; len + align];
    let skip = room.as_ptr().align_offset(align);
    act(&mut room[skip..skip + len])
}

fn alignment(file: &File) -> Alignment {
    let told = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok();
    let told = told.filter(|told| told.stx_mask & StatxFlags::DIOALIGN.bits() != 0);
    let told = told.map(|told| Alignment {
        block: told.stx_dio_offset_align.into(),
        memory: u64::from(told.stx_dio_mem_align).max(1),
    });
    let usable =
        |told: &Alignment| [told.block, told.memory].iter().all(|align| align.is_power_of_two() && *align <= MOST);
    told.filter(usable).unwrap_or(USUAL)
}

fn length(slices: &[VolatileSlice<'_>]) -> u64 {
    slices.iter().map(|slice| slice.len() as u64).sum()
}

/// Slices, one after the other, from where the last piece ended.
struct Cursor<'a, 'b> {
    left: std::slice::Iter<'b, VolatileSlice<'a>>,
    here: Option<VolatileSlice<'a>>,
}

impl<'a, 'b> Cursor<'a, 'b> {
    fn new(slices: &'b [VolatileSlice<'a>]) -> Self {
        Self { left: slices.iter(), here: None }
    }

    /// Copies these bytes into the slices.
    fn fill(&mut self, mut bytes: &[u8]) {
        while let Some(slice) = self.next(bytes.len()) {
            let (now, later) = bytes.split_at(slice.len());
            slice.copy_from(now);
            bytes = later;
        }
    }

    /// Copies as many bytes out of the slices.
    fn take(&mut self, mut bytes: &mut [u8]) {
        while let Some(slice) = self.next(bytes.len()) {
            let (now, later) = bytes.split_at_mut(slice.len());
            slice.copy_to(now);
            bytes = later;
        }
    }

    /// The next piece, of at most so many bytes; none when that is 0.
    fn next(&mut self, most: usize) -> Option<VolatileSlice<'a>> {
        if most == 0 {
            return None;
        }
        let slice = self.here.take().or_else(|| self.left.find(|slice| !slice.is_empty()).copied())?;
        match slice.split_at(most) {
            Ok((now, later)) if !later.is_empty() => {
                self.here = Some(later);
                Some(now)
            }
            _ => Some(slice),
        }
    }
}

#[cfg(test)]
#[path = "direct_test.rs"]
mod tests;
