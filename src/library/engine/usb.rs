//! Giving a running machine USB devices of this computer, and taking them back.

use std::os::fd::AsFd;

use api::control::Command;
use api::machine::UsbAction;
use api::usb::{TEXT_BYTES, UsbAttached, UsbStatus};

use super::{Running, keeper};
use crate::control;
use crate::entry::Entry;
use crate::error::Result;
use crate::usb::{self, Device, Error};

/// Gives a device to the running machine of `entry`: not one that this computer needs, and one that it will miss only if its owner says so.
pub fn attach_usb(entry: &Entry, device: &Device, all_the_same: bool) -> Result<UsbAttached> {
    let settled;
    let device = match device.interfaces.is_empty() {
        true => {
            settled = settled_usb(device)?;
            &settled
        }
        false => device,
    };
    let (name, id) = (device.name(), device.id.clone());
    if let Some(lease) = &device.machine {
        return Err(Error::Taken { name, id, machine: lease.machine.clone() }.into());
    }
    match device.uses.first() {
        Some(why) if why.forbids() => return Err(Error::InUse { name, id, why: why.clone() }.into()),
        Some(why) if !all_the_same => return Err(Error::Missed { name, id, why: why.clone() }.into()),
        _ => {}
    }
    let running = entry.running()?;
    let mut control = running.control()?;
    let node = usb::open(device)?;
    let keeper = keeper::start(&node, &entry.logs().join("engine.log"))?;
    // First, so that the host gets it back from an engine that has not answered.
    usb::note(running.sockets(), (&entry.machine.name, entry.machine.uuid), device)?;
    let command = Command::UsbAttach { id: device.id.clone(), name: shorten(name) };
    let answer = control
        .execute_with(&command, &[node.as_fd(), keeper.as_fd()])
        .and_then(|answer| serde_json::from_value(answer).map_err(|error| control::Error::Nonsense(error.to_string())));
    if let Err(control::Error::Refused(_)) = &answer {
        drop((node, keeper));
        usb::release(running.sockets(), &device.id);
    }
    Ok(answer?)
}

/// The device as it is once the kernel has chosen its configuration: only then is it known what this computer uses it for.
fn settled_usb(device: &Device) -> Result<Device> {
    usb::settle(device);
    let same = |now: &Device| (&now.id, now.address) == (&device.id, device.address);
    let now = usb::list()?.into_iter().find(same);
    Ok(now.ok_or_else(|| Error::Gone { name: device.name(), id: device.id.clone() })?)
}

/// Takes a device from the running machine of `entry`, by its port or numbers. This computer has it back then, with its drivers.
pub fn detach_usb(entry: &Entry, what: &str) -> Result<UsbStatus> {
    let running = entry.running()?;
    let mut control = running.control()?;
    let device = usb::find_among(control.usb()?, what).map_err(|error| match error {
        Error::NotFound(what) => Error::NotAttached { machine: entry.machine.name.clone(), what },
        error => error,
    })?;
    control.execute(&Command::UsbDetach { id: device.id.clone() })?;
    usb::release(running.sockets(), &device.id);
    Ok(device)
}

/// The devices that the running machine of `entry` has.
pub fn usb_of(entry: &Entry) -> Result<Vec<UsbStatus>> {
    Ok(entry.running()?.control()?.usb()?)
}

/// The running machine has the device at this port no more, as its engine says. What people call the device, if that was written down.
pub fn usb_gone(running: &Running, id: &str) -> Option<String> {
    usb::release(running.sockets(), id)
}

/// Gives the machine of `entry`, which has just started, the devices that its rules name; tells of those that it does not get.
pub(super) fn attach_at_start(entry: &Entry) -> Vec<String> {
    let rules = &entry.machine.usb.rules;
    if !rules.iter().any(|rule| rule.action != UsbAction::Ask) {
        return Vec::new();
    }
    let devices = match usb::list() {
        Ok(devices) => devices,
        Err(error) => return vec![error.to_string()],
    };
    let wanted = devices.iter().filter(|device| device.rule(rules).is_some_and(|rule| rule.action != UsbAction::Ask));
    wanted.filter_map(|device| attach_usb(entry, device, true).err()).map(|error| error.to_string()).collect()
}

/// A name for people, no longer than an engine takes.
fn shorten(name: String) -> String {
    let mut end = name.len().min(TEXT_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
