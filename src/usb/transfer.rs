//! What a controller asks of a function, and what comes of it: one transfer, which is one TD of xHCI.
//!
//! USB 2.0, chapters 5 (kinds of transfers) and 9.3 (setup packets).

use crate::Memory;

/// One transfer, unique in its controller as long as it is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// Which way data goes, as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the function.
    Out,
    /// From the function.
    In,
}

/// An endpoint of a function. Endpoint 0 is one for both directions, and counts as [`Direction::Out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// 0..=15.
    pub number: u8,
    /// Which way.
    pub direction: Direction,
}

impl Endpoint {
    /// The one for requests to the function itself.
    pub const CONTROL: Self = Self { number: 0, direction: Direction::Out };

    /// As `bEndpointAddress` has it (USB 2.0, 9.6.6). Bits that mean nothing there are not looked at.
    pub const fn of_address(address: u8) -> Self {
        let direction = if address & 0x80 == 0 || address & 0xf == 0 { Direction::Out } else { Direction::In };
        Self { number: address & 0xf, direction }
    }

    /// `bEndpointAddress`.
    pub const fn address(self) -> u8 {
        match self.direction {
            Direction::Out => self.number,
            Direction::In => self.number | 0x80,
        }
    }
}

/// A setup packet (USB 2.0, 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// `bmRequestType`.
    pub kind: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// `wLength`.
    pub length: u16,
}

impl Setup {
    /// From the eight bytes on the wire.
    pub fn of_bytes(bytes: [u8; 8]) -> Self {
        let word = |low, high| u16::from_le_bytes([low, high]);
        Self {
            kind: bytes[0],
            request: bytes[1],
            value: word(bytes[2], bytes[3]),
            index: word(bytes[4], bytes[5]),
            length: word(bytes[6], bytes[7]),
        }
    }

    /// The eight bytes on the wire.
    pub const fn bytes(self) -> [u8; 8] {
        let ([v0, v1], [i0, i1], [l0, l1]) =
            (self.value.to_le_bytes(), self.index.to_le_bytes(), self.length.to_le_bytes());
        [self.kind, self.request, v0, v1, i0, i1, l0, l1]
    }

    /// Which way its data stage goes.
    pub const fn direction(self) -> Direction {
        if self.kind & 0x80 == 0 { Direction::Out } else { Direction::In }
    }
}

/// The four kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request with its data stage, if it has one, and its status stage, all in one. The transfer's memory is as long as the data
    /// stage that the guest prepared, which need not be `wLength`.
    Control(Setup),
    /// Bulk; with streams, on this one (USB 3.2, 8.12.1.4), else 0.
    Bulk {
        /// Its number.
        stream: u16,
    },
    /// Interrupt.
    Interrupt,
    /// Isochronous: what goes over the bus in one interval of the endpoint.
    Isochronous,
}

/// A transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its name.
    pub id: TransferId,
    /// Whose it is.
    pub endpoint: Endpoint,
    /// Of which kind.
    pub kind: Kind,
    /// Its data, or room for it.
    pub memory: Memory,
}

/// What came of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Bytes that were moved, at most the memory's length.
    pub length: u64,
    /// What went wrong behind them.
    pub fault: Option<Fault>,
}

impl Completion {
    /// All went well.
    pub const fn done(length: u64) -> Self {
        Self { length, fault: None }
    }

    /// Nothing was moved.
    pub const fn failed(fault: Fault) -> Self {
        Self { length: 0, fault: Some(fault) }
    }
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The endpoint is halted, or the request is not known.
    Stall,
    /// The function sent more than was asked for.
    Babble,
    /// No answer, or a broken one: so it is with a function that was pulled out.
    Transaction,
    /// An isochronous interval went by.
    Missed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_setups_go_both_ways() {
        for address in [0, 1, 0x0f, 0x81, 0x8f] {
            assert_eq!(Endpoint::of_address(address).address(), address);
        }
        assert_eq!(Endpoint::of_address(0x80), Endpoint::CONTROL);
        let bytes = [0x80, 6, 0, 1, 2, 3, 18, 0];
        let setup = Setup::of_bytes(bytes);
        assert_eq!((setup.value, setup.index, setup.length), (0x100, 0x302, 18));
        assert_eq!((setup.bytes(), setup.direction()), (bytes, Direction::In));
    }
}
