//! Changing the medium in a CD drive: in the machine's file, and in its engine when it runs.

use std::os::fd::AsFd;

use api::control::Command;
use api::machine::DriveKind;

use super::start::open_image;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::media::{Medium, MediumKind};

/// Puts a medium into the CD drive `drive` (`cd0` is the first), in place of what is in it.
pub fn insert(entry: &mut Entry, drive: &str, medium: &Medium) -> Result<()> {
    if medium.kind != MediumKind::Cd {
        return Err(Error::NotACd(medium.path.clone()));
    }
    let _turn = entry.turn()?;
    *entry = entry.reload()?;
    let index = find(entry, drive)?;
    // Opened in any case, so that nobody is promised what cannot be read.
    let file = open_image(&medium.path, true)?;
    if !entry.is_stopped() {
        let command = Command::Insert { drive: drive.to_owned(), format: medium.format };
        entry.running()?.control()?.execute_with(&command, &[file.as_fd()])?;
    }
    let drive = &mut entry.machine.drives[index];
    drive.image = Some(medium.path.clone());
    drive.format = medium.format;
    drive.installer = false;
    entry.save()
}

/// Takes out what is in a CD drive, even when the guest has locked it.
pub fn eject(entry: &mut Entry, drive: &str) -> Result<()> {
    let _turn = entry.turn()?;
    *entry = entry.reload()?;
    let index = find(entry, drive)?;
    let installer = std::mem::take(&mut entry.machine.drives[index].installer);
    if installer {
        // First, so that nobody who hears of it takes the person for the engine.
        entry.save()?;
    }
    if !entry.is_stopped()
        && let Err(error) = take_out(entry, drive)
    {
        entry.machine.drives[index].installer = installer;
        // What failed first is the error to tell.
        let _ = entry.save();
        return Err(error);
    }
    entry.machine.drives[index].image = None;
    entry.save()
}

fn take_out(entry: &Entry, drive: &str) -> Result<()> {
    entry.running()?.control()?.execute(&Command::Eject { id: drive.to_owned() })?;
    Ok(())
}

/// A CD drive's place among the drives.
fn find(entry: &Entry, name: &str) -> Result<usize> {
    let index = entry.drive(name)?;
    let is_cd = entry.machine.drives[index].kind == DriveKind::Cd;
    is_cd.then_some(index).ok_or_else(|| Error::NotACdDrive(name.to_owned()))
}
