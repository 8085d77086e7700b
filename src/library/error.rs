//! What can go wrong, as sentences for the person: each says what happened and, where there is one, what to do.

use std::path::{Path, PathBuf};

use api::machine::Problem;

use crate::kvm::KvmState;
use crate::{control, firmware, media, usb};

/// A library call's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that no board can be.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// No firmware for the machine.
    #[error(transparent)]
    Firmware(#[from] firmware::Error),
    /// A medium that cannot be used.
    #[error(transparent)]
    Media(#[from] media::Error),
    /// A USB device that a machine does not get.
    #[error(transparent)]
    Usb(#[from] usb::Error),
    /// The engine does not talk.
    #[error(transparent)]
    Control(#[from] control::Error),
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried: “write /path/to/file”.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No folder to keep machines in.
    #[error("cannot tell where to keep machines: neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// No such machine.
    #[error("there is no machine “{0}”: “dormerctl list” shows those there are")]
    NotFound(String),
    /// Two machines of one name.
    #[error("there is a machine “{0}” already: choose another name")]
    NameTaken(String),
    /// A `machine.toml` that cannot be read.
    #[error("{file} cannot be used: {why}", file = .file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The machine runs, and this needs that it does not.
    #[error("“{0}” is running: turn it off first")]
    Running(String),
    /// Somebody else's turn lasts.
    #[error("“{0}” is being moved or changed just now: try again when that has ended")]
    Changing(String),
    /// The machine does not run, and this needs that it does.
    #[error("“{0}” is not running: start it first")]
    NotRunning(String),
    /// A folder that is not in the library.
    #[error("{0} is not in the library, so it stays")]
    Outside(PathBuf),
    /// A place for a machine that is no folder.
    #[error("{0} is not a folder")]
    NotAFolder(PathBuf),
    /// A place for a machine that is in a machine's own folder.
    #[error("{0} is in a machine's own folder: choose another place")]
    IntoItself(PathBuf),
    /// A place for a machine that is the library's own.
    #[error("{0} is in Dormer's own folder: choose another place")]
    IntoLibrary(PathBuf),
    /// Something that no machine has.
    #[error("{0} cannot be copied, so the machine stays where it is")]
    NotMovable(PathBuf),
    /// A copy that reads other than it was written.
    #[error("{0} is not what was written to it, so the machine stays where it is: is that disk in order?")]
    BadCopy(PathBuf),
    /// Somebody changed their mind.
    #[error("stopped: the machine stays where it is")]
    Cancelled,
    /// No such drive.
    #[error("“{machine}” has no drive “{drive}”")]
    NoDrive {
        /// Whose.
        machine: String,
        /// Which.
        drive: String,
    },
    /// Not a CD drive.
    #[error("“{0}” is not a CD drive")]
    NotACdDrive(String),
    /// A disk for a CD drive.
    #[error("{0} is a disk image: a CD drive takes ISO images")]
    NotACd(PathBuf),
    /// A CD for a disk.
    #[error("{0} is a CD image: put it into a CD drive")]
    NotADisk(PathBuf),
    /// An image that somebody uses.
    #[error("{0} is in use by another machine or program")]
    ImageInUse(PathBuf),
    /// An image that cannot be made larger.
    #[error("{path} cannot be made larger: {why}", path = .path.display())]
    Grow {
        /// The image.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Not enough room.
    #[error("{path} has {free} MiB free, and {needed} MiB are needed", path = .path.display())]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// MiB.
        free: u64,
        /// MiB.
        needed: u64,
    },
    /// More memory than there is.
    #[error("this computer has {there} MiB of memory: a machine cannot have {wanted} MiB")]
    Memory {
        /// MiB.
        wanted: u64,
        /// MiB.
        there: u64,
    },
    /// A network that a card cannot be connected to, and what to do.
    #[error("{0}")]
    Cable(String),
    /// A card's network refuses something, or does not answer.
    #[error("the machine's network: {0}")]
    Network(String),
    /// A card's network has ended, though its machine runs.
    #[error("the machine's network has ended: it comes back when the machine starts again")]
    NetworkDown,
    /// `/dev/kvm` cannot be used.
    #[error("{}", .0.told())]
    Kvm(KvmState),
    /// A program of Dormer's is not there.
    #[error("{0} is not installed: it belongs beside this program")]
    NoProgram(&'static str),
    /// The engine says why it does not start.
    #[error("{0}")]
    Start(String),
    /// The engine ended before it said anything.
    #[error("the machine's engine ended while starting: {words} (log: {log})", log = .log.display())]
    Died {
        /// The end of what it wrote.
        words: String,
        /// The rest.
        log: PathBuf,
    },
    /// The engine says nothing.
    #[error("the machine's engine did not start within {0} seconds")]
    Slow(u64),
    /// A runtime folder that somebody else could write into.
    #[error("{0} belongs to somebody else: set XDG_RUNTIME_DIR to a folder of your own")]
    Runtime(PathBuf),
    /// A launcher from within Flatpak.
    #[error("Flatpak keeps Dormer from making launchers: start the machine from Dormer's window")]
    Sandboxed,
    /// A `machine.toml` that is not in the library.
    #[error("{file} is not in this computer's library: to use that machine, move its folder into {machines}", file = .file.display(), machines = .machines.display())]
    Elsewhere {
        /// The file.
        file: PathBuf,
        /// Where machines are.
        machines: PathBuf,
    },
    /// A size that is no size.
    #[error("“{0}” is not a size: write a number with M, G or T behind it, as in 40G")]
    Size(String),
}

/// Says what was tried when the system refuses.
pub(crate) trait Trying<T> {
    /// `what` continues “cannot …”.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T>;
    /// `verb` a `path`.
    fn at(self, verb: &str, path: &Path) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Trying<T> for std::result::Result<T, E> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Io { what: what(), source: error.into() })
    }

    fn at(self, verb: &str, path: &Path) -> Result<T> {
        self.trying(|| format!("{verb} {}", path.display()))
    }
}
