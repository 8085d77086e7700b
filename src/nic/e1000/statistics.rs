//! The counters (manual §13.7). A counter stops at its end; reading it clears it.

use serde::{Deserialize, Serialize};

/// Counters there are.
const COUNTERS: usize = 64;

/// A counter, by its place among them. Those of errors that no cable here makes stay zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statistic(usize);

impl Statistic {
    /// Frames lost for want of buffers.
    pub(super) const MISSED: Self = Self(0x10 / 4);
    /// The first of six counters of received frames by their length.
    const RECEIVED_BY_LENGTH: Self = Self(0x5c / 4);
    const GOOD_RECEIVED: Self = Self(0x74 / 4);
    const BROADCASTS_RECEIVED: Self = Self(0x78 / 4);
    const MULTICASTS_RECEIVED: Self = Self(0x7c / 4);
    const GOOD_SENT: Self = Self(0x80 / 4);
    /// Each of these is two registers.
    const GOOD_OCTETS_RECEIVED: Self = Self(0x88 / 4);
    const GOOD_OCTETS_SENT: Self = Self(0x90 / 4);
    /// Frames that met no buffer.
    pub(super) const NO_BUFFERS: Self = Self(0xa0 / 4);
    pub(super) const OVERSIZED: Self = Self(0xac / 4);
    const OCTETS_RECEIVED: Self = Self(0xc0 / 4);
    const OCTETS_SENT: Self = Self(0xc8 / 4);
    const ALL_RECEIVED: Self = Self(0xd0 / 4);
    const ALL_SENT: Self = Self(0xd4 / 4);
    const SENT_BY_LENGTH: Self = Self(0xd8 / 4);
    const MULTICASTS_SENT: Self = Self(0xf0 / 4);
    const BROADCASTS_SENT: Self = Self(0xf4 / 4);
    /// Packets that the card cut into segments, and those that it could not.
    pub(super) const SEGMENTED: Self = Self(0xf8 / 4);
    pub(super) const NOT_SEGMENTED: Self = Self(0xfc / 4);

    /// The counter at this place, which is below 64.
    pub(super) const fn numbered(place: usize) -> Self {
        Self(place % COUNTERS)
    }

    fn is_upper_half(self) -> bool {
        let lower = Self(self.0.wrapping_sub(1));
        [Self::GOOD_OCTETS_RECEIVED, Self::GOOD_OCTETS_SENT, Self::OCTETS_RECEIVED, Self::OCTETS_SENT].contains(&lower)
    }

    fn is_lower_half(self) -> bool {
        Self(self.0 + 1).is_upper_half()
    }
}

/// All counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statistics(Vec<u32>);

impl Default for Statistics {
    fn default() -> Self {
        Self(vec![0; COUNTERS])
    }
}

impl Statistics {
    /// Can these be?
    pub(super) fn is_possible(&self) -> bool {
        self.0.len() == COUNTERS
    }

    /// What the driver reads. Of counters of 64 bits it reads the lower half first, and the upper one clears both.
    pub(super) fn take(&mut self, which: Statistic) -> u32 {
        if which.is_lower_half() {
            return self.0[which.0];
        }
        if which.is_upper_half() {
            self.0[which.0 - 1] = 0;
        }
        std::mem::take(&mut self.0[which.0])
    }

    pub(super) fn count(&mut self, which: Statistic) {
        self.0[which.0] = self.0[which.0].saturating_add(1);
    }

    fn count_octets(&mut self, which: Statistic, octets: usize) {
        let (low, high) = (which.0, which.0 + 1);
        let before = u64::from(self.0[low]) | u64::from(self.0[high]) << 32;
        let after = before.saturating_add(octets as u64);
        (self.0[low], self.0[high]) = (after as u32, (after >> 32) as u32);
    }

    /// Counts by length with the check sequence: 64, and up to 127, 255, 511, 1023 and 1522.
    fn count_length(&mut self, first: Statistic, octets: usize) {
        let class = match octets {
            ..=64 => 0,
            65..128 => 1,
            128..256 => 2,
            256..512 => 3,
            512..1024 => 4,
            _ => 5,
        };
        self.count(Statistic(first.0 + class));
    }

    /// A frame of this length, without its check sequence, came in.
    pub(super) fn received(&mut self, to: &[u8], length: usize) {
        let octets = length + super::CHECK_SEQUENCE;
        self.count_length(Statistic::RECEIVED_BY_LENGTH, octets);
        self.count(Statistic::GOOD_RECEIVED);
        self.count(Statistic::ALL_RECEIVED);
        self.count_octets(Statistic::GOOD_OCTETS_RECEIVED, octets);
        self.count_octets(Statistic::OCTETS_RECEIVED, octets);
        match group(to) {
            Group::Everybody => self.count(Statistic::BROADCASTS_RECEIVED),
            Group::Some => self.count(Statistic::MULTICASTS_RECEIVED),
            Group::One => {}
        }
    }

    /// A frame of this length, without its check sequence, went out.
    pub(super) fn sent(&mut self, frame: &[u8]) {
        let octets = frame.len() + super::CHECK_SEQUENCE;
        self.count_length(Statistic::SENT_BY_LENGTH, octets);
        self.count(Statistic::GOOD_SENT);
        self.count(Statistic::ALL_SENT);
        self.count_octets(Statistic::GOOD_OCTETS_SENT, octets);
        self.count_octets(Statistic::OCTETS_SENT, octets);
        match group(frame) {
            Group::Everybody => self.count(Statistic::BROADCASTS_SENT),
            Group::Some => self.count(Statistic::MULTICASTS_SENT),
            Group::One => {}
        }
    }
}

/// Whom an address means.
pub(super) enum Group {
    One,
    Some,
    Everybody,
}

/// Whom the address that a frame begins with means.
pub(super) fn group(frame: &[u8]) -> Group {
    match frame {
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => Group::Everybody,
        [first, ..] if first & 1 != 0 => Group::Some,
        _ => Group::One,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_when_read_and_stop_at_their_end() {
        let mut statistics = Statistics::default();
        statistics.sent(&[0xff; 60]);
        statistics.received(&[1; 6], 1514);
        for (place, count) in [(0xd8, 1), (0x80, 1), (0xd4, 1), (0xf4, 1), (0x70, 1), (0x7c, 1), (0x78, 0)] {
            assert_eq!(statistics.take(Statistic::numbered(place / 4)), count, "{place:#x}");
            assert_eq!(statistics.take(Statistic::numbered(place / 4)), 0);
        }
        let octets = Statistic::GOOD_OCTETS_RECEIVED;
        statistics.count_octets(octets, 0xffff_ffff);
        assert_eq!(statistics.take(octets), 1517);
        assert_eq!(statistics.take(octets), 1517);
        assert_eq!(statistics.take(Statistic(octets.0 + 1)), 1);
        assert_eq!(statistics.take(octets), 0);
        statistics.0[Statistic::MISSED.0] = u32::MAX;
        statistics.count(Statistic::MISSED);
        assert_eq!(statistics.take(Statistic::MISSED), u32::MAX);
    }
}
