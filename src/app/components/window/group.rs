//! Another group for a machine.

use std::collections::BTreeSet;

use adw::prelude::*;
use relm4::prelude::*;

use super::{Window, WindowMsg};
use crate::components::ask;
use crate::i18n::{gettext, gettext_f};
use crate::machines::Order;
use crate::words;

impl Window {
    /// Asks for the selected machine's group: one that there is, a new one, or none.
    pub(super) fn ask_group(&self, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) else { return };
        let (uuid, machine) = (summary.uuid(), summary.entry.machine.clone());
        let groups: BTreeSet<_> = self.machines.all.iter().filter_map(|summary| summary.group()).collect();

        let now = machine.group.clone().unwrap_or_default();
        let entry = gtk::Entry::builder().text(now.as_str()).activates_default(true).build();
        entry.set_placeholder_text(Some(&gettext("No group")));
        entry.update_property(&[gtk::accessible::Property::Label(&gettext("Group"))]);
        let problem = gtk::Label::builder().wrap(true).xalign(0.0).visible(false).css_classes(["error"]).build();
        let known = adw::WrapBox::builder().child_spacing(6).line_spacing(6).visible(!groups.is_empty()).build();
        for group in groups {
            let button = gtk::Button::builder().label(group).build();
            let (entry, group) = (entry.clone(), group.to_owned());
            button.connect_clicked(move |_| entry.set_text(&group));
            known.append(&button);
        }
        let content = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(12).build();
        content.append(&entry);
        content.append(&problem);
        content.append(&known);

        let title = gettext_f("Group of “{name}”", &[("name", &machine.name)]);
        let body = gettext("Machines of one group stand together. Without a name, it is in none.");
        let dialog = adw::AlertDialog::new(Some(&title), Some(&body));
        dialog.set_extra_child(Some(&content));
        dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("move", &gettext("_Move"))]);
        dialog.set_response_appearance("move", adw::ResponseAppearance::Suggested);
        dialog.set_response_enabled("move", false);
        dialog.set_default_response(Some("move"));
        dialog.set_close_response("cancel");

        let weak = dialog.downgrade();
        entry.connect_changed(move |entry| {
            let (group, mut tried) = (entry.text(), machine.clone());
            let wrong = tried.set(api::settings::Key::Group, &group).err();
            if let Some(dialog) = weak.upgrade() {
                dialog.set_response_enabled("move", wrong.is_none() && group != now);
            }
            problem.set_visible(wrong.is_some());
            problem.set_label(&wrong.map(|wrong| words::sentence(&wrong.to_string())).unwrap_or_default());
        });
        let (typed, sender) = (entry.clone(), sender.clone());
        ask::choose(&dialog, root, move |response| {
            if response == "move" {
                sender.input(WindowMsg::Do(uuid, Order::SetGroup(typed.text().into())));
            }
        });
        entry.grab_focus();
    }
}
