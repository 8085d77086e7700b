//! The menus of windows that come and go.
//!
//! GTK (seen in 4.18) never lets go of the sections of a menu that was in a popover. So every console shows the same ones, and a console
//! that is closed leaves no menu behind.

use gtk::gio;

use super::{console, serial};

/// Clones are the same menus.
#[derive(Clone, Debug)]
pub(crate) struct Menus {
    /// Of a machine, in its console.
    pub(super) machine: gio::Menu,
    /// Keys for a machine, in its console.
    pub(super) keys: gio::Menu,
    /// Of a serial console.
    pub(super) serial: gio::Menu,
}

impl Menus {
    /// In the person's language.
    pub(crate) fn new() -> Self {
        Self { machine: console::machine_menu(), keys: console::keys_menu(), serial: serial::menu() }
    }
}
