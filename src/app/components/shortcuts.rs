//! The window that lists keyboard shortcuts.
//!
//! It is built when it is asked for. GTK would build it for every window at once (`gtk/help-overlay.ui`), and such a hidden window
//! that nobody has shown yet makes GTK 4.18 fail when an assistive technology asks for a window that has just been closed.

use gtk::prelude::*;

use crate::config;

/// Shows it.
pub(crate) fn present(parent: &impl IsA<gtk::Window>) {
    let builder = gtk::Builder::from_resource(&format!("{}/shortcuts.ui", config::RESOURCES));
    match builder.object::<gtk::Window>("shortcuts") {
        Some(window) => {
            window.set_transient_for(Some(parent));
            window.present();
        }
        None => tracing::error!("the list of shortcuts is not in the program"),
    }
}
