//! One request of a driver: a descriptor chain (VIRTIO 1.2 §2.7.5), checked as a whole before a device sees it.
//!
//! What is checked: the chain ends, has at most [`MAX_DESCRIPTORS`] buffers and 4 GiB, device-writable buffers come after
//! device-readable ones, and every buffer is RAM from end to end. Descriptors are read from guest memory once. So a device that
//! holds a [`Chain`] need only check lengths, and it does so for the chain, never for a descriptor: the driver may cut a
//! request into buffers as it likes (§2.7.4.3).

use std::ops::Deref;
use std::sync::Arc;

use device::Ram;
use serde::{Deserialize, Serialize};
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryBackend};

/// The longest chain taken. With indirect descriptors drivers may go beyond the queue's size, and Linux does.
pub const MAX_DESCRIPTORS: usize = 1024;

/// Why a chain was refused; the device then needs a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// The chain loops, is cut off, or its tables are not where they are said to be.
    #[error("a chain does not end")]
    Endless,
    /// There are more than [`MAX_DESCRIPTORS`] buffers.
    #[error("a chain of too many descriptors")]
    TooLong,
    /// A readable buffer stands behind a writable one.
    #[error("a readable buffer behind a writable one")]
    Order,
    /// A buffer is not RAM.
    #[error("a buffer at {0:#x} that is not RAM")]
    NotRam(u64),
}

/// A piece of guest RAM. Where a [`Chain`] gave it, it is RAM from end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Guest-physical address.
    pub address: u64,
    /// Bytes, never 0.
    pub length: u32,
}

/// A checked descriptor chain. The request is the device's until it gives the chain back by [`crate::Queues::push`].
#[derive(Clone)]
pub struct Chain {
    head: u16,
    ram: Arc<Ram>,
    readable: Vec<Span>,
    writable: Vec<Span>,
}

/// A chain in a device's saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainState {
    head: u16,
    readable: Vec<Span>,
    writable: Vec<Span>,
}

impl Chain {
    /// Walks and checks `descriptors`.
    pub(crate) fn new<M>(descriptors: DescriptorChain<M>, ram: &Arc<Ram>) -> Result<Self, BadChain>
    where
        M: Deref,
        M::Target: GuestMemory,
    {
        let head = descriptors.head_index();
        let (mut readable, mut writable) = (Vec::new(), Vec::new());
        let mut count = 0;
        // The iterator just ends at a bad link. What tells that from a good end is whether the last one had a successor.
        let mut ended = false;
        for descriptor in descriptors {
            count += 1;
            if count > MAX_DESCRIPTORS {
                return Err(BadChain::TooLong);
            }
            ended = !descriptor.has_next();
            if descriptor.is_write_only() {
                writable.push(Span { address: descriptor.addr().0, length: descriptor.len() });
            } else if writable.is_empty() {
                readable.push(Span { address: descriptor.addr().0, length: descriptor.len() });
            } else {
                return Err(BadChain::Order);
            }
        }
        if !ended {
            return Err(BadChain::Endless);
        }
        Self::from_spans(head, readable, writable, ram)
    }

    fn from_spans(
        head: u16,
        mut readable: Vec<Span>,
        mut writable: Vec<Span>,
        ram: &Arc<Ram>,
    ) -> Result<Self, BadChain> {
        for spans in [&mut readable, &mut writable] {
            spans.retain(|span| span.length != 0);
            for span in spans {
                if !GuestMemoryBackend::check_range(&**ram, GuestAddress(span.address), span.length as usize) {
                    return Err(BadChain::NotRam(span.address));
                }
            }
        }
        Ok(Self { head, ram: Arc::clone(ram), readable, writable })
    }

    /// The chain as plain data, for a device that is saved while it holds it.
    pub fn save(&self) -> ChainState {
        let Self { head, ram: _, readable, writable } = self;
        ChainState { head: *head, readable: readable.clone(), writable: writable.clone() }
    }

