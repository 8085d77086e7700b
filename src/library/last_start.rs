//! When a machine last started: the modification time of the empty file `last-start` in its folder.
//!
//! A file of its own, as every other changes at other times too: logs while it runs, `lock` when it is renamed, `machine.toml` when it
//! is configured.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::time::SystemTime;

use crate::entry::Entry;

/// The file's name.
const NAME: &str = "last-start";

impl Entry {
    /// When it last started, if it ever did.
    pub fn last_start(&self) -> Option<SystemTime> {
        self.folder.join(NAME).metadata().and_then(|data| data.modified()).ok()
    }

    /// It starts now.
    pub(crate) fn starts_now(&self) {
        let path = self.folder.join(NAME);
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        // A machine that runs is worth more than the order of a list.
        if let Err(error) = open.and_then(|file| file.set_modified(SystemTime::now())) {
            tracing::warn!("cannot write {}: {error}", path.display());
        }
    }
}
