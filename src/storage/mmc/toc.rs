//! READ TOC/PMA/ATIP (MMC-6 §6.25): one session, one data track.

use super::replies::cut;
use super::{Cdb, Outcome, Sense};

/// Data track, uninterrupted; position in the Q sub-channel.
const CONTROL: u8 = 0x14;
const LEAD_OUT: u8 = 0xaa;

pub(super) fn read(cdb: &Cdb<'_>, blocks: u32) -> Result<Outcome, Sense> {
    let room = cdb.u16(7).into();
    let msf = cdb.bit(1, 1);
    // The format stands in byte 2; in old commands in the top of the control byte.
    let format = match cdb.u8(2) & 0xf {
        0 => cdb.u8(9) >> 6,
        format => format,
    };
    let start = cdb.u8(6);
    let body = match format {
        0 if start > 1 && start != LEAD_OUT => return Err(Sense::INVALID_FIELD),
        0 => {
            let mut body = vec![1, 1];
            if start <= 1 {
                body.extend(track(1, address(0, msf)));
            }
            body.extend(track(LEAD_OUT, address(blocks, msf)));
            body
        }
        1 => {
            let mut body = vec![1, 1];
            body.extend(track(1, address(0, msf)));
            body
        }
        2 => {
            let mut body = vec![1, 1];
            body.extend(point(0xa0, [1, 0, 0]));
            body.extend(point(0xa1, [1, 0, 0]));
            body.extend(point(0xa2, time(blocks)));
            body.extend(point(1, time(0)));
            body
        }
        _ => return Err(Sense::INVALID_FIELD),
    };
    let mut bytes = (body.len() as u16).to_be_bytes().to_vec();
    bytes.extend(body);
    Ok(cut(bytes, room))
}

fn track(number: u8, address: [u8; 4]) -> [u8; 8] {
    let [a, b, c, d] = address;
    [0, CONTROL, number, 0, a, b, c, d]
}

/// An entry of the raw table of contents.
fn point(number: u8, position: [u8; 3]) -> [u8; 11] {
    let [minute, second, frame] = position;
    [1, CONTROL, 0, number, 0, 0, 0, 0, minute, second, frame]
}

fn address(block: u32, msf: bool) -> [u8; 4] {
    if msf {
        let [minute, second, frame] = time(block);
        [0, minute, second, frame]
    } else {
        block.to_be_bytes()
    }
}

/// A block's place as minute, second and frame, two seconds after its number; minutes saturate on DVDs.
fn time(block: u32) -> [u8; 3] {
    let frames = u64::from(block) + 150;
    [(frames / 75 / 60).min(255) as u8, (frames / 75 % 60) as u8, (frames % 75) as u8]
}
