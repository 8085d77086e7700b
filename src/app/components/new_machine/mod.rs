//! A new machine: one page. The person picks an image (or drops one); the rest is filled in and can be changed.

mod pick;
mod text;
mod why;

use std::path::PathBuf;

use adw::prelude::*;
use api::machine::{Firmware, ImageFormat, Profile, Wants, limits};
use gtk::glib;
use library::media::{Medium, MediumKind};
use library::{Concern, Library, Needs, NewDisk, NewMachine, Room};
use relm4::prelude::*;
use uuid::Uuid;

use super::{dropped, number_row};
use crate::i18n::{gettext, gettext_f};
use crate::machines;
use crate::{reasons, words};

/// Most GiB of a disk.
const DISK_MAX: u64 = 65536;

/// The dialog.
pub(crate) struct NewMachineDialog {
    /// What this computer has for it.
    room: Room,
    image: Image,
    /// The person changed the name: it is not filled in any more.
    named: bool,
    name_problem: Option<String>,
    /// Why there is no machine.
    problem: Option<String>,
    creating: bool,
    /// Which inspection is the newest.
    inspection: u32,
    /// What the fields hold, in MiB and GiB.
    processors: u32,
    memory: u64,
    disk: u64,
    firmware: Firmware,
    profile: Profile,
    /// What the fields are filled with; they are read when the machine is made.
    fill: NewMachine,
}

/// The image that the person picked.
#[derive(Debug)]
enum Image {
    None,
    Inspecting(PathBuf),
    Known(Box<Medium>),
    Bad(PathBuf, String),
}

/// What the dialog is told.
#[derive(Debug)]
pub(crate) enum NewMachineMsg {
    /// Use this image.
    Use(PathBuf),
    /// Let the person pick one.
    Pick,
    /// No image.
    Forget,
    /// The person typed a name.
    Named(String),
    /// The person chose so many processors.
    Processors(u32),
    /// The person chose this much memory, in MiB.
    Memory(u64),
    /// The person chose so large a disk, in GiB.
    Disk(u64),
    /// The person chose this firmware.
    Firmware(Firmware),
    /// The person chose these devices.
    Profile(Profile),
    /// Make it.
    Create,
    /// The dialog is closed.
    Closed,
}

/// What the dialog tells.
#[derive(Debug)]
pub(crate) enum NewMachineOutput {
    /// There is a new machine.
    Created(Uuid),
    /// The dialog is closed.
    Closed,
}

/// What commands find out.
#[derive(Debug)]
pub(crate) enum Found {
    /// What is in an image (of this inspection), and a free name for it.
    Medium(u32, Result<(Box<Medium>, String), (PathBuf, String)>),
    /// A free name.
    Name(String),
    /// What this computer has.
    Room(Room),
    /// The machine is made.
    Created(Result<Uuid, String>),
}

#[relm4::component(pub(crate))]
impl Component for NewMachineDialog {
    type Init = ();
    type Input = NewMachineMsg;
    type Output = NewMachineOutput;
    type CommandOutput = Found;

