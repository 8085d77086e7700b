//! The board: assembly, firmware tables, run, pause, reset, save, restore.
//!
//! A [`Machine`] is owned by one thread, which calls its methods one at a time; everybody else leaves word as [`News`]. The board and
//! its wiring are in `board`, guest memory in `memory`, the vCPUs' threads in `cpus`, doorbells' in `doorbells`, the way of sound in `sound`.

mod assembly;
mod board;
mod cpus;
mod doorbells;
mod drives;
pub mod firmware;
mod front;
mod host_usb;
mod hypervisor;
mod machine;
mod memory;
mod networks;
mod screen;
mod serial;
mod setup;
mod sound;
mod usb;
mod variables;
mod wishes;

pub use crate::cpus::Stuck;
pub use crate::drives::DriveError;
pub use crate::front::{Front, Screenshot};
pub use crate::host_usb::{HostUsb, HostUsbError};
pub use crate::machine::{Machine, News, Threads};
pub use crate::networks::{NetworkError, Networks};
pub use crate::screen::{Changes, Screen, Watcher};
pub use crate::serial::SerialRecord;
pub use kvm::Error as KvmError;
pub use net::Cable;

pub use crate::setup::{Drive, Firmware, Image, Network, Setup};
pub use crate::sound::{Direction, Listener, Sound, Tell};
pub use chipset::PowerRequest;

/// Why a machine was not built, as a sentence for the person.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// KVM's part.
    #[error(transparent)]
    Kvm(#[from] kvm::Error),
    /// Memory, threads and other things of the host.
    #[error("the computer could not give {what}")]
    Host {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
    /// A firmware image that no PC could hold.
    #[error("the firmware image has {0} bytes: it must be a multiple of 4 KiB of at most 8 MiB")]
    Firmware(usize),
    /// An image.
    #[error("drive {id}")]
    Drive {
        /// Which drive.
        id: String,
        /// Why.
        source: DriveError,
    },
    /// A disk without an image.
    #[error("disk {0} has no image")]
    EmptyDisk(String),
    /// Two devices in one place: a mistake in the board.
    #[error("the board is miswired")]
    Wiring(#[from] device::Overlap),
    /// A disk on USB, and no USB.
    #[error("{0} is a USB disk, but there is no USB controller")]
    NoUsb(String),
    /// Two USB devices in one port: a mistake in the board.
    #[error("the board's USB ports are miswired")]
    UsbPort(#[from] ::usb::NoPort),
}

/// Can KVM make a machine here? `kvm` is `/dev/kvm`.
pub fn check_kvm(kvm: std::fs::File) -> Result<(), kvm::Error> {
    kvm::Vm::new(kvm, 1)?.vcpu(0).map(drop)
}

/// Names what the host did not give.
fn host(what: &'static str) -> impl FnOnce(std::io::Error) -> BuildError {
    move |source| BuildError::Host { what, source }
}
