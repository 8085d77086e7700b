//! What the registers say stands on the screen: size, memory layout, colours.

use super::dac::Dac;
use super::dispi::{Dispi, Mode};
use super::registers::{Registers, attribute, crtc, graphics, sequencer};

/// Units that an IBM VGA's address counter reaches.
const VGA_UNITS: u32 = 0x1_0000;
/// Units of the font maps that the character map register names.
const FONT_MAPS: [u32; 8] = [0, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000];
/// Smaller than any mode: the registers have not been programmed.
const SMALLEST: (u32, u32) = (64, 16);

/// A picture to be drawn. Two equal pictures differ only by what memory holds, and by the text cursor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    /// Pixels.
    pub(super) width: u32,
    /// Pixels.
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// The palette, 0x00RRGGBB.
    pub(super) colors: [u32; 256],
    /// The colours of the sixteen values that four planes can have.
    pub(super) inks: [u32; 16],
}

/// How memory is to be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layout {
    /// The screen is switched off: all black.
    Blank,
    /// Characters.
    Text(Scan, Text),
    /// A bit in each plane; eight pixels a unit.
    Planar(Scan),
    /// Two bits a pixel in planes 0 then 1, and two more in 2 then 3; eight pixels a unit.
    Interleaved(Scan),
    /// A byte a pixel, two dots wide; four pixels a unit.
    Colors256(Scan),
    /// Lines of pixels one after the other.
    Linear(Mode),
}

/// How the CRT controller walks through memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scan {
    /// Units in a line.
    pub(super) columns: u32,
    /// Dots are two pixels wide.
    pub(super) half_clock: bool,
    /// Address counters wrap here: a power of two.
    pub(super) wrap: u32,
    start: u32,
    /// Units from one row to the next.
    pitch: u32,
    /// Scan lines of a row.
    row_height: u32,
    /// Every scan line is shown twice.
    doubled: bool,
    first_row: u32,
    line_compare: u32,
    /// Dots that lines are moved to the left by.
    panning: u32,
    split_panning: u32,
    /// Address bits that the low bits of the line in its row take the place of.
    row_bits: [u32; 2],
}

/// How characters are drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    /// Dots: 8 or 9.
    pub(super) cell_width: u32,
    /// The first units of the fonts for attribute bit 3 clear and set.
    pub(super) fonts: [u32; 2],
    pub(super) blinks: bool,
    pub(super) line_graphics: bool,
    /// The line in a row at which monochrome attributes underline.
    pub(super) underline: Option<u32>,
}

/// One scan line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where its first unit is.
    pub(super) unit: u32,
    /// Which line of its row it is.
    pub(super) row: u32,
    /// Dots to leave out at the left.
    pub(super) panning: u32,
}

impl Picture {
    /// What stands on the screen; `None` before any mode was set.
    pub(super) fn of(registers: &Registers, dac: &Dac, dispi: &Dispi) -> Option<Self> {
        let colors = dac.colors(dispi.eight_bit_dac());
        let inks = inks(registers, &colors);
        let video = registers.attribute_index & attribute::VIDEO_ENABLE != 0;
        let mode = dispi.mode();
        let (width, height, layout) = match mode {
            Some(mode) => {
                let layout = if mode.bpp == 4 { Layout::Planar(Scan::dispi(&mode)) } else { Layout::Linear(mode) };
                (mode.width, mode.height, layout)
            }
            None => vga(registers),
        };
        if mode.is_none() && (width < SMALLEST.0 || height < SMALLEST.1) {
            return None;
        }
        let off = mode.is_none() && registers.sequencer[sequencer::CLOCKING] & sequencer::SCREEN_OFF != 0;
        let layout = if video && !off { layout } else { Layout::Blank };
        Some(Self { width, height, layout, colors, inks })
    }
}

fn vga(registers: &Registers) -> (u32, u32, Layout) {
    let mode = registers.graphics[graphics::MODE];
    let scan = Scan::vga(registers);
    let is_graphics = registers.graphics[graphics::MISC] & graphics::GRAPHICS != 0;
    let text = Text::of(registers);
    let dots = if is_graphics { 8 } else { text.cell_width };
    let width = (scan.columns * dots) << u32::from(scan.half_clock);
    let layout = match is_graphics {
        false => Layout::Text(scan, text),
        true if mode & graphics::COLORS_256 != 0 => Layout::Colors256(scan),
        true if mode & graphics::INTERLEAVED != 0 => Layout::Interleaved(scan),
        true => Layout::Planar(scan),
    };
    (width, registers.vertical_display(), layout)
}

