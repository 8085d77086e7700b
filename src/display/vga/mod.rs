//! The PC's graphics adapter: IBM VGA with the Bochs DISPI extension, as SeaBIOS's vgabios, OVMF's QemuVideoDxe and Linux's
//! bochs-drm drive QEMU's.
//!
//! Guests reach it in four ways: ports 3B0–3DF ([`VgaPorts`]) and 1CE–1D0 ([`DispiPorts`]), the window at A0000
//! ([`LegacyWindow`]), video memory through a BAR (no code here is asked), and a page of registers in another BAR
//! ([`Vga::page_read`]). Nothing is drawn while guests write; [`Vga::refresh`] looks at what changed when somebody looks at
//! the screen.

mod dac;
mod dispi;
mod picture;
mod registers;
mod screen;
mod text;
mod vram;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device::pci::{AddressSpace, SharedMemory};
use device::{Clock, Device, Mmio, PortIo, RestoreError, Size, State, VmTime};
use serde::{Deserialize, Serialize};

use self::dac::{Dac, DacState};
use self::dispi::{Dispi, DispiState, FLAT_COUNT};
use self::picture::{Layout, Picture};
use self::registers::{Port, Registers};
use self::screen::{Look, Screen};
use self::text::Cursor;
use self::vram::Vram;
use self::window::Window;
use crate::edid::{DisplaySize, EDID_BYTES, edid};
use crate::{Output, Surfaces};

/// Scan lines a second of every VGA mode.
const LINE_HZ: u64 = 31_469;
/// Of how many parts of a scan line the last one is blanking.
const LINE_PARTS: u64 = 5;
/// The cursor and blinking characters come and go at this interval: sixteen pictures of a 70 Hz mode.
const BLINK: Duration = Duration::from_millis(228);

/// Bits of input status 1.
const NO_DISPLAY: u8 = 1 << 0;
const VERTICAL_RETRACE: u8 = 1 << 3;

/// Bytes of the register page.
pub const PAGE_BYTES: u64 = 0x1000;

/// The adapter. One mutex guards it all; the adapters below share it with the PCI function it is part of.
pub struct Vga {
    registers: Registers,
    dac: Dac,
    dispi: Dispi,
    latch: u32,
    vram: Vram,
    clock: Clock,
    size: DisplaySize,
    edid: [u8; EDID_BYTES],
    screen: Screen,
    shown: bool,
}

/// Saved state. Video memory is saved by whoever owns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VgaState {
    registers: Registers,
    dac: DacState,
    dispi: DispiState,
    latch: u32,
    size: DisplaySize,
    shown: bool,
}

impl Vga {
    /// An adapter with `vram` (a power of two of at least 256 KiB; 16 MiB is usual), which shows its picture on head 0 of
    /// `output`. `surfaces` gives memory for pictures that cannot be shown from `vram`.
    pub fn new(vram: Arc<SharedMemory>, clock: Clock, output: Arc<dyn Output>, surfaces: Arc<dyn Surfaces>) -> Self {
        let vram = Vram::new(vram);
        let size = DisplaySize::default();
        Self {
            registers: Registers::default(),
            dac: Dac::default(),
            dispi: Dispi::new(vram.size()),
            latch: 0,
            vram,
            clock,
            size,
            edid: edid(size),
            screen: Screen::new(output, surfaces),
            shown: true,
        }
    }

    /// Video memory, to put into a BAR.
    pub fn vram(&self) -> &Arc<SharedMemory> {
        self.vram.memory()
    }

    /// The screen that the person has; the guest finds it in the EDID when it looks next. The EDID's width is one that DISPI can
    /// show, a multiple of 8: firmware takes lines to be as wide as it says.
    pub fn set_display_size(&mut self, size: DisplaySize) {
        (self.size, self.edid) = (size, edid(DisplaySize { width: size.width & !7, ..size }));
    }

    /// Shows the adapter's picture, or leaves the output to another device on the same function.
    pub fn set_shown(&mut self, shown: bool) {
        if shown && !self.shown {
            self.screen.forget();
        }
        self.shown = shown;
    }

