//! The qcow2 header, read and judged before any code that trusts it runs.
//!
//! Follows QEMU's `docs/interop/qcow2.rst` (header, header extensions, L1 table). The bounds are QEMU's own limits, so every
//! image that QEMU takes is taken, except for features that nobody here can serve.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::{OpenError, SECTOR};

/// `QFI\xfb`.
const MAGIC: u32 = 0x5146_49fb;
const V2_BYTES: usize = 72;
const V3_BYTES: usize = 104;
const MAX_L1_BYTES: u64 = 32 << 20;
const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
/// Far above what an image can use, and low enough that offsets never overflow.
const MAX_SIZE: u64 = 1 << 50;

const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// Bits of an offset in L1, L2 and the reference count table.
pub(crate) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// What the header says that matters to opening the image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Version 2 or 3.
    pub(crate) version: u32,
    /// Bytes of the virtual disk.
    pub(crate) size: u64,
    /// Does it say that it lies on top of another image?
    pub(crate) has_backing: bool,
    /// A cluster has 1 shifted by so many bytes.
    pub(crate) cluster_bits: u32,
    /// A reference count has 1 shifted by so many bits.
    pub(crate) refcount_order: u32,
    /// Where the L1 table is, and its entries.
    pub(crate) l1_offset: u64,
    pub(crate) l1_entries: u64,
    /// Where the reference count table is, and its bytes.
    pub(crate) refcounts_offset: u64,
    pub(crate) refcounts_bytes: u64,
}

/// Reads and judges the header of `file`. Costs time and memory by the file's size at most, whatever the header claims.
pub(crate) fn check(file: &File, file_size: u64) -> Result<Header, OpenError> {
    let mut bytes = [0; V3_BYTES];
    let have = read_up_to(file, &mut bytes)?;
    if have < V2_BYTES || be32(&bytes, 0) != MAGIC {
        return Err(OpenError::NotQcow2);
    }
    let version = be32(&bytes, 4);
    let (features, refcount_order, header_length) = match version {
        2 => (0, 4, V2_BYTES as u32),
        3 if have == V3_BYTES => (be64(&bytes, 72), be32(&bytes, 96), be32(&bytes, 100)),
        3 => return Err(OpenError::Damaged("the file ends within the header")),
        _ => return Err(OpenError::Unsupported("a qcow2 version other than 2 and 3")),
    };
    check_features(features)?;
    if be32(&bytes, 32) != 0 {
        return Err(OpenError::Unsupported("encryption"));
    }
    let cluster_bits = be32(&bytes, 20);
    if !(9..=21).contains(&cluster_bits) {
        return Err(OpenError::Damaged("the cluster size is out of range"));
    }
    let cluster = 1u64 << cluster_bits;
    if refcount_order > 6 {
        return Err(OpenError::Damaged("the reference count width is out of range"));
    }
    if version == 3 && (header_length < V3_BYTES as u32 || u64::from(header_length) > cluster) {
        return Err(OpenError::Damaged("the header length is out of range"));
    }
    let in_file = |offset: u64, len: u64| {
        offset.is_multiple_of(cluster)
            && offset >= cluster
            && offset.checked_add(len).is_some_and(|end| end <= file_size)
    };

    let size = be64(&bytes, 24);
    if size > MAX_SIZE || !size.is_multiple_of(SECTOR) {
        return Err(OpenError::Damaged("the disk size is not possible"));
    }
    let l1_entries = u64::from(be32(&bytes, 36));
    let covered_by_entry = cluster << (cluster_bits - 3);
    if l1_entries * 8 > MAX_L1_BYTES || l1_entries < size.div_ceil(covered_by_entry) {
        return Err(OpenError::Damaged("the L1 table does not match the disk size"));
    }
    let l1_offset = be64(&bytes, 40);
    if l1_entries > 0 && !in_file(l1_offset, l1_entries * 8) {
        return Err(OpenError::Damaged("the L1 table lies outside the file"));
    }
    let table_clusters = u64::from(be32(&bytes, 56));
    let table_bytes = table_clusters * cluster;
    let table_offset = be64(&bytes, 48);
    if table_clusters == 0 || table_bytes > MAX_REFCOUNT_TABLE_BYTES || !in_file(table_offset, table_bytes) {
        return Err(OpenError::Damaged("the reference count table lies outside the file"));
    }

    let backing_offset = be64(&bytes, 8);
    let backing_len = u64::from(be32(&bytes, 16));
    if backing_offset != 0 && (backing_len > 1023 || backing_offset.saturating_add(backing_len) > cluster) {
        return Err(OpenError::Damaged("the backing file's name lies outside the header"));
    }
    check_l1(file, l1_offset, l1_entries, cluster, file_size)?;
    Ok(Header {
        version,
        size,
        has_backing: backing_offset != 0,
        cluster_bits,
        refcount_order,
        l1_offset,
        l1_entries,
        refcounts_offset: table_offset,
        refcounts_bytes: table_bytes,
    })
}

fn check_features(features: u64) -> Result<(), OpenError> {
    match features {
        0 => Ok(()),
        _ if features & CORRUPT != 0 => Err(OpenError::Damaged("it is marked as corrupt")),
        _ if features & DIRTY != 0 => Err(OpenError::Damaged("it was not closed properly and needs a repair")),
        _ if features & EXTERNAL_DATA != 0 => Err(OpenError::Unsupported("an external data file")),
        _ if features & COMPRESSION != 0 => Err(OpenError::Unsupported("a compression other than deflate")),
        _ if features & EXTENDED_L2 != 0 => Err(OpenError::Unsupported("extended L2 entries (subclusters)")),
        _ => Err(OpenError::Unsupported("a feature that is not known here")),
    }
}

/// Every L2 table lies on a cluster in the file, behind the header.
fn check_l1(file: &File, offset: u64, entries: u64, cluster: u64, file_size: u64) -> Result<(), OpenError> {
    let mut chunk = vec![0; (entries as usize * 8).min(1 << 16)];
    let mut done = 0;
    while done < entries * 8 {
        let now = (entries * 8 - done).min(chunk.len() as u64) as usize;
        file.read_exact_at(&mut chunk[..now], offset + done)?;
        for entry in chunk[..now].chunks_exact(8) {
            let table = be64(entry, 0) & OFFSET;
            // The file may end within the last table's cluster, never before it.
            if table != 0 && (!table.is_multiple_of(cluster) || table >= file_size) {
                return Err(OpenError::Damaged("an L2 table lies outside the file"));
            }
        }
        done += now as u64;
    }
    Ok(())
}

fn read_up_to(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        match file.read_at(&mut bytes[have..], have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}
