//! Whose turn it is to change a machine: one change at a time, so that what another process has just written down is not lost.
//!
//! An exclusive `flock` on the machine's folder itself, beside the [`crate::Lock`] of whoever runs it: a running machine is changed too. It
//! falls with the descriptor. Most changes take an instant; a move to another disk takes as long as that.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::error::{Error, Result, Trying};

/// Longer than any change but a move: then somebody wants to hear why nothing happens.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried.
const LOOK: Duration = Duration::from_millis(20);

/// A turn; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "the lock is the descriptor's")] File);

impl Entry {
    /// Waits some seconds for this process's turn.
    pub(crate) fn turn(&self) -> Result<Turn> {
        self.turn_within(PATIENCE)
    }

    fn turn_within(&self, patience: Duration) -> Result<Turn> {
        let start = Instant::now();
        loop {
            let folder = File::open(&self.folder).at("open", &self.folder)?;
            match folder.try_lock() {
                // After a move it is another folder.
                Ok(()) if self.is(&folder)? => return Ok(Turn(folder)),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).at("lock", &self.folder),
            }
            if start.elapsed() >= patience {
                return Err(Error::Changing(self.machine.name.clone()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Is this its folder?
    fn is(&self, folder: &File) -> Result<bool> {
        let (one, other) = (folder.metadata(), self.folder.metadata());
        let [one, other] = [one, other].map(|data| data.map(|data| (data.dev(), data.ino())));
        Ok(one.at("look at", &self.folder)? == other.at("look at", &self.folder)?)
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    use super::*;
    use crate::fixture::library_with_one;

    #[test]
    fn one_at_a_time_and_nobody_waits_for_ever() {
        let (_home, _library, entry) = library_with_one();
        let turn = entry.turn().unwrap();
        let refused = entry.turn_within(Duration::from_millis(60)).unwrap_err().to_string();
        assert_eq!(refused, "“One” is being moved or changed just now: try again when that has ended");
        let other = entry.clone();
        let waiting = std::thread::spawn(move || other.turn().is_ok());
        std::thread::sleep(Duration::from_millis(60));
        assert!(!waiting.is_finished());
        drop(turn);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn who_waited_for_a_move_has_the_turn_of_the_new_folder() {
        let (home, _library, entry) = library_with_one();
        let turn = entry.turn().unwrap();
        let other = entry.clone();
        let waiting = std::thread::spawn(move || other.turn().unwrap());
        // As a move to another file system ends.
        let (moved, link) = (home.path().join("moved"), home.path().join("link"));
        std::fs::create_dir(&moved).unwrap();
        std::os::unix::fs::symlink(&moved, &link).unwrap();
        renameat_with(CWD, &link, CWD, &entry.folder, RenameFlags::EXCHANGE).unwrap();
        drop(turn);
        let _turn = waiting.join().unwrap();
        assert!(matches!(File::open(&moved).unwrap().try_lock(), Err(TryLockError::WouldBlock)));
    }
}
