//! A card's ports: those of this computer that lead into the machine. They come and go while it runs.

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use api::machine::{Forward, Machine, Protocol};
use api::settings::{CardKey, Key};

use super::{SettingsMsg, refusal};
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::reasons;

/// The list, and a row that adds to it.
pub(super) struct Forwards {
    card: usize,
    pub(super) group: adw::PreferencesGroup,
    add: adw::EntryRow,
    /// What is shown, and its rows.
    shown: Rc<RefCell<(Vec<Forward>, Vec<adw::ActionRow>)>>,
    input: relm4::Sender<SettingsMsg>,
}

impl Forwards {
    pub(super) fn new(card: usize, input: relm4::Sender<SettingsMsg>) -> Self {
        let group = adw::PreferencesGroup::builder()
            .title(gettext("Ports"))
            .description(gettext("Programs on this computer reach these ports of the machine at 127.0.0.1"))
            .build();
        let add = adw::EntryRow::builder()
            .title(gettext("Add a port, as in 2222:22 or udp:5353:53"))
            .show_apply_button(true)
            .build();
        group.add(&add);
        let shown = Rc::new(RefCell::new((Vec::new(), Vec::new())));
        let ports = Self { card, group, add, shown, input };
        ports.listen();
        ports
    }

    /// Says at once whether what is typed is a forward, and adds it when it is applied.
    fn listen(&self) {
        self.add.connect_changed(|row| {
            let good = row.text().is_empty() || row.text().parse::<Forward>().is_ok();
            if good { row.remove_css_class("error") } else { row.add_css_class("error") }
        });
        let (card, input, shown) = (self.card, self.input.clone(), self.shown.clone());
        self.add.connect_apply(move |row| match row.text().parse::<Forward>() {
            Ok(new) => {
                let mut all = shown.borrow().0.clone();
                all.push(new);
                input.emit(set(card, &all));
                row.set_text("");
            }
            Err(problem) => {
                let dialog = row.ancestor(adw::PreferencesDialog::static_type());
                if let Some(dialog) = dialog.and_downcast::<adw::PreferencesDialog>() {
                    refusal::say(&dialog, &reasons::problem(&problem));
                }
            }
        });
    }

    /// Shows what is so.
    pub(super) fn show(&self, machine: &Machine) {
        let Some(network) = machine.networks.get(self.card) else { return };
        // Elsewhere no port of this computer can lead into the machine.
        self.group.set_visible(network.attachment.is_nat());
        let mut shown = self.shown.borrow_mut();
        if shown.0 == network.forwards {
            return;
        }
        shown.1.drain(..).for_each(|row| self.group.remove(&row));
        self.group.remove(&self.add);
        for forward in &network.forwards {
            let row = self.row(*forward);
            self.group.add(&row);
            shown.1.push(row);
        }
        self.group.add(&self.add);
        shown.0.clone_from(&network.forwards);
    }

    fn row(&self, forward: Forward) -> adw::ActionRow {
        let ports = [("host", forward.host.to_string()), ("guest", forward.guest.to_string())];
        let ports = [("host", ports[0].1.as_str()), ("guest", ports[1].1.as_str())];
        let title = gettext_f("{host} leads to {guest}", &ports);
        let protocol = match forward.protocol {
            Protocol::Tcp => gettext("TCP"),
            Protocol::Udp => gettext("UDP"),
        };
        let row = adw::ActionRow::builder().title(title).subtitle(protocol).build();
        let remove = gtk::Button::builder()
            .icon_name("user-trash-symbolic")
            .tooltip_text(gettext_f("Remove Port {host}", &ports))
            .valign(gtk::Align::Center)
            .css_classes(["flat"])
            .build();
        let (card, input, shown) = (self.card, self.input.clone(), self.shown.clone());
        remove.connect_clicked(move |_| {
            let left: Vec<_> = shown.borrow().0.iter().filter(|one| **one != forward).copied().collect();
            input.emit(set(card, &left));
        });
        row.add_suffix(&remove);
        row
    }
}

fn set(card: usize, forwards: &[Forward]) -> SettingsMsg {
    let value = forwards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    SettingsMsg::Change(Change::Set(Key::Card(card, CardKey::Forwards), value))
}
