//! An engine that runs, seen from any process.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

use super::runtime;
use crate::control::{ANSWER, Client};
use crate::entry::Entry;
use crate::error::{Error, Result, Trying};
use crate::home;
use crate::lock::Lock;

/// How often somebody who waits for the end looks.
const LOOK: Duration = Duration::from_millis(50);

/// A running engine's sockets. Holds nothing open; it may be gone any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    uuid: Uuid,
    sockets: PathBuf,
    /// The machine's folder, and whether it goes with the engine.
    machine: Option<(PathBuf, bool)>,
    /// What the person should know about this start, each a sentence: media that were not there.
    pub notes: Vec<String>,
}

impl Running {
    /// The engine of the machine with this UUID. [`Entry::running`] knows more (its folder).
    pub fn attach(uuid: Uuid) -> Result<Self> {
        let sockets = runtime::folder(uuid)?;
        match sockets.join("control").symlink_metadata() {
            Ok(_) => Ok(Self { uuid, sockets, machine: None, notes: Vec::new() }),
            Err(_) => Err(Error::NotRunning(uuid.to_string())),
        }
    }

    /// Remembers which machine it is.
    pub(crate) fn of(mut self, entry: &Entry) -> Self {
        self.machine = Some((entry.folder.clone(), entry.disposable));
        self
    }

    /// The machine's UUID.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// A connection for commands or events.
    pub fn control(&self) -> Result<Client> {
        self.control_within(ANSWER)
    }

    /// [`Running::control`] that waits no longer than this for any answer.
    pub fn control_within(&self, limit: Duration) -> Result<Client> {
        Ok(Client::connect(&self.control_path(), limit)?)
    }

    /// The control socket, for other QMP clients.
    pub fn control_path(&self) -> PathBuf {
        self.sockets.join("control")
    }

    /// Where its sockets are.
    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// A connection for a console ([`api::ui`]).
    pub fn ui(&self) -> Result<OwnedFd> {
        let path = self.sockets.join("ui");
        runtime::connect_ui(&path).at("connect to", &path)
    }

    /// Has the engine ended?
    pub fn has_ended(&self) -> bool {
        match &self.machine {
            Some((folder, _)) => Lock::holder(folder).is_none(),
            None => std::os::unix::net::UnixStream::connect(self.control_path()).is_err(),
        }
    }

    /// Waits until the engine has ended, then cleans up behind it; a throw-away machine is gone then. False when it still
    /// runs after `limit`.
    pub fn wait_end(&self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while !self.has_ended() {
            if Instant::now() >= end {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
        match &self.machine {
            Some((folder, disposable)) => self.clean_up(folder, *disposable).map(|()| true).or_else(|error| {
                // Somebody else may have cleaned up meanwhile.
                if folder.exists() { Err(error) } else { Ok(true) }
            }),
            None => Ok(true),
        }
    }

    /// Removes what an engine that has ended leaves behind.
    fn clean_up(&self, folder: &Path, disposable: bool) -> Result<()> {
        // Somebody may have started it again.
        let Some(_lock) = Lock::take(folder)? else { return Ok(()) };
        runtime::forget(self.uuid);
        if disposable { home::remove(folder) } else { Ok(()) }
    }

    /// Ends an engine that does not answer, without mercy: what its guest had not flushed is lost.
    pub fn kill(&self) -> Result<()> {
        let (folder, _) = self.machine.as_ref().ok_or_else(|| Error::NotRunning(self.uuid.to_string()))?;
        let holder = Lock::holder(folder).ok_or_else(|| Error::NotRunning(self.uuid.to_string()))?;
        let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
        let pid = pid.filter(|_| holder.pid != std::process::id()).ok_or(Error::NotRunning(self.uuid.to_string()))?;
        let process = pidfd_open(pid, PidfdFlags::empty()).trying(|| "end the engine".into())?;
        // The lock was held by this process before the descriptor was made, and is still: so it is this one.
        if Lock::holder(folder) != Some(holder) {
            return Ok(());
        }
        pidfd_send_signal(process, Signal::KILL).trying(|| "end the engine".into())
    }
}
