//! Plain data that engine and desk both speak: machine spec and defaults, commands, events, UI messages.
//!
//! Nothing here opens, reads or sends anything.

pub mod input;
