//! The console: the window around a machine's screen.

use adw::prelude::*;
use console::Console;
use gtk::{gdk, glib};
use library::State;
use relm4::prelude::*;

use super::commands::{self, Actions};
use super::display::Display;
use super::ending::Ending;
use super::{fullscreen, room, send_keys};
use crate::components::{ask, dropped};
use crate::i18n::{gettext, gettext_f};
use crate::machines::{Order, Summary};
use crate::words;

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
    /// Say this at once, in place of what is being said.
    Warn(String),
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
                    // Over the screen's picture it needs a ground of its own.
                    #[watch]
                    set_top_bar_style: if model.fullscreen { adw::ToolbarStyle::Raised } else { adw::ToolbarStyle::Flat },

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
                            set_menu_model: Some(&commands::menu()),
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
                                set_wrap: true,
                                set_justify: gtk::Justification::Center,
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
                                    set_wrap: true,
                                    set_justify: gtk::Justification::Center,
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
        model.follow();
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
            ConsoleMsg::Warn(text) => {
                widgets.toasts.dismiss_all();
                toast(&widgets.toasts, &text);
            }
            ConsoleMsg::PictureSize(width, height) => {
                self.picture = (width, height) != (0, 0);
                room::grow(root, &widgets.display, (width, height));
            }
            ConsoleMsg::Captured(captured) => self.captured = captured,
            ConsoleMsg::Fullscreen(fullscreen) => {
                self.fullscreen = fullscreen;
                if fullscreen {
                    toast(
                        &widgets.toasts,
                        &gettext("Press F11 or move the pointer to the top edge to leave full screen"),
                    );
                }
            }
            ConsoleMsg::Ask(order) => self.ask(order, &sender, root),
            ConsoleMsg::PickCd => commands::pick_cd(root, &sender),
            ConsoleMsg::Close => {
                tell(&sender, ConsoleOutput::Picture(widgets.display.texture()));
                widgets.display.detach();
                tell(&sender, ConsoleOutput::Closed);
            }
        }
        self.follow();
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

        let bar = fullscreen::install(root, &widgets.toolbars, &widgets.header);
        commands::release_input(root, display, bar);
        let input = sender.input_sender().clone();
        dropped::take(&widgets.toasts, move |path| {
            input.emit(ConsoleMsg::Ask(Order::InsertCd(path)));
        });

        // From the header bar Escape leads back to the machine.
        let keys = gtk::EventControllerKey::new();
        let weak = display.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| match weak.upgrade() {
            Some(display) if key == gdk::Key::Escape && display.grab_focus() => glib::Propagation::Stop,
            _ => glib::Propagation::Proceed,
        });
        widgets.header.add_controller(keys);

        // A menu that closes gives the keyboard back to the machine.
        for menu in [&widgets.menu_button, &widgets.keys_button] {
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
    }

    /// Actions follow the machine.
    fn follow(&self) {
        self.actions.follow(self.phase == Phase::Live, self.summary.is_paused());
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
