//! Interrupt lines: level signals that several devices may share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Where a line ends: an input of the interrupt controllers.
pub trait LineSink: Send + Sync {
    /// The line's level is now `high`. Called by any thread, possibly under a device's mutex; must not call a device.
    fn set_level(&self, high: bool);
}

/// The line itself: high while any of its drivers is.
struct Wire {
    drivers: AtomicU32,
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
        Self::on(Arc::new(Wire { drivers: AtomicU32::new(0), sink }))
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
        if self.high.swap(high, Ordering::AcqRel) == high {
            return;
        }
        if high {
            if self.wire.drivers.fetch_add(1, Ordering::AcqRel) == 0 {
                self.wire.sink.set_level(true);
            }
        } else if self.wire.drivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wire.sink.set_level(false);
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
