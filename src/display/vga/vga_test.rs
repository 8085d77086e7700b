use std::sync::Arc;

use device::bench::{Bench, Placements, check_state};
use vm_memory::Bytes;
use vm_memory::VolatileMemory;

use super::*;
use crate::bench::{MemorySurfaces, Recorder, Told};
use crate::{Rect, Scanout};

const WHITE: u32 = 0xff_ffff;

/// What KVM's dirty log would say: nothing, unless a test wrote through the BAR.
#[derive(Default)]
struct Log(Mutex<Vec<u64>>);

impl AddressSpace for Log {
    fn place_memory(&self, _: &Arc<SharedMemory>, _: Option<u64>) -> bool {
        true
    }
    fn place_doorbell(&self, _: device::pci::Devfn, _: u16, _: Option<u64>) {}
    fn take_dirty(&self, memory: &SharedMemory) -> Vec<u64> {
        let mut words = vec![0; (memory.size() / 4096).div_ceil(64) as usize];
        for page in std::mem::take(&mut *self.0.lock().unwrap()) {
            words[(page / 64) as usize] |= 1 << (page % 64);
        }
        words
    }
}

struct Fixture {
    bench: Bench,
    vga: Arc<Mutex<Vga>>,
    output: Arc<Recorder>,
    log: Log,
}

fn fixture() -> Fixture {
    let bench = Bench::new(0x1000);
    let output = Arc::new(Recorder::default());
    let surfaces = Arc::new(MemorySurfaces::default());
    let vram = surfaces.allocate(16 << 20).unwrap();
    let vga = Vga::new(vram, bench.clock.clone(), output.clone(), surfaces);
    Fixture { bench, vga: Arc::new(Mutex::new(vga)), output, log: Log::default() }
}

