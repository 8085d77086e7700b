//! Interrupt lines: level signals that several devices may share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a line ends: an input of the interrupt controllers.
pub trait LineSink: Send + Sync {
    /// The line's level is now `high`. Called by any thread, possibly under a device's mutex; must not call a device.
    fn set_level(&self, high: bool);
}

/// The line itself: high while any of its drivers is.
struct Wire {
    /// How many are. Locked until the sink knows: two devices that change the line at once must tell it in the order in which
    /// they did.
    drivers: Mutex<u32>,
    sink: Box<dyn LineSink>,
}

/// One device's end of an interrupt line. Clones drive the same end; [`IrqLine::share`] makes another one.
#[derive(Clone)]
pub struct IrqLine {
    wire: Arc<Wire>,
    high: Arc<AtomicBool>,
}

impl IrqLine {
    /// A line into `sink`, low.
    pub fn new(sink: Box<dyn LineSink>) -> Self {
        Self::on(Arc::new(Wire { drivers: Mutex::new(0), sink }))
    }

    /// A line that leads nowhere.
    pub fn unconnected() -> Self {
        struct Nowhere;
        impl LineSink for Nowhere {
            fn set_level(&self, _: bool) {}
        }
        Self::new(Box::new(Nowhere))
    }

    fn on(wire: Arc<Wire>) -> Self {
        Self { wire, high: Arc::new(AtomicBool::new(false)) }
    }

    /// Another device's end of the same line; the line is high while any end is.
    pub fn share(&self) -> Self {
        Self::on(Arc::clone(&self.wire))
    }

    /// Drives this end high or low. Repeating a level costs nothing.
    pub fn set(&self, high: bool) {
        if self.high.load(Ordering::Acquire) == high {
            return;
        }
        let mut drivers = self.wire.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.high.swap(high, Ordering::AcqRel) == high {
            return;
        }
        let before = *drivers;
        *drivers = if high { before + 1 } else { before - 1 };
        if (before == 0) != (*drivers == 0) {
            self.wire.sink.set_level(high);
        }
    }

    /// A low-high-low pulse, for edge-triggered inputs.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }

    /// The level that this end drives.
    pub fn is_high(&self) -> bool {
        self.high.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use crate::bench::Bench;

    #[test]
    fn a_shared_line_is_high_while_any_end_is() {
        let bench = Bench::new(0x1000);
        let (one, other) = (bench.line.share(), bench.line.share());
        one.set(true);
        other.set(true);
        other.set(true);
        one.set(false);
        assert_eq!(bench.levels.take(), [true]);
        other.pulse();
        assert!(!other.is_high());
        assert_eq!(bench.levels.take(), [false]);
    }

    #[test]
    fn the_last_level_that_is_told_is_the_right_one() {
        let bench = Bench::new(0x1000);
        for _ in 0..200 {
            let (one, other) = (bench.line.share(), bench.line.share());
            one.set(true);
            let raiser = other.clone();
            let thread = std::thread::spawn(move || raiser.set(true));
            one.set(false);
            thread.join().unwrap();
            assert_eq!(bench.levels.take().last(), Some(&true));
            other.set(false);
            bench.levels.take();
        }
    }
}
