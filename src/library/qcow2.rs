//! Makes empty qcow2 images, version 3 (QEMU `docs/interop/qcow2.rst`): header, refcount table and block, L1 table. And makes images
//! larger, which are as hostile here as anywhere.
//!
//! Reading and writing what is in them is the engine's business.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Bytes of guest disk that one L1 entry stands for: an L2 table of one cluster, with 8 bytes for each cluster.
const PER_L1_ENTRY: u64 = CLUSTER / 8 * CLUSTER;
/// Largest image: 64 TiB, far from what one refcount block can describe of metadata.
pub(crate) const MAX_SIZE: u64 = 64 << 40;

/// Fills the empty `file` with an image whose guest sees `size` bytes of zeros.
///
/// `size` must be a multiple of 512 and at most [`MAX_SIZE`].
pub(crate) fn create(file: &mut File, size: u64) -> io::Result<()> {
    if !size.is_multiple_of(512) || size > MAX_SIZE {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a size for a disk"));
    }
    let l1_entries = size.div_ceil(PER_L1_ENTRY);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER).max(1);
    // The order on disk: header, refcount table, refcount block, L1 table. All L1 entries are 0: nothing is allocated.
    let (refcount_table, refcount_block, l1_table) = (CLUSTER, 2 * CLUSTER, 3 * CLUSTER);
    let clusters = 3 + l1_clusters;

    let mut header = Vec::with_capacity(112);
    header.extend(b"QFI\xfb");
    header.extend(3u32.to_be_bytes()); // version
    header.extend([0; 12]); // no backing file: offset, length of its name
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend(0u32.to_be_bytes()); // not encrypted
    header.extend((l1_entries as u32).to_be_bytes());
    header.extend(l1_table.to_be_bytes());
    header.extend(refcount_table.to_be_bytes());
    header.extend(1u32.to_be_bytes()); // clusters of the refcount table
    header.extend([0; 12]); // snapshots: count, offset
    header.extend([0; 24]); // features: incompatible, compatible, autoclear
    header.extend(4u32.to_be_bytes()); // refcounts of 1 << 4 bits
    header.extend(104u32.to_be_bytes()); // header length
    header.extend([0; 8]); // end of header extensions
    debug_assert_eq!(header.len(), 112);

    let refcounts: Vec<u8> = (0..clusters).flat_map(|_| 1u16.to_be_bytes()).collect();
    file.set_len(clusters * CLUSTER)?;
    file.write_all_at(&refcounts, refcount_block)?;
    file.write_all_at(&refcount_block.to_be_bytes(), refcount_table)?;
    file.write_all_at(&header, 0)
}

/// Bytes that a guest sees, as the header says.
pub(crate) fn size(file: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, 24)?;
    Ok(u64::from_be_bytes(bytes))
}

/// Reads within one cluster of an image that stands alone; `None` where it does not read, or is compressed.
pub(crate) fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> Option<()> {
    /// The offset in L1 and L2 entries; an L2 entry's flags.
    const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
    const COMPRESSED: u64 = 1 << 62;
    const ZEROES: u64 = 1;
    /// Incompatible features that change nothing here: it was not closed properly.
    const DIRTY: u64 = 1;
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0).ok()?;
    let u32_at = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
    let (bits, l1_entries, l1_table) = (u32_at(20), u64::from(u32_at(36)), u64_at(40));
    let sound = header.starts_with(b"QFI\xfb") && (9..=21).contains(&bits) && u64_at(8) == 0 && u32_at(32) == 0;
    if !sound || (u32_at(4) >= 3 && u64_at(72) & !DIRTY != 0) {
        return None;
    }
    let entry = |table: u64, number: u64| {
        let mut entry = [0; 8];
        file.read_exact_at(&mut entry, table.checked_add(number * 8)?).ok()?;
        Some(u64::from_be_bytes(entry))
    };
    let cluster = at >> bits;
    let (l1, l2) = (cluster >> (bits - 3), cluster & ((1 << (bits - 3)) - 1));
    let table = if l1 < l1_entries { entry(l1_table, l1)? & OFFSET } else { return None };
    let data = if table == 0 { 0 } else { entry(table, l2)? };
    if data & COMPRESSED != 0 {
        return None;
    }
    if data & OFFSET == 0 || data & ZEROES != 0 {
        bytes.fill(0);
        return Some(());
    }
    file.read_exact_at(bytes, (data & OFFSET).checked_add(at & ((1 << bits) - 1))?).ok()
}