impl Fixture {
    fn out(&mut self, port: u16, value: u8) {
        PortIo::write(&mut VgaPorts(self.vga.clone()), port - 0x3b0, Size::Byte, value.into());
    }
    /// Index and data in one word.
    fn set(&mut self, port: u16, index: u8, value: u8) {
        let word = u32::from(value) << 8 | u32::from(index);
        PortIo::write(&mut VgaPorts(self.vga.clone()), port - 0x3b0, Size::Word, word);
    }
    fn input(&mut self, port: u16) -> u8 {
        PortIo::read(&mut VgaPorts(self.vga.clone()), port - 0x3b0, Size::Byte) as u8
    }
    fn attribute(&mut self, index: u8, value: u8) {
        self.input(0x3da);
        self.out(0x3c0, index);
        self.out(0x3c0, value);
    }
    fn poke(&mut self, address: u64, value: u8) {
        Mmio::write(&mut LegacyWindow(self.vga.clone()), address - 0xa0000, Size::Byte, value.into());
    }
    fn peek(&mut self, address: u64) -> u8 {
        Mmio::read(&mut LegacyWindow(self.vga.clone()), address - 0xa0000, Size::Byte) as u8
    }
    fn dispi(&mut self, index: u16, value: u16) {
        let mut ports = DispiPorts(self.vga.clone());
        PortIo::write(&mut ports, 0, Size::Word, index.into());
        PortIo::write(&mut ports, 1, Size::Word, value.into());
    }
    fn dispi_read(&mut self, index: u16) -> u16 {
        let mut ports = DispiPorts(self.vga.clone());
        PortIo::write(&mut ports, 0, Size::Word, index.into());
        PortIo::read(&mut ports, 2, Size::Word) as u16
    }
    fn dispi_mode(&mut self, width: u16, height: u16, bpp: u16) {
        for (index, value) in [(4, 0), (1, width), (2, height), (3, bpp), (5, 0), (4, 0x41)] {
            self.dispi(index, value);
        }
        self.input(0x3da);
        self.out(0x3c0, 0x20);
    }
    fn refresh(&mut self) {
        self.vga.lock().unwrap().refresh(&self.log);
    }
    /// A guest's store through the BAR.
    fn store(&mut self, at: u64, bytes: &[u8]) {
        let vga = self.vga.lock().unwrap();
        vga.vram().region().as_volatile_slice().write_slice(bytes, at as usize).unwrap();
        self.log.0.lock().unwrap().extend(at / 4096..=(at + bytes.len() as u64 - 1) / 4096);
    }
    fn pixel(&mut self, x: u32, y: u32) -> u32 {
        let scanout = self.vga.lock().unwrap().screen_scanout();
        crate::read_pixels(&scanout)[(y * scanout.width + x) as usize]
    }
    /// Programs a mode: misc, sequencer 1–4, CRTC, graphics 0–8, attribute mode; an identity palette of greys.
    fn mode(&mut self, misc: u8, sequencer: [u8; 4], crtc: [u8; 25], graphics: [u8; 9], attribute: u8) {
        self.out(0x3c2, misc);
        for (index, value) in (1..).zip(sequencer) {
            self.set(0x3c4, index, value);
        }
        self.set(0x3d4, 0x11, 0);
        for (index, value) in (0..).zip(crtc) {
            self.set(0x3d4, index, value);
        }
        for (index, value) in (0..).zip(graphics) {
            self.set(0x3ce, index, value);
        }
        for index in 0..16 {
            self.attribute(index, index);
        }
        for (index, value) in [(0x10, attribute), (0x11, 0), (0x12, 0x0f), (0x13, 0), (0x14, 0)] {
            self.attribute(index, value);
        }
        self.out(0x3c8, 0);
        for level in 0..=255u16 {
            (0..3).for_each(|_| self.out(0x3c9, (level * 63 / 15).min(63) as u8));
        }
        self.out(0x3c0, 0x20);
    }
    /// 80 by 25 characters of 9 by 16 dots.
    fn text_mode(&mut self) {
        const CRTC: [u8; 25] = [
            0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28,
            0x1f, 0x96, 0xb9, 0xa3, 0xff,
        ];
        self.mode(0x67, [0x00, 0x03, 0x00, 0x02], CRTC, [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff], 0x0c);
        self.attribute(0x13, 8);
        self.out(0x3c0, 0x20);
    }
    /// 640 by 480, 16 colours.
    fn planar_mode(&mut self) {
        const CRTC: [u8; 25] = [
            0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0x00,
            0xe7, 0x04, 0xe3, 0xff,
        ];
        self.mode(0xe3, [0x01, 0x0f, 0x00, 0x06], CRTC, [0, 0, 0, 0, 0, 0, 0x05, 0x0f, 0xff], 0x01);
    }
    /// 320 by 200, 256 colours, chained.
    fn mode_13h(&mut self) {
        const CRTC: [u8; 25] = [
            0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40,
            0x96, 0xb9, 0xa3, 0xff,
        ];
        self.mode(0x63, [0x01, 0x0f, 0x00, 0x0e], CRTC, [0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff], 0x41);
    }
    /// Puts a glyph into the font, as a BIOS does: plane 2, sequential.
    fn glyph(&mut self, character: u8, dots: [u8; 16]) {
        for (port, index, value) in [(0x3c4, 2, 4), (0x3c4, 4, 7), (0x3ce, 5, 0), (0x3ce, 6, 4)] {
            self.set(port, index, value);
        }
        for (line, dots) in (0..).zip(dots) {
            self.poke(0xa0000 + u64::from(character) * 32 + line, dots);
        }
        for (port, index, value) in [(0x3c4, 2, 3), (0x3c4, 4, 2), (0x3ce, 5, 0x10), (0x3ce, 6, 0x0e)] {
            self.set(port, index, value);
        }
    }
}

impl Vga {
    fn screen_scanout(&self) -> Scanout {
        self.screen.told().expect("something is shown")
    }
}

