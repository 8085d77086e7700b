//! Virtio 1.2: PCI transport and devices.
//!
//! A device implements [`VirtioDevice`]: what it is, its config space, and what it does with the requests in its [`Queues`].
//! [`VirtioPci`] makes a PCI function of it, [`Transport`] is that function's virtio part for functions that have others too.
//! Rings are walked by rust-vmm's `virtio-queue` (split rings); devices see whole, checked requests ([`Chain`]).

pub mod blk;
mod chain;
pub mod gpu;
pub mod input;
mod input_model;
pub mod net;
mod net_filter;
mod pci;
mod queue;
mod queues;
mod registers;
pub mod rng;
pub mod sound;
mod state;
mod transport;
mod vga;
mod virtio_device;
mod window;

#[cfg(test)]
mod driver;

pub use crate::chain::{BadChain, Chain, ChainState, MAX_DESCRIPTORS, Span, cut, length};
pub use crate::input_model::{Keyboard, Model, Tablet};
pub use crate::net_filter::Mac;
pub use crate::pci::{SUBSYSTEM, VENDOR, VirtioPci, VirtioPciState, identity};
pub use crate::queue::VirtqueueState;
pub use crate::queues::Queues;
pub use crate::state::TransportState;
pub use crate::transport::{Kick, Place, REGISTERS, Transport};
pub use crate::vga::{VirtioVga, VirtioVgaState};
pub use crate::virtio_device::{DeviceType, EVENT_IDX, INDIRECT_DESC, Identity, VERSION_1, VirtioDevice};
