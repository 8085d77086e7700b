//! Wakes the event loop when a socket has something to say: winit watches none but its own.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{SyncSender, sync_channel};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use winit::event_loop::EventLoopProxy;

/// Stack of a thread that only waits.
const STACK: usize = 64 << 10;

/// What has something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The UI channel: the screen.
    Screen,
    /// The control socket: what becomes of the machine.
    Control,
}

/// A socket that is watched as long as this lives.
#[derive(Debug)]
pub(crate) struct Watch {
    heard: SyncSender<()>,
}

impl Watch {
    /// Sends `wake` once when the socket is readable, and again after each [`Watch::again`].
    pub(crate) fn new(socket: impl AsFd, wake: Wake, event_loop: EventLoopProxy<Wake>) -> std::io::Result<Self> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        let (heard, again) = sync_channel(1);
        std::thread::Builder::new()
            .name("watch".into())
            .stack_size(STACK)
            .spawn(move || while wait(&socket) && event_loop.send_event(wake).is_ok() && again.recv().is_ok() {})?;
        Ok(Self { heard })
    }

    /// What was there has been read.
    pub(crate) fn again(&self) {
        // When it is full, the thread knows already.
        let _ = self.heard.try_send(());
    }
}

/// Waits until there is something to read, or nobody on the other side; false when that cannot be known.
fn wait(socket: &OwnedFd) -> bool {
    loop {
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], None) {
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
