//! Captures: what goes through a running machine's network card, written to a file that Wireshark and tcpdump read.

use std::os::fd::AsFd;
use std::path::Path;

use api::control::Command;

use crate::atomic;
use crate::entry::Entry;
use crate::error::{Error, Result};

/// Begins to capture card `name` into a file, in place of the one that is there. That one stays when the engine refuses. The new one is for
/// its owner's eyes alone.
pub fn begin(entry: &Entry, name: &str, path: &Path) -> Result<()> {
    let mut control = entry.running()?.control()?;
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|data| !data.is_file()) {
        return Err(Error::Media(crate::media::Error::NotAFile(path)));
    }
    let mut begun = false;
    let replaced = atomic::replace(&path, |file| {
        control.execute_with(&Command::Capture { name: name.to_owned() }, &[file.as_fd()])?;
        begun = true;
        Ok(())
    });
    if begun && replaced.is_err() {
        // It would go on into a file that nobody finds. What failed first is the error to tell.
        let _ = control.execute(&Command::CaptureEnd { name: name.to_owned() });
    }
    replaced
}

/// Ends the capture of card `name`.
pub fn end(entry: &Entry, name: &str) -> Result<()> {
    entry.running()?.control()?.execute(&Command::CaptureEnd { name: name.to_owned() })?;
    Ok(())
}
