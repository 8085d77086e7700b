//! A guest that means harm.

use std::io::ErrorKind;

use device::{Device, Size};
use proptest::prelude::*;

use super::*;

/// What a hostile guest does.
#[derive(Clone, Debug)]
enum Abuse {
    Write { offset: u64, size: Size, value: u64 },
    Port { port: u64, register: u64, value: u32 },
    Memory { at: u64, bytes: Vec<u8> },
    Command { port: u64, slot: u64, fis: [u8; 20], regions: Vec<(u64, u32)> },
    Packet { bytes: [u8; 12] },
    Step,
    Fail(bool),
    Retry,
    Reset,
}

fn abuses() -> impl Strategy<Value = Vec<Abuse>> {
    let size = prop::sample::select(vec![Size::Byte, Size::Word, Size::Dword, Size::Qword]);
    let interesting = prop::sample::select(vec![0u32, 1, 0x10, 0x11, 0x301, 0x304, 0x300, u32::MAX, 8, 0x19]);
    let region = (
        prop_oneof![8 => DATA..RAM as u64, 1 => any::<u64>(), 1 => RAM as u64 - 600..RAM as u64],
        prop_oneof![1u32..0x1_0000, Just(1), Just(0x40_0000)],
    );
    let fis = (any::<[u8; 20]>(), any::<bool>(), any::<bool>()).prop_map(|(mut fis, command, near)| {
        fis[0] = 0x27;
        fis[1] = if command { 0x80 } else { fis[1] };
        if near {
            [fis[5], fis[6], fis[8], fis[9], fis[10], fis[11], fis[13]] = [0; 7];
        }
        fis
    });
    let known = prop::sample::select(vec![0x60u8, 0x61, 0x25, 0x35, 0xa0, 0x06, 0x2f, 0xb0, 0xef, 0xec, 0xa1, 0xea]);
    let command = (0u64..2, 0u64..32, fis, prop::option::of(known), prop::collection::vec(region, 0..4)).prop_map(
        |(port, slot, mut fis, known, regions)| {
            if let Some(known) = known {
                fis[2] = known;
            }
            if fis[2] & 0xfe == 0x60 {
                fis[12] = (slot as u8) << 3;
            }
            Abuse::Command { port, slot, fis, regions }
        },
    );
    let abuse = prop_oneof![
        1 => (0u64..0x500, size, any::<u64>()).prop_map(|(offset, size, value)| Abuse::Write { offset, size, value }),
        1 => (0u64..7, (0u64..16).prop_map(|r| r * 4), prop_oneof![interesting, any::<u32>()])
            .prop_map(|(port, register, value)| Abuse::Port { port, register, value }),
        1 => (0..0x3_0000u64, prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(at, bytes)| Abuse::Memory { at, bytes }),
        4 => command,
        2 => any::<[u8; 12]>().prop_map(|bytes| Abuse::Packet { bytes }),
        4 => Just(Abuse::Step),
        1 => any::<bool>().prop_map(Abuse::Fail),
        1 => Just(Abuse::Retry),
        1 => Just(Abuse::Reset),
    ];
    prop::collection::vec(abuse, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that a guest does makes the adapter panic, and after a reset it works.
    #[test]
    fn abuse_is_survived(abuses in abuses()) {
        let m = Machine::started();
        m.disk.connect_alarm(Box::new(full::Quiet));
        for abuse in abuses {
            match abuse {
                Abuse::Write { offset, size, value } => {
                    m.ahci.lock().unwrap().bar_write(5, offset, size, value);
                    m.ahci.lock().unwrap().bar_read(5, offset, size);
                }
                Abuse::Port { port, register, value } => m.pwrite(port, register, value),
                Abuse::Memory { at, bytes } => m.put(at, &bytes),
                Abuse::Command { port, slot, fis, regions } => {
                    m.prepare(port, slot, fis, &regions);
                    m.pwrite(port, SACT, 1 << slot);
                    m.pwrite(port, CI, 1 << slot);
                }
                Abuse::Packet { bytes } => { m.packet_only(bytes); }
                Abuse::Step => { m.disk.step(); m.disc.step(); }
                Abuse::Fail(full) => {
                    m.disk.fail_next(if full { ErrorKind::StorageFull } else { ErrorKind::Other });
                }
                Abuse::Retry => m.disk.retry(),
                Abuse::Reset => m.write(0x04, 0x8000_0003),
            }
        }
        prop_assert!(m.disk.steps(100_000) < 100_000);
        prop_assert!(m.disc.steps(100_000) < 100_000);
        m.ahci.lock().unwrap().reset();
        m.disk.abandon();
        m.ahci.lock().unwrap().core_mut().config_write(4, Size::Word, 6);
        m.start(0);
        prop_assert_eq!(m.run(0, ata(0xec, 0, 0), &[(DATA, 512)]).1, 0x50);
    }
}

impl Machine {
    fn packet_only(&self, bytes: [u8; 12]) {
        self.put(TABLES + 0x1_0040, &bytes);
        let mut fis = ata(0xa0, 0, 0);
        fis[3] = bytes[11] & 1;
        self.prepare(1, 0, fis, &[(DATA, 0x1000), (DATA + 0x4000, 0x1000)]);
        self.pwrite(1, CI, 1);
    }
}
