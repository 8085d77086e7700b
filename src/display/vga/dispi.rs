//! The Bochs DISPI interface ("VBE dispi", ids up to B0C5): linear modes of any size in a few 16 bit registers.
//!
//! As Bochs and QEMU define it: registers by index and data ports (1CE and 1CF or 1D0), or flat in the register window. Sizes
//! that cannot be are brought to the nearest that can, since the interface has no way to refuse.

use serde::{Deserialize, Serialize};

use super::registers::{Registers, crtc, graphics, sequencer};

const ID: usize = 0;
const X_RES: usize = 1;
const Y_RES: usize = 2;
const BPP: usize = 3;
const ENABLE: usize = 4;
const BANK: usize = 5;
const VIRT_WIDTH: usize = 6;
const VIRT_HEIGHT: usize = 7;
const X_OFFSET: usize = 8;
const Y_OFFSET: usize = 9;
/// Memory size in units of 64 KiB; read-only.
const VIDEO_MEMORY_64K: u16 = 10;
const COUNT: usize = 10;
/// Registers as the flat window has them, [`VIDEO_MEMORY_64K`] included.
pub(super) const FLAT_COUNT: u16 = 11;

const ID_FIRST: u16 = 0xb0c0;
const ID_LAST: u16 = 0xb0c5;

const ENABLED: u16 = 1 << 0;
/// X, Y and BPP read as their maximum.
const GET_CAPS: u16 = 1 << 1;
const EIGHT_BIT_DAC: u16 = 1 << 5;
const NO_CLEAR: u16 = 1 << 7;

const MAX_X: u16 = 16000;
const MAX_Y: u16 = 12000;
const MAX_BPP: u16 = 32;

/// The DISPI registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dispi {
    index: u16,
    registers: [u16; COUNT],
    /// Bytes of video memory.
    memory: u64,
}

/// Saved DISPI registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DispiState {
    index: u16,
    registers: [u16; COUNT],
}

/// A DISPI mode that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) width: u32,
    pub(super) height: u32,
    /// 4, 8, 15, 16, 24 or 32.
    pub(super) bpp: u16,
    /// Bytes from the start of memory to the first pixel.
    pub(super) start: u64,
    /// Bytes from line to line.
    pub(super) stride: u32,
}

impl Dispi {
    /// Registers at power-on, over `memory` bytes of video memory.
    pub(super) fn new(memory: u64) -> Self {
        let mut registers = [0; COUNT];
        registers[ID] = ID_LAST;
        Self { index: 0, registers, memory }
    }

    pub(super) fn index(&self) -> u16 {
        self.index
    }

    pub(super) fn set_index(&mut self, index: u16) {
        self.index = index;
    }

    fn is_enabled(&self) -> bool {
        self.registers[ENABLE] & ENABLED != 0
    }

    pub(super) fn eight_bit_dac(&self) -> bool {
        self.registers[ENABLE] & EIGHT_BIT_DAC != 0
    }

    /// Bytes that the window at A0000 is moved by.
    pub(super) fn bank(&self) -> u64 {
        if self.is_enabled() { u64::from(self.registers[BANK]) << 16 } else { 0 }
    }

    /// The mode that is on.
    pub(super) fn mode(&self) -> Option<Mode> {
        let r = &self.registers;
        self.is_enabled().then(|| Mode {
            width: r[X_RES].into(),
            height: r[Y_RES].into(),
            bpp: r[BPP],
            start: self.start(),
            stride: self.stride(),
        })
    }

    /// The register that the index names.
    pub(super) fn read(&self) -> u16 {
        let caps = self.registers[ENABLE] & GET_CAPS != 0;
        match usize::from(self.index) {
            X_RES if caps => MAX_X,
            Y_RES if caps => MAX_Y,
            BPP if caps => MAX_BPP,
            index if index < COUNT => self.registers[index],
            _ if self.index == VIDEO_MEMORY_64K => u16::try_from(self.memory >> 16).unwrap_or(u16::MAX),
            _ => 0,
        }
    }

    /// Writes the register that the index names. Gives how many bytes of memory a mode that was just switched on wants cleared.
    pub(super) fn write(&mut self, value: u16, vga: &mut Registers) -> Option<u64> {
        let index = usize::from(self.index);
        match index {
            ID if (ID_FIRST..=ID_LAST).contains(&value) => self.registers[ID] = value,
            X_RES | Y_RES | BPP | VIRT_WIDTH | X_OFFSET | Y_OFFSET => {
                self.registers[index] = value;
                if self.is_enabled() {
                    self.correct();
                }
            }
            BANK => {
                let banks = (self.memory >> 16).clamp(1, 1 << 16);
                self.registers[BANK] = value & (banks - 1) as u16;
            }
            ENABLE => {
                let switched_on = value & ENABLED != 0 && !self.is_enabled();
                self.registers[ENABLE] = value;
                if switched_on {
                    self.registers[VIRT_WIDTH] = 0;
                    self.registers[X_OFFSET] = 0;
                    self.registers[Y_OFFSET] = 0;
                    self.correct();
                    self.program(vga);
                    let bytes = u64::from(self.stride()) * u64::from(self.registers[Y_RES]);
                    return (value & NO_CLEAR == 0).then_some(bytes);
                }
            }
            _ => {}
        }
        None
    }