    /// Does the adapter own the output?
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Tells the output what changed since the last call. The board calls it at most 60 times a second and only while somebody
    /// watches, or wants a screenshot; `space` knows which pages the guest wrote through the BAR.
    pub fn refresh(&mut self, space: &dyn AddressSpace) {
        if !self.shown {
            return;
        }
        let picture = Picture::of(&self.registers, &self.dac, &self.dispi);
        let blink = !(self.clock.now().0 / BLINK.as_nanos() as u64).is_multiple_of(2);
        let cursor = if blink { None } else { Cursor::of(&self.registers) };
        self.screen.refresh(Look { picture, cursor, blink, vram: &mut self.vram }, space);
    }

    /// The characters on the screen, row by row without spaces at the end, when it is in a text mode.
    pub fn text(&self) -> Option<Vec<String>> {
        let picture = Picture::of(&self.registers, &self.dac, &self.dispi).filter(|_| self.shown)?;
        let Layout::Text(scan, _) = &picture.layout else { return None };
        let rows = text::rows(&scan.lines(picture.height));
        Some(rows.into_iter().map(|row| text::characters(scan, &self.vram, row)).collect())
    }

    /// A read of the register page (the BAR's first 4 KiB): EDID at 0, VGA ports 3C0–3DF at 0x400, DISPI registers at 0x500,
    /// byte order at 0x600.
    pub fn page_read(&mut self, offset: u64, size: Size) -> u64 {
        let byte = |at: u64| self.edid.get(at as usize).copied().unwrap_or(0);
        match offset {
            ..0x400 => (0..size.bytes()).rev().fold(0, |value, i| value << 8 | u64::from(byte(offset + i))),
            0x400..0x420 => {
                let port = |i| offset - 0x400 + i + 0x3c0;
                let mut value = 0;
                for i in 0..size.bytes() {
                    value |= u64::from(self.port_read(port(i) as u16)) << (8 * i);
                }
                value
            }
            0x500..0x600 => {
                let mut value = 0;
                for i in 0..size.bytes().div_ceil(2) {
                    value |= u64::from(self.flat_read((offset - 0x500) / 2 + i)) << (16 * i);
                }
                // A byte read sees the half it asked for.
                if size == Size::Byte { value >> (8 * (offset & 1)) & 0xff } else { value }
            }
            0x600..0x604 => ORDER_BYTES,
            0x604..0x608 => LITTLE_ENDIAN,
            _ => size.ones(),
        }
    }

    /// A write to the register page.
    pub fn page_write(&mut self, offset: u64, size: Size, value: u64) {
        match offset {
            0x400..0x420 => {
                for i in 0..size.bytes() {
                    self.port_write((offset - 0x400 + i + 0x3c0) as u16, (value >> (8 * i)) as u8);
                }
            }
            0x500..0x600 => {
                for i in 0..size.bytes().div_ceil(2) {
                    let index = (offset - 0x500) / 2 + i;
                    if index < FLAT_COUNT.into() {
                        self.dispi.set_index(index as u16);
                        self.dispi_write((value >> (16 * i)) as u16);
                    }
                }
            }
            // The framebuffer is little endian and stays so.
            _ => {}
        }
    }

    fn flat_read(&mut self, index: u64) -> u16 {
        if index >= FLAT_COUNT.into() {
            return 0;
        }
        self.dispi.set_index(index as u16);
        self.dispi.read()
    }

    fn dispi_write(&mut self, value: u16) {
        if let Some(bytes) = self.dispi.write(value, &mut self.registers) {
            self.vram.clear(bytes);
        }
    }

    fn port_read(&mut self, port: u16) -> u8 {
        match Port::decode(port, self.registers.is_color()) {
            Some(Port::Dac(port)) => self.dac.read(port),
            Some(port) => {
                let status1 = if port == Port::Status1 { self.input_status_1(self.clock.now()) } else { 0 };
                self.registers.read(port, status1)
            }
            None => 0xff,
        }
    }

    fn port_write(&mut self, port: u16, value: u8) {
        match Port::decode(port, self.registers.is_color()) {
            Some(Port::Dac(port)) => self.dac.write(port, value),
            Some(port) => self.registers.write(port, value),
            None => {}
        }
    }

    /// Where the beam is. Retrace lasts from its programmed start to the end of the picture, longer than the pulse of a real one,
    /// so that a guest that polls (an exit each time) does not miss it.
    fn input_status_1(&self, now: VmTime) -> u8 {
        let total = u64::from(self.registers.vertical_total());
        let part = now.ticks(LINE_HZ * LINE_PARTS);
        let line = part / LINE_PARTS % total;
        let mut status = 0;
        if line >= u64::from(self.registers.retrace_start()).min(total - 1) {
            status |= VERTICAL_RETRACE;
        }
        if line >= self.registers.vertical_display().into() || part % LINE_PARTS == LINE_PARTS - 1 || status != 0 {
            status |= NO_DISPLAY;
        }
        status
    }

