//! This computer's USB devices, below the machine's own in the same popover: a switch gives one to the machine, a pin gives it always.
//!
//! What keeps a device here is said beside it. Rows stay as long as the same devices are plugged in, so that they keep the focus.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use api::machine::{Machine, UsbAction};
use gtk::glib;
use library::usb::{self, Device, Kind};

use super::messages::ConsoleMsg;
use crate::i18n::{gettext, gettext_f};
use crate::machines;
use crate::reasons::{reason, usb_use};
use crate::{usb as words_of_usb, words};

/// How often this computer is asked what it uses devices for, while somebody looks.
const LOOK: Duration = Duration::from_secs(2);

/// What a person wants of a device, which is named by its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UsbWish {
    /// The machine gets it; even if this computer will miss it?
    Connect(String, bool),
    /// This computer gets it back.
    Disconnect(String),
    /// The machine gets it always, or not by itself.
    Always(String, bool),
}

impl UsbWish {
    fn port(&self) -> &str {
        match self {
            Self::Connect(port, _) | Self::Disconnect(port) | Self::Always(port, _) => port,
        }
    }
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UsbAnswer {
    /// It is done.
    Done,
    /// This computer will miss the device: why.
    Missed(String),
    /// It cannot be, and why.
    Refused(String),
}

/// The list.
pub(super) struct Usb {
    part: gtk::Box,
    list: gtk::ListBox,
    none: gtk::Label,
    rows: RefCell<Vec<Row>>,
    devices: RefCell<Vec<Device>>,
    /// Devices that something is being done with.
    busy: HashSet<String>,
    look: Option<glib::SourceId>,
    /// It was asked, and has not answered.
    asking: Cell<bool>,
    /// Something has been done since: what it answers then is of before.
    again: Cell<bool>,
    input: relm4::Sender<ConsoleMsg>,
}

/// A device's row.
struct Row {
    device: (String, u8),
    row: adw::ActionRow,
    pin: gtk::ToggleButton,
    switch: gtk::Switch,
    /// They are being changed by us: what they then say is not the person's wish.
    showing: Rc<Cell<bool>>,
}

impl Usb {
    pub(super) fn new(input: &relm4::Sender<ConsoleMsg>) -> Self {
        let title = gtk::Label::builder().label(gettext("USB Devices of This Computer")).xalign(0.0).build();
        title.add_css_class("heading");
        title.set_margin_start(6);
        title.set_margin_top(12);
        title.set_margin_bottom(6);
        let list = gtk::ListBox::builder().selection_mode(gtk::SelectionMode::None).build();
        list.add_css_class("background");
        list.update_property(&[gtk::accessible::Property::Label(&gettext("USB Devices of This Computer"))]);
        let none = gtk::Label::builder().label(gettext("None is plugged in")).xalign(0.0).margin_start(6).build();
        none.add_css_class("dim-label");
        none.set_margin_bottom(6);
        let part = gtk::Box::builder().orientation(gtk::Orientation::Vertical).build();
        // One ground with the machine's own devices above.
        part.add_css_class("background");
        part.append(&title);
        part.append(&none);
        part.append(&list);
        Self {
            part,
            list,
            none,
            rows: RefCell::default(),
            devices: RefCell::default(),
            busy: HashSet::new(),
            look: None,
            asking: Cell::new(false),
            again: Cell::new(false),
            input: input.clone(),
        }
    }

    /// For the popover.
    pub(super) fn widget(&self) -> &gtk::Box {
        &self.part
    }

    /// Asks this computer now, and again as long as somebody looks.
    pub(super) fn look(&mut self) {
        self.look_away();
        self.ask();
        let input = self.input.clone();
        self.look = Some(glib::timeout_add_local(LOOK, move || match input.send(ConsoleMsg::LookAtUsb) {
            Ok(()) => glib::ControlFlow::Continue,
            // The window was closed as it was looked at.
            Err(_) => glib::ControlFlow::Break,
        }));
    }

    /// Nobody looks any more.
    pub(super) fn look_away(&mut self) {
        if let Some(source) = self.look.take() {
            source.remove();
        }
    }

    /// Asks this computer, if somebody looks.
    pub(super) fn ask_again(&self) {
        if self.look.is_some() {
            self.ask();
        }
    }

    /// Once at a time: this computer may have to get devices back first.
    fn ask(&self) {
        if self.asking.replace(true) {
            return;
        }
        let input = self.input.clone();
        // A window that is closed needs no answer.
        relm4::spawn_blocking(move || drop(input.send(ConsoleMsg::UsbDevices(machines::usb_devices()))));
    }

    /// What it answered. Nobody can give a hub away.
    pub(super) fn take(&self, devices: Vec<Device>) {
        self.asking.set(false);
        if self.again.take() {
            return self.ask_again();
        }
        self.devices.replace(devices.into_iter().filter(|device| device.kind != Kind::Hub).collect());
    }

