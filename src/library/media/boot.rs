//! What starts from a medium.

/// Which firmware finds something to start on a medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boots {
    /// A BIOS does.
    pub bios: bool,
    /// UEFI for x86-64 does.
    pub uefi: bool,
}
