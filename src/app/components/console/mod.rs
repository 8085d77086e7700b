//! A running machine's window: its screen, keyboard and pointer.

mod commands;
mod display;
mod ending;
mod fullscreen;
mod geometry;
mod grab;
mod hold;
mod keyboard;
mod pointer;
mod room;
mod send_keys;
mod watch;
mod window;

pub(crate) use ending::Ending;
pub(crate) use window::{ConsoleMsg, ConsoleOutput, ConsoleWindow};
