//! Pictures of running machines' screens: large on the selected one's page, small in the list.
//!
//! They are taken while the window can be seen, the selected machine's and a few others' at a time, and none of a machine whose last one
//! has not come yet: an engine that is slow costs nothing.

use std::time::Duration;

use gtk::prelude::*;
use gtk::{gdk, glib};
use relm4::prelude::*;
use uuid::Uuid;

use super::{Found, Window, WindowMsg, tell};
use crate::components::machine_list::ListMsg;
use crate::components::machine_page::PageMsg;
use crate::machines::{self, Summary};
use crate::thumbnail;

/// How often.
const PICTURES: Duration = Duration::from_secs(3);
/// Most machines besides the selected one whose pictures are taken at a time; then it is others' turn.
const OTHERS: usize = 2;

impl Window {
    /// Calls for pictures as long as any machine runs.
    pub(super) fn time_pictures(&mut self, sender: &ComponentSender<Self>) {
        let live = self.machines.all.iter().any(Summary::is_live);
        match (live, self.pictures.take()) {
            (true, None) => {
                let input = sender.input_sender().clone();
                self.pictures = Some(glib::timeout_add_local(PICTURES, move || {
                    input.emit(WindowMsg::TakePictures);
                    glib::ControlFlow::Continue
                }));
                sender.input(WindowMsg::TakePictures);
            }
            (true, source) => self.pictures = source,
            (false, source) => source.into_iter().for_each(glib::SourceId::remove),
        }
    }

    /// Takes some, if anybody sees them.
    pub(super) fn take_pictures(&mut self, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        if !root.is_visible() || root.is_suspended() {
            return;
        }
        // A paused machine's screen does not change.
        let due =
            |summary: &&Summary| summary.is_live() && !(summary.is_paused() && self.pictured.contains(&summary.uuid()));
        let due: Vec<_> = self.machines.all.iter().filter(due).map(Summary::uuid).collect();
        let (selected, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|uuid| Some(*uuid) == self.selected);
        let turn = self.turn.min(others.len());
        let next: Vec<_> = others[turn..].iter().chain(&others[..turn]).take(OTHERS).copied().collect();
        self.turn = if others.is_empty() { 0 } else { (turn + OTHERS) % others.len() };
        for uuid in selected.into_iter().chain(next) {
            if self.picturing.insert(uuid) {
                sender.spawn_oneshot_command(move || {
                    let picture = machines::picture(uuid);
                    let small = picture.as_ref().and_then(thumbnail::of);
                    Found::Picture(uuid, picture, small)
                });
            }
        }
    }

    /// Shows one.
    pub(super) fn pictured(&mut self, uuid: Uuid, picture: Option<gdk::Texture>, small: Option<gdk::Texture>) {
        self.picturing.remove(&uuid);
        match small {
            Some(_) => self.pictured.insert(uuid),
            None => self.pictured.remove(&uuid),
        };
        tell(&self.list, ListMsg::Picture(uuid, small));
        self.show_picture(uuid, picture);
    }

    /// On the page, if it is this machine's.
    pub(super) fn show_picture(&self, uuid: Uuid, picture: Option<gdk::Texture>) {
        let live = self.summary(uuid).is_some_and(Summary::is_live);
        if self.selected == Some(uuid) && live {
            tell(&self.page, PageMsg::Picture(picture));
        }
    }
}
