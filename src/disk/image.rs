//! What an image format does for a queue, and how a request is checked and handed to it.

use std::io;

use device::Ram;
use vm_memory::VolatileSlice;

use crate::Op;
use crate::memory::slices;

/// An open image. Ranges given to it lie within the disk.
pub(crate) trait Image: Send {
    /// Fills `to`, in order, from the disk at `at`.
    fn read(&mut self, at: u64, to: &[VolatileSlice<'_>]) -> io::Result<()>;
    /// Writes `from`, in order, to the disk at `at`; `durable` as in [`Op::Write`].
    fn write(&mut self, at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()>;
    /// Brings completed writes to stable storage.
    fn flush(&mut self) -> io::Result<()>;
    /// Gives space back where that is possible; never an error for being impossible.
    fn discard(&mut self, at: u64, len: u64) -> io::Result<()>;
    /// Makes a range read as zeroes.
    fn zero(&mut self, at: u64, len: u64, unmap: bool) -> io::Result<()>;
}

/// The facts that requests are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) size: u64,
    pub(crate) read_only: bool,
}

/// Checks a request whole, then does it.
pub(crate) fn run(image: &mut dyn Image, limits: Limits, ram: &Ram, op: &Op) -> io::Result<()> {
    if op.is_write() && limits.read_only {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    let (at, len) = op.extent().ok_or(io::ErrorKind::InvalidInput)?;
    if at.checked_add(len).is_none_or(|end| end > limits.size) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match op {
        Op::Read { at, to } => image.read(*at, &slices(ram, to)?),
        Op::Write { at, from, durable } => image.write(*at, &slices(ram, from)?, *durable),
        Op::ReadBuffer { at, to } => to.with(|bytes| image.read(*at, &[VolatileSlice::from(bytes)])),
        Op::WriteBuffer { at, from, durable } => {
            from.with(|bytes| image.write(*at, &[VolatileSlice::from(bytes)], *durable))
        }
        // What was never written needs no flush, and a disk that cannot be written must still answer one.
        Op::Flush if limits.read_only => Ok(()),
        Op::Flush => image.flush(),
        Op::Discard { at, len } => image.discard(*at, *len),
        Op::Zero { at, len, unmap, durable } => {
            image.zero(*at, *len, *unmap)?;
            if *durable { image.flush() } else { Ok(()) }
        }
    }
}