#[test]
fn text_becomes_pixels_and_characters() {
    let mut f = fixture();
    f.refresh();
    assert_eq!(f.output.take(), [Told::Scanout(0, None)]);
    f.text_mode();
    f.glyph(b'A', [0x81; 16]);
    f.glyph(0xc4, [0x01; 16]);
    f.set(0x3d4, 0x0a, 0x20);
    for (i, byte) in [b'A', 0x0f, 0xc4, 0x0f, b'A', 0xf0].into_iter().enumerate() {
        f.poke(0xb8000 + i as u64, byte);
    }
    f.refresh();
    let scanout = f.output.scanout().unwrap();
    assert_eq!((scanout.width, scanout.height), (720, 400));
    assert!(scanout.fits());
    let row: Vec<u32> = (0..27).map(|x| f.pixel(x, 3)).collect();
    let mut expected = vec![0; 27];
    // The ninth dot repeats the eighth for line graphics only; attribute F0 blinks, so its paper is 7.
    for lit in [0, 7, 16, 17] {
        expected[lit] = WHITE;
    }
    let paper = f.pixel(20, 3);
    expected[18..].fill(paper);
    (expected[18], expected[25]) = (0, 0);
    assert_eq!(row, expected);
    assert_ne!(paper, 0);
    let text = f.vga.lock().unwrap().text().unwrap();
    assert_eq!(text.len(), 25);
    assert_eq!(text[0].trim_end_matches(' '), "A─A");
    f.planar_mode();
    assert_eq!(f.vga.lock().unwrap().text(), None);
}

#[test]
fn text_damage_is_small_and_the_cursor_blinks() {
    let mut f = fixture();
    f.text_mode();
    f.glyph(b'A', [0xff; 16]);
    f.poke(0xb8000, b' ');
    f.poke(0xb8001, 0x0f);
    f.refresh();
    f.output.take();
    f.refresh();
    assert!(f.output.take().is_empty());
    f.poke(0xb8000 + 160 + 2, b'A');
    f.poke(0xb8000 + 160 + 3, 0x0f);
    f.refresh();
    assert_eq!(f.output.take_damage(), [Rect { x: 9, y: 16, width: 8, height: 16 }]);
    f.bench.clock.advance(BLINK);
    f.refresh();
    assert_eq!(f.output.take_damage(), [Rect { x: 0, y: 13, width: 9, height: 2 }]);
    // A new glyph shows wherever it is used.
    f.glyph(b'A', [0x0f; 16]);
    f.refresh();
    assert_eq!(f.output.take_damage(), [Rect { x: 9, y: 16, width: 4, height: 16 }]);
}

#[test]
fn planar_write_modes() {
    let mut f = fixture();
    f.planar_mode();
    let at = 0xa0000 + 100;
    // Mode 0 with set/reset: colour 5 through bit mask F0.
    f.set(0x3ce, 0, 5);
    f.set(0x3ce, 1, 0x0f);
    f.set(0x3ce, 8, 0xf0);
    f.peek(at);
    f.poke(at, 0);
    f.set(0x3ce, 1, 0);
    f.set(0x3ce, 8, 0xff);
    let planes = |f: &mut Fixture| {
        [0, 1, 2, 3].map(|plane| {
            f.set(0x3ce, 4, plane);
            f.peek(at)
        })
    };
    assert_eq!(planes(&mut f), [0xf0, 0, 0xf0, 0]);
    // Read mode 1: where is colour 5?
    f.set(0x3ce, 5, 8);
    f.set(0x3ce, 2, 5);
    assert_eq!(f.peek(at), 0xf0);
    f.set(0x3ce, 7, 2);
    assert_eq!(f.peek(at), 0xff);
    f.set(0x3ce, 5, 0);
    // Rotate and XOR, plane 1 only.
    f.set(0x3c4, 2, 2);
    f.set(0x3ce, 3, 0x18 | 4);
    f.peek(at);
    f.poke(at, 0x0f);
    f.peek(at);
    f.poke(at, 0x3c);
    assert_eq!(planes(&mut f)[1], 0xf0 ^ 0xc3);
    f.set(0x3ce, 3, 0);
    f.set(0x3c4, 2, 0x0f);
    // Mode 1 copies latches.
    f.set(0x3ce, 5, 1);
    f.peek(at);
    f.poke(at + 1, 0);
    f.set(0x3ce, 5, 0);
    let copied = [0, 1, 2, 3].map(|plane| {
        f.set(0x3ce, 4, plane);
        f.peek(at + 1)
    });
    assert_eq!(copied, planes(&mut f));
    // Mode 2: the value is a colour.
    f.set(0x3ce, 5, 2);
    f.set(0x3ce, 8, 0x80);
    f.peek(at + 2);
    f.poke(at + 2, 0x0f);
    // Mode 3: the value is a mask, set/reset the colour.
    f.set(0x3ce, 5, 3);
    f.set(0x3ce, 8, 0xff);
    f.set(0x3ce, 0, 0x0f);
    f.peek(at + 2);
    f.poke(at + 2, 0x01);
    f.set(0x3ce, 5, 0);
    f.refresh();
    let y = 1;
    let line: Vec<bool> = (0..8).map(|x| f.pixel((100 + 2 - 80) * 8 + x, y) != 0).collect();
    assert_eq!(line, [true, false, false, false, false, false, false, true]);
    assert_eq!(f.output.scanout().map(|s| (s.width, s.height)), Some((640, 480)));
}

