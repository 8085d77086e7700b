//! Answers that follow from the medium's size alone.

use super::{CD_BLOCKS, Cdb, Outcome, Sense};

/// Vendor, 8 characters.
const VENDOR: &[u8; 8] = b"DORMER  ";
/// Product, 16 characters.
const PRODUCT: &[u8; 16] = b"DVD-ROM         ";
/// Revision, 4 characters.
const REVISION: &[u8; 4] = b"1.0 ";

/// Bytes for the host, as many as it has room for.
pub(super) fn cut(mut bytes: Vec<u8>, room: usize) -> Outcome {
    bytes.truncate(room);
    if bytes.is_empty() { Outcome::Done } else { Outcome::Data(bytes) }
}

/// INQUIRY (SPC-4 §6.6): standard data, and the vital product data pages 00h and 83h.
pub(super) fn inquiry(cdb: &Cdb<'_>) -> Result<Outcome, Sense> {
    const CD_DEVICE: u8 = 0x05;
    let room = cdb.u16(3).into();
    if cdb.bit(1, 0) {
        let page = cdb.u8(2);
        let body: Vec<u8> = match page {
            0x00 => vec![0x00, 0x83],
            // One T10 designator, ASCII.
            0x83 => [&[0x02, 0x01, 0x00, 24][..], VENDOR, PRODUCT].concat(),
            _ => return Err(Sense::INVALID_FIELD),
        };
        let mut bytes = vec![CD_DEVICE, page, 0, body.len() as u8];
        bytes.extend(body);
        return Ok(cut(bytes, room));
    }
    if cdb.u8(2) != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    let mut bytes = vec![0; 36];
    bytes[0] = CD_DEVICE;
    bytes[1] = 0x80; // the medium can be removed
    bytes[2] = 0x05; // SPC-3
    bytes[3] = 0x02; // response data format
    bytes[4] = 31;
    bytes[8..16].copy_from_slice(VENDOR);
    bytes[16..32].copy_from_slice(PRODUCT);
    bytes[32..36].copy_from_slice(REVISION);
    Ok(cut(bytes, room))
}

/// REPORT LUNS (SPC-4 §6.33): number 0.
pub(super) fn luns(cdb: &Cdb<'_>) -> Result<Outcome, Sense> {
    let mut bytes = vec![0; 16];
    bytes[3] = 8;
    Ok(cut(bytes, cdb.u32(6) as usize))
}

/// READ CAPACITY (MMC-6 §6.26).
pub(super) fn capacity(blocks: u32) -> Outcome {
    let last = blocks.saturating_sub(1);
    Outcome::Data([last.to_be_bytes(), (super::BLOCK as u32).to_be_bytes()].concat())
}

/// READ DISC INFORMATION (MMC-6 §6.22): one complete session with one track.
pub(super) fn disc_information(cdb: &Cdb<'_>) -> Outcome {
    let mut bytes = vec![0; 34];
    bytes[1] = 32;
    bytes[2] = 0x0e; // complete disc, complete last session
    bytes[3] = 1; // first track
    bytes[4] = 1; // sessions
    bytes[5] = 1; // first track of the last session
    bytes[6] = 1; // last track of the last session
    bytes[7] = 0x20; // unrestricted use
    bytes[8] = 0x00; // CD-ROM, or not a CD
    bytes[16..20].fill(0xff); // last session's lead-in: not of a recordable disc
    bytes[20..24].fill(0xff);
    cut(bytes, cdb.u16(7).into())
}

/// READ TRACK INFORMATION (MMC-6 §6.27), of the only track.
pub(super) fn track_information(cdb: &Cdb<'_>, blocks: u32) -> Result<Outcome, Sense> {
    let number = cdb.u32(2);
    let valid = match cdb.u8(1) & 3 {
        0 => number < blocks,
        1 | 2 => number == 1,
        _ => false,
    };
    if !valid {
        return Err(Sense::INVALID_FIELD);
    }
    let mut bytes = vec![0; 36];
    bytes[1] = 34;
    bytes[2] = 1; // track
    bytes[3] = 1; // session
    bytes[5] = 0x04; // data track
    bytes[6] = 0x01; // mode 1
    bytes[24..28].copy_from_slice(&blocks.to_be_bytes());
    Ok(cut(bytes, cdb.u16(7).into()))
}

/// READ DISC STRUCTURE (MMC-6 §6.23): formats 00h (physical) and 01h (copyright) of a DVD-ROM.
pub(super) fn disc_structure(cdb: &Cdb<'_>, blocks: u32) -> Result<Outcome, Sense> {
    if blocks <= CD_BLOCKS {
        return Err(Sense::WRONG_MEDIUM);
    }
    let (media_type, layer) = (cdb.u8(1) & 0xf, cdb.u8(6));
    if media_type != 0 || layer != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    let body = match cdb.u8(7) {
        0x00 => {
            const FIRST_SECTOR: u32 = 0x3_0000;
            let mut body = vec![0; 2048];
            body[0] = 0x01; // DVD-ROM, part version 1
            body[1] = 0x0f; // 120 mm, no maximum rate
            body[2] = 0x01; // one layer, embossed
            body[4..8].copy_from_slice(&FIRST_SECTOR.to_be_bytes());
            body[8..12].copy_from_slice(&FIRST_SECTOR.saturating_add(blocks - 1).to_be_bytes());
            body
        }
        0x01 => vec![0; 4],
        _ => return Err(Sense::INVALID_FIELD),
    };
    let mut bytes = (body.len() as u16 + 2).to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(body);
    Ok(cut(bytes, cdb.u16(8).into()))
}

/// MECHANISM STATUS (MMC-6 §6.9): a tray, no changer.
pub(super) fn mechanism_status(cdb: &Cdb<'_>, open: bool) -> Outcome {
    cut(vec![0, u8::from(open) << 4, 0, 0, 0, 0, 0, 0], cdb.u16(8).into())
}
