//! The VGA's registers: miscellaneous output, sequencer, CRT controller, graphics controller, attribute controller.
//!
//! After IBM's *PS/2 Hardware Interface Technical Reference, Video Subsystem*. Ports 3B0–3BF answer while the miscellaneous
//! output register says monochrome, 3D0–3DF while it says colour.

use serde::{Deserialize, Serialize};

/// Bits of the miscellaneous output register.
pub(super) mod misc {
    /// CRTC at 3Dx rather than 3Bx.
    pub(crate) const COLOR: u8 = 1 << 0;
    /// The CPU reaches display memory.
    pub(crate) const RAM_ENABLE: u8 = 1 << 1;
}

/// Sequencer indexes and bits.
pub(super) mod sequencer {
    pub(crate) const CLOCKING: usize = 1;
    pub(crate) const MAP_MASK: usize = 2;
    pub(crate) const CHARACTER_MAP: usize = 3;
    pub(crate) const MEMORY_MODE: usize = 4;
    /// Clocking: characters are 8 rather than 9 dots wide.
    pub(crate) const EIGHT_DOTS: u8 = 1 << 0;
    /// Clocking: dots are twice as wide.
    pub(crate) const HALF_CLOCK: u8 = 1 << 3;
    /// Clocking: nothing is shown.
    pub(crate) const SCREEN_OFF: u8 = 1 << 5;
    /// Memory mode: CPU addresses go to all planes, not even ones to 0 and 2, odd ones to 1 and 3.
    pub(crate) const SEQUENTIAL: u8 = 1 << 2;
    /// Memory mode: the low two address bits choose the plane.
    pub(crate) const CHAIN_4: u8 = 1 << 3;
}

/// Graphics controller indexes and bits.
pub(super) mod graphics {
    pub(crate) const SET_RESET: usize = 0;
    pub(crate) const ENABLE_SET_RESET: usize = 1;
    pub(crate) const COLOR_COMPARE: usize = 2;
    pub(crate) const ROTATE: usize = 3;
    pub(crate) const READ_MAP: usize = 4;
    pub(crate) const MODE: usize = 5;
    pub(crate) const MISC: usize = 6;
    pub(crate) const COLOR_DONT_CARE: usize = 7;
    pub(crate) const BIT_MASK: usize = 8;
    /// Mode.
    pub(crate) const WRITE_MODE: u8 = 3;
    /// Mode.
    pub(crate) const READ_COMPARE: u8 = 1 << 3;
    /// Mode: reads take the plane from the low address bit.
    pub(crate) const ODD_EVEN: u8 = 1 << 4;
    /// Mode: two bits a pixel, as on a CGA.
    pub(crate) const INTERLEAVED: u8 = 1 << 5;
    /// Mode: a byte a pixel.
    pub(crate) const COLORS_256: u8 = 1 << 6;
    /// Misc: graphics rather than text.
    pub(crate) const GRAPHICS: u8 = 1 << 0;
}

/// CRT controller indexes.
pub(super) mod crtc {
    pub(crate) const H_DISPLAY_END: usize = 0x01;
    pub(crate) const V_TOTAL: usize = 0x06;
    pub(crate) const OVERFLOW: usize = 0x07;
    pub(crate) const PRESET_ROW: usize = 0x08;
    pub(crate) const MAX_SCAN_LINE: usize = 0x09;
    pub(crate) const CURSOR_START: usize = 0x0a;
    pub(crate) const CURSOR_END: usize = 0x0b;
    pub(crate) const START_HIGH: usize = 0x0c;
    pub(crate) const START_LOW: usize = 0x0d;
    pub(crate) const CURSOR_HIGH: usize = 0x0e;
    pub(crate) const CURSOR_LOW: usize = 0x0f;
    pub(crate) const V_RETRACE_START: usize = 0x10;
    pub(crate) const V_RETRACE_END: usize = 0x11;
    pub(crate) const V_DISPLAY_END: usize = 0x12;
    pub(crate) const OFFSET: usize = 0x13;
    pub(crate) const UNDERLINE: usize = 0x14;
    pub(crate) const MODE: usize = 0x17;
    pub(crate) const LINE_COMPARE: usize = 0x18;
    /// Registers there are.
    pub(crate) const COUNT: usize = 0x19;
    /// Vertical retrace end: registers 0 to 7 cannot be written.
    pub(super) const PROTECT: u8 = 1 << 7;
}

