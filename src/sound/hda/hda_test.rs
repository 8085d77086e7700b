use std::time::Duration;

use device::bench::{Bench, check_state};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::bench::{Recorder, Told};
use crate::{Pcm, Shape};

#[path = "stream_test.rs"]
mod streams;

#[path = "abuse_test.rs"]
mod abuse;

const COMMANDS: u64 = 0x1000;
const RESPONSES: u64 = 0x1800;
const POSITIONS: u64 = 0x2000;
const LIST: u64 = 0x3000;
const DATA: u64 = 0x1_0000;
const RAM: usize = 0x4_0000;

const CONTROL: u64 = 0x08;
const INTCTL: u64 = 0x20;
const INTSTS: u64 = 0x24;
/// The first output's registers.
const OUT: u64 = 0x100;
/// The first input's.
const IN: u64 = 0x80;

/// A machine with the controller, and a small driver for it.
struct Machine {
    bench: Bench,
    hda: Hda,
    line_out: Arc<Recorder>,
    microphone: Arc<Recorder>,
}

impl Machine {
    fn new() -> Self {
        let bench = Bench::new(RAM);
        let (line_out, microphone) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
        let mut hda = Hda::new(line_out.clone(), microphone.clone(), bench.clock.clone(), bench.dma(), bench.msi());
        hda.core_mut().connect_intx(bench.line.share());
        hda.config_write(4, Size::Word, 6);
        Self { bench, hda, line_out, microphone }
    }

    /// Out of reset, with rings, positions and interrupts, as drivers leave it.
    fn started() -> Self {
        let mut m = Self::new();
        m.word(0x0e, 0x7fff);
        m.dword(CONTROL, 0);
        m.dword(CONTROL, 1);
        assert_eq!(m.get(0x0e, Size::Word), 1);
        m.word(0x0e, 0x7fff);
        m.dword(INTCTL, 0xc000_0000);
        m.dword(0x40, COMMANDS as u32);
        m.byte(0x4e, 2);
        m.word(0x48, 0);
        m.word(0x4a, 0x8000);
        assert_eq!(m.get(0x4a, Size::Word), 0x8000);
        m.word(0x4a, 0);
        assert_eq!(m.get(0x4a, Size::Word), 0);
        m.byte(0x4c, 2);
        m.dword(0x50, RESPONSES as u32);
        m.byte(0x5e, 2);
        m.word(0x58, 0x8000);
        m.word(0x5a, 1);
        m.byte(0x5c, 3);
        m.dword(0x70, POSITIONS as u32 | 1);
        m
    }

