//! ISO 9660 (ECMA-119) volume descriptors and the El Torito boot catalogue ("El Torito" Bootable CD-ROM Format, 1.0).

use super::{Boots, Image, le16, le32};

/// A CD's sector.
pub(super) const SECTOR: u64 = 2048;
/// The volume descriptors start behind the system area.
const FIRST_DESCRIPTOR: u64 = 16;
/// More descriptors than any real disc has.
const DESCRIPTORS: u64 = 64;
/// Sectors of run-out that a disc may claim and an image lack.
pub(super) const SLACK: u64 = 300 * SECTOR;
/// El Torito's platform id of UEFI (UEFI specification, 13.3.2.1).
const PLATFORM_EFI: u8 = 0xef;
/// Bytes of the boot catalogue that are looked at: 128 entries.
const CATALOG: usize = 4096;

/// What an ISO's primary volume descriptor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Volume identifier.
    pub volume: String,
    /// System identifier.
    pub system: String,
    /// Publisher identifier.
    pub publisher: String,
    /// Application identifier.
    pub application: String,
    /// Bytes in the volume.
    pub bytes: u64,
    /// Sector of the boot catalogue.
    pub(super) catalog: Option<u32>,
    /// Sector of the root directory, and its bytes.
    pub(super) root: (u32, u32),
}

/// Identifiers are padded with spaces, by some with zeros.
fn text(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|&byte| if byte.is_ascii_control() { ' ' } else { char::from(byte) }).collect();
    text.trim_end().to_owned()
}

/// The primary volume descriptor, when the image is an ISO.
pub(super) fn volume(image: &Image<'_>) -> Option<Volume> {
    let mut found = None;
    let mut catalog = None;
    for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + DESCRIPTORS {
        let Some(descriptor) = image.read::<2048>(sector * SECTOR) else { break };
        if &descriptor[1..6] != b"CD001" {
            break;
        }
        match descriptor[0] {
            0 if descriptor[7..].starts_with(b"EL TORITO SPECIFICATION") => {
                catalog = catalog.or(Some(le32(&descriptor, 0x47)));
            }
            1 if found.is_none() => {
                found = Some(Volume {
                    system: text(&descriptor[8..40]),
                    volume: text(&descriptor[40..72]),
                    publisher: text(&descriptor[318..446]),
                    application: text(&descriptor[574..702]),
                    bytes: u64::from(le32(&descriptor, 80)) * u64::from(le16(&descriptor, 128)),
                    catalog: None,
                    root: (le32(&descriptor, 156 + 2), le32(&descriptor, 156 + 10)),
                });
            }
            0xff => break,
            _ => {}
        }
    }
    found.map(|volume| Volume { catalog, ..volume })
}

/// What the boot catalogue offers.
pub(super) fn boots(image: &Image<'_>, volume: &Volume) -> Boots {
    let mut boots = Boots::default();
    let Some(start) = volume.catalog.map(|sector| u64::from(sector) * SECTOR) else { return boots };
    // A catalogue at the very end of a short image is read as far as it goes.
    let mut catalog = [0; CATALOG];
    let sectors = [image.read::<2048>(start), image.read::<2048>(start + SECTOR)];
    for (half, sector) in catalog.chunks_exact_mut(2048).zip(sectors) {
        if let Some(sector) = sector {
            half.copy_from_slice(&sector);
        }
    }
    let mut entries = catalog.chunks_exact(32);
    let Some(validation) = entries.next() else { return boots };
    let sum = validation.chunks_exact(2).fold(0u16, |sum, word| sum.wrapping_add(le16(word, 0)));
    if validation[0] != 1 || validation[30..] != [0x55, 0xaa] || sum != 0 {
        return boots;
    }
    let mut platform = validation[1];
    // Entry 1 is the default one; then sections, each with a header that has the platform and how many entries follow.
    let mut default = true;
    for entry in entries {
        match entry[0] {
            // Bootable.
            0x88 => {
                let there = (u64::from(le32(entry, 8)) * SECTOR) < image.length;
                match platform {
                    PLATFORM_EFI => boots.uefi |= there,
                    0 => boots.bios |= there,
                    _ => {}
                }
            }
            0x90 | 0x91 => platform = entry[1],
            // An entry that does not boot, an extension, or unused.
            0x44 => {}
            0 if !default && entry[1..].iter().all(|&byte| byte == 0) => break,
            _ => {}
        }
        default = false;
    }
    boots
}
