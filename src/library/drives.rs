//! A stopped machine's drives and network cards: added, removed, made larger.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use api::machine::{Attachment, Drive, DriveBus, DriveKind, ImageFormat, MacAddress, Machine, Network, Problem};
use uuid::Uuid;

use crate::create::NewDisk;
use crate::engine::open_image;
use crate::entry::{Entry, FILE};
use crate::error::{Error, Result, Trying};
use crate::home::Library;
use crate::{firmware, host, image};

impl Library {
    /// Adds a disk behind the drives there are. One that is made goes into the machine's folder.
    pub fn add_disk(&self, entry: &Entry, disk: &NewDisk, bus: DriveBus) -> Result<Entry> {
        let (image, format, made) = match disk {
            NewDisk::Create { size, format } => {
                let name = free_image(entry, *format);
                let path = entry.folder.join(&name);
                image::create(&path, *size, *format)?;
                (name, *format, Some(path))
            }
            NewDisk::Use { path, format } => (std::path::absolute(path).at("find", path)?, *format, None),
        };
        let added = self.change(entry, |machine| add(machine, Drive::disk(image, format, bus)));
        if let (Err(_), Some(path)) = (&added, made) {
            // Nobody knows of it; what failed is the error worth telling.
            let _ = std::fs::remove_file(path);
        }
        added
    }

    /// Adds an empty CD drive.
    pub fn add_cd(&self, entry: &Entry) -> Result<Entry> {
        self.change(entry, |machine| add(machine, Drive::cd(None)))
    }

    /// Removes a drive. Its image is deleted when it is in the machine's folder and nothing else of the machine uses it
    /// ([`Entry::own_image`]); images elsewhere stay. Asking first is the caller's job.
    pub fn remove_drive(&self, entry: &Entry, name: &str) -> Result<Entry> {
        let own = entry.own_image(name)?;
        let index = entry.drive(name)?;
        let drive = entry.machine.drives[index].clone();
        let changed = self.change(entry, |machine| match machine.drives.get(index) == Some(&drive) {
            true => {
                machine.remove_drive(index);
                Ok(())
            }
            // Somebody else has changed the drives meanwhile.
            false => Err(Problem::NoSetting(name.to_owned())),
        })?;
        if let Some(path) = own {
            std::fs::remove_file(&path).at("delete", &path)?;
        }
        Ok(changed)
    }

    /// Makes a stopped machine's disk larger, to `size` bytes. What is in it stays; the system in it has to make use of the room.
    pub fn grow_disk(&self, entry: &Entry, name: &str, size: u64) -> Result<()> {
        let drive = &entry.machine.drives[entry.drive(name)?];
        let (DriveKind::Disk, Some(path)) = (drive.kind, &drive.image) else { return Err(entry.no_drive(name)) };
        let _off = entry.lock()?;
        let path = entry.image(path);
        image::grow(&open_image(&path, false)?, &path, size, drive.format)
    }

    /// Adds a network card, connected to this.
    pub fn add_card(&self, entry: &Entry, attachment: Attachment) -> Result<Entry> {
        let [.., a, b, c] = *Uuid::new_v4().as_bytes();
        self.change(entry, |machine| {
            let model = machine.next_card_model();
            machine.networks.push(Network { model, attachment, ..Network::new(MacAddress::from_random([a, b, c])) });
            machine.check()
        })
    }

    /// Removes a network card, `net0` being the first.
    pub fn remove_card(&self, entry: &Entry, name: &str) -> Result<Entry> {
        self.change(entry, |machine| {
            let index = (0..machine.networks.len()).find(|number| format!("net{number}") == name);
            machine.remove_card(index.ok_or_else(|| Problem::NoSetting(name.to_owned()))?);
            Ok(())
        })
    }
}

impl Entry {
    /// A drive's place by its name.
    pub(crate) fn drive(&self, name: &str) -> Result<usize> {
        self.machine.drive_names().iter().position(|known| known == name).ok_or_else(|| self.no_drive(name))
    }

    pub(crate) fn no_drive(&self, name: &str) -> Error {
        Error::NoDrive { machine: self.machine.name.clone(), drive: name.to_owned() }
    }

    /// The image of a disk if it would go with the disk: it was made here, so its path is a name in the machine's folder, it is not a
    /// file that the machine has for itself, and no other drive has it.
    pub fn own_image(&self, name: &str) -> Result<Option<PathBuf>> {
        let index = self.drive(name)?;
        let drive = &self.machine.drives[index];
        let (DriveKind::Disk, Some(image)) = (drive.kind, &drive.image) else { return Ok(None) };
        if image.is_absolute() || [FILE, firmware::VARIABLES].iter().any(|own| image == Path::new(own)) {
            return Ok(None);
        }
        let others = self.machine.drives.iter().enumerate().filter(|(other, _)| *other != index);
        let shared = others.into_iter().any(|(_, drive)| drive.image.as_ref() == Some(image));
        let path = self.image(image);
        let inside =
            path.parent() == Some(self.folder.as_path()) && path.symlink_metadata().is_ok_and(|data| data.is_file());
        Ok((inside && !shared).then_some(path))
    }

    /// Bytes that the guest sees of a disk; none when its image is not there or cannot be read.
    pub fn disk_size(&self, drive: &Drive) -> Option<u64> {
        let file = std::fs::File::open(self.image(drive.image.as_ref()?)).ok()?;
        image::guest_size(&file, drive.format).ok()
    }

    /// Bytes that a disk's image could take: what it takes already, and the room where it is. It may have a larger size than that, and
    /// a machine whose system then fills it has to wait for room.
    pub fn disk_fits(&self, drive: &Drive) -> Option<u64> {
        let path = self.image(drive.image.as_ref()?);
        let taken = path.metadata().ok()?.blocks().saturating_mul(512);
        Some(taken.saturating_add(host::free_space(&path).ok()?))
    }

    /// Bytes that a new disk in its folder could take.
    pub fn new_disk_fits(&self) -> Option<u64> {
        host::free_space(&self.folder).ok()
    }
}

fn add(machine: &mut Machine, drive: Drive) -> Result<(), Problem> {
    machine.drives.push(drive);
    machine.check()
}

/// A name for a new image in the machine's folder.
fn free_image(entry: &Entry, format: ImageFormat) -> PathBuf {
    let suffix = if format == ImageFormat::Qcow2 { "qcow2" } else { "img" };
    let first = std::iter::once(format!("disk.{suffix}"));
    let mut names = first.chain((2..).map(|number| format!("disk-{number}.{suffix}")));
    names.find(|name| entry.folder.join(name).symlink_metadata().is_err()).unwrap_or_default().into()
}

#[cfg(test)]
#[path = "drives_test.rs"]
mod tests;
