//! The boot order: a row for each drive and network card, which go up and down by buttons or by being dragged.
//!
//! Rows stay where they are and show what comes at their place, so that the focus can follow a device that was moved.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use api::machine::{DriveKind, Firmware, Machine, NetworkModel};
use api::settings::Key;
use gtk::gdk;

use super::SettingsMsg;
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::words;

/// The list.
pub(super) struct BootOrder {
    pub(super) group: adw::PreferencesGroup,
    places: Vec<Place>,
    shared: Rc<Shared>,
}

/// A row, which shows the device at its place.
struct Place {
    row: adw::ActionRow,
    icon: gtk::Image,
    up: gtk::Button,
    down: gtk::Button,
}

/// What signals need.
struct Shared {
    /// Devices' names, best first.
    order: RefCell<Vec<String>>,
    /// Where the person has just moved something to, and by which button.
    moved: Cell<Option<(usize, Direction)>>,
    input: relm4::Sender<SettingsMsg>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl BootOrder {
    pub(super) fn new(machine: &Machine, input: relm4::Sender<SettingsMsg>) -> Self {
        let group = adw::PreferencesGroup::builder()
            .title(gettext("Boot Order"))
            .description(gettext("The machine starts from the first of these that has a system"))
            .build();
        let count = machine.boot_order().len();
        let shared = Rc::new(Shared { order: RefCell::default(), moved: Cell::new(None), input });
        let places: Vec<_> = (0..count).map(|at| Place::new(at, count, &shared)).collect();
        places.iter().for_each(|place| group.add(&place.row));
        group.set_visible(count > 1);
        Self { group, places, shared }
    }

    /// Shows what is so. A machine that is on keeps the order that it started with.
    pub(super) fn show(&self, machine: &Machine, live: bool) {
        let order = machine.boot_order();
        for (at, (place, name)) in self.places.iter().zip(&order).enumerate() {
            place.show(machine, name);
            place.row.set_sensitive(!live);
            // Assistive technology does not hear of it from the row.
            place.up.set_sensitive(!live && at > 0);
            place.down.set_sensitive(!live && at + 1 < order.len());
        }
        self.shared.order.replace(order);
        if let Some((to, direction)) = self.shared.moved.take()
            && let Some(place) = self.places.get(to)
        {
            let (same, other) = match direction {
                Direction::Up => (&place.up, &place.down),
                Direction::Down => (&place.down, &place.up),
            };
            if same.is_sensitive() { same } else { other }.grab_focus();
        }
    }
}

impl Shared {
    /// The person moves the device at one place to another one.
    fn move_device(&self, from: usize, to: usize) {
        let mut order = self.order.borrow().clone();
        if from == to || from.max(to) >= order.len() {
            return;
        }
        let name = order.remove(from);
        order.insert(to, name);
        self.input.emit(SettingsMsg::Change(Change::Set(Key::Boot, order.join(","))));
    }
}

impl Place {
    fn new(at: usize, count: usize, shared: &Rc<Shared>) -> Self {
        let row = adw::ActionRow::builder().use_markup(false).build();
        let icon = gtk::Image::builder().accessible_role(gtk::AccessibleRole::Presentation).build();
        row.add_prefix(&icon);
        let button = |icon: &str, direction: Direction, to: Option<usize>| {
            let button = gtk::Button::builder().icon_name(icon).valign(gtk::Align::Center).build();
            button.add_css_class("flat");
            let shared = Rc::downgrade(shared);
            button.connect_clicked(move |_| {
                if let (Some(shared), Some(to)) = (shared.upgrade(), to) {
                    shared.moved.set(Some((to, direction)));
                    shared.move_device(at, to);
                }
            });
            row.add_suffix(&button);
            button
        };
        let up = button("go-up-symbolic", Direction::Up, at.checked_sub(1));
        let down = button("go-down-symbolic", Direction::Down, Some(at + 1).filter(|to| *to < count));
        let place = Self { row, icon, up, down };
        place.be_dragged(at, shared);
        place
    }

    /// Lets the row be dragged onto another one.
    fn be_dragged(&self, at: usize, shared: &Rc<Shared>) {
        let from = u32::try_from(at).unwrap_or(u32::MAX);
        let source = gtk::DragSource::builder().actions(gdk::DragAction::MOVE).build();
        source.connect_prepare(move |_, _, _| Some(gdk::ContentProvider::for_value(&from.to_value())));
        let row = self.row.downgrade();
        source.connect_drag_begin(move |_, drag| {
            if let Some(row) = row.upgrade() {
                gtk::DragIcon::for_drag(drag).set_property("child", carried(&row));
            }
        });
        self.row.add_controller(source);
        let target = gtk::DropTarget::new(u32::static_type(), gdk::DragAction::MOVE);
        let shared = Rc::downgrade(shared);
        target.connect_drop(move |_, value, _, _| {
            let from = value.get::<u32>().ok().and_then(|from| usize::try_from(from).ok());
            let (Some(shared), Some(from)) = (shared.upgrade(), from) else { return false };
            shared.move_device(from, at);
            true
        });
        self.row.add_controller(target);
    }

    fn show(&self, machine: &Machine, name: &str) {
        let Some(Device { icon, title, about }) = device(machine, name) else { return };
        self.icon.set_icon_name(Some(icon));
        self.row.set_title(&title);
        self.row.set_subtitle(&about);
        for (button, what) in [
            (&self.up, gettext_f("Move {name} Up", &[("name", &title)])),
            (&self.down, gettext_f("Move {name} Down", &[("name", &title)])),
        ] {
            button.set_tooltip_text(Some(&what));
        }
    }
}

/// What hangs at the pointer while a row is dragged.
fn carried(row: &adw::ActionRow) -> gtk::ListBox {
    let list = gtk::ListBox::builder().width_request(row.width()).css_classes(["boxed-list"]).build();
    let copy = adw::ActionRow::builder().use_markup(false).build();
    copy.set_title(&row.title());
    copy.set_subtitle(&row.subtitle().unwrap_or_default());
    list.append(&copy);
    list
}

/// A device as the list shows it.
struct Device {
    icon: &'static str,
    title: String,
    about: String,
}

/// The device that settings call `name`.
fn device(machine: &Machine, name: &str) -> Option<Device> {
    let at = machine.device_names().iter().position(|known| known == name)?;
    let Some(drive) = machine.drives.get(at) else {
        let card = at - machine.drives.len();
        let has_rom = machine.networks.get(card).is_some_and(|network| network.model == NetworkModel::E1000);
        let about = match machine.firmware {
            Firmware::Bios if !has_rom => gettext("Over the network; with BIOS only an Intel e1000 can"),
            Firmware::Uefi | Firmware::Bios => gettext("Over the network, where a server offers a system"),
        };
        let title = words::card(card);
        return Some(Device { icon: "network-wired-symbolic", title, about });
    };
    let before = machine.drives[..at].iter().filter(|other| other.kind == drive.kind).count();
    let icon = match drive.kind {
        DriveKind::Disk => "drive-harddisk-symbolic",
        DriveKind::Cd => "media-optical-symbolic",
    };
    Some(Device { icon, title: words::drive(drive.kind, before), about: words::medium(drive) })
}
