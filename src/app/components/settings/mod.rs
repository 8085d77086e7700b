//! A machine's settings. What is changed counts at once: it is written down, and done to the machine when it runs and can follow.
//!
//! Each row is one setting of [`api::settings`], so the app can set what `dormerctl set` can, with the same checks. A value that
//! is refused is told why, and the row goes back to what is so.

mod boot;
mod connection;
mod disk_size;
mod drives;
mod forwards;
mod medium;
mod notes;
mod refusal;
mod row;
mod sound_device;
mod text;
mod traffic;
mod usb;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use api::control::NetworkStatus;
use api::machine::Machine;
use api::settings::{CardKey, Key, SoundKey, UsbKey};
use audio::{Audio, Devices};
use gtk::glib;
use library::usb::Device;
use relm4::prelude::*;
use uuid::Uuid;

use self::boot::BootOrder;
use self::connection::Connection;
use self::drives::SizeRow;
use self::forwards::Forwards;
use self::medium::MediumRow;
use self::notes::Notes;
use self::row::Row;
use self::sound_device::SoundDevice;
use self::traffic::Traffic;
use self::usb::UsbRules;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{self, Change, DiskSizes, Summary};
use crate::reasons::reason;
use crate::words;

/// How often network cards of a running machine are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The name of the page for sound.
const SOUND: &str = "sound";
/// The name of the page for USB devices.
const USB: &str = "usb";

/// The dialog.
pub(crate) struct SettingsDialog {
    uuid: Uuid,
    /// What it shows.
    machine: Machine,
    live: bool,
    /// Systems' names by their ids.
    names: HashMap<String, String>,
    rows: Vec<Row>,
    connections: Vec<Connection>,
    traffic: Vec<Traffic>,
    forwards: Vec<Forwards>,
    usb: Option<UsbRules>,
    /// What is plugged in.
    plugged: Vec<Device>,
    boot: Option<BootOrder>,
    sound_devices: Vec<SoundDevice>,
    /// What this computer has for sound, once it was asked.
    heard: Option<Devices>,
    media: Vec<MediumRow>,
    notes: Option<Notes>,
    pages: Vec<adw::PreferencesPage>,
    banner: adw::Banner,
    /// What is to be changed next; the newest value of each setting.
    waiting: Vec<Change>,
    /// Something is being changed.
    setting: bool,
    /// The person has closed the dialog.
    closed: bool,
    sizes: Vec<SizeRow>,
    /// Bytes that there is room for in a new disk.
    room: Rc<Cell<Option<u64>>>,
    /// What cannot be done while the machine is on.
    needs_off: Vec<gtk::Widget>,
}

/// What the dialog is told.
#[derive(Debug)]
pub(crate) enum SettingsMsg {
    /// The machine is like this now.
    Show(Summary),
    /// The person wants this.
    Change(Change),
    /// Time to look at what goes through network cards.
    Look,
    /// The person goes to another page.
    Page,
    /// These USB devices are plugged in.
    UsbDevices(Vec<Device>),
    /// This is what this computer has for sound.
    SoundDevices(Devices),
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
    /// How large its disks are.
    Sizes(DiskSizes),
    /// What the engine says of network cards.
    Networks(Vec<NetworkStatus>),
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
        let input = sender.input_sender().clone();
        root.connect_visible_page_name_notify(move |_| input.emit(SettingsMsg::Page));
        let mut model = Self {
            uuid: summary.uuid(),
            live: summary.is_live(),
            machine: summary.entry.machine,
            names,
            rows: Vec::new(),
            connections: Vec::new(),
            traffic: Vec::new(),
            forwards: Vec::new(),
            usb: None,
            plugged: Vec::new(),
            boot: None,
            sound_devices: Vec::new(),
            heard: None,
            media: Vec::new(),
            notes: None,
            pages: Vec::new(),
            banner: adw::Banner::new(&gettext("The machine is on: some settings can be changed once it is off")),
            waiting: Vec::new(),
            setting: false,
            closed: false,
            sizes: Vec::new(),
            room: Rc::default(),
            needs_off: Vec::new(),
        };
        model.build(&root, &sender);
        model.measure(&sender);
        model.look(&sender);
        // Until the dialog is gone.
        let input = sender.input_sender().clone();
        glib::timeout_add_local(LOOK, move || match input.send(SettingsMsg::Look) {
            Ok(()) => glib::ControlFlow::Continue,
            Err(_) => glib::ControlFlow::Break,
        });
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
            SettingsMsg::Look => {
                self.look(&sender);
                look_at_usb(root, &sender);
            }
            SettingsMsg::UsbDevices(devices) => {
                self.plugged = devices;
                self.show();
            }
            SettingsMsg::Page => {
                look_at_usb(root, &sender);
                if root.visible_page_name().as_deref() == Some(SOUND) {
                    listen(&sender);
                }
            }
            SettingsMsg::SoundDevices(devices) => {
                self.heard = Some(devices);
                self.show();
            }
            SettingsMsg::Closed => {
                self.waiting.extend(self.notes.as_ref().and_then(Notes::news));
                self.next(&sender);
                self.closed = true;
                self.end(&sender);
            }
        }
    }

    fn update_cmd(&mut self, found: Found, sender: ComponentSender<Self>, root: &Self::Root) {
        let result = match found {
            Found::Done(result) => result,
            Found::Sizes(sizes) => return self.show_sizes(&sizes),
            Found::Networks(cards) => return self.traffic.iter().for_each(|traffic| traffic.show(&cards)),
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
                self.connections.iter().for_each(Connection::refuse);
                self.show();
            }
        }
        self.next(&sender);
        self.end(&sender);
    }
}

