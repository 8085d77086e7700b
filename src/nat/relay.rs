//! The loop between the guest's frames, libslirp's sockets, and the control channel. One thread; it sleeps in one place.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use net::LinkLost;
use net::framing::{Inbox, Read};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::control::{Closed, Control};
use crate::slirp::Stack;

pub(crate) struct Relay {
    stack: Stack,
    link: UnixStream,
    inbox: Inbox,
    control: Option<Control>,
}

/// What a sleep brought.
struct Woken {
    failed: bool,
    link: PollFlags,
    control: PollFlags,
    sockets: Vec<PollFlags>,
}

impl Relay {
    pub(crate) fn new(stack: Stack, link: UnixStream, control: Option<Control>) -> Self {
        Self { stack, link, inbox: Inbox::default(), control }
    }

    /// Runs until the link to the engine ends; why it did.
    pub(crate) fn run(mut self) -> LinkLost {
        loop {
            if let Err(lost) = self.step() {
                return lost;
            }
        }
    }

    fn step(&mut self) -> Result<(), LinkLost> {
        let woken = self.sleep();
        // First of all: what libslirp hears of its sockets must be about those it asked for.
        self.stack.answer(woken.failed, &woken.sockets);
        if !woken.link.intersection(PollFlags::IN | PollFlags::HUP | PollFlags::ERR).is_empty() {
            self.hear_guest()?;
        }
        if !woken.control.is_empty()
            && let Some(control) = &mut self.control
            && let Err(Closed) = control.serve(&mut self.stack)
        {
            tracing::debug!("control channel closed");
            self.control = None;
        }
        Ok(self.stack.outbox().write_to(&self.link)?)
    }

    fn hear_guest(&mut self) -> Result<(), LinkLost> {
        if self.inbox.read_from(&self.link)? == Read::Closed {
            return Err(LinkLost::Closed);
        }
        while let Some(frame) = self.inbox.frame()? {
            self.stack.input(frame);
            self.inbox.consume();
        }
        Ok(())
    }

    fn sleep(&mut self) -> Woken {
        let link_wants = if self.stack.outbox().is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut fds = vec![PollFd::new(&self.link, link_wants)];
        let control = self.control.as_ref().and_then(Control::wanted);
        fds.extend(control.map(|(fd, wanted)| PollFd::from_borrowed_fd(fd, wanted)));
        let own = fds.len();
        let timeout = self.stack.poll_fds(&mut fds).map(|timeout| {
            let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
            Timespec { tv_sec: seconds, tv_nsec: timeout.subsec_nanos().into() }
        });
        let failed = match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => false,
            Err(Errno::INTR) => true,
            Err(error) => {
                // Out of kernel memory, which may pass: not worth a tight loop.
                tracing::error!("poll: {error}");
                std::thread::sleep(Duration::from_millis(100));
                true
            }
        };
        let mut ready = fds.iter().map(|fd| if failed { PollFlags::empty() } else { fd.revents() });
        let link = ready.next().unwrap_or(PollFlags::empty());
        let control = if own == 2 { ready.next() } else { None }.unwrap_or(PollFlags::empty());
        Woken { failed, link, control, sockets: ready.collect() }
    }
}
