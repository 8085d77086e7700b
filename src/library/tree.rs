//! A folder with everything in it, copied to another file system: first copied, then compared.
//!
//! Files keep their holes, modes and times. Copies are on stable storage before they are read again, and what the host kept of them in
//! memory is dropped first, so that what is compared is what the disk has. What is neither file, folder nor link is not copied: a
//! machine has none.

use std::fs::{DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

use crate::error::{Error, Result, Trying};
use crate::sparse::parts;
use crate::{atomic, lock};

/// Bytes that are moved at a time.
const CHUNK: usize = 1 << 20;
/// Folders within folders at most.
const DEPTH: usize = 32;
/// Entries at most: a machine has a few.
const ENTRIES: usize = 100_000;

/// What is done with every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It is copied.
    Copy,
    /// Its copy is compared with it.
    Compare,
}

enum Kind {
    Folder { mode: u32 },
    File { bytes: u64 },
    Link(PathBuf),
}

/// A folder's contents, as they were when it was looked at. Nobody changes them meanwhile: the machine's lock is held.
pub(crate) struct Tree {
    root: PathBuf,
    mode: u32,
    /// By their paths in the folder, folders before what is in them. Without the machine's lock, which is each folder's own.
    entries: Vec<(PathBuf, Kind)>,
}

/// Hears how many bytes more are done; an error ends the pass.
pub(crate) type Step<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

impl Tree {
    /// Looks at a folder.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let mode = root.metadata().at("look at", root)?.mode();
        let mut tree = Self { root: root.to_owned(), mode, entries: Vec::new() };
        tree.look(Path::new(""), 0)?;
        Ok(tree)
    }

    fn look(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let path = self.root.join(folder);
        if depth > DEPTH {
            return Err(Error::NotMovable(path));
        }
        for child in std::fs::read_dir(&path).at("read", &path)? {
            let name = folder.join(child.at("read", &path)?.file_name());
            let path = self.root.join(&name);
            let data = path.symlink_metadata().at("look at", &path)?;
            if name == Path::new(lock::NAME) {
                continue;
            }
            if self.entries.len() == ENTRIES {
                return Err(Error::NotMovable(path));
            }
            if data.is_dir() {
                self.entries.push((name.clone(), Kind::Folder { mode: data.mode() }));
                self.look(&name, depth + 1)?;
            } else if data.is_file() {
                self.entries.push((name, Kind::File { bytes: data.blocks().saturating_mul(512) }));
            } else if data.is_symlink() {
                let target = std::fs::read_link(&path).at("read", &path)?;
                self.entries.push((name, Kind::Link(target)));
            } else {
                return Err(Error::NotMovable(path));
            }
        }
        Ok(())
    }

    /// Bytes that it takes, without holes.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = |(_, kind): &(PathBuf, Kind)| if let Kind::File { bytes } = kind { *bytes } else { 0 };
        self.entries.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Makes the folder that the copy goes into.
    pub(crate) fn make_root(&self, to: &Path) -> Result<()> {
        DirBuilder::new().mode(self.mode & 0o777).create(to).at("make", to)
    }

    /// Copies everything into `to`, or compares everything with what is there.
    pub(crate) fn pass(&self, pass: Pass, to: &Path, step: Step<'_>) -> Result<()> {
        for (name, kind) in &self.entries {
            let (from, to) = (self.root.join(name), to.join(name));
            match (kind, pass) {
                (Kind::Folder { mode }, Pass::Copy) => {
                    DirBuilder::new().mode((mode & 0o777) | 0o700).create(&to).at("make", &to)?;
                }
                (Kind::Folder { .. }, Pass::Compare) => atomic::sync_folder(&to)?,
                (Kind::File { .. }, Pass::Copy) => copy(&from, &to, step)?,
                (Kind::File { .. }, Pass::Compare) => compare(&from, &to, step)?,
                (Kind::Link(target), Pass::Copy) => std::os::unix::fs::symlink(target, &to).at("make", &to)?,
                (Kind::Link(target), Pass::Compare) => {
                    if std::fs::read_link(&to).at("read", &to)? != *target {
                        return Err(Error::BadCopy(to));
                    }
                }
            }
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path, step: Step<'_>) -> Result<()> {
    let source = File::open(from).at("read", from)?;
    let data = source.metadata().at("read", from)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let target = made.at("make", to)?;
    target.set_len(data.len()).at("write", to)?;
    let mut buffer = vec![0; CHUNK];
    for part in parts(&source, data.len()) {
        let (start, end) = part.at("read", from)?;
        let mut at = start;
        while at < end {
            let chunk = &mut buffer[..(end - at).min(CHUNK as u64) as usize];
            source.read_exact_at(chunk, at).at("read", from)?;
            target.write_all_at(chunk, at).at("write", to)?;
            at += chunk.len() as u64;
            step(chunk.len() as u64)?;
        }
    }
    let times = FileTimes::new().set_modified(data.modified().at("read", from)?);
    target.set_times(times).at("write", to)?;
    target.set_permissions(Permissions::from_mode(data.mode() & 0o777)).at("write", to)?;
    target.sync_all().at("write", to)
}

fn compare(from: &Path, to: &Path, step: Step<'_>) -> Result<()> {
    let (source, target) = (File::open(from).at("read", from)?, File::open(to).at("read", to)?);
    // What is clean in memory is dropped: the disk's own answer is wanted. Where that cannot be, memory's is as good as any.
    let _ = fadvise(&target, 0, None, Advice::DontNeed);
    let lengths = [&source, &target].map(|file| file.metadata().map(|data| data.len()));
    let [length, copied] = lengths;
    let length = length.at("read", from)?;
    if copied.at("read", to)? != length {
        return Err(Error::BadCopy(to.to_owned()));
    }
    let (mut one, mut other) = (vec![0; CHUNK], vec![0; CHUNK]);
    for part in parts(&source, length) {
        let (start, end) = part.at("read", from)?;
        let mut at = start;
        while at < end {
            let size = (end - at).min(CHUNK as u64) as usize;
            source.read_exact_at(&mut one[..size], at).at("read", from)?;
            target.read_exact_at(&mut other[..size], at).at("read", to)?;
            if one[..size] != other[..size] {
                return Err(Error::BadCopy(to.to_owned()));
            }
            at += size as u64;
            step(size as u64)?;
        }
    }
    Ok(())
}
