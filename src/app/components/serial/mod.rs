//! A machine's serial console: a terminal (VTE) on its first serial port, for those who follow a kernel's messages or log in without a
//! screen. It begins with what the engine keeps of what was sent before, comes back when the machine is started again, and there may be
//! several of one machine.
//!
//! What a guest sends is VTE's to make sense of; how much of it comes at a time and how much is kept are bounded here.

mod line;
mod terminal;

use std::cell::Cell;
use std::time::Duration;

use adw::prelude::*;
use gtk::{gio, glib};
use library::control::Error;
use relm4::prelude::*;
use uuid::Uuid;
use vte4::prelude::*;

pub(crate) use self::terminal::KEYS;
pub(super) use self::terminal::menu;

use self::line::{Listener, Speaker};
use crate::components::menus::Menus;
use crate::components::window::is_last;
use crate::i18n::{gettext, gettext_f};
use crate::words;

/// How often there is a look whether a machine that was off is on.
const AGAIN: Duration = Duration::from_secs(1);
/// A terminal has understood what was sent before by then.
const UNDERSTOOD: Duration = Duration::from_millis(300);
/// What another start of the machine left a terminal in is over: DECSTR (VT220), and a new line.
const ANEW: &[u8] = b"\x1b[!p\r\n";
/// A piece of the past that is shorter is its last: a guest that sends all the time has a present too.
const PIECE: usize = 32 << 10;
/// Most bytes that wait to be sent.
const WAITING: usize = 64 << 10;

/// The window.
pub(crate) struct SerialWindow {
    uuid: Uuid,
    name: String,
    phase: Phase,
    /// Typed and not sent yet.
    typed: String,
    /// While nothing is being sent.
    speaker: Option<Speaker>,
}

/// What the window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody has looked whether the machine is on.
    New,
    /// The machine is off.
    Off,
    /// What was sent before.
    Past,
    /// What is sent now.
    Live,
}

/// What the window is told.
#[derive(Debug)]
pub(crate) enum SerialMsg {
    /// Look whether the machine is on.
    Connect,
    /// The person types, or the terminal answers a question of the guest's.
    Typed(String),
    /// The past is shown.
    Answer,
}

/// What commands find out.
#[derive(Debug)]
pub(crate) enum Found {
    /// The line.
    Line(Option<(Listener, Speaker)>),
    /// What the guest sent.
    Heard(Listener, library::Result<String>),
    /// What is still to be sent.
    Said(Speaker, library::Result<String>),
}

/// Opens a serial console of this machine.
pub(crate) fn open(uuid: Uuid, name: &str, menus: &Menus) {
    let window = SerialWindow::builder().launch((uuid, name.to_owned(), menus.serial.clone())).detach();
    let root = window.widget().clone();
    relm4::main_application().add_window(&root);
    root.present();
    // It ends with its window, and its connections to the engine with it. The window is not destroyed before: this holds it.
    let held = Cell::new(Some(window));
    root.connect_unrealize(move |_| drop(held.take()));
}

#[relm4::component(pub(crate))]
impl Component for SerialWindow {
    type Init = (Uuid, String, gio::Menu);
    type Input = SerialMsg;
    type Output = ();
    type CommandOutput = Found;

    view! {
        #[root]
        adw::ApplicationWindow {
            set_title: Some(&gettext_f("Serial Console of {name}", &[("name", &model.name)])),
            set_icon_name: Some(crate::config::APP_ID),
            set_size_request: (360, 294),
            connect_close_request => |window| {
                if is_last(window) {
                    relm4::main_application().quit();
                }
                glib::Propagation::Proceed
            },

            #[name = "toasts"]
            adw::ToastOverlay {
                adw::ToolbarView {
                    add_top_bar = &adw::HeaderBar {
                        #[wrap(Some)]
                        set_title_widget = &adw::WindowTitle {
                            set_title: &model.name,
                            set_subtitle: &gettext("Serial Console"),
                        },
                        pack_end = &gtk::MenuButton {
                            set_icon_name: "open-menu-symbolic",
                            set_tooltip_text: Some(&gettext("Main Menu")),
                            set_menu_model: Some(&menu),
                            set_primary: true,
                        },
                    },
                    add_top_bar = &adw::Banner {
                        set_title: &gettext("The machine is off"),
                        set_revealed: true,
                        #[watch]
                        set_visible: model.phase == Phase::Off,
                    },

                    #[wrap(Some)]
                    set_content = &gtk::ScrolledWindow {
                        set_hscrollbar_policy: gtk::PolicyType::Never,

                        #[local_ref]
                        #[wrap(Some)]
                        set_child = &terminal -> vte4::Terminal {
                            // Before that an answer would be one to a question that nobody asks any more.
                            #[watch]
                            set_input_enabled: model.phase == Phase::Live,
                        },
                    },
                },
            },
        }
    }

