//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng): one section with one Ethernet interface, its time in nanoseconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// Which way a frame went, seen from the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the guest.
    Inbound,
    /// From the guest.
    Outbound,
}

/// Types of blocks (§4).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// LINKTYPE_ETHERNET.
const ETHERNET: u16 = 1;
/// Frames are kept whole; the number is what readers take for that.
const SNAP_LENGTH: u32 = 262_144;
/// Times are powers of ten: 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

/// Appends a block of this type: `fill` writes its body.
fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    fill(out);
    let length = ((out.len() - start + 4) as u32).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&length);
    out.extend(length);
}

/// Appends bytes and what fills them up to 32 bits.
fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes);
    out.extend(std::iter::repeat_n(0, bytes.len().next_multiple_of(4) - bytes.len()));
}

/// Appends an option (§3.5).
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    padded(out, value);
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend([0; 4]);
}

/// A time of this file's resolution, high half first (§4.3).
fn time(out: &mut Vec<u8>, at: SystemTime) {
    let nanoseconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    out.extend(((nanoseconds >> 32) as u32).to_le_bytes());
    out.extend((nanoseconds as u32).to_le_bytes());
}

/// What a file begins with: the section header and its interface.
pub(crate) fn header(name: &str, mac: [u8; 6]) -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER.to_le_bytes());
        out.extend([1_u16, 0].map(u16::to_le_bytes).concat());
        // The section's length is not known.
        out.extend([0xff; 8]);
        option(out, 4, concat!("Dormer ", env!("CARGO_PKG_VERSION")).as_bytes());
        end_of_options(out);
    });
    block(&mut out, INTERFACE_DESCRIPTION, |out| {
        out.extend([ETHERNET, 0].map(u16::to_le_bytes).concat());
        out.extend(SNAP_LENGTH.to_le_bytes());
        option(out, 2, name.as_bytes());
        option(out, 6, &mac);
        option(out, 9, &[NANOSECONDS]);
        end_of_options(out);
    });
    out
}

/// Bytes of a frame's block besides the frame.
pub(crate) const FRAME_OVERHEAD: usize = 48;

/// Appends a frame (§4.3).
pub(crate) fn frame(out: &mut Vec<u8>, at: SystemTime, direction: Direction, frame: &[u8]) {
    block(out, ENHANCED_PACKET, |out| {
        out.extend([0; 4]);
        time(out, at);
        let length = (frame.len() as u32).to_le_bytes();
        out.extend([length, length].concat());
        padded(out, frame);
        let flags: u32 = match direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        option(out, 2, &flags.to_le_bytes());
        end_of_options(out);
    });
}

/// Appends what a file ends with: how many frames passed and how many of them are not in it (§4.6).
pub(crate) fn statistics(out: &mut Vec<u8>, at: SystemTime, passed: u64, dropped: u64) {
    block(out, INTERFACE_STATISTICS, |out| {
        out.extend([0; 4]);
        time(out, at);
        option(out, 4, &passed.to_le_bytes());
        option(out, 5, &dropped.to_le_bytes());
        end_of_options(out);
    });
}
