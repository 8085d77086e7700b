use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use device::LineSink;
use device::bench::{Bench, check_state};

use super::*;

const A: u16 = 30;
const LEFT_SHIFT: u16 = 42;
const RIGHT: u16 = 106;

/// Counts rising edges.
struct Edges(Arc<AtomicU32>);
impl LineSink for Edges {
    fn set_level(&self, high: bool) {
        self.0.fetch_add(high.into(), Ordering::Relaxed);
    }
}

struct Fixture {
    bench: Bench,
    keyboard_irqs: Arc<AtomicU32>,
    mouse_irqs: Arc<AtomicU32>,
    resets: Arc<AtomicU32>,
    device: Arc<Mutex<I8042>>,
}

impl Fixture {
    fn new() -> Self {
        let bench = Bench::new(0x1000);
        let [keyboard_irqs, mouse_irqs, resets] = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
        let line = |edges: &Arc<AtomicU32>| IrqLine::new(Box::new(Edges(Arc::clone(edges))));
        let pulled = Arc::clone(&resets);
        let power = Box::new(move |request| {
            assert_eq!(request, PowerRequest::Reset);
            pulled.fetch_add(1, Ordering::Relaxed);
        });
        let timer = bench.timers.timer(0);
        let device = Arc::new_cyclic(|me: &Weak<Mutex<I8042>>| {
            timer.connect(me.clone());
            Mutex::new(I8042::new(line(&keyboard_irqs), line(&mouse_irqs), bench.clock.clone(), timer, power))
        });
        Self { bench, keyboard_irqs, mouse_irqs, resets, device }
    }

    fn on<T>(&self, act: impl FnOnce(&mut I8042) -> T) -> T {
        act(&mut self.device.lock().unwrap())
    }

    fn command(&self, byte: u8) {
        self.on(|device| device.write(COMMAND, Size::Byte, byte.into()));
    }

    fn data(&self, byte: u8) {
        self.on(|device| device.write(DATA, Size::Byte, byte.into()));
    }

    fn status(&self) -> u8 {
        self.on(|device| device.read(COMMAND, Size::Byte)) as u8
    }

    fn read(&self) -> u8 {
        self.on(|device| device.read(DATA, Size::Byte)) as u8
    }

    /// Everything there is to read, and whether it came from the mouse.
    fn drain(&self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let mut aux = true;
        while self.status() & 1 != 0 {
            aux &= self.status() & 0x20 != 0;
            bytes.push(self.read());
            assert!(bytes.len() < 100);
        }
        (bytes, aux)
    }

    fn bytes(&self) -> Vec<u8> {
        self.drain().0
    }

    fn keyboard(&self, bytes: &[u8]) -> Vec<u8> {
        bytes
            .iter()
            .flat_map(|&byte| {
                self.data(byte);
                self.bytes()
            })
            .collect()
    }

    fn mouse(&self, bytes: &[u8]) -> Vec<u8> {
        let send = |byte| {
            self.command(0xd4);
            self.data(byte);
            let (bytes, aux) = self.drain();
            assert!(aux);
            bytes
        };
        bytes.iter().flat_map(|&byte| send(byte)).collect()
    }

    fn configure(&self, config: u8) {
        self.command(0x60);
        self.data(config);
    }

    fn key(&self, code: u16, down: bool) {
        self.on(|device| device.key(code, down));
    }

    fn pass(&self, by: Duration) {
        let end = self.bench.clock.now() + by;
        while let Some(due) = self.bench.timers.next_due().filter(|&due| due <= end) {
            self.bench.clock.set(due.max(self.bench.clock.now()));
            self.bench.timers.run_due();
        }
        self.bench.clock.set(end);
    }
}