    /// The person wants something.
    pub(super) fn wish(&mut self, wish: UsbWish, machine: &Machine) {
        self.busy.insert(wish.port().to_owned());
        let device = self.devices.borrow().iter().find(|device| device.id == wish.port()).cloned();
        let (uuid, input) = (machine.uuid, self.input.clone());
        relm4::spawn_blocking(move || {
            let done = match &wish {
                UsbWish::Connect(port, all_the_same) => machines::connect_usb(uuid, port, *all_the_same),
                UsbWish::Disconnect(port) => machines::disconnect_usb(uuid, port),
                UsbWish::Always(_, always) => match &device {
                    Some(device) => machines::always_usb(uuid, device, *always),
                    None => Ok(()),
                },
            };
            let answer = match done {
                Ok(()) => UsbAnswer::Done,
                Err(library::Error::Usb(usb::Error::Missed { why, .. })) => {
                    UsbAnswer::Missed(format!("{}.", usb_use(&why)))
                }
                Err(error) => UsbAnswer::Refused(reason(&error)),
            };
            drop(input.send(ConsoleMsg::UsbAnswered(wish, answer)));
        });
    }

    /// What became of it.
    pub(super) fn answered(&mut self, wish: &UsbWish) {
        self.busy.remove(wish.port());
        self.again.set(self.asking.get());
        self.ask_again();
    }

    /// What a device is called that is or was plugged in.
    pub(super) fn name(&self, port: &str) -> String {
        let devices = self.devices.borrow();
        let device = devices.iter().find(|device| device.id == port);
        device.map_or_else(|| port.to_owned(), |device| words::quote(&device.name()))
    }

    /// Shows the devices as they are.
    pub(super) fn show(&self, machine: &Machine) {
        let devices = self.devices.borrow();
        let mut rows = self.rows.borrow_mut();
        let keys = devices.iter().map(|device| (device.id.clone(), device.address));
        if !keys.eq(rows.iter().map(|row| row.device.clone())) {
            self.list.remove_all();
            *rows = devices.iter().map(|device| self.row(device)).collect();
            rows.iter().for_each(|row| self.list.append(&row.row));
        }
        self.none.set_visible(devices.is_empty());
        self.list.set_visible(!devices.is_empty());
        for (row, device) in rows.iter().zip(&*devices) {
            row.show(device, machine, self.busy.contains(&device.id));
        }
    }

    fn row(&self, device: &Device) -> Row {
        let title = words_of_usb::title(device);
        let row = adw::ActionRow::builder().activatable(false).selectable(false).use_markup(false).build();
        row.set_title(&title);
        row.set_subtitle_lines(4);
        row.add_prefix(&gtk::Image::from_icon_name(words_of_usb::icon(device.kind)));
        let pin = gtk::ToggleButton::builder().icon_name("view-pin-symbolic").valign(gtk::Align::Center).build();
        pin.add_css_class("flat");
        pin.set_tooltip_text(Some(&gettext("Always Connect to This Machine")));
        let name = [("name", title.as_str())];
        pin.update_property(&[gtk::accessible::Property::Label(&gettext_f("Always Connect {name}", &name))]);
        let switch = gtk::Switch::builder().valign(gtk::Align::Center).build();
        switch.update_property(&[gtk::accessible::Property::Label(&gettext_f("Connect {name}", &name))]);
        row.add_suffix(&pin);
        row.add_suffix(&switch);
        let showing = Rc::new(Cell::new(false));
        let (quiet, input, port) = (showing.clone(), self.input.clone(), device.id.clone());
        pin.connect_toggled(move |pin| {
            if !quiet.get() {
                input.emit(ConsoleMsg::WishUsb(UsbWish::Always(port.clone(), pin.is_active())));
            }
        });
        let (quiet, input, port) = (showing.clone(), self.input.clone(), device.id.clone());
        switch.connect_active_notify(move |switch| {
            if quiet.get() {
                return;
            }
            let wish = match switch.is_active() {
                true => UsbWish::Connect(port.clone(), false),
                false => UsbWish::Disconnect(port.clone()),
            };
            input.emit(ConsoleMsg::WishUsb(wish));
        });
        Row { device: (device.id.clone(), device.address), row, pin, switch, showing }
    }
}

impl Row {
    fn show(&self, device: &Device, machine: &Machine, busy: bool) {
        let lease = device.machine.as_ref();
        let ours = lease.is_some_and(|lease| lease.uuid == machine.uuid);
        let why = match lease {
            Some(lease) if !ours => {
                Some(gettext_f("Connected to “{name}”", &[("name", &words::quote(&lease.machine))]))
            }
            _ => device.uses.first().map(|why| words::quote(&usb_use(why))),
        };
        let about = words_of_usb::about(device);
        self.row.set_subtitle(&[Some(about), why].into_iter().flatten().collect::<Vec<_>>().join("\n"));
        let free = lease.is_none() && device.hindrance().is_none();
        let always = device.rule(&machine.usb.rules).is_some_and(|rule| rule.action == UsbAction::Always);
        self.showing.set(true);
        // What is being done stands as the person wants it.
        if !busy {
            // A switch that is told what it is already forgets that it is just being turned.
            if self.switch.is_active() != ours {
                self.switch.set_active(ours);
            }
            if self.pin.is_active() != always {
                self.pin.set_active(always);
            }
        }
        self.showing.set(false);
        self.switch.set_sensitive(!busy && (ours || free));
        self.pin.set_sensitive(!busy && (always || ours || device.hindrance().is_none()));
    }
}
