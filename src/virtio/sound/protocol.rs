//! The words of virtio-sound's control and event queues (VIRTIO 1.2 §5.14.6), little endian on the wire.

use std::ops::Range;

use super::params::{FORMATS, OFFERED, RATES};
use crate::chain::Chain;

/// Bytes of the common header, which is a code alone.
pub(super) const HEADER: usize = 4;
/// The most bytes of an item that are filled. Later revisions of an item are longer, but not so long.
const MAX_ITEM: usize = 256;
/// Positions that a channel map has room for.
const MAX_POSITIONS: usize = 18;

/// What the driver asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    JackInfo,
    JackRemap,
    PcmInfo,
    PcmSetParams,
    PcmPrepare,
    PcmRelease,
    PcmStart,
    PcmStop,
    ChannelMapInfo,
}

impl Request {
    /// What `code` stands for; `None` when nothing, or what only features allow that are not offered.
    pub(super) fn decode(code: u32) -> Option<Self> {
        Some(match code {
            0x0001 => Self::JackInfo,
            0x0002 => Self::JackRemap,
            0x0100 => Self::PcmInfo,
            0x0101 => Self::PcmSetParams,
            0x0102 => Self::PcmPrepare,
            0x0103 => Self::PcmRelease,
            0x0104 => Self::PcmStart,
            0x0105 => Self::PcmStop,
            0x0200 => Self::ChannelMapInfo,
            _ => return None,
        })
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    Ok = 0x8000,
    /// Malformed, or with parameters that nobody could obey, or at the wrong time.
    BadMessage = 0x8001,
    /// Well-formed, but not for this device.
    NotSupported = 0x8002,
    IoError = 0x8003,
}

/// What the device says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Event {
    JackConnected = 0x1000,
    JackDisconnected = 0x1001,
    Xrun = 0x1101,
}

/// Where frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Direction {
    Output = 0,
    Input = 1,
}

impl Direction {
    /// Channels that its stream can have; at least one.
    pub(super) const fn max_channels(self) -> u8 {
        match self {
            Self::Output => 8,
            Self::Input => 2,
        }
    }
}

/// A 32-bit word of a request's readable part.
pub(super) fn word(chain: &Chain, at: usize) -> Result<u32, Status> {
    chain.read(at as u64).map(u32::from_le_bytes).ok_or(Status::BadMessage)
}

/// A query for items (§5.14.6.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    first: u32,
    count: u32,
    /// Bytes of an item, as long as the driver knows it.
    size: u32,
}

impl Query {
    pub(super) fn of(chain: &Chain) -> Result<Self, Status> {
        Ok(Self { first: word(chain, 4)?, count: word(chain, 8)?, size: word(chain, 12)? })
    }

    /// The numbers of the items that are asked for.
    pub(super) fn numbers(self) -> Range<usize> {
        // What does not fit has no items.
        self.first as usize..self.first.saturating_add(self.count) as usize
    }

    /// The answer in `chain` from all `items` there are.
    pub(super) fn answer(self, chain: &Chain, items: &[Vec<u8>]) -> Result<Vec<u8>, Status> {
        let asked = items.get(self.numbers()).ok_or(Status::BadMessage)?;
        let size = self.size as usize;
        if !(HEADER..=MAX_ITEM).contains(&size) || chain.writable_len() < (HEADER + asked.len() * size) as u64 {
            return Err(Status::BadMessage);
        }
        // Drivers of other revisions know shorter or longer items.
        let resized = asked.iter().flat_map(|item| item.iter().copied().chain(std::iter::repeat(0)).take(size));
        Ok(resized.collect())
    }
}

/// All items are in one function group: the drivers make one card with one device of them.
const GROUP: u32 = 0;

/// A jack, as the driver sees it (§5.14.6.4.1); the registers are High Definition Audio's (7.3.3.31 and 7.3.4.9).
pub(super) fn jack_info(direction: Direction, connected: bool) -> Vec<u8> {
    let (configuration, capabilities) = match direction {
        // A green 3.5 mm jack at the back, line out; presence detection and output.
        Direction::Output => (0x0101_4010, 0x14),
        // A pink one, microphone; presence detection and input.
        Direction::Input => (0x01a1_9020, 0x24),
    };
    let mut bytes = words(&[GROUP, 0, configuration, capabilities]);
    bytes.extend([connected.into(), 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A stream, as the driver sees it (§5.14.6.6.2).
pub(super) fn pcm_info(direction: Direction) -> Vec<u8> {
    let formats = FORMATS.iter().fold(0u64, |set, (format, _)| set | 1 << format);
    let rates = RATES.iter().fold(0u64, |set, (rate, _)| set | 1 << rate);
    let mut bytes = words(&[GROUP, OFFERED]);
    bytes.extend(formats.to_le_bytes());
    bytes.extend(rates.to_le_bytes());
    bytes.extend([direction as u8, 1, direction.max_channels(), 0, 0, 0, 0, 0]);
    bytes
}

// Channel positions.
const MONO: u8 = 2;
/// Front left and right, rear left and right, front centre, low frequencies, side left and right: the order of [`::sound::Shape`].
const POSITIONS: [u8; 8] = [3, 4, 5, 6, 7, 8, 9, 10];
/// The numbers of channels that have places of their own; with others nobody agrees where they are.
pub(super) const MAPS: [(Direction, u8); 7] = [
    (Direction::Output, 1),
    (Direction::Output, 2),
    (Direction::Output, 4),
    (Direction::Output, 6),
    (Direction::Output, 8),
    (Direction::Input, 1),
    (Direction::Input, 2),
];

/// A channel map, as the driver sees it (§5.14.6.9.1).
pub(super) fn channel_map_info((direction, channels): (Direction, u8)) -> Vec<u8> {
    let mut bytes = words(&[GROUP]);
    bytes.extend([direction as u8, channels]);
    match channels {
        1 => bytes.push(MONO),
        _ => bytes.extend(POSITIONS.iter().take(channels.into())),
    }
    bytes.resize(HEADER + 2 + MAX_POSITIONS, 0);
    bytes
}

/// `words` as they go over the wire.
pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
