//! Questions before something is lost, and answers that are no questions.

use std::cell::Cell;

use adw::prelude::*;

use crate::i18n::gettext;

/// Shows a question; `answered` hears the answer's name, once. (The binding's own `choose` keeps its dialog for ever: libadwaita 0.9.)
pub(crate) fn choose(dialog: &adw::AlertDialog, parent: &impl IsA<gtk::Widget>, answered: impl FnOnce(&str) + 'static) {
    let answered = Cell::new(Some(answered));
    dialog.connect_response(None, move |_, answer| {
        if let Some(answered) = answered.take() {
            answered(answer);
        }
    });
    dialog.present(Some(parent));
}

/// Asks whether to do something that cannot be undone, and does it when the answer is yes. `verb` is the button's label.
pub(crate) fn before(
    parent: &impl IsA<gtk::Widget>,
    (heading, body, verb): (&str, &str, &str),
    act: impl FnOnce() + 'static,
) {
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("act", verb)]);
    dialog.set_response_appearance("act", adw::ResponseAppearance::Destructive);
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    choose(&dialog, parent, move |response| {
        if response == "act" {
            act();
        }
    });
}

/// Says what cannot be done; a line that follows is one to copy.
pub(crate) fn explain(parent: &impl IsA<gtk::Widget>, heading: &str, why: &str) {
    let Some((words, line)) = why.split_once('\n') else { return tell(parent, heading, why) };
    let dialog = adw::AlertDialog::new(Some(heading), Some(words));
    let label = gtk::Label::builder().label(line).selectable(true).wrap(true).css_classes(["monospace"]).build();
    label.set_wrap_mode(gtk::pango::WrapMode::WordChar);
    dialog.set_extra_child(Some(&label));
    dialog.add_responses(&[("close", &gettext("_Close")), ("copy", &gettext("Copy _Line"))]);
    dialog.set_close_response("close");
    let (clipboard, line) = (parent.clipboard(), line.to_owned());
    choose(&dialog, parent, move |response| {
        if response == "copy" {
            clipboard.set_text(&line);
        }
    });
}

/// Says what cannot be done.
pub(crate) fn tell(parent: &impl IsA<gtk::Widget>, heading: &str, body: &str) {
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
    dialog.add_response("close", &gettext("_Close"));
    dialog.present(Some(parent));
}
