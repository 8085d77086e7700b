//! The card's EEPROM: 64 words (manual §5), read by EERD or over the four wires of a 93C46 (EECD).
//!
//! It cannot be written: what a driver tries seems to be done and changes nothing.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::DEVICE;

/// Words of the EEPROM.
const WORDS: usize = 64;
/// What all words together come to (§5.6.35).
const SUM: u16 = 0xbaba;

/// What stands in the EEPROM.
pub(super) struct Eeprom([u16; WORDS]);

impl Eeprom {
    /// The EEPROM of a card with this address.
    pub(super) fn new(mac: [u8; 6]) -> Self {
        // Erased, where nothing is said.
        let mut words = [0xffff; WORDS];
        for (word, pair) in words.iter_mut().zip(mac.as_chunks::<2>().0) {
            *word = u16::from_le_bytes(*pair);
        }
        // Compatibility: nothing of it.
        words[0x03] = 0;
        // The PHY's class: none of those that need care.
        words[0x07] = 0;
        // Control 1: it is valid (01 on top), the ids below are, BARs have 32 bits, full duplex.
        words[0x0a] = 0x6403;
        (words[0x0b], words[0x0c]) = (DEVICE, 0x8086);
        (words[0x0d], words[0x0e]) = (DEVICE, 0x8086);
        // Control 2: pause frames both ways.
        words[0x0f] = 0x3000;
        // Control 3 of both ports: does not wake the machine up.
        (words[0x14], words[0x24]) = (0, 0);
        let sum = words[..WORDS - 1].iter().fold(0u16, |sum, word| sum.wrapping_add(*word));
        words[WORDS - 1] = SUM.wrapping_sub(sum);
        Self(words)
    }

    /// EERD as it reads after it was written: the word at once.
    pub(super) fn answer(&self, request: u32) -> u32 {
        const START: u32 = 1 << 0;
        const DONE: u32 = 1 << 4;
        let address = request & 0xff00;
        if request & START == 0 {
            return address;
        }
        let word = self.0.get((address >> 8) as usize).copied().unwrap_or(0);
        u32::from(word) << 16 | address | DONE
    }
}

bitflags! {
    /// EECD (§13.4.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Wires: u32 {
        const CLOCK = 1 << 0;
        const SELECT = 1 << 1;
        /// To the EEPROM.
        const IN = 1 << 2;
        /// From the EEPROM.
        const OUT = 1 << 3;
        /// Flash writes; there is no flash.
        const FLASH = 3 << 4;
        /// Software wants the wires.
        const REQUEST = 1 << 6;
        /// It has them.
        const GRANT = 1 << 7;
        const PRESENT = 1 << 8;
        const WRITABLE = Self::CLOCK.bits() | Self::SELECT.bits() | Self::IN.bits() | Self::FLASH.bits() | Self::REQUEST.bits();
    }
}

/// What came over the wires of the serial EEPROM so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Microwire {
    wires: u32,
    /// Start bit, operation and address so far.
    command: u16,
    /// Bits of it.
    bits: u8,
    /// How many bits of the words from the address on were clocked out; none while the command is not whole or is another one.
    sent: Option<u16>,
    out: bool,
}

/// Bits of a command: one to start with, two for the operation, six of address.
const COMMAND: u8 = 9;
/// Bits of all words, after which the first follows.
const SENT: u16 = 16 * WORDS as u16;
/// The start bit and the operation that reads.
const READ: u16 = 0b110;

impl Default for Microwire {
    fn default() -> Self {
        Self { wires: Wires::FLASH.bits() & 1 << 4, command: 0, bits: 0, sent: None, out: true }
    }
}

impl Microwire {
    /// EECD.
    pub(super) fn read(&self) -> u32 {
        let mut wires = Wires::from_bits_truncate(self.wires) | Wires::PRESENT;
        wires.set(Wires::OUT, self.out);
        wires.set(Wires::GRANT, wires.contains(Wires::REQUEST));
        wires.bits()
    }

