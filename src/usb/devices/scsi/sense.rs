//! Sense data: why a command failed (SPC-4, 4.5).

use serde::{Deserialize, Serialize};

/// A sense key with its additional sense code and qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sense {
    key: u8,
    code: u8,
    qualifier: u8,
}

impl Sense {
    /// Nothing to say.
    pub(crate) const NONE: Self = Self::new(0x0, 0x00, 0x00);
    /// Not ready: no medium.
    pub(crate) const NO_MEDIUM: Self = Self::new(0x2, 0x3a, 0x00);
    /// Medium error: it cannot be written.
    pub(crate) const WRITE_ERROR: Self = Self::new(0x3, 0x0c, 0x00);
    /// Medium error: it cannot be read.
    pub(crate) const READ_ERROR: Self = Self::new(0x3, 0x11, 0x00);
    /// Illegal request: the length of the parameter list is wrong.
    pub(crate) const PARAMETER_LENGTH: Self = Self::new(0x5, 0x1a, 0x00);
    /// Illegal request: no such command.
    pub(crate) const UNKNOWN_COMMAND: Self = Self::new(0x5, 0x20, 0x00);
    /// Illegal request: beyond the disk.
    pub(crate) const OUT_OF_RANGE: Self = Self::new(0x5, 0x21, 0x00);
    /// Illegal request: a field of the command.
    pub(crate) const INVALID_FIELD: Self = Self::new(0x5, 0x24, 0x00);
    /// Illegal request: no such logical unit.
    pub(crate) const NO_UNIT: Self = Self::new(0x5, 0x25, 0x00);
    /// Illegal request: a field of the parameter list.
    pub(crate) const INVALID_PARAMETER: Self = Self::new(0x5, 0x26, 0x00);
    /// Illegal request: nothing is saved here.
    pub(crate) const NO_SAVING: Self = Self::new(0x5, 0x39, 0x00);
    /// Illegal request: medium removal is prevented.
    pub(crate) const LOCKED: Self = Self::new(0x5, 0x53, 0x02);
    /// Data protect: not to be written to.
    pub(crate) const WRITE_PROTECTED: Self = Self::new(0x7, 0x27, 0x00);
    /// Aborted: memory that the host named is not there.
    pub(crate) const NO_MEMORY: Self = Self::new(0xb, 0x4b, 0x00);

    const fn new(key: u8, code: u8, qualifier: u8) -> Self {
        Self { key, code, qualifier }
    }

    /// Sense data of the current command: 8 bytes in the descriptor format, else 18.
    pub(super) fn data(self, descriptors: bool) -> Vec<u8> {
        let Self { key, code, qualifier } = self;
        if descriptors {
            return vec![0x72, key, code, qualifier, 0, 0, 0, 0];
        }
        let mut data = vec![0; 18];
        (data[0], data[2], data[7], data[12], data[13]) = (0x70, key, 10, code, qualifier);
        data
    }
}
