//! Machines and media on this computer; starts an engine and talks to it.
//!
//! Used by the app and by `dormerctl`. Everything blocks, everything that waits has a limit, nothing keeps global state, and
//! no process owns the library: what it says was read from files, locks and sockets at that moment.
//!
//! - [`Library`] and [`Entry`]: the machines' folders; [`NewMachine`] describes one to create;
//! - [`media`]: what is in an image that a person picked, and which system that is;
//! - [`Room`]: is there enough on this computer for a machine;
//! - [`firmware`]: SeaBIOS and OVMF as the distribution ships them;
//! - [`kvm`]: can this computer run machines, and if not, why;
//! - [`engine`]: starts `dormer-vm`; [`engine::Running`] finds and ends engines that run;
//! - [`control`]: a QMP client;
//! - [`usage`]: what a running machine takes of this computer;
//! - [`usb`]: this computer's USB devices, and which machine has them.

pub mod control;
pub mod engine;
pub mod firmware;
pub mod host;
pub mod kvm;
pub mod media;
pub mod usage;
pub mod usb;

mod atomic;
mod change;
mod create;
mod deletion;
mod drives;
mod entry;
mod error;
#[cfg(test)]
mod fixture;
mod home;
mod image;
mod last_start;
mod launcher;
mod lock;
pub mod logs;
mod moving;
mod qcow2;
mod report;
mod room;
mod sparse;
mod tree;
mod turn;

pub use create::{NewDisk, NewMachine};
pub use deletion::{Discarded, Loss};
pub use entry::{Broken, Entry, State};
pub use error::{Error, Result};
pub use home::{Library, Listing};
pub use lock::{Holder, Lock};
pub use moving::Progress;
pub use report::report;
pub use room::{Concern, Needs, Room};
