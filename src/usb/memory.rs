//! A transfer's bytes: guest RAM, in as many pieces as the guest pleases.

use std::sync::Arc;

use device::{Dma, DmaError};

/// A piece of guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Guest-physical address of its first byte.
    pub at: u64,
    /// Bytes.
    pub length: u32,
}

/// Guest RAM in pieces, read and written as one. Clones are the same memory. Nothing is known about the guest's addresses
/// beforehand: what is not RAM answers with an error when it is touched.
#[derive(Clone)]
pub struct Memory {
    dma: Dma,
    pieces: Arc<[Piece]>,
    length: u64,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.pieces.iter()).finish()
    }
}

impl Memory {
    /// The pieces as one, in their order.
    pub fn new(dma: Dma, pieces: impl Into<Arc<[Piece]>>) -> Self {
        let pieces = pieces.into();
        let length = pieces.iter().map(|piece| u64::from(piece.length)).sum();
        Self { dma, pieces, length }
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// No bytes?
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its pieces, for what hands them on whole (disks).
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The part of it from `from` on, `length` bytes or as many as there are.
    pub fn part(&self, from: u64, length: u64) -> Self {
        let pieces: Vec<_> = self.within(from, length).map(|(piece, _)| piece).collect();
        Self::new(self.dma.clone(), pieces)
    }

    /// Fills `into` from `from` on, as far as there are bytes; how many there were.
    pub fn read(&self, from: u64, into: &mut [u8]) -> Result<usize, DmaError> {
        let mut done = 0;
        for (piece, at) in self.within(from, into.len() as u64) {
            self.dma.read(piece.at, &mut into[at..at + piece.length as usize])?;
            done = at + piece.length as usize;
        }
        Ok(done)
    }

    /// Puts `bytes` from `from` on, as far as there is room; how many had room.
    pub fn write(&self, from: u64, bytes: &[u8]) -> Result<usize, DmaError> {
        let mut done = 0;
        for (piece, at) in self.within(from, bytes.len() as u64) {
            self.dma.write(piece.at, &bytes[at..at + piece.length as usize])?;
            done = at + piece.length as usize;
        }
        Ok(done)
    }

    /// The pieces of a part, each with its place in that part.
    fn within(&self, from: u64, length: u64) -> impl Iterator<Item = (Piece, usize)> {
        let end = from.saturating_add(length);
        let mut start = 0;
        self.pieces.iter().filter_map(move |piece| {
            let (first, behind) = (start.max(from), (start + u64::from(piece.length)).min(end));
            let skipped = first - start;
            start += u64::from(piece.length);
            (first < behind).then(|| {
                let part = Piece { at: piece.at.saturating_add(skipped), length: (behind - first) as u32 };
                (part, (first - from) as usize)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use device::bench;

    use super::*;

    #[test]
    fn pieces_are_one() {
        let dma = Dma::new(bench::ram(0x4000), true);
        let pieces = [(0x100, 3), (0x200, 0), (0x300, 5)].map(|(at, length)| Piece { at, length });
        let memory = Memory::new(dma.clone(), pieces);
        assert_eq!(memory.len(), 8);
        assert_eq!(memory.write(1, b"abcdefghijk"), Ok(7));
        let mut read = [0; 9];
        assert_eq!(memory.read(0, &mut read), Ok(8));
        assert_eq!(&read, b"\0abcdefg\0");
        let part = memory.part(2, 4);
        assert_eq!(part.pieces(), [Piece { at: 0x102, length: 1 }, Piece { at: 0x300, length: 3 }]);
        assert!(memory.part(8, 1).is_empty() && memory.part(u64::MAX, u64::MAX).is_empty());
    }

    #[test]
    fn what_is_not_ram_is_an_error() {
        let dma = Dma::new(bench::ram(0x1000), true);
        let memory = Memory::new(dma, [Piece { at: u64::MAX - 1, length: u32::MAX }]);
        assert!(memory.write(0, &[1; 8]).is_err() && memory.read(5, &mut [0; 8]).is_err());
    }
}
