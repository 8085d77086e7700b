//! What a virtio device is, behind whatever transport (VIRTIO 1.2 chapters 2 and 3).
//!
//! A [`VirtioDevice`] knows requests and its config space. Status, features, queues and interrupts are the transport's, which
//! hands the device its [`Queues`] with every call: the device takes chains from them, works, and gives them back.

use crate::queues::Queues;

/// VIRTIO_F_INDIRECT_DESC, offered for every device.
pub const INDIRECT_DESC: u64 = 1 << 28;
/// VIRTIO_F_EVENT_IDX, offered for every device that can ring itself ([`crate::Kick`]).
pub const EVENT_IDX: u64 = 1 << 29;
/// VIRTIO_F_VERSION_1, offered for every device; a driver must take it.
pub const VERSION_1: u64 = 1 << 32;

/// Device types (chapter 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum DeviceType {
    /// Network card.
    Net = 1,
    /// Block device.
    Block = 2,
    /// Console.
    Console = 3,
    /// Entropy source.
    Entropy = 4,
    /// Memory balloon.
    Balloon = 5,
    /// SCSI host.
    Scsi = 8,
    /// GPU.
    Gpu = 16,
    /// Input.
    Input = 18,
    /// Socket.
    Socket = 19,
    /// File system.
    FileSystem = 26,
    /// Sound.
    Sound = 25,
}

/// What a device is, for life.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The type.
    pub device_type: DeviceType,
    /// PCI class, sub class and programming interface, as in `0x020000`.
    pub class: u32,
    /// Features of the type (bits 0–23 and 50–63); the transport adds its own.
    pub features: u64,
    /// The largest size of each queue, powers of two. At most 64 queues.
    pub queue_sizes: Vec<u16>,
    /// Bytes of device config space.
    pub config_length: u64,
}

/// A virtio device. All calls come under the mutex of the PCI function it is part of; none may block.
///
/// The order is: any number of config accesses; [`start`](Self::start); any mix of [`process`](Self::process) and the device's
/// own events; [`reset`](Self::reset); and again.
pub trait VirtioDevice: Send {
    /// What it is. Does not change.
    fn identity(&self) -> Identity;

    /// Fills `into` from the config space at `at`; both lie inside [`Identity::config_length`].
    fn read_config(&self, at: u64, into: &mut [u8]);

    /// The driver wrote config space at `at`, inside [`Identity::config_length`].
    fn write_config(&mut self, at: u64, data: &[u8]) {
        let _ = (at, data);
    }

    /// The driver is ready (DRIVER_OK) and took `features`, a subset of what was offered.
    fn start(&mut self, features: u64) {
        let _ = features;
    }

    /// The driver rang for `queue`: take chains until [`Queues::pop`] has no more. Also called without need (after a restore,
    /// when a request was completed). Not called before [`start`](Self::start).
    fn process(&mut self, queue: u16, queues: &mut Queues);

    /// Forget the driver: features, requests under way, settings. The queues are already gone; what a back end still completes
    /// afterwards belongs to nobody.
    fn reset(&mut self);

    /// Has a back end nothing of this device under way that touches guest memory? After a reset the driver is told that it is
    /// complete only when this is so.
    fn is_idle(&self) -> bool {
        true
    }
}
