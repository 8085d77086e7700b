//! A machine's settings. What is changed counts at once: it is written down, and done to the machine when it runs and can follow.
//!
//! Each row is one setting of [`api::settings`], so the app can set what `dormerctl set` can, with the same checks. A value that
//! is refused is told why, and the row goes back to what is so.

mod drives;
mod forwards;
mod refusal;
mod row;
mod text;

use std::collections::HashMap;

use adw::prelude::*;
use api::machine::Machine;
use api::settings::{CardKey, Key};
use relm4::prelude::*;
use uuid::Uuid;

use self::forwards::Forwards;
use self::row::Row;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{self, Change, Summary};
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
    /// What is to be changed next; the newest value of each setting.
    waiting: Vec<Change>,
    /// Something is being changed.
    setting: bool,
    /// Rows with the sizes of drives, by the drives' places.
    sizes: Vec<(usize, adw::ActionRow)>,
    /// What cannot be done while the machine is on.
    needs_off: Vec<gtk::Widget>,
}

/// What the dialog is told.
#[derive(Debug)]
pub(crate) enum SettingsMsg {
    /// The machine is like this now.
    Show(Box<Summary>),
    /// The person wants this.
    Change(Change),
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

/// What commands find out.
#[derive(Debug)]
pub(crate) enum Found {
    /// The machine as it is now, or why it did not change.
    Done(Result<Box<Machine>, String>),
    /// Bytes that the system in it sees of each drive.
    Sizes(Vec<Option<u64>>),
}

impl Component for SettingsDialog {
    type Init = (Summary, HashMap<String, String>);
    type Input = SettingsMsg;
    type Output = SettingsOutput;
    type CommandOutput = Found;
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
            sizes: Vec::new(),
            needs_off: Vec::new(),
        };
        model.build(&root, &sender);
        model.measure(&sender);
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
            SettingsMsg::Change(change) => {
                if let Change::Set(key, _) = &change {
                    self.waiting.retain(|waiting| !matches!(waiting, Change::Set(other, _) if other == key));
                }
                self.waiting.push(change);
                self.next(&sender);
            }
            // The window is gone when the app ends: then nobody needs to know.
            SettingsMsg::Closed => drop(sender.output(SettingsOutput::Closed)),
        }
    }

    fn update_cmd(&mut self, found: Found, sender: ComponentSender<Self>, root: &Self::Root) {
        let result = match found {
            Found::Done(result) => result,
            Found::Sizes(sizes) => return self.show_sizes(&sizes),
        };
        self.setting = false;
        match result {
            Ok(machine) => {
                drop(sender.output(SettingsOutput::Changed));
                self.take(*machine, &sender, root);
            }
            Err(why) => {
                refusal::say(root, &why);
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
        let change = self.waiting.remove(0);
        if let Change::Set(key, value) = &change
            && self.machine.get(*key).as_ref() == Some(value)
        {
            return self.next(sender);
        }
        self.setting = true;
        let uuid = self.uuid;
        sender.spawn_oneshot_command(move || {
            let changed = machines::change(uuid, &change);
            Found::Done(changed.map(|entry| Box::new(entry.machine)).map_err(|error| error.to_string()))
        });
    }

    /// Looks how large the drives are.
    fn measure(&self, sender: &ComponentSender<Self>) {
        let uuid = self.uuid;
        sender.spawn_oneshot_command(move || {
            Found::Sizes(machines::find(uuid).map(|entry| machines::disk_sizes(&entry)).unwrap_or_default())
        });
    }

    fn show_sizes(&self, sizes: &[Option<u64>]) {
        for (place, row) in &self.sizes {
            let size = sizes.get(*place).copied().flatten();
            row.set_subtitle(&size.map_or_else(|| gettext("Cannot be read"), words::bytes));
        }
    }

    /// The machine is like this now.
    fn take(&mut self, machine: Machine, sender: &ComponentSender<Self>, root: &adw::PreferencesDialog) {
        let parts = |machine: &Machine| (machine.keys(), machine.drive_names());
        let other_parts = parts(&machine) != parts(&self.machine);
        self.machine = machine;
        root.set_title(&gettext_f("Settings of “{name}”", &[("name", &self.machine.name)]));
        if other_parts {
            // Somebody added or removed a drive or a card.
            let page = root.visible_page_name();
            self.pages.drain(..).for_each(|page| root.remove(&page));
            self.rows.clear();
            self.forwards.clear();
            self.sizes.clear();
            self.needs_off.clear();
            self.build(root, sender);
            if let Some(page) = page {
                root.set_visible_page_name(&page);
            }
        }
        self.measure(sender);
        self.show();
    }

    /// All rows show what is so.
    fn show(&self) {
        self.rows.iter().for_each(|row| row.show(&self.machine, self.live));
        self.forwards.iter().for_each(|forwards| forwards.show(&self.machine));
        self.needs_off.iter().for_each(|widget| widget.set_sensitive(!self.live));
        self.banner.set_revealed(self.live);
    }

    fn build(&mut self, root: &adw::PreferencesDialog, sender: &ComponentSender<Self>) {
        let general = self.page(root, "general", &gettext("General"), "computer-symbolic");
        general.set_banner(Some(&self.banner));
        self.group(&general, "", &[Key::Name, Key::Group, Key::Os, Key::Clock], sender);
        self.group(&general, &gettext("Keyboard and Mouse"), &[Key::VirtioInput], sender);

        let system = self.page(root, "system", &gettext("System"), "emblem-system-symbolic");
        self.group(&system, "", &[Key::Processors, Key::Memory, Key::Firmware], sender);

        let storage = self.page(root, "storage", &gettext("Storage"), "drive-harddisk-symbolic");
        self.add_drives(&storage, sender);

        let network = self.page(root, "network", &gettext("Network"), "network-wired-symbolic");
        for card in 0..self.machine.networks.len() {
            let title = gettext_f("Network Card {number}", &[("number", &(card + 1).to_string())]);
            let keys = [CardKey::Link, CardKey::Mac].map(|what| Key::Card(card, what));
            let group = self.group(&network, &title, &keys, sender);
            group.set_description(Some(&gettext("Shares this computer’s network")));
            let remove = remove_button(&gettext_f("Remove {name}", &[("name", &title)]));
            let input = sender.input_sender().clone();
            remove.connect_clicked(move |_| {
                input.emit(SettingsMsg::Change(Change::RemoveCard(format!("net{card}"))));
            });
            group.set_header_suffix(Some(&remove));
            self.needs_off.push(remove.upcast());
            let forwards = Forwards::new(card, sender.input_sender().clone());
            network.add(&forwards.group);
            self.forwards.push(forwards);
        }
        if self.machine.networks.is_empty() {
            nothing(&network, &gettext("This machine has no network card."));
        }
        let add = adw::PreferencesGroup::new();
        add.add(&self.button_row(&gettext("Add a Network Card"), sender, |_, input| {
            input.emit(SettingsMsg::Change(Change::AddCard));
        }));
        network.add(&add);
    }

    /// A row that does something to a machine that is off.
    fn button_row(
        &mut self,
        title: &str,
        sender: &ComponentSender<Self>,
        act: impl Fn(&adw::ButtonRow, &relm4::Sender<SettingsMsg>) + 'static,
    ) -> adw::ButtonRow {
        let row = adw::ButtonRow::builder().title(title).start_icon_name("list-add-symbolic").build();
        let input = sender.input_sender().clone();
        row.connect_activated(move |row| act(row, &input));
        self.needs_off.push(row.clone().upcast());
        row
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

/// A button at the head of a group, which takes what the group is about away.
fn remove_button(what: &str) -> gtk::Button {
    let button = gtk::Button::builder().icon_name("user-trash-symbolic").tooltip_text(what).build();
    button.add_css_class("flat");
    button.set_valign(gtk::Align::Center);
    button
}

/// A page that has nothing to set.
fn nothing(page: &adw::PreferencesPage, sentence: &str) {
    page.add(&adw::PreferencesGroup::builder().description(sentence).build());
}
