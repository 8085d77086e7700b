//! Another rate, where a device does not take the guest's: band-limited interpolation by `rubato`.
//!
//! Nothing allocates after [`Rate::new`].

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler, SincInterpolationParameters, WindowFunction};

/// Frames that come out at once.
pub(crate) const CHUNK: usize = 64;
/// Points of the filter: 64 frames of delay, and nothing audible lost below 20 kHz.
const SINC: usize = 128;

/// Frames at one rate made of frames at another.
pub(crate) struct Rate {
    resampler: Async<f32>,
    channels: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Samples of the output that were not given yet.
    ready: std::ops::Range<usize>,
}

impl Rate {
    /// From a rate to another; `None` for numbers that nothing can be made of.
    pub(crate) fn new(from: u32, to: u32, channels: usize) -> Option<Self> {
        let ratio = f64::from(to) / f64::from(from);
        let parameters = SincInterpolationParameters::new(SINC, WindowFunction::BlackmanHarris2);
        let resampler = Async::new_sinc(ratio, 1.0, &parameters, CHUNK, channels, FixedAsync::Output).ok()?;
        let input = vec![0.0; resampler.input_frames_max() * channels];
        let output = vec![0.0; resampler.output_frames_max() * channels];
        Some(Self { resampler, channels, input, output, ready: 0..0 })
    }

    /// Frames that the next [`CHUNK`] takes, when all that came out before was whole chunks.
    pub(crate) fn takes(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// Fills `out` with whole frames, made of what `read` fills whole frames with.
    pub(crate) fn fill(&mut self, mut out: &mut [f32], mut read: impl FnMut(&mut [f32])) {
        while !out.is_empty() {
            if self.ready.is_empty() && !self.step(&mut read) {
                out.fill(0.0);
                return;
            }
            let count = out.len().min(self.ready.len());
            let (now, rest) = out.split_at_mut(count);
            now.copy_from_slice(&self.output[self.ready.start..self.ready.start + count]);
            self.ready.start += count;
            out = rest;
        }
    }

    fn step(&mut self, read: &mut impl FnMut(&mut [f32])) -> bool {
        let frames = self.resampler.input_frames_next();
        let input = &mut self.input[..frames * self.channels];
        read(input);
        let room = self.output.len() / self.channels;
        let (Ok(from), Ok(mut to)) = (
            InterleavedSlice::new(input, self.channels, frames),
            InterleavedSlice::new_mut(&mut self.output, self.channels, room),
        ) else {
            return false;
        };
        let Ok((_, made)) = self.resampler.process_into_buffer(&from, &mut to, None) else { return false };
        self.ready = 0..made * self.channels;
        made > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zero crossings upwards, in time of samples.
    fn crossings(samples: &[f32]) -> Vec<f64> {
        let crossing = |(at, pair): (usize, &[f32])| {
            (pair[0] < 0.0 && pair[1] >= 0.0).then(|| at as f64 + f64::from(pair[0] / (pair[0] - pair[1])))
        };
        samples.windows(2).enumerate().filter_map(crossing).collect()
    }

    #[test]
    fn pitch_and_loudness_stay() {
        for (from, to) in [(44_100, 48_000), (48_000, 44_100), (8_000, 48_000), (192_000, 48_000)] {
            let mut rate = Rate::new(from, to, 2).unwrap();
            let mut at = 0_u32;
            let mut sine = |samples: &mut [f32]| {
                for frame in samples.chunks_exact_mut(2) {
                    let phase = std::f64::consts::TAU * 440.0 * f64::from(at) / f64::from(from);
                    frame.copy_from_slice(&[phase.sin() as f32 / 2.0, 0.25]);
                    at += 1;
                }
            };
            let mut out = vec![0.0; to as usize * 2 * 2];
            for part in out.chunks_mut(2 * 333) {
                rate.fill(part, &mut sine);
            }
            let left: Vec<f32> = out.iter().step_by(2).copied().skip(2000).collect();
            let crossings = crossings(&left);
            let period = (crossings[crossings.len() - 1] - crossings[0]) / (crossings.len() - 1) as f64;
            let pitch = f64::from(to) / period;
            assert!((pitch - 440.0).abs() < 0.01, "{from} to {to}: {pitch} Hz");
            let peak = left.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            assert!((peak - 0.5).abs() < 0.01, "{from} to {to}: {peak}");
            assert!(out.iter().skip(4001).step_by(2).all(|sample| (sample - 0.25).abs() < 0.01));
        }
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert!(Rate::new(48_000, 0, 2).is_none());
    }
}
