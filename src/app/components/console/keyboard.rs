//! The keyboard over a machine's screen.
//!
//! Keys go to the guest by position (evdev codes), before the window or an input method sees them. GTK's hardware codes are evdev's
//! plus 8, on Wayland and on X11. Combinations with the host key are the console's.

use console::Console;
use gtk::glib;
use gtk::prelude::*;

use super::display::Display;
use super::host::Key;

/// What X and Wayland keymaps add to evdev's codes.
const XKB_OFFSET: u32 = 8;

/// Makes the display take keys.
pub(super) fn install(display: &Display) {
    let keys = gtk::EventControllerKey::new();
    keys.set_propagation_phase(gtk::PropagationPhase::Capture);
    let weak = display.downgrade();
    keys.connect_key_pressed(move |_, _, code, _| match weak.upgrade() {
        Some(display) => key(&display, code, true),
        None => glib::Propagation::Proceed,
    });
    let weak = display.downgrade();
    keys.connect_key_released(move |_, _, code, _| {
        if let Some(display) = weak.upgrade() {
            key(&display, code, false);
        }
    });
    display.add_controller(keys);

    let focus = gtk::EventControllerFocus::new();
    let weak = display.downgrade();
    focus.connect_leave(move |_| {
        if let Some(display) = weak.upgrade() {
            display.release_keys();
            display.release_pointer();
        }
    });
    display.add_controller(focus);
}

fn key(display: &Display, code: u32, down: bool) -> glib::Propagation {
    if display.absolute().is_none() {
        return glib::Propagation::Proceed;
    }
    let Some(code) = code.checked_sub(XKB_OFFSET).and_then(|code| u16::try_from(code).ok()) else {
        return glib::Propagation::Stop;
    };
    let whose = display.host().borrow_mut().key(code, down);
    match whose {
        Key::Guest => display.tell(|console: &mut Console| console.key(code, down)),
        Key::Console(None) => {}
        Key::Console(Some(action)) => {
            // An action of the console's window; elsewhere there is none, and nothing to do.
            let _ = display.activate_action(action, None);
        }
    }
    glib::Propagation::Stop
}
