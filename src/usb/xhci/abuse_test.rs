//! A guest that means harm.

use device::bench::Random;
use proptest::prelude::*;

use super::*;

/// Registers that lead further than others.
const DOORS: [u64; 16] = [
    COMMAND,
    STATUS,
    0x58,
    0x5c,
    0x70,
    0x78,
    PORT,
    PORT + 4,
    PORT + 0x80,
    RUNTIME + 0x20,
    RUNTIME + 0x24,
    RUNTIME + 0x28,
    RUNTIME + 0x30,
    RUNTIME + 0x38,
    DOORBELL,
    DOORBELL + 4,
];

fn address(random: &mut Random) -> u64 {
    let places =
        [COMMANDS, EVENTS, TABLE, INPUT, CONTEXTS, DEVICE, DATA, ring_of(1), ring_of(3), ring_of(4), ring_of(7)];
    match random.below(10) {
        0 => random.value(),
        1 => (RAM as u64).wrapping_sub(random.below(64)),
        _ => random.pick(&places) + 16 * random.below(8),
    }
}

/// Something that stands on a ring, right more often than not.
fn trb(random: &mut Random) -> (u64, u32, u32) {
    let kinds = [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 12, 13, 14, 15, 16, 16, 17, 21, 23, 33, 63];
    let kind = random.pick(&kinds) << 10;
    let slot = random.pick(&[1, 1, 1, 2, 3, 0, 65]) << 24;
    let endpoint = random.pick(&[1, 3, 4, 7, 0, 31]) << 16;
    let flags = random.pick(&[1, 1, 1 | 1 << 4, 1 | 1 << 5, 1 | 1 << 6, 1 | 1 << 1, 0, 0x3ff]);
    let parameter = if random.once_in(8) { u64::from_le_bytes(DESCRIPTOR) } else { address(random) | random.below(4) };
    let status =
        if random.once_in(4) { random.value() as u32 } else { random.pick(&[8, 18, 64, 0x1_0000, 0, 1 << 22]) };
    (parameter, status, kind | slot | endpoint | flags)
}

fn noise(m: &mut Machine, testers: &[Shared], random: &mut Random, steps: usize) {
    for _ in 0..steps {
        match random.below(16) {
            0 => m.xhci().bar_write(0, random.below(BAR_SIZE), random.size(), random.value()),
            1 => drop(m.xhci().bar_read(0, random.below(BAR_SIZE + 8), random.size())),
            2 => {
                let at = random.pick(&DOORS) + 4 * random.below(2);
                m.xhci().bar_write(0, at, random.pick(&[Size::Dword, Size::Qword]), random.value());
            }
            3..=5 => {
                let places = [COMMANDS, ring_of(1), ring_of(3), ring_of(4), ring_of(7)];
                let at = random.pick(&places) + 16 * random.below(16);
                let (parameter, status, control) = trb(random);
                m.put_trb(at, parameter, status, control);
            }
            6 => m.put_words(
                random.pick(&[INPUT, DEVICE, TABLE, CONTEXTS]) + 4 * random.below(64),
                &[random.value() as u32],
            ),
            7 => {
                m.put(random.pick(&[TABLE, CONTEXTS, ring_of(4)]) + 8 * random.below(8), &address(random).to_le_bytes())
            }
            8 => {
                let port = 1 + random.below(16) as u8;
                m.input(port, random.pick(&[0, 0, 3, 0x33]));
                m.put_words(INPUT, &[random.below(4) as u32 * 8, random.pick(&[3, 0x99, 1, 0x19])]);
                let kinds = [2, 6, 7, 5, 1, 4];
                for number in [3u64, 4, 7] {
                    let words = [random.pick(&[0, 0, 2 << 10 | 1 << 15]), 8 << 16 | random.pick(&kinds) << 3];
                    m.put_words(INPUT + 0x20 * (number + 1), &words);
                    m.put_words(INPUT + 0x20 * (number + 1) + 8, &[(address(random) | 1) as u32]);
                }
            }
            9 => m.write(DOORBELL, 0),
            10 | 11 => {
                m.write(DOORBELL + 4 * (1 + random.below(3)), random.pick(&[1, 3, 4, 7, 4 | 1 << 16, 0xffff_001f]))
            }
            12 => {
                let tester = random.pick(&[0, 1]);
                testers[tester].with(|tester| {
                    let fault =
                        random.pick(&[None, None, Some(Fault::Stall), Some(Fault::Missed), Some(Fault::Babble)]);
                    let completion = Completion { length: random.value(), fault };
                    match tester.waiting.pop() {
                        Some(transfer) => tester.done.push((transfer.id, completion)),
                        None => tester.done.push((TransferId(random.below(40)), completion)),
                    }
                });
                m.xhci().woken(random.below(18) as u8);
            }
            13 if random.once_in(4) => {
                let tester = testers[random.below(2) as usize].clone();
                let behind = random.once_in(2).then(|| random.below(6) as u8);
                let place = Place { port: random.below(if behind.is_some() { 3 } else { 18 }) as u8, behind };
                let out = m.xhci().detach(place);
                if out.is_none() || random.once_in(2) {
                    let _ = m.xhci().attach(Box::new(tester), Some(place));
                }
            }
            14 => {
                m.bench.clock.advance(Duration::from_micros(random.below(2000)));
                m.bench.timers.run_due();
            }
            15 if random.once_in(20) => m.xhci().reset(),
            15 if random.once_in(3) => bring_up(m, testers),
            _ => drop(m.events()),
        }
    }
}

