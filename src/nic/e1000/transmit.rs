//! Frames on their way out (manual §3.3 to §3.5): descriptors, checksums, segmentation, VLAN tags.
//!
//! A packet is gathered whole before it is cut into segments. Its length is bounded: what is longer than any packet can be is lost.

use bitflags::bitflags;
use device::Dma;
use serde::{Deserialize, Serialize};

use super::checksum::{Place, get, put};
use super::registers::TransmitControl;
use super::ring::{DESCRIPTOR, Ring};
use super::{SHORTEST, VLAN_TAG};

/// Most bytes of a packet that is to be cut: headers, and as much as IP can say.
const LONGEST_PACKET: usize = (1 << 16) + 256;
/// Most bytes of a frame as it is (manual §3.3.1).
const LONGEST_FRAME: usize = 16288;

bitflags! {
    /// The command byte of descriptors (§3.3.3.1, §3.3.7.1; of contexts, §3.3.6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Command: u8 {
        const END_OF_PACKET = 1 << 0;
        /// Of a legacy descriptor: put a checksum in. Of others: cut this into segments.
        const CHECKSUM_OR_SEGMENT = 1 << 2;
        /// Write the descriptor back when it is done.
        const REPORT = 1 << 3;
        const REPORT_SENT = 1 << 4;
        /// Not a legacy descriptor.
        const EXTENDED = 1 << 5;
        const TAG = 1 << 6;
        /// The interrupt for it may wait.
        const DELAY = 1 << 7;
        /// Of a context: it is TCP, and on IPv4.
        const IS_TCP = 1 << 0;
        const IS_IPV4 = 1 << 1;
    }
}

/// Put in the checksum of the IP header; of TCP or UDP.
const IP_CHECKSUM: u8 = 1 << 0;
const TCP_CHECKSUM: u8 = 1 << 1;
/// The descriptor is done.
pub(super) const DONE: u8 = 1 << 0;
/// Where in a descriptor the status is.
pub(super) const STATUS_AT: u64 = 12;

/// What a context descriptor says of the packets after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Context {
    ip: Place,
    tcp: Place,
    /// Bytes of headers, which every segment has.
    headers: u8,
    /// Most bytes behind them.
    segment: u16,
    is_tcp: bool,
    is_ipv4: bool,
}

/// A packet whose last descriptor has not come yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Packet {
    bytes: Vec<u8>,
    /// There was a descriptor.
    begun: bool,
    /// It is to be cut.
    segmented: bool,
    checksums: u8,
    /// Of a legacy descriptor.
    checksum: Option<Place>,
    tag: Option<u16>,
    /// Too long, or of memory that is not there.
    lost: bool,
}

/// The transmitter, as it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transmitter {
    pub(super) control: u32,
    pub(super) descriptor_control: u32,
    pub(super) ring: Ring,
    /// One for packets that are cut, one for the others.
    segmenting: Context,
    plain: Context,
    packet: Packet,
}

/// What a descriptor was.
pub(super) struct Taken {
    pub(super) command: Command,
    /// Its packet is whole.
    pub(super) ends_packet: bool,
    /// Bytes that were read for it.
    pub(super) read: usize,
}

impl Transmitter {
    /// Can this be?
    pub(super) fn is_possible(&self) -> bool {
        self.ring.is_possible() && self.packet.bytes.len() <= LONGEST_PACKET
    }

    pub(super) fn control(&self) -> TransmitControl {
        TransmitControl::from_bits_truncate(self.control)
    }

    /// How few descriptors are few (TXDCTL, LWTHRESH); none when that is not asked.
    pub(super) fn few(&self) -> u32 {
        8 * (self.descriptor_control >> 25)
    }

    /// Takes the next descriptor in.
    pub(super) fn take(&mut self, descriptor: [u8; DESCRIPTOR], dma: &Dma) -> Taken {
        let whole = u128::from_le_bytes(descriptor);
        let field = |at: u32, bits: u32| (whole >> at) as u64 & u64::MAX >> (64 - bits);
        let command = Command::from_bits_retain(descriptor[11]);
        let is_extended = command.contains(Command::EXTENDED);
        if is_extended && field(84, 4) == 0 {
            let place =
                |at: u32| Place { from: field(at, 8) as u8, at: field(at + 8, 8) as u8, to: field(at + 16, 16) as u16 };
            let context = Context {
                ip: place(0),
                tcp: place(32),
                headers: field(104, 8) as u8,
                segment: field(112, 16) as u16,
                is_tcp: command.contains(Command::IS_TCP),
                is_ipv4: command.contains(Command::IS_IPV4),
            };
            match command.contains(Command::CHECKSUM_OR_SEGMENT) {
                true => self.segmenting = context,
                false => self.plain = context,
            }
            return Taken { command, ends_packet: false, read: 0 };
        }
        let packet = &mut self.packet;
        let length = if is_extended { field(64, 20) } else { field(64, 16) } as usize;
        let asked = command.contains(Command::CHECKSUM_OR_SEGMENT);
        if !packet.begun {
            *packet = Packet { bytes: std::mem::take(&mut packet.bytes), ..Packet::default() };
            packet.bytes.clear();
            packet.begun = true;
            packet.segmented = is_extended && asked;
            packet.checksums = if is_extended { descriptor[13] } else { 0 };
        }
        if !is_extended && asked {
            packet.checksum = Some(Place { from: descriptor[13], to: 0, at: descriptor[10] });
        }
        if command.contains(Command::TAG) {
            packet.tag = Some(field(112, 16) as u16);
        }
        let most = if packet.segmented { LONGEST_PACKET } else { LONGEST_FRAME };
        let before = packet.bytes.len();
        packet.lost |= before + length > most;
        if !packet.lost {
            packet.bytes.resize(before + length, 0);
            packet.lost = dma.read(field(0, 64), &mut packet.bytes[before..]).is_err();
        }
        let ends_packet = command.contains(Command::END_OF_PACKET);
        let read = packet.bytes.len() - before;
        packet.begun = !ends_packet;
        Taken { command, ends_packet, read }
    }

