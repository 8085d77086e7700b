//! The engine's end of the UI channel, for tests and the pattern example: sends whatever it is told to, right or wrong.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use api::pcm::{Bell, Layout, Offer, Ring};
use api::ui::{Rect, ToConsole, ToEngine, VERSION};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};

/// The engine's end.
pub(crate) struct FakeEngine {
    socket: OwnedFd,
}

/// A memfd with a picture.
pub(crate) struct Screen {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// Bytes.
    pub(crate) stride: u32,
    /// Bytes.
    pub(crate) offset: u64,
    /// The memory.
    pub(crate) memfd: OwnedFd,
}

#[allow(dead_code, reason = "tests and the example each use a part")]
impl FakeEngine {
    /// A pair of ends: the engine's, and a socket for a console.
    pub(crate) fn pair() -> (Self, OwnedFd) {
        let (engine, console) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair of sockets");
        (Self { socket: engine }, console)
    }

    /// Takes an accepted socket.
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The greeting.
    pub(crate) fn hello(&self, name: &str) {
        self.send(&ToConsole::Hello { version: VERSION, name: name.into() });
    }

    /// A message without descriptor.
    pub(crate) fn send(&self, message: &ToConsole) {
        self.send_bytes(&serde_json::to_vec(message).expect("a message"), &[]);
    }

    /// A message with a descriptor.
    pub(crate) fn send_with(&self, message: &ToConsole, descriptor: impl AsFd) {
        self.send_bytes(&serde_json::to_vec(message).expect("a message"), &[descriptor.as_fd()]);
    }

    /// Any bytes with any descriptors.
    pub(crate) fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)), "at most 8 descriptors");
        }
        // A console that has hung up is its own business.
        let _ = rustix::net::sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL);
    }

    /// Shows a screen.
    pub(crate) fn scanout(&self, screen: &Screen) {
        let &Screen { width, height, stride, offset, ref memfd } = screen;
        self.send_with(&ToConsole::Scanout { width, height, stride, offset }, memfd);
    }

    /// Offers a ring of sound, as `Playback` or `Capture`; the engine's ends of it.
    pub(crate) fn offer(&self, message: fn(Offer) -> ToConsole, stream: u32, layout: Layout) -> (Arc<Ring>, Bell) {
        let (ring, memfd) = Ring::create(layout).expect("memory");
        let (ours, theirs) = Bell::pair().expect("sockets");
        let message = serde_json::to_vec(&message(Offer { stream, layout })).expect("a message");
        self.send_bytes(&message, &[memfd.as_fd(), theirs.as_fd()]);
        (ring, ours)
    }

    /// What the console sent, if it sent something; an error when it hung up.
    pub(crate) fn receive(&self) -> Result<Option<ToEngine>, rustix::io::Errno> {
        let mut bytes = [0; 4096];
        let mut ancillary = RecvAncillaryBuffer::default();
        let received =
            rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::DONTWAIT);
        match received {
            Ok(message) if message.bytes == 0 => Err(rustix::io::Errno::PIPE),
            Ok(message) => Ok(Some(serde_json::from_slice(&bytes[..message.bytes]).expect("a console's message"))),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All that the console sent.
    pub(crate) fn received(&self) -> Vec<ToEngine> {
        std::iter::from_fn(|| self.receive().expect("a console")).collect()
    }
}

impl AsFd for FakeEngine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[allow(dead_code, reason = "tests and the example each use a part")]
impl Screen {
    /// A black screen with room before it and behind its lines.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (stride, offset) = (width * 4 + 12, 4096);
        let memfd = sealed(offset + u64::from(stride) * u64::from(height));
        Self { width, height, stride, offset, memfd }
    }

    /// Paints a rectangle red, green, blue.
    pub(crate) fn fill(&self, rect: Rect, [red, green, blue]: [u8; 3]) {
        let line = [blue, green, red, 0].repeat(rect.width as usize);
        for y in rect.y..rect.y + rect.height {
            let at = self.offset + u64::from(y) * u64::from(self.stride) + u64::from(rect.x) * 4;
            rustix::io::pwrite(&self.memfd, &line, at).expect("memory");
        }
    }
}

/// A memfd of `size` bytes, sealed as engines do.
pub(crate) fn sealed(size: u64) -> OwnedFd {
    let memfd = rustix::fs::memfd_create("screen", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a memfd");
    rustix::fs::ftruncate(&memfd, size).expect("memory");
    rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW).expect("seals");
    memfd
}
