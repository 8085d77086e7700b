//! Several machines at once: the bar of what can be done with those that the person chooses, and doing it.

use adw::prelude::*;
use gtk::gio;
use relm4::prelude::*;
use uuid::Uuid;

use super::commands::Needs;
use super::{Window, WindowMsg, tell};
use crate::actions;
use crate::components::ask;
use crate::components::machine_list::ListMsg;
use crate::i18n::{gettext, ngettext_f};
use crate::machines::{Order, Summary};
use crate::words;

/// What is done with all chosen machines that are fit for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Start what is off, and let go on what is paused.
    Run,
    Pause,
    PowerButton,
    PowerOff,
    Group,
    Delete,
}

impl Task {
    const ALL: [Self; 6] = [Self::Run, Self::Pause, Self::PowerButton, Self::PowerOff, Self::Group, Self::Delete];

    /// Is this machine fit for it?
    fn fits(self, summary: &Summary) -> bool {
        match self {
            Self::Run => Needs::Stopped.met(summary) || Needs::Paused.met(summary),
            Self::Pause | Self::PowerButton => Needs::Running.met(summary),
            Self::PowerOff => Needs::Live.met(summary),
            Self::Group => Needs::Machine.met(summary),
            Self::Delete => Needs::Stopped.met(summary),
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Run => "run-chosen",
            Self::Pause => "pause-chosen",
            Self::PowerButton => "power-button-chosen",
            Self::PowerOff => "power-off-chosen",
            Self::Group => "group-chosen",
            Self::Delete => "delete-chosen",
        }
    }

    fn button(self) -> (&'static str, String) {
        match self {
            Self::Run => ("media-playback-start-symbolic", gettext("Start or Resume")),
            Self::Pause => ("media-playback-pause-symbolic", gettext("Pause")),
            Self::PowerButton => ("system-shutdown-symbolic", gettext("Press Power Button")),
            Self::PowerOff => ("media-playback-stop-symbolic", gettext("Power Off…")),
            Self::Group => ("folder-symbolic", gettext("Move to Group…")),
            Self::Delete => ("user-trash-symbolic", gettext("Delete…")),
        }
    }
}

/// The actions that follow what is chosen.
pub(super) struct ChosenActions {
    tasks: [(gio::SimpleAction, Task); 6],
    end: gio::SimpleAction,
}

/// Adds the actions.
pub(super) fn add(root: &adw::ApplicationWindow, sender: &ComponentSender<Window>) -> ChosenActions {
    let choosing = |on| {
        let sender = sender.clone();
        move || sender.input(WindowMsg::Choosing(on))
    };
    actions::plain(root, "select", choosing(true));
    let end = actions::plain(root, "end-selection", choosing(false));
    end.set_enabled(false);
    let all = sender.clone();
    actions::plain(root, "select-all", move || all.input(WindowMsg::ChooseAll));
    let task = |task: Task| {
        let sender = sender.clone();
        let action = actions::plain(root, task.action(), move || sender.input(WindowMsg::DoWithChosen(task)));
        action.set_enabled(false);
        (action, task)
    };
    ChosenActions { tasks: Task::ALL.map(task), end }
}

/// The bar.
pub(super) fn bar() -> gtk::Box {
    let bar = gtk::Box::builder().homogeneous(true).css_classes(["toolbar", "choice-bar"]).build();
    for task in Task::ALL {
        let (icon, words) = task.button();
        let button = gtk::Button::builder().icon_name(icon).tooltip_text(words).build();
        button.set_action_name(Some(&format!("win.{}", task.action())));
        bar.append(&button);
    }
    bar
}

/// Keys of the list: they choose all, and end choosing.
pub(super) fn keys() -> gtk::ShortcutController {
    let keys = gtk::ShortcutController::new();
    for (trigger, action) in [("<Ctrl>a", "win.select-all"), ("Escape", "win.end-selection")] {
        let trigger = gtk::ShortcutTrigger::parse_string(trigger);
        keys.add_shortcut(gtk::Shortcut::new(trigger, Some(gtk::NamedAction::new(action))));
    }
    keys
}

