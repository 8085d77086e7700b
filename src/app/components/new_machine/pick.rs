//! The file chooser for an image.

use adw::prelude::*;
use gtk::gio;
use relm4::prelude::*;

use super::{NewMachineDialog, NewMachineMsg};
use crate::i18n::gettext;

/// Lets the person pick an image.
pub(super) fn pick(dialog: &adw::Dialog, sender: &ComponentSender<NewMachineDialog>) {
    let filter = gtk::FileFilter::new();
    filter.set_name(Some(&gettext("Installers and Disk Images")));
    for suffix in ["iso", "img", "raw", "qcow2"] {
        filter.add_suffix(suffix);
    }
    let all = gtk::FileFilter::new();
    all.set_name(Some(&gettext("All Files")));
    all.add_pattern("*");
    let filters = gio::ListStore::new::<gtk::FileFilter>();
    filters.append(&filter);
    filters.append(&all);
    let chooser = gtk::FileDialog::builder().title(gettext("Choose an Image")).modal(true).filters(&filters).build();
    let window = dialog.root().and_downcast::<gtk::Window>();
    let sender = sender.clone();
    chooser.open(window.as_ref(), None::<&gio::Cancellable>, move |picked| {
        if let Some(path) = picked.ok().and_then(|file| file.path()) {
            sender.input(NewMachineMsg::Use(path));
        }
    });
}
