//! A machine's first serial line: what its guest sent and sends, and what a person sends to it. Everything here blocks: it runs in
//! commands, which hand it back, so that the next piece is asked for when the last one is shown.

use std::time::{Duration, Instant};

use api::control::Command;
use library::Result;
use library::control::Client;
use uuid::Uuid;

use crate::machines;

/// How long a guest that says nothing is waited for at a time.
const WAIT: Duration = Duration::from_secs(1);
/// Least time between two looks: an engine that always has more to say keeps the app no busier.
const PACE: Duration = Duration::from_millis(15);
/// Most characters that are sent at a time: a guest takes them within the time that its engine gives it.
const PIECE: usize = 256;

/// What the guest says.
#[derive(Debug)]
pub(crate) struct Listener {
    control: Client,
    next: u64,
}

/// What is said to the guest.
#[derive(Debug)]
pub(crate) struct Speaker(Client);

/// Both ends of the line, from the beginning of what the engine keeps.
pub(crate) fn open(uuid: Uuid) -> Result<(Listener, Speaker)> {
    let running = machines::find(uuid)?.running()?;
    Ok((Listener { control: running.control()?, next: 0 }, Speaker(running.control()?)))
}

impl Listener {
    /// What was sent up to now, piece by piece.
    pub(crate) fn past(&mut self) -> Result<String> {
        let serial = self.control.serial(self.next)?;
        self.next = serial.next;
        Ok(serial.text)
    }

    /// What is sent next; nothing when that takes longer than a moment.
    pub(crate) fn present(&mut self) -> Result<String> {
        let begun = Instant::now();
        let serial = self.control.await_serial(self.next, WAIT)?;
        self.next = serial.next;
        std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        Ok(serial.text)
    }
}

impl Speaker {
    /// Sends the beginning of this, and gives the rest.
    pub(crate) fn say(&mut self, mut text: String) -> Result<String> {
        let end = text.char_indices().nth(PIECE).map_or(text.len(), |(at, _)| at);
        let rest = text.split_off(end);
        self.0.execute(&Command::SerialWrite { text })?;
        Ok(rest)
    }
}
