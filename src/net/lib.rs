//! Ethernet frames in and out: what stands between a NIC device and whatever carries its frames.
//!
//! A NIC holds a [`Port`], the jack on its back. A [`Cable`] is plugged into it: a stream socket with the framing of QEMU's
//! `-netdev stream` ([`framing`]), at whose other end stands `dormer-nat`, `dormer-switch` or passt, or a tap device of the host.
//! Frames towards the guest reach the device as a [`FrameSink`]. What passes can be written to a file. Device tests use [`bench`].
//!
//! Frames here are what an Ethernet controller hands to its driver: from destination address to the end of the payload,
//! without preamble and frame check sequence, with complete checksums (no virtio-net header).

pub mod bench;
mod cable;
mod capture;
pub mod framing;
mod pcapng;
mod port;

pub use cable::Cable;
pub use capture::Unfinished;
pub use framing::{BadFrame, MAX_FRAME, MIN_FRAME};
pub use port::{Counters, FrameSink, LinkLost, Port};
