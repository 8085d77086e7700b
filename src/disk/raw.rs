//! Raw images: the disk is the file, byte for byte.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::Errno;
use vm_memory::VolatileSlice;

use crate::direct::Direct;
use crate::image::Image;
use crate::memory::{read_at, write_at};

/// A raw image. Clones are the same image; each may be used by another thread.
#[derive(Clone)]
pub(crate) struct Raw {
    file: Arc<File>,
    /// Where the host's page cache is passed by.
    direct: Option<Direct>,
}

impl Raw {
    /// The image in a file of this size.
    pub(crate) fn new(file: File, size: u64) -> io::Result<Self> {
        let file = Arc::new(file);
        let direct = Direct::of(&file, size)?;
        Ok(Self { file, direct })
    }

    fn write_zeroes(&mut self, mut at: u64, mut len: u64) -> io::Result<()> {
        let mut zeroes = vec![0; len.min(1 << 20) as usize];
        while len > 0 {
            let now = len.min(zeroes.len() as u64);
            self.write(at, &[VolatileSlice::from(&mut zeroes[..now as usize])], false)?;
            at += now;
            len -= now;
        }
        Ok(())
    }

    fn fallocate(&self, how: FallocateFlags, at: u64, len: u64) -> rustix::io::Result<()> {
        let act = || fallocate(&*self.file, how | FallocateFlags::KEEP_SIZE, at, len);
        match &self.direct {
            Some(direct) => direct.beside(act),
            None => act(),
        }
    }
}

impl Image for Raw {
    fn read(&mut self, at: u64, to: &[VolatileSlice<'_>]) -> io::Result<()> {
        match &self.direct {
            Some(direct) => direct.read(at, to),
            None => read_at(self.file.as_fd(), at, to),
        }
    }

    fn write(&mut self, at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()> {
        match &self.direct {
            Some(direct) => direct.write(at, from, durable),
            None => write_at(self.file.as_fd(), at, from, durable),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(fdatasync(&*self.file)?)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match self.fallocate(FallocateFlags::PUNCH_HOLE, at, len) {
            Err(error) if is_unsupported(error) => Ok(()),
            result => Ok(result?),
        }
    }

    fn zero(&mut self, at: u64, len: u64, unmap: bool) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let how = if unmap { FallocateFlags::PUNCH_HOLE } else { FallocateFlags::ZERO_RANGE };
        match self.fallocate(how, at, len) {
            Err(error) if is_unsupported(error) => self.write_zeroes(at, len),
            result => Ok(result?),
        }
    }
}

/// File systems that have no holes say so in several ways.
fn is_unsupported(error: Errno) -> bool {
    error == Errno::OPNOTSUPP || error == Errno::NOSYS || error == Errno::NOTTY || error == Errno::NODEV
}
