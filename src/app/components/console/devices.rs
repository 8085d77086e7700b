//! The machine's devices and what they do just now, in a popover of the header bar.

use std::cell::RefCell;

use adw::prelude::*;
use api::control::NetworkStatus;
use api::machine::{DriveKind, Machine, Network};
use console::Leds;
use uuid::Uuid;

use super::display::Display;
use super::messages::ConsoleMsg;
use crate::host_key::HostKey;
use crate::i18n::{gettext, gettext_f};
use crate::{machines, words};

/// Width of the popover: the narrowest window has room for it.
const WIDTH: i32 = 320;

/// The popover.
pub(super) struct Devices {
    popover: gtk::Popover,
    list: gtk::ListBox,
    shown: RefCell<Vec<Device>>,
    /// What the engine said of its network cards last.
    networks: RefCell<Vec<NetworkStatus>>,
}

/// A device as the popover shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    icon: &'static str,
    name: String,
    state: String,
    /// Icons, words and names of actions.
    actions: Vec<(&'static str, String, &'static str)>,
}

/// What the display knows.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    picture: Option<(i32, i32)>,
    absolute: bool,
    captured: bool,
    leds: Leds,
    host_key: HostKey,
}

impl Devices {
    /// Shows nothing yet.
    pub(super) fn new() -> Self {
        let list = gtk::ListBox::builder().selection_mode(gtk::SelectionMode::None).build();
        list.add_css_class("background");
        list.update_property(&[gtk::accessible::Property::Label(&gettext("Devices"))]);
        let popover = gtk::Popover::builder().child(&list).width_request(WIDTH).build();
        Self { popover, list, shown: RefCell::default(), networks: RefCell::default() }
    }

    /// For the button that opens it.
    pub(super) fn popover(&self) -> &gtk::Popover {
        &self.popover
    }

    /// Asks the engine for what only it knows; it answers with [`ConsoleMsg::Networks`].
    pub(super) fn ask(&self, uuid: Uuid, input: &relm4::Sender<ConsoleMsg>) {
        let input = input.clone();
        relm4::spawn_blocking(move || input.emit(ConsoleMsg::Networks(machines::networks(uuid))));
    }

    /// What it answered.
    pub(super) fn take(&self, networks: Vec<NetworkStatus>) {
        self.networks.replace(networks);
    }

    /// Shows the devices as they are now.
    pub(super) fn show(&self, machine: &Machine, display: &Display, host_key: HostKey) {
        let seen = Seen {
            picture: display.texture().map(|texture| (texture.width(), texture.height())),
            absolute: display.absolute().unwrap_or(true),
            captured: display.is_captured(),
            leds: display.leds(),
            host_key,
        };
        let devices = devices(machine, &self.networks.borrow(), seen);
        // Rows that stay keep the focus.
        if *self.shown.borrow() != devices {
            self.list.remove_all();
            devices.iter().for_each(|device| self.list.append(&self.row(device)));
            self.shown.replace(devices);
        }
    }

    fn row(&self, device: &Device) -> adw::ActionRow {
        let row = adw::ActionRow::builder().activatable(false).selectable(false).use_markup(false).build();
        row.set_title(&device.name);
        row.set_subtitle(&device.state);
        row.set_subtitle_lines(2);
        row.add_prefix(&gtk::Image::from_icon_name(device.icon));
        for (icon, words, action) in &device.actions {
            let button =
                gtk::Button::builder().icon_name(*icon).tooltip_text(words.as_str()).action_name(*action).build();
            button.set_valign(gtk::Align::Center);
            button.add_css_class("flat");
            let popover = self.popover.downgrade();
            button.connect_clicked(move |_| {
                if let Some(popover) = popover.upgrade() {
                    popover.popdown();
                }
            });
            row.add_suffix(&button);
        }
        row
    }
}

