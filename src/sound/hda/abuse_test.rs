//! A guest that means harm.

use device::bench::Random;

use super::*;

/// Registers that lead further than others.
const DOORS: [u64; 14] =
    [0x08, 0x20, 0x48, 0x4a, 0x4c, 0x5c, 0x34, 0x70, OUT, OUT + 8, OUT + 0x0c, OUT + 0x10, OUT + 0x18, IN];

/// Random accesses, lists, commands and turns; how many frames were played, and recorded.
fn noise(m: &mut Machine, random: &mut Random, steps: usize) -> (usize, usize) {
    let (mut played, mut recorded) = (0, 0);
    for _ in 0..steps {
        match random.below(12) {
            0 => {
                let offset = random.below(BAR_SIZE);
                m.hda.bar_write(0, offset, random.size(), random.value());
            }
            1 => {
                m.hda.bar_read(0, random.below(BAR_SIZE), random.size());
            }
            2 => {
                let offset = random.pick(&DOORS) + random.below(4);
                m.hda.bar_write(0, offset, random.size(), random.value());
            }
            3 => {
                let entry = [random.value(), random.near(20) | random.below(4) << 32];
                let at = LIST + 16 * random.below(8);
                m.put(at, &entry.map(u64::to_le_bytes).concat());
            }
            4 => {
                let at = LIST + 16 * random.below(8);
                let entry = [DATA + random.below(0x3_0000), random.near(10) | random.below(4) << 32];
                m.put(at, &entry.map(u64::to_le_bytes).concat());
            }
            5 => {
                let command = random.below(6) << 20 | random.pick(&[0x7_0000, 0xf_0000, 0x2_0000, 0x3_0000, 0xa_0000]);
                m.dword(0x60, (command | random.below(0x1_0000)) as u32);
                m.byte(0x68, 1);
            }
            6 => m.byte(OUT + 2, 0x30),
            7 => m.byte(random.pick(&[OUT, IN]), random.pick(&[0, 2, 0x1e, 1])),
            8 if random.once_in(20) => m.hda.reset(),
            8 if random.once_in(4) => {
                m.hda.config_write(4, Size::Word, 6);
                m.dword(CONTROL, 1);
                for stream in [OUT, IN] {
                    let format = random.pick(&[0x11, 0x4031, 0x1f, 0x10, 0x42]);
                    m.dword(stream, 3 << 20);
                    m.dword(stream + 0x08, random.near(14) as u32);
                    m.word(stream + 0x12, format);
                    m.word(stream + 0x0c, random.below(8) as u16);
                    m.dword(stream + 0x18, LIST as u32);
                    m.dword(stream + 0x1c, 0);
                    m.byte(stream, 0x1e);
                }
                m.dword(0x34, 0);
                m.dword(0x60, 0x0027_0630);
                m.byte(0x68, 1);
                m.dword(0x60, 0x0047_0630);
                m.byte(0x68, 1);
            }
            8 => m.byte(0x48, random.next() as u8),
            9 => {
                let mut samples = vec![1; random.below(600) as usize];
                let frames = m.hda.play(random.below(2) as u32, &mut samples);
                assert!(frames <= samples.len());
                played += frames;
            }
            10 => {
                let samples = vec![1; random.below(600) as usize];
                let frames = m.hda.record(random.below(2) as u32, &samples);
                assert!(frames <= samples.len());
                recorded += frames;
            }
            _ => m.hda.turn_done(),
        }
    }
    (played, recorded)
}

#[test]
fn noise_is_survived() {
    let (mut played, mut recorded) = (0, 0);
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut m = Machine::started();
        for _ in 0..30 {
            let (more_played, more_recorded) = noise(&mut m, &mut random, 50);
            played += more_played;
            recorded += more_recorded;
            // Its state is one that it takes.
            let saved = m.hda.save();
            m.hda.restore(saved.clone()).expect("what a guest brought about is possible");
            assert_eq!(m.hda.save(), saved);
        }
        // And after a reset it works.
        m.hda.reset();
        m.hda.config_write(4, Size::Word, 6);
        m.dword(CONTROL, 1);
        m.dword(0x60, 0xf_0004);
        m.byte(0x68, 1);
        assert_eq!(m.get(0x64, Size::Dword), 0x1_0001);
    }
    assert!(played > 10_000 && recorded > 10_000, "the noise got nowhere: {played} {recorded}");
}

#[test]
fn twisted_states_are_refused_or_survived() {
    let mut random = Random::new(7);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..400 {
        let mut m = Machine::started();
        m.prepare(OUT, 0x11, &[(DATA, 0x100, true), (DATA, 0x100, false)]);
        m.run(OUT);
        m.hda.play(0, &mut [0; 0x60]);
        let mut saved = serde_json::to_value(m.hda.save()).unwrap();
        for _ in 0..=random.below(3) {
            random.twist(&mut saved);
        }
        match serde_json::from_value(saved).map(|saved| m.hda.restore(saved)) {
            Ok(Ok(())) => taken += 1,
            _ => {
                refused += 1;
                m.hda.reset();
            }
        }
        noise(&mut m, &mut random, 60);
    }
    assert!(refused > 50 && taken > 50, "{refused} refused, {taken} taken");
}
