//! This computer's USB devices: which there are, what it uses them for, and which machine has them.
//!
//! `nusb` finds devices and tells when they come and go; what they are used for is read from sysfs and procfs (`uses`). A machine gets
//! a device by the file that usbfs has for it (`node`), which its engine keeps. Who has what is written down beside the engine's sockets
//! (`lease`), so that whoever sees an engine's end, or what one left behind, gives the host its devices back.
//!
//! Devices are as hostile as guests: their strings are cleaned and bounded.

mod error;
mod find;
mod kind;
mod lease;
mod names;
mod node;
mod uses;
mod watch;

pub use api::usb::Speed;
pub use error::Error;
pub use find::find;
pub(crate) use find::find_among;
pub use kind::Kind;
pub use lease::{Lease, leases};
pub(crate) use lease::{give_back, note, release};
pub use node::rule_line;
pub(crate) use node::{open, settle};
pub use uses::{Host, Use};
pub use watch::watch;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use api::machine::{UsbAction, UsbRule};
use nusb::{DeviceInfo, MaybeFuture};

use self::names::Names;

/// Most characters of a device's strings: a string descriptor holds no more (USB 2.0, 9.6.7).
const STRING: usize = 126;

/// A device that is plugged into this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name in Linux, by bus and ports: `1-2.3`.
    pub id: String,
    /// Its vendor's number.
    pub vendor: u16,
    /// Its vendor's number for the product.
    pub product: u16,
    /// Who made it, in its own words, else in those of this computer's list; empty when nobody says.
    pub maker: String,
    /// What it is, in the same way.
    pub model: String,
    /// Its serial number, if it has one.
    pub serial: Option<String>,
    /// How fast it signals, if Linux knows.
    pub speed: Option<Speed>,
    /// What kind of device it is.
    pub kind: Kind,
    /// Its bus, and its ports from there, hub by hub.
    pub ports: (u8, Vec<u8>),
    /// Its address on the bus: another one whenever it is plugged in.
    pub address: u8,
    /// What this computer uses it for.
    pub uses: Vec<Use>,
    /// The machine that has it.
    pub machine: Option<Lease>,
    /// Its folder in sysfs.
    pub(crate) sysfs: PathBuf,
    /// Its interfaces' numbers; none before the kernel has chosen its configuration.
    pub(crate) interfaces: Vec<u8>,
}

impl Device {
    /// What people call it: maker and model, else its numbers.
    pub fn name(&self) -> String {
        let name = match (self.maker.as_str(), self.model.as_str()) {
            ("", "") => format!("{:04x}:{:04x}", self.vendor, self.product),
            (maker, "") => format!("{maker} {:04x}", self.product),
            ("", model) => model.to_owned(),
            (maker, model) if model.to_lowercase().starts_with(&maker.to_lowercase()) => model.to_owned(),
            (maker, model) => format!("{maker} {model}"),
        };
        name.chars().take(STRING).collect()
    }

    /// What keeps it from being given away.
    pub fn hindrance(&self) -> Option<&Use> {
        self.uses.iter().find(|use_| use_.forbids())
    }

    /// Is the rule about it?
    pub fn fits(&self, rule: &UsbRule) -> bool {
        rule.is_about(self.vendor, self.product, self.serial.as_deref(), &self.id)
    }

    /// A rule about it and, as far as it says who it is, no other.
    pub fn new_rule(&self, action: UsbAction) -> UsbRule {
        UsbRule { vendor: self.vendor, product: self.product, serial: self.serial.clone(), port: None, action }
    }

    /// The rule that decides about it: the first one that is about it.
    pub fn rule<'a>(&self, rules: &'a [UsbRule]) -> Option<&'a UsbRule> {
        rules.iter().find(|rule| self.fits(rule))
    }

    fn of(info: &DeviceInfo, host: &Host, names: &mut Names, leases: &[Lease]) -> Option<Self> {
        let id = info.sysfs_path().file_name()?.to_str()?.to_owned();
        let text = |string: Option<&str>| string.map(clean).filter(|string| !string.is_empty());
        let (vendor, product) = (info.vendor_id(), info.product_id());
        let known = |string: Option<String>, known: Option<String>| string.or(known).unwrap_or_default();
        let (maker, model) = (text(info.manufacturer_string()), text(info.product_string()));
        let (maker_known, model_known) = match (&maker, &model) {
            (Some(_), Some(_)) => (None, None),
            _ => names.of(vendor, product),
        };
        let interfaces = info.interfaces().map(|one| (one.class(), one.subclass(), one.protocol()));
        let mut device = Self {
            vendor,
            product,
            maker: known(maker, maker_known),
            model: known(model, model_known),
            serial: text(info.serial_number()),
            speed: speed(info),
            kind: Kind::of(info.class(), interfaces),
            ports: (info.busnum(), info.port_chain().to_vec()),
            address: info.device_address(),
            uses: Vec::new(),
            machine: None,
            sysfs: info.sysfs_path().to_owned(),
            interfaces: info.interfaces().map(nusb::InterfaceInfo::interface_number).collect(),
            id,
        };
        device.machine = leases.iter().find(|lease| lease.is_of(&device)).cloned();
        if device.machine.is_none() {
            device.uses = host.uses(&device.sysfs, device.kind);
        }
        Some(device)
    }
}

