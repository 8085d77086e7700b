//! Streams, from what drivers set up to the samples that come of it.

use super::*;

/// A jack that was told nothing, and samples that there were not.
const UNTOLD: [Told; 0] = [];
const NOTHING: [i32; 0] = [];

/// Bytes of `samples` of 16 bits.
fn words(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
    samples.into_iter().flat_map(i16::to_le_bytes).collect()
}

fn shape(rate: u32, channels: u8) -> Shape {
    Shape { rate, channels }
}

impl Machine {
    /// Asks for `frames` of two samples, and ends the turn.
    fn play(&mut self, frames: usize) -> Vec<i32> {
        let mut samples = vec![77; 2 * frames];
        let played = self.hda.play(Hda::LINE_OUT, &mut samples);
        self.hda.turn_done();
        assert!(samples[2 * played..].iter().all(|sample| *sample == 0), "what is late is silent");
        samples.truncate(2 * played);
        samples
    }

    fn record(&mut self, samples: &[i32]) -> usize {
        let recorded = self.hda.record(Hda::MICROPHONE, samples);
        self.hda.turn_done();
        recorded
    }
}

#[test]
fn every_width_round_the_end_of_the_list() {
    for (bits, bytes) in [(1, 2), (2, 4), (3, 4), (4, 4)] {
        let mut m = Machine::started();
        // Three buffers, of which none is a whole number of turns, in no order; samples count up.
        let sizes = [0x50, 0x28, 0x88];
        let places = [DATA + 0x1000, DATA, DATA + 0x2000];
        let total: u32 = sizes.iter().sum();
        let all: Vec<i32> = (0..total as i32 / bytes).map(|n| (n + 1) << 20).collect();
        let in_memory: Vec<u8> = all.iter().flat_map(|n| n.to_le_bytes()[4 - bytes as usize..].to_vec()).collect();
        let mut at = 0;
        for (place, size) in places.into_iter().zip(sizes) {
            m.put(place, &in_memory[at..at + size as usize]);
            at += size as usize;
        }
        let entries: Vec<_> = places.into_iter().zip(sizes).map(|(at, size)| (at, size, false)).collect();
        m.prepare(OUT, 0x0001 | bits << 4, &entries);
        assert_eq!(m.line_out.take(), UNTOLD);
        m.run(OUT);
        assert_eq!(m.line_out.take(), [Told::Start(shape(48_000, 2))]);
        let mut played = Vec::new();
        for turn in 1..40u32 {
            played.extend(m.play(7));
            let position = turn * 14 * bytes as u32 % total;
            assert_eq!(m.get(OUT + 4, Size::Dword), u64::from(position));
            assert_eq!((m.get(0x2104, Size::Dword), m.u32_at(POSITIONS + 8 * 4)), (u64::from(position), position));
        }
        assert!(played.iter().eq(all.iter().cycle().take(played.len())), "{bits}");
        // A turn of more than is moved at once.
        let long = m.play(3000);
        assert!(long.iter().eq(all.iter().cycle().skip(played.len() % all.len()).take(6000)));
    }
}

#[test]
fn capture() {
    let mut m = Machine::started();
    m.prepare(IN, 0x4031, &[(DATA, 0x40, true), (DATA + 0x100, 0x40, true)]);
    m.run(IN);
    assert_eq!(m.microphone.take(), [Told::Start(shape(44_100, 2))]);
    let samples: Vec<i32> = (1..=20).map(|n| n << 24).collect();
    assert_eq!(m.record(&samples), 10);
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!((m.bytes(DATA, 0x40), m.bytes(DATA + 0x100, 0x10)), (bytes[..0x40].to_vec(), bytes[0x40..].to_vec()));
    assert_eq!((m.get(IN + 4, Size::Dword), m.u32_at(POSITIONS)), (0x50, 0x50));
    assert_eq!((m.get(IN + 3, Size::Byte), m.bench.levels.take()), (0x24, vec![true]));
    assert_eq!(m.get(INTSTS, Size::Dword), 1 << 31 | 1);
    // Muted, it hears nothing.
    m.verb(4, 0x300, 0x4000 | 0x3000 | 0x80);
    assert_eq!(m.record(&samples[..6]), 3);
    assert_eq!(m.bytes(DATA + 0x110, 0x18), [0; 0x18]);
    m.byte(IN, 0);
    assert_eq!(m.microphone.take(), [Told::Stop]);
    assert_eq!(m.record(&samples), 0);
}

