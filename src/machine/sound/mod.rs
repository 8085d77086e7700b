//! Sound: the pump between a sound device and the console that listens.
//!
//! A [`Sound`] has the outside of a device's streams ([`sound::Jack`]) and a thread, which asks the device for frames and gives it some
//! ([`sound::Pcm`]) as the console's rings or the clock want it. One console at a time has the rings, the last that asked; when it
//! leaves, the one before has them again. The thread sleeps while no stream runs.
//!
//! Contract with the machine's owner, as a network port's: a new one is stopped, and calls the device only between
//! [`Sound::set_running`] true and false; after the latter returned, guest RAM and device stand still.

mod card;
mod jack;
mod listener;
mod pace;
mod pump;
mod stream;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};
use sound::{Jack, Pcm};

pub use listener::{Listener, Tell};
pub use stream::Direction;

use jack::StreamJack;
use pump::Pump;

/// What the thread is asked to do.
#[derive(Default)]
struct Orders {
    closed: bool,
    device: Option<Weak<Mutex<dyn Pcm>>>,
    /// What consoles want now, in the order in which they said so; one that said more than one thing has the last.
    consoles: Vec<Wants>,
}

/// What a console wants.
enum Wants {
    Sound(Listener),
    /// It is gone, or wants none.
    Nothing(u64),
}

impl Wants {
    fn console(&self) -> u64 {
        match self {
            Self::Sound(listener) => listener.console,
            Self::Nothing(console) => *console,
        }
    }
}

struct Shared {
    orders: Mutex<Orders>,
    /// Readable when the thread has something to look at.
    wake: OwnedFd,
    running: AtomicBool,
}

/// A panic elsewhere leaves these locks' contents whole: every change to them is one assignment.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn wake(&self) {
        // Fails only when the counter is full, and then the thread is about to look anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut lock(&self.orders));
        self.wake();
    }

    /// Runs `call` on the device under its mutex, unless the machine stands or the device is gone or not yet connected.
    fn with_device<R>(&self, call: impl FnOnce(&mut dyn Pcm) -> R) -> Option<R> {
        let device = lock(&self.orders).device.clone()?.upgrade()?;
        let mut device = lock(&device);
        // Looked at under the mutex, so that stopping is settled once the mutex was free once.
        self.running.load(SeqCst).then(|| call(&mut *device))
    }
}

/// The way of a device's sound. Dropping it ends its thread and waits for it; it must not be dropped under the device's mutex.
pub struct Sound {
    shared: Arc<Shared>,
    jacks: Vec<Arc<StreamJack>>,
    thread: Option<JoinHandle<()>>,
}

impl Sound {
    /// For a device with streams in these directions, by their numbers. Stopped. `confine` runs first on the thread.
    pub fn new(streams: &[Direction], confine: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            orders: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            running: AtomicBool::new(false),
        });
        let jacks: Vec<_> = streams.iter().map(|_| Arc::new(StreamJack::new(Arc::clone(&shared)))).collect();
        let pump = Pump::new(Arc::clone(&shared), streams.iter().copied().zip(jacks.iter().map(Arc::clone)));
        let thread = std::thread::Builder::new().name("sound".into()).spawn(move || {
            confine();
            pump.run();
        })?;
        Ok(Self { shared, jacks, thread: Some(thread) })
    }

    /// The outside of a stream, for its device. `None` for a number that was not named.
    pub fn jack(&self, stream: usize) -> Option<Arc<dyn Jack>> {
        self.jacks.get(stream).map(|jack| Arc::clone(jack) as Arc<dyn Jack>)
    }

    /// Names the device. Until then no stream runs.
    pub fn connect(&self, device: Weak<Mutex<dyn Pcm>>) {
        self.shared.order(|orders| orders.device = Some(device));
    }

    /// Lets streams run, or holds them while the machine stands. On return from `false` no call of the device is under way, nor will
    /// one start. Called by the machine's owner, not under the device's mutex.
    pub fn set_running(&self, running: bool) {
        self.shared.running.store(running, SeqCst);
        let device = lock(&self.shared.orders).device.clone().and_then(|device| device.upgrade());
        if !running && let Some(device) = device {
            drop(lock(&device));
        }
        self.shared.wake();
    }

    /// A console wants sound from now on, in place of any other; or, of one that had it, nothing more.
    pub fn listen(&self, listener: Listener) {
        self.hear(if listener.wants_any() { Wants::Sound(listener) } else { Wants::Nothing(listener.console) });
    }

    /// A console is gone.
    pub fn leave(&self, console: u64) {
        self.hear(Wants::Nothing(console));
    }

    fn hear(&self, wants: Wants) {
        self.shared.order(|orders| {
            orders.consoles.retain(|other| other.console() != wants.console());
            orders.consoles.push(wants);
        });
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.shared.order(|orders| orders.closed = true);
        let Some(thread) = self.thread.take() else { return };
        // The thread itself may hold the last reference to the device, and so to this, while it calls it.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "sound_test.rs"]
mod tests;
