//! Changes that a running machine follows.

use api::control::Command;
use api::settings::Live;

use super::nat;
use crate::entry::Entry;
use crate::error::Result;

/// Does it to the running machine of `entry`.
pub(crate) fn follow(entry: &Entry, change: &Live) -> Result<()> {
    let running = entry.running()?;
    match change {
        Live::Link { card, up } => {
            running.control()?.execute(&Command::SetLink { name: format!("net{card}"), up: *up })?;
        }
        Live::Forwards { card, remove, add } => nat::change(running.uuid(), *card, remove, add)?,
    }
    Ok(())
}
