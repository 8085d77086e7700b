//! What people ask of machines, and the consoles that show them.

use adw::prelude::*;
use gtk::gio;
use library::State;
use relm4::prelude::*;
use uuid::Uuid;

use super::background::{connect, connect_or_start, look_again, watch};
use super::{Found, Window, WindowMsg, WindowWidgets, is_last, rename, tell, toast};
use crate::components::ask;
use crate::components::console::{ConsoleMsg, ConsoleOutput, ConsoleWindow, Ending};
use crate::i18n::{gettext, gettext_f};
use crate::machines::{self, Happening, Order, Summary};
use crate::reasons::reason;
use crate::words;

impl Window {
    /// Shows a running machine's console, or starts the machine.
    pub(super) fn open(&mut self, uuid: Uuid, sender: &ComponentSender<Self>) {
        let Some(summary) = self.summary(uuid).cloned() else {
            // The app has just started, or the machine has just been made.
            self.wanted = Some(uuid);
            return self.refresh(sender);
        };
        if !summary.is_live() {
            sender.input(WindowMsg::Do(uuid, Order::Start));
        } else if let Some(console) = self.consoles.get(&uuid) {
            tell(console, ConsoleMsg::Present);
        } else {
            self.add_console(summary, sender);
            connect_or_start(uuid, sender);
        }
    }

    /// Connects a console that has lost its machine, or starts the machine if it is off by now.
    pub(super) fn connect_again(&self, uuid: Uuid, sender: &ComponentSender<Self>) {
        let live = self.summary(uuid).is_some_and(Summary::is_live);
        if let (true, Some(console)) = (live, self.consoles.get(&uuid)) {
            tell(console, ConsoleMsg::Starting);
            connect_or_start(uuid, sender);
        } else {
            sender.input(WindowMsg::Do(uuid, Order::Start));
        }
    }

    fn add_console(&mut self, summary: Summary, sender: &ComponentSender<Self>) {
        let uuid = summary.uuid();
        let console = ConsoleWindow::builder().launch((summary, self.menus.clone())).forward(
            sender.input_sender(),
            move |output| match output {
                ConsoleOutput::Order(order) => WindowMsg::Do(uuid, order),
                ConsoleOutput::Connect => WindowMsg::Connect(uuid),
                ConsoleOutput::Changed => WindowMsg::Refresh,
                ConsoleOutput::ShowLog => WindowMsg::ShowLog(Some(uuid)),
                ConsoleOutput::Picture(picture) => WindowMsg::Picture(uuid, picture),
                ConsoleOutput::Closed => WindowMsg::ConsoleClosed(uuid),
            },
        );
        self.consoles.insert(uuid, console);
    }

    pub(super) fn close_console(&mut self, uuid: Uuid, root: &adw::ApplicationWindow, widgets: &WindowWidgets) {
        let Some(console) = self.consoles.remove(&uuid) else { return };
        console.widget().destroy();
        let live = self.summary(uuid).filter(|summary| summary.is_live() && self.watched.contains_key(&uuid));
        if let Some(summary) = live {
            let text = gettext_f("“{name}” keeps running", &[("name", summary.name())]);
            if root.is_visible() {
                toast(&widgets.toasts, &text);
            } else {
                let notification = gio::Notification::new(&text);
                notification.set_body(Some(&gettext("Open Dormer to see it again.")));
                notification.set_default_action("app.show-window");
                relm4::main_application().send_notification(Some(&uuid.to_string()), &notification);
            }
        }
        if !root.is_visible() && is_last(root) {
            relm4::main_application().quit();
        }
    }

