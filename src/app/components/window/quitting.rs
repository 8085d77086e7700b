//! Ending the whole app: machines outlive it, which is said once for all of them.

use adw::prelude::*;

use super::Window;
use crate::components::ask;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::machines::Summary;
use crate::preferences::{Preferences, TELL_QUITTING};

impl Window {
    /// Ends the app. Who does not know yet is told first which machines keep running.
    pub(super) fn quit(&self, root: &adw::ApplicationWindow) {
        let running: Vec<_> = self.machines.all.iter().filter(|machine| machine.is_live()).collect();
        let application = relm4::main_application();
        if running.is_empty() || !Preferences::of_app().is_on(TELL_QUITTING) {
            return application.quit();
        }
        let active = application.active_window().and_downcast::<adw::ApplicationWindow>();
        let parent = active.unwrap_or_else(|| root.clone());
        if parent.visible_dialog().is_some_and(|dialog| dialog.is::<adw::AlertDialog>()) {
            return;
        }
        parent.present();
        let dialog = adw::AlertDialog::new(Some(&gettext("Quit Dormer?")), Some(&sentence(&running)));
        dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("quit", &gettext("_Quit"))]);
        dialog.set_default_response(Some("quit"));
        dialog.set_close_response("cancel");
        let known = gtk::CheckButton::with_mnemonic(&gettext("_Do not tell again"));
        known.set_halign(gtk::Align::Center);
        dialog.set_extra_child(Some(&known));
        ask::choose(&dialog, &parent, move |response| {
            if response == "quit" {
                if known.is_active() {
                    Preferences::of_app().set_on(TELL_QUITTING, false);
                }
                relm4::main_application().quit();
            }
        });
    }
}

/// Is no other window of the app to be seen?
pub(crate) fn is_last(window: &impl IsA<gtk::Window>) -> bool {
    let window = window.upcast_ref::<gtk::Window>();
    relm4::main_application().windows().iter().all(|other| other == window || !other.is_visible())
}

/// What goes on without the app.
fn sentence(running: &[&Summary]) -> String {
    match running {
        [one] => gettext_f("“{name}” keeps running. Open Dormer to see it again.", &[("name", one.name())]),
        all => ngettext_f(
            "{count} machine keeps running. Open Dormer to see it again.",
            "{count} machines keep running. Open Dormer to see them again.",
            all.len(),
            &[],
        ),
    }
}
