//! The amplifiers of converters: gain in steps, and mute (High Definition Audio 1.0a §7.3.3.7, §7.3.4.10).

use serde::{Deserialize, Serialize};

/// Steps above the least gain, of 0.75 dB each; the last is 0 dB, so what is loud stays whole.
const STEPS: u8 = 87;
const STEP_DECIBEL: f64 = 0.75;
/// Can be muted, size of a step in quarters of a decibel less one, steps, and which of them is 0 dB.
pub(super) const CAPABILITIES: u32 = 1 << 31 | 2 << 16 | (STEPS as u32) << 8 | STEPS as u32;
const MUTE: u8 = 1 << 7;
/// Fixed point: bits behind the point of a factor.
const POINT: u32 = 30;

/// What a sample is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Factor(u32);

impl Factor {
    /// Nothing comes through.
    pub(super) const SILENCE: Self = Self(0);

    pub(in super::super) fn apply(self, sample: i32) -> i32 {
        // No factor is above one, so the product fits.
        ((i64::from(sample) * i64::from(self.0)) >> POINT) as i32
    }
}

/// An amplifier's two sides, as the verb for them has them: mute and gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amplifier {
    left: u8,
    right: u8,
}

impl Default for Amplifier {
    /// 0 dB and not muted, so that guests which never set it are heard.
    fn default() -> Self {
        Self { left: STEPS, right: STEPS }
    }
}

impl Amplifier {
    pub(super) fn get(&self, left: bool) -> u32 {
        u32::from(if left { self.left } else { self.right })
    }

    pub(super) fn set(&mut self, left: bool, right: bool, mute: bool, gain: u8) {
        let value = gain.min(STEPS) | if mute { MUTE } else { 0 };
        for (side, set) in [(&mut self.left, left), (&mut self.right, right)] {
            if set {
                *side = value;
            }
        }
    }

    /// For samples of the left and of the right.
    pub(super) fn factors(&self) -> [Factor; 2] {
        [self.left, self.right].map(|side| {
            if side & MUTE != 0 {
                return Factor::SILENCE;
            }
            let below = f64::from(STEPS.saturating_sub(side)) * STEP_DECIBEL;
            Factor((10f64.powf(-below / 20.0) * f64::from(1 << POINT)) as u32)
        })
    }

    pub(super) fn is_possible(&self) -> bool {
        [self.left, self.right].iter().all(|side| side & !MUTE <= STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels() {
        let mut amplifier = Amplifier::default();
        let [left, right] = amplifier.factors();
        for sample in [i32::MIN, -1, 0, 1, 0x1234_5678, i32::MAX] {
            assert_eq!((left.apply(sample), right.apply(sample)), (sample, sample));
        }
        amplifier.set(true, false, false, STEPS - 8);
        amplifier.set(false, true, true, STEPS);
        let [left, right] = amplifier.factors();
        // 6 dB are a factor of two, nearly.
        assert!((left.apply(1 << 30) - 538_150_000).abs() < 100_000);
        assert_eq!(right.apply(i32::MAX), 0);
        amplifier.set(true, true, false, 0x7f);
        assert_eq!(amplifier.get(true), u32::from(STEPS));
    }
}
