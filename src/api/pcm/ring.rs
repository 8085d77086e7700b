//! A ring's memory and its two ends.
//!
//! | offset | written by | what |
//! |---|---|---|
//! | 0 | engine, once | version, rate, channels, frames, 32 bits each |
//! | 64 | producer | frames written, 64 bits |
//! | 128 | consumer | frames read, 64 bits; frames it wants to find, 32 bits; frames it has read and nobody has heard yet, 32 bits |
//! | 4096 | producer | frames |
//!
//! The only unsafe code of this crate. The other side may write anything at any time, so all of it is atomics and nothing is ever a
//! `&[i32]`. It cannot pull the memory away: a mapping is made only of a memfd that is sealed against shrinking (fcntl(2), File
//! sealing) and large enough, so that no access can end in SIGBUS.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::{BadRing, Layout};
use crate::memfd;

/// This layout's version.
const VERSION: u32 = 1;
/// Bytes before the frames.
const HEADER: usize = 4096;
const WRITTEN: usize = 64;
const READ: usize = 128;
const WANTED: usize = 136;
const UNHEARD: usize = 140;

/// A ring's memory, mapped.
#[derive(Debug)]
pub struct Ring {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the mapping belongs to this value alone, and everything in it is reached as atomics.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// Makes a ring, silent and empty, and the memfd to share it by.
    pub fn create(layout: Layout) -> Result<(Arc<Self>, OwnedFd), Errno> {
        let layout = layout.checked().map_err(|_| Errno::INVAL)?;
        let memfd = rustix::fs::memfd_create("dormer-sound", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&memfd, Self::bytes(layout) as u64)?;
        rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let ring = Self::map_checked(&memfd, layout)?;
        for (at, word) in (0..).step_by(4).zip([VERSION, layout.rate, layout.channels.into(), layout.frames]) {
            ring.word(at).store(word, Ordering::Relaxed);
        }
        Ok((Arc::new(ring), memfd))
    }

    /// Maps a ring that somebody else made, who says that it is like this.
    pub fn map(memfd: impl AsFd, layout: Layout) -> Result<Arc<Self>, BadRing> {
        let (memfd, layout) = (memfd.as_fd(), layout.checked()?);
        memfd::check(memfd, Self::bytes(layout) as u64).map_err(BadRing)?;
        let ring = Self::map_checked(memfd, layout).map_err(|_| BadRing("a ring of sound that cannot be mapped"))?;
        let header = [0, 4, 8, 12].map(|at| ring.word(at).load(Ordering::Relaxed));
        if header != [VERSION, layout.rate, layout.channels.into(), layout.frames] {
            return Err(BadRing("a ring of sound that is not what it was said to be"));
        }
        Ok(Arc::new(ring))
    }

    /// What it holds.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Frames on their way, as far as the counters can be believed: those in the ring, and those that were read and not heard yet.
    pub fn delay(&self) -> u32 {
        let written = self.counter(WRITTEN).load(Ordering::Acquire);
        let inside = distance(written, self.counter(READ).load(Ordering::Acquire), self.layout).unwrap_or(0);
        inside + self.word(UNHEARD).load(Ordering::Relaxed).min(self.layout.rate)
    }

    fn bytes(layout: Layout) -> usize {
        HEADER + layout.samples() * size_of::<i32>()
    }

    /// Maps a memfd that is as large as `layout` says and stays so.
    fn map_checked(memfd: impl AsFd, layout: Layout) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let length = Self::bytes(layout);
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, MapFlags::SHARED, memfd, 0)? };
        Ok(Self { base: NonNull::new(base.cast()).ok_or(Errno::FAULT)?, layout })
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        assert!(at <= HEADER - 4 && at.is_multiple_of(4), "in the header");
        // SAFETY: within the mapping and aligned, as asserted; the mapping outlives the reference; and all accesses are atomic.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    fn counter(&self, at: usize) -> &AtomicU64 {
        assert!(at <= HEADER - 8 && at.is_multiple_of(8), "in the header");
        // SAFETY: as in `word`.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    fn frames(&self) -> &[AtomicI32] {
        // SAFETY: the mapping has room for the frames behind the header, which is a multiple of their size; it outlives the reference;
        // and a slice of atomics may be written to by others.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(HEADER).cast(), self.layout.samples()) }
    }

    /// The samples of `count` frames from frame `at` on, which is at most all of them: up to the ring's end, and from its start.
    fn stretch(&self, at: u64, count: usize) -> (&[AtomicI32], &[AtomicI32]) {
        let channels = usize::from(self.layout.channels);
        let mask = u64::from(self.layout.frames - 1);
        let start = (at & mask) as usize * channels;
        let (before, behind) = self.frames().split_at(start);
        let length = (count * channels).min(self.layout.samples());
        let first = length.min(behind.len());
        (&behind[..first], &before[..length - first])
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it any more. It can fail only for an address that is none.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), Self::bytes(self.layout)) };
    }
}