/// All devices that a person may want to know of.
fn devices(machine: &Machine, networks: &[NetworkStatus], seen: Seen) -> Vec<Device> {
    let mut devices = Vec::new();
    let cds: Vec<_> = machine.drives.iter().filter(|drive| drive.kind == DriveKind::Cd).collect();
    for (index, drive) in cds.iter().enumerate() {
        let name = drive.image.as_deref().and_then(|path| path.file_name());
        let state = name.map_or_else(|| gettext("Empty"), |name| name.to_string_lossy().into_owned());
        let insert = ("document-open-symbolic", gettext("Insert CD…"), "win.insert-cd");
        let eject = ("media-eject-symbolic", gettext("Eject CD"), "win.eject-cd");
        // The menu's commands are about the first drive.
        let actions = if index == 0 { vec![insert, eject] } else { Vec::new() };
        let name = numbered(&gettext("CD Drive"), index, cds.len());
        devices.push(Device { icon: "media-optical-symbolic", name, state, actions });
    }
    for (index, card) in machine.networks.iter().enumerate() {
        let name = numbered(&gettext("Network"), index, machine.networks.len());
        let lost = networks.iter().any(|one| one.device == format!("net{index}") && one.plugged && !one.link);
        let state = if lost { gettext("No connection") } else { network(card) };
        devices.push(Device { icon: "network-wired-symbolic", name, state, actions: Vec::new() });
    }
    let picture = match seen.picture {
        Some((width, height)) => format!("{width} × {height}"),
        None => gettext("No picture"),
    };
    let screen =
        Device { icon: "video-display-symbolic", name: gettext("Screen"), state: picture, actions: Vec::new() };
    let locks = Device {
        icon: "input-keyboard-symbolic",
        name: gettext("Keyboard"),
        state: locks(seen.leds),
        actions: Vec::new(),
    };
    let pointer = match (seen.absolute, seen.captured) {
        (true, _) => gettext("Goes in and out freely"),
        (false, true) => gettext_f("Captured until {keys}", &[("keys", &seen.host_key.release())]),
        (false, false) => gettext("Captured by a click into the screen"),
    };
    let pointer =
        Device { icon: "input-mouse-symbolic", name: gettext("Pointer"), state: pointer, actions: Vec::new() };
    devices.extend([screen, locks, pointer]);
    devices
}

/// Several of a kind have numbers.
fn numbered(name: &str, index: usize, count: usize) -> String {
    if count > 1 { format!("{name} {}", index + 1) } else { name.to_owned() }
}

fn network(card: &Network) -> String {
    let ports: Vec<_> = card.forwards.iter().map(|forward| forward.host.to_string()).collect();
    match ports.as_slice() {
        _ if !card.link => gettext("The cable is out"),
        [] => words::attachment(&card.attachment),
        [port] => gettext_f("Shared with this computer, whose port {port} leads into it", &[("port", port)]),
        ports => {
            gettext_f("Shared with this computer, whose ports {ports} lead into it", &[("ports", &ports.join(", "))])
        }
    }
}

fn locks(leds: Leds) -> String {
    let on: Vec<_> = [(leds.caps, "Caps Lock"), (leds.num, "Num Lock"), (leds.scroll, "Scroll Lock")]
        .into_iter()
        .filter(|(on, _)| *on)
        // Names stand on keyboards, in every language.
        .map(|(_, name)| name)
        .collect();
    if on.is_empty() { gettext("No lock is on") } else { on.join(", ") }
}

#[cfg(test)]
mod tests {
    use api::machine::{Forward, MacAddress, Protocol};

    use super::*;

    #[test]
    fn what_is_said_of_devices() {
        assert_eq!([numbered("CD Drive", 0, 1), numbered("CD Drive", 1, 2)], ["CD Drive", "CD Drive 2"]);
        assert_eq!(locks(Leds { num: true, caps: true, scroll: false }), "Caps Lock, Num Lock");
        assert_eq!(locks(Leds::default()), "No lock is on");
        let forward = |host| Forward { protocol: Protocol::Tcp, host, guest: 22 };
        let card = |forwards| Network { forwards, ..Network::new(MacAddress([0; 6])) };
        assert!(network(&card(vec![forward(2222), forward(8080)])).contains("ports 2222, 8080 lead"));
        assert_eq!(network(&card(vec![])), "Shared with this computer");
        let inside = Network { attachment: "internal:lab".parse().unwrap(), ..card(vec![]) };
        assert_eq!(network(&inside), "Internal network lab");
        assert_eq!(network(&Network { link: false, ..card(vec![forward(2222)]) }), "The cable is out");
    }
}
