//! Captures: what goes through a running machine's network card, written to a file that Wireshark and tcpdump read.

use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use api::control::Command;

use crate::entry::Entry;
use crate::error::{Result, Trying};

/// Begins to capture card `name` into a file, in place of what is in it. It is for its owner's eyes alone.
pub fn begin(entry: &Entry, name: &str, path: &Path) -> Result<()> {
    let mut control = entry.running()?.control()?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).at("write", path)?;
    control.execute_with(&Command::Capture { name: name.to_owned() }, &[file.as_fd()])?;
    Ok(())
}

/// Ends the capture of card `name`.
pub fn end(entry: &Entry, name: &str) -> Result<()> {
    entry.running()?.control()?.execute(&Command::CaptureEnd { name: name.to_owned() })?;
    Ok(())
}
