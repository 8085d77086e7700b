//! Changes to a machine's settings: written down, and done to the machine at once when it runs.

use std::fs::File;

use api::machine::{Firmware, Machine, Problem};
use api::settings::live;

use crate::entry::Entry;
use crate::error::{Error, Result, Trying};
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
                self.tell_desktop(&old, &new)?;
                new.save()?;
            }
            None if name != old.machine.name => return Err(Error::Running(old.machine.name)),
            None => {
                let (forth, back) = (live(&old.machine, &new.machine)?, live(&new.machine, &old.machine)?);
                for (done, change) in forth.iter().enumerate() {
                    if let Err(error) = engine::follow(&old, change) {
                        // Both ways have the same steps. If one cannot be taken back, the first error is the one to tell.
                        back[..done].iter().for_each(|change| drop(engine::follow(&old, change)));
                        return Err(error);
                    }
                }
                self.tell_desktop(&old, &new)?;
                new.save()?;
            }
        }
        // Takes the machine's lock itself.
        if name == new.machine.name { Ok(new) } else { self.rename(&new, &name) }
    }
}

impl Library {
    /// What the desktop starts at login.
    fn tell_desktop(&self, old: &Entry, new: &Entry) -> Result<()> {
        match new.machine.autostart == old.machine.autostart {
            true => Ok(()),
            false => self.set_autostart(new, new.machine.autostart),
        }
    }
}

impl Entry {
    /// One change at a time: what another process has just written down is not lost. The lock falls with the descriptor.
    pub(crate) fn turn(&self) -> Result<File> {
        let turn = File::open(&self.folder).at("open", &self.folder)?;
        turn.lock().at("lock", &self.folder)?;
        Ok(turn)
    }
}

#[cfg(test)]
#[path = "change_test.rs"]
mod tests;
