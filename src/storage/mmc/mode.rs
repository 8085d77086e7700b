//! MODE SENSE and MODE SELECT (SPC-4 §6.11, §6.13) and the mode pages (MMC-6 §7).

use super::replies::cut;
use super::{Cdb, Outcome, Sense};

/// 40 times the speed of an audio CD, in kilobytes a second.
const SPEED: u16 = 7056;
const BUFFER_KILOBYTES: u16 = 512;

/// MODE SENSE with a 10 byte command.
pub(super) fn sense_10(cdb: &Cdb<'_>, locked: bool) -> Result<Outcome, Sense> {
    let pages = pages(cdb, locked)?;
    let mut bytes = (pages.len() as u16 + 6).to_be_bytes().to_vec();
    bytes.extend([0; 6]);
    bytes.extend(pages);
    Ok(cut(bytes, cdb.u16(7).into()))
}

/// MODE SENSE with a 6 byte command.
pub(super) fn sense_6(cdb: &Cdb<'_>, locked: bool) -> Result<Outcome, Sense> {
    let pages = pages(cdb, locked)?;
    let mut bytes = vec![pages.len() as u8 + 3, 0, 0, 0];
    bytes.extend(pages);
    Ok(cut(bytes, cdb.u8(4).into()))
}

/// The parameter list of MODE SELECT(10): pages that exist are taken and change nothing.
pub(super) fn select(list: &[u8]) -> Result<(), Sense> {
    if list.is_empty() {
        return Ok(());
    }
    let header = list.get(..8).ok_or(Sense::PARAMETER_LENGTH)?;
    let descriptors = usize::from(u16::from_be_bytes([header[6], header[7]]));
    let mut rest = list.get(8 + descriptors..).ok_or(Sense::PARAMETER_LENGTH)?;
    while let [code, length, ..] = *rest {
        if !matches!(code & 0x3f, 0x01 | 0x0d | 0x0e | 0x1a | 0x2a) {
            return Err(Sense::INVALID_PARAMETER);
        }
        rest = rest.get(2 + usize::from(length)..).ok_or(Sense::PARAMETER_LENGTH)?;
    }
    Ok(())
}

fn pages(cdb: &Cdb<'_>, locked: bool) -> Result<Vec<u8>, Sense> {
    let (control, code) = (cdb.u8(2) >> 6, cdb.u8(2) & 0x3f);
    let error_recovery = vec![0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let power = vec![0x1a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let pages = match code {
        0x01 => vec![error_recovery],
        0x1a => vec![power],
        0x2a => vec![capabilities(locked)],
        0x3f => vec![error_recovery, power, capabilities(locked)],
        _ => return Err(Sense::INVALID_FIELD),
    };
    match control {
        0 | 2 => Ok(pages.concat()),
        // What can be changed: nothing.
        1 => Ok(pages
            .into_iter()
            .flat_map(|mut page| {
                page[2..].fill(0);
                page
            })
            .collect()),
        _ => Err(Sense::NO_SAVING),
    }
}

/// CD/DVD capabilities and mechanical status (MMC-3 §6.3.11).
fn capabilities(locked: bool) -> Vec<u8> {
    let mut page = vec![0; 22];
    page[0] = 0x2a;
    page[1] = 20;
    page[2] = 0x3f; // reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R, DVD-RAM
    page[4] = 0x70; // multiple sessions, mode 2 forms 1 and 2
    page[6] = 0x29 | u8::from(locked) << 1; // tray, ejects, locks
    page[8..10].copy_from_slice(&SPEED.to_be_bytes());
    page[12..14].copy_from_slice(&BUFFER_KILOBYTES.to_be_bytes());
    page[14..16].copy_from_slice(&SPEED.to_be_bytes());
    page
}
