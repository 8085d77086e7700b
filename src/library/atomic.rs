//! Files that are there whole or not at all, whatever happens to the power.
//!
//! Written beside their place under a temporary name, synced, renamed over it, and the folder synced (the rename itself).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use uuid::Uuid;

use crate::error::{Result, Trying};

/// Replaces `path` by a file of these bytes, mode 0600.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Replaces `path` by what `fill` writes into an empty file, mode 0600.
pub(crate) fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let temporary = folder.join(format!(".{}.tmp", Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&temporary)?;
        fill(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // What failed is the error worth telling; a left-over hidden file harms nobody.
        let _ = std::fs::remove_file(&temporary);
    }
    written.at("write", path)?;
    sync_folder(folder)
}

/// Makes renames, creations and removals in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).at("sync", folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.toml");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let refused = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(std::io::Error::other("the disk is full"))
        });
        assert!(refused.unwrap_err().to_string().ends_with("machine.toml: the disk is full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"two", "a failed write changes nothing");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
