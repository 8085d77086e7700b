//! Desktop notifications: what happens to machines while the person looks elsewhere.

use gtk::gio;
use gtk::prelude::*;
use relm4::prelude::*;
use uuid::Uuid;

use super::{Window, WindowMsg, WindowWidgets, tell, toast};
use crate::components::console::ConsoleMsg;
use crate::i18n::{gettext, gettext_f};
use crate::words;

impl Window {
    /// A machine's engine is gone, and nobody wanted that.
    pub(super) fn notify_death(&self, uuid: Uuid) {
        let Some(name) = self.name(uuid) else { return };
        self.notify(
            uuid,
            &gettext_f("“{name}” stopped unexpectedly", &[("name", &name)]),
            &gettext("What it had written to its disks is still there."),
        );
    }

    /// A machine's disk failed: once, until it goes on.
    pub(super) fn notify_disk(&mut self, uuid: Uuid, full: bool, why: &str) {
        let Some(name) = self.name(uuid) else { return };
        let (title, body) = disk_notice(&name, full, why);
        if !self.noticed.contains(&uuid) && self.notify(uuid, &title, &body) {
            self.noticed.insert(uuid);
        }
    }

    fn name(&self, uuid: Uuid) -> Option<String> {
        self.summary(uuid).map(|summary| summary.name().to_owned())
    }

    /// Whoever looks at one of our windows sees it there: then there is no notification.
    fn notify(&self, uuid: Uuid, title: &str, body: &str) -> bool {
        let application = relm4::main_application();
        if application.windows().iter().any(gtk::Window::is_active) {
            return false;
        }
        let notification = gio::Notification::new(title);
        notification.set_body(Some(body));
        let uuid = uuid.to_string();
        notification.set_default_action_and_target_value("app.show-machine", Some(&uuid.to_variant()));
        application.send_notification(Some(&uuid), &notification);
        true
    }

    /// Says something where the person is: here, or in the machine's console.
    pub(super) fn say(&self, uuid: Uuid, text: &str, widgets: &WindowWidgets) {
        let here = widgets.toasts.root().and_downcast::<gtk::Window>().is_some_and(|window| window.is_active());
        match self.consoles.get(&uuid).filter(|_| !here) {
            Some(console) => tell(console, ConsoleMsg::Toast(text.to_owned())),
            None => toast(&widgets.toasts, text),
        }
    }

    /// Shows a machine: its console if it has one, else its page.
    pub(super) fn show_machine(&mut self, uuid: Uuid, sender: &ComponentSender<Self>, widgets: &WindowWidgets) {
        if let Some(console) = self.consoles.get(&uuid) {
            return tell(console, ConsoleMsg::Present);
        }
        self.selected = Some(uuid);
        widgets.split.set_show_content(true);
        self.refresh(sender);
        sender.input(WindowMsg::Present);
    }
}

/// What is said of a disk that failed: of a full one, what to do.
fn disk_notice(name: &str, full: bool, why: &str) -> (String, String) {
    if full {
        let body =
            gettext("This computer’s disk is full. Make room, then let the machine go on: nothing is lost until then.");
        (gettext_f("No room for “{name}”", &[("name", name)]), body)
    } else {
        let title = gettext_f("A disk of “{name}” failed", &[("name", name)]);
        (title, words::sentence(&words::quote(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::disk_notice;

    #[test]
    fn a_full_disk_is_no_broken_one() {
        let (title, body) = disk_notice("Alpha", true, "no space left on device");
        assert!(title == "No room for “Alpha”" && body.contains("Make room"), "{title} {body}");
        let (title, body) = disk_notice("Alpha", false, "input/output error");
        assert_eq!((title.as_str(), body.as_str()), ("A disk of “Alpha” failed", "Input/output error."));
    }
}
