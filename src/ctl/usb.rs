//! `usb`: this computer's USB devices in machines.

use anyhow::Result;
use api::machine::{Problem, UsbRule};
use api::usb::{Speed, UsbStatus};
use library::usb::{self, Device, Use};
use library::{Entry, Library, engine};
use serde_json::{Value, json};

use crate::arguments::{UsbRuleAction, UsbVerb};
use crate::output::{self, Output};

/// `usb`.
pub(crate) fn usb(library: &Library, verb: UsbVerb, out: Output) -> Result<()> {
    let find = |name: &str| library.find(name);
    match verb {
        UsbVerb::List { name: None } => list(out),
        UsbVerb::List { name: Some(name) } => list_of(&find(&name)?, out),
        UsbVerb::Attach { name, device, yes } => attach(&find(&name)?, &device, yes, out),
        UsbVerb::Detach { name, device } => detach(&find(&name)?, &device, out),
        UsbVerb::Rule { name, action } => rule(library, &find(&name)?, action, out),
    }
}

/// Devices of this computer, who has them, and what hinders.
fn list(out: Output) -> Result<()> {
    let devices = usb::list()?;
    out.data(
        || devices.iter().map(described).collect(),
        || {
            let row = |device: &Device| {
                let numbers = format!("{:04x}:{:04x}", device.vendor, device.product);
                let words = [&device.id, &numbers, &device.name(), speed(device.speed), &state(device)];
                words.map(str::to_owned).to_vec()
            };
            match devices.is_empty() {
                true => "No USB device is plugged in.".to_owned(),
                false => output::table(&devices.iter().map(row).collect::<Vec<_>>()),
            }
        },
    )
}

fn described(device: &Device) -> Value {
    let used = |one: &Use| json!({ "stays": one.forbids(), "why": one.explain() });
    json!({
        "id": device.id,
        "vendor": format!("{:04x}", device.vendor),
        "product": format!("{:04x}", device.product),
        "name": device.name(),
        "maker": device.maker,
        "model": device.model,
        "serial": device.serial,
        "speed": device.speed,
        "kind": device.kind.word(),
        "bus": device.ports.0,
        "ports": device.ports.1,
        "machine": device.machine.as_ref().map(|lease| &lease.machine),
        "uses": device.uses.iter().map(used).collect::<Vec<_>>(),
    })
}

fn speed(speed: Option<Speed>) -> &'static str {
    match speed {
        Some(Speed::Low) => "1.5 Mbit/s",
        Some(Speed::Full) => "12 Mbit/s",
        Some(Speed::High) => "480 Mbit/s",
        Some(Speed::Super) => "5 Gbit/s",
        Some(Speed::SuperPlus) => "10 Gbit/s",
        None => "-",
    }
}

/// Who has it, or what hinders.
fn state(device: &Device) -> String {
    match (&device.machine, device.uses.first()) {
        (Some(lease), _) => format!("connected to “{}”", lease.machine),
        (None, Some(why)) => why.explain(),
        (None, None) => "free".to_owned(),
    }
}

/// What a machine has.
fn list_of(entry: &Entry, out: Output) -> Result<()> {
    let devices = engine::usb_of(entry)?;
    out.data(
        || {
            let one = |device: &UsbStatus| {
                json!({
                    "id": device.id,
                    "vendor": format!("{:04x}", device.vendor),
                    "product": format!("{:04x}", device.product),
                    "name": device.name,
                    "speed": device.speed,
                    "port": device.port,
                })
            };
            devices.iter().map(one).collect()
        },
        || {
            let row = |device: &UsbStatus| {
                let numbers = format!("{:04x}:{:04x}", device.vendor, device.product);
                let port = format!("port {}", device.port);
                let words = [&device.id, &numbers, &device.name, speed(Some(device.speed)), &port];
                words.map(str::to_owned).to_vec()
            };
            match devices.is_empty() {
                true => format!("“{}” has no USB device of this computer.", entry.machine.name),
                false => output::table(&devices.iter().map(row).collect::<Vec<_>>()),
            }
        },
    )
}

/// `usb attach`: asks at a terminal when this computer will miss it.
fn attach(entry: &Entry, what: &str, yes: bool, out: Output) -> Result<()> {
    let devices = usb::list()?;
    let device = usb::find(&devices, what)?;
    let attached = match engine::attach_usb(entry, device, yes) {
        Err(library::Error::Usb(usb::Error::Missed { .. })) if output::can_ask() => {
            let why = device.uses.first().map(Use::explain).unwrap_or_default();
            output::confirm(
                &format!("“{}” would be missed. {why}. Take it all the same?", device.name()),
                "it stays with this computer",
            )?;
            engine::attach_usb(entry, device, true)?
        }
        attached => attached?,
    };
    out.data(
        || json!(attached),
        || format!("“{}” is connected to “{}”, at its port {}.", device.name(), entry.machine.name, attached.port),
    )
}

/// `usb detach`.
fn detach(entry: &Entry, what: &str, out: Output) -> Result<()> {
    let device = engine::detach_usb(entry, what)?;
    out.data(|| json!({ "id": device.id }), || format!("This computer has “{}” again.", device.name))
}

/// `usb rule`.
fn rule(library: &Library, entry: &Entry, action: UsbRuleAction, out: Output) -> Result<()> {
    match action {
        UsbRuleAction::List => {
            let rules = &entry.machine.usb.rules;
            return out.data(
                || json!(rules),
                || match rules.is_empty() {
                    true => format!("“{}” has no rules for USB devices.", entry.machine.name),
                    false => rules.iter().map(|rule| format!("{rule}\n")).collect(),
                },
            );
        }
        UsbRuleAction::Add { rules } => {
            library.change(entry, |machine| {
                machine.usb.rules.retain(|old| !rules.iter().any(|new| new.is_about_the_same(old)));
                machine.usb.rules.extend(rules);
                Ok(())
            })?;
        }
        UsbRuleAction::Remove { devices } => {
            library.change(entry, |machine| {
                // With or without what becomes of it.
                let is = |rule: &UsbRule, text: &str| {
                    let own = rule.device();
                    own.eq_ignore_ascii_case(text) || rule.to_string().eq_ignore_ascii_case(text)
                };
                let has = |text: &&String| machine.usb.rules.iter().any(|rule| is(rule, text));
                if let Some(text) = devices.iter().find(|text| !has(text)) {
                    return Err(Problem::NoUsbRule(text.chars().take(80).collect()));
                }
                machine.usb.rules.retain(|rule| !devices.iter().any(|text| is(rule, text)));
                Ok(())
            })?;
        }
    }
    Ok(())
}
