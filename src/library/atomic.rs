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
    replace(path, |file| fill(file).and_then(|()| file.sync_all()).at("write", path))?;
    sync_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Replaces `path` by a file of mode 0600 that `take` has agreed to take, empty or filled.
pub(crate) fn replace(path: &Path, take: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    // A relative path of one name has an empty parent.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".{}.tmp", Uuid::new_v4().simple()));
    let open = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&temporary);
    let taken = open.at("write", path).and_then(|mut file| take(&mut file));
    let replaced = taken.and_then(|()| std::fs::rename(&temporary, path).at("write", path));
    replaced.inspect_err(|_| {
        // What failed is the error worth telling; a left-over hidden file harms nobody.
        let _ = std::fs::remove_file(&temporary);
    })
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
