//! What the driver reads and writes: registers, by memory and by ports.

use device::Size;
use device::pci::{PciCore, PciFunction};

use super::eeprom::Microwire;
use super::filter::Filter;
use super::interrupts::Delay;
use super::phy::Phy;
use super::receive::Receiver;
use super::registers::{Causes, Control, KEPT, ReceiveControl, Register, RingRegister, TransmitControl};
use super::statistics::Statistics;
use super::transmit::Transmitter;
use super::{ADDRESS_AT, ADDRESS_MASK, CONTROL, DATA_AT, E1000, MEMORY_BAR, PORT_BAR};

impl E1000 {
    fn status(&self) -> u32 {
        const FULL_DUPLEX: u32 = 1 << 0;
        const LINK_UP: u32 = 1 << 1;
        let mode = self.phy.mode();
        let speed = match self.control.contains(Control::FORCE_SPEED) {
            true => (self.control & Control::SPEED).bits() >> 8,
            false => mode.speed as u32,
        };
        let full_duplex = match self.control.contains(Control::FORCE_DUPLEX) {
            true => self.control.contains(Control::FULL_DUPLEX),
            false => mode.full_duplex,
        };
        let mut status = speed << 6 | (mode.speed as u32) << 8;
        if full_duplex {
            status |= FULL_DUPLEX;
        }
        if self.phy.link() {
            status |= LINK_UP;
        }
        status
    }

    fn read_dword(&mut self, offset: u64) -> u32 {
        match Register::decode(offset) {
            Register::Control => self.control.bits(),
            Register::Status => self.status(),
            Register::EepromControl => self.microwire.read(),
            Register::EepromRead => self.eeprom_word,
            Register::MdiControl => self.mdi,
            Register::VlanEtherType => self.vlan_type.into(),
            Register::InterruptCause => {
                let causes = self.interrupts.take_causes();
                self.update_interrupt();
                causes
            }
            Register::InterruptThrottle => self.interrupts.interval().into(),
            Register::InterruptCauseSet => self.interrupts.causes(),
            Register::InterruptMaskSet => self.interrupts.mask(),
            Register::InterruptMaskClear => 0,
            Register::ReceiveControl => self.receiver.control,
            Register::ReceiveRing(register) => self.receiver.ring.read(register),
            Register::ReceiveDelay => u32::from(*self.interrupts.delays(Delay::Received).0),
            Register::ReceiveAbsoluteDelay => u32::from(*self.interrupts.delays(Delay::Received).1),
            Register::ReceiveSmallPacket => self.receiver.small.into(),
            Register::ReceiveChecksum => self.receiver.checksums,
            Register::TransmitControl => self.transmitter.control,
            Register::TransmitRing(register) => self.transmitter.ring.read(register),
            Register::TransmitDelay => u32::from(*self.interrupts.delays(Delay::Sent).0),
            Register::TransmitAbsoluteDelay => u32::from(*self.interrupts.delays(Delay::Sent).1),
            Register::TransmitDescriptorControl => self.transmitter.descriptor_control,
            Register::MulticastTable(word) => *self.filter.multicast(word),
            Register::AddressLow(entry) => self.filter.address(entry).0,
            Register::AddressHigh(entry) => self.filter.address(entry).1,
            Register::VlanTable(word) => *self.filter.vlans(word),
            Register::Statistic(which) => self.statistics.take(which),
            Register::Kept(number) => self.kept[number],
            Register::Reserved => 0,
        }
    }

