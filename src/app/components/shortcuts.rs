//! The window that lists keyboard shortcuts.
//!
//! It is built when it is asked for. GTK would build it for every window at once (`gtk/help-overlay.ui`), and such a hidden window
//! that nobody has shown yet makes GTK 4.18 fail when an assistive technology asks for a window that has just been closed.

use gtk::glib;
use gtk::prelude::*;

use crate::choice::Choice;
use crate::host_key::HostKey;
use crate::i18n::gettext;
use crate::{actions, config};

/// Adds the action that shows it to a window whose keys are a guest's: unlike the main window's it has none.
pub(crate) fn install(window: &adw::ApplicationWindow) {
    let weak = window.downgrade();
    actions::plain(window, "show-shortcuts", move || {
        if let Some(window) = weak.upgrade() {
            present(&window);
        }
    });
}

/// The menu item for it.
pub(crate) fn item() -> (String, &'static str) {
    (gettext("_Keyboard Shortcuts"), "win.show-shortcuts")
}

/// Shows it.
pub(crate) fn present(parent: &impl IsA<gtk::Window>) {
    let builder = gtk::Builder::from_resource(&format!("{}/shortcuts.ui", config::RESOURCES));
    match builder.object::<gtk::Window>("shortcuts") {
        Some(window) => {
            let host = HostKey::remembered();
            for (id, key) in [("release", 'g'), ("full-screen", 'f'), ("mute", 'm')] {
                if let Some(shortcut) = builder.object::<glib::Object>(id) {
                    shortcut.set_property("accelerator", host.accelerator(key));
                }
            }
            window.set_transient_for(Some(parent));
            window.present();
        }
        None => tracing::error!("the list of shortcuts is not in the program"),
    }
}
