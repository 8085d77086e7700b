//! The legacy window A0000–BFFFF: how the graphics controller and the sequencer lead CPU accesses to the planes.
//!
//! Chained and odd/even addresses are packed: four (two) neighbouring CPU addresses share a unit, and the next four the next one.
//! The display side counts units alike, so CRTC word and doubleword modes need no address shuffling there.

use super::registers::{Registers, graphics, misc, sequencer};
use super::vram::Vram;

/// What the window needs besides registers: the read latch, and which 64 KiB bank of a DISPI mode shows at A0000.
pub(super) struct Window<'a> {
    pub(super) registers: &'a Registers,
    pub(super) vram: &'a mut Vram,
    pub(super) latch: &'a mut u32,
    /// Bytes added to addresses at A0000.
    pub(super) bank: u64,
}

/// Each set bit of a plane mask as a byte of ones.
const fn spread(planes: u8) -> u32 {
    let mut bytes = 0;
    let mut plane = 0;
    while plane < 4 {
        if planes >> plane & 1 != 0 {
            bytes |= 0xff << (8 * plane);
        }
        plane += 1;
    }
    bytes
}

/// One byte in all four planes.
const fn repeat(byte: u8) -> u32 {
    byte as u32 * 0x0101_0101
}

impl Window<'_> {
    /// The address in display memory, `None` where the window does not answer.
    fn address(&self, offset: u64) -> Option<u64> {
        if self.registers.misc & misc::RAM_ENABLE == 0 {
            return None;
        }
        match self.registers.graphics[graphics::MISC] >> 2 & 3 {
            0 => Some(offset & 0x1ffff),
            1 => (offset < 0x10000).then(|| offset + self.bank),
            2 => (0x10000..0x18000).contains(&offset).then(|| offset - 0x10000),
            _ => (0x18000..0x20000).contains(&offset).then(|| offset - 0x18000),
        }
    }

    /// Reads one byte at `offset` from A0000.
    pub(super) fn read(&mut self, offset: u64) -> u8 {
        let Some(address) = self.address(offset) else { return 0xff };
        let graphics = &self.registers.graphics;
        if self.registers.sequencer[sequencer::MEMORY_MODE] & sequencer::CHAIN_4 != 0 {
            *self.latch = self.vram.unit(address >> 2);
            return self.vram.byte(address);
        }
        let plane = graphics[graphics::READ_MAP] & 3;
        if graphics[graphics::MODE] & graphics::ODD_EVEN != 0 {
            *self.latch = self.vram.unit(address >> 1);
            let plane = plane & 2 | (address & 1) as u8;
            return (*self.latch >> (8 * plane)) as u8;
        }
        *self.latch = self.vram.unit(address);
        if graphics[graphics::MODE] & graphics::READ_COMPARE == 0 {
            return (*self.latch >> (8 * plane)) as u8;
        }
        // A bit of the result is set where all planes that are cared for have the compared colour.
        let differs =
            (*self.latch ^ spread(graphics[graphics::COLOR_COMPARE])) & spread(graphics[graphics::COLOR_DONT_CARE]);
        let [a, b, c, d] = differs.to_le_bytes();
        !(a | b | c | d)
    }

    /// Writes one byte at `offset` from A0000.
    pub(super) fn write(&mut self, offset: u64, value: u8) {
        let Some(address) = self.address(offset) else { return };
        let planes = self.registers.sequencer[sequencer::MAP_MASK];
        let memory_mode = self.registers.sequencer[sequencer::MEMORY_MODE];
        if memory_mode & sequencer::CHAIN_4 != 0 {
            if planes >> (address & 3) & 1 != 0 {
                self.vram.set_byte(address, value);
            }
        } else if memory_mode & sequencer::SEQUENTIAL == 0 {
            let parity = if address & 1 == 0 { 0b0101 } else { 0b1010 };
            self.write_planes(address >> 1, planes & parity, value);
        } else {
            self.write_planes(address, planes, value);
        }
    }

    fn write_planes(&mut self, unit: u64, planes: u8, value: u8) {
        let graphics = &self.registers.graphics;
        let rotated = value.rotate_right((graphics[graphics::ROTATE] & 7).into());
        let set = spread(graphics[graphics::SET_RESET]);
        let mask = graphics[graphics::BIT_MASK];
        let new = match graphics[graphics::MODE] & graphics::WRITE_MODE {
            0 => {
                let enabled = spread(graphics[graphics::ENABLE_SET_RESET]);
                self.combine(repeat(rotated) & !enabled | set & enabled, mask)
            }
            1 => *self.latch,
            2 => self.combine(spread(value), mask),
            _ => self.combine(set, mask & rotated),
        };
        self.vram.change_unit(unit, new, spread(planes));
    }

    /// The logical unit, then the bit mask, both against the latch.
    fn combine(&self, data: u32, mask: u8) -> u32 {
        let latch = *self.latch;
        let result = match self.registers.graphics[graphics::ROTATE] >> 3 & 3 {
            0 => data,
            1 => data & latch,
            2 => data | latch,
            _ => data ^ latch,
        };
        let mask = repeat(mask);
        result & mask | latch & !mask
    }
}