    /// Can this be?
    pub(super) fn is_possible(&self) -> bool {
        self.wires & !Wires::WRITABLE.bits() == 0 && self.bits <= COMMAND && self.sent.is_none_or(|sent| sent < SENT)
    }

    pub(super) fn write(&mut self, value: u32, eeprom: &Eeprom) {
        let before = Wires::from_bits_truncate(self.wires);
        let now = Wires::from_bits_truncate(value) & Wires::WRITABLE;
        self.wires = now.bits();
        if !now.contains(Wires::SELECT) || !before.contains(Wires::SELECT) {
            *self = Self { wires: self.wires, ..Self::default() };
        }
        if now.contains(Wires::SELECT | Wires::CLOCK) && !before.contains(Wires::CLOCK) {
            self.tick(now.contains(Wires::IN), eeprom);
        }
    }

    /// The clock rises.
    fn tick(&mut self, bit: bool, eeprom: &Eeprom) {
        if let Some(sent) = self.sent {
            // Words follow each other, the first after the last.
            let at = usize::from(self.command & 0x3f) + usize::from(sent / 16);
            self.out = eeprom.0[at % WORDS] >> (15 - sent % 16) & 1 != 0;
            self.sent = Some((sent + 1) % SENT);
            return;
        }
        // Zeroes before the start bit are nothing, nor is what follows a command that is not done.
        if self.bits == COMMAND || self.bits == 0 && !bit {
            return;
        }
        self.command = self.command << 1 | u16::from(bit);
        self.bits += 1;
        if self.bits == COMMAND && self.command >> 6 == READ {
            self.sent = Some(0);
            // A zero goes before the word.
            self.out = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    #[test]
    fn sums_up_and_has_the_address() {
        let eeprom = Eeprom::new(MAC);
        assert_eq!(eeprom.0.iter().fold(0u16, |sum, word| sum.wrapping_add(*word)), SUM);
        assert_eq!(eeprom.0[..3], [0x5452, 0x1200, 0x5634]);
        assert_eq!(eeprom.answer(0x0001), 0x5452_0010);
        assert_eq!(eeprom.answer(0x0201), 0x5634_0210);
        assert_eq!(eeprom.answer(0x0200), 0x0200);
        assert_eq!(eeprom.answer(0xffff_ff01), 0x0000_ff10);
    }

    /// Clocks bits out as drivers do; what came back after each.
    fn clock(wires: &mut Microwire, eeprom: &Eeprom, bits: &[u32]) -> u16 {
        bits.iter().fold(0, |read, bit| {
            wires.write(0x42 | bit << 2, eeprom);
            wires.write(0x43 | bit << 2, eeprom);
            let bit = wires.read() >> 3 & 1;
            wires.write(0x42, eeprom);
            read << 1 | bit as u16
        })
    }

    #[test]
    fn is_read_over_four_wires() {
        let eeprom = Eeprom::new(MAC);
        let mut wires = Microwire::default();
        wires.write(0x40, &eeprom);
        assert_eq!(wires.read() & 0x1c0, 0x1c0);
        for address in [0, 1, 2, 0x3f] {
            // As drivers come from the last word: selected with the clock high.
            wires.write(0x41, &eeprom);
            wires.write(0x43, &eeprom);
            let mut bits = vec![0, 0, 1, 1, 0];
            bits.extend((0..6).rev().map(|bit| address >> bit & 1));
            assert_eq!(clock(&mut wires, &eeprom, &bits) & 1, 0);
            assert_eq!(clock(&mut wires, &eeprom, &[0; 16]), eeprom.0[address as usize]);
            // The next follows.
            assert_eq!(clock(&mut wires, &eeprom, &[0; 16]), eeprom.0[(address as usize + 1) % WORDS]);
            wires.write(0x40, &eeprom);
        }
        // A write is ready at once, and is none.
        wires.write(0x42, &eeprom);
        clock(&mut wires, &eeprom, &[1, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(clock(&mut wires, &eeprom, &[0; 16]), 0xffff);
        assert_eq!(eeprom.answer(1), 0x5452_0010);
    }
}