    view! {
        #[root]
        adw::Dialog {
            set_title: &gettext("New Machine"),
            set_content_width: 520,
            set_content_height: 640,
            connect_closed => NewMachineMsg::Closed,

            #[wrap(Some)]
            set_child = &adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    set_show_start_title_buttons: false,
                    set_show_end_title_buttons: false,
                    pack_start = &gtk::Button {
                        set_label: &gettext("_Cancel"),
                        set_use_underline: true,
                        set_tooltip_text: Some(&gettext("Make No Machine")),
                        connect_clicked[root] => move |_| { root.close(); },
                    },
                    #[name = "create"]
                    pack_end = &gtk::Button {
                        set_label: &gettext("C_reate"),
                        set_use_underline: true,
                        set_tooltip_text: Some(&gettext("Make the Machine and Start It")),
                        add_css_class: "suggested-action",
                        #[watch]
                        set_sensitive: model.can_create(),
                        connect_clicked => NewMachineMsg::Create,
                    },
                    pack_end = &adw::Spinner {
                        #[watch]
                        set_visible: model.creating,
                    },
                },

                #[name = "page"]
                adw::PreferencesPage {
                    #[watch]
                    set_sensitive: !model.creating,

                    adw::PreferencesGroup {
                        set_description: Some(&gettext("Choose the installer or disk image of a system, or drop it here.")),

                        #[name = "image_row"]
                        adw::ActionRow {
                            set_use_markup: false,
                            #[watch]
                            set_title: &model.image_title(),
                            #[watch]
                            set_subtitle: &model.image_subtitle(),
                            set_subtitle_lines: 3,
                            set_activatable_widget: Some(&pick),

                            add_prefix = &gtk::Image {
                                set_icon_name: Some("media-optical-symbolic"),
                                set_accessible_role: gtk::AccessibleRole::Presentation,
                            },
                            add_suffix = &adw::Spinner {
                                #[watch]
                                set_visible: matches!(model.image, Image::Inspecting(_)),
                            },
                            add_suffix = &gtk::Button {
                                set_icon_name: "edit-clear-symbolic",
                                set_tooltip_text: Some(&gettext("Use No Image")),
                                set_valign: gtk::Align::Center,
                                add_css_class: "flat",
                                #[watch]
                                set_visible: !matches!(model.image, Image::None),
                                connect_clicked => NewMachineMsg::Forget,
                            },
                            #[name = "pick"]
                            add_suffix = &gtk::Button {
                                set_icon_name: "document-open-symbolic",
                                set_tooltip_text: Some(&gettext("Choose an Image…")),
                                set_valign: gtk::Align::Center,
                                add_css_class: "flat",
                                connect_clicked => NewMachineMsg::Pick,
                            },
                        },
                        adw::ActionRow {
                            set_title: &gettext("Chosen for It"),
                            set_use_markup: false,
                            #[watch]
                            set_subtitle: &model.choice().unwrap_or_default(),
                            set_subtitle_lines: 0,
                            set_subtitle_selectable: true,
                            add_css_class: "property",
                            #[watch]
                            set_visible: model.choice().is_some(),
                        },
                    },

                    adw::PreferencesGroup {
                        #[watch]
                        set_visible: model.image_problem().is_some(),

                        remark("error") -> gtk::Label {
                            #[watch]
                            set_label: &model.image_problem().unwrap_or_default(),
                        },
                    },

                    adw::PreferencesGroup {
                        #[watch]
                        set_visible: model.warning().is_some(),

                        remark("warning") -> gtk::Label {
                            #[watch]
                            set_label: &model.warning().unwrap_or_default(),
                        },
                    },

                    adw::PreferencesGroup {
                        #[name = "name"]
                        adw::EntryRow {
                            set_title: &gettext("Name"),
                            #[watch]
                            set_class_active: ("error", model.name_problem.is_some()),
                            connect_changed[sender] => move |row| {
                                sender.input(NewMachineMsg::Named(row.text().into()));
                            } @typed,
                            connect_entry_activated => NewMachineMsg::Create,
                        },
                    },

                    adw::PreferencesGroup {
                        #[watch]
                        set_visible: model.problem().is_some(),

                        remark("error") -> gtk::Label {
                            #[watch]
                            set_label: &model.problem().unwrap_or_default(),
                        },
                    },

                    adw::PreferencesGroup {
                        #[name = "processors"]
                        number_row::new(&gettext("Processors"), 1..=limits::PROCESSORS.into(), 1) -> adw::SpinRow {
                            set_subtitle: &gettext_f("{count} in this computer", &[("count", &model.room.host.processors.to_string())]),
                            connect_value_notify[sender] => move |row| {
                                sender.input(NewMachineMsg::Processors(row.value() as u32));
                            },
                        },
                        #[name = "memory"]
                        number_row::new(&gettext("Memory in MiB"), limits::MEMORY_MIN..=model.room.host.memory, 256) -> adw::SpinRow {
                            #[watch]
                            set_subtitle: &model.memory_subtitle(),
                            connect_value_notify[sender] => move |row| {
                                sender.input(NewMachineMsg::Memory(row.value() as u64));
                            },
                        },
                        #[name = "disk"]
                        number_row::new(&gettext("Disk in GiB"), 1..=DISK_MAX, 1) -> adw::SpinRow {
                            #[watch]
                            set_subtitle: &model.disk_subtitle(),
                            connect_value_notify[sender] => move |row| {
                                sender.input(NewMachineMsg::Disk(row.value() as u64));
                            },
                            #[watch]
                            set_visible: !model.brings_disk(),
                        },
                    },

                    adw::PreferencesGroup {
                        #[watch]
                        set_visible: !model.concerns().is_empty(),

                        remark("warning") -> gtk::Label {
                            #[watch]
                            set_label: &model.concern_text(),
                            #[watch]
                            set_css_classes: &[if model.is_refused() { "error" } else { "warning" }],
                        },
                    },

                    adw::PreferencesGroup {
                        adw::ExpanderRow {
                            set_title: &gettext("More"),

                            #[name = "firmware"]
                            add_row = &adw::ComboRow {
                                set_title: &gettext("Firmware"),
                                set_model: Some(&gtk::StringList::new(&["UEFI", "BIOS"])),
                                connect_selected_notify[sender] => move |row| {
                                    sender.input(NewMachineMsg::Firmware(firmware_at(row.selected())));
                                },
                            },
                            #[name = "profile"]
                            add_row = &adw::ComboRow {
                                set_title: &gettext("Devices"),
                                set_subtitle: &gettext("What the system in it has drivers for"),
                                set_model: Some(&gtk::StringList::new(&[
                                    &gettext("Fast, for Linux and BSD"),
                                    &gettext("For Windows"),
                                    &gettext("For old systems"),
                                ])),
                                connect_selected_notify[sender] => move |row| {
                                    sender.input(NewMachineMsg::Profile(profile_at(row.selected())));
                                },
                            },
                        },
                    },
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let host = library::host::resources();
        let mut model = Self {
            room: Room { host, memory: None, folder: PathBuf::new(), disk: None },
            image: Image::None,
            named: false,
            name_problem: None,
            problem: None,
            creating: false,
            inspection: 0,
            processors: 0,
            memory: 0,
            disk: 0,
            firmware: Firmware::Uefi,
            profile: Profile::Linux,
            fill: NewMachine::new("", Profile::Linux, Firmware::Uefi, Wants::default(), host),
        };
        let widgets = view_output!();
        model.fill_in(&widgets);
        root.set_default_widget(Some(&widgets.create));
        // Nothing comes before the image. Where the window is narrow, a dialog comes up and takes the focus a moment later.
        widgets.image_row.connect_map(|row| {
            let row = row.downgrade();
            glib::idle_add_local_once(move || {
                if let Some(row) = row.upgrade() {
                    row.grab_focus();
                }
            });
        });
        let input = sender.input_sender().clone();
        dropped::take(&widgets.page, move |path| input.emit(NewMachineMsg::Use(path)));
        find_name(&sender);
        sender.spawn_oneshot_command(move || {
            let nothing_known = Room { host, memory: None, folder: PathBuf::new(), disk: None };
            Found::Room(machines::room().unwrap_or(nothing_known))
        });
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: NewMachineMsg,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            NewMachineMsg::Use(path) => self.inspect(path, &sender),
            NewMachineMsg::Pick => pick::pick(root, &sender),
            NewMachineMsg::Forget => {
                self.image = Image::None;
                self.problem = None;
                self.inspection += 1;
                self.fill = NewMachine::new("", Profile::Linux, Firmware::Uefi, Wants::default(), self.room.host);
                self.fill.name = widgets.name.text().into();
                self.fill_in(widgets);
                find_name(&sender);
                widgets.pick.grab_focus();
            }
            NewMachineMsg::Named(name) => {
                self.named = true;
                self.name_problem = words::name_problem(&name);
                self.problem = None;
            }
            NewMachineMsg::Processors(processors) => self.processors = processors,
            NewMachineMsg::Memory(memory) => self.memory = memory,
            NewMachineMsg::Disk(disk) => self.disk = disk,
            NewMachineMsg::Firmware(firmware) => self.firmware = firmware,
            NewMachineMsg::Profile(profile) => self.profile = profile,
            NewMachineMsg::Create if self.can_create() => self.create(widgets, &sender),
            NewMachineMsg::Create => {}
            NewMachineMsg::Closed => drop(sender.output(NewMachineOutput::Closed)),
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        found: Found,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match found {
            Found::Medium(inspection, _) if inspection != self.inspection => {}
            Found::Medium(_, Ok((medium, name))) => {
                if let Err(error) = medium.check_bootable() {
                    self.image = Image::Bad(medium.path, reasons::medium(&error));
                } else {
                    let name = if self.named { widgets.name.text().into() } else { name };
                    self.fill = NewMachine::for_medium(name, &medium, self.room.host);
                    self.image = Image::Known(medium);
                    self.fill_in(widgets);
                }
            }
            Found::Medium(_, Err((path, why))) => self.image = Image::Bad(path, why),
            Found::Name(name) => {
                if !self.named && matches!(self.image, Image::None) {
                    self.fill.name = name;
                    self.fill_in_name(widgets);
                }
            }
            Found::Room(room) => self.room = room,
            Found::Created(Ok(uuid)) => {
                drop(sender.output(NewMachineOutput::Created(uuid)));
                root.force_close();
            }
            Found::Created(Err(why)) => {
                self.creating = false;
                self.problem = Some(words::sentence(&why));
            }
        }
        self.update_view(widgets, sender);
    }
}

impl NewMachineDialog {
    fn inspect(&mut self, path: PathBuf, sender: &ComponentSender<Self>) {
        self.inspection += 1;
        self.problem = None;
        self.image = Image::Inspecting(path.clone());
        let inspection = self.inspection;
        sender.spawn_oneshot_command(move || {
            let medium = library::media::inspect(&path);
            Found::Medium(
                inspection,
                match medium {
                    Ok(medium) => {
                        let name = free_name(&medium.system.name);
                        Ok((Box::new(medium), name))
                    }
                    Err(error) => Err((path, reasons::medium(&error))),
                },
            )
        });
    }

