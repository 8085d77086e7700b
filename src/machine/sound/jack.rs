//! The outside of one stream: what the device says of it, for the pump's thread to find.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use api::pcm::Ring;
use sound::{Jack, Shape};

use super::{Shared, lock};

/// What was said of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// It runs, and has this shape.
    pub(super) shape: Option<Shape>,
    /// How often it was started.
    pub(super) starts: u64,
}

/// A stream's jack.
pub(super) struct StreamJack {
    shared: Arc<Shared>,
    said: Mutex<Said>,
    /// Where its frames are on their way to somebody.
    ring: Mutex<Option<Arc<Ring>>>,
    /// There is somebody, who reads.
    heard: AtomicBool,
}

impl StreamJack {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, said: Mutex::default(), ring: Mutex::default(), heard: AtomicBool::new(false) }
    }

    pub(super) fn said(&self) -> Said {
        lock(&self.said).clone()
    }

    pub(super) fn set_ring(&self, ring: Option<Arc<Ring>>) {
        // What was there is unmapped, which takes a while: not with the lock held.
        let before = std::mem::replace(&mut *lock(&self.ring), ring);
        drop(before);
    }

    pub(super) fn set_heard(&self, heard: bool) {
        self.heard.store(heard, Relaxed);
    }
}

impl Jack for StreamJack {
    fn start(&self, shape: Shape) {
        {
            let mut said = lock(&self.said);
            said.shape = Some(shape);
            said.starts += 1;
        }
        self.shared.wake();
    }

    fn stop(&self) {
        lock(&self.said).shape = None;
        self.shared.wake();
    }

    fn delay(&self) -> u32 {
        // What nobody will hear is not on its way.
        let ring = lock(&self.ring);
        ring.as_ref().filter(|_| self.heard.load(Relaxed)).map_or(0, |ring| ring.delay())
    }
}
