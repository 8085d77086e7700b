//! The library: folders of machines under one home.
//!
//! `$DORMER_HOME`, else `$XDG_DATA_HOME/dormer`, else `~/.local/share/dormer`. In it `machines/`, a folder for each machine, or a
//! link to one that was moved elsewhere, and `disposable/`, the throw-away machines that run just now (on disk and not in the runtime
//! folder: their disks may be large, and that one is memory). Any number of processes work in it at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::machine::check_name;
use uuid::Uuid;

use crate::deletion::DISCARDED;
use crate::entry::{Broken, Entry};
use crate::error::{Error, Result, Trying};
use crate::lock::{self, Lock};
use crate::{atomic, engine, moving};

/// Folders whose making was interrupted keep this prefix; no machine's folder can have it.
pub(crate) const UNFINISHED: &str = ".new-";
/// A folder being made has no lock for an instant.
const YOUNG: Duration = Duration::from_secs(60);

/// The machines on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    home: PathBuf,
    /// Where the desktop looks for apps.
    applications: PathBuf,
    /// Where it looks for what it starts at login.
    autostart: PathBuf,
}

/// What [`Library::list`] found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Machines, by name.
    pub machines: Vec<Entry>,
    /// Folders whose `machine.toml` cannot be used. Shown, never touched.
    pub broken: Vec<Broken>,
}

impl Library {
    /// This person's library. Makes no folder yet.
    pub fn open() -> Result<Self> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
        let home = variable("DORMER_HOME").or_else(|| Some(data.as_ref()?.join("dormer"))).ok_or(Error::NoHome)?;
        let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
        let mut library = Self::at(home);
        if let Some(data) = data {
            library.applications = data.join("applications");
        }
        if let Some(config) = config {
            library.autostart = config.join("autostart");
        }
        Ok(library)
    }

    /// A library elsewhere, with launchers of its own that no desktop sees.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        Self { applications: home.join("applications"), autostart: home.join("autostart"), home }
    }

    /// Where launchers are.
    pub(crate) fn applications(&self) -> &Path {
        &self.applications
    }

    /// Where launchers are that the desktop runs at login.
    pub(crate) fn autostart(&self) -> &Path {
        &self.autostart
    }

    /// The folder with everything of it.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Where machines are.
    pub fn machines(&self) -> PathBuf {
        self.home.join("machines")
    }

    /// Where throw-away machines are.
    pub fn disposables(&self) -> PathBuf {
        self.home.join("disposable")
    }

    /// All machines that are kept.
    pub fn list(&self) -> Result<Listing> {
        scan(&self.machines(), false)
    }

    /// The throw-away machines that run just now.
    pub fn list_disposable(&self) -> Result<Listing> {
        scan(&self.disposables(), true)
    }

    /// The machine of this name or UUID; throw-away ones too.
    pub fn find(&self, name: &str) -> Result<Entry> {
        let kept = self.list()?;
        let disposable = self.list_disposable()?;
        let uuid = Uuid::parse_str(name).ok();
        let is = |entry: &Entry| entry.machine.name == name || Some(entry.machine.uuid) == uuid;
        if let Some(entry) = kept.machines.into_iter().chain(disposable.machines).find(is) {
            return Ok(entry);
        }
        let folder = self.machines().join(name);
        match kept.broken.into_iter().find(|broken| broken.folder == folder) {
            Some(broken) => Err(broken.into()),
            None => Err(Error::NotFound(name.to_owned())),
        }
    }

    /// The machine whose `machine.toml` this is.
    pub fn find_file(&self, file: &Path) -> Result<Entry> {
        let real = file.canonicalize().at("read", file)?;
        let here = |folder: &Path| folder.canonicalize().is_ok_and(|folder| Some(folder.as_path()) == real.parent());
        let listing = self.list()?;
        if let Some(entry) = listing.machines.into_iter().find(|entry| here(&entry.folder)) {
            return Ok(entry);
        }
        match listing.broken.into_iter().find(|broken| here(&broken.folder)) {
            Some(broken) => Err(broken.into()),
            None => Err(Error::Elsewhere { file: file.to_owned(), machines: self.machines() }),
        }
    }

    /// A name nobody has yet: `base`, else “base 2” and so on.
    pub fn free_name(&self, base: &str) -> Result<String> {
        let base = crate::create::name_from(base);
        let listing = self.list()?;
        let taken = |name: &str| {
            listing.machines.iter().any(|entry| entry.machine.name == name) || self.machines().join(name).exists()
        };
        let numbered = (2..).map(|number| format!("{base} {number}"));
        Ok(std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base))
    }

    /// Gives a stopped machine another name, and its folder too.
    pub fn rename(&self, entry: &Entry, name: &str) -> Result<Entry> {
        self.inside(entry)?;
        check_name(name)?;
        if name == entry.machine.name {
            return Ok(entry.clone());
        }
        self.name_is_free(name)?;
        let _lock = entry.lock()?;
        let mut renamed = entry.clone();
        renamed.machine.name = name.to_owned();
        renamed.save()?;
        let folder = self.free_folder(name);
        // The folder's name is for people who look there: the machine's name stands in its file and is changed already.
        if std::fs::rename(&entry.folder, &folder).is_ok() {
            atomic::sync_folder(&self.machines())?;
            renamed.folder = folder;
        }
        self.rename_launcher(&renamed);
        Ok(renamed)
    }

    /// Removes what nobody will come back for: throw-away machines whose engine is gone, and folders that a crash left half made
    /// or half deleted.
    pub fn sweep(&self) {
        let children =
            |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|child| child.path());
        let is = |folder: &Path, prefix: &str| {
            folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
        };
        let unseen = children(&self.machines()).filter(|folder| is(folder, UNFINISHED) || is(folder, DISCARDED));
        let machines = self.list().map(|listing| listing.machines).unwrap_or_default();
        for folder in children(&self.disposables()).chain(unseen).filter(|folder| is_abandoned(folder)) {
            // A machine that came home left it, with what it leads to: the machine's old folder, or the machine.
            if is(&folder, UNFINISHED) && moving::is_link(&folder) && !moving::is_elsewhere(&machines, &folder) {
                continue;
            }
            // Only a discarded machine has a launcher that nobody needs: what is half made has none, and what is half copied has one
            // that its machine goes on with.
            if is(&folder, DISCARDED)
                && let Ok(entry) = Entry::load(&folder, false)
                && let Err(error) = self.leave_desktop(entry.machine.uuid)
            {
                tracing::warn!("a deleted machine's launcher stays: {error}");
            }
            if let Err(error) = remove(&folder) {
                tracing::warn!("what nobody needs any more stays: {error}");
            }
        }
        self.sweep_moved();
        engine::sweep();
    }

    pub(crate) fn name_is_free(&self, name: &str) -> Result<()> {
        match self.list()?.machines.iter().any(|entry| entry.machine.name == name) {
            true => Err(Error::NameTaken(name.to_owned())),
            false => Ok(()),
        }
    }

    /// A folder's path for a machine of this name, unused now.
    pub(crate) fn free_folder(&self, name: &str) -> PathBuf {
        free_folder_in(&self.machines(), name)
    }

    /// Refuses machines that stand elsewhere. Of one that was moved, a link stands here.
    pub(crate) fn inside(&self, entry: &Entry) -> Result<()> {
        let home = if entry.disposable { self.disposables() } else { self.machines() };
        let plain = entry.folder.symlink_metadata().is_ok_and(|data| {
            let leads_to_it =
                || Entry::load(&entry.folder, false).is_ok_and(|it| it.machine.uuid == entry.machine.uuid);
            data.is_dir() || (data.is_symlink() && leads_to_it())
        });
        match entry.folder.parent() == Some(home.as_path()) && entry.folder.file_name().is_some() && plain {
            true => Ok(()),
            false => Err(Error::Outside(entry.folder.clone())),
        }
    }
}

