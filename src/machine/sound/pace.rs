//! Frames at the nominal rate, where nobody has a better clock.

use std::time::Duration;

/// Most of a second that is caught up with: what is missed beyond, because the host stood still, is nobody's any more.
const CATCH_UP: u32 = 5;

/// A rate, and how far it has come. Frames are counted from one moment on, so that nothing adds up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rate: u32,
    since: Duration,
    done: u64,
}

impl Pace {
    pub(super) fn new(rate: u32, now: Duration) -> Self {
        Self { rate, since: now, done: 0 }
    }

    /// Frames whose time has come since the last call.
    pub(super) fn due(&mut self, now: Duration) -> u32 {
        let elapsed = now.saturating_sub(self.since).as_nanos();
        let all = (elapsed * u128::from(self.rate) / 1_000_000_000) as u64;
        let most = (self.rate / CATCH_UP).max(1);
        let due = all.saturating_sub(self.done);
        if due > most.into() {
            *self = Self::new(self.rate, now);
            return most;
        }
        self.done += due;
        due as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_are_exact_whatever_the_ticks() {
        for rate in [8_000, 11_025, 44_100, 48_000, 192_000] {
            let mut pace = Pace::new(rate, Duration::from_secs(7));
            let (mut now, mut frames) = (Duration::from_secs(7), 0_u64);
            let end = now + Duration::from_secs(600);
            for step in [10_000, 9_137, 10_863, 1, 33_333].map(Duration::from_micros).into_iter().cycle() {
                if now + step > end {
                    break;
                }
                now += step;
                frames += u64::from(pace.due(now));
            }
            frames += u64::from(pace.due(end));
            assert_eq!(frames, u64::from(rate) * 600);
        }
    }

    #[test]
    fn a_host_that_stood_still_is_not_caught_up_with() {
        let mut pace = Pace::new(48_000, Duration::ZERO);
        assert_eq!(pace.due(Duration::from_secs(3600)), 9_600);
        assert_eq!(pace.due(Duration::from_secs(3600)), 0);
        assert_eq!(pace.due(Duration::from_millis(3_600_010)), 480);
        // A clock that goes back is one that stands.
        assert_eq!(pace.due(Duration::ZERO), 0);
    }
}
