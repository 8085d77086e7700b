//! Closing the window of a running machine: the person is asked what becomes of the machine, until they say what it is each time.

use adw::prelude::*;
use relm4::prelude::*;

use super::display::Display;
use super::messages::{ConsoleMsg, ConsoleOutput};
use super::window::{ConsoleWindow, tell};
use crate::actions;
use crate::components::ask;
use crate::i18n::{gettext, gettext_f};
use crate::machines::Order;
use crate::preferences::{CLOSING, Preferences};

/// What becomes of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It keeps running without a window.
    KeepRunning,
    /// Its system is asked to end; the window stays until it has.
    PowerButton,
    /// It ends at once, and its window with it.
    PowerOff,
}

/// Nobody gave one: the person is asked.
const ASK: &str = "ask";
/// Answers that may be given once for all, by the words that are remembered. Nothing may be lost by an answer that was not asked for.
const ONCE_FOR_ALL: [(&str, Answer); 2] =
    [("keep-running", Answer::KeepRunning), ("power-button", Answer::PowerButton)];

/// The answer that was given once for all.
fn remembered() -> Option<Answer> {
    let word = Preferences::of_app().word(CLOSING)?;
    ONCE_FOR_ALL.iter().find(|(known, _)| *known == word).map(|(_, answer)| *answer)
}

fn remember(answer: Option<Answer>) {
    let word = ONCE_FOR_ALL.iter().find(|(_, known)| Some(*known) == answer).map_or(ASK, |(word, _)| word);
    Preferences::of_app().set_word(CLOSING, word);
}

/// Adds the switch that brings the question back.
pub(super) fn install(root: &adw::ApplicationWindow, preferences: &Preferences) {
    let action = actions::switch(root, "ask-closing", |_, on| remember((!on).then_some(Answer::KeepRunning)));
    let show = move || action.set_state(&remembered().is_none().to_variant());
    show();
    preferences.watch(CLOSING, show);
}

/// Asks about a machine of this name.
fn question(root: &adw::ApplicationWindow, name: &str, answered: impl FnOnce(Answer) + 'static) {
    let dialog = adw::AlertDialog::new(
        Some(&gettext_f("Close the Window of “{name}”?", &[("name", name)])),
        Some(&gettext("The machine can keep running without its window, which comes back with Show Console.")),
    );
    dialog.add_responses(&[
        ("cancel", &gettext("_Cancel")),
        ("power-off", &gettext("Power _Off")),
        ("power-button", &gettext("Press Power _Button")),
        ("keep-running", &gettext("_Keep Running")),
    ]);
    dialog.set_response_appearance("power-off", adw::ResponseAppearance::Destructive);
    dialog.set_response_appearance("keep-running", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("keep-running"));
    dialog.set_close_response("cancel");
    let always = gtk::CheckButton::with_mnemonic(&gettext("_Do not ask again"));
    always.set_halign(gtk::Align::Center);
    // Power that fails each time without a question is nobody's wish.
    let weak = dialog.downgrade();
    always.connect_toggled(move |always| {
        if let Some(dialog) = weak.upgrade() {
            dialog.set_response_enabled("power-off", !always.is_active());
        }
    });
    dialog.set_extra_child(Some(&always));
    ask::choose(&dialog, root, move |response| {
        let answer = match response {
            "keep-running" => Answer::KeepRunning,
            "power-button" => Answer::PowerButton,
            "power-off" => Answer::PowerOff,
            _ => return,
        };
        if always.is_active() {
            remember(Some(answer));
        }
        answered(answer);
    });
}

impl ConsoleWindow {
    /// The person closes the window.
    pub(super) fn close(&self, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let answer = match remembered() {
            _ if !self.is_live() => Some(Answer::KeepRunning),
            // It is pressed, and the machine is still there: what now?
            Some(Answer::PowerButton) if self.closing => None,
            remembered => remembered,
        };
        if let Some(answer) = answer {
            sender.input(ConsoleMsg::Leave(answer));
        } else if root.visible_dialog().is_none() {
            let sender = sender.clone();
            question(root, self.summary.name(), move |answer| sender.input(ConsoleMsg::Leave(answer)));
        }
    }

    /// Leaves the machine in this way.
    pub(super) fn leave(&mut self, answer: Answer, display: &Display, sender: &ComponentSender<Self>) {
        let order = match answer {
            Answer::KeepRunning => {
                self.sound.leave(self.summary.uuid());
                tell(sender, ConsoleOutput::Picture(display.texture()));
                display.detach();
                return tell(sender, ConsoleOutput::Closed);
            }
            Answer::PowerButton => Order::PowerButton,
            Answer::PowerOff => Order::PowerOff,
        };
        // The window goes with the machine.
        self.closing = true;
        tell(sender, ConsoleOutput::Order(order));
    }
}
