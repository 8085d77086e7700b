//! SMART (ACS-3 §7.48): a disk that is well. The attributes follow common use, there is no standard for them.

use super::identify::checksum;
use super::{ABORTED, Action, Protocol, TaskFile};

/// The key that every SMART command carries in the middle and upper address bytes.
const KEY: u64 = 0xc24f00;

/// Attributes: number, flags, threshold, and value. Raw values are zero: nothing wears out.
const ATTRIBUTES: [(u8, u16, u8, u8); 3] = [
    (5, 0x0033, 10, 100), // reallocated sectors
    (9, 0x0032, 0, 100),  // power-on hours
    (12, 0x0032, 0, 100), // power cycles
];

/// Executes a SMART command. `enabled` is the drive's setting.
pub(super) fn execute(registers: &mut TaskFile, enabled: &mut bool) -> Action {
    let subcommand = registers.features_low();
    if registers.lba & 0xffff00 != KEY || !*enabled && subcommand != 0xd8 {
        return Action::Fail(ABORTED);
    }
    match subcommand {
        0xd0 => data(values()),
        0xd1 => data(thresholds()),
        0xd5 => match registers.lba as u8 {
            // Log directory, summary error log, self-test log: all empty.
            0x00 => data(page(1)),
            0x01 | 0x06 => data(page(1)),
            _ => Action::Fail(ABORTED),
        },
        // Autosave, save, off-line tests.
        0xd2..=0xd4 => Action::Done,
        0xd8 => {
            *enabled = true;
            Action::Done
        }
        0xd9 => {
            *enabled = false;
            Action::Done
        }
        // Return status: the key unchanged means that no threshold is exceeded.
        0xda => Action::Done,
        _ => Action::Fail(ABORTED),
    }
}

fn data(mut bytes: Vec<u8>) -> Action {
    bytes[511] = checksum(&bytes[..511]);
    Action::DataIn { bytes, protocol: Protocol::Pio }
}

fn page(version: u8) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[0] = version;
    bytes
}

fn values() -> Vec<u8> {
    let mut bytes = page(0x10);
    for (entry, (number, flags, _, value)) in bytes[2..].chunks_exact_mut(12).zip(ATTRIBUTES) {
        entry[0] = number;
        entry[1..3].copy_from_slice(&flags.to_le_bytes());
        (entry[3], entry[4]) = (value, value);
    }
    bytes[368] = 0x03; // saves attributes by itself
    bytes[370] = 0x01; // logs errors
    bytes
}

fn thresholds() -> Vec<u8> {
    let mut bytes = page(0x10);
    for (entry, (number, _, threshold, _)) in bytes[2..].chunks_exact_mut(12).zip(ATTRIBUTES) {
        (entry[0], entry[1]) = (number, threshold);
    }
    bytes
}