/// Frames between two counters, if that many fit.
fn distance(written: u64, read: u64, layout: Layout) -> Option<u32> {
    u32::try_from(written.wrapping_sub(read)).ok().filter(|frames| *frames <= layout.frames)
}

/// The end that writes.
#[derive(Debug)]
pub struct Producer {
    ring: Arc<Ring>,
    written: u64,
}

impl Producer {
    /// The one producer of a ring, which goes on where the one before it stopped.
    pub fn new(ring: Arc<Ring>) -> Self {
        let written = ring.counter(WRITTEN).load(Ordering::Acquire);
        Self { ring, written }
    }

    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Frames that were not read yet.
    pub fn fill(&self) -> u32 {
        distance(self.written, self.read(), self.ring.layout).unwrap_or(self.ring.layout.frames)
    }

    /// The consumer's counter, whatever it says.
    pub fn read(&self) -> u64 {
        self.ring.counter(READ).load(Ordering::Acquire)
    }

    /// How many frames the consumer would like to find; 0 when it did not say.
    pub fn wanted(&self) -> u32 {
        self.ring.word(WANTED).load(Ordering::Relaxed)
    }

    /// Writes whole frames, as many as there is room for; how many that were.
    pub fn write(&mut self, samples: &[i32]) -> usize {
        let layout = self.ring.layout;
        let room = (layout.frames - self.fill()) as usize;
        let count = (samples.len() / usize::from(layout.channels)).min(room);
        let (first, second) = self.ring.stretch(self.written, count);
        for (cell, sample) in first.iter().chain(second).zip(samples) {
            cell.store(*sample, Ordering::Relaxed);
        }
        self.written = self.written.wrapping_add(count as u64);
        self.ring.counter(WRITTEN).store(self.written, Ordering::Release);
        count
    }
}

/// The end that reads.
#[derive(Debug)]
pub struct Consumer {
    ring: Arc<Ring>,
    read: u64,
}

impl Consumer {
    /// The one consumer of a ring, which goes on where the one before it stopped.
    pub fn new(ring: Arc<Ring>) -> Self {
        let read = ring.counter(READ).load(Ordering::Acquire);
        Self { ring, read }
    }

    /// The ring.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    fn written(&self) -> u64 {
        self.ring.counter(WRITTEN).load(Ordering::Acquire)
    }

    /// Frames that can be read.
    pub fn fill(&self) -> u32 {
        distance(self.written(), self.read, self.ring.layout).unwrap_or(0)
    }

    /// Reads whole frames, as many as there are; how many that were.
    pub fn read(&mut self, samples: &mut [i32]) -> usize {
        let count = (samples.len() / usize::from(self.ring.layout.channels)).min(self.fill() as usize);
        let (first, second) = self.ring.stretch(self.read, count);
        for (sample, cell) in samples.iter_mut().zip(first.iter().chain(second)) {
            *sample = cell.load(Ordering::Relaxed);
        }
        self.advance(count as u64);
        count
    }

    /// Leaves out all but the newest `keep` frames.
    pub fn skip_to_newest(&mut self, keep: u32) {
        self.advance(self.fill().saturating_sub(keep).into());
    }

    fn advance(&mut self, frames: u64) {
        self.read = self.read.wrapping_add(frames);
        self.ring.counter(READ).store(self.read, Ordering::Release);
    }

    /// How many frames it would like to find in the ring when it comes to read.
    pub fn want(&self, frames: u32) {
        self.ring.word(WANTED).store(frames, Ordering::Relaxed);
    }

    /// So many of the frames that were read have not been heard yet.
    pub fn set_unheard(&self, frames: u32) {
        self.ring.word(UNHEARD).store(frames, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "ring_test.rs"]
mod tests;