    fn get(&mut self, offset: u64, size: Size) -> u64 {
        self.hda.bar_read(0, offset, size)
    }
    fn byte(&mut self, offset: u64, value: u8) {
        self.hda.bar_write(0, offset, Size::Byte, value.into());
    }
    fn word(&mut self, offset: u64, value: u16) {
        self.hda.bar_write(0, offset, Size::Word, value.into());
    }
    fn dword(&mut self, offset: u64, value: u32) {
        self.hda.bar_write(0, offset, Size::Dword, value.into());
    }
    fn put(&self, at: u64, bytes: &[u8]) {
        self.bench.ram.write_slice(bytes, GuestAddress(at)).unwrap();
    }
    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }
    fn u32_at(&self, at: u64) -> u32 {
        self.bench.ram.read_obj(GuestAddress(at)).unwrap()
    }

    /// Puts commands into the ring, rings, and gives the responses.
    fn commands(&mut self, commands: &[u32]) -> Vec<u32> {
        let before = self.get(0x58, Size::Word) as u8;
        let mut write = self.get(0x48, Size::Word) as u8;
        for command in commands {
            write = write.wrapping_add(1);
            self.put(COMMANDS + 4 * u64::from(write), &command.to_le_bytes());
        }
        self.word(0x48, write.into());
        let after = self.get(0x58, Size::Word) as u8;
        let at = |i: u8| RESPONSES + 8 * u64::from(before.wrapping_add(i));
        (1..=after.wrapping_sub(before)).map(|i| self.u32_at(at(i))).collect()
    }

    fn verb(&mut self, node: u32, verb: u32, payload: u32) -> u32 {
        self.commands(&[node << 20 | verb << 8 | payload])[0]
    }

    /// A list of buffers: address, bytes, interrupt.
    fn list(&self, entries: &[(u64, u32, bool)]) {
        for (i, (at, bytes, interrupt)) in entries.iter().enumerate() {
            let mut entry = at.to_le_bytes().to_vec();
            entry.extend(bytes.to_le_bytes());
            entry.extend(u32::from(*interrupt).to_le_bytes());
            self.put(LIST + 16 * i as u64, &entry);
        }
    }

    /// Sets up a stream with tag 3 as drivers do, with the list at its place, and its converter.
    fn prepare(&mut self, stream: u64, format: u16, entries: &[(u64, u32, bool)]) {
        self.list(entries);
        let bytes = entries.iter().map(|(_, bytes, _)| bytes).sum();
        self.byte(stream, 1);
        assert_eq!(self.get(stream, Size::Byte), 1);
        self.byte(stream, 0);
        assert_eq!(self.get(stream, Size::Byte), 0);
        self.dword(stream, 3 << 20);
        self.dword(stream + 0x08, bytes);
        self.word(stream + 0x12, format);
        self.word(stream + 0x0c, entries.len() as u16 - 1);
        self.dword(stream + 0x18, LIST as u32);
        self.dword(stream + 0x1c, 0);
        let node = if stream >= OUT { 2 } else { 4 };
        self.verb(node, 0x706, 0x30);
        self.verb(node, 0x200, format.into());
        self.byte(0x5d, 5);
        self.bench.levels.take();
    }

    /// Lets a stream run, with its interrupts.
    fn run(&mut self, stream: u64) {
        let bit = 1 << ((stream - 0x80) / 0x20);
        let control = self.get(INTCTL, Size::Dword) as u32;
        self.dword(INTCTL, control | bit);
        self.byte(stream, 0x1e);
    }
}

#[test]
fn what_drivers_look_for() {
    let mut m = Machine::new();
    assert_eq!(m.hda.config_read(0, Size::Dword), 0x293e_8086);
    assert_eq!(m.hda.config_read(8, Size::Dword), 0x0403_0003);
    // MSI stands clear of the traffic class, which drivers write.
    assert_eq!((m.hda.config_read(0x34, Size::Byte), m.hda.config_read(0x60, Size::Byte)), (0x60, 5));
    m.hda.config_write(0x44, Size::Byte, 0xff);
    assert_eq!(m.hda.config_read(0x44, Size::Byte), 7);
    assert_eq!(m.get(0, Size::Dword), 0x0100_4401);
    assert_eq!(m.get(0x04, Size::Dword), 0x001d_003c);
    assert_eq!(m.get(0x18, Size::Dword), 0x0018_0030);
    assert_eq!((m.get(0x4e, Size::Byte), m.get(0x5e, Size::Byte)), (0x42, 0x42));
    assert_eq!((m.get(0x90, Size::Word), m.get(0x110, Size::Word)), (0x77, 0xbf));
}

#[test]
fn reset_and_wake() {
    let mut m = Machine::new();
    // In reset there is nothing to be had but the way out.
    m.dword(INTCTL, 0xffff_ffff);
    m.dword(OUT + 0x08, 99);
    assert_eq!((m.get(INTCTL, Size::Dword), m.get(OUT + 0x08, Size::Dword)), (0, 0));
    assert_eq!((m.get(0x0e, Size::Word), m.get(CONTROL, Size::Dword)), (0, 0));
    m.word(0x0c, 1);
    m.byte(CONTROL, 1);
    assert_eq!((m.get(0x0e, Size::Word), m.get(CONTROL, Size::Dword)), (1, 1));
    // The codec that came up may wake, and interrupt when that is wanted.
    assert_eq!(m.get(INTSTS, Size::Dword), 1 << 30);
    m.dword(INTCTL, 1 << 30);
    assert_eq!((m.get(INTSTS, Size::Dword), m.bench.levels.take()), (3 << 30, vec![]));
    m.dword(INTCTL, 3 << 30);
    assert_eq!(m.bench.levels.take(), [true]);
    m.dword(OUT + 0x08, 99);
    m.dword(CONTROL, 0x101);
    assert_eq!(m.get(CONTROL, Size::Dword), 0x101);
    m.dword(CONTROL, 0);
    assert_eq!(m.bench.levels.take(), [false]);
    assert_eq!((m.get(INTCTL, Size::Dword), m.get(OUT + 0x08, Size::Dword)), (0, 0));
    assert_eq!((m.get(0x0c, Size::Word), m.get(0x0e, Size::Word)), (1, 1));
    m.byte(0x0e, 1);
    assert_eq!(m.get(0x0e, Size::Word), 0);
}

