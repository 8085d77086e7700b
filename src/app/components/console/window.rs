//! The console: the window around a machine's screen.

use std::rc::Rc;

use adw::prelude::*;
use console::Console;
use gtk::{gdk, gio, glib};
use library::State;
use relm4::prelude::*;

use super::display::Display;
use super::ending::Ending;
use super::send_keys;
use crate::actions;
use crate::components::ask;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{Order, Summary};
use crate::words;

/// The window never takes more of a monitor than this.
const MONITOR_PART: f64 = 0.9;
/// How near the top edge the pointer shows the header bar in full screen.
const EDGE: f64 = 2.0;

/// The console.
pub(crate) struct ConsoleWindow {
    summary: Summary,
    phase: Phase,
    fullscreen: bool,
    captured: bool,
    /// The guest shows a picture.
    picture: bool,
    actions: Actions,
}

/// What the window shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The engine is being started or connected to.
    Starting,
    /// The screen.
    Live,
    /// Why there is no screen any more.
    Ended(Ending),
}

/// What the console is told.
#[derive(Debug)]
pub(crate) enum ConsoleMsg {
    /// The machine is being started (again).
    Starting,
    /// Show this screen.
    Attach(Box<Console>),
    /// The machine, as it is now.
    Show(Summary),
    /// There is no screen any more.
    End(Ending),
    /// Come to the front.
    Present,
    /// Say this for a moment.
    Toast(String),
    /// The display lost its connection.
    Lost(String),
    /// The guest's screen has this size.
    PictureSize(u32, u32),
    /// The pointer is captured, or not.
    Captured(bool),
    /// The window is in full screen, or not.
    Fullscreen(bool),
    /// The person asks this of the machine.
    Ask(Order),
    /// The person picks an image for the CD drive.
    PickCd,
    /// The person closes the window.
    Close,
}

/// What the console tells.
#[derive(Debug)]
pub(crate) enum ConsoleOutput {
    /// The person asks this of the machine.
    Order(Order),
    /// Connect again.
    Connect,
    /// Show the machine's log.
    ShowLog,
    /// The screen as it was last, for the machine's page.
    Picture(Option<gdk::Texture>),
    /// The window is closed.
    Closed,
}

/// Actions that are not always there.
struct Actions {
    live: Vec<gio::SimpleAction>,
    pause: gio::SimpleAction,
}

