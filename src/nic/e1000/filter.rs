//! Which frames the card lets in (manual §3.2.1, §9.3, §13.5).

use serde::{Deserialize, Serialize};

use super::registers::{ADDRESSES, ReceiveControl, TABLE_WORDS};
use super::statistics::{Group, group};

/// RAH, the address is one.
const VALID: u32 = 1 << 31;

/// The tables that the receive control register's modes go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Filter {
    /// RAL and RAH.
    addresses: [(u32, u32); ADDRESSES],
    /// MTA: bits by twelve bits of an address.
    multicast: Vec<u32>,
    /// VFTA: bits by VLAN.
    vlans: Vec<u32>,
}

/// How a frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Exact,
    /// By the multicast table, which different addresses share: the driver has to look.
    Inexact,
}

impl Filter {
    /// After a reset: the card's own address is read from its EEPROM.
    pub(super) fn new(mac: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = mac;
        let mut addresses = [(0, 0); ADDRESSES];
        addresses[0] = (u32::from_le_bytes([a, b, c, d]), u32::from(u16::from_le_bytes([e, f])) | VALID);
        Self { addresses, multicast: vec![0; TABLE_WORDS], vlans: vec![0; TABLE_WORDS] }
    }

    /// Can these be tables?
    pub(super) fn is_possible(&self) -> bool {
        self.multicast.len() == TABLE_WORDS && self.vlans.len() == TABLE_WORDS
    }

    /// RAL and RAH of an entry.
    pub(super) fn address(&mut self, entry: usize) -> &mut (u32, u32) {
        &mut self.addresses[entry % ADDRESSES]
    }

    pub(super) fn multicast(&mut self, word: usize) -> &mut u32 {
        &mut self.multicast[word % TABLE_WORDS]
    }

    pub(super) fn vlans(&mut self, word: usize) -> &mut u32 {
        &mut self.vlans[word % TABLE_WORDS]
    }

    /// Does this frame come in? `tag` is that of its VLAN, when it has one.
    pub(super) fn lets_in(&self, frame: &[u8], tag: Option<u16>, control: ReceiveControl) -> Option<Match> {
        if let Some(tag) = tag.filter(|_| control.contains(ReceiveControl::VLAN_FILTER)) {
            let vlan = usize::from(tag & 0xfff);
            if self.vlans[vlan / 32] >> (vlan % 32) & 1 == 0 {
                return None;
            }
            let format = tag & 1 << 12 != 0;
            let wanted = control.contains(ReceiveControl::FORMAT_IS);
            if control.contains(ReceiveControl::FORMAT_FILTER) && format != wanted {
                return None;
            }
        }
        let to: [u8; 6] = frame.get(..6)?.try_into().ok()?;
        let [a, b, c, d, e, f] = to;
        let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from(u16::from_le_bytes([e, f])));
        if self.addresses.iter().any(|entry| entry.0 == low && entry.1 & (VALID | 0xffff) == VALID | high) {
            return Some(Match::Exact);
        }
        let (promiscuous, is_group) = match group(frame) {
            Group::One => (control.contains(ReceiveControl::UNICAST_PROMISCUOUS), false),
            Group::Some => (control.contains(ReceiveControl::MULTICAST_PROMISCUOUS), true),
            Group::Everybody => {
                (control.intersects(ReceiveControl::BROADCAST | ReceiveControl::MULTICAST_PROMISCUOUS), true)
            }
        };
        if promiscuous {
            return Some(Match::Exact);
        }
        (is_group && self.is_in_multicast_table(e, f, control)).then_some(Match::Inexact)
    }

    /// Looks an address up by its last two bytes.
    fn is_in_multicast_table(&self, fifth: u8, sixth: u8, control: ReceiveControl) -> bool {
        let shift = match (control & ReceiveControl::MULTICAST_OFFSET).bits() >> 12 {
            0 => 4,
            1 => 3,
            2 => 2,
            _ => 0,
        };
        let bit = usize::from(u16::from_le_bytes([fifth, sixth]) >> shift & 0xfff);
        self.multicast[bit / 32] >> (bit % 32) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const OTHER: [u8; 6] = [0x52, 0x54, 0, 1, 2, 4];
    const GROUP: [u8; 6] = [0x33, 0x33, 0, 0, 0x12, 0xab];
    const EVERYBODY: [u8; 6] = [0xff; 6];

    #[test]
    fn lets_in_what_it_is_told_to() {
        let mut filter = Filter::new(OWN);
        let none = ReceiveControl::empty();
        assert_eq!(filter.lets_in(&OWN, None, none), Some(Match::Exact));
        for (mode, to) in [
            (ReceiveControl::UNICAST_PROMISCUOUS, OTHER),
            (ReceiveControl::MULTICAST_PROMISCUOUS, GROUP),
            (ReceiveControl::BROADCAST, EVERYBODY),
        ] {
            assert_eq!(filter.lets_in(&to, None, none), None);
            assert_eq!(filter.lets_in(&to, None, mode), Some(Match::Exact));
            assert_eq!(
                filter.lets_in(&to, None, ReceiveControl::all() - mode - ReceiveControl::MULTICAST_PROMISCUOUS),
                None
            );
        }
        *filter.multicast(0xab1 / 32) |= 1 << (0xab1 % 32);
        assert_eq!(filter.lets_in(&GROUP, None, none), Some(Match::Inexact));
        let lowest = ReceiveControl::MULTICAST_OFFSET;
        assert_eq!(filter.lets_in(&GROUP, None, lowest), None);
        *filter.multicast(0xb12 / 32) |= 1 << (0xb12 % 32);
        assert_eq!(filter.lets_in(&GROUP, None, lowest), Some(Match::Inexact));
        *filter.address(15) = (u32::from_le_bytes([0x52, 0x54, 0, 1]), 0x0402);
        assert_eq!(filter.lets_in(&OTHER, None, none), None);
        filter.address(15).1 |= VALID | 0x2_0000;
        assert_eq!(filter.lets_in(&OTHER, None, none), Some(Match::Exact));
    }

    #[test]
    fn tags_are_filtered_first() {
        let mut filter = Filter::new(OWN);
        let mode = ReceiveControl::VLAN_FILTER | ReceiveControl::UNICAST_PROMISCUOUS;
        assert_eq!(filter.lets_in(&OWN, Some(0x6005), mode), None);
        *filter.vlans(0) = 1 << 5;
        assert!(filter.lets_in(&OWN, Some(0x6005), mode).is_some());
        assert!(filter.lets_in(&OWN, Some(0x7005), mode | ReceiveControl::FORMAT_FILTER).is_none());
        assert!(filter.lets_in(&OWN, Some(0x7fff), mode - ReceiveControl::VLAN_FILTER).is_some());
        assert!(filter.lets_in(&OWN, None, mode).is_some());
    }
}