#[test]
fn mode_13h_and_mode_x_show_bytes() {
    let mut f = fixture();
    f.mode_13h();
    f.poke(0xa0000 + 320 + 3, 15);
    f.refresh();
    assert_eq!(f.output.scanout().map(|s| (s.width, s.height)), Some((640, 400)));
    let lit: Vec<_> = [(5, 2), (6, 2), (7, 3), (8, 3), (6, 4)].into_iter().map(|(x, y)| f.pixel(x, y)).collect();
    assert_eq!(lit, [0, WHITE, WHITE, 0, 0]);
    f.output.take();
    f.poke(0xa0000 + 10 * 320, 15);
    f.refresh();
    assert_eq!(f.output.take_damage(), [Rect { x: 0, y: 20, width: 2, height: 2 }]);
    // Mode X: unchained; pixel 1 is in plane 1. Scrolled down by a line.
    f.set(0x3c4, 4, 6);
    f.set(0x3d4, 0x14, 0);
    f.set(0x3d4, 0x17, 0xe3);
    f.set(0x3c4, 2, 2);
    f.poke(0xa0000 + 80, 15);
    f.set(0x3d4, 0x0d, 80);
    f.refresh();
    let lit: Vec<_> = [(1, 0), (2, 0), (3, 1), (6, 0)].into_iter().map(|(x, y)| f.pixel(x, y)).collect();
    assert_eq!(lit, [0, WHITE, WHITE, WHITE]);
}

#[test]
fn cga_modes() {
    let mut f = fixture();
    // Mode 4: 320 by 200, four colours, odd lines 8 KiB further.
    const CRTC: [u8; 25] = [
        0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0x00,
        0x96, 0xb9, 0xa2, 0xff,
    ];
    f.mode(0x63, [0x09, 0x03, 0x00, 0x02], CRTC, [0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff], 0x01);
    f.poke(0xb8000, 0b11_00_00_01);
    f.poke(0xb8001, 0b00_11_00_00);
    f.poke(0xba000, 0b00_11_00_00);
    f.refresh();
    assert_eq!(f.output.scanout().map(|s| (s.width, s.height)), Some((640, 400)));
    let grey = |level: u32| level * 0x01_01_01;
    let three = f.pixel(0, 0);
    let one = f.pixel(6, 0);
    assert!(three > one && one > grey(0));
    let dots: Vec<_> = [(2, 0), (8, 0), (10, 0), (0, 2), (2, 2), (2, 3), (0, 4)].map(|(x, y)| f.pixel(x, y)).to_vec();
    assert_eq!(dots, [0, 0, three, 0, three, three, 0]);
}

#[test]
fn split_screen_and_panning() {
    let mut f = fixture();
    f.planar_mode();
    f.set(0x3c4, 2, 0x0f);
    f.poke(0xa0000, 0x80);
    // Start beyond, so that unit 0 shows only below the split at line 99.
    f.set(0x3d4, 0x0c, 0x80);
    f.set(0x3d4, 0x07, 0x2e);
    f.set(0x3d4, 0x09, 0x00);
    f.set(0x3d4, 0x18, 99);
    f.refresh();
    assert_eq!([f.pixel(0, 0), f.pixel(0, 99), f.pixel(0, 100), f.pixel(0, 101)], [0, 0, WHITE, 0]);
    f.poke(0xa8000, 0x40);
    f.attribute(0x13, 1);
    f.attribute(0x10, 0x21);
    f.out(0x3c0, 0x20);
    f.refresh();
    assert_eq!([f.pixel(0, 0), f.pixel(0, 100)], [WHITE, WHITE]);
    // Switched off: black, same size.
    f.input(0x3da);
    f.out(0x3c0, 0);
    f.refresh();
    assert_eq!(f.pixel(0, 100), 0);
}

