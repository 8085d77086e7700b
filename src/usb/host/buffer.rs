//! Memory for URBs: the kernel's own, which the host's controller reads and writes itself, or ours, which the kernel copies.
//!
//! `mmap` of a usbfs file gives contiguous memory (`usbdev_mmap` in `drivers/usb/core/devio.c`); a URB whose buffer is in it is not copied. It
//! counts as usbfs's memory of the whole computer, so little is kept for later. Where the kernel gives none, and for what is short, there
//! is ordinary memory. What was in a buffer before is in it still.

use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What is shorter is copied.
const LEAST: usize = 4096;
/// Bytes that are kept for later, of the 16 MiB that the kernel gives all of usbfs.
const KEPT: usize = 5 << 18;

/// Where buffers come from, and go back to. Clones are of the same.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Mapping>>>);

impl Buffers {
    /// A buffer of so many bytes, for a URB of the usbfs file `file`.
    pub(super) fn take(&self, file: impl AsFd, length: usize) -> Buffer {
        let memory = match length {
            LEAST.. => self.mapping(file, length.next_power_of_two()),
            _ => None,
        };
        match memory {
            Some(mapping) => Buffer { length, memory: Memory::Kernel(Some(mapping), self.clone()) },
            None => Buffer { length, memory: Memory::Own(vec![0; length]) },
        }
    }

    /// Gives the kernel back what is kept for later.
    pub(super) fn give_back(&self) {
        self.kept().clear();
    }

    fn mapping(&self, file: impl AsFd, size: usize) -> Option<Mapping> {
        let mut kept = self.kept();
        let found = kept.iter().position(|mapping| mapping.size == size);
        found.map(|at| kept.swap_remove(at)).or_else(|| Mapping::new(file, size))
    }

    /// Keeps a mapping for later, if there is room.
    fn keep(&self, mapping: Mapping) {
        let mut kept = self.kept();
        if kept.iter().map(|mapping| mapping.size).sum::<usize>() + mapping.size <= KEPT {
            kept.push(mapping);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Mapping>> {
        // Whole after a panic: every change is one push or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a URB.
pub struct Buffer {
    length: usize,
    memory: Memory,
}

enum Memory {
    /// Until it is dropped it is there.
    Kernel(Option<Mapping>, Buffers),
    Own(Vec<u8>),
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Kernel(mapping, _) => &mapping.as_ref().map_or(&[][..], Mapping::bytes)[..self.length],
            Memory::Own(bytes) => bytes,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Kernel(mapping, _) => &mut mapping.as_mut().map_or(&mut [][..], Mapping::bytes_mut)[..self.length],
            Memory::Own(bytes) => bytes,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Memory::Kernel(mapping, buffers) = &mut self.memory
            && let Some(mapping) = mapping.take()
        {
            buffers.keep(mapping);
        }
    }
}

/// A mapped piece of a usbfs file.
struct Mapping {
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: it is plain memory that nothing else refers to.
#[allow(unsafe_code)]
unsafe impl Send for Mapping {}

impl Mapping {
    /// `None` where the kernel gives no such memory.
    #[allow(unsafe_code)] // the crate's call is unsafe
    fn new(file: impl AsFd, size: usize) -> Option<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, wherever the kernel likes; what it is of is not looked at otherwise.
        let mapped = unsafe { mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, file, 0) };
        Some(Self { address: NonNull::new(mapped.ok()?.cast())?, size })
    }

    #[allow(unsafe_code)] // it is an address
    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped and initialized as long as `self` is there. The kernel writes to it only while a URB is in flight, and then the
        // buffer is with the URB, where nobody looks.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.size) }
    }

    #[allow(unsafe_code)] // it is an address
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.size) }
    }
}

impl Drop for Mapping {
    #[allow(unsafe_code)] // the crate's call is unsafe
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and nothing refers to it any more. The kernel keeps the memory itself for URBs in flight.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_there_again_up_to_a_bound() {
        let buffers = Buffers::default();
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 << 20).unwrap();
        let kept = || buffers.kept().iter().map(|mapping| mapping.size).collect::<Vec<_>>();
        let mut one = buffers.take(&file, 5000);
        assert_eq!(one.len(), 5000);
        one.fill(7);
        drop(one);
        assert_eq!(kept(), [8192]);
        let again = buffers.take(&file, 8000);
        assert_eq!((again.len(), again[0], kept().len()), (8000, 7, 0));
        drop(again);
        let many: Vec<_> = (0..4).map(|_| buffers.take(&file, 1 << 20)).collect();
        drop(many);
        assert_eq!(kept(), [8192, 1 << 20], "no more than is kept");
        buffers.give_back();
        assert_eq!(kept(), [0; 0]);
        // What is short, and what cannot be mapped, is ordinary.
        assert!(matches!(buffers.take(&file, 31).memory, Memory::Own(_)));
        let pipe = rustix::pipe::pipe().unwrap().0;
        let ordinary = buffers.take(&pipe, 10_000);
        assert!(matches!(ordinary.memory, Memory::Own(_)) && *ordinary == [0; 10_000]);
    }
}
