//! Moving a machine's folder to another place: the question where to, and how far it is.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use adw::prelude::*;
use gtk::gio;
use library::Progress;
use relm4::prelude::*;
use uuid::Uuid;

use super::{Found, Window, WindowMsg, WindowWidgets, toast};
use crate::i18n::{gettext, gettext_f};
use crate::machines;
use crate::reasons::reason;
use crate::words;

/// How long the end of the app waits for a copy that is given up to be removed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A machine on its way.
pub(super) struct Moving {
    dialog: adw::AlertDialog,
    bar: gtk::ProgressBar,
    stop: Arc<AtomicBool>,
    /// Hears when it is over, as its other end goes.
    over: Receiver<()>,
}

impl Moving {
    /// So much of it is done.
    pub(super) fn show(&self, part: f64) {
        self.bar.set_fraction(part);
    }

    /// The app ends: what was copied so far goes.
    pub(super) fn stop_now(self) {
        self.stop.store(true, Ordering::Relaxed);
        // What is not removed by then has a name that says what it is.
        let _ = self.over.recv_timeout(PATIENCE);
    }
}

impl Window {
    /// Asks where the selected machine's folder is to go, if it can.
    pub(super) fn ask_place(
        &self,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
        widgets: &WindowWidgets,
    ) {
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) else { return };
        let name = [("name", summary.name())];
        if summary.is_live() {
            return toast(&widgets.toasts, &gettext_f("“{name}” is running: turn it off to move it", &name));
        }
        let dialog = gtk::FileDialog::builder()
            .title(gettext_f("Where to Move “{name}”", &name))
            .accept_label(gettext("_Move Here"))
            .build();
        let sender = sender.clone();
        dialog.select_folder(Some(root), None::<&gio::Cancellable>, move |chosen| {
            // Dismissed, or without a path: then there is no place.
            if let Some(place) = chosen.ok().and_then(|file| file.path()) {
                sender.input(WindowMsg::MoveTo(place));
            }
        });
    }

    /// Moves the selected machine's folder there.
    pub(super) fn move_to(
        &mut self,
        place: PathBuf,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
        widgets: &WindowWidgets,
    ) {
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) else { return };
        let (uuid, name) = (summary.uuid(), summary.name().to_owned());
        if self.moving.is_some() {
            return toast(&widgets.toasts, &gettext("Another machine is being moved: one at a time"));
        }
        let bar = gtk::ProgressBar::new();
        bar.update_property(&[gtk::accessible::Property::Label(&gettext("Progress"))]);
        let dialog = adw::AlertDialog::new(Some(&gettext_f("Moving “{name}”", &[("name", &name)])), None);
        dialog.set_body(&gettext_f("To {place}", &[("place", &words::quote(&place.display().to_string()))]));
        dialog.set_extra_child(Some(&bar));
        dialog.add_response("stop", &gettext("_Stop"));
        dialog.set_close_response("stop");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        dialog.connect_response(None, move |_, _| stopped.store(true, Ordering::Relaxed));
        dialog.present(Some(root));

        let (open, over) = channel();
        self.moving = Some(Moving { dialog, bar, stop: Arc::clone(&stop), over });
        sender.spawn_command(move |found| {
            let _open: std::sync::mpsc::Sender<()> = open;
            let mut told = None;
            let result = machines::move_to(uuid, &place, &mut |Progress { done, all }| {
                let percent = done.saturating_mul(100) / all.max(1);
                if told.replace(percent) != Some(percent) {
                    // Nobody listens any more while the app ends.
                    drop(found.send(Found::Moving(percent as f64 / 100.0)));
                }
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            drop(found.send(Found::Moved(uuid, result.map_err(|error| reason(&error)))));
        });
    }

    /// It is there, or it is where it was.
    pub(super) fn moved(
        &mut self,
        uuid: Uuid,
        result: Result<PathBuf, String>,
        sender: &ComponentSender<Self>,
        widgets: &WindowWidgets,
    ) {
        if let Some(moving) = self.moving.take() {
            moving.dialog.force_close();
        }
        match result {
            Ok(folder) => {
                let name = self.summary(uuid).map_or_else(String::new, |summary| summary.name().to_owned());
                let names = [("name", name.as_str()), ("folder", &words::quote(&folder.display().to_string()))];
                toast(&widgets.toasts, &gettext_f("“{name}” is in {folder} now", &names));
            }
            Err(why) => toast(&widgets.toasts, &words::sentence(&why)),
        }
        self.refresh(sender);
    }
}
