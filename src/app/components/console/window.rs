//! The console: the window around a machine's screen.

use std::rc::Rc;

use adw::prelude::*;
use api::machine::DriveKind;
use api::settings::SoundKey;
use gtk::glib;
use library::State;
use relm4::prelude::*;

use super::closing::Answer;
use super::commands::{self, Actions, Possible};
use super::devices::Devices;
use super::display::Display;
use super::ending::Ending;
use super::messages::{ConsoleMsg, ConsoleOutput};
use super::sound::Sound;
use super::typing::{self, Typist};
use super::usb::{Usb, UsbAnswer, UsbWish};
use super::{room, screenshot, view};
use crate::choice::Choice;
use crate::components::menus::Menus;
use crate::components::window::{connect_here, toast_offer};
use crate::components::{ask, serial};
use crate::host_key::HostKey;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{Order, Summary};
use crate::preferences::{HOST_KEY, Preferences};
use crate::words;

/// The console.
pub(crate) struct ConsoleWindow {
    pub(super) summary: Summary,
    menus: Menus,
    phase: Phase,
    /// The window is closed when the machine is off.
    pub(super) closing: bool,
    fullscreen: bool,
    /// Only what is in no menu has a place in the header bar.
    narrow: bool,
    captured: bool,
    /// The guest shows a picture.
    picture: bool,
    actions: Actions,
    devices: Devices,
    usb: Usb,
    pub(super) sound: Sound,
    typist: Rc<Typist>,
    host_key: HostKey,
    /// Before what else is being said.
    warning: adw::Toast,
    /// Changes are told as long as these live.
    _preferences: Preferences,
}

/// Seconds that something is said.
const TOAST: u32 = 4;

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

#[relm4::component(pub(crate))]
impl Component for ConsoleWindow {
    type Init = (Summary, Menus);
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