    /// Puts the name into its field, as nobody typed it.
    fn fill_in_name(&mut self, widgets: &NewMachineDialogWidgets) {
        widgets.name.block_signal(&widgets.typed);
        widgets.name.set_text(&self.fill.name);
        widgets.name.unblock_signal(&widgets.typed);
        self.name_problem = words::name_problem(&self.fill.name);
    }

    /// Puts defaults into the fields.
    fn fill_in(&mut self, widgets: &NewMachineDialogWidgets) {
        if widgets.name.text() != self.fill.name {
            self.fill_in_name(widgets);
        }
        widgets.processors.set_value(self.fill.processors.into());
        widgets.memory.set_value(self.fill.memory as f64);
        if let Some(NewDisk::Create { size, .. }) = self.fill.disks.first() {
            widgets.disk.set_value((size >> 30) as f64);
        }
        widgets.firmware.set_selected(if self.fill.firmware == Firmware::Uefi { 0 } else { 1 });
        widgets.profile.set_selected(match self.fill.profile {
            Profile::Linux => 0,
            Profile::Windows => 1,
            Profile::Legacy => 2,
        });
        self.read(widgets);
    }

    /// Reads the fields.
    fn read(&mut self, widgets: &NewMachineDialogWidgets) {
        self.processors = widgets.processors.value() as u32;
        (self.memory, self.disk) = (widgets.memory.value() as u64, widgets.disk.value() as u64);
        self.firmware = firmware_at(widgets.firmware.selected());
        self.profile = profile_at(widgets.profile.selected());
    }