    fn init((uuid, name, menu): Self::Init, root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let terminal = terminal::new(&root, &menu);
        terminal.update_property(&[gtk::accessible::Property::Label(&gettext("Serial console"))]);
        let input = sender.input_sender().clone();
        terminal.connect_commit(move |_, text, _| input.emit(SerialMsg::Typed(text.to_owned())));
        let model = Self { uuid, name, phase: Phase::New, typed: String::new(), speaker: None };
        let widgets = view_output!();
        terminal.grab_focus();
        sender.input(SerialMsg::Connect);
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        message: SerialMsg,
        sender: ComponentSender<Self>,
        _root: &Self::Root,
    ) {
        match message {
            SerialMsg::Connect => {
                let uuid = self.uuid;
                // Why not does not matter: the machine is off.
                sender.spawn_oneshot_command(move || Found::Line(line::open(uuid).ok()));
            }
            SerialMsg::Typed(text) if self.typed.len() + text.len() > WAITING => {
                toast(&widgets.toasts, &gettext("That is more than the machine takes at a time"));
            }
            SerialMsg::Typed(text) => {
                self.typed.push_str(&text);
                self.speak(&sender);
            }
            SerialMsg::Answer if self.phase == Phase::Past => self.phase = Phase::Live,
            SerialMsg::Answer => {}
        }
        self.update_view(widgets, sender);
    }

    fn update_cmd_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        found: Found,
        sender: ComponentSender<Self>,
        _root: &Self::Root,
    ) {
        match found {
            Found::Line(None) => {
                self.phase = Phase::Off;
                later(AGAIN, SerialMsg::Connect, &sender);
            }
            Found::Line(Some((listener, speaker))) => {
                if self.phase == Phase::Off {
                    widgets.terminal.feed(ANEW);
                }
                self.phase = Phase::Past;
                self.speaker = Some(speaker);
                listen(listener, true, &sender);
            }
            Found::Heard(listener, Ok(text)) => {
                widgets.terminal.feed(text.as_bytes());
                let past = self.phase == Phase::Past && text.len() >= PIECE;
                if self.phase == Phase::Past && !past {
                    later(UNDERSTOOD, SerialMsg::Answer, &sender);
                }
                listen(listener, past, &sender);
            }
            Found::Heard(_, Err(_)) => {
                self.phase = Phase::Off;
                self.speaker = None;
                self.typed.clear();
                later(AGAIN, SerialMsg::Connect, &sender);
            }
            // Of a line that is gone.
            Found::Said(..) if self.phase == Phase::Off || self.speaker.is_some() => {}
            Found::Said(speaker, Ok(rest)) => {
                self.typed.insert_str(0, &rest);
                self.speaker = Some(speaker);
                self.speak(&sender);
            }
            Found::Said(speaker, Err(error)) => {
                self.typed.clear();
                // When the connection is over, the listener hears of it too.
                if let library::Error::Control(Error::Refused(why)) = error {
                    self.speaker = Some(speaker);
                    let why = words::sentence(&why);
                    toast(
                        &widgets.toasts,
                        &gettext_f("The machine does not read what is sent: {why}", &[("why", &why)]),
                    );
                }
            }
        }
        self.update_view(widgets, sender);
    }
}

impl SerialWindow {
    /// Sends what is typed, unless something is being sent.
    fn speak(&mut self, sender: &ComponentSender<Self>) {
        if self.typed.is_empty() {
            return;
        }
        if let Some(mut speaker) = self.speaker.take() {
            let text = std::mem::take(&mut self.typed);
            sender.spawn_oneshot_command(move || {
                let rest = speaker.say(text);
                Found::Said(speaker, rest)
            });
        }
    }
}

/// Asks for the next piece.
fn listen(mut listener: Listener, past: bool, sender: &ComponentSender<SerialWindow>) {
    sender.spawn_oneshot_command(move || {
        let heard = if past { listener.past() } else { listener.present() };
        Found::Heard(listener, heard)
    });
}

fn later(delay: Duration, message: SerialMsg, sender: &ComponentSender<SerialWindow>) {
    let input = sender.input_sender().clone();
    glib::timeout_add_local_once(delay, move || {
        // The window may be closed by then.
        let _ = input.send(message);
    });
}

fn toast(toasts: &adw::ToastOverlay, text: &str) {
    toasts.add_toast(adw::Toast::new(&glib::markup_escape_text(text)));
}