#[test]
fn dispi_as_vgabios_and_linux_use_it() {
    let mut f = fixture();
    f.dispi(0, 0xb0c0);
    assert_eq!(f.dispi_read(0), 0xb0c0);
    f.dispi(0, 0xb0c6);
    assert_eq!(f.dispi_read(0), 0xb0c0);
    assert_eq!(f.dispi_read(10), 256);
    f.dispi(4, 2);
    assert_eq!([1, 2, 3].map(|index| f.dispi_read(index)), [16000, 12000, 32]);
    f.store(0, &[0xff; 16]);
    f.dispi_mode(1024, 768, 32);
    assert_eq!(f.dispi_read(7), 4096);
    f.refresh();
    let scanout = f.output.scanout().unwrap();
    let vram = f.vga.lock().unwrap().vram().clone();
    assert!(Arc::ptr_eq(&scanout.memory, &vram));
    assert_eq!((scanout.offset, scanout.width, scanout.height, scanout.stride), (0, 1024, 768, 4096));
    assert_eq!(f.pixel(0, 0), 0);
    f.output.take();
    f.store(4096 * 10 + 400, &[1; 4]);
    f.store(4096 * 300, &[1; 4096 * 2]);
    f.refresh();
    let rect = |y, height| Rect { x: 0, y, width: 1024, height };
    assert_eq!(f.output.take_damage(), [rect(10, 1), rect(300, 2)]);
    // Page flipping, through the register page.
    f.vga.lock().unwrap().page_write(0x500 + 9 * 2, Size::Word, 768);
    f.refresh();
    assert_eq!(f.output.scanout().map(|s| s.offset), Some(768 * 4096));
    // Back to text.
    f.dispi(4, 0);
    f.text_mode();
    f.refresh();
    assert_eq!(f.output.scanout().map(|s| s.width), Some(720));
}

#[test]
fn dispi_depths() {
    let mut f = fixture();
    for (bpp, bytes, expected) in [
        (8, vec![15, 0], [WHITE, 0]),
        (15, vec![0x00, 0x7c, 0x1f, 0x00], [0xff_0000, 0x00_00ff]),
        (16, vec![0xe0, 0x07, 0x00, 0xf8], [0x00_ff00, 0xff_0000]),
        (24, vec![1, 2, 3, 4, 5, 6], [0x03_0201, 0x06_0504]),
    ] {
        f.text_mode();
        f.dispi_mode(800, 600, bpp);
        f.refresh();
        f.store(0, &bytes);
        f.refresh();
        assert_eq!([f.pixel(0, 0), f.pixel(1, 0)], expected, "{bpp} bits");
        f.dispi(4, 0);
    }
    f.planar_mode();
    f.dispi_mode(800, 600, 4);
    f.set(0x3c4, 2, 1);
    f.set(0x3ce, 5, 0);
    f.set(0x3ce, 8, 0xff);
    f.poke(0xa0000 + 100, 0x80);
    f.refresh();
    assert_ne!(f.pixel(0, 1), 0);
}

#[test]
fn dispi_bank_moves_the_window() {
    let mut f = fixture();
    f.text_mode();
    f.dispi_mode(800, 600, 8);
    f.dispi(5, 3);
    f.poke(0xa0005, 0x77);
    assert_eq!(f.vga.lock().unwrap().vram.byte(0x30005), 0x77);
    assert_eq!(f.peek(0xa0005), 0x77);
    f.dispi(5, 0xffff);
    assert_eq!(f.dispi_read(5), 255);
    f.poke(0xaffff, 1);
}

#[test]
fn dispi_takes_any_value() {
    let mut f = fixture();
    for value in [0, 1, 7, 0x7fff, 0x8000, 0xffff] {
        for index in 0..=12 {
            f.dispi(index, value);
            f.dispi(4, 1);
            f.input(0x3da);
            f.out(0x3c0, 0x20);
            f.refresh();
            f.dispi_read(index);
            if let Some(scanout) = f.output.scanout() {
                assert!(scanout.fits());
            }
            f.output.take();
        }
    }
}