    /// Reads the fields and makes the machine.
    fn create(&mut self, widgets: &NewMachineDialogWidgets, sender: &ComponentSender<Self>) {
        let mut new = match &self.image {
            Image::Known(medium) => NewMachine::for_medium("", medium, self.room.host),
            _ => NewMachine::new("", Profile::Linux, Firmware::Uefi, Wants::default(), self.room.host),
        };
        // A number that was typed and not left yet counts.
        for row in [&widgets.processors, &widgets.memory, &widgets.disk] {
            row.update();
        }
        self.read(widgets);
        if self.is_refused() {
            return;
        }
        new.name = widgets.name.text().into();
        (new.processors, new.memory) = (self.processors, self.memory);
        (new.firmware, new.profile) = (self.firmware, self.profile);
        if !self.brings_disk() {
            let size = self.disk << 30;
            new.disks = vec![NewDisk::Create { size, format: ImageFormat::Qcow2 }];
        }
        self.creating = true;
        self.problem = None;
        sender.spawn_oneshot_command(move || {
            Found::Created(machines::create(&new).map_err(|error| reasons::reason(&error)))
        });
    }

    fn can_create(&self) -> bool {
        let image = matches!(self.image, Image::None | Image::Known(_));
        image && self.name_problem.is_none() && !self.creating && !self.is_refused()
    }

    /// What a person should know before they make this machine.
    fn concerns(&self) -> Vec<Concern> {
        let (disk, least_disk) = if self.brings_disk() { (0, 0) } else { (self.disk << 10, self.fill.least_disk) };
        self.room.concerns(Needs { processors: self.processors, memory: self.memory, disk, least_disk })
    }

    /// Is there no such machine on this computer?
    fn is_refused(&self) -> bool {
        self.concerns().iter().any(Concern::refuses)
    }

    /// Is the image a disk that the machine starts from?
    fn brings_disk(&self) -> bool {
        matches!(&self.image, Image::Known(medium) if medium.kind == MediumKind::Disk)
    }
}

/// A sentence between the rows.
fn remark(class: &str) -> gtk::Label {
    gtk::Label::builder()
        .wrap(true)
        .wrap_mode(gtk::pango::WrapMode::WordChar)
        .xalign(0.0)
        .selectable(true)
        .css_classes([class])
        .build()
}

fn firmware_at(selected: u32) -> Firmware {
    if selected == 0 { Firmware::Uefi } else { Firmware::Bios }
}

fn profile_at(selected: u32) -> Profile {
    match selected {
        0 => Profile::Linux,
        1 => Profile::Windows,
        _ => Profile::Legacy,
    }
}

/// Finds a name for a machine without an image.
fn find_name(sender: &ComponentSender<NewMachineDialog>) {
    sender.spawn_oneshot_command(|| Found::Name(free_name(&gettext("Machine"))));
}

fn free_name(base: &str) -> String {
    Library::open().and_then(|library| library.free_name(base)).unwrap_or_else(|_| base.to_owned())
}
