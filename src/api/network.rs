//! Network cards as their owner configures them.

use serde::{Deserialize, Serialize};

use crate::attachment::Attachment;
use crate::forward::Forward;
use crate::mac_address::MacAddress;
use crate::sizes::Profile;

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// The card.
    #[serde(default)]
    pub model: NetworkModel,
    /// Its address, as in `52:54:00:12:34:56`.
    pub mac: MacAddress,
    /// The cable is in.
    #[serde(default = "crate::machine::yes", skip_serializing_if = "is_yes")]
    pub link: bool,
    /// Where the cable goes.
    #[serde(default, rename = "network", skip_serializing_if = "Attachment::is_nat")]
    pub attachment: Attachment,
    /// Ports of the host that lead into the guest.
    #[serde(default, rename = "forward", skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<Forward>,
}

fn is_yes(value: &bool) -> bool {
    *value
}

impl Network {
    /// A card on the host's network.
    pub fn new(mac: MacAddress) -> Self {
        Self {
            model: NetworkModel::default(),
            mac,
            link: true,
            attachment: Attachment::default(),
            forwards: Vec::new(),
        }
    }
}

/// A network card's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkModel {
    /// virtio-net: fast, needs a virtio driver.
    #[default]
    Virtio,
    /// Intel's 82540EM: works with every system's own driver.
    E1000,
}

impl NetworkModel {
    /// What a new machine's cards are.
    pub fn for_guest(profile: Profile) -> Self {
        match profile {
            Profile::Linux => Self::Virtio,
            Profile::Windows | Profile::Legacy => Self::E1000,
        }
    }
}
