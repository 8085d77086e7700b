//! The desktop's own shortcuts (Super, Alt+Tab …), left to the machine when the person wants it and the desktop allows it.
//!
//! The wish is the action `win.grab-keyboard`'s state. It is put to the desktop as long as the person types into the machine: a menu, a
//! dialog or another window has its shortcuts as ever.

use adw::prelude::*;
use gtk::{gdk, gio, glib};

use super::display::Display;
use crate::actions;

/// Adds the action. `granted` is called when the person switches it on.
pub(super) fn install(
    window: &adw::ApplicationWindow,
    display: &Display,
    granted: impl Fn() + 'static,
) -> gio::SimpleAction {
    let focus = gtk::EventControllerFocus::new();
    let (weak_window, weak_focus) = (window.downgrade(), focus.downgrade());
    let action = actions::switch(window, "grab-keyboard", move |action, on| {
        action.set_state(&on.to_variant());
        let (Some(window), Some(focus)) = (weak_window.upgrade(), weak_focus.upgrade()) else { return };
        inhibit(&window, on && focus.is_focus() && window.is_active());
        if on {
            granted();
        }
    });
    let typing = {
        let (window, action) = (window.downgrade(), action.clone());
        move |focus: &gtk::EventControllerFocus| {
            let Some(window) = window.upgrade() else { return };
            let wish = action.state().and_then(|state| state.get()).unwrap_or(false);
            inhibit(&window, wish && focus.is_focus() && window.is_active());
        }
    };
    let entered = typing.clone();
    focus.connect_enter(move |focus| later(focus, &entered));
    let left = typing.clone();
    focus.connect_leave(move |focus| left(focus));
    let weak_focus = focus.downgrade();
    window.connect_is_active_notify(move |_| {
        if let Some(focus) = weak_focus.upgrade() {
            later(&focus, &typing);
        }
    });
    display.add_controller(focus);
    action
}

/// Once the change of focus is complete: until then the desktop refuses.
fn later(focus: &gtk::EventControllerFocus, then: &(impl Fn(&gtk::EventControllerFocus) + Clone + 'static)) {
    let (focus, then) = (focus.downgrade(), then.clone());
    glib::idle_add_local_once(move || {
        if let Some(focus) = focus.upgrade() {
            then(&focus);
        }
    });
}

fn inhibit(window: &adw::ApplicationWindow, on: bool) {
    let Some(toplevel) = window.surface().and_downcast::<gdk::Toplevel>() else { return };
    if on {
        toplevel.inhibit_system_shortcuts(None::<&gdk::Event>);
    } else {
        toplevel.restore_system_shortcuts();
    }
}