/// The controller anew, with two devices, one of them addressed and configured, and a hub with nothing in it yet.
fn bring_up(m: &mut Machine, testers: &[Shared]) {
    m.xhci().config_write(4, Size::Word, 6);
    for port in 1..=16 {
        m.xhci().detach(port.into());
    }
    m.set_up();
    let port = m.plug(Hub(testers[0].clone(), testers[1].clone()));
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0), (4, BULK_OUT, 2), (7, BULK_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    let port = m.plug(crate::devices::hub::Hub::new());
    let hub = m.address(port, 0);
    assert_eq!(m.request(hub, [0, 9, 1, 0, 0, 0, 0, 0], 0), [(1, 0)]);
    for port in 1..=4 {
        assert_eq!(m.request(hub, [0x23, 3, 8, 0, port, 0, 0, 0], 0), [(1, 0)]);
    }
}

/// A machine that is busy, and its devices.
fn busy() -> (Machine, [Shared; 2]) {
    let mut m = Machine::started();
    let testers = [Shared::new(Speed::High), Shared::new(Speed::Super)];
    bring_up(&mut m, &testers);
    (m, testers)
}

#[test]
fn noise_is_survived() {
    let mut seen = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut m, testers) = busy();
        for _ in 0..20 {
            noise(&mut m, &testers, &mut random, 50);
            // Its state is one that it takes, with the same devices.
            let mut xhci = m.xhci();
            let saved = xhci.save();
            for tester in &testers {
                tester.with(|tester| tester.done.clear());
            }
            xhci.restore(saved.clone()).expect("what a guest brought about is possible");
            assert_eq!(serde_json::to_value(xhci.save()).unwrap(), serde_json::to_value(saved).unwrap());
        }
        seen += testers.iter().map(|tester| tester.with(|tester| tester.seen.len())).sum::<usize>();
        // And after a reset it works.
        m.xhci().reset();
        for port in 1..=16 {
            m.xhci().detach(port.into());
        }
        m.xhci().config_write(4, Size::Word, 6);
        m.set_up();
        let port = m.plug(testers[0].clone());
        let slot = m.address(port, 0);
        assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    }
    assert!(seen > 1000, "the noise got nowhere: {seen}");
}

#[test]
fn twisted_states_are_refused_or_survived() {
    let mut random = Random::new(7);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..300 {
        let (mut m, testers) = busy();
        let mut saved = serde_json::to_value(m.xhci().save()).unwrap();
        for _ in 0..=random.below(3) {
            random.twist(&mut saved);
        }
        let restored = serde_json::from_value(saved).map(|saved| m.xhci().restore(saved));
        match restored {
            Ok(Ok(())) => taken += 1,
            _ => {
                refused += 1;
                m.xhci().reset();
            }
        }
        noise(&mut m, &testers, &mut random, 60);
    }
    assert!(refused > 30 && taken > 30, "{refused} refused, {taken} taken");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever stands in RAM: one doorbell ends, and soon.
    #[test]
    fn any_ram_is_survived(ram in prop::collection::vec(any::<u32>(), 512), at in 0u64..8, bells in prop::collection::vec(any::<u32>(), 8)) {
        let (m, _) = busy();
        for place in [COMMANDS, INPUT, TABLE + 0x100, DEVICE, ring_of(1), ring_of(3), ring_of(4), ring_of(7)] {
            m.put_words(place + 4 * at, &ram);
        }
        let began = std::time::Instant::now();
        for (number, bell) in bells.iter().enumerate() {
            m.write(DOORBELL + 4 * (number as u64 % 3), *bell);
            m.write(DOORBELL + 4, bell % 32);
        }
        prop_assert!(began.elapsed() < Duration::from_secs(5));
    }
}
