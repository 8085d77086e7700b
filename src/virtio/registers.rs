//! The common configuration structure's registers (VIRTIO 1.2 §4.1.4.3) and the device status bits (§2.1).

use bitflags::bitflags;
use device::Size;

bitflags! {
    /// Device status.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Status: u8 {
        const ACKNOWLEDGE = 1;
        const DRIVER = 2;
        const DRIVER_OK = 4;
        const FEATURES_OK = 8;
        const NEEDS_RESET = 64;
        const FAILED = 128;
    }
}

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    DeviceFeatureSelect,
    DeviceFeature,
    DriverFeatureSelect,
    DriverFeature,
    ConfigVector,
    NumQueues,
    DeviceStatus,
    ConfigGeneration,
    QueueSelect,
    QueueSize,
    QueueVector,
    QueueEnable,
    QueueNotifyOff,
    QueueDescriptors,
    QueueAvailable,
    QueueUsed,
}

use Register::*;

/// Register, offset, bytes; in order and without a gap.
const MAP: [(Register, u64, u64); 16] = [
    (DeviceFeatureSelect, 0x00, 4),
    (DeviceFeature, 0x04, 4),
    (DriverFeatureSelect, 0x08, 4),
    (DriverFeature, 0x0c, 4),
    (ConfigVector, 0x10, 2),
    (NumQueues, 0x12, 2),
    (DeviceStatus, 0x14, 1),
    (ConfigGeneration, 0x15, 1),
    (QueueSelect, 0x16, 2),
    (QueueSize, 0x18, 2),
    (QueueVector, 0x1a, 2),
    (QueueEnable, 0x1c, 2),
    (QueueNotifyOff, 0x1e, 2),
    (QueueDescriptors, 0x20, 8),
    (QueueAvailable, 0x28, 8),
    (QueueUsed, 0x30, 8),
];

/// Bytes of the structure.
pub(crate) const LENGTH: u32 = 0x38;

/// A register, and which of its bytes an access starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) register: Register,
    /// Bits to shift.
    pub(crate) shift: u32,
    /// Does the access cover the whole register?
    pub(crate) whole: bool,
}

/// The register that an access at `offset` starts in. An access that reaches beyond it gets this one only: drivers must not make
/// such (§4.1.3.1).
pub(crate) fn decode(offset: u64, size: Size) -> Option<Access> {
    let (register, start, bytes) =
        MAP.into_iter().find(|(_, start, bytes)| (*start..start + bytes).contains(&offset))?;
    // Below 8 bytes.
    let shift = 8 * (offset - start) as u32;
    Some(Access { register, shift, whole: shift == 0 && size.bytes() >= bytes })
}

impl Access {
    /// A 64 bit register's value after writing `value` with `size`: whole, or one half (§4.1.3.1); others change nothing.
    pub(crate) fn merge(self, old: u64, size: Size, value: u64) -> u64 {
        match (size, self.shift) {
            (Size::Qword, 0) => value,
            (Size::Dword, 0 | 32) => old & !(0xffff_ffff << self.shift) | value << self.shift,
            _ => old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        let mut at = 0;
        for (register, start, bytes) in MAP {
            assert_eq!(start, at);
            at += bytes;
            let size = Size::from_bytes(bytes as usize).unwrap();
            assert_eq!(decode(start, size), Some(Access { register, shift: 0, whole: true }));
        }
        assert_eq!(at, u64::from(LENGTH));
        assert_eq!(decode(0x38, Size::Byte), None);
        assert_eq!(decode(0x24, Size::Dword), Some(Access { register: QueueDescriptors, shift: 32, whole: false }));
        let high = decode(0x24, Size::Dword).unwrap();
        assert_eq!(high.merge(0x1_2345_6789, Size::Dword, 7), 0x7_2345_6789);
        assert_eq!(high.merge(5, Size::Byte, 7), 5);
    }
}