    pub(super) fn write_dword(&mut self, offset: u64, value: u32) {
        match Register::decode(offset) {
            Register::Control => self.write_control(Control::from_bits_retain(value)),
            Register::EepromControl => self.microwire.write(value, &self.eeprom),
            Register::EepromRead => self.eeprom_word = self.eeprom.answer(value),
            Register::MdiControl => self.write_mdi(value),
            Register::VlanEtherType => self.vlan_type = value as u16,
            Register::InterruptCause => self.interrupts.clear_causes(value),
            Register::InterruptThrottle => self.interrupts.set_interval(value as u16),
            Register::InterruptCauseSet => self.interrupts.raise(Causes::from_bits_truncate(value)),
            Register::InterruptMaskSet => self.interrupts.set_mask(self.interrupts.mask() | value),
            Register::InterruptMaskClear => self.interrupts.set_mask(self.interrupts.mask() & !value),
            Register::ReceiveControl => {
                self.receiver.control = value & ReceiveControl::WRITABLE.bits();
                self.port.resume();
            }
            Register::ReceiveRing(register) => {
                self.receiver.ring.write(register, value);
                self.port.resume();
            }
            Register::ReceiveDelay => {
                const FLUSH: u32 = 1 << 31;
                *self.interrupts.delays(Delay::Received).0 = value as u16;
                if value & FLUSH != 0 {
                    self.interrupts.flush(Delay::Received);
                }
            }
            Register::ReceiveAbsoluteDelay => *self.interrupts.delays(Delay::Received).1 = value as u16,
            Register::ReceiveSmallPacket => self.receiver.small = value as u16 & 0x0fff,
            Register::ReceiveChecksum => self.receiver.checksums = value & 0x07ff,
            Register::TransmitControl => {
                self.transmitter.control = value & TransmitControl::WRITABLE.bits();
                self.transmit();
            }
            Register::TransmitRing(register) => {
                self.transmitter.ring.write(register, value);
                if register == RingRegister::Tail {
                    self.transmit();
                }
            }
            Register::TransmitDelay => *self.interrupts.delays(Delay::Sent).0 = value as u16,
            Register::TransmitAbsoluteDelay => *self.interrupts.delays(Delay::Sent).1 = value as u16,
            Register::TransmitDescriptorControl => self.transmitter.descriptor_control = value & 0xff3f_3f3f,
            Register::MulticastTable(word) => *self.filter.multicast(word) = value,
            Register::AddressLow(entry) => self.filter.address(entry).0 = value,
            Register::AddressHigh(entry) => self.filter.address(entry).1 = value & 0x8003_ffff,
            Register::VlanTable(word) => *self.filter.vlans(word) = value,
            Register::Kept(number) => {
                let (kept, writable) = (&mut self.kept[number], KEPT[number].writable);
                *kept = *kept & !writable | value & writable;
            }
            Register::Status | Register::Statistic(_) | Register::Reserved => {}
        }
        self.update_interrupt();
    }

    fn write_control(&mut self, value: Control) {
        if value.contains(Control::RESET) {
            self.reset_registers();
            return;
        }
        let before = std::mem::replace(&mut self.control, value);
        if value.contains(Control::PHY_RESET) && !before.contains(Control::PHY_RESET) {
            self.change_phy(Phy::reset);
        }
    }

    /// What a driver's reset brings back: everything but PCI, the PHY and the division of the packet memory.
    pub(super) fn reset_registers(&mut self) {
        self.microwire = Microwire::default();
        (self.eeprom_word, self.mdi) = (0, 0);
        self.control = CONTROL;
        self.vlan_type = 0;
        for (register, kept) in KEPT.iter().zip(&mut self.kept).filter(|(register, _)| !register.outlives_reset()) {
            *kept = register.initial;
        }
        self.interrupts.reset();
        self.filter = Filter::new(self.mac);
        self.receiver = Receiver::new();
        self.transmitter = Transmitter::default();
        self.statistics = Statistics::default();
        self.send_on.cancel();
        // What waited for the old driver's buffers is dropped.
        self.port.resume();
    }

    /// MDIC: one register of the PHY read or written.
    fn write_mdi(&mut self, value: u32) {
        const READY: u32 = 1 << 28;
        const INTERRUPT: u32 = 1 << 29;
        const ERROR: u32 = 1 << 30;
        const WRITE: u32 = 1;
        const READ: u32 = 2;
        let register = (value >> 16 & 0x1f) as u8;
        // The PHY's address is 1; nobody answers at others.
        let answer = match (value >> 21 & 0x1f, value >> 26 & 3) {
            (1, WRITE) => {
                self.change_phy(|phy, now| phy.write(register, value as u16, now));
                value & 0xffff
            }
            (1, READ) => self.change_phy(|phy, _| phy.read(register)).into(),
            _ => value & 0xffff | ERROR,
        };
        self.mdi = value & 0x2fff_0000 | answer | READY;
        if value & INTERRUPT != 0 {
            self.interrupts.raise(Causes::MDI_DONE);
        }
    }
}

impl PciFunction for E1000 {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        match (bar, offset) {
            (MEMORY_BAR, _) => size.of_dwords(offset, |at| self.read_dword(at)),
            (PORT_BAR, ADDRESS_AT) => self.address.into(),
            (PORT_BAR, DATA_AT) if size == Size::Dword => self.read_dword(u64::from(self.address & !3)).into(),
            _ => 0,
        }
    }

    fn bar_write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        match (bar, offset, size) {
            (MEMORY_BAR, _, Size::Dword) if offset.is_multiple_of(4) => self.write_dword(offset, value as u32),
            (MEMORY_BAR, _, Size::Qword) if offset.is_multiple_of(4) => {
                self.write_dword(offset, value as u32);
                self.write_dword(offset + 4, (value >> 32) as u32);
            }
            (PORT_BAR, ADDRESS_AT, Size::Dword) => self.address = value as u32 & ADDRESS_MASK,
            (PORT_BAR, DATA_AT, Size::Dword) => self.write_dword(u64::from(self.address & !3), value as u32),
            // Registers take 32 bits at a time (§13.2).
            _ => {}
        }
    }
}