    /// A saved chain, checked again.
    pub(crate) fn restore(saved: ChainState, ram: &Arc<Ram>) -> Result<Self, BadChain> {
        let ChainState { head, readable, writable } = saved;
        if readable.len() + writable.len() > MAX_DESCRIPTORS {
            return Err(BadChain::TooLong);
        }
        Self::from_spans(head, readable, writable, ram)
    }

    /// Index of the first descriptor; unique among the requests of a queue that are under way.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Buffers the device reads, in order.
    pub fn readable(&self) -> &[Span] {
        &self.readable
    }

    /// Buffers the device writes, in order.
    pub fn writable(&self) -> &[Span] {
        &self.writable
    }

    /// Bytes that the device may read.
    pub fn readable_len(&self) -> u64 {
        length(&self.readable)
    }

    /// Bytes that the device may write.
    pub fn writable_len(&self) -> u64 {
        length(&self.writable)
    }

    /// Copies bytes out of the readable part, from `offset` in it. False, and nothing is promised about `into`, when the part
    /// is too short.
    #[must_use]
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        let Some(spans) = cut(&self.readable, offset, into.len() as u64) else { return false };
        let mut rest = into;
        for Span { address, length } in spans {
            let (part, behind) = rest.split_at_mut(length as usize);
            rest = behind;
            // The range was checked, and RAM does not go away.
            if self.ram.read_slice(part, GuestAddress(address)).is_err() {
                return false;
            }
        }
        true
    }

    /// `N` bytes of the readable part from `offset`; for headers.
    pub fn read<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read_at(offset, &mut bytes).then_some(bytes)
    }

    /// Everything readable from `offset`, but no more than `most` bytes.
    pub fn read_to_vec(&self, offset: u64, most: usize) -> Vec<u8> {
        let length = self.readable_len().saturating_sub(offset).min(most as u64) as usize;
        let mut bytes = vec![0; length];
        match self.read_at(offset, &mut bytes) {
            true => bytes,
            false => Vec::new(),
        }
    }

    /// Copies bytes into the writable part, at `offset` in it. False, and nothing is written, when the part is too short.
    #[must_use]
    pub fn write_at(&self, offset: u64, from: &[u8]) -> bool {
        let Some(spans) = cut(&self.writable, offset, from.len() as u64) else { return false };
        let mut rest = from;
        for Span { address, length } in spans {
            let (part, behind) = rest.split_at(length as usize);
            rest = behind;
            if self.ram.write_slice(part, GuestAddress(address)).is_err() {
                return false;
            }
        }
        true
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { head, ram: _, readable, writable } = self;
        f.debug_struct("Chain").field("head", head).field("readable", readable).field("writable", writable).finish()
    }
}

/// Bytes in `spans` together.
pub fn length(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

/// The part of `spans` that starts `offset` bytes in and is `length` bytes long; `None` when they are shorter.
pub fn cut(spans: &[Span], mut offset: u64, mut length: u64) -> Option<Vec<Span>> {
    let mut part = Vec::new();
    for span in spans {
        if length == 0 {
            break;
        }
        let here = u64::from(span.length);
        if offset >= here {
            offset -= here;
            continue;
        }
        let take = (here - offset).min(length);
        // Below the span's length, so it fits.
        part.push(Span { address: span.address + offset, length: take as u32 });
        length -= take;
        offset = 0;
    }
    (length == 0).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting() {
        let span = |address, length| Span { address, length };
        let spans = [span(0x1000, 16), span(0x3000, 8)];
        assert_eq!(cut(&spans, 0, 24), Some(spans.to_vec()));
        assert_eq!(cut(&spans, 12, 8), Some(vec![span(0x100c, 4), span(0x3000, 4)]));
        assert_eq!(cut(&spans, 16, 8), Some(vec![span(0x3000, 8)]));
        assert_eq!(cut(&spans, 23, 2), None);
        assert_eq!(cut(&spans, 0, 0), Some(vec![]));
        assert_eq!(cut(&spans, 24, 0), Some(vec![]));
        assert_eq!(cut(&spans, u64::MAX, 1), None);
        assert_eq!(length(&spans), 24);
    }
}
