//! The machine's time: nanoseconds since power-on, standing still while the machine is paused.

use std::ops::{Add, Sub};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// An instant of machine time, in nanoseconds since power-on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VmTime(pub u64);

impl VmTime {
    /// How many ticks of a counter running at `hertz` have passed since power-on.
    pub fn ticks(self, hertz: u64) -> u64 {
        (u128::from(self.0) * u128::from(hertz) / 1_000_000_000) as u64
    }

    /// The first instant at which [`Self::ticks`] gives `ticks`.
    pub fn of_ticks(ticks: u64, hertz: u64) -> Self {
        let nanos = (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(hertz.max(1)));
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for VmTime {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for VmTime {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

enum Pace {
    /// Machine time was `at` when the host's clock read `since`.
    Running {
        at: VmTime,
        since: Instant,
    },
    Stopped {
        at: VmTime,
    },
}

/// A handle to the machine's time. Clones read the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Pace>>);

impl Clock {
    /// A clock standing at `at`. The machine starts it when vCPUs first run; tests move it by hand.
    pub fn stopped(at: VmTime) -> Self {
        Self(Arc::new(Mutex::new(Pace::Stopped { at })))
    }

    /// The time now.
    pub fn now(&self) -> VmTime {
        match *self.pace() {
            Pace::Running { at, since } => at + since.elapsed(),
            Pace::Stopped { at } => at,
        }
    }

    /// Lets time run on from where it stands.
    pub fn start(&self) {
        let at = self.now();
        *self.pace() = Pace::Running { at, since: Instant::now() };
    }

    /// Stops time.
    pub fn stop(&self) {
        let at = self.now();
        *self.pace() = Pace::Stopped { at };
    }

    /// Moves a stopped clock; for restored machines and tests.
    pub fn set(&self, to: VmTime) {
        *self.pace() = Pace::Stopped { at: to };
    }

    /// Moves a stopped clock forward; for tests.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_back() {
        for ticks in [0, 1, 3_579_545, u64::from(u32::MAX)] {
            assert_eq!(VmTime::of_ticks(ticks, 3_579_545).ticks(3_579_545), ticks);
        }
        assert_eq!(VmTime::of_ticks(u64::MAX, 1), VmTime(u64::MAX));
    }

    #[test]
    fn stands_still_while_stopped() {
        let clock = Clock::stopped(VmTime(5));
        assert_eq!(clock.now(), VmTime(5));
        clock.start();
        clock.stop();
        let then = clock.now();
        assert!(then >= VmTime(5));
        assert_eq!(clock.now(), then);
    }
}