#[test]
fn controller_answers() {
    let f = Fixture::new();
    assert_eq!(f.status() & 0x05, 0);
    for (command, answer) in
        [(0xaa, 0x55), (0xab, 0), (0xa9, 0), (0x20, 0x47), (0xc0, 0x80), (0xd0, 0xc3), (0xa4, 0xf1)]
    {
        f.command(command);
        assert_eq!(f.status() & 0x0d, 0x0d, "{command:x}");
        assert_eq!(f.bytes(), [answer], "{command:x}");
    }
    f.command(0x65);
    f.data(0x12);
    assert_eq!(f.status() & 0x08, 0);
    f.command(0x25);
    assert_eq!(f.bytes(), [0x12]);
    f.command(0xa7);
    f.command(0xad);
    f.command(0x20);
    assert_eq!(f.bytes(), [0x77]);
    f.command(0xa8);
    f.command(0xae);
    f.command(0x20);
    assert_eq!(f.bytes(), [0x47]);
}

#[test]
fn aux_loopback_and_multiplexer_probe() {
    let f = Fixture::new();
    for byte in [0x5a, 0xf0, 0x56, 0xa4] {
        f.command(0xd3);
        f.data(byte);
        assert_eq!(f.drain(), (vec![byte], true));
    }
    assert_eq!(f.mouse_irqs.load(Ordering::Relaxed), 4);
    f.command(0xd2);
    f.data(0x1e);
    assert_eq!(f.drain(), (vec![0x1e], false));
}

#[test]
fn resets() {
    let f = Fixture::new();
    for (command, count) in [(0xff, 0), (0xfe, 1), (0xf0, 2), (0xd1, 2)] {
        f.command(command);
        assert_eq!(f.resets.load(Ordering::Relaxed), count);
    }
    f.data(0x03);
    f.command(0xd1);
    f.data(0x02);
    assert_eq!(f.resets.load(Ordering::Relaxed), 3);
}

#[test]
fn keyboard_commands() {
    let f = Fixture::new();
    f.configure(0x03);
    assert_eq!(f.keyboard(&[0xff]), [0xfa, 0xaa]);
    assert_eq!(f.keyboard(&[0xf2]), [0xfa, 0xab, 0x83]);
    assert_eq!(f.keyboard(&[0xee, 0xed, 0x07, 0xf3, 0x00]), [0xee, 0xfa, 0xfa, 0xfa, 0xfa]);
    assert_eq!(f.keyboard(&[0xf0, 0x00, 0xf0, 0x03, 0xf0, 0x00]), [0xfa, 0xfa, 2, 0xfa, 0xfa, 0xfa, 0xfa, 3]);
    assert_eq!(
        f.keyboard(&[0xf0, 0x04, 0x00, 0xfe, 0xf8, 0xfb, 0x1c, 0xf4]),
        [0xfa, 0xfe, 0xfe, 0xfe, 0xfa, 0xfa, 0xfa, 0xfa]
    );
    assert!(f.on(|device| KeySink::listens(device)));
    assert_eq!(f.keyboard(&[0xf5]), [0xfa]);
    assert!(!f.on(|device| KeySink::listens(device)));
    f.configure(0x43);
    assert_eq!(f.keyboard(&[0xf2]), [0xfa, 0xab, 0x41]);
    // A command where an argument should be is a command.
    assert_eq!(f.keyboard(&[0xed, 0xf4]), [0xfa, 0xfa]);
    assert!(f.on(|device| KeySink::listens(device)));
}

#[test]
fn keys_in_all_sets_and_edges() {
    let f = Fixture::new();
    let press = || {
        for (code, down) in [(A, true), (A, false), (RIGHT, true), (RIGHT, false)] {
            f.key(code, down);
        }
        f.bytes()
    };
    assert_eq!(press(), [0x1e, 0x9e, 0xe0, 0x4d, 0xe0, 0xcd]);
    assert_eq!(f.keyboard_irqs.load(Ordering::Relaxed), 6);
    assert_eq!(f.read(), 0xcd, "an empty buffer shows its last byte");
    f.configure(0x02);
    assert_eq!(press(), [0x1c, 0xf0, 0x1c, 0xe0, 0x74, 0xe0, 0xf0, 0x74]);
    assert_eq!(f.keyboard_irqs.load(Ordering::Relaxed), 6, "no interrupt when switched off");
    f.keyboard(&[0xf0, 1]);
    assert_eq!(press(), [0x1e, 0x9e, 0xe0, 0x4d, 0xe0, 0xcd]);
    f.keyboard(&[0xf0, 3]);
    assert_eq!(press(), [0x1c, 0xf0, 0x1c, 0x6a, 0xf0, 0x6a]);
}

