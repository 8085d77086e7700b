//! What the person wants to remember of a machine: a text of some lines. It is kept as it is typed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use api::machine::Machine;
use api::settings::Key;
use gtk::glib;

use super::SettingsMsg;
use crate::i18n::gettext;
use crate::machines::Change;

/// After so long without a key what was typed is kept.
const PAUSE: Duration = Duration::from_millis(700);

/// The text.
pub(super) struct Notes {
    pub(super) group: adw::PreferencesGroup,
    typed: Rc<Typed>,
}

/// What signals need.
struct Typed {
    buffer: gtk::TextBuffer,
    /// What is kept. A text that is being typed stays until there is another.
    kept: RefCell<String>,
    /// The text is being changed by us.
    showing: Cell<bool>,
    pause: Cell<Option<glib::SourceId>>,
    input: relm4::Sender<SettingsMsg>,
}

impl Notes {
    pub(super) fn new(input: relm4::Sender<SettingsMsg>) -> Self {
        let title = gettext("Notes");
        let view = gtk::TextView::builder()
            .wrap_mode(gtk::WrapMode::WordChar)
            .accepts_tab(false)
            .top_margin(12)
            .bottom_margin(12)
            .left_margin(12)
            .right_margin(12)
            .height_request(96)
            .build();
        view.add_css_class("card");
        view.update_property(&[gtk::accessible::Property::Label(&title)]);
        let group = adw::PreferencesGroup::builder().title(title).build();
        group.add(&view);
        let typed = Rc::new(Typed {
            buffer: view.buffer(),
            kept: RefCell::default(),
            showing: Cell::default(),
            pause: Cell::default(),
            input,
        });
        let later = Rc::downgrade(&typed);
        typed.buffer.connect_changed(move |_| {
            if let Some(typed) = later.upgrade() {
                typed.keep_soon();
            }
        });
        Self { group, typed }
    }

    /// Shows what is so.
    pub(super) fn show(&self, machine: &Machine) {
        if *self.typed.kept.borrow() == machine.notes {
            return;
        }
        self.typed.kept.replace(machine.notes.clone());
        if self.typed.text() != machine.notes {
            self.typed.showing.set(true);
            self.typed.buffer.set_text(&machine.notes);
            self.typed.showing.set(false);
        }
    }

    /// What was typed and is not kept yet.
    pub(super) fn news(&self) -> Option<Change> {
        self.typed.news()
    }
}

impl Typed {
    fn text(&self) -> glib::GString {
        self.buffer.text(&self.buffer.start_iter(), &self.buffer.end_iter(), false)
    }

    fn news(&self) -> Option<Change> {
        let text = self.text();
        (text != *self.kept.borrow()).then(|| Change::Set(Key::Notes, text.into()))
    }

    fn keep_soon(self: &Rc<Self>) {
        if self.showing.get() {
            return;
        }
        let typed = Rc::downgrade(self);
        let pause = glib::timeout_add_local_once(PAUSE, move || {
            let Some(typed) = typed.upgrade() else { return };
            // It has run: there is nothing to remove any more.
            typed.pause.take();
            if let Some(change) = typed.news() {
                typed.input.emit(SettingsMsg::Change(change));
            }
        });
        if let Some(earlier) = self.pause.replace(Some(pause)) {
            earlier.remove();
        }
    }
}
