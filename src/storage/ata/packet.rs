//! An ATAPI drive: a CD/DVD drive behind the PACKET command (ACS-3 §7.19, SFF-8020i).

use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use super::disk::transfer_mode;
use super::identify::{Identity, Modes};
use super::{ABORTED, Action, Protocol, TaskFile};
use crate::mmc::{Cdrom, CdromState, Outcome};

/// The interrupt reason, in the count register: a command is wanted or was done (bit 0), data go to the host (bit 1).
const REASON_DONE: u16 = 3;
/// SET FEATURES: the drive tells of media changes by itself.
const ASYNCHRONOUS_NOTIFICATION: u8 = 0x05;

/// A CD/DVD drive at an ATA port.
pub struct AtapiDrive {
    cd: Cdrom,
    transfer_mode: u8,
    notifies: bool,
}

/// A drive's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtapiDriveState {
    cd: CdromState,
    transfer_mode: u8,
    notifies: bool,
}

const POWER_ON_MODE: u8 = 0x46;

impl AtapiDrive {
    /// Puts a drive at a port.
    pub fn new(cd: Cdrom) -> Self {
        Self { cd, transfer_mode: POWER_ON_MODE, notifies: false }
    }

    /// The drive itself.
    pub fn cd(&self) -> &Cdrom {
        &self.cd
    }

    /// The drive itself, to change.
    pub fn cd_mut(&mut self) -> &mut Cdrom {
        &mut self.cd
    }

    /// Did the guest ask to be told of media changes without asking?
    pub fn notifies(&self) -> bool {
        self.notifies
    }

    /// Power-on.
    pub fn reset(&mut self) {
        self.cd.reset();
        self.transfer_mode = POWER_ON_MODE;
        self.notifies = false;
    }

    /// Executes a command of the task file.
    pub fn execute(&mut self, registers: &mut TaskFile) -> Action {
        match registers.command {
            0xa0 => Action::Packet,
            0xa1 => Action::DataIn { bytes: self.identify(), protocol: Protocol::Pio },
            // DEVICE RESET, EXECUTE DEVICE DIAGNOSTIC.
            0x08 | 0x90 => {
                *registers = TaskFile { command: registers.command, ..TaskFile::signature(true) };
                Action::Reset
            }
            // Disks' commands are refused with the signature in the registers, by which hosts tell the drive from a disk.
            0x20 | 0xec => {
                let signature = TaskFile::signature(true);
                (registers.lba, registers.count) = (signature.lba, signature.count);
                Action::Fail(ABORTED)
            }
            0xe0 | 0xe1 | 0xe2 | 0xe3 | 0xe6 | 0x94..=0x97 | 0x99 => Action::Done,
            0xe5 | 0x98 => {
                registers.count = 0xff;
                Action::Done
            }
            0xef => self.set_features(registers),
            _ => Action::Fail(ABORTED),
        }
    }

    fn set_features(&mut self, registers: &TaskFile) -> Action {
        match (registers.features_low(), registers.count_low()) {
            (0x03, mode) => match transfer_mode(mode) {
                Some(mode) => self.transfer_mode = mode,
                None => return Action::Fail(ABORTED),
            },
            (0x10, ASYNCHRONOUS_NOTIFICATION) => self.notifies = true,
            (0x90, ASYNCHRONOUS_NOTIFICATION) => self.notifies = false,
            (0x66 | 0xcc, _) => {}
            _ => return Action::Fail(ABORTED),
        }
        Action::Done
    }

    /// Executes the command in a packet.
    pub fn packet(&mut self, packet: &[u8]) -> Outcome {
        self.cd.execute(packet)
    }

    /// Sets the registers that a packet command leaves; gives the error bits if it failed.
    pub fn conclude(&self, registers: &mut TaskFile, failed: bool) -> u8 {
        registers.count = REASON_DONE;
        if failed { self.cd.sense().key << 4 | ABORTED } else { 0 }
    }

    fn identify(&self) -> Vec<u8> {
        let mut id = Identity::new();
        id.common(Modes { transfer: self.transfer_mode });
        id.set(0, 0x85c0); // packets of 12 bytes, CD-ROM, removable medium, fast
        id.text(10, 10, "0001");
        id.text(23, 4, "1.0");
        id.text(27, 20, "Dormer DVD-ROM");
        id.set(49, 0x0f00); // DMA, LBA, IORDY
        id.set(78, 0x0020); // asynchronous notification
        id.set(79, u16::from(self.notifies) << 5);
        id.set(82, 0x0210); // DEVICE RESET, PACKET
        id.set(83, 0x4000);
        id.set(84, 0x4000);
        id.set(85, 0x0210);
        id.set(87, 0x4000);
        id.bytes()
    }
}

impl State for AtapiDrive {
    const KIND: &'static str = "atapi-drive";
    type Saved = AtapiDriveState;

    fn save(&self) -> AtapiDriveState {
        let Self { cd, transfer_mode, notifies } = self;
        AtapiDriveState { cd: cd.save(), transfer_mode: *transfer_mode, notifies: *notifies }
    }

    fn restore(&mut self, saved: AtapiDriveState) -> Result<(), RestoreError> {
        let AtapiDriveState { cd, transfer_mode: mode, notifies } = saved;
        self.transfer_mode = transfer_mode(mode).ok_or_else(|| Self::impossible("transfer mode"))?;
        self.notifies = notifies;
        self.cd.restore(cd)
    }
}
