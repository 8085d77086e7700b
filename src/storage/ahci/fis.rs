//! Frame information structures: what host and drive send each other (Serial ATA 3.1 §10.5, AHCI 1.3.1 §4.2.1).

use crate::ata::TaskFile;

/// A register FIS from the host.
pub(super) const REGISTER_TO_DEVICE: u8 = 0x27;

/// Where FISes go in the receive area, and how large they are.
pub(super) const PIO_SETUP_AT: u64 = 0x20;
pub(super) const REGISTER_AT: u64 = 0x40;
pub(super) const SET_DEVICE_BITS_AT: u64 = 0x58;

const INTERRUPT: u8 = 1 << 6;
const TO_HOST: u8 = 1 << 5;
const NOTIFICATION: u8 = 1 << 7;

/// What the host sent in a command table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FromHost {
    /// A command.
    Command(TaskFile),
    /// Device control: the software reset bit.
    Control {
        /// Is the drive held in reset?
        reset: bool,
    },
}

/// Takes a FIS apart; `None` when it is not a register FIS.
pub(super) fn parse(fis: &[u8; 20]) -> Option<FromHost> {
    if fis[0] != REGISTER_TO_DEVICE {
        return None;
    }
    if fis[1] & 0x80 == 0 {
        return Some(FromHost::Control { reset: fis[15] & 4 != 0 });
    }
    let lba = [fis[4], fis[5], fis[6], fis[8], fis[9], fis[10], 0, 0];
    Some(FromHost::Command(TaskFile {
        command: fis[2],
        features: u16::from_le_bytes([fis[3], fis[11]]),
        count: u16::from_le_bytes([fis[12], fis[13]]),
        lba: u64::from_le_bytes(lba),
        device: fis[7],
    }))
}

/// A register FIS to the host.
pub(super) fn register(registers: &TaskFile, status: u8, error: u8, interrupt: bool) -> [u8; 20] {
    let lba = registers.lba.to_le_bytes();
    let [count_low, count_high] = registers.count.to_le_bytes();
    let mut fis = [0; 20];
    fis[0] = 0x34;
    fis[1] = if interrupt { INTERRUPT } else { 0 };
    (fis[2], fis[3]) = (status, error);
    fis[4..7].copy_from_slice(&lba[..3]);
    fis[7] = registers.device;
    fis[8..11].copy_from_slice(&lba[3..6]);
    (fis[12], fis[13]) = (count_low, count_high);
    fis
}

/// A PIO setup FIS, sent before `len` bytes go by PIO; `end_status` is the status after them.
pub(super) fn pio_setup(registers: &TaskFile, to_host: bool, status: u8, end_status: u8, len: u64) -> [u8; 20] {
    let mut fis = register(registers, status, 0, true);
    fis[0] = 0x5f;
    fis[1] |= if to_host { TO_HOST } else { 0 };
    fis[15] = end_status;
    // The field tells of one block; longer transfers repeat the FIS.
    fis[16..18].copy_from_slice(&(len.min(0x2000) as u16).to_le_bytes());
    fis
}

/// A set device bits FIS: queued commands `done`, or something else that the drive has to say.
pub(super) fn set_device_bits(status: u8, error: u8, done: u32, notification: bool) -> [u8; 8] {
    let [a, b, c, d] = done.to_le_bytes();
    let notification = if notification { NOTIFICATION } else { 0 };
    // Only these bits of the status travel.
    [0xa1, INTERRUPT | notification, status & 0x77, error, a, b, c, d]
}
