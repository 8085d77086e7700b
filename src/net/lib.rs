//! Ethernet frames in and out: what stands between a NIC device and whatever carries its frames.
//!
//! A NIC holds a [`Port`], the jack on its back. A *cable*, a stream socket with the framing of QEMU's `-netdev stream`
//! ([`framing`]), is plugged into it, and at the other end stands `dormer-nat`, passt, or another machine. Frames towards
//! the guest reach the device as a [`FrameSink`]. Device tests use [`bench`].
//!
//! Frames here are what an Ethernet controller hands to its driver: from destination address to the end of the payload,
//! without preamble and frame check sequence, with complete checksums (no virtio-net header).

pub mod bench;
pub mod framing;
mod port;

pub use framing::{BadFrame, MAX_FRAME, MIN_FRAME};
pub use port::{Counters, FrameSink, LinkLost, Port};
