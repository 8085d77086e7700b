//! USB: the xHCI controller, the devices on it, and the host's own devices in the guest.
//!
//! A controller has ports, and a USB device in a port is a [`Function`]: a state machine that the controller owns and hands
//! [`Transfer`]s to. It answers at once or later; what makes it ready again from outside (a key, a disk, the host's kernel) calls
//! [`Waker::wake`], whereupon the controller collects what is done. So a function knows no ring, no slot and no interrupt, and the
//! controller knows no descriptor.
//!
//! - [`transfer`]: what is asked of a function, and what comes of it (USB 2.0 chapters 5 and 8, USB 3.2 chapter 8);
//! - [`memory`]: a transfer's bytes, which are guest RAM;
//! - [`function`]: what a USB device is, and how it reports;
//! - [`xhci`]: the controller;
//! - [`devices`]: those that there are only in the machine;
//! - [`host`]: a device of the host.

pub mod devices;
pub mod function;
pub mod host;
pub mod memory;
pub mod transfer;
pub mod xhci;

#[cfg(test)]
mod bench;

pub use api::usb::{Place, Speed};
pub use function::{Bus, Function, NoPort, Ports, Waker};
pub use memory::Memory;
pub use transfer::{Completion, Direction, Endpoint, Fault, Kind, Setup, Transfer, TransferId};
pub use xhci::Xhci;
