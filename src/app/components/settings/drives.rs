//! The page of disks and CD drives: what each is set to, adding, removing, making larger.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use api::machine::{Drive, DriveKind};
use api::settings::{DiskKey, Key};
use gtk::glib;
use relm4::prelude::*;

use super::disk_size::{self, Size};
use super::medium::MediumRow;
use super::{SettingsDialog, SettingsMsg, nothing, remove_button};
use crate::components::ask;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{Change, DiskSizes};
use crate::words;

/// How large a disk is.
pub(super) struct SizeRow {
    /// The disk's place among the drives.
    place: usize,
    row: adw::ActionRow,
    grow: gtk::Button,
    /// As far as it was looked.
    now: Rc<Cell<Size>>,
}

impl SizeRow {
    /// What was found out.
    pub(super) fn show(&self, sizes: &DiskSizes) {
        let (size, room) = sizes.drives.get(self.place).copied().unwrap_or_default();
        self.row.set_subtitle(&size.map_or_else(|| gettext("Cannot be read"), words::bytes));
        self.grow.set_visible(size.is_some());
        self.now.set(Size { bytes: size.unwrap_or(0), room });
    }
}

impl SettingsDialog {
    /// Fills the page.
    pub(super) fn add_drives(&mut self, page: &adw::PreferencesPage, sender: &ComponentSender<Self>) {
        let drives: Vec<(Drive, String)> =
            self.machine.drives.iter().cloned().zip(self.machine.drive_names()).collect();
        let (mut disks, mut cds) = (0, 0);
        for (place, (drive, name)) in drives.into_iter().enumerate() {
            let (number, keys) = match drive.kind {
                DriveKind::Disk => {
                    disks += 1;
                    (disks - 1, DiskKey::ALL.map(|what| Key::Disk(disks - 1, what)).to_vec())
                }
                DriveKind::Cd => {
                    cds += 1;
                    (cds - 1, Vec::new())
                }
            };
            let title = words::drive(drive.kind, number);
            let group = self.group(page, &title, &keys, sender);
            let remove = self.remover(&title, &drive, &name, sender);
            group.set_header_suffix(Some(&remove));
            match drive.kind {
                DriveKind::Disk => {
                    group.set_description(Some(&glib::markup_escape_text(&words::medium(&drive))));
                    let size = self.size_row(place, &title, &name, sender);
                    group.add(&size.row);
                    self.sizes.push(size);
                }
                DriveKind::Cd => {
                    let medium = MediumRow::new(place, &name, &title, sender.input_sender());
                    group.add(&medium.row);
                    self.media.push(medium);
                }
            }
        }
        if self.machine.drives.is_empty() {
            nothing(page, &gettext("This machine has no drives."));
        }
        let add = adw::PreferencesGroup::new();
        let room = self.room.clone();
        add.add(&self.button_row(&gettext("Add a Disk…"), sender, move |row, input| {
            disk_size::ask_new(row, room.get(), input.clone());
        }));
        add.add(&self.button_row(&gettext("Add a CD Drive"), sender, |_, input| {
            input.emit(SettingsMsg::Change(Change::AddCd));
        }));
        page.add(&add);
    }

    /// The button that takes a drive away, after a question when an image goes with it.
    fn remover(&mut self, title: &str, drive: &Drive, name: &str, sender: &ComponentSender<Self>) -> gtk::Button {
        let button = remove_button(&gettext_f("Remove {name}", &[("name", title)]));
        let (input, name) = (sender.input_sender().clone(), name.to_owned());
        let remove = move || input.emit(SettingsMsg::Change(Change::RemoveDrive(name.clone())));
        // What stands beside the machine's file is the machine's own.
        let own = drive.image.clone().filter(|image| image.is_relative());
        let question = gettext_f("Remove “{name}”?", &[("name", title)]);
        button.connect_clicked(move |button| match &own {
            Some(image) => {
                let image = image.to_string_lossy();
                let body = gettext_f("Its image “{image}” is deleted with it, for good.", &[("image", &image)]);
                ask::before(button, (&question, &body, &gettext("_Remove")), remove.clone());
            }
            None => remove(),
        });
        self.needs_off.push(button.clone().upcast());
        button
    }

    /// How large a disk is, and a button that makes it larger.
    fn size_row(&mut self, place: usize, title: &str, name: &str, sender: &ComponentSender<Self>) -> SizeRow {
        let row = adw::ActionRow::builder().title(gettext("Size")).build();
        row.add_css_class("property");
        let grow = gtk::Button::builder().label(gettext("Make Larger…")).valign(gtk::Align::Center).build();
        // Its words alone do not say which disk.
        grow.reset_relation(gtk::AccessibleRelation::LabelledBy);
        let which = gettext_f("Make {name} Larger", &[("name", title)]);
        grow.update_property(&[gtk::accessible::Property::Label(&which)]);
        let (input, name, title) = (sender.input_sender().clone(), name.to_owned(), title.to_owned());
        let now = Rc::new(Cell::default());
        let known = now.clone();
        grow.connect_clicked(move |button| disk_size::ask_larger(button, &title, &name, known.get(), input.clone()));
        row.add_suffix(&grow);
        self.needs_off.push(grow.clone().upcast());
        SizeRow { place, row, grow, now }
    }
}
