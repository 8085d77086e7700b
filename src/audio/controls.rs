//! What the person turns, as the callbacks that play see it: nothing here waits.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Volume, mute, and how loud it was.
#[derive(Debug)]
pub(crate) struct Controls {
    /// Percent.
    volume: AtomicU32,
    muted: AtomicBool,
    /// The highest sample since somebody looked, as bits: those of positive floats are in order.
    played: AtomicU32,
    recorded: AtomicU32,
    /// The stream that the microphone is for, after its number; 0 when it is off.
    hears: AtomicU64,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            volume: AtomicU32::new(100),
            muted: AtomicBool::new(false),
            played: AtomicU32::new(0),
            recorded: AtomicU32::new(0),
            hears: AtomicU64::new(0),
        }
    }
}

impl Controls {
    pub(crate) fn set_volume(&self, percent: u8) {
        self.volume.store(percent.min(100).into(), Relaxed);
    }

    pub(crate) fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Relaxed);
    }

    /// What samples are multiplied by. Cubic, as PulseAudio's volumes are: equal steps sound equal.
    pub(crate) fn gain(&self) -> f32 {
        if self.muted.load(Relaxed) {
            return 0.0;
        }
        (self.volume.load(Relaxed) as f32 / 100.0).powi(3)
    }

    /// The microphone is for this stream, or off.
    pub(crate) fn hear(&self, stream: Option<u32>) {
        self.hears.store(stream.map_or(0, |stream| u64::from(stream) + 1), Relaxed);
    }

    /// Is it for this one?
    pub(crate) fn hears(&self, stream: u32) -> bool {
        self.hears.load(Relaxed) == u64::from(stream) + 1
    }

    pub(crate) fn played(&self, peak: f32) {
        self.played.fetch_max(peak.abs().to_bits(), Relaxed);
    }

    pub(crate) fn recorded(&self, peak: f32) {
        self.recorded.fetch_max(peak.abs().to_bits(), Relaxed);
    }

    /// How loud the loudest was since the last call, played and recorded.
    pub(crate) fn take_levels(&self) -> (f32, f32) {
        (f32::from_bits(self.played.swap(0, Relaxed)), f32::from_bits(self.recorded.swap(0, Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_and_levels() {
        let controls = Controls::default();
        assert_eq!(controls.gain(), 1.0);
        controls.set_volume(50);
        assert_eq!(controls.gain(), 0.125);
        controls.set_volume(200);
        assert_eq!(controls.gain(), 1.0);
        controls.set_muted(true);
        assert_eq!(controls.gain(), 0.0);
        for peak in [0.1, -0.75, 0.5] {
            controls.played(peak);
        }
        controls.recorded(0.25);
        assert_eq!(controls.take_levels(), (0.75, 0.25));
        assert_eq!(controls.take_levels(), (0.0, 0.0));
    }
}
