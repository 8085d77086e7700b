//! What is at the other end of a card's cable: a helper process or a device of the host, by what the card is connected to.
//!
//! The engine gets a connected socket, or a tap device, and knows no more. A helper ends when the engine closes its socket.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use api::machine::{Attachment, Network};
use uuid::Uuid;

use super::{nat, switch, tap};
use crate::error::{Result, Trying};

/// How long a helper may take to answer. What it does takes no time, but its program may come from a slow disk that others use too.
pub(super) const READY: Duration = Duration::from_secs(30);
/// Most bytes of a helper's last words.
const WORDS_BYTES: u64 = 64 << 10;

/// The engine's end of a cable.
pub(super) enum Cable {
    /// A socket.
    Stream(OwnedFd),
    /// A tap device.
    Tap(OwnedFd),
}

/// Starts what a card is connected to, and gives back the engine's end of its cable. `log` gets what a helper says.
pub(super) fn plug(network: &Network, uuid: Uuid, card: usize, log: &Path) -> Result<Cable> {
    match &network.attachment {
        Attachment::Nat => nat::start(network, uuid, card, log).map(Cable::Stream),
        Attachment::Internal(name) => switch::start(name, log).map(Cable::Stream),
        Attachment::Bridge(name) => tap::on_bridge(name, log).map(Cable::Tap),
        Attachment::Tap(name) => tap::open(name).map(Cable::Tap),
    }
}

/// A helper's log, empty.
pub(super) fn open_log(path: &Path) -> Result<File> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path);
    open.at("open", path)
}

/// The last line of a log, without the helper's name before it.
pub(super) fn last_words(log: &mut (impl Read + std::io::Seek), program: &str) -> String {
    let mut text = Vec::new();
    // What cannot be read says nothing.
    let _ = log.rewind().and_then(|()| log.take(WORDS_BYTES).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
    let line = line.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn last_words_are_the_last_line() {
        let words = |text: &str| last_words(&mut Cursor::new(text), "dormer-switch");
        assert_eq!(words(""), "it does not say why");
        assert_eq!(words("INFO port 1\ndormer-switch: all are taken\n\n"), "all are taken");
        assert_eq!(words("dormer-switching"), "dormer-switching");
        assert_eq!(words(&"x".repeat(1000)).len(), 300);
    }
}