    fn window(&mut self) -> Window<'_> {
        let bank = self.dispi.bank();
        Window { registers: &self.registers, vram: &mut self.vram, latch: &mut self.latch, bank }
    }
}

/// Bytes of the byte order registers, and what the second says.
const ORDER_BYTES: u64 = 8;
const LITTLE_ENDIAN: u64 = 0x1e1e_1e1e;

impl Device for Vga {
    fn reset(&mut self) {
        self.registers = Registers::default();
        self.dac = Dac::default();
        self.dispi = Dispi::new(self.vram.size());
        self.latch = 0;
        self.set_shown(true);
        self.screen.forget();
    }
}

impl State for Vga {
    const KIND: &'static str = "vga";
    type Saved = VgaState;

    fn save(&self) -> VgaState {
        let Self { registers, dac, dispi, latch, vram: _, clock: _, size, edid: _, screen: _, shown } = self;
        VgaState {
            registers: registers.clone(),
            dac: dac.save(),
            dispi: dispi.save(),
            latch: *latch,
            size: *size,
            shown: *shown,
        }
    }

    fn restore(&mut self, saved: VgaState) -> Result<(), RestoreError> {
        let VgaState { registers, dac, dispi, latch, size, shown } = saved;
        if !registers.is_possible() {
            return Err(Self::impossible("registers"));
        }
        self.dac = Dac::restored(dac).ok_or_else(|| Self::impossible("dac"))?;
        self.dispi = self.dispi.restored(dispi).ok_or_else(|| Self::impossible("dispi"))?;
        self.registers = registers;
        self.latch = latch;
        self.set_display_size(size);
        self.shown = shown;
        self.screen.forget();
        Ok(())
    }
}

/// Ports 3B0–3DF; the range starts at 3B0.
pub struct VgaPorts(pub Arc<Mutex<Vga>>);

/// The DISPI ports: index at 1CE, data at 1CF and 1D0. The range starts at 1CE.
pub struct DispiPorts(pub Arc<Mutex<Vga>>);

/// The window A0000–BFFFF; the range starts at A0000.
pub struct LegacyWindow(pub Arc<Mutex<Vga>>);

fn lock(vga: &Mutex<Vga>) -> MutexGuard<'_, Vga> {
    vga.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wider accesses are bytes at neighbouring ports, lowest first: how one word write sets index and data.
impl PortIo for VgaPorts {
    fn read(&mut self, offset: u16, size: Size) -> u32 {
        let mut vga = lock(&self.0);
        (0..size.bytes() as u16).fold(0, |value, i| value | u32::from(vga.port_read(0x3b0 + offset + i)) << (8 * i))
    }

    fn write(&mut self, offset: u16, size: Size, value: u32) {
        let mut vga = lock(&self.0);
        for i in 0..size.bytes() as u16 {
            vga.port_write(0x3b0 + offset + i, (value >> (8 * i)) as u8);
        }
    }
}

/// The registers are words; the data is there at an odd port too, as x86 guests expect.
impl PortIo for DispiPorts {
    fn read(&mut self, offset: u16, _: Size) -> u32 {
        let vga = lock(&self.0);
        match offset {
            0 => vga.dispi.index().into(),
            1 | 2 => vga.dispi.read().into(),
            _ => u32::MAX,
        }
    }

    fn write(&mut self, offset: u16, _: Size, value: u32) {
        let mut vga = lock(&self.0);
        match offset {
            0 => vga.dispi.set_index(value as u16),
            1 | 2 => vga.dispi_write(value as u16),
            _ => {}
        }
    }
}

impl Mmio for LegacyWindow {
    fn read(&mut self, offset: u64, size: Size) -> u64 {
        let mut vga = lock(&self.0);
        let mut window = vga.window();
        (0..size.bytes()).fold(0, |value, i| value | u64::from(window.read(offset + i)) << (8 * i))
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        let mut vga = lock(&self.0);
        let mut window = vga.window();
        for i in 0..size.bytes() {
            window.write(offset + i, (value >> (8 * i)) as u8);
        }
    }
}

#[cfg(test)]
#[path = "vga_test.rs"]
mod tests;
