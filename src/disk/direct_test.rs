use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use device::bench::ram;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::{Access, Disk, Format, GuestRange, Op};

const LONG: Duration = Duration::from_secs(20);

/// A file of so many bytes that passes the cache by, and the same one that does not. None, loudly, where there are no such files.
fn files(bytes: u64) -> Option<(File, File)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    let flags = OFlags::DIRECT.bits() as i32;
    match File::options().read(true).write(true).custom_flags(flags).open(file.path()) {
        Ok(direct) => Some((direct, file.reopen().unwrap())),
        Err(error) => {
            eprintln!("SKIPPED: no O_DIRECT in {}: {error}", file.path().display());
            None
        }
    }
}

fn is_direct(file: &File) -> bool {
    fcntl_getfl(file).unwrap().contains(OFlags::DIRECT)
}

/// Writers of single sectors, which share blocks with each other, and writers of whole blocks; all of it arrives.
#[test]
fn neighbours_in_a_block_lose_nothing() {
    const SECTORS: u64 = 2048;
    let Some((direct, cached)) = files(SECTORS * 512) else { return };
    let ram = ram(0x4000);
    let queue = Disk::open(direct, Format::Raw, Access::ReadWrite).unwrap().queue(ram.clone()).unwrap();
    for round in 1..=4u8 {
        ram.write_slice(&[round; 0x4000], GuestAddress(0)).unwrap();
        for sector in 0..SECTORS {
            let op = match sector % 16 {
                // Two blocks of 4 KiB, straight from memory.
                0 if round % 2 == 0 => Op::Write {
                    at: sector * 512,
                    from: vec![GuestRange { at: 0x1000, len: 0x1000 }, GuestRange { at: 0x3000, len: 0x1000 }],
                    durable: false,
                },
                _ if round % 2 == 0 => continue,
                // From memory that no device would take.
                odd => Op::Write {
                    at: sector * 512,
                    from: vec![GuestRange { at: 0x201 + odd, len: 512 }],
                    durable: odd == 5,
                },
            };
            queue.submit(op, sector);
        }
        queue.flush(LONG).unwrap();
        queue.drain(LONG).unwrap();
        let mut bytes = vec![0; (SECTORS * 512) as usize];
        cached.read_exact_at(&mut bytes, 0).unwrap();
        let differs = bytes.iter().position(|byte| *byte != round);
        assert_eq!(differs, None, "in round {round}");
    }
    queue.close(LONG).unwrap();
}

#[test]
fn pieces_go_to_their_places() {
    let Some((direct, cached)) = files(1 << 20) else { return };
    let contents: Vec<u8> = (0..1 << 20).map(|at: u32| (at >> 8) as u8 ^ at as u8).collect();
    cached.write_all_at(&contents, 0).unwrap();
    let direct = Direct::of(&Arc::new(direct), 1 << 20).unwrap().expect("a file that passes the cache by");
    for (at, lengths) in
        [(0, vec![4096]), (1, vec![1, 1, 1]), (4095, vec![2]), (70_001, vec![0, 3, 9000, 511]), (1000, vec![1 << 19])]
    {
        let mut rooms: Vec<Vec<u8>> = lengths.iter().map(|len| vec![0; *len]).collect();
        direct.read(at, &rooms.iter_mut().map(|room| VolatileSlice::from(&mut room[..])).collect::<Vec<_>>()).unwrap();
        let read = rooms.concat();
        assert!(read == contents[at as usize..][..read.len()], "{lengths:?} at {at}");
        for byte in rooms.iter_mut().flatten() {
            *byte = !*byte;
        }
        direct
            .write(at, &rooms.iter_mut().map(|room| VolatileSlice::from(&mut room[..])).collect::<Vec<_>>(), true)
            .unwrap();
        let mut after = vec![0; 1 << 20];
        cached.read_exact_at(&mut after, 0).unwrap();
        let end = at as usize + read.len();
        assert!(after[..at as usize] == contents[..at as usize] && after[end..] == contents[end..], "beside {at}");
        assert!(after[at as usize..end].iter().zip(&read).all(|(new, old)| *new == !old), "{lengths:?} at {at}");
        cached.write_all_at(&contents, 0).unwrap();
    }
}

#[test]
fn only_blocks_that_keep_something_are_read() {
    let kept = |len, part| kept(len, &part, 4096).map(|range| (range.start, range.end)).collect::<Vec<_>>();
    assert_eq!(kept(1 << 20, 0..1 << 20), []);
    assert_eq!(kept(1 << 20, 1..1 << 20), [(0, 4096)]);
    assert_eq!(kept(1 << 20, 0..(1 << 20) - 1), [((1 << 20) - 4096, 1 << 20)]);
    assert_eq!(kept(12288, 4095..8193), [(0, 4096), (8192, 12288)]);
    assert_eq!(kept(8192, 4095..4097), [(0, 8192)], "in one go");
    assert_eq!(kept(8192, 0..4097), [(4096, 8192)]);
    assert_eq!(kept(4096, 512..1024), [(0, 4096)]);
}

#[test]
fn without_whole_blocks_the_cache_is_used() {
    let Some((direct, cached)) = files((1 << 20) + 512) else { return };
    if alignment(&direct).block == 512 {
        direct.set_len((1 << 20) + 7).unwrap();
    }
    let size = direct.metadata().unwrap().len();
    let direct = Arc::new(direct);
    assert!(is_direct(&direct) && Direct::of(&direct, size).unwrap().is_none());
    assert!(!is_direct(&direct), "its last block is not whole");
    assert!(Direct::of(&Arc::new(cached), size).unwrap().is_none(), "nobody asked for it");
}
