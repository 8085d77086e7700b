//! Where engines' sockets are: `$XDG_RUNTIME_DIR/dormer/<uuid>/`, with `control` and `ui` in it, and `net0` and so on of the cards'
//! networks; and `networks/<name>/`, where the cards of an internal network meet.
//!
//! In Flatpak, `$XDG_RUNTIME_DIR/app/<app id>/dormer/`, which all its sandboxes share. Without a runtime folder, `/tmp/dormer-<uid>`,
//! which must be this person's and closed to others. Left-overs are removed by whoever starts a machine next: an engine opens no
//! path, so it cannot remove its own.

use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::machine::NetworkName;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use uuid::Uuid;

use crate::error::{Error, Result, Trying};
use crate::usb;

/// A folder whose engine is just being started has nobody who accepts for an instant.
const YOUNG: Duration = Duration::from_secs(60);
/// Consoles that wait to be accepted.
const BACKLOG: i32 = 16;

/// The folder with a folder for each engine. Made when `make` says so.
fn base(make: bool) -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let runtime = variable("XDG_RUNTIME_DIR").filter(|path| path.is_absolute() && path.is_dir());
    let base = match (runtime, variable("FLATPAK_ID")) {
        (Some(runtime), Some(app)) => runtime.join("app").join(app).join("dormer"),
        (Some(runtime), None) => runtime.join("dormer"),
        (None, _) => std::env::temp_dir().join(format!("dormer-{}", rustix::process::getuid().as_raw())),
    };
    if make {
        DirBuilder::new().recursive(true).mode(0o700).create(&base).at("make", &base)?;
    }
    match base.symlink_metadata() {
        Ok(data) => {
            let own = data.is_dir() && data.uid() == rustix::process::getuid().as_raw() && data.mode() & 0o022 == 0;
            if own { Ok(base) } else { Err(Error::Runtime(base)) }
        }
        Err(_) => Ok(base),
    }
}

/// Where engines' folders are, made if need be: what happens in it can be watched.
pub(super) fn base_folder() -> Result<PathBuf> {
    base(true)
}

/// An engine's folder.
pub(super) fn folder(uuid: Uuid) -> Result<PathBuf> {
    Ok(base(false)?.join(uuid.to_string()))
}

/// An engine's listening sockets.
pub(super) struct Sockets {
    pub(super) control: OwnedFd,
    pub(super) ui: OwnedFd,
}

/// Makes an engine's folder anew. The machine's lock must be held.
pub(super) fn make(uuid: Uuid) -> Result<Sockets> {
    let folder = base(true)?.join(uuid.to_string());
    usb::give_back(&folder);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at("remove", &folder),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&folder).at("make", &folder)?;
    let path = folder.join("control");
    let control = UnixListener::bind(&path).at("make", &path)?.into();
    let path = folder.join("ui");
    let ui = packets(&path, |socket, address| {
        bind(socket, address)?;
        listen(socket, BACKLOG)
    });
    Ok(Sockets { control, ui: ui.at("make", &path)? })
}

/// The listening socket of a card's network, anew, in the folder that [`make`] made.
pub(super) fn network(uuid: Uuid, card: usize) -> Result<UnixListener> {
    let path = network_path(uuid, card)?;
    match std::fs::remove_file(&path) {
        // One that the card was on before.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at("remove", &path),
        _ => {}
    }
    UnixListener::bind(&path).at("make", &path)
}

/// Where a card's network listens.
pub(super) fn network_path(uuid: Uuid, card: usize) -> Result<PathBuf> {
    Ok(folder(uuid)?.join(format!("net{card}")))
}

/// Where the ports of an internal network meet, in [`base`]'s `networks/`; it stays when they have gone.
pub(super) fn meeting_place(name: &NetworkName) -> Result<PathBuf> {
    let folder = base(true)?.join("networks").join(name.as_str());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).at("make", &folder)?;
    Ok(folder)
}

/// A packet socket and what to do with it.
fn packets(
    path: &Path,
    act: impl FnOnce(&OwnedFd, &SocketAddrUnix) -> rustix::io::Result<()>,
) -> rustix::io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    act(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Connects to an engine's UI socket.
pub(super) fn connect_ui(path: &Path) -> rustix::io::Result<OwnedFd> {
    packets(path, |socket, address| connect(socket, address))
}

/// Removes the folder of an engine that is gone. The machine's lock must be held, or the machine deleted.
pub(crate) fn forget(uuid: Uuid) {
    if let Ok(folder) = folder(uuid) {
        usb::give_back(&folder);
        // It is in memory and in nobody's way: the next start removes it, or the logout.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The folders of engines, of those too that are gone.
pub(crate) fn folders() -> Vec<PathBuf> {
    let folders = base(false).ok().and_then(|base| std::fs::read_dir(base).ok()).into_iter().flatten().flatten();
    let is_engine = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| Uuid::parse_str(name).is_ok());
    folders.filter(|folder| is_engine(&folder.file_name())).map(|folder| folder.path()).collect()
}

/// Does somebody listen in an engine's folder? In one that is being made, not yet.
pub(crate) fn is_running(folder: &Path) -> bool {
    let refused = UnixStream::connect(folder.join("control")).err().map(|error| error.kind());
    !matches!(refused, Some(std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound))
}

/// Removes the folders of engines that are gone.
pub(crate) fn sweep() {
    for path in folders() {
        let old =
            path.metadata().and_then(|data| data.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG));
        if old && !is_running(&path) {
            usb::give_back(&path);
            // As in `forget`.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
