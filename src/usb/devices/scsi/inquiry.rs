//! What a disk says it is: INQUIRY and its pages (SPC-4, 6.4 and 7.8; SBC-3, 6.5).

use super::{Action, Cdb, MOST_RANGES, MOST_UNMAPPED, Sense, Unit, be16, cut};

const VENDOR: &[u8; 8] = b"Dormer  ";
const PRODUCT: &[u8; 16] = b"USB Disk        ";
const REVISION: &[u8; 4] = b"1.0 ";
/// SPC-4.
const VERSION: u8 = 6;

/// Physical blocks of 4 KiB, as a power of two of sectors.
pub(super) const PHYSICAL_EXPONENT: u8 = 3;

// Pages.
const SUPPORTED: u8 = 0x00;
const SERIAL: u8 = 0x80;
const IDENTIFICATION: u8 = 0x83;
const LIMITS: u8 = 0xb0;
const CHARACTERISTICS: u8 = 0xb1;
const PROVISIONING: u8 = 0xb2;

impl Unit {
    pub(super) fn inquiry(&self, cdb: &Cdb, is_here: bool) -> Action {
        let (page, most) = (cdb[2], be16(cdb, 3).into());
        match (cdb[1] & 3, page) {
            (0, 0) => cut(self.standard(is_here), most),
            (1, _) if is_here => match self.page(page) {
                Some(body) => {
                    let mut data = vec![0, page];
                    data.extend((body.len() as u16).to_be_bytes());
                    data.extend(body);
                    cut(data, most)
                }
                None => Action::Fail(Sense::INVALID_FIELD),
            },
            _ => Action::Fail(Sense::INVALID_FIELD),
        }
    }

    fn standard(&self, is_here: bool) -> Vec<u8> {
        // Where there is no unit, there cannot be one either.
        let kind = if is_here { 0 } else { 0x7f };
        let removable = if self.identity.removable { 0x80 } else { 0 };
        // Response format 2, 31 bytes behind these, commands are queued.
        let mut data = vec![kind, removable, VERSION, 2, 31, 0, 0, 2];
        data.extend(VENDOR);
        data.extend(PRODUCT);
        data.extend(REVISION);
        data
    }

    /// A page of vital product data, without its header.
    fn page(&self, page: u8) -> Option<Vec<u8>> {
        let serial = self.identity.serial.as_bytes();
        Some(match page {
            SUPPORTED => vec![SUPPORTED, SERIAL, IDENTIFICATION, LIMITS, CHARACTERISTICS, PROVISIONING],
            SERIAL => serial.to_vec(),
            IDENTIFICATION => {
                let name = [&VENDOR[..], PRODUCT, serial].concat();
                // ASCII, of the vendor; a name of the unit's.
                let mut body = vec![2, 1, 0, name.len() as u8];
                body.extend(name);
                // Binary, NAA: one of those that are given locally.
                body.extend([1, 3, 0, 8]);
                body.extend((hash(serial) >> 4 | 3 << 60).to_be_bytes());
                body
            }
            LIMITS => self.limits(),
            CHARACTERISTICS => {
                // Does not rotate.
                let mut body = vec![0, 1];
                body.resize(60, 0);
                body
            }
            PROVISIONING if self.identity.discard => vec![0, 0x80, 2, 0],
            PROVISIONING => vec![0; 4],
            _ => return None,
        })
    }

    fn limits(&self) -> Vec<u8> {
        let physical = 1u32 << PHYSICAL_EXPONENT;
        let mut body = vec![0; 60];
        body[2..4].copy_from_slice(&(physical as u16).to_be_bytes());
        if self.identity.discard {
            body[16..20].copy_from_slice(&MOST_UNMAPPED.to_be_bytes());
            body[20..24].copy_from_slice(&(MOST_RANGES as u32).to_be_bytes());
            body[24..28].copy_from_slice(&physical.to_be_bytes());
        }
        body
    }
}

/// FNV-1a, which stays what it is.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
