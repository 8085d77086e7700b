//! Guest RAM as the system calls take it. The only unsafe code of this crate.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use device::Ram;
use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileSlice};

use crate::GuestRange;

/// The host slices of guest ranges, in order; an error when one is not RAM from end to end.
pub(crate) fn slices<'a>(ram: &'a Ram, ranges: &[GuestRange]) -> io::Result<Vec<VolatileSlice<'a>>> {
    let not_ram = || io::Error::from(io::ErrorKind::InvalidInput);
    let mut slices = Vec::with_capacity(ranges.len());
    for range in ranges {
        let len = usize::try_from(range.len).map_err(|_| not_ram())?;
        if !ram.check_range(GuestAddress(range.at), len) {
            return Err(not_ram());
        }
        for slice in ram.get_slices(GuestAddress(range.at), len) {
            slices.push(slice.map_err(|_| not_ram())?);
        }
    }
    Ok(slices)
}

/// How many vectors one system call takes (`IOV_MAX`).
const MAX_VECTORS: usize = 1024;

/// Reads from `file` at `at`, filling `to` in order. What lies behind the end of the file reads as zeroes.
#[allow(unsafe_code)] // preadv into guest memory, which no safe wrapper takes
pub(crate) fn read_at(file: BorrowedFd<'_>, at: u64, to: &[VolatileSlice<'_>]) -> io::Result<()> {
    let end = transfer(at, to, |vectors, at| {
        // SAFETY: every vector describes memory that the caller's slices borrow for the whole call, `vectors.len()` of them
        // are passed, and guest memory may change at any time, which the kernel takes no notice of.
        unsafe { libc::preadv64(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as libc::c_int, at) }
    })?;
    if let Some((index, offset)) = end {
        let mut offset = offset;
        for slice in &to[index..] {
            if let Ok(rest) = slice.offset(offset) {
                fill(&rest, 0);
            }
            offset = 0;
        }
    }
    Ok(())
}

/// Writes `from`, in order, to `file` at `at`; with `durable` it is on stable storage afterwards.
#[allow(unsafe_code)] // pwritev from guest memory, which no safe wrapper takes
pub(crate) fn write_at(file: BorrowedFd<'_>, at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()> {
    let flags = if durable { libc::RWF_DSYNC } else { 0 };
    let end = transfer(at, from, |vectors, at| {
        // SAFETY: as in `read_at`; the kernel only reads the memory.
        unsafe { libc::pwritev2(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as libc::c_int, at, flags) }
    })?;
    match end {
        None => Ok(()),
        Some(_) => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Sets every byte of `slice` to `value`.
pub(crate) fn fill(slice: &VolatileSlice<'_>, value: u8) {
    const CHUNK: usize = 4096;
    let bytes = [value; CHUNK];
    let mut at = 0;
    while let Ok(rest) = slice.offset(at) {
        if rest.is_empty() {
            return;
        }
        rest.copy_from(&bytes[..rest.len().min(CHUNK)]);
        at += CHUNK;
    }
}

/// Moves all of `slices` by calls of `call`, which returns bytes moved or -1, until everything is moved. When `call` moves
/// nothing, gives the slice and the offset in it where it stopped.
fn transfer(
    at: u64,
    slices: &[VolatileSlice<'_>],
    call: impl Fn(&[libc::iovec], i64) -> isize,
) -> io::Result<Option<(usize, usize)>> {
    let mut at = i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    let guards: Vec<_> = slices.iter().map(VolatileSlice::ptr_guard_mut).collect();
    let (mut index, mut offset) = (0, 0);
    loop {
        while index < guards.len() && offset == guards[index].len() {
            (index, offset) = (index + 1, 0);
        }
        if index == guards.len() {
            return Ok(None);
        }
        let vectors: Vec<libc::iovec> = guards[index..]
            .iter()
            .take(MAX_VECTORS)
            .enumerate()
            .map(|(i, guard)| {
                let skip = if i == 0 { offset } else { 0 };
                libc::iovec { iov_base: guard.as_ptr().wrapping_add(skip).cast(), iov_len: guard.len() - skip }
            })
            .collect();
        let moved = match usize::try_from(call(&vectors, at)) {
            Ok(0) => return Ok(Some((index, offset))),
            Ok(moved) => moved,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => return Err(error),
            },
        };
        at = at.checked_add(moved as i64).ok_or(io::ErrorKind::InvalidInput)?;
        let mut left = moved;
        while left > 0 {
            let here = (guards[index].len() - offset).min(left);
            left -= here;
            offset += here;
            if offset == guards[index].len() {
                (index, offset) = (index + 1, 0);
            }
        }
    }
}