                    add_top_bar = &adw::BreakpointBin {
                        set_size_request: (320, 46),
                        add_breakpoint = adw::Breakpoint::new(adw::BreakpointCondition::new_length(
                            adw::BreakpointConditionLengthType::MaxWidth, 440.0, adw::LengthUnit::Sp,
                        )) {
                            connect_apply[sender] => move |_| sender.input(ConsoleMsg::Narrow(true)),
                            connect_unapply[sender] => move |_| sender.input(ConsoleMsg::Narrow(false)),
                        },

                        #[name = "header"]
                        #[wrap(Some)]
                        set_child = &adw::HeaderBar {
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
                                set_visible: model.phase == Phase::Live && !model.narrow,
                            },
                            #[name = "menu_button"]
                            pack_end = &gtk::MenuButton {
                                set_icon_name: "view-more-symbolic",
                                set_tooltip_text: Some(&gettext("Machine Menu")),
                                set_menu_model: Some(&model.menus.machine),
                            },
                            pack_end = &gtk::Button {
                                #[watch]
                                set_icon_name: if model.fullscreen { "view-restore-symbolic" } else { "view-fullscreen-symbolic" },
                                #[watch]
                                set_tooltip_text: Some(&model.fullscreen_tooltip()),
                                set_action_name: Some("win.fullscreen"),
                                #[watch]
                                set_visible: !model.narrow,
                            },
                            #[name = "sound_button"]
                            pack_end = &gtk::MenuButton {
                                #[watch]
                                set_icon_name: model.sound.icon(),
                                #[watch]
                                set_tooltip_text: Some(&model.sound.tooltip()),
                                // Else its name is all that the popover says.
                                #[watch]
                                update_property: &[gtk::accessible::Property::Label(&model.sound.tooltip())],
                                set_popover: Some(model.sound.popover()),
                                #[watch]
                                set_visible: model.is_live() && model.sound.has_card(),
                            },
                            pack_end = &gtk::Image {
                                set_icon_name: Some("audio-input-microphone-symbolic"),
                                add_css_class: "microphone-live",
                                set_tooltip_text: Some(&gettext("The system hears the microphone")),
                                update_property: &[gtk::accessible::Property::Label(&gettext("The system hears the microphone"))],
                                #[watch]
                                set_visible: model.sound.is_recorded(),
                            },
                            #[name = "devices_button"]
                            pack_end = &gtk::MenuButton {
                                set_icon_name: "computer-symbolic",
                                set_tooltip_text: Some(&gettext("Devices")),
                                // Else its name is all that the popover says.
                                update_property: &[gtk::accessible::Property::Label(&gettext("Devices"))],
                                set_popover: Some(model.devices.popover()),
                                connect_active_notify[sender] => move |button| {
                                    sender.input(ConsoleMsg::LookAtDevices(button.is_active()));
                                },
                                #[watch]
                                set_visible: model.is_live(),
                            },
                            #[name = "keys_button"]
                            pack_end = &gtk::MenuButton {
                                set_icon_name: "input-keyboard-symbolic",
                                set_tooltip_text: Some(&gettext("Send Keys")),
                                set_menu_model: Some(&model.menus.keys),
                                #[watch]
                                set_visible: model.phase == Phase::Live && !model.narrow,
                            },
                        },
                    },

                    #[name = "stack"]
                    gtk::Stack {
                        set_transition_type: gtk::StackTransitionType::Crossfade,

                        #[name = "starting"]
                        add_named[Some("starting")] = &adw::StatusPage {
                            #[watch]
                            set_title: &gettext_f("Starting “{name}”", &[("name", model.summary.name())]),
                            set_paintable: Some(&spinner),
                        },
                        add_named[Some("live")] = &gtk::Overlay {
                            gtk::ScrolledWindow {
                                // Over the guest's edges there would be no pointing at them.
                                set_overlay_scrolling: false,

                                gtk::Viewport {
                                    set_scroll_to_focus: false,

                                    #[local_ref]
                                    #[wrap(Some)]
                                    set_child = &display -> Display {
                                        #[watch]
                                        update_property: &[gtk::accessible::Property::Label(
                                            &gettext_f("Screen of {name}", &[("name", model.summary.name())])
                                        )],
                                    },
                                },
                            },
                            add_overlay: model.typist.bar(),
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
                                    #[watch]
                                    set_label: &gettext_f("Press {keys} to release the pointer", &[("keys", &model.host_key.release())]),
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

    fn init((summary, menus): Self::Init, root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let display = Display::default();
        let spinner = adw::SpinnerPaintable::new(None::<&gtk::Widget>);
        let typist = Typist::new(&display);
        let preferences = Preferences::of_app();
        let actions = Actions::new(&root, &display, &preferences, &sender);
        view::install(&root, &display, summary.uuid(), &preferences);
        let input = sender.input_sender().clone();
        preferences.watch(HOST_KEY, move || input.emit(ConsoleMsg::HostKey(HostKey::remembered())));
        sender.input(ConsoleMsg::HostKey(HostKey::remembered()));
        let usb = Usb::new(sender.input_sender());
        let model = Self {
            summary,
            menus,
            phase: Phase::Starting,
            closing: false,
            fullscreen: false,
            narrow: false,
            captured: false,
            picture: false,
            actions,
            devices: Devices::new(usb.widget()),
            usb,
            sound: Sound::new(&display, sender.input_sender()),
            typist,
            warning: adw::Toast::builder().timeout(TOAST).priority(adw::ToastPriority::High).build(),
            host_key: HostKey::default(),
            _preferences: preferences,
        };
        let widgets = view_output!();
        // It moves while this page is to be seen, and at no other time.
        spinner.set_widget(Some(&widgets.starting));
        Self::listen(&root, &widgets, &display, &model.typist, &sender);
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
            ConsoleMsg::Starting => {
                self.phase = Phase::Starting;
                self.closing = false;
            }
            ConsoleMsg::Attach(console) => {
                widgets.display.attach(*console);
                self.phase = Phase::Live;
            }
            ConsoleMsg::Show(summary) => self.summary = summary,
            ConsoleMsg::End(Ending::GuestOff | Ending::TurnedOff) if self.closing => {
                self.leave(Answer::KeepRunning, &widgets.display, &sender);
            }
            ConsoleMsg::End(ending) => {
                widgets.display.detach();
                self.devices.look_away();
                self.usb.look_away();
                // The first word is the truest: a lost connection follows from every other ending.
                if !matches!(self.phase, Phase::Ended(_)) || !matches!(ending, Ending::Disconnected(_)) {
                    self.phase = Phase::Ended(ending);
                }
            }
            ConsoleMsg::Lost(why) => sender.input(ConsoleMsg::End(Ending::Disconnected(why))),
            ConsoleMsg::Present => root.present(),
            ConsoleMsg::Toast(text) => toast(&widgets.toasts, &text),
            ConsoleMsg::Warn(text) => {
                // One, however often something fails: what stands there already stands there longer.
                self.warning.set_title(&glib::markup_escape_text(&text));
                widgets.toasts.add_toast(self.warning.clone());
            }
            ConsoleMsg::PictureSize(width, height) => {
                self.picture = (width, height) != (0, 0);
                room::grow(root, &widgets.display, (width, height));
            }
            ConsoleMsg::Captured(captured) => self.captured = captured,
            ConsoleMsg::HostKey(key) => {
                self.host_key = key;
                widgets.display.host().borrow_mut().set_key(key);
                self.typist.set_host_key(key);
            }
            ConsoleMsg::Fullscreen(fullscreen) => {
                self.fullscreen = fullscreen;
                if fullscreen {
                    toast(
                        &widgets.toasts,
                        &gettext("Press F11 or move the pointer to the top edge to leave full screen"),
                    );
                }
            }
            ConsoleMsg::Narrow(narrow) => self.narrow = narrow,
            ConsoleMsg::Ask(order) => self.ask(order, &sender, root),
            ConsoleMsg::PickCd(drive) => commands::pick_cd(root, drive, &sender),
            ConsoleMsg::Screenshot(to) => {
                screenshot::take(to, widgets.display.texture(), self.summary.name(), &widgets.toasts);
            }
            ConsoleMsg::Type(from) => {
                let input = sender.input_sender().clone();
                typing::begin(from, root, &self.typist, move |why| input.emit(ConsoleMsg::Toast(why)));
            }
            ConsoleMsg::Serial => serial::open(self.summary.uuid(), self.summary.name(), &self.menus),
            // They are shown after every message.
            ConsoleMsg::LookAtDevices(true) => {
                self.devices.look(self.summary.uuid(), sender.input_sender());
                self.usb.look();
            }
            ConsoleMsg::LookAtDevices(false) => {
                self.devices.look_away();
                self.usb.look_away();
            }
            ConsoleMsg::LookAtUsb => self.usb.ask_again(),
            ConsoleMsg::UsbDevices(devices) => self.usb.take(devices),
            ConsoleMsg::WishUsb(wish) => self.usb.wish(wish, &self.summary.entry.machine),
            ConsoleMsg::UsbAnswered(wish, answer) => {
                self.usb.answered(&wish);
                self.answer_usb(wish, answer, &sender, root);
            }
            ConsoleMsg::Offer(text, target) => toast_offer(&widgets.toasts, &text, &connect_here(), &target),
            ConsoleMsg::Measured(look, sample) => self.devices.take(look, *sample),
            // It is looked at after every message.
            ConsoleMsg::SoundChanged => {}
            ConsoleMsg::TurnSound(key, value) => {
                if self.fullscreen && key == SoundKey::Mute {
                    // Keys turn it, and the header bar is not there to show it.
                    toast(&widgets.toasts, &if value == "on" { gettext("Muted") } else { gettext("Sound is on") });
                }
                self.sound.turn(key, value, sender.input_sender());
            }
            ConsoleMsg::WriteSound => self.sound.write(self.summary.uuid(), sender.input_sender()),
            ConsoleMsg::SoundWritten(result) => {
                self.sound.written(self.summary.uuid(), sender.input_sender());
                match result {
                    Ok(sound) => {
                        self.summary.entry.machine.sound = sound;
                        tell(&sender, ConsoleOutput::Changed);
                    }
                    Err(why) => toast(&widgets.toasts, &words::sentence(&why)),
                }
            }
            ConsoleMsg::Close => self.close(&sender, root),
            ConsoleMsg::Leave(answer) => self.leave(answer, &widgets.display, &sender),
        }
        self.sound.follow(&self.summary.entry.machine, &widgets.display);
        self.follow();
        self.devices.show(&self.summary.entry.machine, &widgets.display, self.host_key);
        self.usb.show(&self.summary.entry.machine);
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
    /// Is the machine's screen shown?
    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Actions follow the machine.
    fn follow(&self) {
        let cds = self.summary.entry.machine.drives.iter().filter(|drive| drive.kind == DriveKind::Cd);
        let possible = Possible {
            live: self.is_live(),
            paused: self.summary.is_paused(),
            picture: self.picture,
            cd: cds.take(1).any(|drive| drive.image.is_some()),
            sound: self.sound.has_card(),
            muted: self.sound.is_muted(),
            microphone: self.sound.has_microphone(),
        };
        self.actions.follow(possible);
        self.typist.set_running(!possible.paused);
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
                    (&words::question(&order, self.summary.name()), &words::loss(1), &words::verb(&order)),
                    pass,
                );
            }
            _ => pass(),
        }
    }

    /// What became of a wish about a USB device, which may want a word more.
    fn answer_usb(
        &self,
        wish: UsbWish,
        answer: UsbAnswer,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
    ) {
        if !matches!(answer, UsbAnswer::Done) {
            // It would hold the keyboard.
            self.devices.popover().popdown();
        }
        match (wish, answer) {
            (UsbWish::Always(..), UsbAnswer::Done) => tell(sender, ConsoleOutput::Changed),
            (_, UsbAnswer::Done) => {}
            (UsbWish::Connect(port, _), UsbAnswer::Missed(why)) => {
                let question = gettext_f("Connect “{name}” to the Machine?", &[("name", &self.usb.name(&port))]);
                let sender = sender.clone();
                ask::before(root, (&question, &why, &gettext("_Connect")), move || {
                    sender.input(ConsoleMsg::WishUsb(UsbWish::Connect(port, true)));
                });
            }
            (_, UsbAnswer::Missed(why) | UsbAnswer::Refused(why)) => {
                ask::explain(root, &gettext("The USB Device Is Not Connected"), &why);
            }
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

pub(super) fn tell(sender: &ComponentSender<ConsoleWindow>, output: ConsoleOutput) {
    // The main window is gone when the app ends: then nobody needs to know.
    drop(sender.output(output));
}

fn toast(toasts: &adw::ToastOverlay, text: &str) {
    let toast = adw::Toast::new(&glib::markup_escape_text(text));
    toast.set_timeout(TOAST);
    toasts.add_toast(toast);
}