    /// Passes an order on, after a question when something may be lost.
    pub(super) fn ask(&self, order: Order, sender: &ComponentSender<Self>, root: &adw::ApplicationWindow) {
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) else { return };
        let (uuid, question) = (summary.uuid(), words::question(&order, summary.name()));
        let body = match order {
            Order::Reset | Order::PowerOff => words::loss(1),
            _ => return sender.input(WindowMsg::Do(uuid, order)),
        };
        let (sender, verb) = (sender.clone(), words::verb(&order));
        ask::before(root, (&question, &body, &verb), move || sender.input(WindowMsg::Do(uuid, order)));
    }

    /// Renames the selected machine, if it can be.
    pub(super) fn ask_name(
        &self,
        sender: &ComponentSender<Self>,
        root: &adw::ApplicationWindow,
        widgets: &WindowWidgets,
    ) {
        let Some(summary) = self.selected.and_then(|uuid| self.summary(uuid)) else { return };
        if summary.is_live() {
            let text = gettext_f("“{name}” is running: turn it off to rename it", &[("name", summary.name())]);
            return toast(&widgets.toasts, &text);
        }
        let (uuid, sender) = (summary.uuid(), sender.clone());
        let others = self.machines.all.iter().filter(|machine| machine.uuid() != uuid);
        let taken = others.map(|machine| machine.name().to_owned()).collect();
        rename::present(root, summary.name(), taken, move |name| {
            sender.input(WindowMsg::Do(uuid, Order::Rename(name.to_owned())));
        });
    }

    pub(super) fn carry_out(&mut self, uuid: Uuid, order: Order, sender: &ComponentSender<Self>) {
        if order == Order::PowerOff {
            self.turning_off.insert(uuid);
        }
        if order == Order::Start
            && let Some(console) = self.consoles.get(&uuid)
        {
            tell(console, ConsoleMsg::Starting);
        }
        sender.spawn_oneshot_command(move || {
            let result = machines::carry_out(uuid, &order).map_err(|error| reason(&error));
            Found::Done(uuid, order, result)
        });
    }

    pub(super) fn done(
        &mut self,
        uuid: Uuid,
        order: &Order,
        result: Result<Vec<String>, String>,
        sender: &ComponentSender<Self>,
        widgets: &WindowWidgets,
    ) {
        let together = self.together.remove(&uuid);
        match (order, result) {
            (Order::Start, Ok(notes)) => {
                watch(&mut self.watched, uuid, sender);
                self.console_for(uuid, sender);
                connect(uuid, sender);
                notes.iter().for_each(|note| self.say(uuid, note, widgets));
            }
            (Order::Start, Err(why)) => {
                if let Some(console) = self.console_for(uuid, sender) {
                    tell(console, ConsoleMsg::End(Ending::NotStarted(why)));
                }
            }
            (order, Err(why)) => {
                if *order == Order::PowerOff {
                    self.turning_off.remove(&uuid);
                }
                let why = words::sentence(&why);
                match self.summary(uuid).map(Summary::name).filter(|name| together && !why.contains(name)) {
                    Some(name) => toast(&widgets.toasts, &gettext_f("{name}: {why}", &[("name", name), ("why", &why)])),
                    None => self.say(uuid, &why, widgets),
                }
            }
            // Of several it is to be seen what they do.
            (Order::PowerButton, Ok(_)) if together => {}
            (Order::PowerButton, Ok(_)) => self.say(
                uuid,
                &gettext("The power button is pressed: the machine’s system decides what to do"),
                widgets,
            ),
            (Order::InsertCd(..), Ok(_)) => self.say(uuid, &gettext("The CD is in"), widgets),
            (Order::CreateLauncher, Ok(_)) => {
                self.say(uuid, &gettext("The machine is among your apps now"), widgets);
            }
            (Order::EjectCd(_), Ok(_)) => self.say(uuid, &gettext("The CD is out"), widgets),
            (_, Ok(_)) => {}
        }
        self.refresh(sender);
    }

    /// The machine's console; a new one if there is none. A machine that was just made is not in the list yet: its file is read.
    fn console_for(&mut self, uuid: Uuid, sender: &ComponentSender<Self>) -> Option<&Controller<ConsoleWindow>> {
        if !self.consoles.contains_key(&uuid) {
            let known = self.summary(uuid).cloned();
            let read = || {
                let entry = Box::new(machines::find(uuid).ok()?);
                Some(Summary { state: State::Stopped, last_start: None, entry })
            };
            self.add_console(known.or_else(read)?, sender);
        }
        self.consoles.get(&uuid)
    }

    pub(super) fn happened(&mut self, uuid: Uuid, happening: Happening, sender: &ComponentSender<Self>) {
        let console = self.consoles.get(&uuid);
        match happening {
            Happening::Changed => {
                self.noticed.remove(&uuid);
            }
            Happening::ShutDown { guest } => {
                let ending = if guest { Ending::GuestOff } else { Ending::TurnedOff };
                self.watched.insert(uuid, Some(ending));
            }
            Happening::DiskFailed { full, why } => {
                let text = match full {
                    true => gettext("This computer’s disk is full: make room, then let the machine go on"),
                    false => gettext_f("A disk failed: {why}", &[("why", &words::quote(&why))]),
                };
                console.inspect(|console| tell(console, ConsoleMsg::Warn(text)));
                self.notify_disk(uuid, full, &why);
            }
            Happening::InstallerOut => {
                let text = gettext("The installer’s CD was taken out: the system starts from its disk now");
                console.inspect(|console| tell(console, ConsoleMsg::Toast(text)));
            }
            Happening::NetworkDown => {
                let text = gettext("The machine’s network is gone; it comes back at its next start");
                console.inspect(|console| tell(console, ConsoleMsg::Warn(text)));
            }
            Happening::CaptureFailed(why) => {
                let text = words::sentence(&words::quote(&why));
                console.inspect(|console| tell(console, ConsoleMsg::Warn(text)));
            }
            Happening::UsbGone { name, unplugged } => {
                if let Some(console) = console {
                    tell(console, ConsoleMsg::LookAtUsb);
                    if let (Some(name), true) = (name, unplugged) {
                        let text = gettext_f("“{name}” was unplugged", &[("name", &words::quote(&name))]);
                        tell(console, ConsoleMsg::Toast(text));
                    }
                }
            }
            Happening::Gone => {
                let wanted = self.turning_off.remove(&uuid);
                let said = self.watched.remove(&uuid).flatten();
                let ending = said.unwrap_or(if wanted { Ending::TurnedOff } else { Ending::Died });
                if ending == Ending::Died {
                    self.notify_death(uuid);
                }
                self.noticed.remove(&uuid);
                self.pictured.remove(&uuid);
                if let Some(console) = self.consoles.get(&uuid) {
                    tell(console, ConsoleMsg::End(ending));
                }
                look_again(sender);
            }
        }
        self.refresh(sender);
    }
}
