//! Choosing an image for a CD drive.

use std::path::PathBuf;

use gtk::gio;
use gtk::prelude::*;

use crate::i18n::gettext;

/// Lets the person choose one, over this window.
pub(crate) fn pick(window: Option<&impl IsA<gtk::Window>>, chosen: impl FnOnce(PathBuf) + 'static) {
    let images = gtk::FileFilter::new();
    images.set_name(Some(&gettext("CD and DVD Images")));
    images.add_suffix("iso");
    // Some have other names.
    let all = gtk::FileFilter::new();
    all.set_name(Some(&gettext("All Files")));
    all.add_pattern("*");
    let filters: gio::ListStore = [images, all].into_iter().collect();
    let dialog = gtk::FileDialog::builder().title(gettext("Insert a CD")).modal(true).filters(&filters).build();
    dialog.open(window, None::<&gio::Cancellable>, move |picked| {
        if let Some(path) = picked.ok().and_then(|file| file.path()) {
            chosen(path);
        }
    });
}
