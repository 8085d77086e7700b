//! The identity that our monitor gives of itself: VESA Enhanced EDID Standard, release A revision 2 (EDID 1.4), base block only.

use serde::{Deserialize, Serialize};

/// Bytes of the block.
pub const EDID_BYTES: usize = 128;

/// The picture that the person's screen has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplaySize {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Millimetres, 0 when unknown.
    pub width_mm: u32,
    /// Millimetres, 0 when unknown.
    pub height_mm: u32,
}

impl Default for DisplaySize {
    fn default() -> Self {
        Self { width: 1280, height: 800, width_mm: 0, height_mm: 0 }
    }
}

/// The largest active size a detailed timing descriptor can say.
const MAX_ACTIVE: u32 = 4095;
/// Horizontal and vertical blanking of our timing, like CVT reduced blanking.
const H_BLANK: u32 = 160;
const V_BLANK: u32 = 35;
const REFRESH_HZ: u64 = 60;
/// The pixel clock's register counts 10 kHz in 16 bits.
const MAX_CLOCK: u64 = 0xffff;
/// What a display of unknown size is taken for, in dots per inch.
const DEFAULT_DPI: u32 = 96;

/// The block of a monitor that prefers `size`. Sizes beyond what the timing descriptor can hold are cut to it.
pub fn edid(size: DisplaySize) -> [u8; EDID_BYTES] {
    let width = size.width.clamp(64, MAX_ACTIVE);
    let height = size.height.clamp(64, MAX_ACTIVE);
    let mm = |given: u32, pixels: u32| if given == 0 { pixels * 254 / (DEFAULT_DPI * 10) } else { given }.min(4095);
    let (width_mm, height_mm) = (mm(size.width_mm, width), mm(size.height_mm, height));

    let mut block = [0; EDID_BYTES];
    block[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    block[8..10].copy_from_slice(&manufacturer(*b"DRM").to_be_bytes());
    block[10..12].copy_from_slice(&1u16.to_le_bytes());
    // Model year rather than week and year of manufacture: 2025.
    block[16] = 0xff;
    block[17] = (2025 - 1990) as u8;
    // Version 1.4; digital, 8 bits a colour, DisplayPort.
    block[18..21].copy_from_slice(&[1, 4, 0b1010_0101]);
    block[21] = (width_mm / 10).clamp(1, 255) as u8;
    block[22] = (height_mm / 10).clamp(1, 255) as u8;
    // Gamma 2.2; sRGB, and the first timing is the native one.
    block[23..25].copy_from_slice(&[120, 0b0000_0110]);
    // sRGB primaries and white point as the standard's table gives them.
    block[25..35].copy_from_slice(&[0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54]);
    // Established timings: 640x480, 800x600 and 1024x768 at 60 Hz.
    block[35..38].copy_from_slice(&[0b0010_0001, 0b0000_1000, 0]);
    let standard = [(1920, Ratio::R16x9), (1680, Ratio::R16x10), (1600, Ratio::R16x9), (1440, Ratio::R16x10)]
        .into_iter()
        .chain([(1366 / 8 * 8, Ratio::R16x9), (1280, Ratio::R5x4), (1280, Ratio::R16x10), (1280, Ratio::R16x9)]);
    for (i, (width, ratio)) in standard.enumerate() {
        block[38 + 2 * i] = (width / 8 - 31) as u8;
        block[39 + 2 * i] = (ratio as u8) << 6;
    }
    block[54..72].copy_from_slice(&detailed_timing(width, height, width_mm, height_mm));
    // Range limits: 50 to 75 Hz, 30 to 160 kHz, 600 MHz; no secondary timing formula.
    let ranges = [50, 75, 30, 160, 60, 1, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20];
    block[72..90].copy_from_slice(&descriptor(0xfd, ranges));
    block[90..108].copy_from_slice(&descriptor(0xfc, *b"Dormer\n      "));
    // A dummy descriptor fills the last place.
    block[108..126].copy_from_slice(&descriptor(0x10, [0; 13]));
    let sum = block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    block[127] = sum.wrapping_neg();
    block
}

/// Aspect ratio of a standard timing.
enum Ratio {
    R16x10 = 0,
    R5x4 = 2,
    R16x9 = 3,
}

/// Three letters, five bits each.
fn manufacturer(letters: [u8; 3]) -> u16 {
    letters.iter().fold(0, |id, letter| id << 5 | u16::from(letter - b'A' + 1))
}

fn descriptor(tag: u8, data: [u8; 13]) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[3] = tag;
    bytes[5..].copy_from_slice(&data);
    bytes
}

fn detailed_timing(width: u32, height: u32, width_mm: u32, height_mm: u32) -> [u8; 18] {
    let (front, sync) = (48u32, 32u32);
    let (v_front, v_sync) = (3u32, 5u32);
    let clock = u64::from(width + H_BLANK) * u64::from(height + V_BLANK) * REFRESH_HZ / 10_000;
    let [clock_low, clock_high] = (clock.min(MAX_CLOCK) as u16).to_le_bytes();
    let high = |a: u32, b: u32| ((a >> 8 & 0xf) << 4 | b >> 8 & 0xf) as u8;
    [
        clock_low,
        clock_high,
        width as u8,
        H_BLANK as u8,
        high(width, H_BLANK),
        height as u8,
        V_BLANK as u8,
        high(height, V_BLANK),
        front as u8,
        sync as u8,
        (v_front << 4 | v_sync) as u8,
        0,
        width_mm as u8,
        height_mm as u8,
        high(width_mm, height_mm),
        0,
        0,
        // Digital separate sync, positive horizontally, negative vertically.
        0b0001_1010,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_size_asked_for() {
        let block = edid(DisplaySize { width: 2560, height: 1440, width_mm: 600, height_mm: 340 });
        assert_eq!(block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        assert_eq!(u32::from(block[56]) | u32::from(block[58] >> 4) << 8, 2560);
        assert_eq!(u32::from(block[59]) | u32::from(block[61] >> 4) << 8, 1440);
        assert_eq!((block[21], block[22]), (60, 34));
        assert_eq!(&block[95..101], b"Dormer");
    }

    #[test]
    fn takes_any_size() {
        for side in [0, 1, 4096, u32::MAX] {
            let block = edid(DisplaySize { width: side, height: side, width_mm: side, height_mm: side });
            assert_eq!(block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        }
    }
}
