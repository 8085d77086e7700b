//! Which stations are behind a port: the filtering database of a switch (IEEE 802.1D, 7.9).

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// An Ethernet address.
pub(crate) type Address = [u8; 6];

/// How long a station is remembered that sends nothing: the standard's ageing time.
const AGE: Duration = Duration::from_secs(300);
/// Stations behind one port. More are not remembered, and so reached by every port's cable.
const STATIONS: usize = 256;

/// Is it an address of many stations (its group bit is set), or nobody's own?
pub(crate) fn is_group(address: &Address) -> bool {
    address[0] & 1 != 0
}

/// The stations behind one port, and when each was last heard.
#[derive(Default)]
pub(crate) struct Addresses(HashMap<Address, Instant>);

impl Addresses {
    /// A frame came from `address`. True when it was not known to be here.
    pub(crate) fn learn(&mut self, address: Address, now: Instant) -> bool {
        if is_group(&address) {
            return false;
        }
        if let Some(heard) = self.0.get_mut(&address) {
            *heard = now;
            return false;
        }
        if self.0.len() == STATIONS {
            self.0.retain(|_, heard| now.duration_since(*heard) < AGE);
        }
        self.0.len() < STATIONS && self.0.insert(address, now).is_none()
    }

    /// It is somewhere else now.
    pub(crate) fn forget(&mut self, address: &Address) {
        self.0.remove(address);
    }

    /// Is it here?
    pub(crate) fn has(&self, address: &Address, now: Instant) -> bool {
        self.0.get(address).is_some_and(|heard| now.duration_since(*heard) < AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stations_are_learnt_and_age() {
        let mut addresses = Addresses::default();
        let (now, station) = (Instant::now(), [2, 0, 0, 0, 0, 1]);
        assert!(!addresses.has(&station, now));
        assert!(addresses.learn(station, now) && !addresses.learn(station, now));
        assert!(addresses.has(&station, now) && addresses.has(&station, now + AGE / 2));
        assert!(!addresses.has(&station, now + AGE));
        assert!(!addresses.learn(station, now + AGE), "known, if for too long");
        assert!(addresses.has(&station, now + AGE + AGE / 2));
        addresses.forget(&station);
        assert!(!addresses.has(&station, now + AGE));
    }

    #[test]
    fn nobody_learns_groups_or_too_many() {
        let mut addresses = Addresses::default();
        let now = Instant::now();
        assert!(!addresses.learn([0xff; 6], now) && !addresses.learn([1, 0, 0x5e, 0, 0, 1], now));
        let station = |number: usize| [2, 0, 0, 0, (number >> 8) as u8, number as u8];
        assert!((0..STATIONS).all(|number| addresses.learn(station(number), now)));
        assert!(!addresses.learn(station(STATIONS), now) && !addresses.has(&station(STATIONS), now));
        assert!(addresses.has(&station(0), now), "who is known stays");
        assert!(addresses.learn(station(STATIONS), now + AGE), "the old ones have gone");
    }
}
