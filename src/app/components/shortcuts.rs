//! The window that lists keyboard shortcuts.
//!
//! It is built when it is asked for. GTK would build it for every window at once (`gtk/help-overlay.ui`), and such a hidden window
//! that nobody has shown yet makes GTK 4.18 fail when an assistive technology asks for a window that has just been closed.

use gtk::glib;
use gtk::prelude::*;

use crate::config;
use crate::host_key::HostKey;

/// Shows it.
pub(crate) fn present(parent: &impl IsA<gtk::Window>) {
    let builder = gtk::Builder::from_resource(&format!("{}/shortcuts.ui", config::RESOURCES));
    match builder.object::<gtk::Window>("shortcuts") {
        Some(window) => {
            let host = HostKey::chosen();
            for (id, key) in [("release", 'g'), ("full-screen", 'f')] {
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