#[test]
fn flush_and_wall_clock() {
    let mut m = Machine::started();
    m.dword(CONTROL, 3);
    assert_eq!((m.get(CONTROL, Size::Dword), m.get(0x10, Size::Word)), (1, 2));
    m.word(0x10, 2);
    assert_eq!(m.get(0x10, Size::Word), 0);
    m.bench.clock.advance(Duration::from_millis(1));
    assert_eq!((m.get(0x30, Size::Dword), m.get(0x2030, Size::Dword)), (24_000, 24_000));
    m.dword(CONTROL, 0);
    assert_eq!(m.get(0x30, Size::Dword), 0);
    m.dword(CONTROL, 1);
    assert_eq!(m.get(0x30, Size::Dword), 0);
    // 32 bits are three minutes.
    m.bench.clock.advance(Duration::from_secs(200));
    assert_eq!(m.get(0x30, Size::Dword), 200 * 24_000_000 - (1 << 32));
}

#[test]
fn commands_and_responses() {
    let mut m = Machine::started();
    let vendor = m.verb(0, 0xf00, 0);
    assert_eq!(vendor >> 16, 0x1af4);
    // Told by an interrupt, which is answered.
    assert_eq!((m.get(0x5d, Size::Byte), m.bench.levels.take()), (1, vec![true]));
    assert_eq!(m.get(INTSTS, Size::Dword), 3 << 30);
    m.byte(0x5d, 5);
    assert_eq!((m.get(INTSTS, Size::Dword), m.bench.levels.take()), (0, vec![false]));
    // Many at once, round the end of the rings, with a count that is never reached.
    m.word(0x5a, 200);
    for _ in 0..3 {
        let responses = m.commands(&[0xf0004; 100]);
        assert_eq!(responses, [0x1_0001; 100]);
        assert_eq!(m.bench.levels.take(), [true]);
        m.byte(0x5d, 1);
        m.bench.levels.take();
    }
    // For a codec that is not there nobody answers.
    assert_eq!(m.commands(&[1 << 28 | 0xf0004]), [] as [u32; 0]);
    assert!(m.bench.levels.take().is_empty());
    // Without the interrupt its flag is there to be polled.
    m.byte(0x5c, 2);
    m.verb(0, 0xf00, 0);
    assert_eq!((m.get(0x5d, Size::Byte), m.get(INTSTS, Size::Dword)), (1, 0));
    // Stopped, the ring waits; started, it goes on.
    m.byte(0x4c, 0);
    assert_eq!(m.commands(&[0xf0004]), [] as [u32; 0]);
    let before = m.get(0x58, Size::Word);
    m.byte(0x4c, 2);
    assert_eq!(m.get(0x58, Size::Word), (before + 1) & 0xff);
    assert_eq!(m.get(0x48, Size::Word), m.get(0x4a, Size::Word));
}

#[test]
fn rings_that_are_nowhere() {
    let mut m = Machine::started();
    m.byte(0x4c, 3);
    m.dword(0x44, 1);
    m.word(0x48, 5);
    // The engine stops at the command that it could not fetch, and says so.
    assert_eq!((m.get(0x4c, Size::Dword), m.get(0x4a, Size::Word)), (0x0042_0101, 1));
    assert_eq!(m.bench.levels.take(), [true]);
    m.byte(0x4d, 1);
    assert_eq!(m.bench.levels.take(), [false]);
    let mut m = Machine::started();
    m.dword(0x54, 1);
    m.byte(0x5c, 7);
    m.word(0x48, 5);
    assert_eq!((m.get(0x5d, Size::Byte), m.get(0x58, Size::Word)), (4, 0));
    assert_eq!(m.bench.levels.take(), [true]);
    // Nor does anything move while the function may not.
    let mut m = Machine::started();
    m.hda.config_write(4, Size::Word, 2);
    m.word(0x48, 5);
    assert_eq!(m.get(0x4d, Size::Byte), 1);
}

