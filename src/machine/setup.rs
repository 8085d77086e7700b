//! What a machine is built from: the desk's specification with its file descriptors put in place.

use std::fs::File;

use api::machine::{ImageFormat, MacAddress, NetworkModel, Resolution, SoundCard, Usb};
use api::spec::DriveSpecKind;
use net::Cable;
use uuid::Uuid;

/// Everything that a machine is built from.
pub struct Setup {
    /// For SMBIOS and consoles.
    pub name: String,
    /// SMBIOS system UUID.
    pub uuid: Uuid,
    /// vCPUs.
    pub processors: u32,
    /// Bytes of RAM.
    pub memory: u64,
    /// Seconds that the real-time clock is ahead of UTC.
    pub clock_offset: i64,
    /// What it starts with.
    pub firmware: Firmware,
    /// The video BIOS.
    pub video_rom: Option<Vec<u8>>,
    /// Disks and CD drives, in the order of their places.
    pub drives: Vec<Drive>,
    /// Network cards.
    pub networks: Vec<Network>,
    /// The sound card.
    pub sound: SoundCard,
    /// USB.
    pub usb: Usb,
    /// Ids of drives and network cards to start from, best first; others follow.
    pub boot: Vec<String>,
    /// What the monitor prefers at first.
    pub resolution: Resolution,
    /// Bytes of video memory, a power of two.
    pub video_memory: u64,
    /// virtio keyboard and tablet.
    pub virtio_input: bool,
    /// Log of the first serial port.
    pub serial: Option<File>,
    /// Log of the firmware's debug port.
    pub debugcon: Option<File>,
}

/// What a machine starts with.
pub enum Firmware {
    /// SeaBIOS: the ROM, of 64 KiB to 1 MiB.
    Bios(Vec<u8>),
    /// OVMF.
    Uefi {
        /// The code.
        code: Vec<u8>,
        /// The machine's variable store, written in place.
        variables: File,
    },
}

/// A drive.
pub struct Drive {
    /// Its name in commands.
    pub id: String,
    /// What it is.
    pub kind: DriveSpecKind,
    /// What is in it.
    pub image: Option<Image>,
    /// That is an installer's CD, to be taken out when there is a system on a disk.
    pub installer: bool,
}

/// An image.
pub struct Image {
    /// The file.
    pub file: File,
    /// Its format.
    pub format: ImageFormat,
    /// Never write.
    pub read_only: bool,
}

/// A network card.
pub struct Network {
    /// Its name in commands.
    pub id: String,
    /// What it is.
    pub model: NetworkModel,
    /// Starts machines from it, if it is an e1000.
    pub rom: Option<Vec<u8>>,
    /// Its address.
    pub mac: MacAddress,
    /// What it is connected to, in the desk's words.
    pub network: String,
    /// Frames; none is a card that nothing is connected to.
    pub cable: Option<Cable>,
    /// The cable is in at first.
    pub link: bool,
}
