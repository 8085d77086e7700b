//! A machine as its owner configures it: the contents of `machine.toml`, with limits and defaults.
//!
//! This is the one place where defaults live. What can be checked without looking at the host is checked by
//! [`Machine::check`], for the app, for `dormerctl` and for files that somebody edited by hand.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::attachment::{Attachment, InterfaceName, NetworkName};
pub use crate::drive::{DiskCache, Drive, DriveBus, DriveKind, ImageFormat};
pub use crate::forward::{Forward, Protocol};
pub use crate::limits;
pub use crate::mac_address::MacAddress;
pub use crate::network::{Network, NetworkModel};
pub use crate::problem::Problem;
pub use crate::resolution::Resolution;
pub use crate::sizes::{Host, Profile, Sizes, Wants};
pub use crate::sound::{Sound, SoundCard};
pub use crate::usb::{Usb, UsbController};
pub use crate::usb_rule::{UsbAction, UsbRule};

/// A machine's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Machine {
    /// Version of this file's shape; [`Machine::FORMAT`] in new ones.
    pub format: u32,
    /// Never changes.
    pub uuid: Uuid,
    /// What the person calls it.
    pub name: String,
    /// Machines of one group stand together in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The guest's id in osinfo-db (`debian13`), when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The guest in words, when the medium it came from said more than its id does, or has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The named board; never changes, so that guests find the same hardware for ever.
    #[serde(default)]
    pub board: Board,
    /// How it starts.
    #[serde(default)]
    pub firmware: Firmware,
    /// Virtual processors.
    pub processors: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// What the real-time clock shows.
    #[serde(default)]
    pub clock: RealTimeClock,
    /// What it starts from, best first, by the names of [`Machine::device_names`]; devices that are not named follow in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot: Vec<String>,
    /// Disks and CD drives, in the order of their places on the board.
    #[serde(default, rename = "drive")]
    pub drives: Vec<Drive>,
    /// Network cards.
    #[serde(default, rename = "network")]
    pub networks: Vec<Network>,
    /// Its sound card.
    #[serde(default)]
    pub sound: Sound,
    /// Its USB.
    #[serde(default)]
    pub usb: Usb,
    /// Give the guest virtio keyboard and tablet beside PS/2.
    #[serde(default = "yes")]
    pub virtio_input: bool,
    /// The screen's size when it starts, as its monitor tells the guest.
    #[serde(default, skip_serializing_if = "Resolution::is_default")]
    pub resolution: Resolution,
    /// The graphics adapter's own memory in MiB; a picture that firmware and systems without a driver of virtio's show must fit in.
    #[serde(default = "least_video_memory", skip_serializing_if = "is_least_video_memory")]
    pub video_memory: u32,
    /// Start it when its owner logs in to the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub autostart: bool,
    /// What its owner wants to remember of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

pub(crate) fn yes() -> bool {
    true
}

fn least_video_memory() -> u32 {
    *limits::VIDEO_MEMORY.start()
}

fn is_least_video_memory(memory: &u32) -> bool {
    *memory == least_video_memory()
}

/// A board version. Its devices never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Board {
    /// Q35 with ICH9, first version.
    #[default]
    #[serde(rename = "q35-1")]
    Q35V1,
}

/// How a machine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// SeaBIOS: DOS, Windows up to 7, old systems.
    Bios,
    /// OVMF with a variable store of the machine's own.
    #[default]
    Uefi,
}

/// What the real-time clock shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RealTimeClock {
    /// UTC: Linux, BSD.
    #[default]
    Utc,
    /// The host's local time: Windows, DOS.
    Local,
}

/// Is this a name for people and folders?
pub fn check_name(name: &str) -> Result<(), Problem> {
    let good = is_line(name) && !name.starts_with('.') && !name.contains('/');
    good.then_some(()).ok_or_else(|| Problem::Name(name.to_owned()))
}

/// Is this a short text in one line?
fn is_line(text: &str) -> bool {
    (1..=limits::NAME).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control)
}

impl Machine {
    /// The newest file format.
    pub const FORMAT: u32 = 1;

