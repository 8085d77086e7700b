//! Disks and CD drives as their owner configures them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A disk or CD drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drive {
    /// Disk or CD.
    pub kind: DriveKind,
    /// Where it is connected.
    #[serde(default)]
    pub bus: DriveBus,
    /// The image; relative to the machine's folder. A CD drive without one is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The image's format: recorded when it is attached, never guessed when it runs.
    #[serde(default)]
    pub format: ImageFormat,
    /// What happens to its data on the way to the host's disk. Disks only.
    #[serde(default, skip_serializing_if = "DiskCache::is_default")]
    pub cache: DiskCache,
    /// The guest cannot write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Take this medium out when the guest's installation has ended (first power-off or reset that finds a system on a disk). An
    /// empty drive with this had it taken out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub installer: bool,
}

impl Drive {
    /// A disk that the guest writes to.
    pub fn disk(image: PathBuf, format: ImageFormat, bus: DriveBus) -> Self {
        Self {
            kind: DriveKind::Disk,
            bus,
            image: Some(image),
            format,
            cache: DiskCache::default(),
            read_only: false,
            installer: false,
        }
    }

    /// A CD drive, empty or not.
    pub fn cd(image: Option<PathBuf>) -> Self {
        Self {
            kind: DriveKind::Cd,
            bus: DriveBus::Ahci,
            image,
            format: ImageFormat::Raw,
            cache: DiskCache::default(),
            read_only: true,
            installer: false,
        }
    }
}

/// Disk or CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriveKind {
    /// A hard disk.
    Disk,
    /// A CD or DVD drive.
    Cd,
}

/// What a drive is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriveBus {
    /// The board's AHCI controller: works with every system's own driver.
    #[default]
    Ahci,
    /// A virtio-blk function: fast, needs a virtio driver. Disks only.
    Virtio,
    /// A stick in a port of the USB controller. Disks only.
    Usb,
}

/// An image's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFormat {
    /// Every byte as it stands; ISO images too.
    #[default]
    Raw,
    /// QEMU's qcow2, versions 2 and 3.
    Qcow2,
}

/// What happens to a disk's data on the way to the host's disk. A guest's flush is honoured with all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskCache {
    /// They go through the host's page cache.
    #[default]
    Writeback,
    /// They pass it by (O_DIRECT), where the image's file system can.
    Direct,
}

impl DiskCache {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
