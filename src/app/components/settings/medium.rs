//! What is in a CD drive: inserted, changed and taken out, also while the machine runs.

use adw::prelude::*;
use api::machine::Machine;

use super::SettingsMsg;
use crate::components::pick_cd;
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::words;

/// The row of a drive.
pub(super) struct MediumRow {
    /// The drive's place among the machine's.
    place: usize,
    pub(super) row: adw::ActionRow,
    eject: gtk::Button,
}

impl MediumRow {
    /// `name` is what settings call the drive, `title` what people do.
    pub(super) fn new(place: usize, name: &str, title: &str, input: &relm4::Sender<SettingsMsg>) -> Self {
        let row = adw::ActionRow::builder().title(gettext("Medium")).use_markup(false).build();
        row.add_css_class("property");
        let button = |icon: &str, what: String| {
            let button = gtk::Button::builder().icon_name(icon).tooltip_text(what).valign(gtk::Align::Center).build();
            button.add_css_class("flat");
            row.add_suffix(&button);
            button
        };
        let insert = button("document-open-symbolic", gettext_f("Insert into {name}…", &[("name", title)]));
        let (sender, drive) = (input.clone(), name.to_owned());
        insert.connect_clicked(move |button| {
            let (sender, drive) = (sender.clone(), drive.clone());
            let window = button.root().and_downcast::<gtk::Window>();
            pick_cd::pick(window.as_ref(), move |path| {
                sender.emit(SettingsMsg::Change(Change::InsertCd(drive, path)));
            });
        });
        let eject = button("media-eject-symbolic", gettext_f("Eject from {name}", &[("name", title)]));
        let (sender, drive) = (input.clone(), name.to_owned());
        eject.connect_clicked(move |_| sender.emit(SettingsMsg::Change(Change::EjectCd(drive.clone()))));
        Self { place, row, eject }
    }

    /// Shows what is so.
    pub(super) fn show(&self, machine: &Machine) {
        let Some(drive) = machine.drives.get(self.place) else { return };
        self.row.set_subtitle(&words::medium(drive));
        self.eject.set_sensitive(drive.image.is_some());
        let path = drive.image.as_deref().map(|path| path.display().to_string());
        self.row.set_tooltip_text(path.as_deref());
    }
}