    /// Everything that can be said without looking at the host.
    pub fn check(&self) -> Result<(), Problem> {
        if self.format > Self::FORMAT {
            return Err(Problem::Format(self.format));
        }
        check_name(&self.name)?;
        if let Some(group) = self.group.as_deref().filter(|group| !is_line(group)) {
            return Err(Problem::Group(group.to_owned()));
        }
        if !(1..=limits::PROCESSORS).contains(&self.processors) {
            return Err(Problem::Processors(self.processors));
        }
        if !(limits::MEMORY_MIN..=limits::MEMORY_MAX).contains(&self.memory) {
            return Err(Problem::Memory(self.memory));
        }
        if !self.video_memory.is_power_of_two() || !limits::VIDEO_MEMORY.contains(&self.video_memory) {
            return Err(Problem::VideoMemory(self.video_memory));
        }
        if self.resolution.video_memory() > self.video_memory {
            return Err(Problem::ScreenNeeds { screen: self.resolution, needs: self.resolution.video_memory() });
        }
        for (number, drive) in self.drives.iter().enumerate() {
            match drive.kind {
                DriveKind::Cd if drive.bus != DriveBus::Ahci => return Err(Problem::CdBus),
                DriveKind::Disk if drive.image.is_none() => return Err(Problem::NoImage(number)),
                _ => {}
            }
        }
        let on = |bus| self.drives.iter().filter(|drive| drive.bus == bus).count();
        if on(DriveBus::Ahci) > limits::AHCI_DRIVES
            || on(DriveBus::Virtio) > limits::VIRTIO_DRIVES
            || on(DriveBus::Usb) > limits::USB_DRIVES
        {
            return Err(Problem::Drives);
        }
        if on(DriveBus::Usb) > 0 && self.usb.controller == UsbController::None {
            return Err(Problem::NoUsb);
        }
        self.sound.check()?;
        if self.networks.len() > limits::NETWORKS {
            return Err(Problem::Networks);
        }
        let mut addresses = HashSet::new();
        if let Some(network) = self.networks.iter().find(|network| !addresses.insert(network.mac)) {
            return Err(Problem::SameMac(network.mac));
        }
        if self.usb.rules.len() > limits::USB_RULES {
            return Err(Problem::UsbRules);
        }
        for (number, rule) in self.usb.rules.iter().enumerate() {
            if self.usb.rules[..number].iter().any(|other| other.is_about_the_same(rule)) {
                return Err(Problem::SameUsbRule(rule.device()));
            }
        }
        let is_text = |c: char| !c.is_control() || c == '\n' || c == '\t';
        if self.notes.len() > limits::NOTES || !self.notes.chars().all(is_text) {
            return Err(Problem::Notes(self.notes.len()));
        }
        let devices = self.device_names();
        let mut named = HashSet::new();
        for name in &self.boot {
            if !devices.contains(name) {
                return Err(Problem::NoBootDevice(name.clone()));
            }
            if !named.insert(name) {
                return Err(Problem::SameBootDevice(name.clone()));
            }
        }
        let lost = |network: &Network| !network.attachment.is_nat() && !network.forwards.is_empty();
        if let Some(card) = self.networks.iter().position(lost) {
            return Err(Problem::ForwardsNeedNat(card));
        }
        let mut ports = HashSet::new();
        let mut forwards = self.networks.iter().flat_map(|network| &network.forwards);
        if let Some(forward) = forwards.find(|forward| !ports.insert((forward.protocol, forward.host))) {
            return Err(Problem::SameForward(forward.host));
        }
        Ok(())
    }

    /// What control commands and settings call each drive, in the drives' order: `disk0`, `cd0`, `disk1`.
    pub fn drive_names(&self) -> Vec<String> {
        let (mut disks, mut cds) = (0.., 0..);
        let mut name = |drive: &Drive| match drive.kind {
            DriveKind::Disk => format!("disk{}", disks.next().unwrap_or(0)),
            DriveKind::Cd => format!("cd{}", cds.next().unwrap_or(0)),
        };
        self.drives.iter().map(&mut name).collect()
    }

    /// The names of all drives and then of all network cards, `net0` being the first.
    pub fn device_names(&self) -> Vec<String> {
        let cards = (0..self.networks.len()).map(|card| format!("net{card}"));
        self.drive_names().into_iter().chain(cards).collect()
    }

    /// What one more network card is: as those there are, or what works with every system.
    pub fn next_card_model(&self) -> NetworkModel {
        self.networks.last().map_or(NetworkModel::E1000, |card| card.model)
    }

    /// What it starts from, best first: all of its drives and network cards by name.
    pub fn boot_order(&self) -> Vec<String> {
        let mut names = self.device_names();
        // Stable: what is not named keeps its place behind what is.
        names.sort_by_key(|name| self.boot.iter().position(|named| named == name).unwrap_or(usize::MAX));
        names
    }

    /// Takes a drive away. Those of its kind behind it get other names; the boot order means the same devices as before.
    pub fn remove_drive(&mut self, place: usize) {
        self.keep_boot_order(place, |machine| drop(machine.drives.remove(place)));
    }

    /// Takes a network card away, as [`Machine::remove_drive`] does.
    pub fn remove_card(&mut self, card: usize) {
        self.keep_boot_order(self.drives.len() + card, |machine| drop(machine.networks.remove(card)));
    }

    /// `remove` takes the device away that has this place among [`Machine::device_names`].
    fn keep_boot_order(&mut self, place: usize, remove: impl FnOnce(&mut Self)) {
        let before = self.device_names();
        remove(self);
        let after = self.device_names();
        let renamed = |old: &String| {
            let at = before.iter().position(|name| name == old).filter(|at| *at != place)?;
            after.get(at - usize::from(at > place)).cloned()
        };
        self.boot = self.boot.iter().filter_map(renamed).collect();
    }
}

#[cfg(test)]
#[path = "machine_test.rs"]
mod tests;
