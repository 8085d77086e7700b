//! What a person holds down at the moment.
//!
//! Toolkits repeat held keys and lose releases when a window loses the focus; a guest must see each press and release once.

use std::collections::BTreeSet;

use api::input::Button;

use crate::key;

/// Keys and buttons that the engine believes to be down.
#[derive(Debug, Default)]
pub(crate) struct Pressed {
    keys: BTreeSet<u16>,
    buttons: Vec<Button>,
}

impl Pressed {
    /// Notes a key; true when that is news.
    pub(crate) fn key(&mut self, code: u16, down: bool) -> bool {
        if code == 0 || code > key::MAX {
            return false;
        }
        if down { self.keys.insert(code) } else { self.keys.remove(&code) }
    }

    /// Notes a button; true when that is news.
    pub(crate) fn button(&mut self, button: Button, down: bool) -> bool {
        let held = self.buttons.contains(&button);
        if down && !held {
            self.buttons.push(button);
        } else if !down {
            self.buttons.retain(|other| *other != button);
        }
        held != down
    }

    /// Notes that everything is up; true when that is news.
    pub(crate) fn release_all(&mut self) -> bool {
        let any = !self.keys.is_empty() || !self.buttons.is_empty();
        *self = Self::default();
        any
    }
}
