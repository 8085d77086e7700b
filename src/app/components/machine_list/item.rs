//! A machine as the list shows it, in a row or in a tile.

use gtk::gdk;
use gtk::prelude::*;
use uuid::Uuid;

use crate::i18n::gettext_f;
use crate::machines::Summary;
use crate::words;

/// The machine.
pub(super) struct Item {
    pub(super) summary: Summary,
    /// What its screen shows, if it runs.
    pub(super) picture: Option<gdk::Texture>,
    /// Whether it is among those that the person chooses; none while they do not choose.
    pub(super) chosen: Option<bool>,
}

/// What an item is told.
#[derive(Debug)]
pub(super) enum ItemMsg {
    /// The machine, as it is now.
    Show(Box<Summary>),
    /// Its screen shows this.
    Picture(Option<gdk::Texture>),
    /// It is chosen, or not; or nothing is being chosen.
    Chosen(Option<bool>),
}

/// A widget that can be chosen, for those who do not see its mark.
pub(super) trait Choosable {
    fn tell_chosen(&self, chosen: Option<bool>);
}

impl<W: IsA<gtk::Accessible>> Choosable for W {
    fn tell_chosen(&self, chosen: Option<bool>) {
        match chosen {
            Some(chosen) => {
                let checked = if chosen { gtk::AccessibleTristate::True } else { gtk::AccessibleTristate::False };
                self.update_state(&[gtk::accessible::State::Checked(checked)]);
            }
            None => self.reset_state(gtk::AccessibleState::Checked),
        }
    }
}

/// A widget that shows one.
pub(super) trait ShowsItem {
    fn item(&self) -> &Item;
}

impl Item {
    pub(super) fn uuid(&self) -> Uuid {
        self.summary.uuid()
    }

    pub(super) fn icon(&self) -> &'static str {
        match (self.summary.is_live(), self.summary.is_paused()) {
            (false, _) => "computer-symbolic",
            (true, false) => "media-playback-start-symbolic",
            (true, true) => "media-playback-pause-symbolic",
        }
    }

    pub(super) fn state(&self) -> String {
        words::state(self.summary.state)
    }

    pub(super) fn spoken(&self) -> String {
        gettext_f("{name}, {state}", &[("name", self.summary.name()), ("state", &self.state())])
    }

    pub(super) fn take(&mut self, message: ItemMsg) {
        match message {
            ItemMsg::Show(summary) => {
                if !summary.is_live() {
                    self.picture = None;
                }
                self.summary = *summary;
            }
            ItemMsg::Chosen(chosen) => self.chosen = chosen,
            ItemMsg::Picture(picture) => self.picture = picture.filter(|_| self.summary.is_live()),
        }
    }
}
