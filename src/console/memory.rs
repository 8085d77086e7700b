//! Memory that an engine shares, mapped for reading: the only unsafe code of this crate.
//!
//! The other side may write at any time, so nothing here ever makes a `&[u8]` of it: bytes leave by volatile reads, into buffers of
//! our own. It cannot pull the memory away from under us either: a mapping is made only of a memfd that is sealed against shrinking
//! (fcntl(2), File sealing) and large enough, so that no read can end in SIGBUS.
#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

use crate::Error;

/// Shared memory of an engine.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone; reading it from any thread is as good as from the one that made it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes (not 0) of a memfd.
    pub(crate) fn new(memfd: impl AsFd, length: usize) -> Result<Self, Error> {
        let memfd = memfd.as_fd();
        api::memfd::check(memfd, length as u64).map_err(Error::Nonsense)?;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, memfd, 0)? };
        let base = NonNull::new(base.cast()).ok_or(Error::Nonsense("a mapping at address 0"))?;
        Ok(Self { base, length })
    }

    /// Copies `into.len()` bytes from `offset` on. Both must be multiples of 4: the unit is a pixel.
    ///
    /// # Panics
    /// When that is not so, or outside the mapping: callers have checked the engine's numbers.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset.is_multiple_of(4) && into.len().is_multiple_of(4), "not whole pixels");
        assert!(offset.checked_add(into.len()).is_some_and(|end| end <= self.length), "outside the mapping");
        let odd = if offset.is_multiple_of(8) { 0 } else { into.len().min(4) };
        let (head, rest) = into.split_at_mut(odd);
        let (pairs, tail) = rest.as_chunks_mut::<8>();
        let base = self.base.as_ptr().cast_const();
        let tail_at = offset + odd + pairs.len() * 8;
        // SAFETY: every address lies within the mapping (asserted above) and is a multiple of the read's size, because a mapping starts
        // at a page and `head` takes the odd pixel. Volatile, because another process writes here.
        unsafe {
            if !head.is_empty() {
                head.copy_from_slice(&base.add(offset).cast::<u32>().read_volatile().to_ne_bytes());
            }
            let from = base.add(offset + odd).cast::<u64>();
            for (index, pair) in pairs.iter_mut().enumerate() {
                *pair = from.add(index).read_volatile().to_ne_bytes();
            }
            if !tail.is_empty() {
                tail.copy_from_slice(&base.add(tail_at).cast::<u32>().read_volatile().to_ne_bytes());
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it beyond the reads above.
        if let Err(error) = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) } {
            tracing::warn!("munmap: {error}");
        }
    }
}
