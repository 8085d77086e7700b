//! A guest that means harm.

use device::bench::Random;
use proptest::prelude::*;

use super::*;

/// What a hostile guest does.
#[derive(Clone, Debug)]
enum Abuse {
    Write { register: u64, size: Size, value: u64 },
    Port { at: u64, value: u64 },
    Memory { at: u64, bytes: Vec<u8> },
    Descriptors { seed: u64 },
    Frame { length: usize, tagged: bool },
    Link(bool),
    Time(u64),
    Saved,
    Twisted { seed: u64 },
    Reset,
}

fn abuses() -> impl Strategy<Value = Vec<Abuse>> {
    let size = prop::sample::select(vec![Size::Byte, Size::Word, Size::Dword, Size::Qword]);
    let known = prop::sample::select(vec![
        0x00u64, 0x10, 0x14, 0x20, 0x38, 0xc0, 0xc4, 0xc8, 0xd0, 0xd8, 0x100, 0x400, 0x2800, 0x2804, 0x2808, 0x2810,
        0x2818, 0x2820, 0x282c, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x3820, 0x3828, 0x382c, 0x5000, 0x5404,
    ]);
    let value = prop_oneof![any::<u64>(), 0u64..32, Just(u64::MAX), (0u64..64).prop_map(|bit| 1 << bit)];
    let write = (prop_oneof![4 => known, 1 => 0u64..0x2_0000], size, value.clone());
    let abuse = prop_oneof![
        6 => write.prop_map(|(register, size, value)| Abuse::Write { register, size, value }),
        1 => (0u64..64, value).prop_map(|(at, value)| Abuse::Port { at, value }),
        1 => (0..0x4000u64, prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(at, bytes)| Abuse::Memory { at, bytes }),
        4 => any::<u64>().prop_map(|seed| Abuse::Descriptors { seed }),
        4 => (14usize..20_000, any::<bool>()).prop_map(|(length, tagged)| Abuse::Frame { length, tagged }),
        1 => any::<bool>().prop_map(Abuse::Link),
        2 => (0u64..1_000_000_000).prop_map(Abuse::Time),
        1 => Just(Abuse::Saved),
        1 => any::<u64>().prop_map(|seed| Abuse::Twisted { seed }),
        1 => Just(Abuse::Reset),
    ];
    prop::collection::vec(abuse, 1..80)
}

/// Rings of noise that looks like descriptors.
fn descriptors(m: &Machine, seed: u64) {
    let random = &mut Random::new(seed);
    m.start();
    for number in 0..RING {
        let buffer = if random.once_in(8) { random.value() } else { random.below(RAM as u64) };
        let (any_length, any_command) = (random.below(4000), random.below(256));
        let length = random.pick(&[60, 1514, 2000, 0xffff, 0xf_ffff, any_length]);
        let command = random.pick(&[0x21, 0x25, 0x24, 0x20, 0x01, 0x05, 0x29, 0x2d, 0xe5, any_command]);
        let kind = if random.once_in(2) { 1 << 20 } else { 0 };
        let rest = random.next() & 0xff00_ffff | random.below(64) << 8;
        let upper = length | kind | command << 24 | rest << 32;
        let bytes = [buffer, upper].map(u64::to_le_bytes).concat();
        m.put(SEND_RING + 16 * number, &bytes);
        if random.once_in(3) {
            m.put(
                RECEIVE_RING + 16 * number,
                &[if random.once_in(2) { 0 } else { buffer }, 0].map(u64::to_le_bytes).concat(),
            );
        }
    }
    m.write(RCTL, random.next() as u32 | 2);
    m.write(RDT, random.below(RING) as u32);
    if random.once_in(4) {
        m.set_phy(0, 0x4140);
    }
    m.write(TDT, random.below(RING) as u32);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that a guest or a saved state does makes the card panic, and after a reset it works.
    #[test]
    fn abuse_is_survived(abuses in abuses()) {
        let m = Machine::started();
        for abuse in abuses {
            match abuse {
                Abuse::Write { register, size, value } => {
                    m.card.lock().unwrap().bar_write(0, register, size, size.cut(value));
                    m.card.lock().unwrap().bar_read(0, register, size);
                }
                Abuse::Port { at, value } => {
                    m.card.lock().unwrap().bar_write(2, at, Size::Dword, Size::Dword.cut(value));
                    m.card.lock().unwrap().bar_read(2, at, Size::Dword);
                }
                Abuse::Memory { at, bytes } => m.put(at, &bytes),
                Abuse::Descriptors { seed } => descriptors(&m, seed),
                Abuse::Frame { length, tagged } => {
                    let mut frame = frame(OWN, length);
                    if tagged {
                        frame[12..14].copy_from_slice(&[0x81, 0]);
                    } else {
                        frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
                    }
                    m.wire.inject(&frame);
                }
                Abuse::Link(up) => m.wire.set_link(up),
                Abuse::Time(nanos) => m.pass(Duration::from_nanos(nanos)),
                Abuse::Saved => {
                    let mut card = m.card.lock().unwrap();
                    let saved = card.save();
                    prop_assert!(card.restore(saved.clone()).is_ok());
                    prop_assert_eq!(card.save(), saved);
                }
                Abuse::Twisted { seed } => {
                    let mut card = m.card.lock().unwrap();
                    let mut state = serde_json::to_value(card.save()).unwrap();
                    Random::new(seed).twist(&mut state);
                    if !serde_json::from_value(state).is_ok_and(|state| card.restore(state).is_ok()) {
                        card.reset();
                    }
                }
                Abuse::Reset => m.write(CTRL, 1 << 26),
            }
            m.wire.sent();
        }
        m.card.lock().unwrap().reset();
        m.wire.set_link(true);
        m.pass(NEGOTIATION);
        m.card.lock().unwrap().core_mut().config_write(4, Size::Word, 7);
        m.start();
        m.write(RDT, 15);
        m.wire.sent();
        prop_assert!(m.wire.inject(&frame(OWN, 60)));
        prop_assert_eq!(m.read(0x4074), 1);
        let mut descriptor = [0; 16];
        (descriptor[1], descriptor[8], descriptor[11]) = (0x80, 60, 1);
        m.put(SEND_RING, &descriptor);
        m.write(TDT, 1);
        prop_assert_eq!(m.wire.sent().len(), 1);
    }
}
