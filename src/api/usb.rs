//! USB, in words that engine and desk share.

use std::fmt;
use std::num::ParseIntError;

use serde::{Deserialize, Serialize};

use crate::sizes::Profile;
use crate::usb_rule::UsbRule;
pub use crate::usb_rule::{is_usb_port as is_port, parse_usb_number as parse_number};

/// Most bytes of a host device's id, and of its name.
pub const TEXT_BYTES: usize = 256;

/// How fast a USB device signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speed {
    /// 1.5 Mbit/s (USB 1).
    Low,
    /// 12 Mbit/s (USB 1).
    Full,
    /// 480 Mbit/s (USB 2).
    High,
    /// 5 Gbit/s (USB 3).
    Super,
    /// 10 Gbit/s and more (USB 3.1).
    SuperPlus,
}

impl Speed {
    /// Does it go by the wires of USB 3?
    pub fn is_super(self) -> bool {
        self >= Self::Super
    }
}

/// Where a device is in a machine: in a port of the controller, or in one of the hub that is in that. Written `3`, or `1.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// The controller's port, 1 being the first.
    pub port: u8,
    /// The hub's, 1 being the first.
    pub behind: Option<u8>,
}

impl From<u8> for Place {
    /// A port of the controller.
    fn from(port: u8) -> Self {
        Self { port, behind: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, behind } = self;
        match behind {
            None => write!(f, "{port}"),
            Some(behind) => write!(f, "{port}.{behind}"),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = ParseIntError;

    fn try_from(text: String) -> Result<Self, ParseIntError> {
        match text.split_once('.') {
            None => Ok(Self::from(text.parse::<u8>()?)),
            Some((port, behind)) => Ok(Self { port: port.parse()?, behind: Some(behind.parse()?) }),
        }
    }
}

/// A machine's USB as its owner configures it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Usb {
    /// The controller; the rest is in its ports.
    #[serde(default)]
    pub controller: UsbController,
    /// A keyboard, which keys go to rather than to the PS/2 one. Systems without a driver for the controller then have none once their
    /// firmware has had it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyboard: bool,
    /// A tablet: the mouse is not captured by systems that have a driver for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tablet: bool,
    /// A mouse, for systems that are to be tried with one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mouse: bool,
    /// A hub of USB 2 with four ports, in which those three are then, and what is plugged in while one is free and runs at its speed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hub: bool,
    /// Which of this computer's USB devices it gets, and when; the first rule that is about a device decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<UsbRule>,
}

impl Usb {
    /// What a new machine has. Who has `virtio_input` has a tablet already.
    pub fn for_guest(profile: Profile, virtio_input: bool) -> Self {
        match profile {
            Profile::Windows | Profile::Linux => {
                Self { controller: UsbController::Xhci, tablet: !virtio_input, ..Self::default() }
            }
            Profile::Legacy => Self::default(),
        }
    }
}

/// A USB controller's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsbController {
    /// No USB.
    #[default]
    None,
    /// USB 3.1, 2 and 1; Windows since 8, Linux and BSD have a driver for it.
    Xhci,
}

/// An answer to `x-dormer-usb-attach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsbAttached {
    /// The host's device.
    pub id: String,
    /// Where it is.
    pub port: Place,
    /// How fast it signals.
    pub speed: Speed,
}

/// A device of the host that the machine has: an element of the answer to `x-dormer-query-usb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsbStatus {
    /// The host's device, by its name in sysfs (`bus-port.port`).
    pub id: String,
    /// For people, as the desk named it.
    pub name: String,
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// How fast it signals.
    pub speed: Speed,
    /// Where it is.
    pub port: Place,
}

/// Why a machine has a device of the host no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsbGone {
    /// It was pulled out of the host, or is another one after a reset.
    Unplugged,
    /// It was given back to the host.
    Detached,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_have_their_shapes() {
        let attached = UsbAttached { id: "1-2".into(), port: 3.into(), speed: Speed::SuperPlus };
        assert_eq!(serde_json::to_value(attached).unwrap(), json!({ "id": "1-2", "port": "3", "speed": "super-plus" }));
        let status = json!({
            "id": "1-2", "name": "Stick", "vendor": 0x781, "product": 0x5581, "speed": "high", "port": "1.4",
        });
        let parsed: UsbStatus = serde_json::from_value(status.clone()).unwrap();
        assert_eq!((parsed.vendor, parsed.speed), (0x781, Speed::High));
        assert_eq!(parsed.port, Place { port: 1, behind: Some(4) });
        assert_eq!(serde_json::to_value(parsed).unwrap(), status);
        for bad in [json!(5), json!(""), json!("256"), json!("1."), json!("1.2.3"), json!("-1")] {
            assert!(serde_json::from_value::<Place>(bad.clone()).is_err(), "{bad}");
        }
    }
}
