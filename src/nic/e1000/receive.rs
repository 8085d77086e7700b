//! Frames on their way in (manual §3.2): buffers, and what is said of each frame.

use std::sync::atomic::{Ordering, fence};

use device::Dma;
use serde::{Deserialize, Serialize};

use super::checksum::{folded, folded_with, get};
use super::registers::ReceiveControl;
use super::ring::{DESCRIPTOR, Ring};

/// Bytes before the payload, without a tag.
const HEADER: usize = 14;
/// Longest frame that is not long, with tag and check sequence.
const LONGEST: usize = 1522;
/// Longest long one.
const LONGEST_LONG: usize = 16384;
/// Descriptors without an address that are passed over for one frame at most. No driver makes any.
const EMPTY: u32 = 64;

/// Status of a descriptor (§3.2.3.1).
pub(super) mod status {
    pub(in super::super) const DONE: u8 = 1 << 0;
    pub(in super::super) const END_OF_PACKET: u8 = 1 << 1;
    /// Nothing is said of checksums.
    pub(in super::super) const IGNORE_CHECKSUMS: u8 = 1 << 2;
    /// A tag was taken out.
    pub(in super::super) const TAG: u8 = 1 << 3;
    pub(in super::super) const TCP_CHECKED: u8 = 1 << 5;
    pub(in super::super) const IP_CHECKED: u8 = 1 << 6;
    /// It came in by a table that others share.
    pub(in super::super) const INEXACT: u8 = 1 << 7;
}

/// Errors of a descriptor (§3.2.3.2).
const TCP_ERROR: u8 = 1 << 5;
const IP_ERROR: u8 = 1 << 6;

/// RXCSUM: which checksums are looked at.
const CHECK_IP: u32 = 1 << 8;
const CHECK_TCP: u32 = 1 << 9;

/// Where in a descriptor the length is, behind which follow checksum, status, errors and tag.
const LENGTH_AT: u64 = 8;
const STATUS_AT: u64 = 12;

/// The receiver, as it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receiver {
    pub(super) control: u32,
    pub(super) ring: Ring,
    /// RXCSUM.
    pub(super) checksums: u32,
    /// RSRPD: the longest small frame.
    pub(super) small: u16,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Done,
    /// Not enough buffers now.
    NoRoom,
    /// Not enough buffers ever, or none where the driver says they are.
    Lost,
}

impl Receiver {
    pub(super) fn control(&self) -> ReceiveControl {
        ReceiveControl::from_bits_truncate(self.control)
    }

    /// RXCSUM after a reset: both are looked at.
    pub(super) fn new() -> Self {
        Self { checksums: CHECK_IP | CHECK_TCP, ..Self::default() }
    }

    /// Can this be?
    pub(super) fn is_possible(&self) -> bool {
        self.ring.is_possible()
    }

    /// Bytes of every buffer.
    fn buffer(&self) -> usize {
        let control = self.control();
        let size = 2048 >> ((control & ReceiveControl::BUFFER_SIZE).bits() >> 16);
        match control.contains(ReceiveControl::LARGE_BUFFERS) && size < 2048 {
            true => size * 16,
            false => size,
        }
    }

    /// Is a frame of this length, with its check sequence, longer than any that come in?
    pub(super) fn is_oversized(&self, octets: usize) -> bool {
        let control = self.control();
        let most = if control.contains(ReceiveControl::LONG_PACKETS) { LONGEST_LONG } else { LONGEST };
        octets > most && !control.contains(ReceiveControl::STORE_BAD)
    }

    /// Are few buffers left (§13.4.22, RDMTS)?
    pub(super) fn is_low(&self) -> bool {
        let fraction = (self.control() & ReceiveControl::FEW_BUFFERS).bits() >> 8;
        self.ring.ready() <= self.ring.size() >> (fraction + 1)
    }

