//! The main window: the machines on this computer and a page for each. It also knows all consoles, and passes on what people ask.

mod advice;
mod background;
mod broken;
mod chosen;
mod commands;
mod deletion;
mod dialogs;
mod group;
mod messages;
mod moving;
mod notices;
mod orders;
mod pictures;
mod quitting;
mod rename;
mod shape;
mod shown;
mod usb;

pub(crate) use self::messages::{Found, WindowMsg};
pub(crate) use self::quitting::is_last;
pub(crate) use self::usb::{connect_here, toast_offer};

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use adw::prelude::*;
use gtk::{gio, glib};
use library::Discarded;
use library::kvm::KvmState;
use library::usb::Device;
use relm4::prelude::*;
use uuid::Uuid;

use self::background::monitors;
use self::chosen::ChosenActions;
use self::commands::Needs;
use self::moving::Moving;
use self::shape::Shape;
use super::console::{ConsoleMsg, ConsoleWindow, Ending};
use super::logs::LogsDialog;
use super::machine_list::{ListMsg, ListOutput, MachineList};
use super::machine_page::{MachinePage, PageMsg};
use super::menus::Menus;
use super::new_machine::NewMachineDialog;
use super::settings::SettingsDialog;
use super::{about, ask, dropped, help, shortcuts};
use crate::choice::Choice;
use crate::i18n::gettext;
use crate::machines::{self, Machines, Order, Summary};
use crate::reasons::{self, reason};
use crate::sort_by::SortBy;
use crate::view_as::ViewAs;
use crate::words;

/// The main window.
pub(crate) struct Window {
    machines: Machines,
    selected: Option<Uuid>,
    kvm: KvmState,
    list: Controller<MachineList>,
    page: Controller<MachinePage>,
    dialog: Option<Controller<NewMachineDialog>>,
    settings: Option<(Uuid, Controller<SettingsDialog>)>,
    /// Systems' names by their ids.
    names: HashMap<String, String>,
    logs: HashMap<Uuid, Controller<LogsDialog>>,
    consoles: HashMap<Uuid, Controller<ConsoleWindow>>,
    menus: Menus,
    /// Machines whose engine we listen to, and what it said about its end.
    watched: HashMap<Uuid, Option<Ending>>,
    /// Machines that were deleted a moment ago.
    discarded: HashMap<Uuid, Discarded>,
    /// Machines that this window is turning off.
    turning_off: HashSet<Uuid>,
    /// Why there is no list.
    unreadable: String,
    /// A list is being made; it will be out of date.
    listing: bool,
    stale: bool,
    actions: Vec<(gio::SimpleAction, Needs)>,
    /// Machines that the person chooses to do one thing with; none while they do not choose.
    chosen: Option<Vec<Uuid>>,
    chosen_actions: ChosenActions,
    /// Machines that do now what several do.
    together: HashSet<Uuid>,
    /// They tell of machines that cannot be used: where there are no others, and above the list.
    banners: [adw::Banner; 2],
    /// Folders that are watched, as long as these live.
    _monitors: Vec<gio::FileMonitor>,
    /// The main loop calls for pictures.
    pictures: Option<glib::SourceId>,
    /// Machines whose pictures are being taken; those in the list that have one; and whose turn it is.
    picturing: HashSet<Uuid>,
    pictured: HashSet<Uuid>,
    turn: usize,
    /// Machines whose disks failed, as the person was told.
    noticed: HashSet<Uuid>,
    /// A machine to show once the library has been looked at.
    wanted: Option<Uuid>,
    /// USB devices that are plugged in; none before anybody has looked.
    usb: Option<Vec<Device>>,
    /// The machine that is being moved.
    moving: Option<Moving>,
    /// The header bar over the list has room for few buttons.
    narrow: bool,
    /// None before there are widgets.
    shape: Option<Rc<Shape>>,
}

#[relm4::component(pub(crate))]
impl Component for Window {
    type Init = ();
    type Input = WindowMsg;
    type Output = ();
    type CommandOutput = Found;