#[relm4::component(pub(crate))]
impl Component for ConsoleWindow {
    type Init = Summary;
    type Input = ConsoleMsg;
    type Output = ConsoleOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::ApplicationWindow {
            set_default_size: (1024, 814),
            set_size_request: (360, 294),
            set_icon_name: Some(crate::config::APP_ID),
            #[watch]
            set_title: Some(model.summary.name()),
            connect_close_request[sender] => move |_| {
                sender.input(ConsoleMsg::Close);
                glib::Propagation::Stop
            },
            connect_fullscreened_notify[sender] => move |window| {
                sender.input(ConsoleMsg::Fullscreen(window.is_fullscreen()));
            },
            connect_is_active_notify[display] => move |window| {
                if !window.is_active() {
                    display.release_keys();
                    display.release_pointer();
                }
            },

            #[name = "toasts"]
            adw::ToastOverlay {
                #[name = "toolbars"]
                adw::ToolbarView {
                    #[watch]
                    set_extend_content_to_top_edge: model.fullscreen,

                    #[name = "header"]
                    add_top_bar = &adw::HeaderBar {
                        #[wrap(Some)]
                        set_title_widget = &adw::WindowTitle {
                            #[watch]
                            set_title: model.summary.name(),
                            #[watch]
                            set_subtitle: &model.subtitle(),
                        },
                        pack_start = &gtk::ToggleButton {
                            set_icon_name: "media-playback-pause-symbolic",
                            set_action_name: Some("win.pause"),
                            #[watch]
                            set_tooltip_text: Some(&model.pause_tooltip()),
                            #[watch]
                            set_visible: model.phase == Phase::Live,
                        },
                        #[name = "menu_button"]
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "view-more-symbolic",
                            set_tooltip_text: Some(&gettext("Machine Menu")),
                            set_menu_model: Some(&menu()),
                        },
                        pack_end = &gtk::Button {
                            #[watch]
                            set_icon_name: if model.fullscreen { "view-restore-symbolic" } else { "view-fullscreen-symbolic" },
                            #[watch]
                            set_tooltip_text: Some(&model.fullscreen_tooltip()),
                            set_action_name: Some("win.fullscreen"),
                        },
                        #[name = "keys_button"]
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "input-keyboard-symbolic",
                            set_tooltip_text: Some(&gettext("Send Keys")),
                            set_menu_model: Some(&send_keys::menu()),
                            #[watch]
                            set_visible: model.phase == Phase::Live,
                        },
                    },

                    #[name = "stack"]
                    gtk::Stack {
                        set_transition_type: gtk::StackTransitionType::Crossfade,

                        add_named[Some("starting")] = &adw::StatusPage {
                            #[watch]
                            set_title: &gettext_f("Starting “{name}”", &[("name", model.summary.name())]),
                            set_paintable: Some(&spinner),
                        },
                        add_named[Some("live")] = &gtk::Overlay {
                            #[local_ref]
                            display -> Display {
                                #[watch]
                                update_property: &[gtk::accessible::Property::Label(
                                    &gettext_f("Screen of {name}", &[("name", model.summary.name())])
                                )],
                            },
                            add_overlay = &gtk::Label {
                                set_label: &gettext("The machine shows no picture"),
                                set_can_target: false,
                                add_css_class: "osd",
                                add_css_class: "screen-message",
                                set_halign: gtk::Align::Center,
                                set_valign: gtk::Align::Center,
                                #[watch]
                                set_visible: !model.picture && !model.summary.is_paused(),
                            },
                            add_overlay = &gtk::Box {
                                add_css_class: "osd",
                                add_css_class: "screen-message",
                                set_spacing: 12,
                                set_halign: gtk::Align::Center,
                                set_valign: gtk::Align::Center,
                                #[watch]
                                set_visible: model.summary.is_paused(),

                                gtk::Label {
                                    #[watch]
                                    set_label: &words::state(model.summary.state),
                                    add_css_class: "heading",
                                },
                                gtk::Button {
                                    set_label: &gettext("Resume"),
                                    add_css_class: "pill",
                                    connect_clicked => ConsoleMsg::Ask(Order::Resume),
                                },
                            },
                            add_overlay = &gtk::Box {
                                add_css_class: "osd",
                                add_css_class: "screen-message",
                                set_spacing: 12,
                                set_margin_top: 12,
                                set_halign: gtk::Align::Center,
                                set_valign: gtk::Align::Start,
                                set_can_target: false,
                                #[watch]
                                set_visible: model.captured,

                                gtk::Label {
                                    set_margin_end: 12,
                                    set_label: &gettext("Press Ctrl+Alt+G to release the pointer"),
                                },
                            },
                        },
                        add_named[Some("ended")] = &adw::StatusPage {
                            #[watch]
                            set_icon_name: Some(&model.ending(|ending| ending.icon().into())),
                            #[watch]
                            set_title: &model.ending(|ending| ending.title(model.summary.name())),
                            #[watch]
                            set_description: Some(&glib::markup_escape_text(&model.ending(|ending| ending.text(model.summary.name())))),

                            gtk::Box {
                                set_orientation: gtk::Orientation::Vertical,
                                set_spacing: 12,
                                set_halign: gtk::Align::Center,

                                #[name = "again"]
                                gtk::Button {
                                    #[watch]
                                    set_label: &model.ending(Ending::again),
                                    add_css_class: "pill",
                                    add_css_class: "suggested-action",
                                    set_action_name: Some("win.start-again"),
                                },
                                gtk::Button {
                                    set_label: &gettext("Show Log"),
                                    add_css_class: "pill",
                                    set_action_name: Some("win.show-log"),
                                    #[watch]
                                    set_visible: model.phase == Phase::Ended(Ending::Died),
                                },
                                gtk::Button {
                                    set_label: &gettext("Close"),
                                    add_css_class: "pill",
                                    set_action_name: Some("window.close"),
                                },
                            },
                        },
                    },
                },
            },
        }
    }

    fn init(summary: Summary, root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let display = Display::default();
        let spinner = adw::SpinnerPaintable::new(Some(&display));
        let actions = Actions::new(&root, &display, &sender);
        let model =
            Self { summary, phase: Phase::Starting, fullscreen: false, captured: false, picture: false, actions };
        let widgets = view_output!();
        Self::listen(&root, &widgets, &display, &sender);
        model.set_actions();
        relm4::main_application().add_window(&root);
        root.present();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: ConsoleMsg,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            ConsoleMsg::Starting => self.phase = Phase::Starting,
            ConsoleMsg::Attach(console) => {
                widgets.display.attach(*console);
                self.phase = Phase::Live;
            }
            ConsoleMsg::Show(summary) => self.summary = summary,
            ConsoleMsg::End(ending) => {
                widgets.display.detach();
                // The first word is the truest: a lost connection follows from every other ending.
                if !matches!(self.phase, Phase::Ended(_)) || !matches!(ending, Ending::Disconnected(_)) {
                    self.phase = Phase::Ended(ending);
                }
            }
            ConsoleMsg::Lost(why) => sender.input(ConsoleMsg::End(Ending::Disconnected(why))),
            ConsoleMsg::Present => root.present(),
            ConsoleMsg::Toast(text) => toast(&widgets.toasts, &text),
            ConsoleMsg::PictureSize(width, height) => {
                self.picture = (width, height) != (0, 0);
                grow(root, &widgets.display, (width, height));
            }
            ConsoleMsg::Captured(captured) => self.captured = captured,
            ConsoleMsg::Fullscreen(fullscreen) => {
                self.fullscreen = fullscreen;
                widgets.toolbars.set_reveal_top_bars(!fullscreen);
                if fullscreen {
                    toast(
                        &widgets.toasts,
                        &gettext("Press F11 or move the pointer to the top edge to leave full screen"),
                    );
                }
            }
            ConsoleMsg::Ask(order) => self.ask(order, &sender, root),
            ConsoleMsg::PickCd => pick_cd(root, &sender),
            ConsoleMsg::Close => {
                tell(&sender, ConsoleOutput::Picture(widgets.display.texture()));
                widgets.display.detach();
                tell(&sender, ConsoleOutput::Closed);
            }
        }
        self.set_actions();
        let page = match self.phase {
            Phase::Starting => "starting",
            Phase::Live => "live",
            Phase::Ended(_) => "ended",
        };
        let changed = widgets.stack.visible_child_name().as_deref() != Some(page);
        self.update_view(widgets, sender);
        if changed {
            widgets.stack.set_visible_child_name(page);
            match self.phase {
                Phase::Live => widgets.display.grab_focus(),
                Phase::Ended(_) => widgets.again.grab_focus(),
                Phase::Starting => false,
            };
        }
    }
}

