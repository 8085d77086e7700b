//! A function's 256 bytes of config space: values, which bits the guest may write, which bits it clears by writing ones.

use crate::Size;

/// What a function is, in the header's read-only registers.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Vendor id (0x00).
    pub vendor: u16,
    /// Device id (0x02).
    pub device: u16,
    /// Revision (0x08).
    pub revision: u8,
    /// Base class, sub class and programming interface, as in `0x010601`.
    pub class: u32,
    /// Subsystem vendor id (0x2c).
    pub subsystem_vendor: u16,
    /// Subsystem id (0x2e).
    pub subsystem: u16,
}

pub(super) const COMMAND: usize = 0x04;
pub(super) const STATUS: usize = 0x06;
pub(super) const CAPABILITIES: usize = 0x34;
pub(super) const INTERRUPT_PIN: usize = 0x3d;

const STATUS_CAPABILITIES: u8 = 1 << 4;
/// Where the first capability goes.
const FIRST_CAPABILITY: usize = 0x40;

/// Config space with its write masks. Type 0 header.
pub struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
    clears: [u8; 256],
    /// The values after power-on, taken by [`Self::seal`].
    initial: [u8; 256],
    next_capability: usize,
    last_capability: usize,
}

impl ConfigSpace {
    /// The space of a function with this identity; only command, cache line size and interrupt line can be written.
    pub fn new(identity: Identity) -> Self {
        let mut config = Self {
            bytes: [0; 256],
            writable: [0; 256],
            clears: [0; 256],
            initial: [0; 256],
            next_capability: FIRST_CAPABILITY,
            last_capability: CAPABILITIES,
        };
        let Identity { vendor, device, revision, class, subsystem_vendor, subsystem } = identity;
        config.set(0x00, &vendor.to_le_bytes());
        config.set(0x02, &device.to_le_bytes());
        config.set(0x08, &(class << 8 | u32::from(revision)).to_le_bytes());
        config.set(0x2c, &subsystem_vendor.to_le_bytes());
        config.set(0x2e, &subsystem.to_le_bytes());
        // I/O, memory, bus master, parity, SERR, interrupt disable.
        config.allow(COMMAND, &0x0547u16.to_le_bytes());
        config.clear_by_ones(STATUS, &0xf900u16.to_le_bytes());
        config.allow(0x0c, &[0xff]);
        config.allow(0x3c, &[0xff]);
        config
    }

    /// Sets bytes from the device's side, whatever the masks say.
    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Lets the guest write the bits of `mask` at `at`.
    pub fn allow(&mut self, at: usize, mask: &[u8]) {
        self.writable[at..at + mask.len()].copy_from_slice(mask);
    }

    /// Makes the bits of `mask` at `at` clear when the guest writes ones to them.
    pub fn clear_by_ones(&mut self, at: usize, mask: &[u8]) {
        self.clears[at..at + mask.len()].copy_from_slice(mask);
    }

    /// Keeps what lies before `until` free of capabilities: for functions with registers of their own there, which drivers that know
    /// the device write whatever stands in them.
    pub fn reserve(&mut self, until: usize) {
        self.next_capability = self.next_capability.max(until.next_multiple_of(4));
    }

    /// Appends a capability with `id` and the bytes that follow its two-byte header; gives the offset of the header. Called
    /// while the device is built; capabilities are of fixed size, so the 256 bytes are known to suffice.
    pub fn add_capability(&mut self, id: u8, body: &[u8]) -> usize {
        let at = self.next_capability;
        self.set(at, &[id, 0]);
        self.set(at + 2, body);
        // The offset is below 256 because the slices above were in range.
        self.set(self.last_capability, &[at as u8]);
        self.last_capability = at + 1;
        self.next_capability = (at + 2 + body.len()).next_multiple_of(4);
        self.bytes[STATUS] |= STATUS_CAPABILITIES;
        at
    }

    /// Ends building: what stands now is what [`Self::reset`] brings back.
    pub fn seal(&mut self) {
        self.initial = self.bytes;
    }

    /// Back to the values at [`Self::seal`].
    pub fn reset(&mut self) {
        self.bytes = self.initial;
    }

    /// A guest's read. Beyond 256 bytes there is nothing: all ones, as from a conventional device.
    pub fn read(&self, offset: u16, size: Size) -> u32 {
        let mut value = 0;
        for i in (0..size.bytes().min(4) as u16).rev() {
            let byte = self.bytes.get(usize::from(offset.saturating_add(i))).copied().unwrap_or(0xff);
            value = value << 8 | u32::from(byte);
        }
        value
    }

    /// A guest's write, through the masks.
    pub fn write(&mut self, offset: u16, size: Size, value: u32) {
        for i in 0..size.bytes().min(4) as u16 {
            let at = usize::from(offset.saturating_add(i));
            let Some(byte) = self.bytes.get_mut(at) else { return };
            let new = (value >> (8 * i)) as u8;
            let mask = self.writable[at];
            *byte = (*byte & !mask | new & mask) & !(new & self.clears[at]);
        }
    }

    /// The byte at `at`.
    pub fn byte(&self, at: usize) -> u8 {
        self.bytes[at]
    }

    /// The 16 bits at `at`.
    pub fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// The 32 bits at `at`.
    pub fn dword(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
    }

    pub(super) fn save(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    /// Takes only the bits that a guest could have set: read-only registers keep their own values.
    pub(super) fn restore(&mut self, saved: &[u8]) -> bool {
        if saved.len() != self.bytes.len() {
            return false;
        }
        for (at, &saved) in saved.iter().enumerate() {
            let mask = self.writable[at] | self.clears[at];
            self.bytes[at] = self.initial[at] & !mask | saved & mask;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_capabilities() {
        let mut config = ConfigSpace::new(Identity {
            vendor: 0x8086,
            device: 0x2922,
            revision: 2,
            class: 0x010601,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        });
        let cap = config.add_capability(0x05, &[0; 12]);
        let next = config.add_capability(0x11, &[0; 10]);
        config.reserve(0x44);
        config.reserve(0x7e);
        let last = config.add_capability(0x09, &[4, 0]);
        config.seal();
        assert_eq!((cap, next, last), (0x40, 0x50, 0x80));
        assert_eq!(config.read(0x34, Size::Byte), 0x40);
        assert_eq!(config.read(0x41, Size::Byte), 0x50);
        assert_eq!(config.read(0x51, Size::Byte), 0x80);
        config.write(0, Size::Dword, 0);
        assert_eq!(config.read(0, Size::Dword), 0x2922_8086);
        config.write(4, Size::Dword, u32::MAX);
        assert_eq!(config.word(COMMAND), 0x0547);
        assert_eq!(config.read(0xfe, Size::Dword), 0xffff_0000);
        config.reset();
        assert_eq!(config.word(COMMAND), 0);
    }
}
