//! Where a card's cable goes: a choice, and the name of the network when it has one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use api::machine::{Attachment, Machine};
use api::settings::{CardKey, Key};

use super::{SettingsMsg, text};
use crate::i18n::gettext;
use crate::machines::Change;
use crate::words;

/// The kinds of networks, in the order in which they are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nat,
    Internal,
    Bridge,
    Tap,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Nat, Self::Internal, Self::Bridge, Self::Tap];

    fn of(attachment: &Attachment) -> Self {
        match attachment {
            Attachment::Nat => Self::Nat,
            Attachment::Internal(_) => Self::Internal,
            Attachment::Bridge(_) => Self::Bridge,
            Attachment::Tap(_) => Self::Tap,
        }
    }

    fn title(self) -> String {
        match self {
            Self::Nat => gettext("This Computer"),
            Self::Internal => gettext("Internal Network"),
            Self::Bridge => gettext("Bridge"),
            Self::Tap => gettext("Tap Device"),
        }
    }

    /// What it is called until the person says otherwise: who chooses an internal network in two machines has them connected.
    fn proposed(self) -> &'static str {
        match self {
            Self::Nat => "",
            Self::Internal => "lan",
            Self::Bridge => "br0",
            Self::Tap => "tap0",
        }
    }

    /// The setting's value with this name.
    fn value(self, name: &str) -> String {
        match self {
            Self::Nat => "nat".to_owned(),
            Self::Internal => format!("internal:{name}"),
            Self::Bridge => format!("bridge:{name}"),
            Self::Tap => format!("tap:{name}"),
        }
    }
}

/// The name in an attachment.
fn name(attachment: &Attachment) -> Option<String> {
    match attachment {
        Attachment::Nat => None,
        Attachment::Internal(name) => Some(name.to_string()),
        Attachment::Bridge(name) | Attachment::Tap(name) => Some(name.to_string()),
    }
}

/// The rows, and the group that they head.
pub(super) struct Connection {
    card: usize,
    group: adw::PreferencesGroup,
    choice: adw::ComboRow,
    name: adw::EntryRow,
    /// The rows are being changed by us: what they then say is not the person's wish.
    showing: Rc<Cell<bool>>,
    /// What was shown last: a name that is being typed stays until there is another.
    shown: RefCell<Option<Attachment>>,
}

impl Connection {
    pub(super) fn new(card: usize, group: &adw::PreferencesGroup, input: relm4::Sender<SettingsMsg>) -> Self {
        let (title, about) = text::of(Key::Card(card, CardKey::Network));
        let titles = Kind::ALL.map(Kind::title);
        let model = gtk::StringList::new(&titles.each_ref().map(String::as_str));
        let choice = adw::ComboRow::builder().title(title).subtitle(about).model(&model).build();
        let name = adw::EntryRow::builder().title(gettext("Network Name")).show_apply_button(true).build();
        group.add(&choice);
        group.add(&name);
        let showing = Rc::new(Cell::new(false));
        let wish = {
            let showing = showing.clone();
            move |value: String| {
                if !showing.get() {
                    input.emit(SettingsMsg::Change(Change::Set(Key::Card(card, CardKey::Network), value)));
                }
            }
        };
        let kind = |choice: &adw::ComboRow| Kind::ALL.get(choice.selected() as usize).copied();
        let chosen = wish.clone();
        choice.connect_selected_notify(move |choice| {
            if let Some(kind) = kind(choice) {
                chosen(kind.value(kind.proposed()));
            }
        });
        let choice_of_name = choice.downgrade();
        name.connect_apply(move |row| {
            if let Some(kind) = choice_of_name.upgrade().as_ref().and_then(kind) {
                wish(kind.value(&row.text()));
            }
        });
        Self { card, group: group.clone(), choice, name, showing, shown: RefCell::default() }
    }

    /// What the person typed was refused: it goes.
    pub(super) fn refuse(&self) {
        self.shown.replace(None);
    }

    /// Shows what is so. A machine that is on may have to let it alone.
    pub(super) fn show(&self, machine: &Machine, live: bool) {
        let Some(attachment) = machine.networks.get(self.card).map(|network| &network.attachment) else { return };
        let name = name(attachment);
        self.showing.set(true);
        let kind = Kind::of(attachment);
        let place = Kind::ALL.iter().position(|other| *other == kind);
        self.choice.set_selected(place.and_then(|place| u32::try_from(place).ok()).unwrap_or_default());
        self.name.set_visible(name.is_some());
        if self.shown.borrow().as_ref() != Some(attachment) {
            // What stands there already would look as if it still had to be applied.
            let name = name.unwrap_or_default();
            if self.name.text() != name {
                self.name.set_text(&name);
            }
            self.shown.replace(Some(attachment.clone()));
        }
        self.showing.set(false);
        self.group.set_description(Some(&words::attachment(attachment)));
        let sensitive = !live || Key::Card(self.card, CardKey::Network).is_live();
        self.choice.set_sensitive(sensitive);
        self.name.set_sensitive(sensitive);
    }
}
