//! Disk images and their queues.
//!
//! A [`Disk`] is an open image, raw or qcow2, made from file descriptors alone: nothing here opens a path, whatever an image
//! says. [`Disk::queue`] puts it behind a [`DiskQueue`], the handle that devices hold: they [`DiskQueue::submit`] requests
//! with a tag of their own, threads inside do the I/O straight to guest RAM, and the device is called back through
//! [`Completions`] under its mutex. Flushes are always honoured.
//!
//! A file that was opened with O_DIRECT is used so, where its file system can; all others go through the host's page cache.
//!
//! Offsets and lengths are bytes everywhere. Images are untrusted: headers are checked before anything is allocated.

mod direct;
mod image;
mod memory;
mod op;
mod open;
mod qcow2;
mod qcow2_header;
mod qcow2_tables;
mod queue;
mod raw;
mod tally;

pub use op::{Buffer, GuestRange, Op};
pub use open::{Access, Disk, Format, Layer, OpenError};
pub use queue::{Alarm, Completions, DiskQueue, Timeout};

/// Bytes of a sector, the unit that a disk's size is a multiple of.
pub const SECTOR: u64 = 512;