impl Window {
    /// The person chose these.
    pub(super) fn choose(&mut self, chosen: Option<Vec<Uuid>>) {
        self.chosen = chosen;
        self.follow_chosen();
    }

    /// What can be done with the chosen machines, as they are now.
    pub(super) fn follow_chosen(&self) {
        for (action, task) in &self.chosen_actions.tasks {
            action.set_enabled(!self.fit(*task).is_empty());
        }
        self.chosen_actions.end.set_enabled(self.chosen.is_some());
    }

    /// How many are chosen, as a title.
    pub(super) fn list_title(&self) -> String {
        match self.chosen.as_deref() {
            None => gettext("Machines"),
            Some([]) => gettext("Select Machines"),
            Some(chosen) => ngettext_f("{count} Selected", "{count} Selected", chosen.len(), &[]),
        }
    }

    /// The chosen machines that are fit for this, in the order of their names.
    fn fit(&self, task: Task) -> Vec<&Summary> {
        let chosen = self.chosen.as_deref().unwrap_or_default();
        let chosen = self.machines.all.iter().filter(|machine| chosen.contains(&machine.uuid()));
        chosen.filter(|machine| task.fits(machine)).collect()
    }

    /// Does it, after a question for all of them when something may be lost.
    pub(super) fn do_with_chosen(&self, task: Task, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let fit = self.fit(task);
        let uuids: Vec<_> = fit.iter().map(|machine| machine.uuid()).collect();
        match task {
            Task::Run => {
                for machine in fit {
                    let order = if machine.is_live() { Order::Resume } else { Order::Start };
                    sender.input(WindowMsg::DoTogether(vec![machine.uuid()], order));
                }
            }
            Task::Pause => sender.input(WindowMsg::DoTogether(uuids, Order::Pause)),
            Task::PowerButton => sender.input(WindowMsg::DoTogether(uuids, Order::PowerButton)),
            Task::PowerOff => {
                let names: Vec<_> = fit.iter().map(|machine| machine.name()).collect();
                let body = format!("{}\n\n{}", words::names(&names), words::loss(names.len()));
                let question = match names.as_slice() {
                    [name] => words::question(&Order::PowerOff, name),
                    names => ngettext_f("Power Off {count} Machine?", "Power Off {count} Machines?", names.len(), &[]),
                };
                let sender = sender.clone();
                ask::before(root, (&question, &body, &words::verb(&Order::PowerOff)), move || {
                    sender.input(WindowMsg::DoTogether(uuids, Order::PowerOff));
                });
            }
            Task::Group => self.ask_group(&uuids, sender, root),
            Task::Delete => self.ask_deletion(uuids, sender),
        }
    }

    /// Does this with all of these. What each of them has to say is said once, or by its name.
    pub(super) fn do_together(&mut self, machines: Vec<Uuid>, order: &Order, sender: &ComponentSender<Self>) {
        for uuid in machines {
            self.together.insert(uuid);
            self.carry_out(uuid, order.clone(), sender);
        }
    }

    /// Puts these machines into a group, or into none.
    pub(super) fn set_group(&mut self, machines: Vec<Uuid>, group: Option<&str>, sender: &ComponentSender<Self>) {
        // One that was dragged by itself ends nobody's choice.
        let chosen = self.chosen.as_ref().is_some_and(|chosen| machines.iter().any(|uuid| chosen.contains(uuid)));
        let others = |uuid: &Uuid| self.summary(*uuid).is_some_and(|machine| machine.group() != group);
        let machines = machines.into_iter().filter(others).collect();
        self.do_together(machines, &Order::SetGroup(group.unwrap_or_default().to_owned()), sender);
        if chosen {
            self.end_choosing();
        }
    }

    /// What was chosen is done with.
    pub(super) fn end_choosing(&self) {
        tell(&self.list, ListMsg::Choosing(false));
    }
}
