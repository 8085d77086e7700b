//! Moving a machine's folder to another place: into another folder, on this disk or on another.
//!
//! A link takes its place in the library, so everything finds the machine where it was; images outside the folder stay where they are.
//! Within a file system, folder and link change places in one step (renameat2(2), `RENAME_EXCHANGE`). Between two, everything is copied
//! ([`crate::tree`]), brought to stable storage, read again and compared; then the link takes the folder's place, in one step too, and the
//! old folder is removed last. Wherever that ends, by a refusal, a cancellation or a crash, there is one whole machine that the library
//! finds.

use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use uuid::Uuid;

use crate::entry::{Entry, FILE};
use crate::error::{Error, Result, Trying};
use crate::home::{self, Library, UNFINISHED};
use crate::lock::Lock;
use crate::tree::{Pass, Tree};
use crate::{atomic, room};

/// Links on their way into the library have this prefix, and then the folders that they took the place of; no machine's folder can have it.
pub(crate) const MOVED: &str = ".moved-";

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were copied or compared.
    pub done: u64,
    /// Bytes that are to be.
    pub all: u64,
}

impl Library {
    /// Moves a stopped machine's folder into the folder `place`, or back among the other machines where `place` is that. `report` hears how
    /// far it is and can stop it: then everything is as it was.
    pub fn move_to(
        &self,
        entry: &Entry,
        place: &Path,
        report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Entry> {
        self.inside(entry)?;
        let place = place.canonicalize().at("find", place)?;
        if !place.is_dir() {
            return Err(Error::NotAFolder(place));
        }
        // Changes to its settings wait a while, and find it where it is then.
        let _turn = entry.turn()?;
        let _lock = entry.lock()?;
        let real = entry.folder.canonicalize().at("find", &entry.folder)?;
        let is_link = is_link(&entry.folder);
        if place.starts_with(&real) {
            return Err(Error::IntoItself(place));
        }
        if real.parent() == Some(place.as_path()) {
            return Ok(entry.clone());
        }
        let comes_home = self.machines().canonicalize().is_ok_and(|home| home == place);
        if !comes_home {
            self.is_for_others(&place)?;
            sweep_copies(&place);
        }
        keep_outside_images(entry, &real)?;
        let target = if comes_home { entry.folder.clone() } else { home::free_folder_in(&place, &entry.machine.name) };
        match exchange_places(&real, &target, comes_home) {
            Ok(()) => {}
            // Another file system, or one that cannot do this.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let crossing = Crossing { entry, real: &real, place: &place, target: &target, sync: &sync_parents };
                return crossing.go(report);
            }
            Err(error) => return Err(error).at("move", &real),
        }
        // The machine is moved. What fails from now on takes nothing back.
        let old = if comes_home || !is_link { Ok(true) } else { put_link(entry, &target, &sync_parents) };
        match old {
            // The link that stands where the folder was is the library's, or one that nobody needs now.
            Ok(true) if is_link => {
                if let Err(error) = std::fs::remove_file(&real) {
                    tracing::warn!("a link that nobody needs stays: {}: {error}", real.display());
                }
            }
            Ok(_) => {}
            // The library's link leads to the one that stands there, and so to the machine.
            Err(error) => tracing::warn!("a machine is found by way of its old place: {error}"),
        }
        lasts(sync_parents(&[&real, &target, &entry.folder]));
        entry.reload()
    }

    /// Refuses places whose contents come and go with something else: the library's own folders, and those of machines.
    fn is_for_others(&self, place: &Path) -> Result<()> {
        let own = [self.home().to_owned(), self.machines(), self.disposables()];
        if own.iter().filter_map(|own| own.canonicalize().ok()).any(|own| place.starts_with(own)) {
            return Err(Error::IntoLibrary(place.to_owned()));
        }
        // Whoever has it in a list, and whether it can be read: a deleted one, say, that may still come back.
        match place.ancestors().any(|folder| folder.join(FILE).exists()) {
            true => Err(Error::IntoItself(place.to_owned())),
            false => Ok(()),
        }
    }