    /// Bits of memory that a pixel takes.
    fn bits(&self) -> u32 {
        match self.registers[BPP] {
            15 => 16,
            bpp => bpp.into(),
        }
    }

    fn stride(&self) -> u32 {
        u32::from(self.registers[VIRT_WIDTH]) * self.bits() / 8
    }

    fn start(&self) -> u64 {
        u64::from(self.registers[X_OFFSET]) * u64::from(self.bits()) / 8
            + u64::from(self.registers[Y_OFFSET]) * u64::from(self.stride())
    }

    /// Brings the registers to a mode that lies in memory.
    fn correct(&mut self) {
        let r = &mut self.registers;
        if !matches!(r[BPP], 4 | 8 | 15 | 16 | 24 | 32) {
            r[BPP] = 8;
        }
        r[X_RES] = (r[X_RES] & !7).clamp(8, MAX_X);
        r[VIRT_WIDTH] = (r[VIRT_WIDTH] & !7).clamp(r[X_RES], MAX_X);
        let lines = self.memory / u64::from(self.stride()).max(1);
        let lines = u16::try_from(lines).unwrap_or(u16::MAX).max(1);
        let r = &mut self.registers;
        r[Y_RES] = r[Y_RES].clamp(1, MAX_Y.min(lines));
        r[VIRT_HEIGHT] = lines;
        r[X_OFFSET] = r[X_OFFSET].min(MAX_X);
        r[Y_OFFSET] = r[Y_OFFSET].min(MAX_Y);
        for offset in [Y_OFFSET, X_OFFSET] {
            let picture = u64::from(self.stride()) * u64::from(self.registers[Y_RES]);
            if self.start() + picture > self.memory {
                self.registers[offset] = 0;
            }
        }
    }

    /// Sets up the VGA so that a guest that goes on with its registers finds the mode it is in, and the window at A0000 reaches
    /// the same bytes as the linear framebuffer.
    fn program(&self, vga: &mut Registers) {
        let last = u32::from(self.registers[Y_RES]) - 1;
        let columns = self.registers[X_RES] / 8;
        vga.graphics[graphics::MISC] = vga.graphics[graphics::MISC] & !0x0c | 0x04 | graphics::GRAPHICS;
        vga.crtc[crtc::MODE] |= 3;
        vga.crtc[crtc::OFFSET] = (self.stride() >> 3) as u8;
        vga.crtc[crtc::H_DISPLAY_END] = (columns - 1) as u8;
        vga.crtc[crtc::V_DISPLAY_END] = last as u8;
        // Line compare goes beyond the end, so bit 8 of it is set too.
        let overflow = vga.crtc[crtc::OVERFLOW] & !0x42 | 0x10;
        vga.crtc[crtc::OVERFLOW] = overflow | (last >> 7 & 0x02) as u8 | (last >> 3 & 0x40) as u8;
        vga.crtc[crtc::LINE_COMPARE] = 0xff;
        vga.crtc[crtc::MAX_SCAN_LINE] = vga.crtc[crtc::MAX_SCAN_LINE] & 0x60 | 0x40;
        vga.graphics[graphics::MODE] &= !(graphics::INTERLEAVED | graphics::COLORS_256);
        if self.registers[BPP] == 4 {
            vga.sequencer[sequencer::CLOCKING] &= !sequencer::HALF_CLOCK;
            vga.sequencer[sequencer::MEMORY_MODE] &= !sequencer::CHAIN_4;
        } else {
            vga.graphics[graphics::MODE] |= graphics::COLORS_256;
            vga.sequencer[sequencer::MEMORY_MODE] |= sequencer::CHAIN_4;
            vga.sequencer[sequencer::MAP_MASK] |= 0x0f;
        }
    }

    pub(super) fn save(&self) -> DispiState {
        let Self { index, registers, memory: _ } = self;
        DispiState { index: *index, registers: *registers }
    }

    /// Takes a state over the same memory. `None` when it is impossible.
    pub(super) fn restored(&self, saved: DispiState) -> Option<Self> {
        let DispiState { index, registers } = saved;
        let new = Self { index, registers, memory: self.memory };
        let mut corrected = new.clone();
        if new.is_enabled() {
            corrected.correct();
        }
        (corrected == new && (ID_FIRST..=ID_LAST).contains(&registers[ID])).then_some(new)
    }
}
