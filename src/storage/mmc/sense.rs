//! Sense data: why a command failed, or what happened meanwhile (SPC-4 §4.5, MMC-6 annex F).

use serde::{Deserialize, Serialize};

/// A sense key with its additional sense code and qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sense {
    /// Sense key, 0 to 15.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
}

impl Sense {
    /// Nothing to say.
    pub const NONE: Self = Self::new(0x0, 0x00, 0x00);
    /// Not ready: no medium, tray closed.
    pub const NO_MEDIUM: Self = Self::new(0x2, 0x3a, 0x01);
    /// Not ready: no medium, tray open.
    pub const TRAY_OPEN: Self = Self::new(0x2, 0x3a, 0x02);
    /// Medium error: unrecovered read error.
    pub const READ_ERROR: Self = Self::new(0x3, 0x11, 0x00);
    /// Illegal request: the length of the parameter list is wrong.
    pub const PARAMETER_LENGTH: Self = Self::new(0x5, 0x1a, 0x00);
    /// Illegal request: no such command.
    pub const UNKNOWN_COMMAND: Self = Self::new(0x5, 0x20, 0x00);
    /// Illegal request: beyond the medium.
    pub const OUT_OF_RANGE: Self = Self::new(0x5, 0x21, 0x00);
    /// Illegal request: a field of the command.
    pub const INVALID_FIELD: Self = Self::new(0x5, 0x24, 0x00);
    /// Illegal request: a field of the parameter list.
    pub const INVALID_PARAMETER: Self = Self::new(0x5, 0x26, 0x00);
    /// Illegal request: the medium is of another kind.
    pub const WRONG_MEDIUM: Self = Self::new(0x5, 0x30, 0x02);
    /// Illegal request: nothing is saved here.
    pub const NO_SAVING: Self = Self::new(0x5, 0x39, 0x00);
    /// Illegal request: medium removal is prevented.
    pub const LOCKED: Self = Self::new(0x5, 0x53, 0x02);
    /// Unit attention: the medium may have changed.
    pub const MEDIUM_CHANGED: Self = Self::new(0x6, 0x28, 0x00);
    /// Unit attention: power on or reset.
    pub const RESET: Self = Self::new(0x6, 0x29, 0x00);

    const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self { key, asc, ascq }
    }

    /// The 18 bytes of fixed format sense data.
    pub fn fixed(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[0] = 0x70;
        bytes[2] = self.key;
        bytes[7] = 10;
        bytes[12] = self.asc;
        bytes[13] = self.ascq;
        bytes
    }
}
