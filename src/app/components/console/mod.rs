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
mod lamp;
mod messages;
mod pointer;
mod resize;
mod room;
mod screenshot;
mod send_keys;
mod signals;
mod sound;
mod type_dialog;
mod typed_text;
mod typing;
mod usb;
mod view;
mod watch;
mod window;

pub(super) use commands::menu as machine_menu;
pub(crate) use ending::Ending;
pub(crate) use messages::{ConsoleMsg, ConsoleOutput};
pub(super) use send_keys::menu as keys_menu;
pub(crate) use window::ConsoleWindow;
