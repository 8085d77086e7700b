//! A machine as an engine gets it: no path, only file descriptors.
//!
//! `dormer-vm` starts with one inherited socket (`SOCK_SEQPACKET`). Over it comes one [`Start`] as JSON, with the descriptors
//! attached (SCM_RIGHTS); [`Start::fds`] names them in order. The engine answers with one [`Started`] and closes the socket.
//! A failed start answers [`Started::Failed`] with a sentence for the person, and the process ends.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::machine::{Board, ImageFormat, MacAddress, NetworkModel, Resolution, SoundCard, Usb};

/// Most bytes of a [`Start`] message.
pub const START_BYTES: usize = 64 << 10;
/// Most descriptors with one message.
pub const START_FDS: usize = 64;

/// Index of a descriptor in the message it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FdIndex(pub u32);

/// The first message to an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// `/dev/kvm`, opened for reading and writing.
    pub kvm: FdIndex,
    /// A listening `SOCK_STREAM` socket: control.
    pub control: FdIndex,
    /// A listening `SOCK_SEQPACKET` socket: consoles.
    pub ui: FdIndex,
    /// Standard error from now on; the engine writes at most a few MiB.
    pub log: Option<FdIndex>,
    /// The machine.
    pub machine: MachineSpec,
    /// Stand still until `cont`.
    #[serde(default)]
    pub paused: bool,
}

/// The answer to [`Start`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Started {
    /// The machine runs (or stands paused, as asked).
    Running,
    /// It does not, and why.
    Failed(String),
}

/// The machine to build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineSpec {
    /// For window titles, SMBIOS and logs.
    pub name: String,
    /// SMBIOS system UUID.
    pub uuid: Uuid,
    /// Board version.
    pub board: Board,
    /// Virtual processors.
    pub processors: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// Seconds that the real-time clock is ahead of UTC.
    pub clock_offset: i64,
    /// What the machine starts with.
    pub firmware: FirmwareSpec,
    /// The video BIOS (`vgabios-virtio.bin`), for BIOS machines.
    pub video_rom: Option<FdIndex>,
    /// Disks and CD drives, in the order of their places.
    pub drives: Vec<DriveSpec>,
    /// Network cards.
    pub networks: Vec<NetworkSpec>,
    /// The sound card.
    #[serde(default)]
    pub sound: SoundCard,
    /// USB.
    #[serde(default)]
    pub usb: Usb,
    /// Ids of drives and network cards to start from, best first; others follow in the order of their places.
    #[serde(default)]
    pub boot: Vec<String>,
    /// What the monitor prefers at first.
    #[serde(default)]
    pub resolution: Resolution,
    /// MiB of video memory.
    pub video_memory: u32,
    /// virtio keyboard and tablet.
    pub virtio_input: bool,
    /// Where the first serial port's bytes go besides its ring buffer, e.g. a log.
    pub serial: Option<FdIndex>,
    /// Where port 0x402 writes (firmware's debug output).
    pub debugcon: Option<FdIndex>,
}

/// What the machine starts with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum FirmwareSpec {
    /// SeaBIOS, up to 256 KiB.
    Bios {
        /// The ROM.
        rom: FdIndex,
    },
    /// OVMF.
    Uefi {
        /// The code, read-only.
        code: FdIndex,
        /// The machine's variable store, read-write.
        variables: FdIndex,
    },
}

/// A drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveSpec {
    /// The name that control commands use: `cd0`, `disk0`.
    pub id: String,
    /// What it is.
    pub kind: DriveSpecKind,
    /// The image, if any is in.
    pub image: Option<ImageSpec>,
    /// Take it out at a reset that finds a system on one of the disks.
    #[serde(default)]
    pub installer: bool,
}

/// What a drive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriveSpecKind {
    /// An ATA disk on AHCI.
    AhciDisk,
    /// An ATAPI drive on AHCI.
    AhciCd,
    /// A virtio-blk function.
    VirtioBlk,
    /// A stick on USB.
    UsbDisk,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// The file.
    pub file: FdIndex,
    /// Its format.
    pub format: ImageFormat,
    /// Never write.
    pub read_only: bool,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// The name that control commands use: `net0`.
    pub id: String,
    /// What it is.
    #[serde(default)]
    pub model: NetworkModel,
    /// The ROM that starts machines from an e1000 (`efi-e1000.rom` of iPXE).
    #[serde(default)]
    pub rom: Option<FdIndex>,
    /// Its address.
    pub mac: MacAddress,
    /// What it is connected to, in words of the desk's: an engine only says them again.
    #[serde(default)]
    pub network: String,
    /// A connected stream socket that carries frames, each behind its length in 4 bytes, big-endian.
    pub stream: Option<FdIndex>,
    /// Instead of it, a tap device without `IFF_VNET_HDR` whose descriptor does not block. Neither: cable unplugged.
    #[serde(default)]
    pub tap: Option<FdIndex>,
    /// The guest sees the cable in; `set_link` changes that.
    pub link: bool,
}
