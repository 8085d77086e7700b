//! Changes that a running machine follows.

use std::os::fd::AsFd;

use api::control::Command;
use api::settings::Live;

use super::cable::{self, Cable};
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
        Live::Network { card, network } => {
            let log = entry.logs().join(format!("net{card}.log"));
            let (end, tap) = match cable::plug(network, running.uuid(), *card, &log)? {
                Cable::Stream(stream) => (stream, false),
                Cable::Tap(device) => (device, true),
            };
            let (name, network) = (format!("net{card}"), network.attachment.to_string());
            running.control()?.execute_with(&Command::Connect { name, network, tap }, &[end.as_fd()])?;
        }
        Live::Forwards { card, remove, add } => nat::change(running.uuid(), *card, remove, add)?,
    }
    Ok(())
}
