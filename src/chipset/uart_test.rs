use std::sync::{Arc, Mutex};

use device::bench::{Bench, check_state};

use super::*;

const DATA: u16 = 0;
const IER: u16 = 1;
const IIR: u16 = 2;
const LCR: u16 = 3;
const MCR: u16 = 4;
const LSR: u16 = 5;
const MSR: u16 = 6;
const SCR: u16 = 7;

/// The other end: what it heard, and how often it was told to go on.
#[derive(Clone, Default)]
struct Terminal(Arc<Mutex<(Vec<u8>, u32)>>);

impl ByteSink for Terminal {
    fn byte(&mut self, byte: u8) {
        self.0.lock().unwrap().0.push(byte);
    }
    fn ready(&mut self) {
        self.0.lock().unwrap().1 += 1;
    }
}

struct Fixture {
    bench: Bench,
    terminal: Terminal,
    uart: Uart,
}

impl Fixture {
    fn new() -> Self {
        let (bench, terminal) = (Bench::new(0x1000), Terminal::default());
        let uart = Uart::new(bench.line.clone(), Box::new(terminal.clone()));
        Self { bench, terminal, uart }
    }

    fn read(&mut self, port: u16) -> u8 {
        self.uart.read(port, Size::Byte) as u8
    }

    fn write(&mut self, port: u16, value: u8) {
        self.uart.write(port, Size::Byte, value.into());
    }

    fn heard(&self) -> Vec<u8> {
        std::mem::take(&mut self.terminal.0.lock().unwrap().0)
    }
}

#[test]
fn is_recognised_as_16550a() {
    let mut f = Fixture::new();
    f.write(SCR, 0x5a);
    assert_eq!((f.read(SCR), f.read(LSR), f.read(MSR), f.read(IIR)), (0x5a, 0x60, 0xb0, 0x01));
    f.write(IIR, 0x01);
    assert_eq!(f.read(IIR), 0xc1);
    f.write(IER, 0xff);
    assert_eq!(f.read(IER), 0x0f);
    f.write(LCR, 0x83);
    f.uart.write(DATA, Size::Word, 0x0103);
    assert_eq!(f.uart.read(DATA, Size::Word) as u16, 0x0103);
    assert_eq!(f.read(LCR), 0x83);
}

#[test]
fn transmits_and_says_so_once() {
    let mut f = Fixture::new();
    f.write(MCR, 0x0b);
    f.write(DATA, b'a');
    f.write(IER, 0x02);
    assert_eq!(f.bench.levels.take(), [true]);
    assert_eq!((f.read(IIR), f.read(IIR)), (0x02, 0x01));
    f.write(DATA, b'b');
    assert_eq!(f.read(IIR), 0x02);
    assert_eq!(f.bench.levels.take(), [false, true, false]);
    f.write(IER, 0x02);
    assert_eq!(f.read(IIR), 0x01, "enabling again what is enabled raises nothing");
    f.write(IER, 0x00);
    f.write(IER, 0x02);
    assert_eq!(f.read(IIR), 0x02);
    assert_eq!(f.heard(), b"ab");
}

#[test]
fn interrupts_pass_the_gate_only() {
    let mut f = Fixture::new();
    f.write(IER, 0x02);
    assert!(f.bench.levels.take().is_empty());
    f.write(MCR, 0x08);
    assert_eq!(f.bench.levels.take(), [true]);
    f.write(MCR, 0x18);
    assert_eq!(f.bench.levels.take(), [false]);
}

