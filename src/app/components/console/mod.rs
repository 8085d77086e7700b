//! A running machine's window: its screen, keyboard and pointer.

mod closing;
mod commands;
mod devices;
mod display;
mod ending;
mod fullscreen;
mod grab;
mod hold;
mod host;
mod keyboard;
mod messages;
mod pointer;
mod resize;
mod room;
mod screenshot;
mod send_keys;
mod signals;
mod type_dialog;
mod typed_text;
mod typing;
mod view;
mod watch;
mod window;

pub(crate) use ending::Ending;
pub(crate) use messages::{ConsoleMsg, ConsoleOutput};
pub(crate) use window::ConsoleWindow;
