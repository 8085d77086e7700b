use ::disk::DiskQueue;
use device::bench::{check_state, ram};
use proptest::prelude::*;

use super::*;

const SIZE: u64 = 1000 * SECTOR;

fn disk() -> AtaDisk {
    AtaDisk::new(
        DiskQueue::bench(vec![0; SIZE as usize], ram(0x1000), false),
        "é",
        "A name that is longer than its place, which is 40",
    )
}

fn registers() -> impl Strategy<Value = TaskFile> {
    (any::<u8>(), any::<u16>(), any::<u16>(), prop_oneof![0..2000u64, any::<u64>()], any::<u8>()).prop_map(
        |(command, features, count, lba, device)| TaskFile {
            command,
            features,
            count,
            lba: lba & 0xffff_ffff_ffff,
            device,
        },
    )
}

#[test]
fn names_are_padded_and_cut() {
    let mut registers = TaskFile { command: 0xec, ..TaskFile::default() };
    let Action::DataIn { bytes, .. } = disk().execute(&mut registers) else { panic!() };
    let text = |at: usize, words: usize| -> Vec<u8> {
        bytes[2 * at..2 * (at + words)].chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect()
    };
    assert_eq!(text(10, 10), b"__                  ");
    assert_eq!(text(27, 20), b"A name that is longer than its place, wh");
}

#[test]
fn forced_unit_access() {
    let mut disk = disk();
    for (command, device, wanted) in [(0x61, 0x40, false), (0x61, 0xc0, true), (0x3d, 0x40, true), (0x35, 0x40, false)]
    {
        let mut registers = TaskFile { command, features: 1, count: 1, lba: 0, device };
        let Action::Write { durable, .. } = disk.execute(&mut registers) else { panic!() };
        assert_eq!(durable, wanted);
    }
}

#[test]
fn states() {
    check_state(&mut disk(), |disk| {
        disk.execute(&mut TaskFile { command: 0xc6, count: 8, ..TaskFile::default() });
        disk.queued_failed(3, ABORTED, TaskFile::default());
    });
    check_state(&mut AtapiDrive::new(crate::mmc::Cdrom::new(None)), |drive| {
        drive.execute(&mut TaskFile { command: 0xef, features: 0x10, count: 5, ..TaskFile::default() });
    });
}

proptest! {
    /// Any command of any disk: what it is to transfer lies on the disk.
    #[test]
    fn any_command_is_answered(commands in prop::collection::vec(registers(), 1..40)) {
        let mut disk = disk();
        let mut drive = AtapiDrive::new(crate::mmc::Cdrom::new(None));
        for mut registers in commands {
            match disk.execute(&mut registers.clone()) {
                Action::Read { at, len, .. } | Action::Write { at, len, .. } => prop_assert!(len > 0 && at + len <= SIZE),
                Action::TrimList { len } => prop_assert!(len > 0 && len <= 4096),
                Action::DataIn { bytes, .. } => prop_assert_eq!(bytes.len(), 512),
                Action::Packet => prop_assert!(false, "disks know no packets"),
                Action::Fail(error) => prop_assert_ne!(error, 0),
                Action::Done | Action::Flush | Action::Reset => {}
            }
            let action = drive.execute(&mut registers);
            let of_disks = matches!(action, Action::Read { .. } | Action::Write { .. } | Action::TrimList { .. });
            prop_assert!(!of_disks);
        }
    }

    /// Any list of ranges.
    #[test]
    fn trimmed_ranges_lie_on_the_disk(list in prop::collection::vec((prop_oneof![0..1100u64, any::<u64>()], 0u64..40), 64)) {
        let bytes: Vec<u8> = list.iter().flat_map(|(at, count)| (at & 0xffff_ffff_ffff | count << 48).to_le_bytes()).collect();
        if let Ok(ranges) = disk().trim_ranges(&bytes) {
            prop_assert!(ranges.iter().all(|(at, len)| *len > 0 && at + len <= SIZE));
        }
    }
}
