//! What to do when this computer cannot run machines.

use adw::prelude::*;
use library::kvm::KvmState;

use crate::components::ask;
use crate::i18n::gettext;
use crate::reasons;

/// What to do about KVM, with the command to copy if there is one.
pub(super) fn present(state: &KvmState, root: &adw::ApplicationWindow) {
    let Some((text, command)) = reasons::kvm_advice(state) else { return };
    let body = format!("{} {text}", reasons::kvm(state));
    let dialog = adw::AlertDialog::new(Some(&gettext("Machines Cannot Run")), Some(&body));
    dialog.add_response("close", &gettext("_Close"));
    if let Some(command) = command {
        let label = gtk::Label::builder().label(command).selectable(true).wrap(true).css_classes(["monospace"]).build();
        dialog.set_extra_child(Some(&label));
        dialog.add_response("copy", &gettext("Copy _Command"));
        dialog.set_response_appearance("copy", adw::ResponseAppearance::Suggested);
    }
    dialog.set_close_response("close");
    let window = root.clone();
    ask::choose(&dialog, root, move |response| {
        if let ("copy", Some(command)) = (response, command) {
            window.clipboard().set_text(command);
        }
    });
}