    /// Status and errors for what the checksums of a frame are. Only those of IPv4 and of what it carries are looked at.
    pub(super) fn checked(&self, frame: &[u8]) -> (u8, u8) {
        const IPV4: u16 = 0x0800;
        const TCP: u8 = 6;
        const UDP: u8 = 17;
        let ignored = (status::IGNORE_CHECKSUMS, 0);
        if self.checksums & (CHECK_IP | CHECK_TCP) == 0 || get(frame, 12) != IPV4 {
            return ignored;
        }
        let packet = &frame[HEADER..];
        let Some(version) = packet.first() else { return ignored };
        let header = usize::from(version & 0xf) * 4;
        let length = usize::from(get(packet, 2));
        if version >> 4 != 4 || header < 20 || length < header || packet.len() < length {
            return ignored;
        }
        let (mut status, mut errors) = (0, 0);
        if self.checksums & CHECK_IP != 0 {
            status |= status::IP_CHECKED;
            if folded(&packet[..header]) != 0xffff {
                errors |= IP_ERROR;
            }
        }
        let is_fragment = get(packet, 6) & 0x3fff != 0;
        let body = &packet[header..length];
        let protocol = packet[9];
        let has_checksum = match protocol {
            TCP => body.len() >= 20,
            UDP => body.len() >= 8 && get(body, 6) != 0,
            _ => false,
        };
        if self.checksums & CHECK_TCP != 0 && has_checksum && !is_fragment {
            status |= status::TCP_CHECKED;
            let addresses: u64 = (12..20).step_by(2).map(|at| u64::from(get(packet, at))).sum();
            if folded_with(body, addresses + u64::from(protocol) + body.len() as u64) != 0xffff {
                errors |= TCP_ERROR;
            }
        }
        if status == 0 { ignored } else { (status, errors) }
    }

    /// Puts a frame into buffers and writes their descriptors back. `tag` was taken out of it.
    pub(super) fn deliver(&mut self, frame: &[u8], status: u8, errors: u8, tag: u16, dma: &Dma) -> Delivery {
        let strip = self.control().contains(ReceiveControl::STRIP_CHECK_SEQUENCE);
        // Nobody has worked a check sequence out: where it is asked for there are zeroes.
        let total = frame.len() + if strip { 0 } else { super::CHECK_SEQUENCE };
        let buffer = self.buffer();
        let wanted = total.div_ceil(buffer) as u32;
        let ready = self.ring.ready();
        let mut descriptors = Vec::new();
        let mut places = 0;
        while places < wanted {
            let taken = descriptors.len() as u32;
            if taken == ready {
                return match wanted < self.ring.size() && taken + 1 < self.ring.size() {
                    true => Delivery::NoRoom,
                    false => Delivery::Lost,
                };
            }
            // Or one frame after the other would walk through a ring of them.
            if taken == wanted + EMPTY {
                return Delivery::Lost;
            }
            let at = self.ring.address(taken);
            let mut descriptor = [0; DESCRIPTOR];
            if dma.read(at, &mut descriptor).is_err() {
                return Delivery::Lost;
            }
            let address = u128::from_le_bytes(descriptor) as u64;
            // Without an address it holds nothing, and is given back (§3.2.3).
            places += u32::from(address != 0);
            descriptors.push((at, address));
        }
        let mut rest = frame;
        let mut left = total;
        for (at, address) in &descriptors {
            let length = if *address == 0 { 0 } else { left.min(buffer) };
            let (part, behind) = rest.split_at(rest.len().min(length));
            // As on a bus where nobody takes them, bytes for memory that is not there are lost.
            if dma.write(*address, part).is_ok() && part.len() < length {
                let filled = address.wrapping_add(part.len() as u64);
                let _ = dma.write(filled, &[0; super::CHECK_SEQUENCE][..length - part.len()]);
            }
            rest = behind;
            left -= length;
            let ends = left == 0 && *address != 0;
            let [low, high] = (length as u16).to_le_bytes();
            let [tag_low, tag_high] = tag.to_le_bytes();
            let (state, errors) =
                if ends { (status | status::END_OF_PACKET, errors) } else { (status::IGNORE_CHECKSUMS, 0) };
            let state = state | status::DONE;
            let _ = dma.write(*at + LENGTH_AT, &[low, high, 0, 0, 0, errors, tag_low, tag_high]);
            // Whoever sees that it is done sees all the rest.
            fence(Ordering::Release);
            let _ = dma.write(*at + STATUS_AT, &[state]);
        }
        self.ring.advance(descriptors.len() as u32);
        Delivery::Done
    }
}
