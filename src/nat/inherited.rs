//! File descriptors that whoever started this process left open for it.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{bail, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{SocketType, sockopt};

/// Takes over the stream socket `fd`. Called before anything else is opened, once per number.
pub(crate) fn stream(fd: RawFd) -> anyhow::Result<OwnedFd> {
    ensure!(fd >= 0 && fd != rustix::stdio::raw_stderr(), "{fd} is not a file descriptor to inherit");
    if std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_err() {
        bail!("file descriptor {fd} is not open");
    }
    // SAFETY: it is open, as just seen, and numbers on the command line are given up by the caller for us to own; nothing in
    // this process uses standard input or output.
    #[allow(unsafe_code)]
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    ensure!(
        sockopt::socket_type(&owned).is_ok_and(|kind| kind == SocketType::STREAM),
        "file descriptor {fd} is not a stream socket"
    );
    fcntl_setfd(&owned, FdFlags::CLOEXEC)?;
    Ok(owned)
}

/// Does the socket wait for peers?
pub(crate) fn is_listening(socket: impl AsFd) -> bool {
    sockopt::socket_acceptconn(socket).unwrap_or(false)
}
