//! Makes empty qcow2 images, version 3 (QEMU `docs/interop/qcow2.rst`): header, refcount table and block, L1 table.
//!
//! Reading and writing them is the engine's business.

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

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
