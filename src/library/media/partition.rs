//! Disks: the MBR and the GPT (UEFI specification, chapter 5).

use super::{Boots, Image, le16, le32, le64};

const SECTOR: u64 = 512;
/// As many GPT entries as all tools write.
const ENTRIES: u64 = 128;
/// MBR type of an EFI system partition.
const MBR_EFI: u8 = 0xef;
/// GPT type of an EFI system partition, c12a7328-f81f-11d2-ba4b-00a0c93ec93b as it stands on disk.
const GPT_EFI: [u8; 16] = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";

/// Is there an MBR, a boot sector or a GPT, so that this file is a disk?
pub(super) fn is_disk(image: &Image<'_>) -> bool {
    image.read::<512>(0).is_some_and(|sector| le16(&sector, 510) == 0xaa55)
}

/// What a disk starts.
pub(super) fn boots(image: &Image<'_>) -> Boots {
    let mut boots = Boots::default();
    let Some(sector) = image.read::<512>(0).filter(|sector| le16(sector, 510) == 0xaa55) else { return boots };
    // Where the BIOS jumps to. GPT disks that only UEFI starts have zeros there.
    boots.bios = sector[..440].iter().any(|&byte| byte != 0);
    boots.uefi = sector[446..510].chunks_exact(16).any(|entry| entry[4] == MBR_EFI) || gpt_has_efi(image);
    boots
}

fn gpt_has_efi(image: &Image<'_>) -> bool {
    let Some(header) = image.read::<92>(SECTOR).filter(|header| header.starts_with(b"EFI PART")) else { return false };
    let (table, count, size) = (le64(&header, 72), u64::from(le32(&header, 80)), u64::from(le32(&header, 84)));
    if size < 128 {
        return false;
    }
    let entry = |number: u64| {
        let offset = table.checked_mul(SECTOR)?.checked_add(number.checked_mul(size)?)?;
        image.read::<16>(offset)
    };
    (0..count.min(ENTRIES)).any(|number| entry(number) == Some(GPT_EFI))
}
