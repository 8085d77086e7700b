//! A machine's settings. What is changed counts at once: it is written down, and done to the machine when it runs and can follow.
//!
//! Each row is one setting of [`api::settings`], so the app can set what `dormerctl set` can, with the same checks. A value that
//! is refused is told why, and the row goes back to what is so.

mod forwards;
mod row;
mod text;

use std::collections::HashMap;

use adw::prelude::*;
use api::machine::{DriveKind, Machine};
use api::settings::{CardKey, DiskKey, Key};
use gtk::glib;
use relm4::prelude::*;
use uuid::Uuid;

use self::forwards::Forwards;
use self::row::Row;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{self, Summary};
use crate::words;

/// The dialog.
pub(crate) struct SettingsDialog {
    uuid: Uuid,
    /// What it shows.
    machine: Machine,
    live: bool,
    /// Systems' names by their ids.
    names: HashMap<String, String>,
    rows: Vec<Row>,
    forwards: Vec<Forwards>,
    pages: Vec<adw::PreferencesPage>,
    banner: adw::Banner,
    /// What is to be set next; the newest value of each setting.
    waiting: Vec<(Key, String)>,
    /// Something is being set.
    setting: bool,
}

/// What the dialog is told.
#[derive(Debug)]
pub(crate) enum SettingsMsg {
    /// The machine is like this now.
    Show(Summary),
    /// The person wants this value.
    Set(Key, String),
    /// The dialog is closed.
    Closed,
}

/// What the dialog tells.
#[derive(Debug)]
pub(crate) enum SettingsOutput {
    /// The machine's file has changed.
    Changed,
    /// The dialog is closed.
    Closed,
}

/// What a command found out: the machine as it is now, or why it did not change.
#[derive(Debug)]
pub(crate) struct Done(Result<Box<Machine>, String>);

impl Component for SettingsDialog {
    type Init = (Summary, HashMap<String, String>);
    type Input = SettingsMsg;
    type Output = SettingsOutput;
    type CommandOutput = Done;
    type Root = adw::PreferencesDialog;
    type Widgets = ();

    fn init_root() -> Self::Root {
        adw::PreferencesDialog::builder().search_enabled(true).content_width(620).content_height(620).build()
    }

    fn init((summary, names): Self::Init, root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        root.set_title(&gettext_f("Settings of “{name}”", &[("name", summary.name())]));
        let input = sender.input_sender().clone();
        root.connect_closed(move |_| input.emit(SettingsMsg::Closed));
        let mut model = Self {
            uuid: summary.uuid(),
            live: summary.is_live(),
            machine: summary.entry.machine,
            names,
            rows: Vec::new(),
            forwards: Vec::new(),
            pages: Vec::new(),
            banner: adw::Banner::new(&gettext("The machine is on: some settings can be changed once it is off")),
            waiting: Vec::new(),
            setting: false,
        };
        model.build(&root, &sender);
        model.show();
        ComponentParts { model, widgets: () }
    }

    fn update(&mut self, message: SettingsMsg, sender: ComponentSender<Self>, root: &Self::Root) {
        match message {
            SettingsMsg::Show(summary) => {
                self.live = summary.is_live();
                // While something is being set, what the library said may be older.
                if self.setting {
                    self.show();
                } else {
                    self.take(summary.entry.machine, &sender, root);
                }
            }
            SettingsMsg::Set(key, value) => {
                self.waiting.retain(|(waiting, _)| *waiting != key);
                self.waiting.push((key, value));
                self.next(&sender);
            }
            // The window is gone when the app ends: then nobody needs to know.
            SettingsMsg::Closed => drop(sender.output(SettingsOutput::Closed)),
        }
    }

    fn update_cmd(&mut self, Done(result): Done, sender: ComponentSender<Self>, root: &Self::Root) {
        self.setting = false;
        match result {
            Ok(machine) => {
                drop(sender.output(SettingsOutput::Changed));
                self.take(*machine, &sender, root);
            }
            Err(why) => {
                let toast = adw::Toast::new(&glib::markup_escape_text(&words::sentence(&why)));
                toast.set_timeout(8);
                root.add_toast(toast);
                self.rows.iter().for_each(Row::refuse);
                self.show();
            }
        }
        self.next(&sender);
    }
}

