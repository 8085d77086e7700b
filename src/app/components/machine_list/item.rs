//! A machine as the list shows it, in a row or in a tile.

use gtk::gdk;
use uuid::Uuid;

use crate::i18n::gettext_f;
use crate::machines::Summary;
use crate::words;

/// The machine.
pub(super) struct Item {
    pub(super) summary: Summary,
    /// What its screen shows, if it runs.
    pub(super) picture: Option<gdk::Texture>,
}

/// What an item is told.
#[derive(Debug)]
pub(super) enum ItemMsg {
    /// The machine, as it is now.
    Show(Box<Summary>),
    /// Its screen shows this.
    Picture(Option<gdk::Texture>),
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
            ItemMsg::Picture(picture) => self.picture = picture.filter(|_| self.summary.is_live()),
        }
    }
}
