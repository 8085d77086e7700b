//! A console's sound on this computer's speakers and from its microphone.
//!
//! [`Audio`] takes what [`console::Console::take_sound`] gives and plays and records it by cpal: PulseAudio's protocol, which PipeWire
//! speaks too, or ALSA. The device's callback reads the guest's ring without a lock, and wakes the engine: it has the clock, so
//! nothing drifts. Where a device does not take the guest's rate, `rubato` makes it another.
//!
//! It is a crate of its own, because programs that play nothing use `console` as well, and must start without a sound system.
//!
//! Whatever happens to the computer's sound stays here: without any, it is quiet, and comes back when there is some.

mod controls;
mod cookie;
mod host;
mod player;
mod positions;
mod rate;
mod recorder;
mod worker;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::SoundEvent;

use controls::Controls;
use worker::{Order, Parts, Worker};

/// How sound is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The guest's sound is on a device.
    pub playing: bool,
    /// A microphone is open for the guest.
    pub recording: bool,
    /// Why not, as the computer's sound system said it.
    pub problem: Option<String>,
}

/// Something to play on or to record from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// For [`Audio::use_devices`].
    pub id: String,
    /// For people.
    pub name: String,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// To play on.
    pub playback: Vec<Device>,
    /// To record from.
    pub capture: Vec<Device>,
}

/// A panic elsewhere leaves these locks' contents whole: every change to them is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread has not seen yet of the guest's streams, one event for each: an engine may say more than a sound server can follow.
#[derive(Debug, Default)]
struct News {
    /// All streams of before are over.
    silence: bool,
    /// What became of streams since then.
    events: Vec<SoundEvent>,
}

impl News {
    fn is_empty(&self) -> bool {
        !self.silence && self.events.is_empty()
    }
}

/// One machine's sound. Nothing here waits. Dropping it ends all streams.
pub struct Audio {
    controls: Arc<Controls>,
    state: Arc<Mutex<State>>,
    news: Arc<Mutex<News>>,
    orders: Option<Sender<Order>>,
    /// What to tell of a changed state, until there is a thread to tell it.
    changed: Option<Box<dyn Fn() + Send>>,
    playback: Option<String>,
    capture: Option<String>,
}

impl Audio {
    /// Sound at full volume on the usual devices. `changed` is called from another thread when [`Self::state`] did.
    pub fn new(changed: impl Fn() + Send + 'static) -> Self {
        Self {
            controls: Arc::default(),
            state: Arc::default(),
            news: Arc::default(),
            orders: None,
            changed: Some(Box::new(changed)),
            playback: None,
            capture: None,
        }
    }

    /// What became of a stream of the guest's.
    pub fn handle(&mut self, event: SoundEvent) {
        // The thread may wait for a server just now, and the microphone's callback does not.
        match &event {
            SoundEvent::Capture { stream, .. } => self.controls.hear(Some(*stream)),
            SoundEvent::Playback { stream, .. } | SoundEvent::Ended { stream } if self.controls.hears(*stream) => {
                self.controls.hear(None);
            }
            _ => {}
        }
        self.tell(|news| {
            news.events.retain(|other| other.stream() != event.stream());
            news.events.push(event);
        });
    }

    /// The console is gone: so are its streams.
    pub fn silence(&mut self) {
        self.controls.hear(None);
        if self.orders.is_some() {
            self.tell(|news| *news = News { silence: true, events: Vec::new() });
        }
    }

    /// Puts something into the news, and has the thread look there unless it is about to.
    fn tell(&mut self, change: impl FnOnce(&mut News)) {
        let first = {
            let mut news = lock(&self.news);
            let first = news.is_empty();
            change(&mut news);
            first
        };
        if first {
            self.order(Order::News);
        }
    }

    /// Percent, 100 for as loud as the guest plays.
    pub fn set_volume(&self, percent: u8) {
        self.controls.set_volume(percent);
    }

    /// Silences the guest without it knowing.
    pub fn set_muted(&self, muted: bool) {
        self.controls.set_muted(muted);
    }

    /// How loud the loudest sample was since the last call, 0 to 1: played (after volume and mute) and recorded.
    pub fn take_levels(&self) -> (f32, f32) {
        self.controls.take_levels()
    }

    /// How it is doing.
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Uses these devices from now on, the usual ones for `None` and where there is none of that name.
    pub fn use_devices(&mut self, playback: Option<String>, capture: Option<String>) {
        (self.playback, self.capture) = (playback.clone(), capture.clone());
        if self.orders.is_some() {
            self.order(Order::Use { playback, capture });
        }
    }

    /// Finds out which devices there are; `reply` hears it on another thread.
    pub fn list_devices(&mut self, reply: impl FnOnce(Devices) + Send + 'static) {
        self.order(Order::List(Box::new(reply)));
    }

    /// Gives the thread an order; there is none before the first.
    fn order(&mut self, order: Order) {
        if self.orders.is_none()
            && let Some(changed) = self.changed.take()
        {
            let (orders, received) = channel();
            let worker = Worker::new(Parts {
                orders: received,
                back: orders.clone(),
                controls: Arc::clone(&self.controls),
                state: Arc::clone(&self.state),
                news: Arc::clone(&self.news),
                changed,
                playback: self.playback.clone(),
                capture: self.capture.clone(),
            });
            match std::thread::Builder::new().name("audio".into()).spawn(move || worker.run()) {
                Ok(_) => self.orders = Some(orders),
                Err(error) => tracing::warn!("there is no sound: {error}"),
            }
        }
        if let Some(orders) = &self.orders {
            // A thread that is gone panicked, which was reported.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.controls.hear(None);
        // Not waited for: a sound server may take its time.
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::End);
        }
    }
}
