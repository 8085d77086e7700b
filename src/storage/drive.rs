//! What can be at a port.

use device::RestoreError;
use disk::DiskQueue;
use serde::{Deserialize, Serialize};

use crate::ata::{Action, AtaDisk, AtaDiskState, AtapiDrive, AtapiDriveState, TaskFile};
use crate::mmc::Cdrom;
use device::State;

/// A drive with an ATA task file.
pub enum Drive {
    /// A disk.
    Disk(Box<AtaDisk>),
    /// A CD/DVD drive.
    Cdrom(Box<AtapiDrive>),
}

/// A drive's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DriveState {
    /// A disk's.
    Disk(AtaDiskState),
    /// A CD/DVD drive's.
    Cdrom(AtapiDriveState),
}

impl Drive {
    /// A disk. The board connects `queue` to the controller.
    pub fn disk(queue: DiskQueue, serial: &str, model: &str) -> Self {
        Self::Disk(Box::new(AtaDisk::new(queue, serial, model)))
    }

    /// A CD/DVD drive, with a medium or empty. The board connects the medium's queue to the controller.
    pub fn cdrom(medium: Option<DiskQueue>) -> Self {
        Self::Cdrom(Box::new(AtapiDrive::new(Cdrom::new(medium))))
    }

    pub(crate) fn is_packet(&self) -> bool {
        matches!(self, Self::Cdrom(_))
    }

    pub(crate) fn queue(&self) -> Option<&DiskQueue> {
        match self {
            Self::Disk(disk) => Some(disk.queue()),
            Self::Cdrom(drive) => drive.cd().medium(),
        }
    }

    pub(crate) fn execute(&mut self, registers: &mut TaskFile) -> Action {
        match self {
            Self::Disk(disk) => disk.execute(registers),
            Self::Cdrom(drive) => drive.execute(registers),
        }
    }

    pub(crate) fn reset(&mut self) {
        match self {
            Self::Disk(disk) => disk.reset(),
            Self::Cdrom(drive) => drive.reset(),
        }
    }

    /// A reset by the controller.
    pub(crate) fn soft_reset(&mut self) {
        match self {
            Self::Disk(disk) => disk.soft_reset(),
            // A packet drive keeps its unit attentions.
            Self::Cdrom(_) => {}
        }
    }

    pub(crate) fn save(&self) -> DriveState {
        match self {
            Self::Disk(disk) => DriveState::Disk(disk.save()),
            Self::Cdrom(drive) => DriveState::Cdrom(drive.save()),
        }
    }

    /// False when the state is another drive's.
    pub(crate) fn restore(&mut self, saved: DriveState) -> Result<bool, RestoreError> {
        match (self, saved) {
            (Self::Disk(disk), DriveState::Disk(saved)) => disk.restore(saved).map(|()| true),
            (Self::Cdrom(drive), DriveState::Cdrom(saved)) => drive.restore(saved).map(|()| true),
            _ => Ok(false),
        }
    }
}