#[test]
fn channels() {
    let mut m = Machine::started();
    m.put(DATA, &words(1..=32));
    // Of four channels the converter has the third and the fourth.
    m.prepare(OUT, 0x13, &[(DATA, 64, false)]);
    m.verb(2, 0x706, 0x32);
    m.run(OUT);
    assert_eq!(m.line_out.take(), [Told::Start(shape(48_000, 2))]);
    assert_eq!(m.play(2), [3 << 16, 4 << 16, 7 << 16, 8 << 16]);
    // Of three, the third and none.
    m.byte(OUT, 0);
    m.word(OUT + 0x12, 0x12);
    m.run(OUT);
    assert_eq!(m.line_out.take(), [Told::Stop, Told::Start(shape(48_000, 1))]);
    // And beyond the last there is nothing to listen to.
    m.verb(2, 0x706, 0x33);
    assert_eq!(m.line_out.take(), [Told::Stop]);
    assert_eq!(m.play(2), NOTHING);
}

#[test]
fn volume() {
    let mut m = Machine::started();
    m.put(DATA, &words([0x4000; 32]));
    m.prepare(OUT, 0x11, &[(DATA, 64, false)]);
    m.run(OUT);
    assert_eq!(m.play(1), [1 << 30; 2]);
    m.verb(2, 0x300, 0x8000 | 0x2000 | 79);
    m.verb(2, 0x300, 0x8000 | 0x1000 | 0x80);
    let samples = m.play(1);
    assert!((samples[0] - (1 << 29)).abs() < 2_000_000 && samples[1] == 0, "{samples:?}");
    m.verb(2, 0x300, 0x8000 | 0x3000 | 87);
    m.verb(1, 0x705, 3);
    assert_eq!(m.play(1), [0; 2]);
    m.verb(1, 0x705, 0);
    assert_eq!(m.play(1), [1 << 30; 2]);
}

#[test]
fn who_is_listened_to() {
    let mut m = Machine::started();
    m.put(DATA, &words(1..=32));
    m.prepare(OUT, 0x11, &[(DATA, 64, false)]);
    m.verb(2, 0x706, 0);
    m.run(OUT);
    // Nobody listens: it stands.
    assert_eq!((m.line_out.take(), m.play(4)), (vec![], vec![]));
    assert_eq!(m.get(OUT + 4, Size::Dword), 0);
    m.verb(2, 0x706, 0x30);
    assert_eq!((m.line_out.take().len(), m.play(4).len()), (1, 8));
    // Streams have their numbers each direction by itself; and another stream may have the converter's.
    m.dword(OUT, 4 << 20 | 2);
    assert_eq!((m.line_out.take(), m.play(4)), (vec![Told::Stop], vec![]));
    m.dword(IN, 3 << 20 | 2);
    assert_eq!(m.line_out.take(), UNTOLD);
    m.dword(OUT + 0x60, 3 << 20);
    m.dword(OUT + 0x68, 64);
    m.word(OUT + 0x72, 0x4011);
    m.dword(OUT + 0x78, LIST as u32);
    m.byte(OUT + 0x60, 2);
    assert_eq!(m.line_out.take(), [Told::Start(shape(44_100, 2))]);
    assert_eq!(m.play(1), [1 << 16, 2 << 16]);
    assert_eq!(m.u32_at(POSITIONS + 8 * 7), 4);
    // There is no other stream.
    assert_eq!((m.hda.play(1, &mut [0; 4]), m.hda.record(0, &[0; 4])), (0, 0));
}

#[test]
fn streams_that_start_together() {
    for register in [0x34, 0x38] {
        let mut m = Machine::started();
        m.prepare(OUT, 0x11, &[(DATA, 64, false)]);
        m.dword(register, 0x10);
        m.run(OUT);
        // Ready, and held.
        assert_eq!(m.get(OUT + 3, Size::Byte), 0x20);
        assert_eq!((m.line_out.take(), m.play(4)), (vec![], vec![]));
        m.dword(register, 0);
        assert_eq!((m.line_out.take().len(), m.play(4).len()), (1, 8));
        m.dword(register, 0x10);
        assert_eq!(m.line_out.take(), [Told::Stop]);
    }
}

