//! The machine's devices and what they do just now, in a popover of the header bar. Its engine is asked while the popover is open, and
//! only then.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use adw::prelude::*;
use api::control::NetworkStatus;
use api::machine::{DriveKind, Machine, Network};
use console::Leds;
use library::usage::Sample;
use uuid::Uuid;

use super::display::Display;
use super::lamp::{self, Lamp};
use super::messages::ConsoleMsg;
use crate::host_key::HostKey;
use crate::i18n::{gettext, gettext_f};
use crate::meter::{self, Look};
use crate::words;

/// Width of the popover: the narrowest window has room for it.
const WIDTH: i32 = 320;
/// Its greatest height: a machine may have many devices.
const HEIGHT: i32 = 560;

/// The popover.
pub(super) struct Devices {
    popover: gtk::Popover,
    list: gtk::ListBox,
    shown: RefCell<Vec<Device>>,
    /// Of drives and cards, by the devices' names.
    lamps: RefCell<HashMap<String, Lamp>>,
    /// As long as the popover is open.
    look: RefCell<Option<Look>>,
    /// Counts the looks: what an earlier one brings is too late.
    looks: Cell<u64>,
    /// What this look brought last.
    sample: RefCell<Option<Sample>>,
    /// What any look brought last of the network cards.
    networks: RefCell<Vec<NetworkStatus>>,
}

/// A device as the popover shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    icon: &'static str,
    name: String,
    state: String,
    /// What goes through it is measured by this name.
    lamp: Option<(lamp::Device, String)>,
    actions: Vec<Action>,
}

/// What can be done with a device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Action {
    icon: &'static str,
    words: String,
    /// The window's action, which takes the device's name.
    action: &'static str,
    device: String,
    possible: bool,
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
    /// Shows nothing yet; below the machine's devices, those in `usb`.
    pub(super) fn new(usb: &gtk::Box) -> Self {
        let list = gtk::ListBox::builder().selection_mode(gtk::SelectionMode::None).build();
        list.add_css_class("background");
        list.update_property(&[gtk::accessible::Property::Label(&gettext("Devices"))]);
        let all = gtk::Box::builder().orientation(gtk::Orientation::Vertical).build();
        all.append(&list);
        all.append(usb);
        let room = gtk::ScrolledWindow::builder().hscrollbar_policy(gtk::PolicyType::Never).child(&all);
        let room = room.propagate_natural_height(true).max_content_height(HEIGHT).build();
        let popover = gtk::Popover::builder().child(&room).width_request(WIDTH).build();
        Self {
            popover,
            list,
            shown: RefCell::default(),
            lamps: RefCell::default(),
            look: RefCell::default(),
            looks: Cell::default(),
            sample: RefCell::default(),
            networks: RefCell::default(),
        }
    }

    /// For the button that opens it.
    pub(super) fn popover(&self) -> &gtk::Popover {
        &self.popover
    }

    /// Asks the engine for what only it knows, again and again; it answers with [`ConsoleMsg::Measured`].
    pub(super) fn look(&self, uuid: Uuid, input: &relm4::Sender<ConsoleMsg>) {
        let (look, looked) = meter::look();
        self.look.replace(Some(look));
        self.sample.replace(None);
        let number = self.looks.get() + 1;
        self.looks.set(number);
        let input = input.clone();
        relm4::spawn_blocking(move || {
            let tell = |sample| input.send(ConsoleMsg::Measured(number, Box::new(sample))).is_ok();
            meter::measure(uuid, &looked, meter::SHORT_PERIOD, tell);
        });
    }

    /// Nobody looks any more.
    pub(super) fn look_away(&self) {
        self.look.replace(None);
        self.lamps.borrow().values().for_each(|lamp| lamp.show(Default::default()));
    }

    /// What it answered.
    pub(super) fn take(&self, look: u64, sample: Sample) {
        if look != self.looks.get() || self.look.borrow().is_none() {
            return;
        }
        self.networks.replace(sample.networks.clone());
        let before = self.sample.replace(Some(sample));
        if let (Some(before), Some(now)) = (before, &*self.sample.borrow()) {
            let traffic = lamp::between(&before, now);
            for (device, lamp) in &*self.lamps.borrow() {
                lamp.show(traffic.get(device).copied().unwrap_or_default());
            }
        }
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
            self.lamps.borrow_mut().clear();
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
        for Action { icon, words, action, device, possible } in &device.actions {
            let button = gtk::Button::builder().icon_name(*icon).tooltip_text(words.as_str()).sensitive(*possible);
            let button = button.valign(gtk::Align::Center).css_classes(["flat"]).build();
            let (popover, action, device) = (self.popover.downgrade(), *action, device.to_variant());
            button.connect_clicked(move |button| {
                if let Some(popover) = popover.upgrade() {
                    popover.popdown();
                }
                if let Err(error) = button.activate_action(action, Some(&device)) {
                    tracing::error!("{error}");
                }
            });
            row.add_suffix(&button);
        }
        if let Some((kind, name)) = &device.lamp {
            let lamp = Lamp::new(*kind, &device.name);
            row.add_suffix(lamp.widget());
            self.lamps.borrow_mut().insert(name.clone(), lamp);
        }
        row
    }
}

