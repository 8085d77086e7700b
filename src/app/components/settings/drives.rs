//! The page of disks and CD drives: what each is set to, adding, removing, making larger.

use adw::prelude::*;
use api::machine::{Drive, DriveKind};
use api::settings::{DiskKey, Key};
use gtk::{gio, glib};
use relm4::prelude::*;

use super::{SettingsDialog, SettingsMsg, nothing, remove_button};
use crate::components::{ask, number_row};
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;

/// Most GiB of a disk that is made here.
const MOST: u64 = 65536;
/// GiB that a new disk is proposed to have.
const PROPOSED: u64 = 25;

impl SettingsDialog {
    /// Fills the page.
    pub(super) fn add_drives(&mut self, page: &adw::PreferencesPage, sender: &ComponentSender<Self>) {
        let drives: Vec<(Drive, String)> =
            self.machine.drives.iter().cloned().zip(self.machine.drive_names()).collect();
        let (mut disks, mut cds) = (0, 0);
        for (place, (drive, name)) in drives.into_iter().enumerate() {
            let (title, keys) = match drive.kind {
                DriveKind::Disk => {
                    let keys = [DiskKey::Bus, DiskKey::ReadOnly].map(|what| Key::Disk(disks, what));
                    disks += 1;
                    (gettext_f("Disk {number}", &[("number", &disks.to_string())]), keys.to_vec())
                }
                DriveKind::Cd => {
                    cds += 1;
                    (gettext_f("CD Drive {number}", &[("number", &cds.to_string())]), Vec::new())
                }
            };
            let group = self.group(page, &title, &keys, sender);
            let image = drive.image.as_deref().and_then(|image| image.file_name());
            let image = image.map_or_else(|| gettext("Empty"), |image| image.to_string_lossy().into_owned());
            group.set_description(Some(&glib::markup_escape_text(&image)));
            let remove = self.remover(&title, &drive, &name, sender);
            group.set_header_suffix(Some(&remove));
            if drive.kind == DriveKind::Disk {
                let row = self.size_row(&title, &name, sender);
                group.add(&row);
                self.sizes.push((place, row));
            }
        }
        if self.machine.drives.is_empty() {
            nothing(page, &gettext("This machine has no drives."));
        }
        let add = adw::PreferencesGroup::new();
        add.add(&self.button_row(&gettext("Add a Disk…"), sender, |row, input| ask_new_disk(row, input.clone())));
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
    fn size_row(&mut self, title: &str, name: &str, sender: &ComponentSender<Self>) -> adw::ActionRow {
        let row = adw::ActionRow::builder().title(gettext("Size")).build();
        row.add_css_class("property");
        let grow = gtk::Button::builder().label(gettext("Make Larger…")).valign(gtk::Align::Center).build();
        // Its words alone do not say which disk.
        grow.reset_relation(gtk::AccessibleRelation::LabelledBy);
        let which = gettext_f("Make {name} Larger", &[("name", title)]);
        grow.update_property(&[gtk::accessible::Property::Label(&which)]);
        let (input, name, title) = (sender.input_sender().clone(), name.to_owned(), title.to_owned());
        grow.connect_clicked(move |button| ask_size(button, &title, &name, input.clone()));
        row.add_suffix(&grow);
        self.needs_off.push(grow.upcast());
        row
    }
}

/// A question with a number of GiB in it.
fn question(heading: &str, body: &str, responses: &[(&str, &str)]) -> (adw::AlertDialog, adw::SpinRow) {
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
    let row = number_row::new(&gettext("Size in GiB"), 1..=MOST, 1);
    let group = adw::PreferencesGroup::new();
    group.add(&row);
    dialog.set_extra_child(Some(&group));
    dialog.add_response("cancel", &gettext("_Cancel"));
    dialog.add_responses(responses);
    dialog.set_response_appearance("act", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("act"));
    dialog.set_close_response("cancel");
    (dialog, row)
}

fn ask_size(parent: &gtk::Button, title: &str, name: &str, input: relm4::Sender<SettingsMsg>) {
    let heading = gettext_f("Make “{name}” Larger", &[("name", title)]);
    let body = gettext(
        "What is on it stays. The system in the machine has to make use of the new room. It cannot be made smaller again.",
    );
    let (dialog, row) = question(&heading, &body, &[("act", &gettext("_Make Larger"))]);
    row.set_value((PROPOSED * 2) as f64);
    let name = name.to_owned();
    dialog.choose(Some(parent), None::<&gio::Cancellable>, move |response| {
        if response == "act" {
            row.update();
            input.emit(SettingsMsg::Change(Change::Grow(name, (row.value() as u64) << 30)));
        }
    });
}

fn ask_new_disk(parent: &adw::ButtonRow, input: relm4::Sender<SettingsMsg>) {
    let body = gettext("A new disk is empty and takes room as it fills.");
    let responses = [("file", gettext("_Use an Image…")), ("act", gettext("_Add"))];
    let responses = [(responses[0].0, responses[0].1.as_str()), (responses[1].0, responses[1].1.as_str())];
    let (dialog, row) = question(&gettext("Add a Disk"), &body, &responses);
    row.set_value(PROPOSED as f64);
    let window = parent.root().and_downcast::<gtk::Window>();
    dialog.choose(Some(parent), None::<&gio::Cancellable>, move |response| match response.as_str() {
        "act" => {
            row.update();
            input.emit(SettingsMsg::Change(Change::AddDisk((row.value() as u64) << 30)));
        }
        "file" => {
            let chooser = gtk::FileDialog::builder().title(gettext("Choose a Disk Image")).modal(true).build();
            chooser.open(window.as_ref(), None::<&gio::Cancellable>, move |picked| {
                if let Some(path) = picked.ok().and_then(|file| file.path()) {
                    input.emit(SettingsMsg::Change(Change::UseDisk(path)));
                }
            });
        }
        _ => {}
    });
}
