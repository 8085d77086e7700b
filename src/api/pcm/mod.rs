//! Sound between an engine and a console: rings of frames in memory that both map, and bells.
//!
//! A [`Ring`] is a memfd that the engine makes and seals: a page with the [`Layout`] and both sides' counters, then frames of interleaved
//! full-scale `i32`. One side writes frames ([`Producer`]), the other reads them ([`Consumer`]); each counts its frames since the ring was
//! made, and never its position. Who reads has the clock: it rings the [`Bell`] when it has read, and its peer fills up what is missing.
//! A microphone's ring is turned around, and there it is who writes that rings.
//!
//! Neither side trusts the other. Each believes its own counter, which it does not keep in shared memory, and takes a distance from
//! the other's that cannot be for a ring with nothing to do: full for a producer, empty for a consumer. Positions come from the
//! counters by a mask, so none is outside. A bell is a socket, on which every single call can be told not to wait; an eventfd's own
//! flag would be the other side's to change.

mod bell;
mod ring;

use serde::{Deserialize, Serialize};

pub use bell::{Bell, Heard};
pub use ring::{Consumer, Producer, Ring};

/// What a ring's frames are like, and how many it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Frames a second.
    pub rate: u32,
    /// Samples of a frame: front left and right, rear left and right, centre, low frequencies, side left and right.
    pub channels: u8,
    /// A power of two.
    pub frames: u32,
}

/// What a message offers: the ring is its first descriptor, a bell the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The engine's number for it; one that is offered again takes the place of the one before.
    pub stream: u32,
    /// What the ring holds.
    pub layout: Layout,
}

/// Rates that streams have.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Most channels.
pub const MAX_CHANNELS: u8 = 8;
/// Most frames of a ring.
pub const MAX_FRAMES: u32 = 1 << 17;
/// Fewest.
pub const MIN_FRAMES: u32 = 256;
/// A ring holds at least this part of a second: a fifth.
const PART_OF_A_SECOND: u32 = 5;

/// Why a ring is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRing(pub &'static str);

impl Layout {
    /// A ring for a fifth of a second and more.
    pub fn new(rate: u32, channels: u8) -> Result<Self, BadRing> {
        let frames = (rate.min(*RATES.end()) / PART_OF_A_SECOND).next_power_of_two().max(MIN_FRAMES);
        Self { rate, channels, frames }.checked()
    }

    /// Can it be?
    pub fn checked(self) -> Result<Self, BadRing> {
        if !RATES.contains(&self.rate) {
            return Err(BadRing("a ring of sound at an impossible rate"));
        }
        if !(1..=MAX_CHANNELS).contains(&self.channels) {
            return Err(BadRing("a ring of sound with an impossible number of channels"));
        }
        if !self.frames.is_power_of_two() || !(MIN_FRAMES..=MAX_FRAMES).contains(&self.frames) {
            return Err(BadRing("a ring of sound of an impossible size"));
        }
        Ok(self)
    }

    /// Frames of so many milliseconds, at least one.
    pub fn frames_in(self, milliseconds: u32) -> u32 {
        u32::try_from(u64::from(self.rate) * u64::from(milliseconds) / 1000).unwrap_or(u32::MAX).max(1)
    }

    /// Samples in the ring.
    fn samples(self) -> usize {
        self.frames as usize * usize::from(self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_hold_a_fifth_of_a_second() {
        for (rate, frames) in [(8_000, 2048), (44_100, 16384), (48_000, 16384), (192_000, 65536), (384_000, 131_072)] {
            assert_eq!(Layout::new(rate, 2), Ok(Layout { rate, channels: 2, frames }));
        }
        assert_eq!(Layout::new(48_000, 2).unwrap().frames_in(20), 960);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good = Layout::new(48_000, 2).unwrap();
        for bad in [
            Layout { rate: 0, ..good },
            Layout { rate: u32::MAX, ..good },
            Layout { channels: 0, ..good },
            Layout { channels: 9, ..good },
            Layout { frames: 0, ..good },
            Layout { frames: 1000, ..good },
            Layout { frames: 1 << 31, ..good },
            Layout { frames: 128, ..good },
        ] {
            assert!(bad.checked().is_err(), "{bad:?}");
        }
    }
}
