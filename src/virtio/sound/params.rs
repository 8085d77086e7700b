//! What a stream's frames are like (VIRTIO 1.2 §5.14.6.6.3): from the driver's words to samples.

use ::sound::{Encoding, Shape};
use serde::{Deserialize, Serialize};

use super::protocol::{Direction, Status, word};
use crate::chain::Chain;

/// Sample formats by the specification's number.
pub(super) const FORMATS: [(u8, Encoding); 5] =
    [(4, Encoding::U8), (5, Encoding::S16), (15, Encoding::S24), (17, Encoding::S32), (19, Encoding::F32)];
/// The formats there are, in this device or another.
const ALL_FORMATS: u8 = 25;

/// Frame rates by the specification's number.
pub(super) const RATES: [(u8, u32); 12] = [
    (1, 8000),
    (2, 11_025),
    (3, 16_000),
    (4, 22_050),
    (5, 32_000),
    (6, 44_100),
    (7, 48_000),
    (8, 64_000),
    (9, 88_200),
    (10, 96_000),
    (11, 176_400),
    (12, 192_000),
];
/// The rates there are, in this device or another.
const ALL_RATES: u8 = 14;

/// Underruns and overruns are told.
const EVENT_XRUNS: u32 = 1 << 4;
/// What a stream of this device can do beside carrying frames in messages.
pub(super) const OFFERED: u32 = EVENT_XRUNS;
/// The stream features there are, in this device or another.
const ALL_FEATURES: u32 = 0x1f;

/// The parameters, as the driver wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Params {
    pub(super) buffer_bytes: u32,
    pub(super) period_bytes: u32,
    pub(super) features: u32,
    pub(super) channels: u8,
    pub(super) format: u8,
    pub(super) rate: u8,
}

impl Params {
    /// Reads them out of a request.
    pub(super) fn of(chain: &Chain) -> Result<Self, Status> {
        let (buffer_bytes, period_bytes, features) = (word(chain, 8)?, word(chain, 12)?, word(chain, 16)?);
        let [channels, format, rate, _padding] = word(chain, 20)?.to_le_bytes();
        Ok(Self { buffer_bytes, period_bytes, features, channels, format, rate })
    }
}

/// Parameters that a stream can obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) params: Params,
    pub(super) shape: Shape,
    pub(super) encoding: Encoding,
}

impl Settings {
    /// What `params` mean for a stream of `direction`. What no stream could obey is a bad message; what this one cannot is not
    /// supported.
    pub(super) fn of(params: Params, direction: Direction) -> Result<Self, Status> {
        let Params { buffer_bytes, period_bytes, features, channels, format, rate } = params;
        if features & !ALL_FEATURES != 0 || channels == 0 || format >= ALL_FORMATS || rate >= ALL_RATES {
            return Err(Status::BadMessage);
        }
        if period_bytes == 0 || buffer_bytes == 0 || !buffer_bytes.is_multiple_of(period_bytes) {
            return Err(Status::BadMessage);
        }
        if features & !OFFERED != 0 || channels > direction.max_channels() {
            return Err(Status::NotSupported);
        }
        let encoding = FORMATS.iter().find(|(number, _)| *number == format).ok_or(Status::NotSupported)?.1;
        let rate = RATES.iter().find(|(number, _)| *number == rate).ok_or(Status::NotSupported)?.1;
        let settings = Self { params, shape: Shape { rate, channels }, encoding };
        // A period ends between frames.
        match u64::from(period_bytes).is_multiple_of(settings.frame_bytes()) {
            true => Ok(settings),
            false => Err(Status::BadMessage),
        }
    }

    /// Bytes of a frame in guest memory.
    pub(super) fn frame_bytes(&self) -> u64 {
        u64::from(self.shape.channels) * self.encoding.bytes() as u64
    }

    /// Does the driver want to hear of underruns and overruns?
    pub(super) fn tells_xruns(&self) -> bool {
        self.params.features & EVENT_XRUNS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Params =
        Params { buffer_bytes: 7680, period_bytes: 1920, features: 0, channels: 2, format: 5, rate: 7 };

    fn refused(params: Params) -> Option<Status> {
        Settings::of(params, Direction::Output).err()
    }

    #[test]
    fn every_format_and_rate() {
        for (format, encoding) in FORMATS {
            for (rate, frames) in RATES {
                for channels in 1..=8 {
                    let period_bytes = 96 * u32::from(channels) * encoding.bytes() as u32;
                    let buffer_bytes = 4 * period_bytes;
                    let params = Params { buffer_bytes, period_bytes, channels, format, rate, ..GOOD };
                    let settings = Settings::of(params, Direction::Output).unwrap();
                    assert_eq!(settings.shape, Shape { rate: frames, channels });
                    assert_eq!(settings.encoding, encoding);
                    assert_eq!(settings.frame_bytes() * 96, u64::from(period_bytes));
                    assert_eq!(Settings::of(params, Direction::Input).is_ok(), channels <= 2);
                }
            }
        }
    }

    #[test]
    fn impossible_parameters() {
        for params in [
            Params { period_bytes: 0, ..GOOD },
            Params { buffer_bytes: 0, ..GOOD },
            Params { buffer_bytes: 0, period_bytes: 0, ..GOOD },
            Params { buffer_bytes: 1920 * 3 + 4, ..GOOD },
            Params { buffer_bytes: 960, ..GOOD },
            Params { buffer_bytes: 1922 * 4, period_bytes: 1922, ..GOOD },
            Params { buffer_bytes: 3, period_bytes: 1, ..GOOD },
            Params { features: 1 << 5, ..GOOD },
            Params { features: u32::MAX, ..GOOD },
            Params { channels: 0, ..GOOD },
            Params { format: 25, ..GOOD },
            Params { format: 255, ..GOOD },
            Params { rate: 14, ..GOOD },
            Params { rate: 255, ..GOOD },
        ] {
            assert_eq!(refused(params), Some(Status::BadMessage), "{params:?}");
        }
    }

    #[test]
    fn parameters_for_others() {
        for params in [
            Params { features: 1, ..GOOD },
            Params { features: 2, ..GOOD },
            Params { features: 4, ..GOOD },
            Params { features: 0x18, ..GOOD },
            Params { channels: 9, ..GOOD },
            Params { channels: 255, ..GOOD },
            Params { format: 0, ..GOOD },
            Params { format: 24, ..GOOD },
            Params { rate: 0, ..GOOD },
            Params { rate: 13, ..GOOD },
        ] {
            assert_eq!(refused(params), Some(Status::NotSupported), "{params:?}");
        }
        assert_eq!(refused(GOOD), None);
        assert_eq!(refused(Params { features: EVENT_XRUNS, ..GOOD }), None);
        // The last whole frame below 4 GiB.
        assert_eq!(refused(Params { buffer_bytes: u32::MAX - 3, period_bytes: u32::MAX - 3, ..GOOD }), None);
    }
}
