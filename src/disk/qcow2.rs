//! qcow2 images, by the crate imago.
//!
//! imago keeps metadata in memory until it is flushed, so a flush is two steps: metadata to the file, then the file to
//! stable storage. Data goes through a buffer here: imago wants plain slices, which guest memory is not.

use std::fs::File;
use std::io;

use imago::file::File as Storage;
use imago::qcow2::Qcow2 as Format;
use imago::raw::Raw as RawFormat;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder};
use vm_memory::VolatileSlice;

use crate::image::Image;

/// The most that is moved at once.
const CHUNK: usize = 1 << 20;

/// A qcow2 image with whatever lies below it.
pub(crate) struct Qcow2 {
    access: FormatAccess<Storage>,
    buffer: Vec<u8>,
}

/// A layer that another one can lie on.
pub(crate) struct Base(FormatAccess<Storage>);

impl Base {
    /// A raw image at the bottom of a chain.
    pub(crate) fn raw(file: File) -> io::Result<Self> {
        let format = RawFormat::builder(Storage::try_from(file)?).open(DenyImplicitOpenGate::default())?;
        Ok(Self(FormatAccess::new(format)))
    }

    /// A qcow2 image, on `below` when its header says that it has a backing file.
    pub(crate) fn qcow2(file: File, below: Option<Base>) -> io::Result<Self> {
        open(file, below, false).map(Self)
    }
}

impl Qcow2 {
    /// The top of a chain. The header must have been checked.
    pub(crate) fn new(file: File, below: Option<Base>, writable: bool) -> io::Result<Self> {
        Ok(Self { access: open(file, below, writable)?, buffer: Vec::new() })
    }

    /// Bytes of the virtual disk.
    pub(crate) fn size(&self) -> u64 {
        self.access.size()
    }

    fn buffer(&mut self, len: usize) -> (&FormatAccess<Storage>, &mut [u8]) {
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        (&self.access, &mut self.buffer[..len])
    }
}

fn open(file: File, below: Option<Base>, writable: bool) -> io::Result<FormatAccess<Storage>> {
    let format = Format::<Storage>::builder(Storage::try_from(file)?)
        .write(writable)
        .backing(below.map(|base| base.0))
        .data_file(None)
        .open(DenyImplicitOpenGate::default())?;
    Ok(FormatAccess::new(format))
}

impl Image for Qcow2 {
    fn read(&mut self, mut at: u64, to: &[VolatileSlice<'_>]) -> io::Result<()> {
        for batch in batches(to) {
            let (access, bytes) = self.buffer(batch.len);
            access.read(&mut *bytes, at)?;
            let mut rest = &*bytes;
            for slice in batch.slices {
                let (here, after) = rest.split_at(slice.len());
                slice.copy_from(here);
                rest = after;
            }
            at += batch.len as u64;
        }
        Ok(())
    }

    fn write(&mut self, mut at: u64, from: &[VolatileSlice<'_>], durable: bool) -> io::Result<()> {
        for batch in batches(from) {
            let (access, bytes) = self.buffer(batch.len);
            let mut rest = &mut *bytes;
            for slice in batch.slices {
                let (here, after) = rest.split_at_mut(slice.len());
                slice.copy_to(here);
                rest = after;
            }
            access.write(&*bytes, at)?;
            at += batch.len as u64;
        }
        if durable { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.access.flush()?;
        self.access.sync()
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        match self.access.discard_to_any(at, len) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            result => result,
        }
    }

    fn zero(&mut self, mut at: u64, mut len: u64, unmap: bool) -> io::Result<()> {
        let result = if unmap { self.access.discard_to_zero(at, len) } else { self.access.write_zeroes(at, len) };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            result => return result,
        }
        // Version 2 images know no zero clusters.
        while len > 0 {
            let now = len.min(CHUNK as u64) as usize;
            let (access, bytes) = self.buffer(now);
            bytes.fill(0);
            access.write(&*bytes, at)?;
            at += now as u64;
            len -= now as u64;
        }
        Ok(())
    }
}

/// Slices that go through the buffer together.
struct Batch<'a> {
    slices: Vec<VolatileSlice<'a>>,
    len: usize,
}

/// Cuts slices into batches of at most [`CHUNK`] bytes.
fn batches<'a>(slices: &[VolatileSlice<'a>]) -> impl Iterator<Item = Batch<'a>> {
    let mut left = slices.iter();
    let mut rest: Option<VolatileSlice<'a>> = None;
    std::iter::from_fn(move || {
        let mut batch = Batch { slices: Vec::new(), len: 0 };
        while batch.len < CHUNK {
            let Some(slice) = rest.take().or_else(|| left.next().copied()) else { break };
            match slice.split_at(CHUNK - batch.len) {
                Ok((here, after)) if !after.is_empty() => {
                    batch.len += here.len();
                    batch.slices.push(here);
                    rest = Some(after);
                }
                _ => {
                    batch.len += slice.len();
                    batch.slices.push(slice);
                }
            }
        }
        (batch.len > 0).then_some(batch)
    })
}
