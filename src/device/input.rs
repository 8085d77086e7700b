//! What the person at the console does, on its way to the guest.
//!
//! Keys are evdev codes (`linux/input-event-codes.h`). An [`InputRouter`] hands every event to the best device that is
//! listening: devices are asked in the order they were added, so the board adds virtio-input before PS/2.

use std::sync::{Arc, Mutex, PoisonError};

pub use api::input::{Axis, Button};

/// A device that takes keys.
pub trait KeySink: Send {
    /// Does the guest have a driver on this device now?
    fn listens(&self) -> bool;
    /// A key went down or up; never auto-repeat.
    fn key(&mut self, code: u16, down: bool);
}

/// A device that takes a pointer.
pub trait PointerSink: Send {
    /// Does the guest have a driver on this device now?
    fn listens(&self) -> bool;
    /// Takes absolute positions (a tablet) rather than movements (a mouse)?
    fn is_absolute(&self) -> bool;
    /// The pointer moved by so many pixels; only for mice.
    fn moved(&mut self, dx: i32, dy: i32);
    /// The pointer is at this place, each axis 0..=0x7fff over the screen; only for tablets.
    fn moved_to(&mut self, x: u16, y: u16);
    /// A button went down or up.
    fn button(&mut self, button: Button, down: bool);
    /// The wheel turned: positive is away from the person (up) or to the right.
    fn wheel(&mut self, axis: Axis, steps: i32);
}

/// Chooses who hears the person. Sinks are the devices under their own mutexes.
#[derive(Default)]
pub struct InputRouter {
    keys: Vec<Arc<Mutex<dyn KeySink>>>,
    pointers: Vec<Arc<Mutex<dyn PointerSink>>>,
}

impl InputRouter {
    /// Adds a keyboard, less preferred than those before it.
    pub fn add_keyboard(&mut self, sink: Arc<Mutex<dyn KeySink>>) {
        self.keys.push(sink);
    }

    /// Adds a pointer, less preferred than those before it.
    pub fn add_pointer(&mut self, sink: Arc<Mutex<dyn PointerSink>>) {
        self.pointers.push(sink);
    }

    /// Hands a key to the first keyboard that listens. A release goes to all, so that no key hangs when the listener changes
    /// while it is held.
    pub fn key(&self, code: u16, down: bool) {
        for sink in &self.keys {
            let mut sink = lock(sink);
            if !down || sink.listens() {
                sink.key(code, down);
                if down {
                    return;
                }
            }
        }
    }

    /// Does the pointer that listens take absolute positions? The console captures the mouse where not.
    pub fn is_absolute(&self) -> bool {
        self.pointers.iter().map(|sink| lock(sink)).find(|sink| sink.listens()).is_some_and(|sink| sink.is_absolute())
    }

    /// Hands something to the first pointer that listens.
    pub fn pointer(&self, tell: impl FnOnce(&mut dyn PointerSink)) {
        for sink in &self.pointers {
            let mut sink = lock(sink);
            if sink.listens() {
                return tell(&mut *sink);
            }
        }
    }

    /// Releases `button` everywhere.
    pub fn release_button(&self, button: Button) {
        for sink in &self.pointers {
            lock(sink).button(button, false);
        }
    }
}

fn lock<D: ?Sized>(device: &Mutex<D>) -> std::sync::MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}