/// Attribute controller indexes and bits.
pub(super) mod attribute {
    pub(crate) const MODE: usize = 0x10;
    pub(crate) const PLANE_ENABLE: usize = 0x12;
    pub(crate) const PANNING: usize = 0x13;
    pub(crate) const COLOR_SELECT: usize = 0x14;
    /// Address: the display side has the palette; without it nothing is shown.
    pub(crate) const VIDEO_ENABLE: u8 = 1 << 5;
    /// Mode: text attributes as on a monochrome adapter.
    pub(crate) const MONOCHROME: u8 = 1 << 1;
    /// Mode: the ninth dot of line drawing characters repeats the eighth.
    pub(crate) const LINE_GRAPHICS: u8 = 1 << 2;
    /// Mode: attribute bit 7 blinks rather than brightening the background.
    pub(crate) const BLINK: u8 = 1 << 3;
    /// Mode: below the split line nothing is panned.
    pub(crate) const SPLIT_NO_PANNING: u8 = 1 << 5;
    /// Mode: palette bits 4 and 5 come from the color select register.
    pub(crate) const SELECT_BITS_54: u8 = 1 << 7;
}

/// Which bits exist, by index.
const SEQUENCER_BITS: [u8; 8] = [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0];
const GRAPHICS_BITS: [u8; 9] = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
/// Palette registers, then mode, overscan, plane enable, panning, color select.
const ATTRIBUTE_BITS: [u8; 21] = [
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f,
    0x0f, 0x0f,
];

/// A register of this file, as a port names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    AttributeAddress,
    AttributeData,
    /// Written: miscellaneous output. Read: input status 0.
    MiscOutput,
    SequencerIndex,
    SequencerData,
    FeatureRead,
    MiscRead,
    GraphicsIndex,
    GraphicsData,
    CrtcIndex,
    CrtcData,
    /// Written: feature control. Read: input status 1.
    Status1,
    /// One of the palette's four ports, 3C6 to 3C9.
    Dac(u8),
}

impl Port {
    /// What `port` (3B0–3DF) names while the adapter is in colour or in monochrome.
    pub(super) fn decode(port: u16, color: bool) -> Option<Self> {
        let port = match port {
            0x3d0..=0x3df if color => port - 0x20,
            0x3b0..=0x3bf if !color => port,
            0x3c0..=0x3cf => port,
            _ => return None,
        };
        Some(match port {
            0x3c0 => Self::AttributeAddress,
            0x3c1 => Self::AttributeData,
            0x3c2 => Self::MiscOutput,
            0x3c4 => Self::SequencerIndex,
            0x3c5 => Self::SequencerData,
            0x3c6..=0x3c9 => Self::Dac((port - 0x3c6) as u8),
            0x3ca => Self::FeatureRead,
            0x3cc => Self::MiscRead,
            0x3ce => Self::GraphicsIndex,
            0x3cf => Self::GraphicsData,
            0x3b4 => Self::CrtcIndex,
            0x3b5 => Self::CrtcData,
            0x3ba => Self::Status1,
            _ => return None,
        })
    }
}

/// All registers but the palette. Also their saved state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registers {
    pub(super) misc: u8,
    pub(super) feature: u8,
    pub(super) attribute_index: u8,
    /// The next write to 3C0 is data.
    pub(super) attribute_data: bool,
    pub(super) attribute: [u8; 21],
    pub(super) sequencer_index: u8,
    pub(super) sequencer: [u8; 8],
    pub(super) graphics_index: u8,
    pub(super) graphics: [u8; 9],
    pub(super) crtc_index: u8,
    pub(super) crtc: [u8; crtc::COUNT],
}

impl Registers {
    pub(super) fn is_color(&self) -> bool {
        self.misc & misc::COLOR != 0
    }

    /// A guest's read; `status1` is what input status 1 shows now.
    pub(super) fn read(&mut self, port: Port, status1: u8) -> u8 {
        match port {
            Port::AttributeAddress if self.attribute_data => 0,
            Port::AttributeAddress => self.attribute_index,
            Port::AttributeData => self.attribute.get(usize::from(self.attribute_index & 0x1f)).copied().unwrap_or(0),
            // Bit 4 is the monitor sense: a colour monitor is there.
            Port::MiscOutput => 0x10,
            Port::SequencerIndex => self.sequencer_index,
            Port::SequencerData => self.sequencer.get(usize::from(self.sequencer_index)).copied().unwrap_or(0),
            Port::FeatureRead => self.feature,
            Port::MiscRead => self.misc,
            Port::GraphicsIndex => self.graphics_index,
            Port::GraphicsData => self.graphics.get(usize::from(self.graphics_index)).copied().unwrap_or(0),
            Port::CrtcIndex => self.crtc_index,
            Port::CrtcData => self.crtc.get(usize::from(self.crtc_index)).copied().unwrap_or(0),
            Port::Status1 => {
                self.attribute_data = false;
                status1
            }
            Port::Dac(_) => 0xff,
        }
    }

