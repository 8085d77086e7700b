//! The console's actions and its menu.

use std::rc::Rc;

use adw::prelude::*;
use gtk::gio;
use relm4::prelude::*;

use super::display::Display;
use super::fullscreen::Bar;
use super::messages::{ConsoleMsg, ConsoleOutput};
use super::screenshot::Screenshot;
use super::typed_text::TypedText;
use super::typing::Typist;
use super::window::ConsoleWindow;
use super::{closing, grab, send_keys, sound, view};
use crate::actions;
use crate::choice::Choice;
use crate::components::{pick_cd, shortcuts};
use crate::host_key::HostKey;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{FIRST_CD, Order};
use crate::preferences::Preferences;

/// Actions that are not always there.
pub(super) struct Actions {
    live: Vec<gio::SimpleAction>,
    running: Vec<gio::SimpleAction>,
    picture: Vec<gio::SimpleAction>,
    eject: gio::SimpleAction,
    pause: gio::SimpleAction,
    mute: gio::SimpleAction,
    microphone: gio::SimpleAction,
}

/// What the machine is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Possible {
    /// Its screen is shown.
    pub(super) live: bool,
    /// It stands still.
    pub(super) paused: bool,
    /// There is a picture on its screen.
    pub(super) picture: bool,
    /// Something is in its first CD drive.
    pub(super) cd: bool,
    /// It has a sound card.
    pub(super) sound: bool,
    /// Nobody hears it.
    pub(super) muted: bool,
    /// It may hear the microphone.
    pub(super) microphone: bool,
}

impl Actions {
    /// Adds all actions to the window.
    pub(super) fn new(
        root: &adw::ApplicationWindow,
        display: &Display,
        preferences: &Preferences,
        sender: &ComponentSender<ConsoleWindow>,
    ) -> Self {
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
        let hint = sender.clone();
        let grab = grab::install(root, display, move || {
            let keys = HostKey::remembered().release();
            let text = gettext_f("Press {keys} to give the desktop its shortcuts back", &[("keys", &keys)]);
            hint.input(ConsoleMsg::Toast(text));
        });
        let weak = root.downgrade();
        actions::plain(root, "fullscreen", move || {
            if let Some(window) = weak.upgrade() {
                window.set_fullscreened(!window.is_fullscreen());
            }
        });
        let (pick, into, from, serial) = (sender.clone(), sender.clone(), sender.clone(), sender.clone());
        let live = vec![
            pause.clone(),
            keys,
            grab,
            actions::plain(root, "reset", ask(Order::Reset)),
            actions::plain(root, "power-button", ask(Order::PowerButton)),
            actions::plain(root, "power-off", ask(Order::PowerOff)),
            actions::plain(root, "serial", move || serial.input(ConsoleMsg::Serial)),
            actions::plain(root, "insert-cd", move || pick.input(ConsoleMsg::PickCd(FIRST_CD.into()))),
            actions::with_text(root, "insert-into", move |drive| into.input(ConsoleMsg::PickCd(drive.into()))),
            actions::with_text(root, "eject-from", move |drive| {
                from.input(ConsoleMsg::Ask(Order::EjectCd(drive.into())));
            }),
        ];
        let running = [("type-clipboard", TypedText::Clipboard), ("type-text", TypedText::Dialog)];
        let running = running.map(|(name, from)| {
            let sender = sender.clone();
            actions::plain(root, name, move || sender.input(ConsoleMsg::Type(from)))
        });
        let picture = [("screenshot", Screenshot::File), ("copy-screenshot", Screenshot::Clipboard)];
        let picture = picture.map(|(name, to)| {
            let sender = sender.clone();
            actions::plain(root, name, move || sender.input(ConsoleMsg::Screenshot(to)))
        });
        let eject = actions::plain(root, "eject-cd", ask(Order::EjectCd(FIRST_CD.into())));
        let insert = sender.clone();
        actions::with_text(root, "insert-cd-file", move |path| {
            insert.input(ConsoleMsg::Ask(Order::InsertCd(FIRST_CD.into(), path.into())));
        });
        actions::plain(root, "start-again", ask(Order::Start));
        let log = sender.clone();
        actions::plain(root, "show-log", move || drop(log.output(ConsoleOutput::ShowLog)));
        let [mute, microphone] = sound::install(root, sender);
        closing::install(root, preferences);
        shortcuts::install(root);
        Self { live, running: running.into(), picture: picture.into(), eject, pause, mute, microphone }
    }

    /// Actions follow the machine.
    pub(super) fn follow(&self, possible: Possible) {
        let Possible { live, paused, picture, cd, sound, muted, microphone } = possible;
        let enable = |actions: &[gio::SimpleAction], on| actions.iter().for_each(|action| action.set_enabled(on));
        enable(&self.live, live);
        enable(&self.running, live && !paused);
        enable(&self.picture, live && picture);
        self.eject.set_enabled(live && cd);
        self.pause.set_state(&paused.to_variant());
        for (action, on) in [(&self.mute, muted), (&self.microphone, microphone)] {
            action.set_enabled(live && sound);
            action.set_state(&on.to_variant());
        }
    }
}

/// The way out for the keyboard: pointer and shortcuts are the desktop's again, and the focus is in the header bar.
pub(super) fn release_input(root: &adw::ApplicationWindow, display: &Display, typist: &Rc<Typist>, bar: Rc<Bar>) {
    let typist = Rc::downgrade(typist);
    let (window, display) = (root.downgrade(), display.downgrade());
    actions::plain(root, "release-input", move || {
        let (Some(window), Some(display)) = (window.upgrade(), display.upgrade()) else { return };
        if let Some(typist) = typist.upgrade() {
            typist.stop();
        }
        let captured = display.is_captured();
        display.release_pointer();
        display.release_keys();
        window.change_action_state("grab-keyboard", &false.to_variant());
        if !captured {
            bar.enter();
        }
    });
}

/// Lets the person pick an image for a CD drive.
pub(super) fn pick_cd(root: &adw::ApplicationWindow, drive: String, sender: &ComponentSender<ConsoleWindow>) {
    let sender = sender.clone();
    pick_cd::pick(Some(root), move |path| sender.input(ConsoleMsg::Ask(Order::InsertCd(drive, path))));
}

/// The machine's menu.
pub(in crate::components) fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::section(&menu, &[(gettext("_Insert CD…"), "win.insert-cd"), (gettext("_Eject CD"), "win.eject-cd")]);
    actions::section(
        &menu,
        &[(gettext("_Take Screenshot…"), "win.screenshot"), (gettext("_Copy Screenshot"), "win.copy-screenshot")],
    );
    let window = gio::Menu::new();
    window.append_submenu(Some(&gettext("_Screen")), &view::menu());
    // The narrowest header bar has no button for these.
    window.append_submenu(Some(&gettext("Send _Keys")), &send_keys::menu());
    window.append(Some(&gettext("_Pause")), Some("win.pause"));
    window.append(Some(&gettext("_Serial Console")), Some("win.serial"));
    window.append(Some(&gettext("Give _Desktop Shortcuts to the Machine")), Some("win.grab-keyboard"));
    window.append(Some(&gettext("Ask Before C_losing")), Some("win.ask-closing"));
    menu.append_section(None, &window);
    actions::section(
        &menu,
        &[
            (gettext("Press Power _Button"), "win.power-button"),
            (gettext("_Reset…"), "win.reset"),
            (gettext("Power _Off…"), "win.power-off"),
        ],
    );
    actions::section(&menu, &[shortcuts::item()]);
    menu
}
