//! Is a system installed on a disk: the MBR and the GPT (UEFI specification, chapter 5), and the directory of an EFI system partition.
//!
//! Both sides ask it of what a guest has written: the engine when its guest resets, the desk when the machine starts next. Everything
//! on the disk is hostile: nothing is read without limit, and sectors that are not there are nothing.

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// As many GPT entries as all tools write.
const ENTRIES: u64 = 128;
/// MBR types: an EFI system partition, and the one that stands for a GPT.
const MBR_EFI: u8 = 0xef;
const MBR_GPT: u8 = 0xee;
/// GPT type of an EFI system partition, c12a7328-f81f-11d2-ba4b-00a0c93ec93b as it stands on disk.
const GPT_EFI: [u8; 16] = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
/// GPT type of a partition that a BIOS's boot loader has for itself, 21686148-6449-6e6f-744e-656564454649.
const GPT_BIOS: [u8; 16] = *b"Hah!IdontNeedEFI";
/// Sectors of a root directory that are looked at: a cluster of a FAT32, or 512 entries.
const DIRECTORY: u64 = 64;

/// A sector of a disk; `None` where it does not read.
pub type Sector = Option<[u8; SECTOR]>;

fn le16(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn le32(bytes: &[u8], at: usize) -> u64 {
    le16(bytes, at) | le16(bytes, at + 2) << 16
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    le32(bytes, at) | le32(bytes, at + 4) << 32
}

/// Does a system start from this disk, as far as can be told without running it? Partitions alone are not enough: installers make
/// them first. A BIOS needs code in the first sector and a partition behind it, UEFI a system partition with an `EFI` directory.
pub fn is_installed(mut read: impl FnMut(u64) -> Sector) -> bool {
    let Some(first) = read(0).filter(|sector| le16(sector, 510) == 0xaa55) else { return false };
    let code = first[..440].iter().any(|&byte| byte != 0);
    let partitions = first[446..510].chunks_exact(16);
    // What begins at sector 0 is no partition; a disk with a file system and no partitions has text or code there.
    let real =
        |entry: &&[u8]| entry[4] != 0 && matches!(entry[0], 0 | 0x80) && le32(entry, 8) != 0 && le32(entry, 12) != 0;
    let mut real = partitions.filter(real);
    if partitions_of_gpt(&first) {
        return gpt(&mut read, code);
    }
    real.clone().any(|entry| entry[4] == MBR_EFI && has_loader(&mut read, le32(entry, 8)))
        || code && real.any(|entry| entry[4] != MBR_EFI)
}

/// Does the MBR stand for a GPT?
fn partitions_of_gpt(first: &[u8; SECTOR]) -> bool {
    first[446..510].chunks_exact(16).any(|entry| entry[4] == MBR_GPT)
}

fn gpt(read: &mut impl FnMut(u64) -> Sector, code: bool) -> bool {
    let Some(header) = read(1).filter(|header| header.starts_with(b"EFI PART")) else { return false };
    let (table, count, size) = (le64(&header, 72), le32(&header, 80), le32(&header, 84));
    // Entries of other sizes would cross sectors; nobody makes them.
    if size != 128 {
        return false;
    }
    let mut sector = None;
    (0..count.min(ENTRIES)).any(|number| {
        let place = table.checked_add(number / 4);
        if number % 4 == 0 {
            sector = place.and_then(&mut *read);
        }
        let Some(sector) = sector else { return false };
        let entry = &sector[(number % 4) as usize * 128..][..128];
        let kind = &entry[..16];
        kind == GPT_EFI && has_loader(read, le64(entry, 32)) || code && kind == GPT_BIOS
    })
}

/// Is there an `EFI` directory in the FAT file system at this sector (Microsoft, “FAT: General Overview of On-Disk Format”, 1.03)?
fn has_loader(read: &mut impl FnMut(u64) -> Sector, start: u64) -> bool {
    let Some(boot) = read(start).filter(|boot| le16(boot, 510) == 0xaa55) else { return false };
    let (sector, reserved, fats, entries) = (le16(&boot, 11), le16(&boot, 14), u64::from(boot[16]), le16(&boot, 17));
    let fat = if le16(&boot, 22) != 0 { le16(&boot, 22) } else { le32(&boot, 36) };
    let scale = sector / SECTOR as u64;
    if !matches!(scale, 1 | 2 | 4 | 8) || sector % SECTOR as u64 != 0 {
        return false;
    }
    // The root directory is behind the tables; that of a FAT32 is a cluster like others.
    let behind = reserved + fats * fat;
    let (root, sectors) = match entries {
        0 => {
            let cluster = u64::from(boot[13]);
            let Some(number) = (le32(&boot, 44) & 0x0fff_ffff).checked_sub(2) else { return false };
            (behind + number * cluster, cluster)
        }
        _ => (behind, (entries * 32).div_ceil(sector)),
    };
    let Some(root) = start.checked_add(root * scale) else { return false };
    for place in root..root.saturating_add((sectors * scale).min(DIRECTORY)) {
        let Some(directory) = read(place) else { return false };
        for entry in directory.chunks_exact(32) {
            match entry[0] {
                0 => return false,
                // Its attributes say that it is a directory.
                _ if entry.starts_with(b"EFI        ") && entry[11] & 0x10 != 0 => return true,
                _ => {}
            }
        }
    }
    false
}

#[cfg(test)]
#[path = "bootable_test.rs"]
mod tests;
