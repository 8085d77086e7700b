//! How a console shows its machine's screen: the menu, and what of it is remembered for the machine.

use adw::prelude::*;
use gtk::{gio, glib};
use uuid::Uuid;

use super::display::Display;
use crate::actions;
use crate::i18n::gettext;
use crate::remembered::Remembered;
use console::geometry::Scaling;

/// Names of the actions and of what is remembered.
const SCALING: &str = "scaling";
const RESIZE: &str = "resize-guest";

/// Scalings by the names that are remembered, and that `win.scaling` takes.
const SCALINGS: [(&str, Scaling); 3] =
    [("fit", Scaling::Fit), ("actual", Scaling::Actual), ("multiples", Scaling::Multiples)];

/// Adds the actions, and shows the screen as the person had it.
pub(super) fn install(root: &adw::ApplicationWindow, display: &Display, machine: Uuid) {
    let remembered = Remembered::of(machine);
    let name = remembered.get(SCALING).filter(|name| scaling(name).is_some()).unwrap_or(SCALINGS[0].0.into());
    let weak = display.downgrade();
    let choose = gio::SimpleAction::new_stateful(SCALING, Some(glib::VariantTy::STRING), &name.to_variant());
    display.set_scaling(scaling(&name).unwrap_or_default());
    choose.connect_change_state(move |action, name| {
        let Some(name) = name.and_then(glib::Variant::str) else { return };
        if let (Some(display), Some(scaling)) = (weak.upgrade(), scaling(name)) {
            action.set_state(&name.to_variant());
            display.set_scaling(scaling);
            Remembered::of(machine).set(SCALING, Some(name));
        }
    });
    root.add_action(&choose);

    let follows = remembered.get(RESIZE).as_deref() != Some("false");
    let weak = display.downgrade();
    display.set_resizes_guest(follows);
    let follow = actions::switch(root, RESIZE, move |action, on| {
        if let Some(display) = weak.upgrade() {
            action.set_state(&on.to_variant());
            display.set_resizes_guest(on);
            Remembered::of(machine).set(RESIZE, Some(if on { "true" } else { "false" }));
        }
    });
    follow.set_state(&follows.to_variant());
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
