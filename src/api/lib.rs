//! Plain data that engine and desk both speak: machine spec and defaults, commands, events, UI messages.
//!
//! Nothing here opens, reads or sends anything. Every type that crosses a process boundary refuses fields it does not know,
//! and whoever receives one checks it again: an engine does not trust its desk's files, and no desk trusts an engine.
//!
//! - [`machine`]: a machine as its owner configures it (`machine.toml`), its limits and all defaults;
//! - [`settings`]: the same by names, for people and programs that change it;
//! - [`spec`]: the same machine as an engine gets it: no path, file descriptors by name;
//! - [`control`]: the control socket's framing, commands and events (QMP);
//! - [`ui`]: the UI channel's messages;
//! - [`input`]: words for keys and pointers.

mod attachment;
pub mod bootable;
pub mod control;
mod forward;
pub mod input;
pub mod machine;
pub mod settings;
pub mod spec;
pub mod stats;
pub mod ui;
