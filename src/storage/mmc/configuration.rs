//! GET CONFIGURATION (MMC-6 §6.6) and the features (§5.3).

use super::replies::cut;
use super::{CD_BLOCKS, Cdb, Outcome, Sense};

const CD_ROM: u16 = 0x0008;
const DVD_ROM: u16 = 0x0010;

struct Feature {
    code: u16,
    version: u8,
    persistent: bool,
    current: bool,
    body: Vec<u8>,
}

/// `blocks` is the size of the medium, if there is one.
pub(super) fn get(cdb: &Cdb<'_>, blocks: Option<u32>) -> Result<Outcome, Sense> {
    let start = cdb.u16(2);
    let profile = blocks.map(|blocks| if blocks > CD_BLOCKS { DVD_ROM } else { CD_ROM });
    let wanted: Box<dyn Fn(&Feature) -> bool> = match cdb.u8(1) & 3 {
        0 => Box::new(move |feature| feature.code >= start),
        1 => Box::new(move |feature| feature.code >= start && feature.current),
        2 => Box::new(move |feature| feature.code == start),
        _ => return Err(Sense::INVALID_FIELD),
    };
    let mut bytes = vec![0; 8];
    bytes[6..8].copy_from_slice(&profile.unwrap_or(0).to_be_bytes());
    for feature in features(profile).iter().filter(|feature| wanted(feature)) {
        bytes.extend(feature.code.to_be_bytes());
        bytes.push(feature.version << 2 | u8::from(feature.persistent) << 1 | u8::from(feature.current));
        bytes.push(feature.body.len() as u8);
        bytes.extend(&feature.body);
    }
    let length = bytes.len() as u32 - 4;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(cut(bytes, cdb.u16(7).into()))
}

fn features(profile: Option<u16>) -> Vec<Feature> {
    let is = |wanted| profile == Some(wanted);
    let entry = |code: u16| {
        let [high, low] = code.to_be_bytes();
        [high, low, u8::from(is(code)), 0]
    };
    let feature = |code, version, persistent, current, body| Feature { code, version, persistent, current, body };
    vec![
        // Profile list.
        feature(0x0000, 0, true, true, [entry(DVD_ROM), entry(CD_ROM)].concat()),
        // Core: ATAPI, device busy events.
        feature(0x0001, 2, true, true, vec![0, 0, 0, 2, 1, 0, 0, 0]),
        // Morphing: operation change events are not sent unasked.
        feature(0x0002, 1, true, true, vec![0x02, 0, 0, 0]),
        // Removable medium: tray, eject, lock, load.
        feature(0x0003, 1, true, true, vec![0x39, 0, 0, 0]),
        // Random readable: blocks of 2048, one at a time.
        feature(0x0010, 0, false, profile.is_some(), vec![0, 0, 8, 0, 0, 1, 0, 0]),
        // Multi-read and CD read.
        feature(0x001d, 0, false, is(CD_ROM), vec![]),
        feature(0x001e, 2, false, is(CD_ROM), vec![0, 0, 0, 0]),
        // DVD read.
        feature(0x001f, 1, false, is(DVD_ROM), vec![0, 0, 0, 0]),
        // Power management, timeout.
        feature(0x0100, 0, true, true, vec![]),
        feature(0x0105, 1, true, true, vec![0, 0, 0, 0]),
    ]
}
