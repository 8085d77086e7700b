//! Deleting machines so that it can be undone for a while.
//!
//! [`Library::discard`] takes a machine's folder out of sight by one rename within the library, so it costs the same for every size of
//! disk; the desktop's trash would not do: it copies between file systems, and nobody expects disks there. Whoever discarded it holds its
//! lock and restores it or finishes. What a crash leaves behind has no holder, and [`Library::sweep`] removes it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::entry::Entry;
use crate::error::{Error, Result, Trying};
use crate::home::{self, Library};
use crate::lock::Lock;
use crate::{atomic, engine};

/// Folders of discarded machines keep this prefix; no machine's folder can have it.
pub(crate) const DISCARDED: &str = ".deleted-";

/// What deleting a machine does to its images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Images that go, and the bytes that each takes on the disk.
    pub goes: Vec<(PathBuf, u64)>,
    /// Images that stay, as they are not in the machine's folder.
    pub stays: Vec<PathBuf>,
}

/// A machine that is out of sight and not deleted yet. Dropped, it stays so until somebody sweeps.
#[derive(Debug)]
pub struct Discarded {
    library: Library,
    /// As it was.
    entry: Entry,
    /// Where it is now.
    hidden: PathBuf,
    _lock: Lock,
}

impl Entry {
    /// What deleting it would do to its images.
    pub fn loss(&self) -> Loss {
        let mut loss = Loss::default();
        for image in self.machine.drives.iter().filter_map(|drive| drive.image.as_ref()) {
            let path = self.image(image);
            // As the file system has it: “../x” and links lead elsewhere.
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
            match path.symlink_metadata() {
                Ok(data) if real.starts_with(folder) => loss.goes.push((path, data.blocks() * 512)),
                Ok(_) => loss.stays.push(path),
                Err(_) => {}
            }
        }
        loss
    }
}

impl Library {
    /// Takes a stopped machine out of sight. Asking first is the caller's job.
    pub fn discard(&self, entry: &Entry) -> Result<Discarded> {
        self.inside(entry)?;
        let lock = entry.lock()?;
        let home = entry.folder.parent().unwrap_or(Path::new("/"));
        let hidden = home.join(format!("{DISCARDED}{}", Uuid::new_v4().simple()));
        std::fs::rename(&entry.folder, &hidden).at("delete", &entry.folder)?;
        atomic::sync_folder(home)?;
        Ok(Discarded { library: self.clone(), entry: entry.clone(), hidden, _lock: lock })
    }

    /// Deletes a stopped machine with everything in its folder, for good. Images elsewhere stay. Asking first is the caller's job.
    pub fn delete(&self, entry: &Entry) -> Result<()> {
        self.discard(entry)?.finish()
    }
}

impl Discarded {
    /// The machine as it was.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Puts it back; under another name if somebody took its own meanwhile.
    pub fn restore(self) -> Result<Entry> {
        let mut entry = Entry { folder: self.hidden.clone(), ..self.entry.clone() };
        if matches!(self.library.name_is_free(&entry.machine.name), Err(Error::NameTaken(_))) {
            entry.machine.name = self.library.free_name(&entry.machine.name)?;
            entry.save()?;
        }
        let same = entry.machine.name == self.entry.machine.name && self.entry.folder.symlink_metadata().is_err();
        let folder = if same { self.entry.folder.clone() } else { self.library.free_folder(&entry.machine.name) };
        std::fs::rename(&self.hidden, &folder).at("bring back", &folder)?;
        atomic::sync_folder(&self.library.machines())?;
        entry.folder = folder;
        self.library.rename_launcher(&entry);
        Ok(entry)
    }

    /// Deletes it for good.
    pub fn finish(self) -> Result<()> {
        engine::forget(self.entry.machine.uuid);
        self.library.leave_desktop(self.entry.machine.uuid)?;
        home::remove_tree(&self.hidden)
    }
}

#[cfg(test)]
mod tests {
    use api::machine::{Firmware, Host, ImageFormat, Profile, Wants};

    use super::*;
    use crate::create::{NewDisk, NewMachine};

    fn new(name: &str) -> NewMachine {
        NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), Host { processors: 2, memory: 4096 })
    }

    fn hidden(library: &Library) -> usize {
        let names = std::fs::read_dir(library.machines()).unwrap().flatten().map(|child| child.file_name());
        names.filter(|name| name.as_encoded_bytes().starts_with(b".")).count()
    }

    #[test]
    fn a_deleted_machine_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let one = library.create(&new("one")).unwrap();
        let lock = one.lock().unwrap();
        assert!(matches!(library.discard(&one), Err(Error::Running(_))));
        drop(lock);

        let gone = library.discard(&one).unwrap();
        assert_eq!((gone.entry(), library.list().unwrap().machines.len()), (&one, 0));
        library.sweep();
        assert_eq!(gone.restore().unwrap(), one);
        assert_eq!(library.find("one").unwrap(), one);
        assert!(one.lock().is_ok(), "nobody holds it");

        // Somebody made a machine of that name meanwhile.
        let gone = library.discard(&one).unwrap();
        let other = library.create(&new("one")).unwrap();
        let back = gone.restore().unwrap();
        assert_eq!((back.machine.name.as_str(), back.machine.uuid), ("one 2", one.machine.uuid));
        assert_eq!(library.find("one").unwrap(), other);
        assert_eq!(library.find("one 2").unwrap(), back);

        library.discard(&back).unwrap().finish().unwrap();
        assert_eq!(hidden(&library), 0);
    }

    #[test]
    fn what_a_crash_leaves_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let (one, two) = (library.create(&new("one")).unwrap(), library.create(&new("two")).unwrap());
        let held = library.discard(&one).unwrap();
        drop(library.discard(&two).unwrap());
        assert_eq!(hidden(&library), 2);
        library.sweep();
        assert_eq!(hidden(&library), 1, "one is still held");
        assert!(held.restore().is_ok());
    }

    #[test]
    fn what_goes_and_what_stays() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path().join("home"));
        let outside = folder.path().join("picked.img");
        std::fs::write(&outside, b"original").unwrap();
        let mut new = new("one");
        new.disks.push(NewDisk::Use { path: outside.clone(), format: ImageFormat::Raw });
        new.cd = Some(folder.path().join("gone.iso"));
        let mut one = library.create(&new).unwrap();
        std::fs::write(one.folder.join("disk.qcow2"), vec![1; 1 << 20]).unwrap();
        let loss = one.loss();
        assert_eq!(loss.stays, std::slice::from_ref(&outside));
        let [(path, bytes)] = loss.goes.as_slice() else { panic!("{loss:?}") };
        assert_eq!(path, &one.folder.join("disk.qcow2"));
        assert!(*bytes >= 1 << 20, "{bytes}");
        // A path that leads out of the folder, and a link that does.
        one.machine.drives[0].image = Some("../../../picked.img".into());
        std::os::unix::fs::symlink(&outside, one.folder.join("link")).unwrap();
        one.machine.drives[1].image = Some("link".into());
        let loss = one.loss();
        assert_eq!((loss.goes.len(), loss.stays.len()), (0, 3), "{loss:?}");
    }
}
