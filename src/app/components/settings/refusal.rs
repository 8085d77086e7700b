//! Why something was not changed, said over the dialog.

use adw::prelude::*;

use crate::words;

/// Says it for a while, all of it: sentences that say what to do do not fit into a line.
pub(super) fn say(dialog: &adw::PreferencesDialog, why: &str) {
    let label = gtk::Label::builder().label(words::sentence(why)).wrap(true).xalign(0.0).build();
    label.set_wrap_mode(gtk::pango::WrapMode::WordChar);
    dialog.add_toast(adw::Toast::builder().custom_title(&label).timeout(8).build());
}