#[test]
fn interrupts() {
    let mut m = Machine::started();
    m.prepare(OUT, 0x11, &[(DATA, 0x40, true), (DATA, 0x40, false), (DATA, 0x40, true)]);
    m.run(OUT);
    m.bench.levels.take();
    m.play(15);
    assert_eq!((m.get(OUT + 3, Size::Byte), m.bench.levels.take()), (0x20, vec![]));
    m.play(1);
    assert_eq!((m.get(OUT + 3, Size::Byte), m.bench.levels.take()), (0x24, vec![true]));
    assert_eq!(m.get(INTSTS, Size::Dword), 1 << 31 | 0x10);
    m.byte(OUT + 3, 4);
    assert_eq!((m.get(INTSTS, Size::Dword), m.bench.levels.take()), (0, vec![false]));
    // One turn that completes several is one interrupt.
    m.play(32);
    assert_eq!(m.bench.levels.take(), [true]);
    // Each mask by itself.
    m.byte(OUT, 2);
    assert_eq!((m.get(INTSTS, Size::Dword), m.bench.levels.take()), (0x10, vec![false]));
    m.byte(OUT, 6);
    m.dword(INTCTL, 1 << 31);
    assert_eq!((m.get(INTSTS, Size::Dword), m.bench.levels.take()), (0x10, vec![true, false]));
    m.dword(INTCTL, 0x10);
    assert_eq!((m.get(INTSTS, Size::Dword), m.bench.levels.take()), (1 << 31 | 0x10, vec![]));
    m.dword(INTCTL, 1 << 31 | 0x10);
    assert_eq!(m.bench.levels.take(), [true]);
}

#[test]
fn a_late_guest_hears_nothing_old() {
    let mut m = Machine::started();
    m.prepare(OUT, 0x11, &[(DATA, 0x40, true), (DATA + 0x100, 0x40, true)]);
    m.run(OUT);
    m.put(DATA, &words(1..=32));
    // Two buffers are played, the third would be the first again.
    assert_eq!(m.play(100).len(), 64);
    assert_eq!(m.play(100), NOTHING);
    assert_eq!(m.get(OUT + 4, Size::Dword), 0);
    m.byte(OUT + 3, 4);
    assert_eq!(m.play(100).len(), 64);
    // Who polls is not waited for.
    m.dword(INTCTL, 1 << 31);
    assert_eq!(m.play(100).len(), 200);
    m.dword(INTCTL, 1 << 31 | 0x10);
    m.byte(OUT, 2);
    assert_eq!(m.play(100).len(), 200);
}

#[test]
fn a_turn_of_many_buffers_is_not_late() {
    let mut m = Machine::started();
    let entries: Vec<_> = (0..8).map(|i| (DATA + 0x200 * i, 0x200, true)).collect();
    m.prepare(OUT, 0x11, &entries);
    m.run(OUT);
    // 128 frames each, and turns of 480.
    for _ in 0..20 {
        assert_eq!(m.play(480).len(), 960);
        assert_eq!(m.get(OUT + 3, Size::Byte), 0x24);
        m.byte(OUT + 3, 4);
    }
    // Nor is one who looks at positions, and is told of the end alone, before half of it was played again.
    m.prepare(OUT, 0x11, &[(DATA, 0x200, false), (DATA + 0x200, 0x200, true)]);
    m.run(OUT);
    assert_eq!(m.play(1000).len(), 2 * (256 + 128));
}

#[test]
fn buffers_that_end_within_frames() {
    let mut m = Machine::started();
    m.put(DATA, &words(1..=64));
    // Whatever a late guest does, left stays left.
    m.prepare(OUT, 0x11, &[(DATA, 0x12, true), (DATA + 0x12, 0x13, true), (DATA + 0x25, 0x1b, true)]);
    m.run(OUT);
    let mut next = 0;
    for _ in 0..50 {
        let played = m.play(9);
        assert!(!played.is_empty());
        for sample in played {
            assert_eq!(sample >> 16, next % 32 + 1);
            next += 1;
        }
        m.byte(OUT + 3, 4);
    }
    assert!(next > 300);
}