/// The devices that are plugged in now, by port; the hubs that belong to this computer's controllers are none.
pub fn list() -> Result<Vec<Device>, Error> {
    let (host, mut names, leases) = (Host::default(), Names::default(), leases());
    let mut devices: Vec<_> = infos()?.iter().filter_map(|info| Device::of(info, &host, &mut names, &leases)).collect();
    devices.sort_by(|one, other| one.ports.cmp(&other.ports));
    Ok(devices)
}

/// What `nusb` finds. A computer without any bus has no devices, and no folder for them.
fn infos() -> Result<Vec<DeviceInfo>, Error> {
    match nusb::list_devices().wait() {
        Ok(devices) => Ok(devices.collect()),
        Err(_) if !Path::new("/sys/bus/usb").exists() => Ok(Vec::new()),
        Err(error) => Err(Error::List(error.to_string())),
    }
}

fn speed(info: &DeviceInfo) -> Option<Speed> {
    match info.speed() {
        Some(nusb::Speed::Low) => Some(Speed::Low),
        Some(nusb::Speed::Full) => Some(Speed::Full),
        Some(nusb::Speed::High) => Some(Speed::High),
        Some(nusb::Speed::Super) => Some(Speed::Super),
        Some(nusb::Speed::SuperPlus) => Some(Speed::SuperPlus),
        // Two lanes, which it does not know.
        _ => {
            let text = std::fs::read_to_string(info.sysfs_path().join("speed")).ok()?;
            (text.trim().parse::<u32>().ok()? >= 10_000).then_some(Speed::SuperPlus)
        }
    }
}

/// A text file, the beginning of a long one. Kernels and devices write what they like.
fn read(path: &Path, most: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A device's string, fit to be shown.
fn clean(string: &str) -> String {
    let printable = string.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(STRING).collect::<String>().trim().to_owned()
}

#[cfg(test)]
pub(crate) fn a_device(id: &str) -> Device {
    Device {
        id: id.into(),
        vendor: 0x781,
        product: 0x5581,
        maker: "SanDisk".into(),
        model: "Ultra".into(),
        serial: Some("4C53".into()),
        speed: Some(Speed::Super),
        kind: Kind::Storage,
        ports: (1, vec![2]),
        address: 5,
        uses: Vec::new(),
        machine: None,
        sysfs: PathBuf::from("/nowhere"),
        interfaces: vec![0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_called_what_people_call_them() {
        let named =
            |maker: &str, model: &str| Device { maker: maker.into(), model: model.into(), ..a_device("1-2") }.name();
        assert_eq!(named("SanDisk", "Ultra"), "SanDisk Ultra");
        assert_eq!(named("Logitech", "Logitech Webcam"), "Logitech Webcam");
        assert_eq!(named("", "Webcam"), "Webcam");
        assert_eq!(named("Yubico", ""), "Yubico 5581");
        assert_eq!(named("", ""), "0781:5581");
        assert_eq!(clean(" a\u{7}b\n"), "a b");
        assert_eq!(clean(&"x".repeat(1000)).len(), STRING);
    }

    #[test]
    fn the_first_rule_about_a_device_decides() {
        let rules: Vec<UsbRule> =
            ["0781:5581:other=ask", "0781:5581@1-2=start", "0781:5581=always"].map(|rule| rule.parse().unwrap()).into();
        assert_eq!(a_device("1-2").rule(&rules), Some(&rules[1]));
        assert_eq!(a_device("1-3").rule(&rules), Some(&rules[2]));
        assert_eq!(a_device("1-3").rule(&rules[..2]), None);
    }

    #[test]
    fn this_computer_can_be_asked() {
        for device in list().unwrap() {
            assert!(api::usb::is_port(&device.id), "{device:?}");
            assert!(!device.name().is_empty());
        }
    }
}
