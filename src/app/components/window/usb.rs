//! USB devices that are plugged in while machines run: a machine's rules decide who gets one; where none does, the person is asked.

use gtk::gio;
use gtk::prelude::*;
use library::usb::{Device, Kind};
use relm4::prelude::*;
use uuid::Uuid;

use super::{Found, Window, WindowWidgets, tell, toast};
use crate::components::console::ConsoleMsg;
use crate::i18n::{gettext, gettext_f};
use crate::machines::{self, Summary};
use crate::reasons::reason;
use crate::words;
use api::machine::UsbAction;

/// Most machines that a notification offers: desktops show no more buttons.
const OFFERED: usize = 3;
/// Seconds that an offer stands in a window.
const OFFER: u32 = 10;

/// Tells which devices are plugged in, from now on until the app ends.
pub(super) fn watch(sender: &ComponentSender<Window>) {
    let found = sender.command_sender().clone();
    let watch = move || library::usb::watch(|devices| found.send(Found::UsbDevices(devices)).is_ok());
    // Without a thread nobody is asked; switches and settings work all the same.
    if let Err(error) = std::thread::Builder::new().name("usb".into()).spawn(watch) {
        tracing::warn!("what is plugged in is not seen: {error}");
    }
}

impl Window {
    /// These are plugged in now.
    pub(super) fn plugged(&mut self, devices: Vec<Device>, sender: &ComponentSender<Self>, widgets: &WindowWidgets) {
        self.consoles.values().for_each(|console| tell(console, ConsoleMsg::LookAtUsb));
        let is = |one: &Device, other: &Device| (&one.id, one.address) == (&other.id, other.address);
        // What was there when the app came is nothing new.
        let Some(before) = self.usb.replace(devices.clone()) else { return };
        for gone in before.iter().filter(|old| !devices.iter().any(|new| is(old, new))) {
            relm4::main_application().withdraw_notification(&notice(&gone.id));
        }
        let new = devices.iter().filter(|new| !before.iter().any(|old| is(old, new)));
        for device in new.filter(|device| device.kind != Kind::Hub && device.machine.is_none()) {
            self.decide(device, sender, widgets);
        }
    }

    /// Who gets it?
    fn decide(&self, device: &Device, sender: &ComponentSender<Self>, widgets: &WindowWidgets) {
        let live: Vec<_> = self.machines.all.iter().filter(|machine| machine.is_live()).collect();
        let action = |machine: &Summary| device.rule(&machine.entry.machine.usb.rules).map(|rule| rule.action);
        let with = |wanted: Option<UsbAction>| live.iter().copied().filter(move |machine| action(machine) == wanted);
        if let Some(machine) = with(Some(UsbAction::Always)).next() {
            return self.connect_usb(machine.uuid(), &device.id, sender);
        }
        if device.hindrance().is_some() {
            return;
        }
        let asking: Vec<_> = with(Some(UsbAction::Ask)).collect();
        let candidates = if asking.is_empty() { with(None).collect() } else { asking };
        self.offer(device, &candidates, widgets);
    }

    /// Gives a machine a device, by a rule or because the person said so; what comes of it is said.
    pub(super) fn connect_usb(&self, uuid: Uuid, port: &str, sender: &ComponentSender<Self>) {
        let port = port.to_owned();
        relm4::main_application().withdraw_notification(&notice(&port));
        sender.spawn_oneshot_command(move || {
            let name = machines::usb_device(&port).map(|device| words::quote(&device.name()));
            let connected = name.and_then(|name| machines::connect_usb(uuid, &port, true).map(|()| name));
            Found::UsbConnected(uuid, connected.map_err(|error| reason(&error)))
        });
    }

    /// It has it, or not.
    pub(super) fn usb_connected(&self, uuid: Uuid, result: Result<String, String>, widgets: &WindowWidgets) {
        self.consoles.values().for_each(|console| tell(console, ConsoleMsg::LookAtUsb));
        let Some(machine) = self.summary(uuid) else { return };
        match result {
            Ok(name) => {
                let names = [("device", name.as_str()), ("name", machine.name())];
                self.say(uuid, &gettext_f("“{device}” is connected to “{name}”", &names), widgets);
            }
            Err(why) => self.say(uuid, &words::sentence(&why), widgets),
        }
    }

    /// Asks where the person is: in a window of ours, else by the desktop.
    fn offer(&self, device: &Device, machines: &[&Summary], widgets: &WindowWidgets) {
        let Some(first) = machines.first() else { return };
        let text = gettext_f("“{device}” was plugged in", &[("device", &words::quote(&device.name()))]);
        let target = |machine: &Summary| (machine.uuid().to_string(), device.id.clone()).to_variant();
        let active = |machine: &&&Summary| {
            self.consoles.get(&machine.uuid()).is_some_and(|console| console.widget().is_active())
        };
        if let Some(machine) = machines.iter().find(active)
            && let Some(console) = self.consoles.get(&machine.uuid())
        {
            return tell(console, ConsoleMsg::Offer(text, target(machine)));
        }
        let here = widgets.toasts.root().and_downcast::<gtk::Window>().is_some_and(|window| window.is_active());
        if here {
            let chosen = machines.iter().find(|machine| Some(machine.uuid()) == self.selected).unwrap_or(first);
            return toast_offer(&widgets.toasts, &text, &connect_to(chosen), &target(chosen));
        }
        if relm4::main_application().windows().iter().any(gtk::Window::is_active) {
            return toast(&widgets.toasts, &text);
        }
        let notification = gio::Notification::new(&text);
        notification.set_default_action("app.show-window");
        for machine in machines.iter().take(OFFERED) {
            notification.add_button_with_target_value(&connect_to(machine), "app.connect-usb", Some(&target(machine)));
        }
        relm4::main_application().send_notification(Some(&notice(&device.id)), &notification);
    }
}

/// An offer in a window.
pub(crate) fn toast_offer(toasts: &adw::ToastOverlay, text: &str, button: &str, target: &gtk::glib::Variant) {
    let toast = adw::Toast::new(&gtk::glib::markup_escape_text(text));
    toast.set_timeout(OFFER);
    toast.set_button_label(Some(button));
    toast.set_action_name(Some("app.connect-usb"));
    toast.set_action_target_value(Some(target));
    toasts.add_toast(toast);
}

fn connect_to(machine: &Summary) -> String {
    gettext_f("Connect to {name}", &[("name", &words::quote(machine.name()))])
}

/// The button of an offer in a machine's own window.
pub(crate) fn connect_here() -> String {
    gettext("Connect")
}

/// The notification about what is at a port.
fn notice(port: &str) -> String {
    format!("usb-{port}")
}
