//! The about dialog.

use adw::prelude::*;

use crate::config;
use crate::i18n::gettext;

/// Shows it.
pub(crate) fn present(parent: &impl IsA<gtk::Widget>) {
    let dialog = adw::AboutDialog::builder()
        .application_name("Dormer")
        .application_icon(config::APP_ID)
        .version(config::VERSION)
        .developer_name(gettext("The Dormer developers"))
        .comments(gettext("A window onto another computer: run Windows, Linux and other systems in virtual machines."))
        .website("https://github.com/dormer-vm/dormer")
        .issue_url("https://github.com/dormer-vm/dormer/issues")
        .license_type(gtk::License::MitX11)
        .build();
    dialog.add_legal_section(
        &gettext("Licence"),
        None,
        gtk::License::Custom,
        Some(&gettext("Dormer may be used under the MIT licence or the Apache License 2.0, as you like.")),
    );
    dialog.present(Some(parent));
}
