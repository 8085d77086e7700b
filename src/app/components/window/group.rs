//! Another group for a machine, or for several.

use std::collections::BTreeSet;

use adw::prelude::*;
use relm4::prelude::*;
use uuid::Uuid;

use super::{Window, WindowMsg};
use crate::components::ask;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::reasons;

impl Window {
    /// Asks for these machines' group: one that there is, a new one, or none.
    pub(super) fn ask_group(&self, uuids: &[Uuid], sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let machines: Vec<_> = uuids.iter().filter_map(|uuid| self.summary(*uuid)).collect();
        let Some(machine) = machines.first().map(|summary| summary.entry.machine.clone()) else { return };
        let mixed = machines.iter().any(|other| other.group() != machine.group.as_deref());
        let groups: BTreeSet<_> = self.machines.all.iter().filter_map(|summary| summary.group()).collect();

        let now = machine.group.clone().filter(|_| !mixed).unwrap_or_default();
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

        let title = match machines.len() {
            1 => gettext_f("Group of “{name}”", &[("name", &machine.name)]),
            count => ngettext_f("Group of {count} Machine", "Group of {count} Machines", count, &[]),
        };
        let body = gettext("Machines of one group stand together. Without a name, it is in none.");
        let dialog = adw::AlertDialog::new(Some(&title), Some(&body));
        dialog.set_extra_child(Some(&content));
        dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("move", &gettext("_Move"))]);
        dialog.set_response_appearance("move", adw::ResponseAppearance::Suggested);
        // Several that are in several groups can be in none from now on.
        dialog.set_response_enabled("move", mixed);
        dialog.set_default_response(Some("move"));
        dialog.set_close_response("cancel");

        let weak = dialog.downgrade();
        entry.connect_changed(move |entry| {
            let (group, mut tried) = (entry.text(), machine.clone());
            let wrong = tried.set(api::settings::Key::Group, &group).err();
            if let Some(dialog) = weak.upgrade() {
                dialog.set_response_enabled("move", wrong.is_none() && (mixed || group != now));
            }
            problem.set_visible(wrong.is_some());
            problem.set_label(&wrong.as_ref().map(reasons::problem).unwrap_or_default());
        });
        let (typed, sender, uuids) = (entry.clone(), sender.clone(), uuids.to_vec());
        ask::choose(&dialog, root, move |response| {
            if response == "move" {
                let group = Some(String::from(typed.text())).filter(|group| !group.is_empty());
                sender.input(WindowMsg::SetGroup(uuids, group));
            }
        });
        entry.grab_focus();
    }
}
