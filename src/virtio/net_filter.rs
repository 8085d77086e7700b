//! Which frames a network card lets in (VIRTIO 1.2 §5.1.6.5.1, §5.1.6.5.2).

use serde::{Deserialize, Serialize};

use crate::chain::Chain;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// The most addresses kept of each table; with more, every address of the kind is let in.
const MOST: usize = 64;

/// A receive filter, and the address of the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    mac: Mac,
    promiscuous: bool,
    all_multicast: bool,
    all_unicast: bool,
    no_multicast: bool,
    no_unicast: bool,
    no_broadcast: bool,
    unicast: Table,
    multicast: Table,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    addresses: Vec<Mac>,
    /// There were more than fit.
    overflow: bool,
}

impl Table {
    fn has(&self, mac: &[u8]) -> bool {
        self.overflow || self.addresses.iter().any(|address| address == mac)
    }
}

impl Filter {
    /// Command class of receive modes.
    pub(crate) const RECEIVE_MODE: u8 = 0;
    /// Command class of addresses.
    pub(crate) const ADDRESSES: u8 = 1;

    /// The filter of a card whose driver said nothing yet: everything comes in, for drivers without a control queue.
    pub(crate) fn new(mac: Mac) -> Self {
        Self {
            mac,
            promiscuous: true,
            all_multicast: false,
            all_unicast: false,
            no_multicast: false,
            no_unicast: false,
            no_broadcast: false,
            unicast: Table::default(),
            multicast: Table::default(),
        }
    }

    /// The card's address.
    pub(crate) fn mac(&self) -> &Mac {
        &self.mac
    }

    /// Is a saved filter within bounds?
    pub(crate) fn is_possible(&self) -> bool {
        self.unicast.addresses.len() <= MOST && self.multicast.addresses.len() <= MOST
    }

    /// Does this frame come in?
    pub(crate) fn lets_in(&self, frame: &[u8]) -> bool {
        let Some(to) = frame.get(..6) else { return false };
        if self.promiscuous {
            return true;
        }
        match to {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => !self.no_broadcast,
            [first, ..] if first & 1 != 0 => !self.no_multicast && (self.all_multicast || self.multicast.has(to)),
            _ => !self.no_unicast && (self.all_unicast || to == self.mac || self.unicast.has(to)),
        }
    }

    /// Obeys a command, whose two bytes of class and command its data follow in `chain`. False when it is not understood; the
    /// filter is then as before.
    pub(crate) fn command(&mut self, class: u8, command: u8, chain: &Chain) -> bool {
        const DATA: u64 = 2;
        match (class, command) {
            (Self::RECEIVE_MODE, 0..=5) => {
                let Some([on]) = chain.read::<1>(DATA) else { return false };
                let mode = match command {
                    0 => &mut self.promiscuous,
                    1 => &mut self.all_multicast,
                    2 => &mut self.all_unicast,
                    3 => &mut self.no_multicast,
                    4 => &mut self.no_unicast,
                    _ => &mut self.no_broadcast,
                };
                *mode = on != 0;
                true
            }
            (Self::ADDRESSES, 0) => {
                let Some((unicast, next)) = read_table(chain, DATA) else { return false };
                let Some((multicast, _)) = read_table(chain, next) else { return false };
                self.unicast = unicast;
                self.multicast = multicast;
                true
            }
            (Self::ADDRESSES, 1) => match chain.read(DATA) {
                Some(mac) => {
                    self.mac = mac;
                    true
                }
                None => false,
            },
            _ => false,
        }
    }
}

/// A table at `at`: a count, then addresses. Gives where it ends, too.
fn read_table(chain: &Chain, at: u64) -> Option<(Table, u64)> {
    let count = u64::from(u32::from_le_bytes(chain.read(at)?));
    let (start, end) = (at + 4, at + 4 + 6 * count);
    if end > chain.readable_len() {
        return None;
    }
    if count > MOST as u64 {
        return Some((Table { addresses: Vec::new(), overflow: true }, end));
    }
    let addresses = (0..count).map(|i| chain.read(start + 6 * i)).collect::<Option<_>>()?;
    Some((Table { addresses, overflow: false }, end))
}