impl SettingsDialog {
    /// Tells that the dialog is closed, once all that the person wanted is done.
    fn end(&self, sender: &ComponentSender<Self>) {
        if self.closed && !self.setting {
            // The window is gone when the app ends: then nobody needs to know.
            drop(sender.output(SettingsOutput::Closed));
        }
    }

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
            Found::Done(changed.map(|entry| Box::new(entry.machine)).map_err(|error| reason(&error)))
        });
    }

    /// Looks what goes through network cards.
    fn look(&self, sender: &ComponentSender<Self>) {
        if self.live {
            let uuid = self.uuid;
            sender.spawn_oneshot_command(move || Found::Networks(machines::networks(uuid)));
        } else {
            self.traffic.iter().for_each(|traffic| traffic.show(&[]));
        }
    }

    /// Looks how large the drives are.
    fn measure(&self, sender: &ComponentSender<Self>) {
        let uuid = self.uuid;
        sender.spawn_oneshot_command(move || {
            Found::Sizes(machines::find(uuid).map(|entry| machines::disk_sizes(&entry)).unwrap_or_default())
        });
    }

    fn show_sizes(&self, sizes: &DiskSizes) {
        self.room.set(sizes.new);
        self.sizes.iter().for_each(|row| row.show(sizes));
    }

    /// The machine is like this now.
    fn take(&mut self, machine: Machine, sender: &ComponentSender<Self>, root: &adw::PreferencesDialog) {
        let parts = |machine: &Machine| (machine.keys(), machine.drive_names());
        let other_parts = parts(&machine) != parts(&self.machine);
        if other_parts {
            // What is being typed is not lost with its place.
            self.waiting.extend(self.notes.as_ref().and_then(Notes::news));
        }
        self.machine = machine;
        root.set_title(&gettext_f("Settings of “{name}”", &[("name", &self.machine.name)]));
        if other_parts {
            // Somebody added or removed a drive or a card.
            let page = root.visible_page_name();
            self.pages.drain(..).for_each(|page| root.remove(&page));
            self.rows.clear();
            self.connections.clear();
            self.traffic.clear();
            self.forwards.clear();
            self.sound_devices.clear();
            self.media.clear();
            self.sizes.clear();
            self.needs_off.clear();
            self.build(root, sender);
            if let Some(page) = page {
                root.set_visible_page_name(&page);
            }
        }
        self.measure(sender);
        self.look(sender);
        self.show();
        self.next(sender);
    }

    /// All rows show what is so.
    fn show(&self) {
        self.rows.iter().for_each(|row| row.show(&self.machine, self.live));
        self.connections.iter().for_each(|connection| connection.show(&self.machine, self.live));
        self.forwards.iter().for_each(|forwards| forwards.show(&self.machine));
        self.sound_devices.iter().for_each(|device| device.show(&self.machine, self.live, self.heard.as_ref()));
        self.usb.iter().for_each(|usb| usb.show(&self.machine, &self.plugged));
        self.boot.iter().for_each(|boot| boot.show(&self.machine, self.live));
        self.notes.iter().for_each(|notes| notes.show(&self.machine));
        self.media.iter().for_each(|medium| medium.show(&self.machine));
        self.needs_off.iter().for_each(|widget| widget.set_sensitive(!self.live));
        self.banner.set_revealed(self.live);
    }

    fn build(&mut self, root: &adw::PreferencesDialog, sender: &ComponentSender<Self>) {
        let general = self.page(root, "general", &gettext("General"), "document-properties-symbolic");
        general.set_banner(Some(&self.banner));
        self.group(&general, "", &[Key::Name, Key::Group, Key::Os, Key::Clock, Key::Autostart], sender);
        self.group(&general, &gettext("Keyboard and Mouse"), &[Key::VirtioInput], sender);
        let notes = Notes::new(sender.input_sender().clone());
        general.add(&notes.group);
        self.notes = Some(notes);

        let system = self.page(root, "system", &gettext("System"), "emblem-system-symbolic");
        self.group(&system, "", &[Key::Processors, Key::Memory, Key::Firmware], sender);
        let boot = BootOrder::new(&self.machine, sender.input_sender().clone());
        system.add(&boot.group);
        self.boot = Some(boot);

        let display = self.page(root, "display", &gettext("Display"), "video-display-symbolic");
        self.group(&display, "", &[Key::Resolution, Key::VideoMemory], sender);

        self.add_sound(root, sender);

        let storage = self.page(root, "storage", &gettext("Storage"), "drive-harddisk-symbolic");
        self.add_drives(&storage, sender);

        let network = self.page(root, "network", &gettext("Network"), "network-wired-symbolic");
        for card in 0..self.machine.networks.len() {
            let title = words::card(card);
            let group = self.group(&network, &title, &[Key::Card(card, CardKey::Link)], sender);
            self.connections.push(Connection::new(card, &group, sender.input_sender().clone()));
            for what in [CardKey::Model, CardKey::Mac] {
                let row = Row::new(Key::Card(card, what), &self.names, sender.input_sender());
                group.add(row.widget());
                self.rows.push(row);
            }
            self.traffic.push(Traffic::new(card, &group, sender.input_sender().clone()));
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

        let page = self.page(root, USB, &gettext("USB"), "media-removable-symbolic");
        self.group(
            &page,
            "",
            &UsbKey::ALL.into_iter().filter(|key| *key != UsbKey::Rules).map(Key::Usb).collect::<Vec<_>>(),
            sender,
        );
        let usb = UsbRules::new(sender.input_sender().clone());
        page.add(&usb.rules);
        page.add(&usb.plugged);
        self.usb = Some(usb);
    }

    fn add_sound(&mut self, root: &adw::PreferencesDialog, sender: &ComponentSender<Self>) {
        let page = self.page(root, SOUND, &gettext("Sound"), "audio-speakers-symbolic");
        let key = Key::Sound;
        self.group(&page, "", &[key(SoundKey::Card)], sender);
        let output = [SoundKey::Volume, SoundKey::Mute].map(key);
        let output = self.group(&page, &gettext("Output"), &output, sender);
        let input = self.group(&page, &gettext("Input"), &[key(SoundKey::Microphone)], sender);
        for (group, which) in [(output, SoundKey::Output), (input, SoundKey::Input)] {
            let device = SoundDevice::new(which, sender.input_sender().clone());
            group.add(device.widget());
            self.sound_devices.push(device);
        }
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

/// Asks what this computer has for sound. A sound server is asked each time that somebody looks: devices are plugged in and out.
fn listen(sender: &ComponentSender<SettingsDialog>) {
    let input = sender.input_sender().clone();
    // The dialog may be gone by then.
    Audio::new(|| {}).list_devices(move |devices| drop(input.send(SettingsMsg::SoundDevices(devices))));
}

/// Looks what is plugged in, while somebody sees it.
fn look_at_usb(root: &adw::PreferencesDialog, sender: &ComponentSender<SettingsDialog>) {
    if root.visible_page_name().as_deref() == Some(USB) {
        let input = sender.input_sender().clone();
        // The dialog may be gone by then.
        relm4::spawn_blocking(move || drop(input.send(SettingsMsg::UsbDevices(machines::usb_devices()))));
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
