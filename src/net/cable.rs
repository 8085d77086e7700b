//! What is plugged into a port: a stream with [`crate::framing`], or a tap device of the host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::framing::{Inbox, Outbox, Read};

/// A cable and what it leads to.
#[derive(Debug)]
pub enum Cable {
    /// A stream socket that speaks [`crate::framing`].
    Stream(UnixStream),
    /// A tap device (`IFF_TAP | IFF_NO_PI`, without `IFF_VNET_HDR`) as [`Cable::tap`] makes it: a frame for each read and write.
    Tap(OwnedFd),
}

impl From<UnixStream> for Cable {
    fn from(stream: UnixStream) -> Self {
        Self::Stream(stream)
    }
}

impl AsFd for Cable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(stream) => stream.as_fd(),
            Self::Tap(device) => device.as_fd(),
        }
    }
}

impl Cable {
    /// A tap device, whose descriptor blocks no more: a port's thread that waited in it could not be ended.
    pub fn tap(device: OwnedFd) -> io::Result<Self> {
        fcntl_setfl(&device, fcntl_getfl(&device)? | OFlags::NONBLOCK)?;
        Ok(Self::Tap(device))
    }

    /// Reads what there is and fits, without blocking.
    pub(crate) fn read(&self, inbox: &mut Inbox) -> io::Result<Read> {
        match self {
            Self::Stream(stream) => inbox.read_from(stream),
            Self::Tap(device) => inbox.read_frames(|room| rustix::io::read(device, room)),
        }
    }

    /// Writes as much as it takes, without blocking.
    pub(crate) fn write(&self, outbox: &mut Outbox) -> io::Result<()> {
        match self {
            Self::Stream(stream) => outbox.write_to(stream),
            Self::Tap(device) => outbox.write_frames(|frame| match rustix::io::write(device, frame) {
                // A device that is not up, or does not want this frame, loses it as a wire would.
                Err(Errno::IO | Errno::INVAL) => Ok(frame.len()),
                other => other,
            }),
        }
    }
}
