//! Deleting machines: the question, and the time in which it can be undone.

use adw::prelude::*;
use gtk::glib;
use library::{Discarded, Loss};
use relm4::prelude::*;
use uuid::Uuid;

use super::{Found, Window, WindowMsg, WindowWidgets, toast};
use crate::components::ask;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::machines::{self, Summary};
use crate::reasons::reason;
use crate::words;

/// Seconds in which it can be undone.
const UNDO: u32 = 10;

/// What became of some machines, each with its identity.
pub(crate) type Each<T> = Vec<(Uuid, Result<T, String>)>;

impl Window {
    /// Looks what would be lost, for the question.
    pub(super) fn ask_deletion(&self, machines: Vec<Uuid>, sender: &ComponentSender<Self>) {
        sender.spawn_oneshot_command(move || {
            Found::Losses(each(machines, |uuid| machines::loss(uuid).map_err(|error| reason(&error))))
        });
    }

    /// Asks, once for all of them.
    pub(super) fn confirm_deletion(&self, losses: Each<Loss>, sender: &ComponentSender<Self>, widgets: &WindowWidgets) {
        let mut known = Vec::new();
        for (uuid, loss) in losses {
            match (self.summary(uuid), loss) {
                (Some(summary), Ok(loss)) => known.push((summary, loss)),
                (Some(summary), Err(why)) => self.tell_why(summary.name(), &why, widgets),
                (None, _) => {}
            }
        }
        let (question, body) = match known.as_slice() {
            [] => return,
            [(summary, loss)] => (gettext_f("Delete “{name}”?", &[("name", summary.name())]), words::deletion(loss)),
            several => {
                let named: Vec<_> = several.iter().map(|(summary, loss)| (summary.name(), loss)).collect();
                let question = ngettext_f("Delete {count} Machine?", "Delete {count} Machines?", named.len(), &[]);
                (question, words::deletions(&named))
            }
        };
        let uuids: Vec<_> = known.iter().map(|(summary, _)| summary.uuid()).collect();
        let sender = sender.clone();
        ask::before(&widgets.toasts, (&question, &body, &gettext("_Delete")), move || {
            sender.spawn_oneshot_command(move || {
                let discard = |uuid| machines::discard(uuid).map(Box::new).map_err(|error| reason(&error));
                Found::Discarded(each(uuids, discard))
            });
        });
    }

    /// They are out of sight: for a while the person can have them back.
    pub(super) fn discarded(
        &mut self,
        results: Each<Box<Discarded>>,
        sender: &ComponentSender<Self>,
        widgets: &WindowWidgets,
    ) {
        let mut gone = Vec::new();
        for (uuid, result) in results {
            match result {
                Ok(discarded) => {
                    if let Some(console) = self.consoles.remove(&uuid) {
                        console.widget().destroy();
                    }
                    gone.push(uuid);
                    self.discarded.insert(uuid, *discarded);
                }
                Err(why) => self.tell_why(self.summary(uuid).map_or("", Summary::name), &why, widgets),
            }
        }
        let text = match gone.as_slice() {
            [] => return,
            [uuid] => {
                let name = self.discarded.get(uuid).map_or("", |discarded| &discarded.entry().machine.name);
                gettext_f("“{name}” is deleted", &[("name", name)])
            }
            several => ngettext_f("{count} machine is deleted", "{count} machines are deleted", several.len(), &[]),
        };
        let toast = adw::Toast::builder()
            .title(glib::markup_escape_text(&text))
            .button_label(gettext("_Undo"))
            .timeout(UNDO)
            .build();
        let (input, machines) = (sender.input_sender().clone(), gone.clone());
        toast.connect_button_clicked(move |_| input.emit(WindowMsg::Undelete(machines.clone())));
        let input = sender.input_sender().clone();
        // Comes after the button, too: then there is nothing left to finish.
        toast.connect_dismissed(move |_| input.emit(WindowMsg::FinishDeletion(gone.clone())));
        widgets.toasts.add_toast(toast);
        self.end_choosing();
        self.refresh(sender);
    }

    /// Says of this machine, by its name, why it is not deleted.
    fn tell_why(&self, name: &str, why: &str, widgets: &WindowWidgets) {
        let why = words::sentence(why);
        let named = gettext_f("{name}: {why}", &[("name", name), ("why", &why)]);
        toast(&widgets.toasts, if why.contains(name) { &why } else { &named });
    }

    /// Brings them back.
    pub(super) fn undelete(&mut self, machines: &[Uuid], sender: &ComponentSender<Self>) {
        for discarded in machines.iter().filter_map(|uuid| self.discarded.remove(uuid)) {
            sender.spawn_oneshot_command(move || {
                Found::Restored(discarded.restore().map(|entry| entry.machine.uuid).map_err(|error| reason(&error)))
            });
        }
    }

    /// Nobody wanted them back.
    pub(super) fn finish_deletion(&mut self, machines: &[Uuid], sender: &ComponentSender<Self>) {
        for discarded in machines.iter().filter_map(|uuid| self.discarded.remove(uuid)) {
            sender.spawn_oneshot_command(move || Found::Deleted(discarded.finish().map_err(|error| reason(&error))));
        }
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

fn each<T>(machines: Vec<Uuid>, ask: impl Fn(Uuid) -> Result<T, String>) -> Each<T> {
    machines.into_iter().map(|uuid| (uuid, ask(uuid))).collect()
}