#[test]
fn stop_go_and_reset() {
    let mut m = Machine::started();
    m.put(DATA, &words(1..=64));
    m.prepare(OUT, 0x11, &[(DATA, 0x40, true), (DATA + 0x40, 0x40, false)]);
    m.run(OUT);
    assert_eq!(m.play(20).len(), 40);
    m.byte(OUT, 0);
    assert_eq!(m.play(1), NOTHING);
    // On from where it was.
    m.byte(OUT, 2);
    assert_eq!(m.play(1), [41 << 16, 42 << 16]);
    m.byte(OUT, 1);
    assert_eq!(m.bench.levels.take().last(), Some(&false));
    assert_eq!(m.line_out.take().last(), Some(&Told::Stop));
    let registers: Vec<_> = (0..8).map(|i| m.get(OUT + 4 * i, Size::Dword)).collect();
    assert_eq!(registers, [1, 0, 0, 0, 0xbf, 0, 0, 0]);
    // In reset nothing is taken.
    m.dword(OUT + 8, 64);
    m.byte(OUT, 3);
    assert_eq!((m.get(OUT + 8, Size::Dword), m.get(OUT, Size::Byte)), (0, 1));
    // A new list begins at its beginning.
    m.prepare(OUT, 0x11, &[(DATA, 0x40, true), (DATA + 0x40, 0x40, false)]);
    m.run(OUT);
    m.play(3);
    m.byte(OUT, 0);
    m.dword(OUT + 0x18, LIST as u32);
    m.byte(OUT, 2);
    assert_eq!((m.get(OUT + 4, Size::Dword), m.play(1)), (0, vec![1 << 16, 2 << 16]));
}

#[test]
fn lists_that_lead_nowhere() {
    let nowhere = RAM as u64;
    for entries in [[(nowhere, 0x40, true), (DATA, 0x40, true)], [(u64::MAX - 8, 0x40, true), (DATA, 0x40, true)]] {
        let mut m = Machine::started();
        m.prepare(OUT, 0x11, &entries);
        m.run(OUT);
        m.line_out.take();
        m.bench.levels.take();
        assert_eq!(m.play(8), NOTHING);
        // It says what is wrong, has stopped, and interrupts.
        assert_eq!((m.get(OUT + 3, Size::Byte), m.get(OUT, Size::Byte)), (0x10, 0x1c));
        assert_eq!((m.line_out.take(), m.bench.levels.take()), (vec![Told::Stop], vec![true]));
    }
    // The list itself.
    let mut m = Machine::started();
    m.prepare(OUT, 0x11, &[(DATA, 0x40, true)]);
    m.dword(OUT + 0x1c, 1);
    m.run(OUT);
    assert_eq!((m.play(8), m.get(OUT + 3, Size::Byte)), (vec![], 0x10));
    // What came before the fault was heard.
    let mut m = Machine::started();
    m.prepare(OUT, 0x11, &[(DATA, 0x42, true), (nowhere, 0x40, true)]);
    m.run(OUT);
    assert_eq!(m.play(100).len(), 32);
    // A position buffer that is nowhere stops nothing.
    let mut m = Machine::started();
    m.dword(0x74, 7);
    m.prepare(OUT, 0x11, &[(DATA, 0x40, false)]);
    m.run(OUT);
    assert_eq!(m.play(100).len(), 200);
}

#[test]
fn lists_of_nothing() {
    // Buffers without a byte are passed over, and are completed; if there is nothing else, nothing is played.
    let mut m = Machine::started();
    m.put(DATA, &words(1..=64));
    m.prepare(OUT, 0x11, &[(DATA, 0, true), (DATA, 0x40, false), (DATA, 0, false)]);
    m.run(OUT);
    m.byte(OUT, 2);
    assert_eq!(m.play(33).len(), 66);
    assert_eq!(m.get(OUT + 3, Size::Byte), 0x24);
    m.list(&[(DATA, 0, true), (DATA, 0, false), (DATA, 0, false)]);
    m.play(33);
    assert_eq!(m.play(33), NOTHING);
    // The list was not read for ever, and the FIFO ran dry over it.
    assert_eq!(m.get(OUT + 3, Size::Byte), 0x2c);
    // Nor is a long turn an excuse to read it often: a byte in all 256 buffers.
    let mut entries = vec![(DATA, 0, false); 256];
    entries[77].1 = 1;
    m.prepare(OUT, 0x4f, &entries);
    m.dword(OUT + 8, 64);
    m.run(OUT);
    assert_eq!(m.play(20_000), NOTHING);
    assert_eq!(m.get(OUT + 3, Size::Byte), 0x28);
    // No list, no length, no format.
    for (register, value) in [(OUT + 0x18, 0), (OUT + 0x08, 0), (OUT + 0x10, 0x0001_0000)] {
        let mut m = Machine::started();
        m.prepare(OUT, 0x11, &[(DATA, 0x40, true)]);
        m.dword(register, value);
        m.run(OUT);
        assert_eq!(m.play(33), NOTHING, "{register:#x}");
        m.byte(OUT, 0);
        assert!(m.get(OUT + 4, Size::Dword) < 0x40);
    }
}