#[test]
fn any_register_values_are_drawn() {
    let mut f = fixture();
    let mut seed = 1u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    for round in 0..200 {
        f.out(0x3c2, 3);
        for (port, count) in [(0x3c4, 8), (0x3ce, 16), (0x3d4, 32)] {
            (0..count).for_each(|index| f.set(port, index, random()));
        }
        f.set(0x3d4, 0x11, 0);
        (0..20).for_each(|index| f.attribute(index, random()));
        f.out(0x3c0, 0x20);
        for _ in 0..50 {
            let at = 0xa0000 + (u64::from(random()) << 9 | u64::from(random()));
            f.poke(at, random());
            f.peek(at);
        }
        f.refresh();
        f.vga.lock().unwrap().text();
        if round % 2 == 0 {
            f.refresh();
        }
    }
}

#[test]
fn register_page() {
    let mut f = fixture();
    let mut vga = f.vga.lock().unwrap();
    assert_eq!(vga.page_read(0, Size::Qword), 0x00ff_ffff_ffff_ff00);
    assert_eq!(vga.page_read(0x100, Size::Dword), 0);
    assert_eq!(vga.page_read(0x500, Size::Word), 0xb0c5);
    assert_eq!(vga.page_read(0x514, Size::Word), 256);
    assert_eq!(vga.page_read(0x604, Size::Dword), 0x1e1e_1e1e);
    vga.page_write(0x402, Size::Byte, 0x67);
    vga.page_write(0x404, Size::Word, 0x0f02);
    assert_eq!(vga.page_read(0x40c, Size::Byte), 0x67);
    assert_eq!(vga.page_read(0x405, Size::Byte), 0x0f);
    drop(vga);
    assert_eq!(f.input(0x3c5), 0x0f);
}

#[test]
fn retrace_comes_and_goes() {
    let mut f = fixture();
    f.text_mode();
    let mut seen = [0; 2];
    for _ in 0..1000 {
        f.bench.clock.advance(Duration::from_micros(50));
        seen[usize::from(f.input(0x3da) >> 3 & 1)] += 1;
    }
    assert!(seen[0] > 800 && seen[1] > 50, "{seen:?}");
}

#[test]
fn monochrome_ports() {
    let mut f = fixture();
    f.out(0x3c2, 0x66);
    f.set(0x3b4, 0x0f, 0x55);
    assert_eq!(f.input(0x3d5), 0xff);
    assert_eq!(f.input(0x3b5), 0x55);
}

#[test]
fn hidden_while_another_device_has_the_output() {
    let mut f = fixture();
    f.text_mode();
    f.refresh();
    f.output.take();
    f.vga.lock().unwrap().set_shown(false);
    f.poke(0xb8000, b'A');
    f.refresh();
    assert!(f.output.take().is_empty());
    f.vga.lock().unwrap().set_shown(true);
    f.refresh();
    assert!(f.output.scanout().is_some());
}

#[test]
fn where_the_dirty_log_is_missing_all_is_looked_at() {
    let mut f = fixture();
    f.dispi_mode(640, 480, 16);
    f.vga.lock().unwrap().refresh(&Placements::default());
    f.output.take();
    f.store(0, &[0xff, 0xff]);
    f.vga.lock().unwrap().refresh(&Placements::default());
    assert_eq!(f.output.take_damage(), [Rect { x: 0, y: 0, width: 1, height: 1 }]);
}

#[test]
fn state() {
    let mut f = fixture();
    f.text_mode();
    let vga = f.vga.clone();
    check_state(&mut *vga.lock().unwrap(), |vga| {
        vga.dac.write(2, 1);
        vga.dispi.set_index(4);
        vga.dispi_write(1);
        vga.latch = 7;
    });
    let mut vga = vga.lock().unwrap();
    let good = serde_json::to_value(vga.save()).unwrap();
    for (pointer, bad) in [
        ("/registers/sequencer_index", 9),
        ("/registers/graphics/5", 0xff),
        ("/dac/component", 3),
        ("/dispi/registers/0", 1),
    ] {
        let mut saved = good.clone();
        *saved.pointer_mut(pointer).unwrap() = bad.into();
        assert!(vga.restore(serde_json::from_value(saved).unwrap()).is_err(), "{pointer}");
    }
    vga.reset();
    assert_eq!(vga.text(), None);
}