#[test]
fn keys_wait_while_the_port_is_off() {
    let f = Fixture::new();
    f.command(0xad);
    f.key(A, true);
    assert_eq!(f.status() & 1, 0);
    f.command(0x20);
    assert_eq!(f.bytes(), [0x53]);
    f.command(0xae);
    assert_eq!(f.bytes(), [0x1e]);
}

#[test]
fn held_key_repeats_until_released() {
    let f = Fixture::new();
    f.key(LEFT_SHIFT, true);
    f.key(A, true);
    assert_eq!(f.bytes(), [0x2a, 0x1e]);
    f.pass(Duration::from_millis(499));
    assert!(f.bytes().is_empty());
    let mut repeats = 0;
    for _ in 0..100 {
        f.pass(Duration::from_millis(10));
        let bytes = f.bytes();
        assert!(bytes.iter().all(|&byte| byte == 0x1e));
        repeats += bytes.len();
    }
    assert!((10..=12).contains(&repeats), "{repeats} in a second");
    f.key(A, false);
    assert_eq!(f.bytes(), [0x9e]);
    assert_eq!(f.bench.timers.next_due(), None);
    // Nobody reads: repeats do not pile up.
    f.key(A, true);
    f.pass(Duration::from_secs(20));
    f.key(A, false);
    assert_eq!(f.bytes(), [0x1e, 0x1e, 0x9e]);
}

#[test]
fn overrun_is_marked_and_no_key_hangs() {
    let f = Fixture::new();
    for code in 2..=41 {
        f.key(code, true);
    }
    for code in 2..=41 {
        f.key(code, false);
    }
    let bytes = f.bytes();
    assert!(bytes.contains(&0xff));
    let pressed: Vec<_> = bytes.iter().filter(|&&byte| byte < 0x80).collect();
    assert_eq!(pressed.len(), 17, "one in the output buffer, sixteen in the queue");
    for byte in pressed {
        assert!(bytes.contains(&(byte | 0x80)), "{byte:x} is released");
    }
}

#[test]
fn mouse_says_what_it_is() {
    let f = Fixture::new();
    assert_eq!(f.mouse(&[0xff]), [0xfa, 0xaa, 0x00]);
    assert_eq!(f.mouse(&[0xf2]), [0xfa, 0x00]);
    assert_eq!(f.mouse(&[0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2]), [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 3]);
    assert_eq!(f.mouse(&[0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2]), [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 4]);
    assert_eq!(f.mouse(&[0xe8, 3, 0xe7, 0xf4, 0xe9]), [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x30, 3, 80]);
    assert_eq!(f.mouse(&[0xf6, 0xe9]), [0xfa, 0xfa, 0x00, 2, 100]);
    assert_eq!(f.mouse(&[0xe8, 9, 0x17, 0xfe]), [0xfa, 0xfe, 0xfe, 0xfe]);
    assert_eq!(f.mouse(&[0xee, 0x55, 0xf4, 0xec, 0xf4]), [0xfa, 0x55, 0xf4, 0xfa, 0xfa]);
    assert!(f.on(|device| PointerSink::listens(device)));
}

#[test]
fn mouse_packets() {
    let f = Fixture::new();
    f.on(|device| device.moved(5, 5));
    assert!(f.bytes().is_empty(), "not before it is switched on");
    f.mouse(&[0xf4]);
    f.on(|device| device.moved(3, -4));
    assert_eq!(f.drain(), (vec![0x08, 3, 4], true));
    f.on(|device| device.moved(-3, 4));
    assert_eq!(f.bytes(), [0x38, 0xfd, 0xfc]);
    // While the host is busy movement adds up, and clicks keep their place.
    f.on(|device| {
        device.moved(1, 0);
        device.moved(200, 0);
        device.moved(200, 0);
        device.button(Button::Left, true);
        device.button(Button::Left, false);
    });
    assert_eq!(f.bytes(), [0x08, 1, 0, 0x09, 255, 0, 0x08, 145, 0]);
    f.mouse(&[0xe7]);
    f.on(|device| device.moved(4, 200));
    assert_eq!(f.bytes(), [0x28, 6, 2, 0x28, 0, 0x100u16.wrapping_sub(146) as u8]);
}

