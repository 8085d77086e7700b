//! What a board holds.

/// Processors.
pub const PROCESSORS: u32 = 64;
/// Least memory in MiB.
pub const MEMORY_MIN: u64 = 16;
/// Most memory in MiB (1 TiB).
pub const MEMORY_MAX: u64 = 1 << 20;
/// Most memory in MiB that is all below 4 GiB: 32-bit systems see no other.
pub const MEMORY_BELOW_4_GIB: u64 = 2816;
/// Ports of the AHCI controller.
pub const AHCI_DRIVES: usize = 6;
/// Slots for virtio-blk.
pub const VIRTIO_DRIVES: usize = 8;
/// Ports of the USB controller that are for disks.
pub const USB_DRIVES: usize = 4;
/// All of these.
pub const DRIVES: usize = AHCI_DRIVES + VIRTIO_DRIVES + USB_DRIVES;
/// Slots for network cards.
pub const NETWORKS: usize = 4;
/// Sides of a screen.
pub const SCREEN: std::ops::RangeInclusive<u32> = 480..=3840;
/// MiB of video memory; a power of two.
pub const VIDEO_MEMORY: std::ops::RangeInclusive<u32> = 16..=256;
/// Rules for USB devices.
pub const USB_RULES: usize = 32;
/// Bytes of notes.
pub const NOTES: usize = 4096;
/// Characters of a machine's name.
pub const NAME: usize = 80;
