//! What a stream's samples are like, as the format register and the converters' format verb say it (High Definition Audio 1.0a
//! §3.7.1).

use crate::Encoding;

/// Rates of converters, as the bits of their PCM parameter count them (§7.3.4.7).
pub(super) const RATES: [u32; 11] =
    [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

/// What can be written of a stream's register.
pub(super) const FORMAT_BITS: u32 = 0x7f7f;

/// A format that converters can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Frames a second.
    pub(super) rate: u32,
    /// Samples of a frame, 1 to 16.
    pub(super) channels: usize,
    /// Samples in memory.
    pub(super) encoding: Encoding,
}

impl Format {
    /// What a register's value says; `None` when no converter here can take it.
    pub(super) fn of(register: u32) -> Option<Self> {
        let base = if register & 1 << 14 == 0 { 48_000 } else { 44_100 };
        let multiple = (register >> 11 & 7) + 1;
        let divisor = (register >> 8 & 7) + 1;
        let product = base * multiple;
        let rate = (multiple <= 4 && product.is_multiple_of(divisor)).then_some(product / divisor)?;
        let encoding = match register >> 4 & 7 {
            1 => Encoding::S16,
            // 20 and 24 bits stand in the high part of 32.
            2..=4 => Encoding::S32,
            _ => return None,
        };
        let channels = (register as usize & 0xf) + 1;
        RATES.contains(&rate).then_some(Self { rate, channels, encoding })
    }

    /// Bytes of a frame.
    pub(super) fn frame(self) -> usize {
        self.channels * self.encoding.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_write() {
        let format = |rate, channels, encoding| Some(Format { rate, channels, encoding });
        assert_eq!(Format::of(0x0011), format(48_000, 2, Encoding::S16));
        assert_eq!(Format::of(0x4011), format(44_100, 2, Encoding::S16));
        assert_eq!(Format::of(0x0831), format(96_000, 2, Encoding::S32));
        assert_eq!(Format::of(0x1841), format(192_000, 2, Encoding::S32));
        assert_eq!(Format::of(0x0510), format(8_000, 1, Encoding::S16));
        assert_eq!(Format::of(0x4310), format(11_025, 1, Encoding::S16));
        // 32 kHz is two thirds of 48.
        assert_eq!(Format::of(0x0a21), format(32_000, 2, Encoding::S32));
        for absurd in [0x0001, 0x0051, 0x2011, 0x0711, 0x4611, 0x0411] {
            assert_eq!(Format::of(absurd), None, "{absurd:#x}");
        }
    }

    #[test]
    fn every_rate_can_be_said() {
        for rate in RATES {
            assert!((0..=FORMAT_BITS).any(|bits| Format::of(bits).is_some_and(|format| format.rate == rate)), "{rate}");
        }
    }
}
