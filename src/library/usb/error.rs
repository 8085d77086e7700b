//! Why a machine does not get a USB device, or give it back.

/// What went wrong, as a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody says which devices there are.
    #[error("this computer's USB devices cannot be listed: {0}")]
    List(String),
    /// Nothing is plugged in that is called so.
    #[error("there is no USB device “{0}” in this computer: “dormerctl usb list” shows those there are")]
    NotFound(String),
    /// It is neither a port nor numbers.
    #[error("“{0}” is not a USB device: write its port as in 1-2.3, or its numbers as in 0781:5581")]
    NotADevice(String),
    /// Several are called so.
    #[error("there are several USB devices “{what}”: choose one of {}", .devices.join(", "))]
    Ambiguous {
        /// What was asked for.
        what: String,
        /// Port and name of each.
        devices: Vec<String>,
    },
    /// The host needs it.
    #[error("“{name}” ({id}) stays with this computer. {}", .why.explain())]
    InUse {
        /// The device.
        name: String,
        /// Its port.
        id: String,
        /// What for.
        why: super::Use,
    },
    /// The host will miss it, which its owner should say they know.
    #[error("“{name}” ({id}) would be missed. {}: “dormerctl usb attach --yes” takes it all the same", .why.explain())]
    Missed {
        /// The device.
        name: String,
        /// Its port.
        id: String,
        /// What for.
        why: super::Use,
    },
    /// Another machine has it, or this one already.
    #[error("“{name}” ({id}) is connected to “{machine}” already")]
    Taken {
        /// The device.
        name: String,
        /// Its port.
        id: String,
        /// The machine.
        machine: String,
    },
    /// The machine does not have it.
    #[error("“{machine}” has no USB device “{what}”: “dormerctl usb list” shows who has which")]
    NotAttached {
        /// The machine.
        machine: String,
        /// What was asked for.
        what: String,
    },
    /// It went away.
    #[error("“{name}” ({id}) is not plugged in any more")]
    Gone {
        /// The device.
        name: String,
        /// Its port.
        id: String,
    },
    /// This person may not use it.
    #[error("you may not use “{name}” ({id}). As root, put this line into {file}, then plug the device in again:\n{line}", file = super::node::RULES)]
    Permission {
        /// The device.
        name: String,
        /// Its port.
        id: String,
        /// udev's rule.
        line: String,
    },
    /// From within Flatpak.
    #[error("Flatpak keeps Dormer from USB devices: use “{0}” from a Dormer that is installed without it")]
    Sandboxed(String),
    /// The system refuses for another reason.
    #[error("“{name}” ({id}) cannot be opened: {source}")]
    Open {
        /// The device.
        name: String,
        /// Its port.
        id: String,
        /// Why.
        source: std::io::Error,
    },
}
