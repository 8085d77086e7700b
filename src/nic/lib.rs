//! Network cards of real PCs, for systems that have no driver for virtio's.
//!
//! One so far: [`E1000`], Intel's 82540EM, for which every system since 2002 brings a driver.

mod e1000;

pub use e1000::{E1000, E1000State, Timers};