impl Actions {
    fn new(root: &adw::ApplicationWindow, display: &Display, sender: &ComponentSender<ConsoleWindow>) -> Self {
        let ask = |order: Order| {
            let sender = sender.clone();
            move || sender.input(ConsoleMsg::Ask(order.clone()))
        };
        let pause = actions::switch(root, "pause", {
            let sender = sender.clone();
            move |_, on| sender.input(ConsoleMsg::Ask(if on { Order::Pause } else { Order::Resume }))
        });
        let weak = display.downgrade();
        let keys = actions::with_text(root, "send-keys", move |text| {
            if let (Some(display), Some(codes)) = (weak.upgrade(), send_keys::parse(text)) {
                display.chord(&codes);
                display.grab_focus();
            }
        });
        let weak = root.downgrade();
        let grab = actions::switch(root, "grab-keyboard", move |action, on| {
            if let Some(window) = weak.upgrade() {
                inhibit_shortcuts(&window, on);
                action.set_state(&on.to_variant());
            }
        });
        let weak = root.downgrade();
        actions::plain(root, "fullscreen", move || {
            if let Some(window) = weak.upgrade() {
                window.set_fullscreened(!window.is_fullscreen());
            }
        });
        let pick = sender.clone();
        let live = vec![
            pause.clone(),
            keys,
            grab,
            actions::plain(root, "reset", ask(Order::Reset)),
            actions::plain(root, "power-button", ask(Order::PowerButton)),
            actions::plain(root, "power-off", ask(Order::PowerOff)),
            actions::plain(root, "insert-cd", move || pick.input(ConsoleMsg::PickCd)),
            actions::plain(root, "eject-cd", ask(Order::EjectCd)),
        ];
        let insert = sender.clone();
        actions::with_text(root, "insert-cd-file", move |path| {
            insert.input(ConsoleMsg::Ask(Order::InsertCd(path.into())));
        });
        actions::plain(root, "start-again", ask(Order::Start));
        let log = sender.clone();
        actions::plain(root, "show-log", move || tell(&log, ConsoleOutput::ShowLog));
        Self { live, pause }
    }
}

