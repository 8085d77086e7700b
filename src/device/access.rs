//! Access sizes and the two address spaces' device traits.

/// The width of one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// 1 byte.
    Byte = 1,
    /// 2 bytes.
    Word = 2,
    /// 4 bytes.
    Dword = 4,
    /// 8 bytes; memory only.
    Qword = 8,
}

impl Size {
    /// The size for a byte count, `None` unless it is 1, 2, 4 or 8.
    pub fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            _ => None,
        }
    }

    /// Bytes in this access.
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// All ones in this width: what a read of nothing gives on a PC.
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self as u32)
    }

    /// What an access of this width at any `offset` gives of a block of 32 bit registers, of which `read` reads the one at an offset: the
    /// second one only when the access reaches it, since reading may clear it.
    pub fn of_dwords(self, offset: u64, mut read: impl FnMut(u64) -> u32) -> u64 {
        let (aligned, within) = (offset & !3, offset % 4);
        let low = u64::from(read(aligned));
        let high = if within + self.bytes() > 4 { u64::from(read(aligned + 4)) << 32 } else { 0 };
        (low | high) >> (8 * within)
    }

    /// `value` cut to this width.
    pub const fn cut(self, value: u64) -> u64 {
        value & self.ones()
    }
}

/// A device in the port I/O space. Called by vCPU threads under the device's mutex.
///
/// `offset` counts from the start of the range that the board claimed. Only the first byte of an access is sure to lie in the
/// range; what hardware does with a wider one is for the device to say. `size` is never [`Size::Qword`].
pub trait PortIo: Send {
    /// What the guest reads; bits above `size` are ignored.
    fn read(&mut self, offset: u16, size: Size) -> u32;
    /// The guest wrote `value`; bits above `size` are zero.
    fn write(&mut self, offset: u16, size: Size, value: u32);
}

/// A device in the memory space. Called by vCPU threads under the device's mutex.
///
/// `offset` counts from the start of the claimed range; any alignment and any size may come.
pub trait Mmio: Send {
    /// What the guest reads; bits above `size` are ignored.
    fn read(&mut self, offset: u64, size: Size) -> u64;
    /// The guest wrote `value`; bits above `size` are zero.
    fn write(&mut self, offset: u64, size: Size, value: u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        assert_eq!(Size::Byte.ones(), 0xff);
        assert_eq!(Size::Qword.ones(), u64::MAX);
        assert_eq!(Size::Word.cut(0x1_2345), 0x2345);
        assert_eq!(Size::from_bytes(3), None);
        assert_eq!(Size::from_bytes(4), Some(Size::Dword));
    }

    #[test]
    fn registers_are_read_once_and_only_where_the_access_is() {
        let read = |size: Size, offset| {
            let mut asked = Vec::new();
            let register = |at: u64| {
                asked.push(at);
                0x0302_0100 + 0x0404_0404 * (at / 4) as u32
            };
            (size.cut(size.of_dwords(offset, register)), asked)
        };
        assert_eq!(read(Size::Dword, 4), (0x0706_0504, vec![4]));
        assert_eq!(read(Size::Byte, 7), (7, vec![4]));
        assert_eq!(read(Size::Word, 3), (0x0403, vec![0, 4]));
        assert_eq!(read(Size::Qword, 4), (0x0b0a_0908_0706_0504, vec![4, 8]));
    }
}
