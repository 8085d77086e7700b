//! What the window shows of the library, as it was found.

use adw::prelude::*;
use api::control::RunState;
use library::State;
use relm4::prelude::*;

use super::background::{look_again, watch};
use super::{Window, WindowMsg, WindowWidgets, broken, tell, toast};
use crate::components::console::ConsoleMsg;
use crate::components::machine_list::ListMsg;
use crate::components::machine_page::PageMsg;
use crate::components::settings::SettingsMsg;
use crate::i18n::gettext;
use crate::machines::{Machines, Summary};

impl Window {
    /// Shows the library as it is now, and all that hangs on its machines.
    pub(super) fn show_machines(
        &mut self,
        machines: Machines,
        sender: &ComponentSender<Self>,
        widgets: &WindowWidgets,
    ) {
        self.machines = machines;
        broken::tell(&self.banners, &self.machines.broken);
        if self.selected.and_then(|uuid| self.summary(uuid)).is_none() {
            self.selected = self.machines.all.first().map(Summary::uuid);
        }
        for machine in &self.machines.all {
            let uuid = machine.uuid();
            if let Some(console) = self.consoles.get(&uuid) {
                tell(console, ConsoleMsg::Show(machine.clone()));
            }
            if let Some((_, settings)) = self.settings.as_ref().filter(|(shown, _)| *shown == uuid) {
                tell(settings, SettingsMsg::Show(machine.clone()));
            }
            if matches!(machine.state, State::Live(..)) {
                watch(&mut self.watched, uuid, sender);
            }
            if matches!(machine.state, State::Busy(_) | State::Live(RunState::Shutdown, _)) {
                look_again(sender);
            }
        }
        tell(&self.list, ListMsg::Show(self.machines.all.clone(), self.selected));
        let page = if self.machines.all.is_empty() { "empty" } else { "machines" };
        if widgets.stack.visible_child_name().as_deref() != Some(page) {
            widgets.stack.set_visible_child_name(page);
            // What a person wants first.
            let focus = if page == "empty" {
                widgets.first.upcast_ref::<gtk::Widget>()
            } else {
                self.list.widget().upcast_ref()
            };
            focus.child_focus(gtk::DirectionType::TabForward);
        }
        self.show_selected(sender);
        self.follow_chosen();
        self.time_pictures(sender);
        if let Some(uuid) = self.wanted.take() {
            if self.summary(uuid).is_some() {
                sender.input(WindowMsg::Open(Some(uuid)));
            } else {
                sender.input(WindowMsg::Present);
                toast(&widgets.toasts, &gettext("That machine is not on this computer any more"));
            }
        }
    }

    /// Shows the selected machine's page, and what can be asked of it.
    pub(super) fn show_selected(&mut self, sender: &ComponentSender<Self>) {
        let summary = self.selected.and_then(|uuid| self.summary(uuid)).cloned();
        for (action, needs) in &self.actions {
            action.set_enabled(summary.as_ref().is_some_and(|summary| needs.met(summary)));
        }
        if summary.as_ref().is_some_and(Summary::is_live) {
            sender.input(WindowMsg::TakePictures);
        }
        if let Some(summary) = summary {
            tell(&self.page, PageMsg::Show(summary));
        }
    }
}
