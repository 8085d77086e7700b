//! The engine's UI channel seen from outside: what a running machine shows, and what a person does to it.
//!
//! [`Console`] is one end of the connection that `api::ui` describes. It has no thread and no toolkit: whoever shows the machine (the
//! GTK app, `dormer-view`, a test) watches [`Console::as_fd`](std::os::fd::AsFd::as_fd), calls [`Console::dispatch`] when it is
//! readable, [`Console::refresh`] when it is about to draw and [`Console::frame_done`] when it has drawn.
//!
//! The engine is not trusted. Every message is checked, every size bounded, shared memory must be sealed against shrinking and is read
//! by volatile copies only; an engine that breaks the rules costs its console ([`Error`]), never the process.
//!
//! - [`Console`]: the connection, input and the state of the screen;
//! - [`Frame`]: a picture of the screen that belongs to whoever holds it;
//! - [`Cursor`]: the guest's pointer;
//! - [`SoundEvent`]: the guest's sound, for the crate `audio` to play;
//! - [`geometry`]: where a picture stands in its window;
//! - [`key`]: evdev codes for the keys that a desktop keeps for itself;
//! - [`us_layout`]: what to press for a character.

mod channel;
mod connection;
mod cursor;
mod error;
#[cfg(test)]
mod fake_engine;
pub mod geometry;
pub mod key;
mod memory;
mod outbox;
mod picture;
mod pressed;
mod sound;
pub mod us_layout;

pub use connection::{Changes, Console, Leds};
pub use cursor::Cursor;
pub use error::Error;
pub use picture::Frame;
pub use sound::SoundEvent;