#[test]
fn one_command_at_a_time() {
    let mut m = Machine::new();
    m.dword(CONTROL, 1);
    m.dword(0x60, 0x000f_0004);
    m.word(0x68, 1);
    assert_eq!((m.get(0x68, Size::Word), m.get(0x64, Size::Dword)), (2, 0x1_0001));
    m.dword(0x60, 0x1000_0000 | 0xf_0004);
    m.word(0x68, 3);
    assert_eq!(m.get(0x68, Size::Word), 0);
}

#[test]
fn messages() {
    let mut m = Machine::started();
    m.hda.config_write(0x64, Size::Dword, 0xfee0_0000);
    m.hda.config_write(0x6c, Size::Word, 0x41);
    m.hda.config_write(0x62, Size::Word, 1);
    m.prepare(OUT, 0x11, &[(DATA, 0x100, true), (DATA, 0x100, true)]);
    m.bench.messages.take();
    m.run(OUT);
    m.verb(0, 0xf00, 0);
    assert_eq!(m.bench.messages.take().len(), 1);
    // A second cause while the first stands is news too.
    m.hda.play(0, &mut [0; 0x80]);
    m.hda.turn_done();
    assert_eq!(m.bench.messages.take().len(), 1);
    // And when one is answered, the other is said again; not for zeroes that go past it.
    m.dword(OUT, 3 << 20 | 0x1e);
    assert!(m.bench.messages.take().is_empty());
    m.byte(0x5d, 1);
    assert_eq!(m.bench.messages.take(), [(0xfee0_0000, 0x41)]);
    m.byte(OUT + 3, 0x1c);
    assert_eq!((m.bench.messages.take(), m.bench.levels.take()), (vec![], vec![]));
}

#[test]
fn state() {
    let mut m = Machine::started();
    m.prepare(OUT, 0x11, &[(DATA, 0x100, true), (DATA, 0x100, false)]);
    m.run(OUT);
    m.hda.play(0, &mut [0; 0x60]);
    m.hda.turn_done();
    m.line_out.take();
    check_state(&mut m.hda, |hda| {
        hda.reset();
        hda.config_write(4, Size::Word, 6);
    });
    // What ran, runs.
    let shape = Shape { rate: 48_000, channels: 2 };
    assert_eq!(m.line_out.take(), [Told::Stop, Told::Start(shape)]);
    check_state(&mut m.hda, |hda| {
        hda.play(0, &mut [0; 0x60]);
    });
    assert_eq!(m.line_out.take(), [Told::Stop, Told::Start(shape)]);
    m.hda.play(0, &mut [0; 2]);
    assert_eq!(m.get(OUT + 4, Size::Dword), 0x60 * 2 + 4);
    // A guest may say that its buffer ends before where it is.
    m.byte(OUT, 0);
    m.dword(OUT + 8, 0x40);
    check_state(&mut m.hda, |hda| hda.bar_write(0, OUT + 8, Size::Dword, 0x80));
    m.run(OUT);
    m.hda.play(0, &mut [0; 2]);
    assert_eq!(m.get(OUT + 4, Size::Dword), (0x60 * 2 + 8) % 0x40);
}

#[test]
fn a_reset_silences() {
    let mut m = Machine::started();
    m.prepare(OUT, 0x11, &[(DATA, 0x100, true)]);
    m.prepare(IN, 0x11, &[(DATA, 0x100, true)]);
    m.run(OUT);
    m.run(IN);
    m.line_out.take();
    m.microphone.take();
    m.byte(CONTROL, 0);
    assert_eq!((m.line_out.take(), m.microphone.take()), (vec![Told::Stop], vec![Told::Stop]));
    assert_eq!((m.hda.play(0, &mut [0; 8]), m.hda.record(1, &[0; 8])), (0, 0));
    m.hda.turn_done();
    assert!(m.bench.levels.take().is_empty());
    // Another reset has nothing more to say.
    m.hda.reset();
    assert!(m.line_out.take().is_empty());
}
