//! Opening images, and the disk that comes of it.

use std::fs::File;
use std::io;

use device::Ram;
use rustix::fs::{OFlags, SeekFrom, fcntl_getfl, fcntl_setfl, seek};

use crate::direct::passes_cache;
use crate::image::{Image, Limits};
use crate::qcow2::{Base, Qcow2};
use crate::qcow2_header::Header;
use crate::raw::Raw;
use crate::{DiskQueue, SECTOR, qcow2_header, qcow2_tables};

/// The format of an image. Always told, never guessed: a guest can write anything into a raw image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The file is the disk.
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
}

/// What may be done to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; writes fail.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// One file of a chain of images.
#[derive(Debug)]
pub struct Layer {
    /// The file.
    pub file: File,
    /// What is in it.
    pub format: Format,
}

/// Why an image cannot be opened. Sentences are for the person who runs the machine.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("the disk image cannot be read")]
    Io(#[from] io::Error),
    /// The file is open for reading only.
    #[error("the disk image may not be written to")]
    NotWritable,
    /// Not a qcow2 image.
    #[error("the disk image is not a qcow2 image")]
    NotQcow2,
    /// A header that contradicts itself or the file.
    #[error("the disk image is damaged: {0}")]
    Damaged(&'static str),
    /// A feature that cannot be served.
    #[error("the disk image uses {0}, which is not supported")]
    Unsupported(&'static str),
    /// The image lies on another one, which was not given.
    #[error("the disk image lies on another image, which was not given")]
    BackingMissing,
    /// More images were given than the chain has.
    #[error("the disk image does not lie on another image, but one was given")]
    BackingUnexpected,
}

/// An open disk image.
pub struct Disk {
    kind: Kind,
    limits: Limits,
}

enum Kind {
    Raw(Raw),
    Qcow2(Box<Qcow2>),
}

/// Threads for a raw image; imago's qcow2 has one.
const RAW_THREADS: usize = 4;

impl Disk {
    /// Opens an image that stands alone.
    pub fn open(file: File, format: Format, access: Access) -> Result<Self, OpenError> {
        Self::open_chain(vec![Layer { file, format }], access)
    }

    /// Opens an image and those that it lies on, topmost first; only the topmost is ever written. Which image lies on which
    /// is the caller's knowledge: names in headers are not looked at.
    pub fn open_chain(layers: Vec<Layer>, access: Access) -> Result<Self, OpenError> {
        let mut layers = layers.into_iter();
        let top = layers.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let writable = access == Access::ReadWrite;
        let mode = fcntl_getfl(&top.file).map_err(io::Error::from)? & OFlags::RWMODE;
        if writable && mode != OFlags::RDWR {
            return Err(OpenError::NotWritable);
        }
        let below = open_below(layers.collect())?;
        let (kind, size) = match top.format {
            Format::Raw => {
                if below.is_some() {
                    return Err(OpenError::BackingUnexpected);
                }
                let bytes = file_size(&top.file)?;
                (Kind::Raw(Raw::new(top.file, bytes)?), bytes.div_ceil(SECTOR) * SECTOR)
            }
            Format::Qcow2 => {
                let header = check_qcow2(&top.file, below.is_some())?;
                if writable {
                    through_cache(&top.file, || qcow2_tables::check(&top.file, &header))?;
                }
                // imago sees for itself whether the file passes the cache by.
                passes_cache(&top.file)?;
                let image = Qcow2::new(top.file, below, writable)?;
                let size = image.size();
                (Kind::Qcow2(Box::new(image)), size)
            }
        };
        Ok(Self { kind, limits: Limits { size, read_only: !writable } })
    }

    /// Bytes of the disk, a multiple of [`SECTOR`].
    pub fn size(&self) -> u64 {
        self.limits.size
    }

    /// Do writes fail?
    pub fn is_read_only(&self) -> bool {
        self.limits.read_only
    }

    /// Starts the disk's threads. Requests name addresses in `ram`. Fails when the host has no thread left.
    pub fn queue(self, ram: Ram) -> io::Result<DiskQueue> {
        let Self { kind, limits } = self;
        match kind {
            Kind::Raw(raw) => {
                let images = (0..RAW_THREADS).map(|_| Box::new(raw.clone()) as Box<dyn Image>).collect();
                DiskQueue::start(images, limits, ram, None)
            }
            Kind::Qcow2(image) => DiskQueue::start(vec![image], limits, ram, Some(crate::queue::SETTLE)),
        }
    }
}

fn open_below(layers: Vec<Layer>) -> Result<Option<Base>, OpenError> {
    let mut below = None;
    for Layer { file, format } in layers.into_iter().rev() {
        below = Some(match format {
            Format::Raw if below.is_some() => return Err(OpenError::BackingUnexpected),
            Format::Raw => Base::raw(file)?,
            Format::Qcow2 => {
                check_qcow2(&file, below.is_some())?;
                Base::qcow2(file, below)?
            }
        });
    }
    Ok(below)
}

fn check_qcow2(file: &File, has_below: bool) -> Result<Header, OpenError> {
    let header = through_cache(file, || qcow2_header::check(file, file_size(file)?))?;
    match (header.has_backing, has_below) {
        (true, false) => Err(OpenError::BackingMissing),
        (false, true) => Err(OpenError::BackingUnexpected),
        _ => Ok(header),
    }
}

/// Looks at a file through the host's cache, which gives single bytes, whatever it was opened for.
fn through_cache<R>(file: &File, look: impl FnOnce() -> Result<R, OpenError>) -> Result<R, OpenError> {
    let flags = fcntl_getfl(file).map_err(io::Error::from)?;
    if !flags.contains(OFlags::DIRECT) {
        return look();
    }
    fcntl_setfl(file, flags - OFlags::DIRECT).map_err(io::Error::from)?;
    let seen = look();
    fcntl_setfl(file, flags).map_err(io::Error::from)?;
    seen
}

/// Bytes of a file or a block device. Nothing else uses the file's position.
fn file_size(file: &File) -> io::Result<u64> {
    Ok(seek(file, SeekFrom::End(0))?)
}

#[cfg(test)]
#[path = "open_test.rs"]
mod tests;