/// Bytes of the header as far as [`grow`] reads it: up to and with the incompatible features.
const HEADER: usize = 80;

/// Why an image cannot be made larger.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrowError {
    /// The system refused to read or write it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what it is said to be.
    #[error("it is not a sound qcow2 image")]
    Unsound,
    /// It has snapshots of its own, which are as large as they are.
    #[error("it has snapshots inside: convert it with qemu-img first")]
    Snapshots,
    /// It was not closed properly, or has features that nobody here knows.
    #[error(
        "it was not closed properly, or is of a kind that only other programs know: look at it with qemu-img check"
    )]
    Features,
    /// Its table has no room for so much.
    #[error("it can grow to {0} GiB only")]
    Full(u64),
    /// It is as large already.
    #[error("it has {0} bytes already")]
    Smaller(u64),
}

/// Makes an image larger, to `size` bytes: a multiple of 512 and at most [`MAX_SIZE`]. Whoever calls holds it alone.
///
/// The L1 table grows within the clusters it has: as many guest bytes as that describes are the limit. Its new entries are on the disk
/// before the header that counts them, and that changes within one sector, so the image is whole at every moment.
pub(crate) fn grow(file: &File, size: u64) -> Result<(), GrowError> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0)?;
    let u32_at = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
    let (version, cluster_bits, old) = (u32_at(4), u32_at(20), u64_at(24));
    let (l1_entries, l1_table) = (u64::from(u32_at(36)), u64_at(40));
    if &header[..4] != b"QFI\xfb" || !matches!(version, 2 | 3) || !(9..=21).contains(&cluster_bits) {
        return Err(GrowError::Unsound);
    }
    if u32_at(60) != 0 {
        return Err(GrowError::Snapshots);
    }
    if version == 3 && u64_at(72) != 0 {
        return Err(GrowError::Features);
    }
    if size <= old {
        return Err(GrowError::Smaller(old));
    }
    if !size.is_multiple_of(512) || size > MAX_SIZE {
        return Err(GrowError::Full(MAX_SIZE >> 30));
    }
    let cluster = 1u64 << cluster_bits;
    let per_entry = cluster / 8 * cluster;
    let room = (l1_entries * 8).div_ceil(cluster) * cluster / 8;
    let needed = size.div_ceil(per_entry);
    let length = file.metadata()?.len();
    if l1_entries == 0
        || !l1_table.is_multiple_of(cluster)
        || l1_table == 0
        || l1_table.saturating_add(room * 8) > length.next_multiple_of(cluster)
    {
        return Err(GrowError::Unsound);
    }
    if needed > room {
        return Err(GrowError::Full(
            u64::try_from((u128::from(room) * u128::from(per_entry)) >> 30).unwrap_or(u64::MAX),
        ));
    }
    if needed > l1_entries {
        let zeros = vec![0; (needed - l1_entries) as usize * 8];
        file.write_all_at(&zeros, l1_table + l1_entries * 8)?;
        file.sync_data()?;
    }
    header[24..32].copy_from_slice(&size.to_be_bytes());
    header[36..40].copy_from_slice(&(needed.max(l1_entries) as u32).to_be_bytes());
    file.write_all_at(&header[24..40], 24)?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What qemu-img says of an image. None, loudly, when it is not installed.
    fn judged(path: &std::path::Path) -> Option<serde_json::Value> {
        let run = |arguments: &[&str]| Command::new("qemu-img").args(arguments).arg(path).output();
        let Ok(check) = run(&["check", "-f", "qcow2"]) else {
            eprintln!("SKIPPED: qemu-img is not installed (package qemu-utils)");
            return None;
        };
        assert!(
            check.status.success(),
            "{}{}",
            String::from_utf8_lossy(&check.stdout),
            String::from_utf8_lossy(&check.stderr)
        );
        Some(serde_json::from_slice(&run(&["info", "--output=json"]).unwrap().stdout).unwrap())
    }

    #[test]
    fn grown_images_keep_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        for (before, after) in [(1 << 20, 2 << 20), (1 << 30, 40 << 30), (512, 4 << 40)] {
            create(&mut File::create(&path).unwrap(), before).unwrap();
            let io = |command: &str| Command::new("qemu-io").args(["-f", "qcow2", "-c", command]).arg(&path).output();
            if judged(&path).is_none() {
                return;
            }
            assert!(io("write -P 7 0 512").unwrap().status.success());
            let file = File::options().read(true).write(true).open(&path).unwrap();
            grow(&file, after).unwrap();
            assert_eq!(judged(&path).unwrap()["virtual-size"], after);
            assert!(io("read -P 7 0 512").unwrap().status.success());
            assert!(
                io(&format!("write -P 9 {} 512", after - 512)).unwrap().status.success(),
                "its new end can be used"
            );
            judged(&path).unwrap();
            assert!(matches!(grow(&file, after), Err(GrowError::Smaller(_))));
            assert!(matches!(grow(&file, after - 512), Err(GrowError::Smaller(_))));
        }
    }

    #[test]
    fn what_cannot_grow_stays_as_it_is() {
        let made = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = tempfile::tempfile().unwrap();
            create(&mut file, 1 << 30).unwrap();
            let mut header = vec![0; 112];
            file.read_exact_at(&mut header, 0).unwrap();
            change(&mut header);
            file.write_all_at(&header, 0).unwrap();
            let before = header.clone();
            let refused = grow(&file, 2 << 30).unwrap_err();
            file.read_exact_at(&mut header, 0).unwrap();
            assert_eq!(header, before, "{refused}");
            refused
        };
        assert!(matches!(made(&|header| header[0] = 0), GrowError::Unsound));
        assert!(matches!(made(&|header| header[7] = 4), GrowError::Unsound));
        assert!(matches!(made(&|header| header[20..24].fill(0xff)), GrowError::Unsound));
        assert!(matches!(made(&|header| header[36..40].fill(0xff)), GrowError::Unsound));
        assert!(matches!(made(&|header| header[36..40].fill(0)), GrowError::Unsound));
        assert!(matches!(made(&|header| header[40..48].fill(0xff)), GrowError::Unsound));
        assert!(matches!(made(&|header| header[63] = 1), GrowError::Snapshots));
        assert!(matches!(made(&|header| header[79] = 1), GrowError::Features));
        let mut file = tempfile::tempfile().unwrap();
        create(&mut file, 1 << 30).unwrap();
        assert!(matches!(grow(&file, 5 << 40), Err(GrowError::Full(4096))), "one cluster of L1 entries");
        assert!(matches!(grow(&file, MAX_SIZE + 512), Err(GrowError::Full(_))));
        assert!(matches!(grow(&tempfile::tempfile().unwrap(), 1 << 30), Err(GrowError::Io(_))));
    }

    #[test]
    fn qemu_img_takes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        for size in [512, 1 << 20, (25 << 30) + 512, 2 << 40, MAX_SIZE] {
            create(&mut File::create(&path).unwrap(), size).unwrap();
            let run = |arguments: &[&str]| Command::new("qemu-img").args(arguments).arg(&path).output();
            let Ok(check) = run(&["check", "--output=json"]) else {
                eprintln!("SKIPPED: qemu-img is not installed (package qemu-utils)");
                return;
            };
            assert!(check.status.success(), "{size}: {}", String::from_utf8_lossy(&check.stderr));
            let info: serde_json::Value =
                serde_json::from_slice(&run(&["info", "--output=json"]).unwrap().stdout).unwrap();
            assert_eq!(info["virtual-size"], size);
            assert_eq!(info["format"], "qcow2");
            assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
        }
        let written = Command::new("qemu-io").args(["-f", "qcow2", "-c", "write -P 7 1M 64k"]).arg(&path).output();
        if let Ok(written) = written {
            assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
        }
    }

    #[test]
    fn refuses_what_is_no_disk() {
        let file = || tempfile::tempfile().unwrap();
        assert!(create(&mut file(), 513).is_err());
        assert!(create(&mut file(), MAX_SIZE + 512).is_err());
    }
}
