//! A bell between the two ends of a ring: one rings, the other polls (unix(7), a pair of stream sockets).
//!
//! No call waits, whatever the other side did to its end; what is rung while nobody listens is lost once the socket is full, and one
//! ring is as good as many.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Rings that are heard at once.
const AT_ONCE: usize = 256;

/// One end.
#[derive(Debug)]
pub struct Bell(OwnedFd);

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// It rang.
    Ring,
    /// The other end is gone, or is no bell.
    Gone,
}

impl Bell {
    /// Both ends.
    pub fn pair() -> Result<(Self, Self), Errno> {
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// An end that came from elsewhere.
    pub fn over(end: OwnedFd) -> Self {
        Self(end)
    }

    /// Rings. Neither allocates nor waits.
    pub fn ring(&self) {
        // Full: it rings already. Gone: whoever polls learns of it.
        let _ = rustix::net::send(&self.0, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }

    /// What rang since the last time.
    pub fn hear(&self) -> Heard {
        match rustix::net::recv(&self.0, &mut [0; AT_ONCE], RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Ok((0, _)) | Err(_) => Heard::Gone,
            Ok(_) => Heard::Ring,
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> Self {
        bell.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_unite_and_nobody_waits() {
        let (one, other) = Bell::pair().unwrap();
        assert_eq!(other.hear(), Heard::Nothing);
        for _ in 0..AT_ONCE {
            one.ring();
        }
        assert_eq!((other.hear(), other.hear()), (Heard::Ring, Heard::Nothing));
        // More than a socket takes.
        for _ in 0..1_000_000 {
            one.ring();
        }
        assert_eq!(other.hear(), Heard::Ring);
        drop(one);
        other.ring();
        while other.hear() != Heard::Gone {}
    }

    #[test]
    fn what_is_no_bell_is_gone() {
        let bell = Bell::over(std::fs::File::open("/dev/null").unwrap().into());
        bell.ring();
        assert_eq!(bell.hear(), Heard::Gone);
    }
}