/// Four planes → palette registers → DAC.
fn inks(registers: &Registers, colors: &[u32; 256]) -> [u32; 16] {
    let attribute = &registers.attribute;
    let select = attribute[attribute::COLOR_SELECT];
    let whole = attribute[attribute::MODE] & attribute::SELECT_BITS_54 != 0;
    std::array::from_fn(|value| {
        let entry = attribute[value & usize::from(attribute[attribute::PLANE_ENABLE] & 0x0f)];
        let color = if whole { select << 4 | entry & 0x0f } else { (select & 0x0c) << 4 | entry };
        colors[usize::from(color)]
    })
}

impl Scan {
    fn vga(registers: &Registers) -> Self {
        let crtc = &registers.crtc;
        let is_text = registers.graphics[graphics::MISC] & graphics::GRAPHICS == 0;
        let max_scan = crtc[crtc::MAX_SCAN_LINE];
        let nine_dots = is_text && registers.sequencer[sequencer::CLOCKING] & sequencer::EIGHT_DOTS == 0;
        let panning = match u32::from(registers.attribute[attribute::PANNING]) {
            // With nine dots the register counts from 8, which means none.
            pan if nine_dots => {
                if pan >= 8 {
                    0
                } else {
                    pan + 1
                }
            }
            pan => pan & 7,
        };
        let resets = registers.attribute[attribute::MODE] & attribute::SPLIT_NO_PANNING != 0;
        // In byte mode the counter is the address, in word mode it is half of it.
        let first = if crtc[crtc::MODE] & 0x40 != 0 { 13 } else { 12 };
        let row_bit = |n: u32| if is_text || crtc[crtc::MODE] >> n & 1 != 0 { 0 } else { 1 << (first + n) };
        Self {
            columns: u32::from(crtc[crtc::H_DISPLAY_END]) + 1,
            half_clock: registers.sequencer[sequencer::CLOCKING] & sequencer::HALF_CLOCK != 0,
            wrap: VGA_UNITS,
            start: registers.start_address() + u32::from(crtc[crtc::PRESET_ROW] >> 5 & 3),
            pitch: u32::from(crtc[crtc::OFFSET]) * 2,
            row_height: u32::from(max_scan & 0x1f) + 1,
            doubled: max_scan & 0x80 != 0,
            first_row: (crtc[crtc::PRESET_ROW] & 0x1f).into(),
            line_compare: registers.line_compare(),
            panning,
            split_panning: if resets { 0 } else { panning },
            row_bits: [row_bit(0), row_bit(1)],
        }
    }

    /// A planar DISPI mode.
    fn dispi(mode: &Mode) -> Self {
        Self {
            columns: mode.width / 8,
            half_clock: false,
            wrap: 1 << 30,
            start: (mode.start / 4) as u32,
            pitch: mode.stride / 4,
            row_height: 1,
            doubled: false,
            first_row: 0,
            line_compare: u32::MAX,
            panning: 0,
            split_panning: 0,
            row_bits: [0; 2],
        }
    }

    /// The scan lines of a picture `height` high.
    pub(super) fn lines(&self, height: u32) -> Vec<Line> {
        let mut lines = Vec::with_capacity(height as usize);
        let (mut base, mut row, mut panning) = (self.start, self.first_row.min(self.row_height - 1), self.panning);
        let mut again = self.doubled;
        for y in 0..height {
            let mut unit = base;
            for (n, bit) in self.row_bits.into_iter().enumerate().filter(|(_, bit)| *bit != 0) {
                unit = unit & !bit | if row >> n & 1 != 0 { bit } else { 0 };
            }
            lines.push(Line { unit: unit & (self.wrap - 1), row, panning });
            if y == self.line_compare {
                (base, row, panning, again) = (0, 0, self.split_panning, self.doubled);
                continue;
            }
            if again {
                again = false;
                continue;
            }
            again = self.doubled;
            row += 1;
            if row >= self.row_height {
                row = 0;
                base = base.wrapping_add(self.pitch) & (self.wrap - 1);
            }
        }
        lines
    }
}

impl Text {
    fn of(registers: &Registers) -> Self {
        let maps = registers.sequencer[sequencer::CHARACTER_MAP];
        let map = |low: u8, high: u8| FONT_MAPS[usize::from(maps >> low & 3 | (maps >> high & 1) << 2)];
        let mode = registers.attribute[attribute::MODE];
        let underline = u32::from(registers.crtc[crtc::UNDERLINE] & 0x1f);
        Self {
            cell_width: if registers.sequencer[sequencer::CLOCKING] & sequencer::EIGHT_DOTS != 0 { 8 } else { 9 },
            fonts: [map(0, 4), map(2, 5)],
            blinks: mode & attribute::BLINK != 0,
            line_graphics: mode & attribute::LINE_GRAPHICS != 0,
            underline: (mode & attribute::MONOCHROME != 0).then_some(underline),
        }
    }
}
