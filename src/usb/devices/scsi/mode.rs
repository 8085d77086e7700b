//! What can be set: MODE SENSE and MODE SELECT with the caching and the control page (SPC-4, 6.11 and 7.5; SBC-3, 6.4).

use super::{Action, Cdb, MOST_PARAMETERS, Sense, Unit, be16, code, cut};
use disk::SECTOR;

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;
const ALL: u8 = 0x3f;

/// Which values of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Current,
    Changeable,
    Default,
}

/// Write cache enable, in the caching page.
const WCE: u8 = 0x04;
/// Sense data in the descriptor format, in the control page.
const D_SENSE: u8 = 0x04;
// The device-specific parameter of the header.
const WRITE_PROTECTED: u8 = 0x80;
const FORCED_ACCESS: u8 = 0x10;

impl Unit {
    pub(super) fn mode_sense(&self, cdb: &Cdb) -> Action {
        let long = cdb[0] == code::MODE_SENSE_10;
        let values = match cdb[2] >> 6 {
            0 => Values::Current,
            1 => Values::Changeable,
            2 => Values::Default,
            _ => return Action::Fail(Sense::NO_SAVING),
        };
        let pages = match (cdb[2] & 0x3f, cdb[3]) {
            (ALL, 0 | 0xff) => [self.page_of(CACHING, values), self.page_of(CONTROL, values)].concat(),
            (page @ (CACHING | CONTROL), 0) => self.page_of(page, values),
            _ => return Action::Fail(Sense::INVALID_FIELD),
        };
        let block = if cdb[1] & 0x08 == 0 { self.block() } else { Vec::new() };
        let protected = if self.identity.read_only { WRITE_PROTECTED } else { 0 };
        let specific = protected | FORCED_ACCESS;
        let behind = block.len() + pages.len();
        // The length does not count itself.
        let header = match long {
            true => vec![0, (behind + 6) as u8, 0, specific, 0, 0, 0, block.len() as u8],
            false => vec![(behind + 3) as u8, 0, specific, block.len() as u8],
        };
        let most = if long { be16(cdb, 7).into() } else { cdb[4].into() };
        cut([header, block, pages].concat(), most)
    }

    /// The short block descriptor: sectors, if there are not too many, and their size.
    fn block(&self) -> Vec<u8> {
        let sectors = u32::try_from(self.identity.sectors).unwrap_or(u32::MAX);
        [sectors.to_be_bytes(), (SECTOR as u32).to_be_bytes()].concat()
    }

    fn page_of(&self, page: u8, values: Values) -> Vec<u8> {
        let (length, at, bit, on) = match page {
            CACHING => (20, 2, WCE, !self.state.cache_off && !self.identity.read_only),
            _ => (12, 2, D_SENSE, self.state.descriptors),
        };
        let set = match values {
            Values::Current => on,
            Values::Changeable => page == CONTROL || !self.identity.read_only,
            Values::Default => page == CACHING && !self.identity.read_only,
        };
        let mut bytes = vec![0; length];
        (bytes[0], bytes[1]) = (page, length as u8 - 2);
        bytes[at] = if set { bit } else { 0 };
        bytes
    }

    pub(super) fn mode_select(&self, cdb: &Cdb) -> Action {
        let length = if cdb[0] == code::MODE_SELECT_10 { be16(cdb, 7).into() } else { usize::from(cdb[4]) };
        // Pages in the standard's format, which are not saved.
        match (cdb[1] & 0x11, length) {
            (_, 0) => Action::Done,
            (0x10, ..=MOST_PARAMETERS) => Action::Receive(length),
            _ => Action::Fail(Sense::INVALID_FIELD),
        }
    }

    /// Takes a mode parameter list whose header has so many bytes.
    pub(super) fn select(&mut self, parameters: &[u8], header: usize) -> Action {
        let Some(blocks) = parameters.get(header - 1) else { return Action::Fail(Sense::PARAMETER_LENGTH) };
        let Some(mut pages) = parameters.get(header + usize::from(*blocks)..) else {
            return Action::Fail(Sense::PARAMETER_LENGTH);
        };
        let mut state = self.state.clone();
        while let [page, length, ..] = *pages {
            let Some((body, rest)) = pages[2..].split_at_checked(length.into()) else {
                return Action::Fail(Sense::PARAMETER_LENGTH);
            };
            let own = self.page_of(page & 0x3f, Values::Changeable);
            if !matches!(page, CACHING | CONTROL) || own.len() != body.len() + 2 {
                return Action::Fail(Sense::INVALID_PARAMETER);
            }
            let current = self.page_of(page, Values::Current);
            let fixed = |at: usize| (body[at] ^ current[at + 2]) & !own[at + 2] == 0;
            if !(0..body.len()).all(fixed) {
                return Action::Fail(Sense::INVALID_PARAMETER);
            }
            match page {
                CACHING => state.cache_off = body[0] & WCE == 0 && !self.identity.read_only,
                _ => state.descriptors = body[0] & D_SENSE != 0,
            }
            pages = rest;
        }
        if !pages.is_empty() {
            return Action::Fail(Sense::PARAMETER_LENGTH);
        }
        // A cache that goes is emptied.
        let flush = state.cache_off && !self.state.cache_off;
        self.state = state;
        if flush { Action::Flush } else { Action::Done }
    }
}