impl ConsoleWindow {
    /// What widgets tell the component.
    fn listen(
        root: &adw::ApplicationWindow,
        widgets: &ConsoleWindowWidgets,
        display: &Display,
        sender: &ComponentSender<Self>,
    ) {
        let input = sender.input_sender().clone();
        display.connect_closure(
            "ended",
            false,
            glib::closure_local!(move |_: Display, why: String| input.emit(ConsoleMsg::Lost(why))),
        );
        let input = sender.input_sender().clone();
        display.connect_closure(
            "picture-size",
            false,
            glib::closure_local!(move |_: Display, width: u32, height: u32| {
                input.emit(ConsoleMsg::PictureSize(width, height));
            }),
        );
        let input = sender.input_sender().clone();
        display.connect_closure(
            "captured",
            false,
            glib::closure_local!(move |_: Display, captured: bool| input.emit(ConsoleMsg::Captured(captured))),
        );

        // In full screen the header bar comes when the pointer touches the top edge, and goes when it leaves.
        let motion = gtk::EventControllerMotion::new();
        motion.set_propagation_phase(gtk::PropagationPhase::Capture);
        let (toolbars, header) = (widgets.toolbars.downgrade(), widgets.header.downgrade());
        let menus: Rc<[glib::WeakRef<gtk::MenuButton>]> =
            Rc::new([widgets.menu_button.downgrade(), widgets.keys_button.downgrade()]);
        let open = {
            let menus = Rc::clone(&menus);
            move || menus.iter().filter_map(glib::WeakRef::upgrade).any(|menu| menu.is_active())
        };
        let window = root.downgrade();
        motion.connect_motion(move |_, _, y| {
            let (Some(toolbars), Some(header), Some(root)) = (toolbars.upgrade(), header.upgrade(), window.upgrade())
            else {
                return;
            };
            if !root.is_fullscreen() {
                return;
            }
            if y <= EDGE {
                toolbars.set_reveal_top_bars(true);
            } else if y > f64::from(header.height()) * 1.5 && !open() {
                toolbars.set_reveal_top_bars(false);
            }
        });
        widgets.toolbars.add_controller(motion);

        // A menu that closes gives the keyboard back to the machine.
        for menu in menus.iter().filter_map(glib::WeakRef::upgrade) {
            let weak = display.downgrade();
            menu.connect_active_notify(move |menu| {
                let weak = weak.clone();
                if !menu.is_active() {
                    // Once the menu itself has given the focus back to its button.
                    glib::idle_add_local_once(move || {
                        if let Some(display) = weak.upgrade() {
                            display.grab_focus();
                        }
                    });
                }
            });
        }

        // The way out for the keyboard: pointer and shortcuts are the desktop's again, and the focus is in the header bar.
        let (weak, toolbars, menu) =
            (display.downgrade(), widgets.toolbars.downgrade(), widgets.menu_button.downgrade());
        let window = root.downgrade();
        actions::plain(root, "release-input", move || {
            let (Some(display), Some(toolbars), Some(menu)) = (weak.upgrade(), toolbars.upgrade(), menu.upgrade())
            else {
                return;
            };
            let captured = display.is_captured();
            display.release_pointer();
            display.release_keys();
            if let Some(root) = window.upgrade() {
                root.change_action_state("grab-keyboard", &false.to_variant());
            }
            if !captured {
                toolbars.set_reveal_top_bars(true);
                menu.grab_focus();
            }
        });
    }

    /// Actions follow the machine.
    fn set_actions(&self) {
        for action in &self.actions.live {
            action.set_enabled(self.phase == Phase::Live);
        }
        self.actions.pause.set_state(&self.summary.is_paused().to_variant());
    }

    /// Passes an order on, after a question when something may be lost.
    fn ask(&self, order: Order, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let pass = {
            let (sender, order) = (sender.clone(), order.clone());
            move || tell(&sender, ConsoleOutput::Order(order))
        };
        match &order {
            Order::Start if matches!(self.phase, Phase::Ended(Ending::Disconnected(_))) => {
                tell(sender, ConsoleOutput::Connect);
            }
            Order::Reset | Order::PowerOff => {
                ask::before(
                    root,
                    (&words::question(&order, self.summary.name()), &words::loss(), &words::verb(&order)),
                    pass,
                );
            }
            _ => pass(),
        }
    }

