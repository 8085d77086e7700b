//! Contexts: what driver and controller know of a device, in guest RAM (xHCI 1.2 §6.2). They have 32 bytes here.

use device::{Dma, DmaError};
use serde::{Deserialize, Serialize};

use super::registers::STREAM_ARRAY;
use super::report::Shape;
use super::trb::Ring;
use crate::{Direction, Endpoint};

/// Bytes of a context.
const CONTEXT: u64 = 32;
/// Endpoint contexts of a device: the default endpoint is number 1.
pub(super) const ENDPOINTS: u8 = 31;

/// Where in a device context the slot's part and the endpoints' are; in an input context they stand behind one more.
pub(super) fn place(device: u64, number: u8) -> u64 {
    device.wrapping_add(CONTEXT * u64::from(number))
}

/// A context's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) [u32; 8]);

impl Words {
    pub(super) fn get(at: u64, dma: &Dma) -> Result<Self, DmaError> {
        let mut bytes = [0; CONTEXT as usize];
        dma.read(at, &mut bytes)?;
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        Ok(Self(words))
    }

    pub(super) fn put(self, at: u64, dma: &Dma) -> Result<(), DmaError> {
        dma.write(at, &self.0.map(u32::to_le_bytes).concat())
    }
}

/// States of a slot (§4.5.3), as its context has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SlotState {
    /// Enabled; also what a disabled one's context says.
    Enabled = 0,
    Default = 1,
    Addressed = 2,
    Configured = 3,
}

/// A slot's context (§6.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotContext(pub(super) Words);

impl SlotContext {
    pub(super) fn route(self) -> u32 {
        self.0.0[0] & 0xf_ffff
    }

    /// The root port, 1 being the first.
    pub(super) fn port(self) -> u8 {
        (self.0.0[1] >> 16) as u8
    }

    pub(super) fn set_entries(&mut self, entries: u8) {
        self.0.0[0] = self.0.0[0] & 0x07ff_ffff | u32::from(entries) << 27;
    }

    pub(super) fn set_state(&mut self, state: SlotState, address: u8) {
        self.0.0[3] = (state as u32) << 27 | u32::from(address);
    }
}

/// States of an endpoint (§4.8.3), as its context has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndpointState {
    Disabled = 0,
    Running = 1,
    Halted = 2,
    Stopped = 3,
    Error = 4,
}

/// Kinds of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndpointKind {
    Control,
    Isochronous,
    Bulk,
    Interrupt,
}

impl EndpointKind {
    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Control => Shape::Control,
            Self::Isochronous => Shape::Isochronous,
            Self::Bulk | Self::Interrupt => Shape::Plain,
        }
    }
}

/// The endpoint whose context has this number.
pub(super) fn endpoint_of(number: u8) -> Endpoint {
    match number {
        0 | 1 => Endpoint::CONTROL,
        _ if number % 2 == 1 => Endpoint { number: number / 2, direction: Direction::In },
        _ => Endpoint { number: number / 2, direction: Direction::Out },
    }
}

/// An endpoint's context (§6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndpointContext(pub(super) Words);

impl EndpointContext {
    /// What it is, if endpoint `number` can be that.
    pub(super) fn kind(self, number: u8) -> Option<EndpointKind> {
        let is_in = number % 2 == 1;
        match self.0.0[1] >> 3 & 7 {
            4 if number == 1 => Some(EndpointKind::Control),
            _ if number == 1 => None,
            1 if !is_in => Some(EndpointKind::Isochronous),
            2 if !is_in => Some(EndpointKind::Bulk),
            3 if !is_in => Some(EndpointKind::Interrupt),
            5 if is_in => Some(EndpointKind::Isochronous),
            6 if is_in => Some(EndpointKind::Bulk),
            7 if is_in => Some(EndpointKind::Interrupt),
            _ => None,
        }
    }

    /// Streams: the size of their array as a power of two less one, 0 for none. `None` for what we have not.
    pub(super) fn streams(self, kind: EndpointKind) -> Option<u8> {
        let streams = (self.0.0[0] >> 10 & 0x1f) as u8;
        let is_linear = self.0.0[0] & 1 << 15 != 0;
        match streams {
            0 => Some(0),
            1..=STREAM_ARRAY if kind == EndpointKind::Bulk && is_linear => Some(streams),
            _ => None,
        }
    }

    /// Its ring, or the array of its streams.
    pub(super) fn dequeue(self) -> u64 {
        u64::from(self.0.0[2]) | u64::from(self.0.0[3]) << 32
    }

    pub(super) fn set_state(&mut self, state: EndpointState) {
        self.0.0[0] = self.0.0[0] & !7 | state as u32;
    }

    pub(super) fn set_ring(&mut self, ring: Ring) {
        self.0.0[2] = ring.pointer() as u32;
        self.0.0[3] = (ring.pointer() >> 32) as u32;
    }
}