    /// Removes what moves that a crash ended have left: links that did not get to their place, and folders that were copied and compared
    /// before a link took theirs. A folder goes only when the library has its machine elsewhere, readable.
    pub(crate) fn sweep_moved(&self) {
        let machines = self.list().map(|listing| listing.machines).unwrap_or_default();
        let children = std::fs::read_dir(self.machines()).into_iter().flatten().flatten().map(|child| child.path());
        let moved = children
            .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(MOVED.as_bytes())));
        for path in moved {
            let removed = match is_link(&path) {
                true => std::fs::remove_file(&path),
                false if home::is_abandoned(&path) && is_elsewhere(&machines, &path) => std::fs::remove_dir_all(&path),
                false => Ok(()),
            };
            if let Err(error) = removed {
                tracing::warn!("what a move left stays: {}: {error}", path.display());
            }
        }
    }
}

/// Makes changes to the folders that these are in last.
type Sync<'a> = &'a dyn Fn(&[&Path]) -> Result<()>;

/// A machine's folder on its way to another file system.
struct Crossing<'a> {
    entry: &'a Entry,
    /// Its folder now.
    real: &'a Path,
    /// The folder that it goes into.
    place: &'a Path,
    /// Its folder then.
    target: &'a Path,
    sync: Sync<'a>,
}

impl Crossing<'_> {
    fn go(&self, report: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Entry> {
        let (tree, is_link) = (Tree::of(self.real)?, is_link(&self.entry.folder));
        room::for_copy(self.place, tree.bytes())?;
        let partial = self.place.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
        let switched = self.copy_and_switch(&tree, &partial, report);
        if switched.is_err() && partial.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            // What failed is the error worth telling. It is a copy, and has a name that says so.
            let _ = home::remove_tree(&partial);
        }
        let lasting = switched?;
        // The machine is moved: what is left of it is in nobody's way, and is needed where a power failure could take the move back.
        if is_link && !lasting {
            tracing::warn!("a machine was moved, and its old folder {} stays", self.real.display());
        } else if is_link && let Err(error) = std::fs::remove_dir_all(self.real) {
            tracing::warn!("a machine was moved, and its old folder {} stays: {error}", self.real.display());
        }
        self.entry.reload()
    }

    /// Nothing has changed after an error, but what is at `partial`. True when a power failure does not take the move back.
    fn copy_and_switch(
        &self,
        tree: &Tree,
        partial: &Path,
        report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<bool> {
        let all = tree.bytes().saturating_mul(2);
        let mut done = 0;
        let mut step = |bytes: u64| {
            done += bytes;
            match report(Progress { done: done.min(all), all }) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Error::Cancelled),
            }
        };
        tree.make_root(partial)?;
        // Nobody takes it for something that a crash left.
        let _lock = Lock::take(partial)?.ok_or_else(|| Error::Running(self.entry.machine.name.clone()))?;
        tree.pass(Pass::Copy, partial, &mut step)?;
        tree.pass(Pass::Compare, partial, &mut step)?;
        atomic::sync_folder(partial)?;
        let target = self.target;
        if target == self.entry.folder {
            // It comes home: folder and link change places, and the link goes.
            (self.sync)(&[partial])?;
            exchange(partial, target).at("move", target)?;
            let lasting = lasts((self.sync)(&[target]));
            if lasting && let Err(error) = std::fs::remove_file(partial) {
                tracing::warn!("a link that nobody needs stays: {}: {error}", partial.display());
            }
            return Ok(lasting);
        }
        std::fs::rename(partial, target).at("move", target)?;
        (self.sync)(&[target]).and_then(|()| put_link(self.entry, target, self.sync)).inspect_err(|_| {
            // The machine is where it was; its copy goes.
            let _ = std::fs::rename(target, partial);
        })
    }
}

/// Removes the half copies that moves which a crash ended have left at this place. They have no other use, and the next copy needs the room.
fn sweep_copies(place: &Path) {
    let children = std::fs::read_dir(place).into_iter().flatten().flatten();
    let is_copy = |name: &std::ffi::OsStr| {
        let random = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
        random.is_some_and(|random| random.len() == 32 && Uuid::try_parse(random).is_ok())
    };
    let copies = children.filter(|child| is_copy(&child.file_name())).map(|child| child.path());
    for copy in copies.filter(|copy| !is_link(copy) && home::is_abandoned(copy)) {
        if let Err(error) = std::fs::remove_dir_all(&copy) {
            tracing::warn!("what a move left stays: {}: {error}", copy.display());
        }
    }
}

