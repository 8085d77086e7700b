//! An installer's CD is taken out once a system is installed on one of the machine's disks.
//!
//! Two notice it: the engine when its machine is reset, and the desk before the next start. What the engine did is written down by
//! whoever asks first. In the machine's file a drive that is still marked as the installer's, and empty, had it taken out.

use std::fs::File;

use api::bootable::{self, SECTOR};
use api::control::{Command, DriveStatus};
use api::machine::{Drive, DriveKind};

use crate::entry::{ASK, Entry};
use crate::error::Result;
use crate::image;

/// Is an installer's CD in it?
fn has_installer(drive: &Drive) -> bool {
    drive.kind == DriveKind::Cd && drive.installer && drive.image.is_some()
}

/// Takes the installer's CD out of a stopped machine that has a system on one of its disks now, and says so in a sentence. The caller
/// holds the machine's lock.
pub(super) fn take_out(entry: &mut Entry) -> Result<Option<String>> {
    let drives = &entry.machine.drives;
    if !drives.iter().any(has_installer) || !drives.iter().any(|drive| is_installed(entry, drive)) {
        return Ok(None);
    }
    let _turn = entry.turn()?;
    *entry = entry.reload()?;
    let Some(drive) = entry.machine.drives.iter_mut().find(|drive| has_installer(drive)) else { return Ok(None) };
    let image = drive.image.take().unwrap_or_default();
    entry.save()?;
    let name = image.file_name().unwrap_or(image.as_os_str()).to_string_lossy().into_owned();
    Ok(Some(format!(
        "The installer’s CD was taken out, as there is a system on the machine’s disk now: it was {name}."
    )))
}

/// Is there a system on this disk? What cannot be read has none.
fn is_installed(entry: &Entry, drive: &Drive) -> bool {
    let (DriveKind::Disk, Some(path)) = (drive.kind, &drive.image) else { return false };
    let path = entry.image(path);
    // Opening a pipe would wait for its other end.
    let is_file = path.metadata().is_ok_and(|data| data.is_file());
    let Some(file) = is_file.then(|| File::open(&path).ok()).flatten() else { return false };
    bootable::is_installed(|sector| {
        let mut bytes = [0; SECTOR];
        image::read_at(&file, drive.format, sector.checked_mul(SECTOR as u64)?, &mut bytes)?;
        Some(bytes)
    })
}

/// Writes down that the engine of a running machine has taken the installer's CD out, if it has. True when it was news.
pub fn note_installer_out(entry: &mut Entry) -> Result<bool> {
    if !entry.machine.drives.iter().any(has_installer) {
        return Ok(false);
    }
    let drives: Vec<DriveStatus> = entry.running()?.control_within(ASK)?.ask(&Command::QueryBlock {})?;
    let _turn = entry.turn()?;
    *entry = entry.reload()?;
    let names = entry.machine.drive_names();
    let is_out = |name: &String| drives.iter().any(|drive| drive.device == *name && !drive.inserted);
    let mut news = false;
    for (drive, _) in entry.machine.drives.iter_mut().zip(&names).filter(|(_, name)| is_out(name)) {
        if has_installer(drive) {
            drive.image = None;
            news = true;
        }
    }
    if news {
        entry.save()?;
    }
    Ok(news)
}

#[cfg(test)]
#[path = "installer_test.rs"]
mod tests;
