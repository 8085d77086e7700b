//! Sound: samples on their way between a guest and whoever listens to it, or speaks to it.
//!
//! A sound device has streams, each with a [`Jack`] on its back. What is plugged in there has the clock: it asks the device for the next
//! frames ([`Pcm::play`]), or gives it some ([`Pcm::record`]), so that nothing drifts and nothing needs to be thrown away. Frames are
//! plain on the whole way: interleaved samples of full-scale `i32`; what the guest has in memory is an [`Encoding`].

pub mod bench;
mod encoding;
pub mod hda;
mod jack;

pub use encoding::Encoding;
pub use hda::Hda;
pub use jack::{Jack, Pcm, Shape};
