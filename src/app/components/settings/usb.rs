//! Rules for USB devices: which of this computer's the machine gets by itself. They are made of devices that are plugged in, or of numbers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use api::machine::{Machine, UsbAction, UsbRule};
use api::settings::{Key, UsbKey};
use library::usb::{Device, Kind};

use super::{SettingsMsg, refusal};
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::{reasons, usb, words};

/// The groups of the page.
pub(super) struct UsbRules {
    pub(super) rules: adw::PreferencesGroup,
    pub(super) plugged: adw::PreferencesGroup,
    add: adw::EntryRow,
    rows: RefCell<Vec<RuleRow>>,
    offers: RefCell<Vec<adw::ActionRow>>,
    shown: Rc<RefCell<Shown>>,
    input: relm4::Sender<SettingsMsg>,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    rules: Vec<UsbRule>,
    devices: Vec<Device>,
}

/// A rule's row.
struct RuleRow {
    row: adw::ComboRow,
    /// The row is being changed by us: what it then says is not the person's wish.
    showing: Rc<Cell<bool>>,
}

impl UsbRules {
    pub(super) fn new(input: relm4::Sender<SettingsMsg>) -> Self {
        let rules = adw::PreferencesGroup::builder()
            .title(gettext("Rules"))
            .description(gettext(
                "USB devices of this computer that the machine gets by itself; the first rule about a device decides",
            ))
            .build();
        let add =
            adw::EntryRow::builder().title(gettext("Add by numbers, as in 0781:5581")).show_apply_button(true).build();
        rules.add(&add);
        let plugged = adw::PreferencesGroup::builder().title(gettext("Plugged In Now")).build();
        let shown = Rc::default();
        let page = Self { rules, plugged, add, rows: RefCell::default(), offers: RefCell::default(), shown, input };
        page.listen();
        page
    }

    /// Says at once whether what is typed is a rule, and adds it when it is applied.
    fn listen(&self) {
        self.add.connect_changed(|row| {
            let good = row.text().is_empty() || parse(&row.text()).is_ok();
            if good { row.remove_css_class("error") } else { row.add_css_class("error") }
        });
        let (input, shown) = (self.input.clone(), self.shown.clone());
        self.add.connect_apply(move |row| match parse(&row.text()) {
            Ok(new) => {
                let mut all = shown.borrow().rules.clone();
                all.push(new);
                input.emit(set(&all));
                row.set_text("");
            }
            Err(problem) => {
                let dialog = row.ancestor(adw::PreferencesDialog::static_type());
                if let Some(dialog) = dialog.and_downcast::<adw::PreferencesDialog>() {
                    refusal::say(&dialog, &reasons::problem(&problem));
                }
            }
        });
    }

    /// Shows what is so; `devices` are plugged in, hubs too.
    pub(super) fn show(&self, machine: &Machine, devices: &[Device]) {
        let devices: Vec<_> = devices.iter().filter(|device| device.kind != Kind::Hub).cloned().collect();
        let new = Shown { rules: machine.usb.rules.clone(), devices };
        let old = self.shown.replace(new.clone());
        let about = |shown: &Shown| {
            shown.rules.iter().map(|rule| (rule.device(), name(rule, &shown.devices))).collect::<Vec<_>>()
        };
        if about(&old) != about(&new) {
            self.rows.borrow_mut().drain(..).for_each(|row| self.rules.remove(&row.row));
            self.rules.remove(&self.add);
            let rows: Vec<_> = (0..new.rules.len()).map(|at| self.rule_row(at, &new)).collect();
            rows.iter().for_each(|row| self.rules.add(&row.row));
            self.rules.add(&self.add);
            self.rows.replace(rows);
        }
        for (row, rule) in self.rows.borrow().iter().zip(&new.rules) {
            let place = UsbAction::ALL.iter().position(|action| *action == rule.action);
            row.showing.set(true);
            row.row.set_selected(place.and_then(|place| u32::try_from(place).ok()).unwrap_or_default());
            row.showing.set(false);
        }
        if offers(&old) != offers(&new) || self.plugged.description().is_none() {
            self.offers.borrow_mut().drain(..).for_each(|row| self.plugged.remove(&row));
            let offered = offers(&new);
            self.plugged.set_description(Some(&match offered.is_empty() {
                true => gettext("Nothing is plugged in that has no rule"),
                false => gettext("A rule can be made of each of these"),
            }));
            let rows: Vec<_> = offered.into_iter().map(|device| self.offer(device)).collect();
            rows.iter().for_each(|row| self.plugged.add(row));
            self.offers.replace(rows);
        }
    }