    /// Hands out the frames of the packet that is whole now, made in `frame`. `tag_type` is what goes before tags; without one none go in.
    pub(super) fn send(&mut self, tag_type: Option<u16>, frame: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> Sent {
        let (segmenting, plain, pad) =
            (self.segmenting, self.plain, self.control().contains(TransmitControl::PAD_SHORT));
        let packet = &mut self.packet;
        let mut bytes = std::mem::take(&mut packet.bytes);
        let tag = tag_type.zip(packet.tag);
        let mut finish = |frame: &mut Vec<u8>| {
            if let Some((kind, tag)) = tag.filter(|_| frame.len() >= 12) {
                let [a, b] = kind.to_be_bytes();
                let [c, d] = tag.to_be_bytes();
                let inserted: [u8; VLAN_TAG] = [a, b, c, d];
                frame.splice(12..12, inserted);
            }
            if pad && frame.len() < SHORTEST {
                frame.resize(SHORTEST, 0);
            }
            each(frame);
        };
        let sent = match () {
            () if packet.lost || bytes.is_empty() => Sent::Lost,
            () if packet.segmented => segmenting.cut(&bytes, packet.checksums, frame, &mut finish),
            () => {
                std::mem::swap(frame, &mut bytes);
                if let Some(place) = packet.checksum {
                    place.insert(frame, false);
                }
                plain.insert_checksums(frame, packet.checksums);
                finish(frame);
                Sent::Whole
            }
        };
        // Kept for its memory.
        packet.bytes = bytes;
        packet.bytes.clear();
        sent
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    Cut,
    /// It cannot be cut as its context says.
    Uncuttable,
    Lost,
}

impl Context {
    fn insert_checksums(&self, frame: &mut [u8], checksums: u8) {
        if checksums & TCP_CHECKSUM != 0 {
            self.tcp.insert(frame, true);
        }
        if checksums & IP_CHECKSUM != 0 {
            self.ip.insert(frame, false);
        }
    }

    /// Cuts a packet into segments with headers of their own (§3.5).
    fn cut(&self, packet: &[u8], checksums: u8, frame: &mut Vec<u8>, finish: &mut impl FnMut(&mut Vec<u8>)) -> Sent {
        const SEQUENCE: usize = 4;
        const FLAGS: usize = 13;
        /// FIN and PSH, which only the last segment has.
        const LAST_ONLY: u8 = 1 << 0 | 1 << 3;
        /// 64 KiB in the smallest segments of TCP, which have 48 bytes, and some more.
        const MOST_SEGMENTS: usize = 2048;
        let (Some((headers, payload)), 1..) = (packet.split_at_checked(self.headers.into()), self.segment) else {
            return Sent::Uncuttable;
        };
        if headers.is_empty() || payload.is_empty() {
            return Sent::Uncuttable;
        }
        let (ip, tcp) = (usize::from(self.ip.from), usize::from(self.tcp.from));
        let count = payload.len().div_ceil(self.segment.into());
        if count > MOST_SEGMENTS {
            return Sent::Uncuttable;
        }
        for (number, part) in payload.chunks(self.segment.into()).enumerate() {
            frame.clear();
            frame.extend_from_slice(headers);
            frame.extend_from_slice(part);
            // All lengths are below 1 << 17; the fields have 16 bits.
            let after = |from: usize| frame.len().saturating_sub(from) as u16;
            let (of_ip, of_tcp) = (after(ip), after(tcp));
            if self.is_ipv4 {
                let identification = get(headers, ip + 4).wrapping_add(number as u16);
                put(&mut frame[..headers.len()], ip + 2, of_ip);
                put(&mut frame[..headers.len()], ip + 4, identification);
            } else {
                // Of IPv6: what follows its header of 40 bytes.
                put(&mut frame[..headers.len()], ip + 4, of_ip.saturating_sub(40));
            }
            if self.is_tcp {
                let sequence =
                    u32::from(get(headers, tcp + SEQUENCE)) << 16 | u32::from(get(headers, tcp + SEQUENCE + 2));
                let sequence = sequence.wrapping_add((number * usize::from(self.segment)) as u32);
                put(&mut frame[..headers.len()], tcp + SEQUENCE, (sequence >> 16) as u16);
                put(&mut frame[..headers.len()], tcp + SEQUENCE + 2, sequence as u16);
                if let Some(flags) = frame[..headers.len()].get_mut(tcp + FLAGS).filter(|_| number + 1 < count) {
                    *flags &= !LAST_ONLY;
                }
            } else {
                put(&mut frame[..headers.len()], tcp + 4, of_tcp);
            }
            if checksums & TCP_CHECKSUM != 0 {
                // The driver left the sum of the pseudo header there, all but the length.
                let at = usize::from(self.tcp.at);
                let sum = u32::from(get(frame, at)) + u32::from(of_tcp);
                put(frame, at, (sum & 0xffff) as u16 + (sum >> 16) as u16);
            }
            self.insert_checksums(frame, checksums);
            finish(frame);
        }
        Sent::Cut
    }
}
