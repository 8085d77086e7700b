//! A row of the dialog: one setting, shown and changed in the way that suits what it takes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use adw::prelude::*;
use api::machine::{Machine, SoundCard};
use api::settings::{Key, SoundKey, Takes};

use super::{SettingsMsg, text};
use crate::components::number_row;
use crate::i18n::gettext;
use crate::machines::Change;

/// The row.
pub(super) struct Row {
    key: Key,
    kind: Kind,
    /// The row is being changed by us: what it then says is not the person's wish.
    showing: Rc<Cell<bool>>,
}

enum Kind {
    Switch(adw::SwitchRow),
    /// With the words of its places.
    Choice(adw::ComboRow, Vec<String>),
    Number(adw::SpinRow),
    /// With what was shown last: a text that is being typed stays until there is another.
    Text(adw::EntryRow, RefCell<Option<String>>),
}

impl Row {
    /// `names` are systems' names by their ids.
    pub(super) fn new(key: Key, names: &HashMap<String, String>, input: &relm4::Sender<SettingsMsg>) -> Self {
        let (title, about) = text::of(key);
        let showing = Rc::new(Cell::new(false));
        // The person's wish, as the setting has it.
        let wish = {
            let (showing, input) = (showing.clone(), input.clone());
            move |value: String| {
                if !showing.get() {
                    input.emit(SettingsMsg::Change(Change::Set(key, value)));
                }
            }
        };
        let kind = match key.takes() {
            Takes::Words(["on", "off"]) => {
                let row = adw::SwitchRow::builder().title(title).subtitle(about).build();
                row.connect_active_notify(move |row| wish(if row.is_active() { "on" } else { "off" }.to_owned()));
                Kind::Switch(row)
            }
            Takes::Words(words) => {
                let words: Vec<_> = words.iter().map(|word| (text::value(key, word), (*word).to_owned())).collect();
                choice(&title, &about, words, wish)
            }
            Takes::Number(range) => {
                let row = number_row::new(&title, range, if key == Key::Memory { 256 } else { 1 });
                row.set_subtitle(&about);
                row.connect_value_notify(move |row| wish((row.value() as u64).to_string()));
                Kind::Number(row)
            }
            Takes::Text if key == Key::Os => {
                let mut words: Vec<_> = names.iter().map(|(id, name)| (name.clone(), id.clone())).collect();
                words.sort();
                words.insert(0, (gettext("Not known"), String::new()));
                choice(&title, &about, words, wish)
            }
            Takes::Text | Takes::Network | Takes::Forwards | Takes::Devices | Takes::UsbRules => {
                let row = adw::EntryRow::builder().title(title).show_apply_button(true).build();
                row.connect_apply(move |row| wish(row.text().into()));
                Kind::Text(row, RefCell::default())
            }
        };
        Self { key, kind, showing }
    }

    pub(super) fn widget(&self) -> &gtk::Widget {
        match &self.kind {
            Kind::Switch(row) => row.upcast_ref(),
            Kind::Choice(row, _) => row.upcast_ref(),
            Kind::Number(row) => row.upcast_ref(),
            Kind::Text(row, _) => row.upcast_ref(),
        }
    }

    /// What the person typed was refused: it goes.
    pub(super) fn refuse(&self) {
        if let Kind::Text(_, shown) = &self.kind {
            shown.replace(None);
        }
    }

    /// Shows what is so. A machine that is on lets some settings alone.
    pub(super) fn show(&self, machine: &Machine, live: bool) {
        let Some(value) = machine.get(self.key) else { return };
        self.showing.set(true);
        match &self.kind {
            Kind::Switch(row) => row.set_active(value == "on"),
            Kind::Choice(row, words) => {
                let place = words.iter().position(|word| *word == value);
                row.set_selected(
                    place.and_then(|place| u32::try_from(place).ok()).unwrap_or(gtk::INVALID_LIST_POSITION),
                );
            }
            Kind::Number(row) => row.set_value(value.parse().unwrap_or_default()),
            Kind::Text(row, shown) => {
                if shown.borrow().as_ref() != Some(&value) {
                    // What stands there already would look as if it still had to be applied.
                    if row.text() != value {
                        row.set_text(&value);
                    }
                    shown.replace(Some(value));
                }
            }
        }
        self.showing.set(false);
        self.widget().set_sensitive(is_open(self.key, machine, live));
    }
}

/// Can this setting change now? A machine that is on lets some alone, and without a card there is no sound to turn.
pub(super) fn is_open(key: Key, machine: &Machine, live: bool) -> bool {
    let silent = machine.sound.card == SoundCard::None;
    let of_sound = matches!(key, Key::Sound(what) if what != SoundKey::Card);
    (!live || key.is_live()) && !(silent && of_sound)
}

/// A choice among words with names.
fn choice(title: &str, about: &str, words: Vec<(String, String)>, wish: impl Fn(String) + 'static) -> Kind {
    let (names, words): (Vec<_>, Vec<_>) = words.into_iter().unzip();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let row = adw::ComboRow::builder().title(title).subtitle(about).model(&gtk::StringList::new(&names)).build();
    // What a screenful holds is found by looking.
    if words.len() > 20 {
        row.set_enable_search(true);
        row.set_expression(Some(&gtk::PropertyExpression::new(
            gtk::StringObject::static_type(),
            gtk::Expression::NONE,
            "string",
        )));
        row.set_search_match_mode(gtk::StringFilterMatchMode::Substring);
    }
    let values = words.clone();
    row.connect_selected_notify(move |row| {
        if let Some(value) = values.get(row.selected() as usize) {
            wish(value.clone());
        }
    });
    Kind::Choice(row, words)
}
