//! A ring of descriptors in guest memory (manual §3.2.6, §3.4): the card owns those from head to before tail.

use serde::{Deserialize, Serialize};

use super::registers::RingRegister;

/// Bytes of a descriptor.
pub(super) const DESCRIPTOR: usize = 16;

/// Bytes of a ring, a multiple of 128.
const LENGTH: u32 = 0x000f_ff80;

/// The registers of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ring {
    base: u64,
    bytes: u32,
    head: u16,
    tail: u16,
}

impl Ring {
    pub(super) fn read(&self, register: RingRegister) -> u32 {
        match register {
            RingRegister::BaseLow => self.base as u32,
            RingRegister::BaseHigh => (self.base >> 32) as u32,
            RingRegister::Length => self.bytes,
            RingRegister::Head => self.head.into(),
            RingRegister::Tail => self.tail.into(),
        }
    }

    pub(super) fn write(&mut self, register: RingRegister, value: u32) {
        match register {
            RingRegister::BaseLow => self.base = self.base & !0xffff_ffff | u64::from(value & !0xf),
            RingRegister::BaseHigh => self.base = self.base & 0xffff_ffff | u64::from(value) << 32,
            RingRegister::Length => self.bytes = value & LENGTH,
            RingRegister::Head => self.head = value as u16,
            RingRegister::Tail => self.tail = value as u16,
        }
    }

    /// Can these be the registers of a ring?
    pub(super) fn is_possible(&self) -> bool {
        self.base & 0xf == 0 && self.bytes & !LENGTH == 0
    }

    /// Descriptors in the ring.
    pub(super) fn size(&self) -> u32 {
        self.bytes / DESCRIPTOR as u32
    }

    /// Descriptors that are the card's: less than the ring has. None when head or tail lie outside, where no hardware is promised to
    /// do anything.
    pub(super) fn ready(&self) -> u32 {
        let (size, head, tail) = (self.size(), u32::from(self.head), u32::from(self.tail));
        match head < size && tail < size {
            true if head <= tail => tail - head,
            true => size - head + tail,
            false => 0,
        }
    }

    /// Where the descriptor `ahead` of the head is; `ahead` is less than [`Ring::ready`].
    pub(super) fn address(&self, ahead: u32) -> u64 {
        let size = u64::from(self.size().max(1));
        let index = (u64::from(self.head) + u64::from(ahead)) % size;
        self.base.wrapping_add(index * DESCRIPTOR as u64)
    }

    /// The first `count` descriptors are done; no more than [`Ring::ready`].
    pub(super) fn advance(&mut self, count: u32) {
        // Less than the size, whose most is below 1 << 16.
        self.head = ((u32::from(self.head) + count) % self.size().max(1)) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_and_is_never_fuller_than_it_is_long() {
        let mut ring = Ring::default();
        assert_eq!(ring.ready(), 0);
        ring.write(RingRegister::BaseLow, 0x1007);
        ring.write(RingRegister::Length, 0x87);
        ring.write(RingRegister::Head, 6);
        ring.write(RingRegister::Tail, 2);
        assert_eq!((ring.size(), ring.ready()), (8, 4));
        assert_eq!((ring.address(0), ring.address(3)), (0x1060, 0x1010));
        ring.advance(3);
        assert_eq!((ring.read(RingRegister::Head), ring.ready()), (1, 1));
        ring.write(RingRegister::Tail, 8);
        assert_eq!(ring.ready(), 0);
        ring.write(RingRegister::BaseHigh, u32::MAX);
        ring.write(RingRegister::BaseLow, u32::MAX);
        assert_eq!(ring.address(0), 0);
    }
}
