//! What is plugged into a port: a stream with [`crate::framing`], or a tap device of the host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;

use crate::framing::{Inbox, Outbox, Read};

/// A cable and what it leads to.
#[derive(Debug)]
pub enum Cable {
    /// A stream socket that speaks [`crate::framing`].
    Stream(UnixStream),
    /// A tap device (`IFF_TAP | IFF_NO_PI`, without `IFF_VNET_HDR`) whose descriptor does not block: a frame for each read and write.
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
