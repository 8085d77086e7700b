//! Packets with descriptors over a `SOCK_SEQPACKET` socket (unix(7), SCM_RIGHTS).
//!
//! Never blocks. A packet that is too long, or carries more descriptors than its message has, ends the connection: no engine sends it.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use api::ui::{MESSAGE_BYTES, ToConsole, ToEngine};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

use crate::Error;

/// Descriptors of one message.
const MOST_DESCRIPTORS: usize = 2;

/// One end of the connection.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// How a send went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// On its way.
    Yes,
    /// The engine does not read at the moment; try again.
    Full,
}

impl Channel {
    /// Connects to an engine's listening socket.
    pub(crate) fn connect(path: &Path) -> Result<Self, Error> {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self::over(socket))
    }

    /// Takes a connected socket.
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The next message with its descriptors; `None` when there is none yet.
    pub(crate) fn receive(&self) -> Result<Option<(ToConsole, Vec<OwnedFd>)>, Error> {
        let mut bytes = [0; MESSAGE_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received =
            match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
                Ok(received) => received,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                Err(Errno::CONNRESET) => return Err(Error::Closed),
                Err(error) => return Err(error.into()),
            };
        // Taken out first, so that a message we refuse does not leave its descriptor open.
        let descriptors: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(Error::Nonsense("too long"));
        }
        if received.bytes == 0 && descriptors.is_empty() {
            return Err(Error::Closed);
        }
        // The space has some slack, so that one more can arrive.
        if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MOST_DESCRIPTORS {
            return Err(Error::Nonsense("too many descriptors"));
        }
        let message = serde_json::from_slice(&bytes[..received.bytes]).map_err(|_| Error::Nonsense("not a message"))?;
        let most = match message {
            ToConsole::Playback(_) | ToConsole::Capture(_) => MOST_DESCRIPTORS,
            _ => 1,
        };
        if descriptors.len() > most {
            return Err(Error::Nonsense("too many descriptors"));
        }
        Ok(Some((message, descriptors)))
    }

    /// Sends a message if the engine has room for it.
    pub(crate) fn send(&self, message: &ToEngine) -> Result<Sent, Error> {
        let bytes = serde_json::to_vec(message).expect("a message of plain data");
        loop {
            match rustix::net::send(&self.socket, &bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(Sent::Yes),
                Err(Errno::AGAIN) => return Ok(Sent::Full),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(Error::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
