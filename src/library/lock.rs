//! Who runs a machine: an exclusive `flock` on the file `lock` in its folder.
//!
//! The lock belongs to the open file, not to a process: a starter takes it, hands the descriptor to the engine as its standard
//! output, and goes; the lock falls when the engine ends, however it ends. The file's contents (process, time) are for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Result, Trying};

/// The file's name.
pub(crate) const NAME: &str = "lock";
/// Somebody who only asks holds the lock for an instant; a starter outwaits that.
const PATIENCE: Duration = Duration::from_millis(500);

/// Who holds a machine's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id: the engine's, or the starter's while it starts.
    pub pid: u32,
    /// Seconds since 1970.
    pub since: u64,
}

/// A machine's lock, held.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// An engine has it too.
    shared: AtomicBool,
}

impl Lock {
    /// Takes the lock of the machine in `folder`; `None` when somebody else has it.
    pub(crate) fn take(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(NAME);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open().at("open", &path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
            }
        }
        let mut lock = Self { file, shared: AtomicBool::new(false) };
        lock.name_holder(std::process::id())?;
        Ok(Some(lock))
    }

    /// Writes down who has it.
    pub(crate) fn name_holder(&mut self, pid: u32) -> Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut text = serde_json::to_string(&Holder { pid, since }).unwrap_or_default();
        text.push('\n');
        let file = &mut self.file;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .trying(|| "write the machine's lock".into())
    }

    /// A second descriptor of the same lock, for the engine.
    pub(crate) fn share(&self) -> Result<OwnedFd> {
        self.shared.store(true, Relaxed);
        self.file.try_clone().map(OwnedFd::from).trying(|| "pass the machine's lock on".into())
    }

    /// Who has the lock of the machine in `folder`? `None`: nobody, or there is no folder.
    pub(crate) fn holder(folder: &Path) -> Option<Holder> {
        let file = File::open(folder.join(NAME)).ok()?;
        match file.try_lock_shared() {
            // Closing the file gives the lock back.
            Ok(()) => None,
            Err(TryLockError::Error(_)) => None,
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // A starter may be writing just now.
                let _ = (&file).take(4096).read_to_string(&mut text);
                Some(serde_json::from_str(&text).unwrap_or(Holder { pid: 0, since: 0 }))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child that is being started has copies of all descriptors until it has become its program. It does not need the lock.
        if !*self.shared.get_mut()
            && let Err(error) = self.file.unlock()
        {
            tracing::warn!("a machine's lock stays until its file is closed: {error}");
        }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_a_share_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Lock::holder(folder.path()), None);
        let mut lock = Lock::take(folder.path()).unwrap().unwrap();
        assert_eq!(Lock::holder(folder.path()).unwrap().pid, std::process::id());
        assert!(Lock::take(folder.path()).unwrap().is_none());
        lock.name_holder(7).unwrap();
        assert_eq!(Lock::holder(folder.path()).unwrap().pid, 7);
        let share = lock.share().unwrap();
        drop(lock);
        assert!(Lock::holder(folder.path()).is_some(), "the engine's descriptor holds it on");
        drop(share);
        assert_eq!(Lock::holder(folder.path()), None);
        assert!(Lock::take(folder.path()).unwrap().is_some());
    }

    #[test]
    fn a_child_that_is_being_started_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap().unwrap();
        // What fork leaves in it until it has become a program.
        let copy = lock.as_fd().try_clone_to_owned().unwrap();
        drop(lock);
        assert_eq!(Lock::holder(folder.path()), None);
        drop(copy);
    }
}
