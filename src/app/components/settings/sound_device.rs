//! A device of this computer for a machine's sound: a choice among those that there are, headed by the usual one. A device that was
//! chosen and is not there now stays among them, and is told so.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use api::machine::Machine;
use api::settings::{Key, SoundKey};
use audio::{Device, Devices};

use super::{SettingsMsg, row, text};
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::words;

/// The row.
pub(super) struct SoundDevice {
    key: Key,
    row: adw::ComboRow,
    /// What there is to choose from.
    choices: Rc<RefCell<Vec<Device>>>,
    /// The row is being changed by us: what it then says is not the person's wish.
    showing: Rc<Cell<bool>>,
}

impl SoundDevice {
    /// `which` is the output or the input.
    pub(super) fn new(which: SoundKey, input: relm4::Sender<SettingsMsg>) -> Self {
        let key = Key::Sound(which);
        let (title, about) = text::of(key);
        let row = adw::ComboRow::builder().title(title).subtitle(about).build();
        let (choices, showing) = (Rc::new(RefCell::new(Vec::<Device>::new())), Rc::new(Cell::new(false)));
        let (known, quiet) = (choices.clone(), showing.clone());
        row.connect_selected_notify(move |row| {
            let chosen = known.borrow().get(row.selected() as usize).map(|device| device.id.clone());
            if let Some(id) = chosen.filter(|_| !quiet.get()) {
                input.emit(SettingsMsg::Change(Change::Set(key, id)));
            }
        });
        Self { key, row, choices, showing }
    }

    pub(super) fn widget(&self) -> &gtk::Widget {
        self.row.upcast_ref()
    }

    /// Shows what is so. Nobody knows the devices until the computer's sound system has answered.
    pub(super) fn show(&self, machine: &Machine, live: bool, heard: Option<&Devices>) {
        let (set, there) = match self.key {
            Key::Sound(SoundKey::Input) => (&machine.sound.input, heard.map(|devices| &devices.capture)),
            _ => (&machine.sound.output, heard.map(|devices| &devices.playback)),
        };
        let choices = choices(set, there.map(Vec::as_slice));
        self.showing.set(true);
        if *self.choices.borrow() != choices {
            let names: Vec<&str> = choices.iter().map(|device| device.name.as_str()).collect();
            self.row.set_model(Some(&gtk::StringList::new(&names)));
            self.choices.replace(choices);
        }
        let place = self.choices.borrow().iter().position(|device| device.id == *set);
        self.row.set_selected(place.and_then(|place| u32::try_from(place).ok()).unwrap_or(gtk::INVALID_LIST_POSITION));
        self.showing.set(false);
        self.row.set_sensitive(row::is_open(self.key, machine, live));
    }
}

/// What there is to choose from: the usual device, those that are there, and the one that is set.
fn choices(set: &str, there: Option<&[Device]>) -> Vec<Device> {
    let mut choices = vec![Device { id: String::new(), name: gettext("Usual Device") }];
    // A server's words.
    let named = |device: &Device| Device { name: words::quote(&device.name), ..device.clone() };
    choices.extend(there.unwrap_or_default().iter().map(named));
    if !choices.iter().any(|device| device.id == set) {
        let name = words::quote(set);
        let name = match there {
            Some(_) => gettext_f("{name} (not connected)", &[("name", &name)]),
            None => name,
        };
        choices.push(Device { id: set.to_owned(), name });
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_set_is_among_the_choices() {
        let device = |id: &str, name: &str| Device { id: id.into(), name: name.into() };
        let names = |set, there: Option<&[Device]>| -> Vec<_> {
            choices(set, there).into_iter().map(|device| device.name).collect()
        };
        let there = [device("a", "Loud\nspeakers"), device("b", "Headset")];
        assert_eq!(names("", None), ["Usual Device"]);
        assert_eq!(names("a", Some(&there)), ["Usual Device", "Loud speakers", "Headset"]);
        assert_eq!(names("c", Some(&there)), ["Usual Device", "Loud speakers", "Headset", "c (not connected)"]);
        assert_eq!(names("c", Some(&[])), ["Usual Device", "c (not connected)"]);
        // Nobody has looked yet.
        assert_eq!(names("c", None), ["Usual Device", "c"]);
    }
}
