//! How a console shows its machine's screen: the menu, and what of it is remembered for the machine.

use adw::prelude::*;
use gtk::{gio, glib};
use uuid::Uuid;

use super::display::Display;
use crate::actions;
use crate::i18n::gettext;
use crate::preferences::{self, Preferences};
use console::geometry::Scaling;

/// Names of the actions.
const SCALING: &str = "scaling";
const RESIZE: &str = "resize-guest";

/// Scalings by the names that are remembered, and that `win.scaling` takes.
const SCALINGS: [(&str, Scaling); 3] =
    [("fit", Scaling::Fit), ("actual", Scaling::Actual), ("multiples", Scaling::Multiples)];

/// Adds the actions, and shows the screen as the person had it.
pub(super) fn install(root: &adw::ApplicationWindow, display: &Display, machine: Uuid, app: &Preferences) {
    let own = Preferences::of_machine(machine);
    let name = own.word(preferences::SCALING).filter(|name| scaling(name).is_some()).unwrap_or(SCALINGS[0].0.into());
    let (weak, scaled) = (display.downgrade(), own.clone());
    let choose = gio::SimpleAction::new_stateful(SCALING, Some(glib::VariantTy::STRING), &name.to_variant());
    display.set_scaling(scaling(&name).unwrap_or_default());
    choose.connect_change_state(move |action, name| {
        let Some(name) = name.and_then(glib::Variant::str) else { return };
        if let (Some(display), Some(scaling)) = (weak.upgrade(), scaling(name)) {
            action.set_state(&name.to_variant());
            display.set_scaling(scaling);
            scaled.set_word(preferences::SCALING, name);
        }
    });
    root.add_action(&choose);

    let (weak, kept) = (display.downgrade(), own.clone());
    let follow = actions::switch(root, RESIZE, move |action, on| {
        if let Some(display) = weak.upgrade() {
            action.set_state(&on.to_variant());
            display.set_resizes_guest(on);
            kept.set_word(preferences::RESIZE_GUEST, if on { "yes" } else { "no" });
        }
    });
    let weak = display.downgrade();
    let show = move || {
        // A machine of which nothing was said is as all machines are.
        let follows = match own.word(preferences::RESIZE_GUEST).as_deref() {
            Some("yes") => true,
            Some("no") => false,
            _ => Preferences::of_app().is_on(preferences::RESIZE_GUEST),
        };
        if let Some(display) = weak.upgrade() {
            follow.set_state(&follows.to_variant());
            display.set_resizes_guest(follows);
        }
    };
    show();
    app.watch(preferences::RESIZE_GUEST, show);
}

fn scaling(name: &str) -> Option<Scaling> {
    SCALINGS.iter().find(|(known, _)| *known == name).map(|(_, scaling)| *scaling)
}

/// The menu.
pub(super) fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    actions::section(
        &menu,
        &[
            (gettext("_Fit to Window"), "win.scaling::fit"),
            (gettext("_Actual Size"), "win.scaling::actual"),
            (gettext("Integer _Multiples"), "win.scaling::multiples"),
        ],
    );
    actions::section(&menu, &[(gettext("_Resize Guest to Window"), "win.resize-guest")]);
    actions::section(&menu, &[(gettext("F_ull Screen"), "win.fullscreen")]);
    menu
}
