//! Deleting machines: the question, and the time in which it can be undone.

use adw::prelude::*;
use gtk::glib;
use library::{Discarded, Loss};
use relm4::prelude::*;
use uuid::Uuid;

use super::{Found, Window, WindowMsg, WindowWidgets, toast};
use crate::components::ask;
use crate::i18n::{gettext, gettext_f};
use crate::machines;
use crate::words;

/// Seconds in which it can be undone.
const UNDO: u32 = 10;

impl Window {
    /// Looks what would be lost, for the question.
    pub(super) fn ask_deletion(&self, sender: &ComponentSender<Self>) {
        let Some(uuid) = self.selected else { return };
        sender
            .spawn_oneshot_command(move || Found::Loss(uuid, machines::loss(uuid).map_err(|error| error.to_string())));
    }

    /// Asks.
    pub(super) fn confirm_deletion(
        &self,
        uuid: Uuid,
        loss: Result<Loss, String>,
        sender: &ComponentSender<Self>,
        widgets: &WindowWidgets,
    ) {
        let Some(summary) = self.summary(uuid) else { return };
        let loss = match loss {
            Ok(loss) => loss,
            Err(why) => return toast(&widgets.toasts, &words::sentence(&why)),
        };
        let question = gettext_f("Delete “{name}”?", &[("name", summary.name())]);
        let sender = sender.clone();
        ask::before(&widgets.toasts, (&question, &words::deletion(&loss), &gettext("_Delete")), move || {
            sender.spawn_oneshot_command(move || {
                Found::Discarded(uuid, machines::discard(uuid).map(Box::new).map_err(|error| error.to_string()))
            });
        });
    }

    /// It is out of sight: for a while the person can have it back.
    pub(super) fn discarded(
        &mut self,
        uuid: Uuid,
        result: Result<Box<Discarded>, String>,
        sender: &ComponentSender<Self>,
        widgets: &WindowWidgets,
    ) {
        let discarded = match result {
            Ok(discarded) => discarded,
            Err(why) => return toast(&widgets.toasts, &words::sentence(&why)),
        };
        if let Some(console) = self.consoles.remove(&uuid) {
            console.widget().destroy();
        }
        let text = gettext_f("“{name}” is deleted", &[("name", &discarded.entry().machine.name)]);
        let toast = adw::Toast::builder()
            .title(glib::markup_escape_text(&text))
            .button_label(gettext("_Undo"))
            .timeout(UNDO)
            .build();
        let input = sender.input_sender().clone();
        toast.connect_button_clicked(move |_| input.emit(WindowMsg::Undelete(uuid)));
        let input = sender.input_sender().clone();
        // Comes after the button, too: then there is nothing left to finish.
        toast.connect_dismissed(move |_| input.emit(WindowMsg::FinishDeletion(uuid)));
        widgets.toasts.add_toast(toast);
        self.discarded.insert(uuid, *discarded);
        self.refresh(sender);
    }

    /// Brings it back.
    pub(super) fn undelete(&mut self, uuid: Uuid, sender: &ComponentSender<Self>) {
        let Some(discarded) = self.discarded.remove(&uuid) else { return };
        sender.spawn_oneshot_command(move || {
            Found::Restored(discarded.restore().map(|entry| entry.machine.uuid).map_err(|error| error.to_string()))
        });
    }

    /// Nobody wanted it back.
    pub(super) fn finish_deletion(&mut self, uuid: Uuid, sender: &ComponentSender<Self>) {
        let Some(discarded) = self.discarded.remove(&uuid) else { return };
        sender.spawn_oneshot_command(move || Found::Deleted(discarded.finish().map_err(|error| error.to_string())));
    }

    /// The app ends, and with it the time to undo.
    pub(super) fn finish_all_deletions(&mut self) {
        for (_, discarded) in self.discarded.drain() {
            if let Err(error) = discarded.finish() {
                tracing::warn!("a deleted machine's folder stays until Dormer starts again: {error}");
            }
        }
    }
}
