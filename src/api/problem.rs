//! What can be wrong with a configuration.

use crate::limits;
use crate::mac_address::MacAddress;
use crate::resolution::Resolution;

/// What is wrong with a configuration, as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a name for people and folders.
    #[error(
        "“{0}” cannot be a machine's name: use 1 to 80 characters, none of them “/” or a control character, not starting with “.”"
    )]
    Name(String),
    /// Too few or many processors.
    #[error("a machine can have 1 to {max} processors, not {0}", max = limits::PROCESSORS)]
    Processors(u32),
    /// Too little or much memory.
    #[error("a machine can have {min} MiB to {max} MiB of memory, not {0} MiB", min = limits::MEMORY_MIN, max = limits::MEMORY_MAX)]
    Memory(u64),
    /// More drives than places.
    #[error(
        "a machine can have {max} AHCI, {virtio} virtio and {usb} USB drives",
        max = limits::AHCI_DRIVES, virtio = limits::VIRTIO_DRIVES, usb = limits::USB_DRIVES
    )]
    Drives,
    /// A disk on USB, and no USB.
    #[error("a USB disk needs a USB controller: set usb.controller=xhci, or connect the disk otherwise")]
    NoUsb,
    /// A CD on virtio-blk.
    #[error("a CD drive can only be connected to AHCI")]
    CdBus,
    /// A disk without an image.
    #[error("disk {0} has no image")]
    NoImage(usize),
    /// More cards than places.
    #[error("a machine can have {max} network cards", max = limits::NETWORKS)]
    Networks,
    /// Not an Ethernet address.
    #[error(
        "“{0}” is not an Ethernet address for a card: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56"
    )]
    Mac(String),
    /// Two cards of one address.
    #[error("two network cards cannot both have the address {0}")]
    SameMac(MacAddress),
    /// Not a forward.
    #[error("“{0}” is not a forward: write a port of this computer and one of the guest, as in 2222:22 or udp:5353:53")]
    Forward(String),
    /// A host port that leads to two places.
    #[error("port {0} of this computer cannot lead to two places")]
    SameForward(u16),
    /// Not a network.
    #[error("“{0}” is not a network: write nat, or as in internal:lab, bridge:br0 or tap:tap0")]
    Attachment(String),
    /// Not an internal network's name.
    #[error("“{0}” cannot be a network's name: use 1 to 32 letters from a to z, digits, “-” and “_”")]
    NetworkName(String),
    /// Not a network interface's name.
    #[error("“{0}” cannot be the name of a network device: “ip link” shows those there are")]
    InterfaceName(String),
    /// Ports of the host that cannot lead anywhere.
    #[error(
        "ports of this computer lead into net{0}, which they can only while it is on the network “nat”: take them away first"
    )]
    ForwardsNeedNat(usize),
    /// A port that leads nowhere.
    #[error("port {0} of this computer does not lead into this machine")]
    NoForward(u16),
    /// Not a size of a screen.
    #[error("“{0}” is not the size of a screen: write width and height as in 1280x800")]
    Resolution(String),
    /// Not an amount of video memory.
    #[error("a machine can have 16, 32, 64, 128 or 256 MiB of video memory, not {0} MiB")]
    VideoMemory(u32),
    /// A screen that video memory has no room for.
    #[error(
        "a screen of {screen} needs {needs} MiB of video memory: give the machine more, or choose a smaller screen"
    )]
    ScreenNeeds {
        /// The screen.
        screen: Resolution,
        /// MiB.
        needs: u32,
    },
    /// Louder than a guest plays.
    #[error("volume is 0 to 100 percent, not {0}")]
    Volume(u8),
    /// Not the name of a device for sound.
    #[error("“{0}” cannot be the name of a device for sound: use up to 256 bytes, none of them a control character")]
    SoundDevice(String),
    /// Not a rule for USB devices.
    #[error(
        "“{0}” is not a rule for USB devices: write vendor:product and always, start or ask, as in 0781:5581=always, 0781:5581:SERIAL=start or 046d:c52b@1-2.3=ask"
    )]
    UsbRule(String),
    /// More rules than anybody reads.
    #[error("a machine can have {max} rules for USB devices", max = limits::USB_RULES)]
    UsbRules,
    /// Two rules for the same device.
    #[error("there are two rules for the USB device {0}: keep one of them")]
    SameUsbRule(String),
    /// No such rule.
    #[error("this machine has no rule for the USB device “{0}”: “dormerctl usb rule NAME list” shows those it has")]
    NoUsbRule(String),
    /// Notes that are a book.
    #[error("notes can have {max} bytes, and no control characters; these have {0} bytes", max = limits::NOTES)]
    Notes(usize),
    /// A boot order with something that is not there.
    #[error("this machine has no “{0}” to start from")]
    NoBootDevice(String),
    /// A boot order with something twice.
    #[error("“{0}” stands in the boot order twice")]
    SameBootDevice(String),
    /// A name that is none for a group.
    #[error("“{0}” cannot be a group's name: it should be a short text in one line")]
    Group(String),
    /// No setting of this name.
    #[error("this machine has no setting “{0}”")]
    NoSetting(String),
    /// A value that a setting does not take.
    #[error("“{key}” takes {takes}, not “{value}”")]
    Value {
        /// The setting.
        key: String,
        /// What was to be its value.
        value: String,
        /// What it takes, in words.
        takes: String,
    },
    /// A running machine cannot follow.
    #[error("“{0}” can only be changed while the machine is off")]
    NeedsOff(String),
    /// A file of a later Dormer.
    #[error("this machine was made by a newer Dormer (format {0}): update Dormer to use it")]
    Format(u32),
}