    view! {
        #[root]
        adw::ApplicationWindow {
            set_title: Some("Dormer"),
            set_icon_name: Some(crate::config::APP_ID),
            set_default_size: (960, 680),
            set_size_request: (360, 294),
            connect_close_request[sender] => move |_| {
                sender.input(WindowMsg::Close);
                glib::Propagation::Stop
            },
            // Somebody may have changed a machine's file meanwhile.
            connect_is_active_notify[sender] => move |window| {
                if window.is_active() {
                    sender.input(WindowMsg::Refresh);
                }
            },

            #[name = "toasts"]
            adw::ToastOverlay {
                #[name = "stack"]
                gtk::Stack {
                    set_transition_type: gtk::StackTransitionType::Crossfade,

                    add_named[Some("looking")] = &adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {},
                        adw::Spinner {
                            set_size_request: (48, 48),
                            set_halign: gtk::Align::Center,
                            set_valign: gtk::Align::Center,
                        },
                    },
                    add_named[Some("unreadable")] = &adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {},
                        adw::StatusPage {
                            set_icon_name: Some("dialog-warning-symbolic"),
                            set_title: &gettext("The Machines Cannot Be Listed"),
                            #[watch]
                            set_description: Some(&glib::markup_escape_text(&model.unreadable)),

                            gtk::Button {
                                set_label: &gettext("_Try Again"),
                                set_use_underline: true,
                                set_halign: gtk::Align::Center,
                                add_css_class: "pill",
                                add_css_class: "suggested-action",
                                connect_clicked => WindowMsg::Refresh,
                            },
                        },
                    },
                    add_named[Some("empty")] = &adw::ToolbarView {
                        add_top_bar = &adw::HeaderBar {
                            set_show_title: false,
                            pack_end = &gtk::MenuButton {
                                set_icon_name: "open-menu-symbolic",
                                set_tooltip_text: Some(&gettext("Main Menu")),
                                set_menu_model: Some(&commands::primary_menu()),
                                set_primary: true,
                            },
                        },
                        add_top_bar = &adw::Banner {
                            #[watch]
                            set_title: &reasons::kvm(&model.kvm),
                            #[watch]
                            set_revealed: model.kvm != KvmState::Ready,
                            set_button_label: Some(&gettext("What to Do")),
                            set_action_name: Some("win.kvm-advice"),
                        },
                        add_top_bar: &model.banners[0],
                        adw::StatusPage {
                            set_icon_name: Some(crate::config::APP_ID),
                            set_title: &gettext("No Machines Yet"),
                            set_description: Some(&gettext("A machine is a computer within this one, with a system of its own. All you need is the system’s installer.")),

                            #[name = "first"]
                            gtk::Button {
                                set_label: &gettext("_New Machine…"),
                                set_use_underline: true,
                                set_halign: gtk::Align::Center,
                                add_css_class: "pill",
                                add_css_class: "suggested-action",
                                set_action_name: Some("win.new"),
                            },
                        },
                    },
                    #[name = "split"]
                    add_named[Some("machines")] = &adw::NavigationSplitView {
                        set_min_sidebar_width: 276.0,
                        #[wrap(Some)]
                        set_sidebar = &adw::NavigationPage {
                            #[watch]
                            set_title: &model.list_title(),
                            set_tag: Some("list"),
                            add_controller: chosen::keys(),

                            adw::ToolbarView {
                                add_top_bar = &adw::HeaderBar {
                                    pack_start = &gtk::Button {
                                        set_icon_name: "list-add-symbolic",
                                        set_tooltip_text: Some(&gettext("New Machine…")),
                                        set_action_name: Some("win.new"),
                                        #[watch]
                                        set_visible: model.chosen.is_none(),
                                    },
                                    pack_start = &gtk::Button {
                                        set_label: &gettext("_Cancel"),
                                        set_use_underline: true,
                                        set_action_name: Some("win.end-selection"),
                                        #[watch]
                                        set_visible: model.chosen.is_some(),
                                    },
                                    pack_end = &gtk::MenuButton {
                                        set_icon_name: "open-menu-symbolic",
                                        set_tooltip_text: Some(&gettext("Main Menu")),
                                        set_menu_model: Some(&commands::list_menu()),
                                        set_primary: true,
                                        #[watch]
                                        set_visible: model.chosen.is_none(),
                                    },
                                    #[name = "search"]
                                    pack_end = &gtk::ToggleButton {
                                        set_icon_name: "system-search-symbolic",
                                        set_tooltip_text: Some(&gettext("Search Machines (Ctrl+F)")),
                                        // While several are chosen, how many there are has its room.
                                        #[watch]
                                        set_visible: model.chosen.is_none(),
                                    },
                                    pack_end = &gtk::Button {
                                        set_icon_name: "selection-mode-symbolic",
                                        set_tooltip_text: Some(&gettext("Select Machines")),
                                        set_action_name: Some("win.select"),
                                        // The menu has it too.
                                        #[watch]
                                        set_visible: model.chosen.is_none() && !model.narrow,
                                    },
                                },
                                add_top_bar: &model.banners[1],
                                #[wrap(Some)]
                                set_content = model.list.widget(),
                                add_bottom_bar: &chosen::bar(),
                                #[watch]
                                set_reveal_bottom_bars: model.chosen.is_some(),
                            },
                        },
                        set_content: Some(model.page.widget()),
                    },
                },
            },
        }
    }

    fn init(_: (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let (sort, view) = (SortBy::remembered(), ViewAs::remembered());
        let list = MachineList::builder().launch((sort, view)).forward(sender.input_sender(), |output| match output {
            ListOutput::Selected(uuid) => WindowMsg::Select(uuid),
            ListOutput::Activated(uuid) => WindowMsg::Activate(uuid),
            ListOutput::Chosen(chosen) => WindowMsg::Chosen(chosen),
            ListOutput::Grouped(machines, group) => WindowMsg::SetGroup(machines, group),
        });
        let page = MachinePage::builder().launch(()).detach();
        let mut model = Self {
            machines: Machines::default(),
            selected: None,
            kvm: KvmState::Ready,
            list,
            page,
            dialog: None,
            settings: None,
            names: HashMap::new(),
            logs: HashMap::new(),
            consoles: HashMap::new(),
            menus: Menus::new(),
            watched: HashMap::new(),
            discarded: HashMap::new(),
            turning_off: HashSet::new(),
            unreadable: String::new(),
            listing: false,
            stale: false,
            actions: commands::add(&root, &sender, sort, view),
            chosen: None,
            chosen_actions: chosen::add(&root, &sender),
            together: HashSet::new(),
            banners: [broken::banner(), broken::banner()],
            _monitors: monitors(&sender),
            pictures: None,
            picturing: HashSet::new(),
            pictured: HashSet::new(),
            turn: 0,
            noticed: HashSet::new(),
            wanted: None,
            usb: None,
            moving: None,
            narrow: false,
            shape: None,
        };
        let widgets = view_output!();
        let input = sender.input_sender().clone();
        let told = move |narrow| input.emit(WindowMsg::Narrow(narrow));
        model.shape = Some(Shape::new(&root, &widgets.split, view, told));
        let input = sender.input_sender().clone();
        let search_bar = MachineList::search_bar(&model.list);
        search_bar.set_key_capture_widget(Some(&widgets.split));
        search_bar
            .bind_property("search-mode-enabled", &widgets.search, "active")
            .bidirectional()
            .sync_create()
            .build();
        dropped::take(&widgets.toasts, move |path| input.emit(WindowMsg::OpenFile(path)));
        sender.input(WindowMsg::Refresh);
        sender.spawn_oneshot_command(|| Found::Deleted(machines::sweep().map_err(|error| reason(&error))));
        sender.spawn_oneshot_command(|| Found::Kvm(library::kvm::check()));
        sender.spawn_oneshot_command(|| Found::Names(machines::system_names()));
        usb::watch(&sender);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: WindowMsg,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            WindowMsg::Refresh => self.refresh(&sender),
            WindowMsg::Select(uuid) => {
                self.selected = Some(uuid);
                self.show_selected(&sender);
            }
            WindowMsg::Activate(uuid) => {
                sender.input(WindowMsg::Select(uuid));
                widgets.split.set_show_content(true);
            }
            WindowMsg::New(image) => self.open_dialog(image, &sender, root),
            WindowMsg::Created(uuid) => {
                self.selected = Some(uuid);
                widgets.split.set_show_content(true);
                self.refresh(&sender);
                sender.input(WindowMsg::Do(uuid, Order::Start));
            }
            WindowMsg::DialogClosed => self.dialog = None,
            WindowMsg::Settings => self.open_settings(&sender, root),
            WindowMsg::SettingsClosed => self.settings = None,
            WindowMsg::Open(uuid) => {
                if let Some(uuid) = uuid.or(self.selected) {
                    self.open(uuid, &sender);
                }
            }
            WindowMsg::Connect(uuid) => self.connect_again(uuid, &sender),
            WindowMsg::AskSelected(order) => self.ask(order, &sender, root),
            WindowMsg::Rename => self.ask_name(&sender, root, widgets),
            WindowMsg::AskGroup => self.selected.iter().for_each(|uuid| self.ask_group(&[*uuid], &sender, root)),
            WindowMsg::AskPlace => self.ask_place(&sender, root, widgets),
            WindowMsg::MoveTo(place) => self.move_to(place, &sender, root, widgets),
            WindowMsg::Delete => self.selected.iter().for_each(|uuid| self.ask_deletion(vec![*uuid], &sender)),
            WindowMsg::Undelete(machines) => self.undelete(&machines, &sender),
            WindowMsg::FinishDeletion(machines) => self.finish_deletion(&machines, &sender),
            WindowMsg::Do(uuid, order) => self.carry_out(uuid, order, &sender),
            WindowMsg::DoTogether(machines, order) => self.do_together(machines, &order, &sender),
            WindowMsg::Choosing(on) => {
                widgets.split.set_show_content(false);
                tell(&self.list, ListMsg::Choosing(on));
            }
            WindowMsg::Narrow(narrow) => self.narrow = narrow,
            WindowMsg::ChooseAll => tell(&self.list, ListMsg::ChooseAll),
            WindowMsg::Chosen(chosen) => self.choose(chosen),
            WindowMsg::DoWithChosen(task) => self.do_with_chosen(task, &sender, root),
            WindowMsg::SetGroup(machines, group) => self.set_group(machines, group.as_deref(), &sender),
            WindowMsg::ConsoleClosed(uuid) => self.close_console(uuid, root, widgets),
            WindowMsg::Picture(uuid, picture) => self.show_picture(uuid, picture),
            WindowMsg::TakePictures => self.take_pictures(&sender, root),
            WindowMsg::OpenFile(path) if machines::is_machine_file(&path) => {
                sender.spawn_oneshot_command(move || {
                    Found::File(machines::find_file(&path).map_err(|error| reason(&error)))
                });
            }
            WindowMsg::OpenFile(path) => self.open_dialog(Some(path), &sender, root),
            WindowMsg::ShowMachine(uuid) => self.show_machine(uuid, &sender, widgets),
            WindowMsg::KvmAdvice => advice::present(&self.kvm, root),
            WindowMsg::ShowBroken => broken::present(&self.machines.broken, root),
            WindowMsg::ShowLog(uuid) => self.show_logs(uuid, &sender, root),
            WindowMsg::LogsClosed(uuid) => drop(self.logs.remove(&uuid)),
            WindowMsg::Serial => self.open_serial(),
            WindowMsg::OpenFolder => self.open_folder(&sender, root),
            WindowMsg::Say(uuid, text) => self.say(uuid, &text, widgets),
            WindowMsg::ConnectUsb(uuid, port) => self.connect_usb(uuid, &port, &sender),
            WindowMsg::Present => root.present(),
            WindowMsg::Close => {
                // Consoles stay; the last window to go ends the app.
                if is_last(root) {
                    self.quit(root);
                } else {
                    root.set_visible(false);
                }
            }
            WindowMsg::Quit => self.quit(root),
            WindowMsg::Help => help::present(root),
            WindowMsg::About => about::present(root),
            WindowMsg::Shortcuts => shortcuts::present(root),
            WindowMsg::Search => {
                widgets.split.set_show_content(false);
                tell(&self.list, ListMsg::BeginSearch);
            }
            WindowMsg::Sort(sort) => {
                sort.remember();
                tell(&self.list, ListMsg::Sort(sort));
            }
            WindowMsg::View(view) => {
                view.remember();
                self.shape.iter().for_each(|shape| shape.set_view(view));
                tell(&self.list, ListMsg::View(view));
            }
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
            Found::Machines(machines) => {
                self.listing = false;
                match machines {
                    Ok(machines) => self.show_machines(machines, &sender, widgets),
                    Err(error) => {
                        self.unreadable = reason(&error);
                        widgets.stack.set_visible_child_name("unreadable");
                    }
                }
                if std::mem::take(&mut self.stale) {
                    self.refresh(&sender);
                }
            }
            Found::Names(names) => {
                tell(&self.page, PageMsg::Names(names.clone()));
                self.names = names;
            }
            Found::Kvm(state) => {
                tell(&self.page, PageMsg::Kvm(state.clone()));
                self.kvm = state;
            }
            Found::Done(uuid, order, result) => self.done(uuid, &order, result, &sender, widgets),
            Found::Console(uuid, result) => {
                if let Some(console) = self.consoles.get(&uuid) {
                    tell(
                        console,
                        match result {
                            Ok(screen) => ConsoleMsg::Attach(screen),
                            Err(why) => ConsoleMsg::End(Ending::Disconnected(why)),
                        },
                    );
                }
            }
            Found::Off(uuid) => sender.input(WindowMsg::Do(uuid, Order::Start)),
            Found::Happened(uuid, happening) => self.happened(uuid, happening, &sender),
            Found::UsbDevices(devices) => self.plugged(devices, &sender, widgets),
            Found::UsbConnected(uuid, result) => self.usb_connected(uuid, result, widgets),
            Found::Moving(part) => self.moving.iter().for_each(|moving| moving.show(part)),
            Found::Moved(uuid, result) => self.moved(uuid, result, &sender, widgets),
            Found::Losses(losses) => self.confirm_deletion(losses, &sender, widgets),
            Found::Discarded(results) => self.discarded(results, &sender, widgets),
            Found::Restored(Ok(uuid)) => {
                self.selected = Some(uuid);
                self.refresh(&sender);
            }
            Found::Restored(Err(why)) | Found::Deleted(Err(why)) => toast(&widgets.toasts, &words::sentence(&why)),
            Found::Deleted(Ok(())) => {}
            Found::File(Ok(uuid)) => sender.input(WindowMsg::ShowMachine(uuid)),
            Found::File(Err(why)) => ask::tell(root, &gettext("The Machine Cannot Be Opened"), &words::sentence(&why)),
            Found::Picture(uuid, picture, small) => self.pictured(uuid, picture, small),
        }
        self.update_view(widgets, sender);
    }

    fn shutdown(&mut self, _widgets: &mut Self::Widgets, _output: relm4::Sender<()>) {
        self.finish_all_deletions();
        self.moving.take().into_iter().for_each(Moving::stop_now);
    }
}

impl Window {
    fn summary(&self, uuid: Uuid) -> Option<&Summary> {
        self.machines.all.iter().find(|machine| machine.uuid() == uuid)
    }

    fn refresh(&mut self, sender: &ComponentSender<Self>) {
        if std::mem::replace(&mut self.listing, true) {
            self.stale = true;
        } else {
            sender.spawn_oneshot_command(|| Found::Machines(machines::list()));
        }
    }
}

/// Tells a child something. While the app ends, children go before their parent; then nobody needs to know.
fn tell<C: Component>(child: &Controller<C>, message: C::Input) {
    drop(child.sender().send(message));
}

fn toast(toasts: &adw::ToastOverlay, text: &str) {
    toasts.add_toast(adw::Toast::new(&glib::markup_escape_text(text)));
}