#[test]
fn receives_with_flow_control() {
    let mut f = Fixture::new();
    f.write(MCR, 0x08);
    f.write(IER, 0x01);
    assert_eq!(f.uart.receive(b"xy"), 1, "without FIFO there is room for one");
    assert_eq!((f.read(LSR), f.read(IIR), f.read(DATA)), (0x61, 0x04, b'x'));
    assert_eq!(f.terminal.0.lock().unwrap().1, 1);
    assert_eq!(f.bench.levels.take(), [true, false]);

    f.write(IIR, 0x81);
    assert_eq!(f.uart.receive(b"abc"), 3);
    assert_eq!(f.read(IIR), 0xcc, "fewer than the trigger level time out");
    assert_eq!(f.uart.receive(&[0; 100]), 13);
    assert_eq!(f.read(IIR), 0xc4);
    assert_eq!(f.uart.receive(b"z"), 0);
    assert_eq!([f.read(DATA), f.read(DATA), f.read(DATA)], *b"abc");
    assert_eq!(f.terminal.0.lock().unwrap().1, 1);
    for _ in 0..13 {
        f.read(DATA);
    }
    assert_eq!(f.terminal.0.lock().unwrap().1, 2, "told once when empty");
    assert_eq!((f.read(DATA), f.read(LSR), f.read(IIR)), (0, 0x60, 0xc1));

    f.uart.receive(&[1; 100]);
    f.write(IIR, 0x83);
    assert_eq!((f.read(LSR), f.terminal.0.lock().unwrap().1), (0x60, 3));
    f.uart.receive(b"q");
    f.write(IIR, 0x00);
    assert_eq!(f.read(LSR), 0x60, "switching the FIFO empties it");
}

#[test]
fn loops_back() {
    let mut f = Fixture::new();
    f.read(MSR);
    f.write(MCR, 0x1a);
    assert_eq!(f.read(MSR) & 0xf0, 0x90, "RTS is CTS, OUT2 is DCD");
    f.write(MCR, 0x14);
    assert_eq!(f.read(MSR), 0x49);
    f.write(MCR, 0x10);
    assert_eq!(f.read(MSR), 0x04, "the ring's end counts");
    f.write(IER, 0x05);
    f.write(DATA, 0x55);
    assert_eq!(f.uart.receive(b"n"), 0);
    f.write(DATA, 0x66);
    assert_eq!((f.read(IIR), f.read(LSR), f.read(IIR), f.read(DATA)), (0x06, 0x63, 0x04, 0x66));
    assert!(f.heard().is_empty());
    f.write(IIR, 0x01);
    for byte in 0..20 {
        f.write(DATA, byte);
    }
    assert_eq!(f.read(LSR), 0x63);
    assert_eq!((0..17).map(|_| f.read(DATA)).collect::<Vec<_>>(), [&(0..16).collect::<Vec<u8>>()[..], &[0]].concat());
}

#[test]
fn survives_anything() {
    let mut f = Fixture::new();
    for round in 0..0x4000u32 {
        let (port, size) = ((round % 10) as u16, [Size::Byte, Size::Word, Size::Dword][round as usize % 3]);
        f.uart.write(port, size, round.wrapping_mul(0x9e37_79b9));
        f.uart.read(port.wrapping_mul(7), size);
        f.uart.receive(&round.to_le_bytes());
        let saved = f.uart.save();
        f.uart.restore(saved).unwrap();
    }
    f.uart.write(0xffff, Size::Dword, 0);
    f.uart.reset();
    assert_eq!((f.read(LSR), f.read(IIR)), (0x60, 0x01));
}

#[test]
fn state() {
    let mut f = Fixture::new();
    for (port, value) in [(IIR, 0xc1), (MCR, 0x0b), (IER, 0x03), (SCR, 7), (LCR, 3)] {
        f.write(port, value);
    }
    f.uart.receive(&[9; 20]);
    f.read(IIR);
    check_state(&mut f.uart, |uart| {
        uart.reset();
        uart.write(IER, Size::Byte, 2);
    });
    assert!(f.bench.line.is_high());
    let saved = serde_json::to_value(f.uart.save()).unwrap();
    for (field, value) in [
        ("received", vec![0; 17].into()),
        ("enable", 0x10.into()),
        ("fifo_control", 0x02.into()),
        ("modem_control", 0x20.into()),
        ("line_status", 0x01.into()),
    ] {
        let mut state = saved.clone();
        state[field] = value;
        assert!(f.uart.restore(serde_json::from_value(state).unwrap()).is_err(), "{field}");
    }
}
