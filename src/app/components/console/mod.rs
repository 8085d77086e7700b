//! A running machine's window: its screen, keyboard and pointer.

mod display;
mod ending;
mod geometry;
mod keyboard;
mod pointer;
mod send_keys;
mod window;

pub(crate) use ending::Ending;
pub(crate) use window::{ConsoleMsg, ConsoleOutput, ConsoleWindow};
