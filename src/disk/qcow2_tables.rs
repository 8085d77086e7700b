//! The qcow2 tables, judged before a guest may write: nothing that it writes must reach them.
//!
//! A guest's data go where an L2 table says, into clusters that the reference counts say are free. A hostile image, or one that
//! somebody damaged, can say that of clusters that hold tables or the header; then the guest writes itself another image, and
//! whoever opens that next follows what it says. Follows QEMU's `docs/interop/qcow2.rst` (refcounts, cluster mapping) and the part
//! of `qemu-img check` that finds what is not just leaked: every cluster has one use, and is counted at least as often as it is
//! used.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::OpenError;
use crate::qcow2_header::{Header, OFFSET, be64};

const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Bytes of L2 tables that are looked at: those of half a terabyte of clusters of the usual 64 KiB. More would take longer than
/// somebody who starts a machine waits for.
const MOST: u64 = 64 << 20;
/// Bytes of a compressed cluster's sectors.
const SECTOR: u64 = 512;

/// What uses a cluster, as its number in the file.
#[derive(Default)]
struct Uses {
    tables: Vec<u64>,
    data: Vec<u64>,
    /// Clusters that hold compressed ones; several may lie in one.
    compressed: Vec<u64>,
    /// Of the data, what may be written in place.
    copied: Vec<u64>,
}

/// Judges the tables of an image whose header was judged.
pub(crate) fn check(file: &File, header: &Header) -> Result<(), OpenError> {
    let mut uses = Uses::default();
    let bits = header.cluster_bits;
    // Whole clusters in the file, or nothing.
    let clusters = |offset: u64, bytes: u64| offset >> bits..(offset >> bits) + bytes.div_ceil(1 << bits);
    uses.tables.push(0);
    uses.tables.extend(clusters(header.l1_offset, header.l1_entries * 8));
    uses.tables.extend(clusters(header.refcounts_offset, header.refcounts_bytes));
    let blocks = read(file, header.refcounts_offset, header.refcounts_bytes)?;
    let blocks: Vec<u64> = blocks.chunks_exact(8).map(|entry| be64(entry, 0) & OFFSET).collect();
    let l1 = read(file, header.l1_offset, header.l1_entries * 8)?;
    let l2: Vec<u64> = l1.chunks_exact(8).map(|entry| be64(entry, 0) & OFFSET).filter(|table| *table != 0).collect();
    for &table in blocks.iter().filter(|block| **block != 0).chain(&l2) {
        if table & ((1 << bits) - 1) != 0 {
            return Err(OpenError::Damaged("a table does not start with a cluster"));
        }
        uses.tables.push(table >> bits);
    }
    if l2.len() as u64 > MOST >> bits {
        tracing::warn!("a large disk image: its tables are not all checked");
    }
    for &table in l2.iter().take((MOST >> bits) as usize) {
        uses.read_l2(&read(file, table, 1 << bits)?, bits)?;
    }
    let Uses { tables, data, compressed, copied } = &mut uses;
    for list in [tables, data, compressed, copied] {
        list.sort_unstable();
    }
    let Uses { tables, data, compressed, copied } = &uses;
    let twice = |list: &[u64]| list.windows(2).any(|pair| pair[0] == pair[1]);
    if twice(tables) {
        return Err(OpenError::Damaged("its tables overlap"));
    }
    if twice(data) || share(data, compressed) {
        return Err(OpenError::Damaged("a cluster is used twice"));
    }
    if share(tables, data) || share(tables, compressed) {
        return Err(OpenError::Damaged("data lie where tables are"));
    }
    let mut counts = Counts { file, blocks: &blocks, bits, order: header.refcount_order, loaded: None };
    for list in [tables, data, compressed] {
        for used in list.chunk_by(|a, b| a == b) {
            if counts.of(used[0])? < used.len() as u64 {
                return Err(OpenError::Damaged("a cluster that is used counts as free"));
            }
        }
    }
    for &cluster in copied {
        if counts.of(cluster)? != 1 {
            return Err(OpenError::Damaged("a shared cluster counts as unshared"));
        }
    }
    Ok(())
}

impl Uses {
    fn read_l2(&mut self, table: &[u8], bits: u32) -> Result<(), OpenError> {
        for entry in table.chunks_exact(8).map(|entry| be64(entry, 0)).filter(|entry| *entry != 0) {
            if entry & COMPRESSED != 0 {
                // The more bits a cluster has, the more of the entry says how many further sectors are touched.
                let width = 62 - (bits - 8);
                let (offset, more) = (entry & ((1 << width) - 1), entry >> width & ((1 << (bits - 8)) - 1));
                let end = (offset & !(SECTOR - 1)) + (more + 1) * SECTOR;
                self.compressed.extend(offset >> bits..end.div_ceil(1 << bits));
                continue;
            }
            let offset = entry & OFFSET;
            if offset & ((1 << bits) - 1) != 0 {
                return Err(OpenError::Damaged("data do not start with a cluster"));
            }
            if offset != 0 {
                self.data.push(offset >> bits);
                if entry & COPIED != 0 {
                    self.copied.push(offset >> bits);
                }
            }
        }
        Ok(())
    }
}

/// Have two sorted lists anything in common?
fn share(one: &[u64], other: &[u64]) -> bool {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => drop(one.next()),
            std::cmp::Ordering::Greater => drop(other.next()),
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

/// The reference counts, a block at a time.
struct Counts<'a> {
    file: &'a File,
    blocks: &'a [u64],
    bits: u32,
    order: u32,
    /// The block that was looked at last, by its number.
    loaded: Option<(u64, Vec<u8>)>,
}

impl Counts<'_> {
    fn of(&mut self, cluster: u64) -> io::Result<u64> {
        let per_block = self.bits + 3 - self.order;
        let (number, index) = (cluster >> per_block, cluster & ((1 << per_block) - 1));
        let block = usize::try_from(number).ok().and_then(|number| self.blocks.get(number)).copied().unwrap_or(0);
        if block == 0 {
            return Ok(0);
        }
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            self.loaded = Some((number, read(self.file, block, 1 << self.bits)?));
        }
        let Some((_, bytes)) = &self.loaded else { return Ok(0) };
        // Counts are big endian, those of less than a byte from its lowest bits on.
        let width = 1u64 << self.order;
        let at = (index * width / 8) as usize;
        Ok(match width {
            8.. => bytes[at..at + (width / 8) as usize].iter().fold(0, |count, byte| count << 8 | u64::from(*byte)),
            _ => u64::from(bytes[at]) >> (index * width % 8) & ((1 << width) - 1),
        })
    }
}

/// Bytes of the file; zeroes where it ends within them, as the last cluster may.
fn read(file: &File, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut all = vec![0; bytes as usize];
    let mut have = 0;
    while have < all.len() {
        match file.read_at(&mut all[have..], at + have as u64) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
