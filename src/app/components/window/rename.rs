//! Another name for a machine.

use adw::prelude::*;

use crate::components::ask;
use crate::i18n::{gettext, gettext_f};
use crate::words;

/// Asks for a name, and calls with it when it is one that this machine can have. `taken` are those of the others.
pub(super) fn present(
    root: &adw::ApplicationWindow,
    name: &str,
    taken: Vec<String>,
    rename: impl FnOnce(&str) + 'static,
) {
    let entry = gtk::Entry::builder().text(name).activates_default(true).build();
    entry.update_property(&[gtk::accessible::Property::Label(&gettext("Name"))]);
    let problem = gtk::Label::builder().wrap(true).xalign(0.0).visible(false).css_classes(["error"]).build();
    let content = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(6).build();
    content.append(&entry);
    content.append(&problem);

    let dialog = adw::AlertDialog::new(Some(&gettext_f("Rename “{name}”", &[("name", name)])), None);
    dialog.set_extra_child(Some(&content));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("rename", &gettext("_Rename"))]);
    dialog.set_response_appearance("rename", adw::ResponseAppearance::Suggested);
    dialog.set_response_enabled("rename", false);
    dialog.set_default_response(Some("rename"));
    dialog.set_close_response("cancel");

    let (old, weak) = (name.to_owned(), dialog.downgrade());
    entry.connect_changed(move |entry| {
        let name = entry.text();
        let wrong = words::name_problem(&name).or_else(|| {
            let taken = taken.iter().any(|other| *other == name);
            taken.then(|| gettext_f("There is a machine “{name}” already.", &[("name", &name)]))
        });
        if let Some(dialog) = weak.upgrade() {
            dialog.set_response_enabled("rename", wrong.is_none() && name != old);
        }
        problem.set_visible(wrong.is_some());
        problem.set_label(&wrong.unwrap_or_default());
    });
    let typed = entry.clone();
    ask::choose(&dialog, root, move |response| {
        if response == "rename" {
            rename(&typed.text());
        }
    });
    entry.grab_focus();
}
