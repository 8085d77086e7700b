//! A jack for tests, which remembers what it was told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Jack, Shape};

/// What a jack was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// [`Jack::start`].
    Start(Shape),
    /// [`Jack::stop`].
    Stop,
}

/// A jack that remembers.
#[derive(Debug, Default)]
pub struct Recorder {
    told: Mutex<Vec<Told>>,
    delay: Mutex<u32>,
}

impl Recorder {
    fn told(&self) -> MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything since the last call, oldest first.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told())
    }

    /// What [`Jack::delay`] says from now on.
    pub fn set_delay(&self, frames: u32) {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner) = frames;
    }
}

impl Jack for Recorder {
    fn start(&self, shape: Shape) {
        self.told().push(Told::Start(shape));
    }

    fn stop(&self) {
        self.told().push(Told::Stop);
    }

    fn delay(&self) -> u32 {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