#[test]
fn wheel_and_side_buttons() {
    let f = Fixture::new();
    let knock = |rates: [u8; 3]| rates.map(|rate| f.mouse(&[0xf3, rate]));
    f.mouse(&[0xf4]);
    f.on(|device| device.wheel(Axis::Vertical, 1));
    assert!(f.bytes().is_empty(), "a standard mouse has none");
    knock([200, 100, 80]);
    f.on(|device| device.wheel(Axis::Vertical, 1));
    f.on(|device| device.wheel(Axis::Horizontal, 1));
    assert_eq!(f.bytes(), [0x08, 0, 0, 0xff]);
    knock([200, 200, 80]);
    f.on(|device| {
        device.button(Button::Side, true);
        device.wheel(Axis::Vertical, -9);
    });
    assert_eq!(f.bytes(), [0x08, 0, 0, 0x10, 0x08, 0, 0, 0x17, 0x08, 0, 0, 0x12]);
    // Remote mode: asked, not told.
    f.mouse(&[0xf0]);
    f.on(|device| device.moved(7, 0));
    assert!(f.bytes().is_empty());
    assert_eq!(f.mouse(&[0xeb]), [0xfa, 0x08, 7, 0, 0x10]);
}

#[test]
fn floods_stay_bounded() {
    let f = Fixture::new();
    f.mouse(&[0xf4]);
    for round in 0..10_000u32 {
        f.on(|device| {
            device.moved(i32::MAX, i32::MIN);
            device.wheel(Axis::Vertical, i32::MIN);
            device.button(Button::Right, round % 2 == 0);
            device.key((round % 300) as u16, round % 3 != 0);
        });
        f.command(0xd4);
        f.data(0xeb);
        f.data(0xf2);
    }
    let state = f.on(|device| device.save());
    assert!(f.on(|device| device.restore(state)).is_ok(), "every reachable state is taken back");
    assert!(f.bytes().len() <= 60);
    // Any byte anywhere.
    for command in 0..=255 {
        for byte in 0..=255 {
            f.command(command);
            f.data(byte);
            f.command(0xd4);
            f.data(byte);
        }
        f.key(A, command % 2 == 0);
    }
    f.on(|device| device.reset());
    assert_eq!(f.status(), 0x18);
}

#[test]
fn state() {
    let f = Fixture::new();
    f.mouse(&[0xf4]);
    f.key(A, true);
    f.key(LEFT_SHIFT, true);
    f.on(|device| device.moved(1000, 3));
    f.command(0xd1);
    let device = &mut *f.device.lock().unwrap();
    check_state(device, |device| {
        device.reset();
        device.write(COMMAND, Size::Byte, 0x20);
    });
    assert!(device.keyboard_irq.is_high());
    assert!(f.bench.timers.next_due().is_some());
    let mut broken: Vec<(&str, serde_json::Value)> = Vec::new();
    let saved = serde_json::to_value(device.save()).unwrap();
    for (path, value) in [
        ("/awaiting", serde_json::json!({"Ram": 32})),
        ("/keyboard/replies", serde_json::json!([1, 2, 3, 4, 5, 6])),
        ("/keyboard/keys", vec![0; 18].into()),
        ("/keyboard/held", serde_json::json!([30, 42, 600])),
        ("/keyboard/held", serde_json::json!([])),
        ("/keyboard/leds", 8.into()),
        ("/mouse/packets", vec![0; 17].into()),
        ("/mouse/dx", i32::MIN.into()),
        ("/mouse/resolution", 4.into()),
        ("/mouse/buttons", 32.into()),
    ] {
        let mut state = saved.clone();
        *state.pointer_mut(path).unwrap() = value;
        broken.push((path, state));
    }
    for (path, state) in broken {
        assert!(device.restore(serde_json::from_value(state).unwrap()).is_err(), "{path}");
    }
}