    fn rule_row(&self, at: usize, shown: &Shown) -> RuleRow {
        let rule = &shown.rules[at];
        let name = name(rule, &shown.devices);
        let titles = UsbAction::ALL.map(title);
        let model = gtk::StringList::new(&titles.each_ref().map(String::as_str));
        let row = adw::ComboRow::builder().use_markup(false).title(&name).model(&model).build();
        row.set_subtitle(&details(rule));
        let showing = Rc::new(Cell::new(false));
        let (quiet, input, known) = (showing.clone(), self.input.clone(), self.shown.clone());
        row.connect_selected_notify(move |row| {
            let mut all = known.borrow().rules.clone();
            let action = UsbAction::ALL.get(row.selected() as usize);
            if let (Some(rule), Some(action), false) = (all.get_mut(at), action, quiet.get()) {
                rule.action = *action;
                input.emit(set(&all));
            }
        });
        let remove = gtk::Button::builder()
            .icon_name("user-trash-symbolic")
            .tooltip_text(gettext_f("Remove the Rule for {name}", &[("name", &name)]))
            .valign(gtk::Align::Center)
            .css_classes(["flat"])
            .build();
        let (input, known, device) = (self.input.clone(), self.shown.clone(), rule.device());
        remove.connect_clicked(move |_| {
            let left: Vec<_> = known.borrow().rules.iter().filter(|one| one.device() != device).cloned().collect();
            input.emit(set(&left));
        });
        row.add_suffix(&remove);
        RuleRow { row, showing }
    }

    /// A device that a rule can be made of.
    fn offer(&self, device: &Device) -> adw::ActionRow {
        let name = usb::title(device);
        let row = adw::ActionRow::builder().use_markup(false).build();
        row.set_title(&name);
        row.set_subtitle(&usb::about(device));
        row.add_prefix(&gtk::Image::from_icon_name(usb::icon(device.kind)));
        let add = gtk::Button::builder()
            .icon_name("list-add-symbolic")
            .tooltip_text(gettext_f("Add a Rule for {name}", &[("name", &name)]))
            .valign(gtk::Align::Center)
            .css_classes(["flat"])
            .build();
        let (input, known, new) = (self.input.clone(), self.shown.clone(), device.new_rule(UsbAction::Always));
        add.connect_clicked(move |_| {
            let mut all = known.borrow().rules.clone();
            all.push(new.clone());
            input.emit(set(&all));
        });
        row.add_suffix(&add);
        row
    }
}

/// A rule as it is typed: without an action, always.
fn parse(text: &str) -> Result<UsbRule, api::machine::Problem> {
    let text = text.trim();
    if text.contains('=') { text.parse() } else { format!("{text}=always").parse() }
}

/// Devices that no rule is about.
fn offers(shown: &Shown) -> Vec<&Device> {
    shown.devices.iter().filter(|device| device.rule(&shown.rules).is_none()).collect()
}

/// What the rule is about: a device that is plugged in, else its numbers.
fn name(rule: &UsbRule, devices: &[Device]) -> String {
    let device = devices.iter().find(|device| device.fits(rule));
    device.map_or_else(|| rule.device(), |device| words::quote(&device.name()))
}

/// What it goes by.
fn details(rule: &UsbRule) -> String {
    let numbers = format!("{:04x}:{:04x}", rule.vendor, rule.product);
    let serial =
        rule.serial.as_ref().map(|serial| gettext_f("serial number {serial}", &[("serial", &words::quote(serial))]));
    let port = rule.port.as_ref().map(|port| gettext_f("at port {port}", &[("port", port)]));
    [Some(numbers), serial, port].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn title(action: UsbAction) -> String {
    match action {
        UsbAction::Always => gettext("Connect Always"),
        UsbAction::Start => gettext("Connect at Start"),
        UsbAction::Ask => gettext("Ask"),
    }
}

fn set(rules: &[UsbRule]) -> SettingsMsg {
    let value = rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    SettingsMsg::Change(Change::Set(Key::Usb(UsbKey::Rules), value))
}