/// All devices that a person may want to know of.
fn devices(machine: &Machine, networks: &[NetworkStatus], seen: Seen) -> Vec<Device> {
    let mut devices = Vec::new();
    let names = machine.drive_names();
    let of_kind = |kind| names.iter().zip(&machine.drives).filter(move |(_, drive)| drive.kind == kind);
    let (disks, cds): (Vec<_>, Vec<_>) = (of_kind(DriveKind::Disk).collect(), of_kind(DriveKind::Cd).collect());
    for (index, (device, disk)) in disks.iter().enumerate() {
        devices.push(Device {
            icon: "drive-harddisk-symbolic",
            name: numbered(&gettext("Disk"), index, disks.len()),
            state: words::medium(disk),
            lamp: Some((lamp::Device::Drive, device.to_string())),
            actions: Vec::new(),
        });
    }
    for (index, (device, drive)) in cds.iter().enumerate() {
        let name = drive.image.as_deref().and_then(|path| path.file_name());
        let state = name.map_or_else(|| gettext("Empty"), |name| name.to_string_lossy().into_owned());
        let action =
            |icon, words, action, possible| Action { icon, words, action, device: device.to_string(), possible };
        let insert = action("document-open-symbolic", gettext("Insert CD…"), "win.insert-into", true);
        let eject = action("media-eject-symbolic", gettext("Eject CD"), "win.eject-from", drive.image.is_some());
        let name = numbered(&gettext("CD Drive"), index, cds.len());
        let lamp = Some((lamp::Device::Drive, device.to_string()));
        devices.push(Device { icon: "media-optical-symbolic", name, state, lamp, actions: vec![insert, eject] });
    }
    for (index, card) in machine.networks.iter().enumerate() {
        let name = numbered(&gettext("Network"), index, machine.networks.len());
        let lost = networks.iter().any(|one| one.device == format!("net{index}") && one.plugged && !one.link);
        let state = if lost { gettext("No connection") } else { network(card) };
        let lamp = Some((lamp::Device::Card, format!("net{index}")));
        devices.push(Device { icon: "network-wired-symbolic", name, state, lamp, actions: Vec::new() });
    }
    let picture = match seen.picture {
        Some((width, height)) => format!("{width} × {height}"),
        None => gettext("No picture"),
    };
    let pointer = match (seen.absolute, seen.captured) {
        (true, _) => gettext("Goes in and out freely"),
        (false, true) => gettext_f("Captured until {keys}", &[("keys", &seen.host_key.release())]),
        (false, false) => gettext("Captured by a click into the screen"),
    };
    let plain = |icon, name, state| Device { icon, name, state, lamp: None, actions: Vec::new() };
    devices.extend([
        plain("video-display-symbolic", gettext("Screen"), picture),
        plain("input-keyboard-symbolic", gettext("Keyboard"), locks(seen.leds)),
        plain("input-mouse-symbolic", gettext("Pointer"), pointer),
    ]);
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
