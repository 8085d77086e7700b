//! Plain data that engine and desk both speak: machine spec and defaults, commands, events, UI messages.
//!
//! Nothing here opens, reads or sends anything, but [`pcm`], whose memory both map, and [`memfd`], which looks at such memory. Every type that crosses a process boundary refuses
//! fields it does not know, and whoever receives one checks it again: an engine does not trust its desk's files, and no desk trusts an engine.
//!
//! - [`machine`]: a machine as its owner configures it (`machine.toml`), and all defaults;
//! - [`limits`]: what a board holds;
//! - [`settings`]: the same by names, for people and programs that change it;
//! - [`spec`]: the same machine as an engine gets it: no path, file descriptors by name;
//! - [`control`]: the control socket's framing, commands and events (QMP);
//! - [`ui`]: the UI channel's messages;
//! - [`pcm`]: the rings that sound goes through beside it;
//! - [`input`]: words for keys and pointers;
//! - [`usb`]: words for USB.

mod attachment;
pub mod bootable;
pub mod control;
mod drive;
mod forward;
pub mod input;
pub mod limits;
mod mac_address;
pub mod machine;
pub mod memfd;
mod network;
pub mod pcm;
mod problem;
mod resolution;
pub mod settings;
mod sizes;
mod sound;
pub mod spec;
pub mod stats;
pub mod ui;
pub mod usb;
mod usb_rule;
