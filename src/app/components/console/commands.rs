//! The console's actions and its menu.

use std::rc::Rc;

use adw::prelude::*;
use gtk::gio;
use relm4::prelude::*;

use super::display::Display;
use super::fullscreen::Bar;
use super::window::{ConsoleMsg, ConsoleOutput, ConsoleWindow};
use super::{grab, send_keys};
use crate::actions;
use crate::i18n::gettext;
use crate::machines::Order;

/// Actions that are not always there.
pub(super) struct Actions {
    live: Vec<gio::SimpleAction>,
    pause: gio::SimpleAction,
}

impl Actions {
    /// Adds all actions to the window.
    pub(super) fn new(
        root: &adw::ApplicationWindow,
        display: &Display,
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
            hint.input(ConsoleMsg::Toast(gettext("Press Ctrl+Alt+G to give the desktop its shortcuts back")));
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
        actions::plain(root, "show-log", move || drop(log.output(ConsoleOutput::ShowLog)));
        Self { live, pause }
    }

    /// Actions follow the machine.
    pub(super) fn follow(&self, live: bool, paused: bool) {
        for action in &self.live {
            action.set_enabled(live);
        }
        self.pause.set_state(&paused.to_variant());
    }
}

/// The way out for the keyboard: pointer and shortcuts are the desktop's again, and the focus is in the header bar.
pub(super) fn release_input(root: &adw::ApplicationWindow, display: &Display, bar: Rc<Bar>) {
    let (window, display) = (root.downgrade(), display.downgrade());
    actions::plain(root, "release-input", move || {
        let (Some(window), Some(display)) = (window.upgrade(), display.upgrade()) else { return };
        let captured = display.is_captured();
        display.release_pointer();
        display.release_keys();
        window.change_action_state("grab-keyboard", &false.to_variant());
        if !captured {
            bar.enter();
        }
    });
}

/// Lets the person pick an image for the CD drive.
pub(super) fn pick_cd(root: &adw::ApplicationWindow, sender: &ComponentSender<ConsoleWindow>) {
    let dialog = gtk::FileDialog::builder().title(gettext("Insert a CD")).modal(true).build();
    let sender = sender.clone();
    dialog.open(Some(root), None::<&gio::Cancellable>, move |picked| {
        if let Some(path) = picked.ok().and_then(|file| file.path()) {
            sender.input(ConsoleMsg::Ask(Order::InsertCd(path)));
        }
    });
}

/// The machine's menu.
pub(super) fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::section(&menu, &[(gettext("_Insert CD…"), "win.insert-cd"), (gettext("_Eject CD"), "win.eject-cd")]);
    actions::section(&menu, &[(gettext("Give Desktop _Shortcuts to the Machine"), "win.grab-keyboard")]);
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