    fn subtitle(&self) -> String {
        match self.phase {
            Phase::Live if matches!(self.summary.state, State::Live(api::control::RunState::Running, _)) => {
                String::new()
            }
            Phase::Live => words::state(self.summary.state),
            Phase::Starting => gettext("Starting"),
            Phase::Ended(Ending::Disconnected(_)) => gettext("Disconnected"),
            Phase::Ended(_) => gettext("Off"),
        }
    }

    fn pause_tooltip(&self) -> String {
        if self.summary.is_paused() { gettext("Resume") } else { gettext("Pause") }
    }

    fn fullscreen_tooltip(&self) -> String {
        if self.fullscreen { gettext("Leave Full Screen (F11)") } else { gettext("Full Screen (F11)") }
    }

    /// Something about the ending, if it has come.
    fn ending(&self, say: impl Fn(&Ending) -> String) -> String {
        match &self.phase {
            Phase::Ended(ending) => say(ending),
            Phase::Starting | Phase::Live => String::new(),
        }
    }
}

fn tell(sender: &ComponentSender<ConsoleWindow>, output: ConsoleOutput) {
    // The main window is gone when the app ends: then nobody needs to know.
    drop(sender.output(output));
}

fn toast(toasts: &adw::ToastOverlay, text: &str) {
    let toast = adw::Toast::new(&glib::markup_escape_text(text));
    toast.set_timeout(4);
    toasts.add_toast(toast);
}

/// Makes the window larger when the guest's screen does not fit. It never shrinks by itself.
fn grow(window: &adw::ApplicationWindow, display: &Display, picture: (u32, u32)) {
    if window.is_maximized() || window.is_fullscreen() || picture == (0, 0) {
        return;
    }
    let Some(surface) = window.surface() else { return };
    let scale = surface.scale();
    let wanted = |pixels: u32| (f64::from(pixels) / scale).ceil() as i32;
    let most = gtk::prelude::WidgetExt::display(window).monitor_at_surface(&surface).map(|monitor| monitor.geometry());
    let limit =
        |length: i32, all: Option<i32>| all.map_or(length, |all| length.min((f64::from(all) * MONITOR_PART) as i32));
    let missing = (wanted(picture.0) - display.width(), wanted(picture.1) - display.height());
    if missing.0 <= 0 && missing.1 <= 0 {
        return;
    }
    // The default size is the present one, with what decorations need.
    let (width, height) = window.default_size();
    let more = |length: i32, missing: i32, all: Option<i32>| limit(length + missing.max(0), all).max(length);
    window.set_default_size(
        more(width, missing.0, most.map(|area| area.width())),
        more(height, missing.1, most.map(|area| area.height())),
    );
}

/// Asks the desktop to leave its own shortcuts to the guest; it may refuse.
fn inhibit_shortcuts(window: &adw::ApplicationWindow, on: bool) {
    let Some(toplevel) = window.surface().and_downcast::<gdk::Toplevel>() else { return };
    if on {
        toplevel.inhibit_system_shortcuts(None::<&gdk::Event>);
    } else {
        toplevel.restore_system_shortcuts();
    }
}

fn pick_cd(root: &adw::ApplicationWindow, sender: &ComponentSender<ConsoleWindow>) {
    let dialog = gtk::FileDialog::builder().title(gettext("Insert a CD")).modal(true).build();
    let sender = sender.clone();
    dialog.open(Some(root), None::<&gio::Cancellable>, move |picked| {
        if let Some(path) = picked.ok().and_then(|file| file.path()) {
            sender.input(ConsoleMsg::Ask(Order::InsertCd(path)));
        }
    });
}

fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::section(&menu, &[(gettext("_Insert CD…"), "win.insert-cd"), (gettext("_Eject CD"), "win.eject-cd")]);
    actions::section(&menu, &[(gettext("Keep Desktop _Shortcuts for the Machine"), "win.grab-keyboard")]);
    actions::section(
        &menu,
        &[
            (gettext("Press Power _Button"), "win.power-button"),
            (gettext("_Reset…"), "win.reset"),
            (gettext("Power _Off…"), "win.power-off"),
        ],
    );
    menu
}
