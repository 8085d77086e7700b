//! The Internet checksum (RFC 1071), as the card works it out of parts of frames.

use serde::{Deserialize, Serialize};

/// The ones' complement sum of `bytes` as 16 bit words, the last one filled up with zero.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let whole: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    whole + rest.first().map_or(0, |byte| u64::from(*byte) << 8)
}

/// Folds carries in until 16 bits are left.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The ones' complement sum of `bytes`; for data with a correct checksum in it, all ones.
pub(super) fn folded(bytes: &[u8]) -> u16 {
    fold(sum(bytes))
}

/// The ones' complement sum of `bytes` and of other words.
pub(super) fn folded_with(bytes: &[u8], others: u64) -> u16 {
    fold(sum(bytes) + others)
}

/// Where a checksum is worked out and put, as descriptors say it (manual §3.3.6): `from` to `to`, the last byte or 0 for the
/// frame's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) from: u8,
    pub(super) to: u16,
    pub(super) at: u8,
}

impl Place {
    /// Puts the checksum in. What lies outside the frame is left alone. A sum of zero, which means none with UDP, is written as ones if
    /// `ones_for_zero`.
    pub(super) fn insert(self, frame: &mut [u8], ones_for_zero: bool) {
        let end = match usize::from(self.to) {
            0 => frame.len(),
            last => frame.len().min(last + 1),
        };
        let Some(part) = frame.get(usize::from(self.from)..end) else { return };
        let value = match !folded(part) {
            0 if ones_for_zero => 0xffff,
            value => value,
        };
        put(frame, self.at.into(), value);
    }
}

/// Puts a big-endian word into a frame, if it lies in it.
pub(super) fn put(frame: &mut [u8], at: usize, value: u16) {
    if let Some(word) = frame.get_mut(at..at + 2) {
        word.copy_from_slice(&value.to_be_bytes());
    }
}

/// A big-endian word of a frame; zero outside.
pub(super) fn get(frame: &[u8], at: usize) -> u16 {
    frame.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_as_the_rfc_does() {
        // RFC 1071 §3.
        assert_eq!(folded(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!(folded(&[0x12, 0x34, 0x56]), 0x6834);
        assert_eq!(folded(&[0xff; 0x1_0000]), 0xffff);
    }

    #[test]
    fn is_put_where_there_is_room() {
        let mut frame = vec![0, 0, 0x12, 0x34, 0, 0, 0x56];
        Place { from: 2, to: 5, at: 4 }.insert(&mut frame, false);
        assert_eq!(frame, [0, 0, 0x12, 0x34, 0xed, 0xcb, 0x56]);
        assert_eq!(folded(&frame[2..6]), 0xffff);
        Place { from: 2, to: 5, at: 0 }.insert(&mut frame, true);
        assert_eq!(frame[..2], [0xff, 0xff]);
        let before = frame.clone();
        for place in [(2, 0, 6), (2, 0, 255), (200, 0, 0), (5, 1, 0)] {
            Place { from: place.0, to: place.1, at: place.2 }.insert(&mut frame, true);
        }
        assert_eq!(frame, before);
    }
}
