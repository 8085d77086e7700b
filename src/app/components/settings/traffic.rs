//! What goes through a running machine's card: how much, and all of it into a file when somebody wants to look.

use adw::prelude::*;
use api::control::NetworkStatus;
use gtk::gio;

use super::SettingsMsg;
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::words;

/// The row.
pub(super) struct Traffic {
    card: String,
    row: adw::ActionRow,
    begin: gtk::Button,
    end: gtk::Button,
}

impl Traffic {
    pub(super) fn new(card: usize, group: &adw::PreferencesGroup, input: relm4::Sender<SettingsMsg>) -> Self {
        let card = format!("net{card}");
        let row = adw::ActionRow::builder().title(gettext("Traffic")).visible(false).build();
        row.add_css_class("property");
        let button = |label: &str, about: &str| {
            gtk::Button::builder().label(label).tooltip_text(about).valign(gtk::Align::Center).build()
        };
        let begin = button(&gettext("Capture…"), &gettext("Write all of it to a file that Wireshark reads"));
        let end = button(&gettext("End Capture"), &gettext("All of it is written to a file"));
        let (sender, name) = (input.clone(), card.clone());
        begin.connect_clicked(move |button| ask_file(button, &name, sender.clone()));
        let name = card.clone();
        end.connect_clicked(move |_| input.emit(SettingsMsg::Change(Change::EndCapture(name.clone()))));
        row.add_suffix(&begin);
        row.add_suffix(&end);
        group.add(&row);
        Self { card, row, begin, end }
    }

    /// Shows what the engine says; a machine that is off has no traffic.
    pub(super) fn show(&self, cards: &[NetworkStatus]) {
        let card = cards.iter().find(|card| card.device == self.card);
        self.row.set_visible(card.is_some());
        let Some(card) = card else { return };
        self.row.set_subtitle(&traffic(card));
        self.begin.set_visible(!card.captured);
        self.end.set_visible(card.captured);
    }
}

/// How much went through, or that nothing does.
fn traffic(card: &NetworkStatus) -> String {
    let (sent, received) = (words::bytes(card.sent_bytes), words::bytes(card.received_bytes));
    let words = [("sent", sent.as_str()), ("received", received.as_str())];
    if card.plugged && !card.link {
        gettext_f("{sent} sent, {received} received. There is no connection now", &words)
    } else {
        gettext_f("{sent} sent, {received} received", &words)
    }
}

fn ask_file(button: &gtk::Button, card: &str, input: relm4::Sender<SettingsMsg>) {
    let window = button.root().and_downcast::<gtk::Window>();
    let chooser = gtk::FileDialog::builder()
        .title(gettext("Capture to a File"))
        .initial_name(format!("{card}.pcapng"))
        .modal(true)
        .build();
    let card = card.to_owned();
    chooser.save(window.as_ref(), None::<&gio::Cancellable>, move |picked| {
        if let Some(path) = picked.ok().and_then(|file| file.path()) {
            input.emit(SettingsMsg::Change(Change::Capture(card, path)));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_said_with_the_connection() {
        let card = NetworkStatus {
            device: "net0".into(),
            mac: api::machine::MacAddress([0; 6]),
            network: "nat".into(),
            plugged: true,
            link: true,
            sent: 1,
            sent_bytes: 2048,
            dropped: 0,
            received: 0,
            received_bytes: 0,
            captured: false,
        };
        assert_eq!(traffic(&card), "2.0\u{a0}KiB sent, 0 bytes received");
        assert!(traffic(&NetworkStatus { link: false, ..card.clone() }).ends_with("There is no connection now"));
        assert!(!traffic(&NetworkStatus { link: false, plugged: false, ..card }).contains("connection"));
    }
}
