//! Actions: commands with names, for menus, keys and D-Bus.

use gtk::prelude::*;
use gtk::{gio, glib};

/// An action without parameter.
pub(crate) fn plain(map: &impl IsA<gio::ActionMap>, name: &str, run: impl Fn() + 'static) -> gio::SimpleAction {
    let action = gio::SimpleAction::new(name, None);
    action.connect_activate(move |_, _| run());
    map.add_action(&action);
    action
}

/// An action with a string.
pub(crate) fn with_text(map: &impl IsA<gio::ActionMap>, name: &str, run: impl Fn(&str) + 'static) -> gio::SimpleAction {
    let action = gio::SimpleAction::new(name, Some(glib::VariantTy::STRING));
    action.connect_activate(move |_, text| {
        if let Some(text) = text.and_then(glib::Variant::str) {
            run(text);
        }
    });
    map.add_action(&action);
    action
}

/// One of several words; `run` gets the one that is chosen. Menu items name it as in `win.sort::name`.
pub(crate) fn choice(
    map: &impl IsA<gio::ActionMap>,
    name: &str,
    word: &str,
    run: impl Fn(&str) + 'static,
) -> gio::SimpleAction {
    let action = gio::SimpleAction::new_stateful(name, Some(glib::VariantTy::STRING), &word.to_variant());
    action.connect_change_state(move |action, state| {
        if let Some(word) = state.and_then(glib::Variant::str) {
            action.set_state(&word.to_variant());
            run(word);
        }
    });
    map.add_action(&action);
    action
}

/// A switch. `run` gets the state it should have and says by [`gio::SimpleAction::set_state`] which it has.
pub(crate) fn switch(
    map: &impl IsA<gio::ActionMap>,
    name: &str,
    run: impl Fn(&gio::SimpleAction, bool) + 'static,
) -> gio::SimpleAction {
    let action = gio::SimpleAction::new_stateful(name, None, &false.to_variant());
    action.connect_change_state(move |action, state| {
        if let Some(on) = state.and_then(glib::Variant::get::<bool>) {
            run(action, on);
        }
    });
    map.add_action(&action);
    action
}

/// A menu's section of labels and detailed action names.
pub(crate) fn section(menu: &gio::Menu, items: &[(String, &str)]) {
    let section = gio::Menu::new();
    for (label, action) in items {
        section.append(Some(label), Some(action));
    }
    menu.append_section(None, &section);
}

/// A menu's section of labels and detailed action names, with a heading.
pub(crate) fn titled_section(menu: &gio::Menu, title: &str, items: &[(String, &str)]) {
    let section = gio::Menu::new();
    for (label, action) in items {
        section.append(Some(label), Some(action));
    }
    menu.append_section(Some(title), &section);
}
