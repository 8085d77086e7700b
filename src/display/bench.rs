//! Screens for tests: memory that anyone can make, and an output that remembers what it was told.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use device::pci::SharedMemory;

use crate::{CursorImage, Output, Rect, Scanout, Surfaces, read_pixels};

/// Surfaces from plain memfds.
#[derive(Debug, Default)]
pub struct MemorySurfaces {
    next_id: AtomicU32,
}

impl Surfaces for MemorySurfaces {
    fn allocate(&self, bytes: u64) -> io::Result<Arc<SharedMemory>> {
        let file = File::from(rustix::fs::memfd_create("surface", rustix::fs::MemfdFlags::CLOEXEC)?);
        file.set_len(bytes.max(1))?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(SharedMemory::new(id, file, true)?))
    }
}

/// What an output was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// [`Output::scanout`].
    Scanout(u32, Option<Scanout>),
    /// [`Output::damage`].
    Damage(u32, Rect),
    /// [`Output::cursor`].
    Cursor(u32, Option<CursorImage>),
    /// [`Output::cursor_moved`].
    CursorMoved(u32, i32, i32),
}

/// An output that remembers.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Told>>);

impl Recorder {
    /// Everything since the last call, oldest first.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told())
    }

    /// The rectangles damaged since the last call of this or [`Self::take`]; everything else is forgotten.
    pub fn take_damage(&self) -> Vec<Rect> {
        let damage = |told| if let Told::Damage(_, rect) = told { Some(rect) } else { None };
        self.take().into_iter().filter_map(damage).collect()
    }

    /// The newest scanout of head 0 not yet taken.
    pub fn scanout(&self) -> Option<Scanout> {
        let scanout = |told: &Told| if let Told::Scanout(0, scanout) = told { Some(scanout.clone()) } else { None };
        self.told().iter().rev().find_map(scanout).flatten()
    }

    /// The pixels of [`Self::scanout`], as 0x00RRGGBB.
    pub fn pixels(&self) -> Vec<u32> {
        self.scanout().map(|scanout| read_pixels(&scanout)).unwrap_or_default()
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Vec<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output for Recorder {
    fn scanout(&self, head: u32, scanout: Option<Scanout>) {
        self.told().push(Told::Scanout(head, scanout));
    }
    fn damage(&self, head: u32, rect: Rect) {
        self.told().push(Told::Damage(head, rect));
    }
    fn cursor(&self, head: u32, image: Option<CursorImage>) {
        self.told().push(Told::Cursor(head, image));
    }
    fn cursor_moved(&self, head: u32, x: i32, y: i32) {
        self.told().push(Told::CursorMoved(head, x, y));
    }
}
