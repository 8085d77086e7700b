//! A lamp of the list of devices: lit while something goes through its device, and it says what. It is a ring or a disc, so that nobody
//! has to tell colours apart.

use std::collections::HashMap;

use api::control::NetworkStatus;
use api::stats::DriveStats;
use gtk::prelude::*;
use library::usage::Sample;

use crate::i18n::{gettext, gettext_f};

/// What goes through a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Reads of a drive, frames from a network.
    to_guest: bool,
    /// Writes to a drive, frames to a network.
    from_guest: bool,
}

/// What the words are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    Drive,
    Card,
}

/// The lamp.
pub(super) struct Lamp {
    root: gtk::Box,
    device: Device,
    /// The device's name for people.
    name: String,
}

impl Lamp {
    /// One that is dark.
    pub(super) fn new(device: Device, name: &str) -> Self {
        let root = gtk::Box::builder()
            .accessible_role(gtk::AccessibleRole::Img)
            .valign(gtk::Align::Center)
            .css_classes(["lamp"])
            .build();
        let lamp = Self { root, device, name: name.to_owned() };
        lamp.show(Traffic::default());
        lamp
    }

    /// What goes into a row.
    pub(super) fn widget(&self) -> &gtk::Box {
        &self.root
    }

    /// Shows what goes through the device.
    pub(super) fn show(&self, traffic: Traffic) {
        let words = words(self.device, traffic);
        if self.root.tooltip_text().as_deref() == Some(&words) {
            return;
        }
        if traffic == Traffic::default() {
            self.root.remove_css_class("lit")
        } else {
            self.root.add_css_class("lit")
        }
        let said = gettext_f("{device}: {activity}", &[("device", &self.name), ("activity", &words)]);
        self.root.update_property(&[gtk::accessible::Property::Label(&said)]);
        self.root.set_tooltip_text(Some(&words));
    }
}

fn words(device: Device, Traffic { to_guest, from_guest }: Traffic) -> String {
    match (device, to_guest, from_guest) {
        (_, false, false) => gettext("Idle"),
        (Device::Drive, true, false) => gettext("Reading"),
        (Device::Drive, false, true) => gettext("Writing"),
        (Device::Drive, true, true) => gettext("Reading and writing"),
        (Device::Card, true, false) => gettext("Receiving"),
        (Device::Card, false, true) => gettext("Sending"),
        (Device::Card, true, true) => gettext("Receiving and sending"),
    }
}

/// What went through a machine's drives and cards between two samples, by their names.
pub(super) fn between(before: &Sample, now: &Sample) -> HashMap<String, Traffic> {
    let drives = now.drives.iter().filter_map(|drive| {
        let earlier = before.drives.iter().find(|earlier| earlier.device == drive.device)?;
        let more = |of: fn(&DriveStats) -> u64| of(drive) > of(earlier);
        let to_guest = more(|drive| drive.stats.rd_operations);
        let from_guest = more(|drive| drive.stats.wr_operations)
            || more(|drive| drive.stats.flush_operations)
            || more(|drive| drive.stats.unmap_operations);
        Some((drive.device.clone(), Traffic { to_guest, from_guest }))
    });
    let cards = now.networks.iter().filter_map(|card| {
        let earlier = before.networks.iter().find(|earlier| earlier.device == card.device)?;
        let more = |of: fn(&NetworkStatus) -> u64| of(card) > of(earlier);
        let traffic = Traffic { to_guest: more(|card| card.received), from_guest: more(|card| card.sent) };
        Some((card.device.clone(), traffic))
    });
    drives.chain(cards).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use api::machine::MacAddress;
    use api::stats::{BlockStats, Usage};

    use super::*;

    fn sample(drive: BlockStats, (received, sent): (u64, u64)) -> Sample {
        let card = NetworkStatus {
            device: "net0".into(),
            mac: MacAddress([0; 6]),
            network: "nat".into(),
            plugged: true,
            link: true,
            sent,
            sent_bytes: 0,
            dropped: 0,
            received,
            received_bytes: 0,
            captured: false,
        };
        Sample {
            at: Instant::now(),
            usage: Usage { cpu_time: 0, processors: 1, memory: 0, memory_size: 0 },
            drives: vec![DriveStats { device: "cd0".into(), stats: drive }],
            networks: vec![card],
        }
    }

    #[test]
    fn lamps_are_lit_by_what_went_through() {
        let none = BlockStats::default();
        let seen = |before: &Sample, now: &Sample| {
            let between = between(before, now);
            [words(Device::Drive, between["cd0"]), words(Device::Card, between["net0"])]
        };
        let first = sample(none, (1, 1));
        assert_eq!(seen(&first, &first), ["Idle", "Idle"]);
        let read = BlockStats { rd_operations: 1, ..none };
        assert_eq!(seen(&first, &sample(read, (2, 1))), ["Reading", "Receiving"]);
        let written = BlockStats { flush_operations: 1, ..none };
        assert_eq!(seen(&first, &sample(written, (1, 2))), ["Writing", "Sending"]);
        let both = BlockStats { unmap_operations: 1, ..read };
        assert_eq!(seen(&first, &sample(both, (2, 2))), ["Reading and writing", "Receiving and sending"]);
        // An engine that started anew, and devices that have come.
        assert_eq!(seen(&sample(both, (2, 2)), &first), ["Idle", "Idle"]);
        let empty = Sample { drives: Vec::new(), networks: Vec::new(), ..first.clone() };
        assert!(between(&empty, &first).is_empty());
    }
}