impl SettingsDialog {
    /// Sets what waits, one after the other, so that the last word of the person is the last one heard.
    fn next(&mut self, sender: &ComponentSender<Self>) {
        if self.setting || self.waiting.is_empty() {
            return;
        }
        let (key, value) = self.waiting.remove(0);
        if self.machine.get(key).as_ref() == Some(&value) {
            return self.next(sender);
        }
        self.setting = true;
        let uuid = self.uuid;
        sender.spawn_oneshot_command(move || {
            let set = machines::set(uuid, key, &value);
            Done(set.map(|entry| Box::new(entry.machine)).map_err(|error| error.to_string()))
        });
    }

    /// The machine is like this now.
    fn take(&mut self, machine: Machine, sender: &ComponentSender<Self>, root: &adw::PreferencesDialog) {
        let other_parts = machine.keys() != self.machine.keys();
        self.machine = machine;
        root.set_title(&gettext_f("Settings of “{name}”", &[("name", &self.machine.name)]));
        if other_parts {
            // Somebody added or removed a drive or a card.
            self.pages.drain(..).for_each(|page| root.remove(&page));
            self.rows.clear();
            self.forwards.clear();
            self.build(root, sender);
        }
        self.show();
    }

    /// All rows show what is so.
    fn show(&self) {
        self.rows.iter().for_each(|row| row.show(&self.machine, self.live));
        self.forwards.iter().for_each(|forwards| forwards.show(&self.machine));
        self.banner.set_revealed(self.live);
    }

    fn build(&mut self, root: &adw::PreferencesDialog, sender: &ComponentSender<Self>) {
        let general = self.page(root, "general", &gettext("General"), "computer-symbolic");
        general.set_banner(Some(&self.banner));
        self.group(&general, "", &[Key::Name, Key::Os, Key::Clock], sender);
        self.group(&general, &gettext("Keyboard and Mouse"), &[Key::VirtioInput], sender);

        let system = self.page(root, "system", &gettext("System"), "emblem-system-symbolic");
        self.group(&system, "", &[Key::Processors, Key::Memory, Key::Firmware], sender);

        let storage = self.page(root, "storage", &gettext("Storage"), "drive-harddisk-symbolic");
        let images = self.machine.drives.iter().filter(|drive| drive.kind == DriveKind::Disk).map(|drive| {
            let name = drive.image.as_deref().and_then(|image| image.file_name());
            name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        });
        let images: Vec<String> = images.collect();
        for (disk, image) in images.iter().enumerate() {
            let title = gettext_f("Disk {number}", &[("number", &(disk + 1).to_string())]);
            let keys = [DiskKey::Bus, DiskKey::ReadOnly].map(|what| Key::Disk(disk, what));
            let group = self.group(&storage, &title, &keys, sender);
            group.set_description(Some(&glib::markup_escape_text(image)));
        }
        if images.is_empty() {
            nothing(&storage, &gettext("This machine has no disk."));
        }

        let network = self.page(root, "network", &gettext("Network"), "network-wired-symbolic");
        for card in 0..self.machine.networks.len() {
            let title = gettext_f("Network Card {number}", &[("number", &(card + 1).to_string())]);
            let keys = [CardKey::Link, CardKey::Mac].map(|what| Key::Card(card, what));
            let group = self.group(&network, &title, &keys, sender);
            group.set_description(Some(&gettext("Shares this computer’s network")));
            let forwards = Forwards::new(card, sender.input_sender().clone());
            network.add(&forwards.group);
            self.forwards.push(forwards);
        }
        if self.machine.networks.is_empty() {
            nothing(&network, &gettext("This machine has no network card."));
        }
    }

    fn page(&mut self, root: &adw::PreferencesDialog, name: &str, title: &str, icon: &str) -> adw::PreferencesPage {
        let page = adw::PreferencesPage::builder().name(name).title(title).icon_name(icon).build();
        root.add(&page);
        self.pages.push(page.clone());
        page
    }

    fn group(
        &mut self,
        page: &adw::PreferencesPage,
        title: &str,
        keys: &[Key],
        sender: &ComponentSender<Self>,
    ) -> adw::PreferencesGroup {
        let group = adw::PreferencesGroup::builder().title(title).build();
        for key in keys {
            let row = Row::new(*key, &self.names, sender.input_sender());
            group.add(row.widget());
            self.rows.push(row);
        }
        page.add(&group);
        group
    }
}

/// A page that has nothing to set.
fn nothing(page: &adw::PreferencesPage, sentence: &str) {
    page.add(&adw::PreferencesGroup::builder().description(sentence).build());
}