/// Images that are outside the folder, and named from there, are named by their whole paths from now on.
fn keep_outside_images(entry: &Entry, real: &Path) -> Result<()> {
    let mut kept = entry.reload()?;
    for image in kept.machine.drives.iter_mut().filter_map(|drive| drive.image.as_mut()) {
        if let Ok(path) = real.join(&*image).canonicalize()
            && image.is_relative()
            && !path.starts_with(real)
        {
            *image = path;
        }
    }
    if kept.machine == entry.reload()?.machine { Ok(()) } else { kept.save() }
}

/// Makes a folder and a link to its new place change places: `target` is the folder then. Nothing has changed after an error.
fn exchange_places(real: &Path, target: &Path, comes_home: bool) -> Result<(), Errno> {
    if comes_home {
        return exchange(real, target).map_err(errno);
    }
    symlink(target, target).map_err(errno)?;
    exchange(real, target).map_err(errno).inspect_err(|_| {
        // As it was.
        let _ = std::fs::remove_file(target);
    })
}

/// Of a machine that stands elsewhere, a link is in the library.
pub(crate) fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_symlink())
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Puts a link to `target` where a machine's folder, or a link to it, is in the library, in one step. A folder that was there is removed: it
/// was copied. After an error everything is where it was. True when a power failure does not take the link away again; until that is sure, a
/// folder stays, out of sight, for [`Library::sweep_moved`].
fn put_link(entry: &Entry, target: &Path, sync: Sync<'_>) -> Result<bool> {
    let at = entry.folder.as_path();
    let home = at.parent().unwrap_or(Path::new("/"));
    let link = home.join(format!("{MOVED}{}-{}", entry.machine.uuid, Uuid::new_v4().simple()));
    symlink(target, &link).at("make", &link)?;
    let is_link = is_link(at);
    let put = if is_link { std::fs::rename(&link, at) } else { exchange(&link, at) };
    if let Err(error) = put {
        // What failed is the error worth telling.
        let _ = std::fs::remove_file(&link);
        return Err(error).at("make a link at", at);
    }
    let lasting = lasts(sync(&[at]));
    if lasting
        && !is_link
        && let Err(error) = std::fs::remove_dir_all(&link)
    {
        tracing::warn!("a machine was moved, and its old folder {} stays: {error}", link.display());
    }
    Ok(lasting)
}

/// Does the library have the machine of this folder, which a move left, in another one too?
pub(crate) fn is_elsewhere(machines: &[Entry], left: &Path) -> bool {
    let (real, uuids) = (left.canonicalize().ok(), uuids_of(left));
    machines.iter().any(|entry| {
        uuids.contains(&entry.machine.uuid) && entry.folder.canonicalize().is_ok_and(|at| Some(at) != real)
    })
}

/// Which machines a folder that a link took the place of may be of: what its name says, and what its file says, while it has one.
fn uuids_of(moved: &Path) -> Vec<Uuid> {
    let name = moved.file_name().and_then(|name| name.to_str()?.strip_prefix(MOVED)?.rsplit_once('-'));
    let named = name.and_then(|(uuid, _)| Uuid::parse_str(uuid).ok());
    named.into_iter().chain(Entry::load(moved, false).ok().map(|entry| entry.machine.uuid)).collect()
}

/// Is what has happened there to stay? Too late to refuse it.
fn lasts(synced: Result<()>) -> bool {
    synced
        .inspect_err(|error| tracing::warn!("a machine was moved, and a power failure may take that back: {error}"))
        .is_ok()
}

fn sync_parents(paths: &[&Path]) -> Result<()> {
    let mut folders: Vec<PathBuf> = paths.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
    folders.sort();
    folders.dedup();
    folders.iter().try_for_each(|folder| atomic::sync_folder(folder))
}

#[cfg(test)]
#[path = "moving_test.rs"]
mod tests;
