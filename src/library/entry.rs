//! One machine's folder: `machine.toml`, images, `nvram.fd`, `logs/`, `lock`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::control::RunState;
use api::machine::Machine;

use crate::atomic;
use crate::engine::Running;
use crate::error::{Error, Result};
use crate::lock::{Holder, Lock};

/// The configuration's file name.
pub(crate) const FILE: &str = "machine.toml";
/// Most bytes of it.
const FILE_BYTES: u64 = 1 << 20;
/// An engine answers at once unless its host is in trouble.
pub(crate) const ASK: Duration = Duration::from_secs(2);

/// A machine in the library, as its file said when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its folder.
    pub folder: PathBuf,
    /// Its configuration; [`Entry::save`] writes changes down.
    pub machine: Machine,
    /// A throw-away machine: gone when it stops.
    pub disposable: bool,
}

/// A folder whose `machine.toml` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The folder.
    pub folder: PathBuf,
    /// What is wrong, as a sentence's end.
    pub why: String,
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Self::Broken { file: broken.folder.join(FILE), why: broken.why }
    }
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody runs it.
    Stopped,
    /// Somebody holds its lock, and no engine answers: it is starting, ending, or stuck.
    Busy(Holder),
    /// Its engine says this.
    Live(RunState, Holder),
}

impl State {
    /// One word for it, as `dormerctl` prints and takes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Busy(_) => "busy",
            Self::Live(state, _) => match state {
                RunState::Prelaunch => "prelaunch",
                RunState::Running => "running",
                RunState::Paused => "paused",
                RunState::Shutdown => "shutdown",
                RunState::InternalError => "internal-error",
                RunState::IoError => "io-error",
            },
        }
    }
}

impl Entry {
    /// Reads a machine's folder.
    pub(crate) fn load(folder: &Path, disposable: bool) -> Result<Self, Broken> {
        let broken = |why: String| Broken { folder: folder.to_owned(), why };
        let mut text = String::new();
        std::fs::File::open(folder.join(FILE))
            .and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text))
            .map_err(|error| broken(error.to_string()))?;
        let machine: Machine = toml::from_str(&text).map_err(|error| broken(explain(&text, &error)))?;
        machine.check().map_err(|problem| broken(problem.to_string()))?;
        Ok(Self { folder: folder.to_owned(), machine, disposable })
    }

    /// Reads it again.
    pub fn reload(&self) -> Result<Self> {
        Ok(Self::load(&self.folder, self.disposable)?)
    }

    /// Checks the configuration and writes it down. A running engine goes on with what it started with.
    pub fn save(&self) -> Result<()> {
        self.machine.check()?;
        let text = toml::to_string(&self.machine)
            .map_err(|error| Error::Broken { file: self.folder.join(FILE), why: error.to_string() })?;
        atomic::write(&self.folder.join(FILE), text.as_bytes())
    }

    /// What it does now. Takes a moment when an engine is stuck (2 s at most).
    pub fn state(&self) -> State {
        let Some(holder) = Lock::holder(&self.folder) else { return State::Stopped };
        let status = Running::attach(self.machine.uuid)
            .and_then(|running| running.control_within(ASK))
            .and_then(|mut control| Ok(control.status()?));
        match status {
            Ok(status) => State::Live(status.status, holder),
            Err(_) => State::Busy(holder),
        }
    }

    /// Is anybody running it?
    pub fn is_stopped(&self) -> bool {
        Lock::holder(&self.folder).is_none()
    }

    /// Its engine.
    pub fn running(&self) -> Result<Running> {
        if self.is_stopped() {
            return Err(Error::NotRunning(self.machine.name.clone()));
        }
        match Running::attach(self.machine.uuid) {
            Ok(running) => Ok(running.of(self)),
            Err(Error::NotRunning(_)) => Err(Error::NotRunning(self.machine.name.clone())),
            Err(error) => Err(error),
        }
    }

    /// Takes the machine's lock: nobody starts, renames or deletes it meanwhile.
    pub fn lock(&self) -> Result<Lock> {
        Lock::take(&self.folder)?.ok_or_else(|| Error::Running(self.machine.name.clone()))
    }

    /// An image's path.
    pub fn image(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The engine's log, and those of its helpers beside it.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }
}

/// A TOML error in one line: where, and what.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}
