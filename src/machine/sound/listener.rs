//! The console that has a machine's sound.

use std::os::fd::BorrowedFd;

use api::pcm::Offer;
use api::ui::ToConsole;

use super::stream::Direction;

/// Sends a message with its descriptors to a console without waiting; false when that cannot be now.
pub type Tell = Box<dyn FnMut(&ToConsole, &[BorrowedFd<'_>]) -> bool + Send>;

/// A console that wants sound.
pub struct Listener {
    /// Which.
    pub console: u64,
    /// It plays what the guest plays.
    pub playback: bool,
    /// It lets the guest hear.
    pub capture: bool,
    /// The way to it.
    pub tell: Tell,
}

impl Listener {
    pub(super) fn wants(&self, direction: Direction) -> bool {
        match direction {
            Direction::Playback => self.playback,
            Direction::Capture => self.capture,
        }
    }

    pub(super) fn wants_any(&self) -> bool {
        self.playback || self.capture
    }

    pub(super) fn offer(&mut self, direction: Direction, offer: Offer, fds: &[BorrowedFd<'_>]) -> bool {
        let message = match direction {
            Direction::Playback => ToConsole::Playback(offer),
            Direction::Capture => ToConsole::Capture(offer),
        };
        (self.tell)(&message, fds)
    }

    pub(super) fn end(&mut self, stream: u32) -> bool {
        (self.tell)(&ToConsole::StreamEnded { stream }, &[])
    }
}
