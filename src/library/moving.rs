//! Moving a machine's folder to another place: into another folder, on this disk or on another.
//!
//! A link takes its place in the library, so everything finds the machine where it was; images outside the folder stay where they are.
//! Within a file system, folder and link change places in one step (renameat2(2), `RENAME_EXCHANGE`). Between two, everything is copied
//! ([`crate::tree`]), brought to stable storage, read again and compared; then the link takes the folder's place, in one step too, and the
//! old folder is removed last. Wherever that ends, by a refusal, a cancellation or a crash, there is one whole machine that the library
//! finds.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use uuid::Uuid;

use crate::entry::Entry;
use crate::error::{Error, Result, Trying};
use crate::home::{self, Library, UNFINISHED};
use crate::lock::Lock;
use crate::tree::{Pass, Tree};
use crate::{atomic, host};

/// Links on their way into the library have this prefix, and then the folders that they took the place of; no machine's folder can have it.
pub(crate) const MOVED: &str = ".moved-";
/// Left for others where a machine is copied to.
const SPARE: u64 = 256 << 20;

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
        // Changes to its settings wait, and find it where it is then.
        let turn = File::open(&entry.folder).at("open", &entry.folder)?;
        turn.lock().at("lock", &entry.folder)?;
        let _lock = entry.lock()?;
        let real = entry.folder.canonicalize().at("find", &entry.folder)?;
        let is_link = is_link(&entry.folder);
        if place.starts_with(&real) {
            return Err(Error::IntoItself(place));
        }
        if real.parent() == Some(place.as_path()) {
            return Ok(entry.clone());
        }
        keep_outside_images(entry, &real)?;
        let comes_home = self.machines().canonicalize().is_ok_and(|home| home == place);
        let target = if comes_home { entry.folder.clone() } else { home::free_folder_in(&place, &entry.machine.name) };
        match exchange_places(&real, &target, comes_home) {
            Ok(()) => {}
            // Another file system, or one that cannot do this.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return self.copy_to(entry, &real, &place, &target, report);
            }
            Err(error) => return Err(error).at("move", &real),
        }
        // The link that stands where the folder was is the library's, or one that nobody needs now.
        if is_link {
            if !comes_home {
                put_link(&entry.folder, &target)?;
            }
            std::fs::remove_file(&real).at("remove", &real)?;
        }
        sync_parents(&[&real, &target, &entry.folder])?;
        entry.reload()
    }

    /// To another file system.
    fn copy_to(
        &self,
        entry: &Entry,
        real: &Path,
        place: &Path,
        target: &Path,
        report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Entry> {
        let (tree, is_link) = (Tree::of(real)?, is_link(&entry.folder));
        let free = host::free_space(place).at("look at", place)?;
        let needed = tree.bytes().saturating_add(SPARE);
        if needed > free {
            return Err(Error::NoRoom { path: place.to_owned(), free: free >> 20, needed: needed >> 20 });
        }
        let partial = place.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
        let switched = self.copy_and_switch(entry, &tree, &partial, target, report);
        if switched.is_err() && partial.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            // What failed is the error worth telling. It is a copy, and has a name that says so.
            let _ = home::remove_tree(&partial);
        }
        switched?;
        // The machine is moved: what is left of it is in nobody's way.
        if is_link && let Err(error) = std::fs::remove_dir_all(real) {
            tracing::warn!("a machine was moved, and its old folder {} stays: {error}", real.display());
        }
        entry.reload()
    }

    fn copy_and_switch(
        &self,
        entry: &Entry,
        tree: &Tree,
        partial: &Path,
        target: &Path,
        report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
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
        let lock = Lock::take(partial)?.ok_or_else(|| Error::Running(entry.machine.name.clone()))?;
        tree.pass(Pass::Copy, partial, &mut step)?;
        tree.pass(Pass::Compare, partial, &mut step)?;
        atomic::sync_folder(partial)?;
        if target == entry.folder {
            // It comes home: folder and link change places, and the link goes.
            exchange(partial, target).at("move", target)?;
            if let Err(error) = std::fs::remove_file(partial) {
                tracing::warn!("a link that nobody needs stays: {}: {error}", partial.display());
            }
            return sync_parents(&[target]);
        }
        std::fs::rename(partial, target).at("move", target)?;
        sync_parents(&[target])?;
        if let Err(error) = put_link(&entry.folder, target) {
            // The machine is where it was; its copy goes.
            let _ = std::fs::rename(target, partial);
            return Err(error);
        }
        drop(lock);
        Ok(())
    }

    /// Removes what moves that a crash ended have left: links that did not get to their place, and folders that were copied and compared
    /// before a link took theirs.
    pub(crate) fn sweep_moved(&self) {
        let children = std::fs::read_dir(self.machines()).into_iter().flatten().flatten().map(|child| child.path());
        let moved = children
            .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(MOVED.as_bytes())));
        for path in moved {
            let removed = match is_link(&path) {
                true => std::fs::remove_file(&path),
                false if home::is_abandoned(&path) => std::fs::remove_dir_all(&path),
                false => Ok(()),
            };
            if let Err(error) = removed {
                tracing::warn!("what a move left stays: {}: {error}", path.display());
            }
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
fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_symlink())
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Puts a link to `target` where a machine's folder, or a link to it, is in the library, in one step. A folder that was there is removed: it
/// was copied.
fn put_link(at: &Path, target: &Path) -> Result<()> {
    let home = at.parent().unwrap_or(Path::new("/"));
    let link = home.join(format!("{MOVED}{}", Uuid::new_v4().simple()));
    symlink(target, &link).at("make", &link)?;
    let is_link = is_link(at);
    let put = if is_link { std::fs::rename(&link, at) } else { exchange(&link, at) };
    if let Err(error) = put {
        // What failed is the error worth telling.
        let _ = std::fs::remove_file(&link);
        return Err(error).at("make a link at", at);
    }
    atomic::sync_folder(home)?;
    if !is_link && let Err(error) = std::fs::remove_dir_all(&link) {
        tracing::warn!("a machine was moved, and its old folder {} stays: {error}", link.display());
    }
    Ok(())
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
