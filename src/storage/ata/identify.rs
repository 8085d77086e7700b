//! IDENTIFY DEVICE (ACS-3 §7.12) and IDENTIFY PACKET DEVICE (ACS-3 §7.13).

/// The 256 words of identify data, being filled.
pub(super) struct Identity([u16; 256]);

/// What a drive can be set to, in the form of identify data.
#[derive(Clone, Copy)]
pub(super) struct Modes {
    /// The transfer mode, as SET FEATURES has it.
    pub(super) transfer: u8,
}

impl Identity {
    pub(super) fn new() -> Self {
        Self([0; 256])
    }

    pub(super) fn set(&mut self, word: usize, value: u16) {
        self.0[word] = value;
    }

    pub(super) fn set_u32(&mut self, word: usize, value: u32) {
        self.0[word] = value as u16;
        self.0[word + 1] = (value >> 16) as u16;
    }

    pub(super) fn set_u48(&mut self, word: usize, value: u64) {
        self.set_u32(word, value as u32);
        self.set_u32(word + 2, (value >> 32) as u32);
    }

    /// Characters, padded by spaces, the first of each pair in the upper half of its word.
    pub(super) fn text(&mut self, word: usize, words: usize, text: &str) {
        let mut characters = text.bytes().map(|byte| if matches!(byte, 0x20..0x7f) { byte } else { b'_' });
        for at in word..word + words {
            let mut next = || characters.next().unwrap_or(b' ');
            self.0[at] = u16::from_be_bytes([next(), next()]);
        }
    }

    /// What disks and packet drives say alike: transfer modes, the standards they follow, the serial link.
    pub(super) fn common(&mut self, modes: Modes) {
        let selected = |kind: u8| if modes.transfer & !7 == kind { 0x100 << (modes.transfer & 7) } else { 0 };
        self.set(53, 0x0006); // words 64 to 70 and 88 are valid
        self.set(63, 0x0007 | selected(0x20)); // multiword DMA 0 to 2
        self.set(64, 0x0003); // PIO 3 and 4
        for word in 65..=68 {
            self.set(word, 120); // nanoseconds a cycle
        }
        self.set(76, 0x0006); // 1.5 and 3 Gb/s
        self.set(77, 0x0004); // at 3 Gb/s
        self.set(80, 0x07f0); // ATA/ATAPI-4 to ACS-3
        self.set(88, 0x007f | selected(0x40)); // Ultra DMA 0 to 6
        self.set(222, 0x103f); // serial transport
    }

    /// The 512 bytes, with their checksum.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        self.0[255] = 0x00a5;
        let mut bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes[511] = checksum(&bytes[..511]);
        bytes
    }
}

/// The byte that makes the sum of all zero.
pub(super) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte))
}