    /// A guest's write.
    pub(super) fn write(&mut self, port: Port, value: u8) {
        match port {
            Port::AttributeAddress => {
                if self.attribute_data {
                    let index = usize::from(self.attribute_index & 0x1f);
                    if let Some(register) = self.attribute.get_mut(index) {
                        *register = value & ATTRIBUTE_BITS[index];
                    }
                } else {
                    self.attribute_index = value & 0x3f;
                }
                self.attribute_data = !self.attribute_data;
            }
            Port::MiscOutput => self.misc = value & !0x10,
            Port::SequencerIndex => self.sequencer_index = value & 7,
            Port::SequencerData => {
                let index = usize::from(self.sequencer_index);
                self.sequencer[index] = value & SEQUENCER_BITS[index];
            }
            Port::GraphicsIndex => self.graphics_index = value & 0x0f,
            Port::GraphicsData => {
                let index = usize::from(self.graphics_index);
                if let Some(register) = self.graphics.get_mut(index) {
                    *register = value & GRAPHICS_BITS[index];
                }
            }
            Port::CrtcIndex => self.crtc_index = value,
            Port::CrtcData => self.write_crtc(usize::from(self.crtc_index), value),
            Port::Status1 => self.feature = value & 0x10,
            Port::AttributeData | Port::FeatureRead | Port::MiscRead | Port::Dac(_) => {}
        }
    }

    fn write_crtc(&mut self, index: usize, value: u8) {
        /// The part of the overflow register that is never protected: line compare bit 8.
        const UNPROTECTED: u8 = 1 << 4;
        let protected = self.crtc[crtc::V_RETRACE_END] & crtc::PROTECT != 0 && index <= crtc::OVERFLOW;
        let Some(register) = self.crtc.get_mut(index) else { return };
        if !protected {
            *register = value;
        } else if index == crtc::OVERFLOW {
            *register = *register & !UNPROTECTED | value & UNPROTECTED;
        }
    }

    /// Are the saved values ones that writes could have left?
    pub(super) fn is_possible(&self) -> bool {
        let masked = |values: &[u8], bits: &[u8]| values.iter().zip(bits).all(|(value, bits)| value & !bits == 0);
        self.attribute_index <= 0x3f
            && self.sequencer_index <= 7
            && self.graphics_index <= 0x0f
            && masked(&self.attribute, &ATTRIBUTE_BITS)
            && masked(&self.sequencer, &SEQUENCER_BITS)
            && masked(&self.graphics, &GRAPHICS_BITS)
    }

    fn overflow(&self, bit: u8) -> u32 {
        (self.crtc[crtc::OVERFLOW] >> bit & 1).into()
    }

    /// Scan lines from one picture to the next.
    pub(super) fn vertical_total(&self) -> u32 {
        u32::from(self.crtc[crtc::V_TOTAL]) + (self.overflow(0) << 8) + (self.overflow(5) << 9) + 2
    }

    /// Scan lines shown.
    pub(super) fn vertical_display(&self) -> u32 {
        u32::from(self.crtc[crtc::V_DISPLAY_END]) + (self.overflow(1) << 8) + (self.overflow(6) << 9) + 1
    }

    /// The scan line at which vertical retrace begins.
    pub(super) fn retrace_start(&self) -> u32 {
        u32::from(self.crtc[crtc::V_RETRACE_START]) + (self.overflow(2) << 8) + (self.overflow(7) << 9)
    }

    /// The scan line after which the picture starts over at address 0.
    pub(super) fn line_compare(&self) -> u32 {
        let bit_9 = u32::from(self.crtc[crtc::MAX_SCAN_LINE] >> 6 & 1);
        u32::from(self.crtc[crtc::LINE_COMPARE]) + (self.overflow(4) << 8) + (bit_9 << 9)
    }

    /// The unit in the top left corner.
    pub(super) fn start_address(&self) -> u32 {
        u32::from(self.crtc[crtc::START_HIGH]) << 8 | u32::from(self.crtc[crtc::START_LOW])
    }

    /// The unit that the text cursor is on.
    pub(super) fn cursor_address(&self) -> u32 {
        u32::from(self.crtc[crtc::CURSOR_HIGH]) << 8 | u32::from(self.crtc[crtc::CURSOR_LOW])
    }
}
