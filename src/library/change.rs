//! Changes to a machine's settings: written down, and done to the machine at once when it runs.

use api::machine::{Firmware, Machine, Problem};
use api::settings::live;

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::home::Library;
use crate::lock::Lock;
use crate::{engine, firmware, host};

impl Library {
    /// Changes a machine's configuration as `edit` says, if the board, this computer and, when it runs, the machine can follow. After an
    /// error everything is as it was. Another name is another folder, and needs that the machine is off.
    pub fn change(&self, entry: &Entry, edit: impl FnOnce(&mut Machine) -> Result<(), Problem>) -> Result<Entry> {
        let _turn = entry.turn()?;
        let old = entry.reload()?;
        let mut new = old.clone();
        edit(&mut new.machine)?;
        new.machine.check()?;
        if new.machine == old.machine {
            return Ok(old);
        }
        let host = host::resources();
        if new.machine.memory > host.memory && new.machine.memory != old.machine.memory {
            return Err(Error::Memory { wanted: new.machine.memory, there: host.memory });
        }
        let name = std::mem::replace(&mut new.machine.name, old.machine.name.clone());
        if name != old.machine.name {
            self.name_is_free(&name)?;
        }
        match Lock::take(&old.folder)? {
            Some(_off) => {
                let variables = new.folder.join(firmware::VARIABLES);
                if new.machine.firmware == Firmware::Uefi && !variables.exists() {
                    firmware::new_variables(&variables)?;
                }
                self.write_down(&old, &new)?;
            }
            None if name != old.machine.name => return Err(Error::Running(old.machine.name)),
            None => {
                let (forth, back) = (live(&old.machine, &new.machine)?, live(&new.machine, &old.machine)?);
                // Both ways have the same steps. If one cannot be taken back, the first error is the one to tell.
                let undo = |done: usize| back[..done].iter().for_each(|change| drop(engine::follow(&old, change)));
                for (done, change) in forth.iter().enumerate() {
                    engine::follow(&old, change).inspect_err(|_| undo(done))?;
                }
                self.write_down(&old, &new).inspect_err(|_| undo(back.len()))?;
            }
        }
        // Takes the machine's lock itself.
        if name == new.machine.name { Ok(new) } else { self.rename(&new, &name) }
    }
}

impl Library {
    /// Tells the desktop, and writes the machine's file. After an error both are as they were.
    fn write_down(&self, old: &Entry, new: &Entry) -> Result<()> {
        self.tell_desktop(old, new)?;
        new.save().inspect_err(|_| {
            // Written and not synced, it may be there already. What failed first is the error to tell.
            let _ = old.save();
            let _ = self.tell_desktop(new, old);
        })
    }

    /// What the desktop starts at login.
    fn tell_desktop(&self, old: &Entry, new: &Entry) -> Result<()> {
        match new.machine.autostart == old.machine.autostart {
            true => Ok(()),
            false => self.set_autostart(new, new.machine.autostart),
        }
    }
}

#[cfg(test)]
#[path = "change_test.rs"]
mod tests;