/// Does nobody hold its lock? A folder that is being made or removed has none for a moment.
pub(crate) fn is_abandoned(folder: &Path) -> bool {
    if folder.join(lock::NAME).exists() {
        return matches!(Lock::take(folder), Ok(Some(_)));
    }
    let changed = folder.metadata().and_then(|data| data.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG))
}

/// A folder's path in `place` for a machine of this name, unused now.
pub(crate) fn free_folder_in(place: &Path, name: &str) -> PathBuf {
    let base = folder_name(name);
    let numbered = (2..).map(|number| format!("{base} {number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered).map(|name| place.join(name));
    names.find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| place.join(base))
}

/// A machine's name as a folder's: characters that other systems' file systems refuse are replaced, and it stays short enough.
fn folder_name(name: &str) -> String {
    let mut folder: String =
        name.chars().map(|c| if c.is_control() || "/\\:*?\"<>|".contains(c) { '-' } else { c }).collect();
    let mut length = folder.len().min(200);
    while !folder.is_char_boundary(length) {
        length -= 1;
    }
    folder.truncate(length);
    let trimmed = folder.trim().trim_start_matches('.');
    if trimmed.is_empty() { "machine".to_owned() } else { trimmed.to_owned() }
}

/// Removes a machine's folder: out of sight in one step, then file by file.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("/"));
    let hidden = parent.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
    std::fs::rename(folder, &hidden).at("delete", folder)?;
    atomic::sync_folder(parent)?;
    remove_tree(&hidden)
}

/// Removes a machine's folder with everything in it; of one that was moved, its link too.
pub(crate) fn remove_tree(folder: &Path) -> Result<()> {
    if !folder.symlink_metadata().is_ok_and(|data| data.is_symlink()) {
        return std::fs::remove_dir_all(folder).at("delete", folder);
    }
    let real = folder.canonicalize().at("find", folder)?;
    std::fs::remove_dir_all(&real).at("delete", &real)?;
    std::fs::remove_file(folder).at("delete", folder)
}

fn scan(folder: &Path, disposable: bool) -> Result<Listing> {
    let mut listing = Listing::default();
    let folders = match std::fs::read_dir(folder) {
        Ok(folders) => folders,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(error).at("read", folder),
    };
    for child in folders {
        let path = child.at("read", folder)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if !path.is_dir() {
            if let Ok(place) = std::fs::read_link(&path) {
                let why = format!("its folder is {}, which is not there: is that disk plugged in?", place.display());
                listing.broken.push(Broken { folder: path, why });
            }
            continue;
        }
        match Entry::load(&path, disposable) {
            Ok(entry) => listing.machines.push(entry),
            Err(broken) => listing.broken.push(broken),
        }
    }
    listing.machines.sort_by_cached_key(|entry| (entry.machine.name.to_lowercase(), entry.machine.uuid));
    listing.broken.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(listing)
}

#[cfg(test)]
#[path = "home_test.rs"]
mod tests;
