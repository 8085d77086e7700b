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
/// GPT types of partitions that a BIOS's boot loader has for itself: 21686148-6449-6e6f-744e-656564454649, and FreeBSD's,
/// 83bd6b9d-7f41-11dc-be0b-001560b84f0f.
const GPT_BIOS: [u8; 16] = *b"Hah!IdontNeedEFI";
const GPT_FREEBSD: [u8; 16] = *b"\x9d\x6b\xbd\x83\x41\x7f\xdc\x11\xbe\x0b\x00\x15\x60\xb8\x4f\x0f";
/// Attribute of a GPT's partition: a BIOS's boot loader goes on in its first sector.
const GPT_LEGACY: u64 = 1 << 2;
/// The MBR's code, before the disk's signature.
const CODE: std::ops::Range<usize> = 0..440;
/// The code of a partition's first sector, behind what describes a FAT32, and before the signature.
const PARTITION_CODE: std::ops::Range<usize> = 90..510;
/// INT 13h, by which a BIOS's guests read disks.
const READS: [u8; 2] = [0xcd, 0x13];
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
/// them first, and some tools (libparted, FDISK) write the MBR's code when they make them. A BIOS needs that code and something for
/// it to load, UEFI a system partition with an `EFI` directory. A disk with a file system and no partitions has none here: its code
/// comes with formatting it, and no installer makes one.
pub fn is_installed(mut read: impl FnMut(u64) -> Sector) -> bool {
    let Some(first) = read(0).filter(|sector| le16(sector, 510) == 0xaa55) else { return false };
    let entries: Vec<&[u8]> = first[446..510].chunks_exact(16).collect();
    if entries.iter().any(|entry| entry[4] == MBR_GPT) {
        return gpt(&mut read, &first);
    }
    // What begins at sector 0 is no partition; a disk with a file system and no partitions has text or code there.
    let real =
        |entry: &&&[u8]| entry[4] != 0 && matches!(entry[0], 0 | 0x80) && le32(entry, 8) != 0 && le32(entry, 12) != 0;
    let (efi, others): (Vec<&[u8]>, _) = entries.iter().filter(real).partition(|entry| entry[4] == MBR_EFI);
    if efi.iter().any(|entry| has_loader(&mut read, le32(entry, 8))) {
        return true;
    }
    if others.is_empty() || is_blank(&first[CODE]) {
        return false;
    }
    let gap = |entry: &&[u8]| le32(entry, 8) > 1;
    knows_its_second_stage(&first)
        || efi.iter().chain(&others).all(gap) && has_second_stage(&mut read, 1)
        || others.iter().any(|entry| is_boot_sector(&mut read, le32(entry, 8)))
}

/// Is nothing there? Tools fill with zeros, FDISK with F6h.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == bytes[0])
}

/// Is this the MBR of a boot loader that has a list of blocks, wherever they are? GRUB and LILO write theirs last, and say in it
/// who they are.
fn knows_its_second_stage(first: &[u8; SECTOR]) -> bool {
    first[6..].starts_with(b"LILO") || holds(&first[CODE], b"GRUB")
}

/// Is there something in this sector, where nobody but a boot loader has anything? What is behind the MBR may be left of a GPT.
fn has_second_stage(read: &mut impl FnMut(u64) -> Sector, place: u64) -> bool {
    read(place).is_some_and(|sector| !is_blank(&sector) && !sector.starts_with(b"EFI PART"))
}

/// Is this a partition's boot sector that loads something? Other file systems' tools write one that only says that it does not.
fn is_boot_sector(read: &mut impl FnMut(u64) -> Sector, place: u64) -> bool {
    read(place).is_some_and(|sector| le16(&sector, 510) == 0xaa55 && holds(&sector[PARTITION_CODE], &READS))
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn gpt(read: &mut impl FnMut(u64) -> Sector, first: &[u8; SECTOR]) -> bool {
    let Some(header) = read(1).filter(|header| header.starts_with(b"EFI PART")) else { return false };
    let (table, count, size) = (le64(&header, 72), le32(&header, 80), le32(&header, 84));
    // Entries of other sizes would cross sectors; nobody makes them.
    if size != 128 {
        return false;
    }
    let code = !is_blank(&first[CODE]);
    let mut sector = None;
    (0..count.min(ENTRIES)).any(|number| {
        let place = table.checked_add(number / 4);
        if number % 4 == 0 {
            sector = place.and_then(&mut *read);
        }
        let Some(sector) = sector else { return false };
        let entry = &sector[(number % 4) as usize * 128..][..128];
        let (kind, start) = (&entry[..16], le64(entry, 32));
        if kind == GPT_EFI && has_loader(read, start) {
            return true;
        }
        let own = kind == GPT_BIOS || kind == GPT_FREEBSD;
        code && kind != [0; 16]
            && (knows_its_second_stage(first)
                || own && has_second_stage(read, start)
                || le64(entry, 48) & GPT_LEGACY != 0 && is_boot_sector(read, start))
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
