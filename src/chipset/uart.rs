//! A serial port: the National Semiconductor PC16550D UART (data sheet of June 1995, section 8).
//!
//! The line to the other end has no speed: a byte that the guest transmits has left before the write returns, whatever the
//! divisor says, and received bytes count as waiting long enough for the FIFO's timeout at once.

use std::collections::VecDeque;

use bitflags::bitflags;
use device::{Device, IrqLine, PortIo, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

use crate::ByteSink;

/// Bytes of either FIFO.
const FIFO: usize = 16;
/// 9600 baud from a 1.8432 MHz crystal.
const DIVISOR_DEFAULT: u16 = 12;
/// Line control: the divisor stands where data and interrupt enable were.
const DIVISOR_LATCH: u8 = 0x80;
/// Interrupt identification: nothing pending.
const NO_INTERRUPT: u8 = 0x01;
/// Interrupt identification: FIFOs are on.
const FIFOS_ON: u8 = 0xc0;
const FIFO_ENABLE: u8 = 0x01;
const FIFO_CLEAR_RECEIVER: u8 = 0x02;

bitflags! {
    /// Interrupt enable register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Enable: u8 {
        const RECEIVED = 0x01;
        const TRANSMITTER_EMPTY = 0x02;
        const LINE_STATUS = 0x04;
        const MODEM_STATUS = 0x08;
    }

    /// Line status register; the transmitter's two bits are always set.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct LineStatus: u8 {
        const DATA_READY = 0x01;
        const OVERRUN = 0x02;
        const PARITY = 0x04;
        const FRAMING = 0x08;
        const BREAK = 0x10;
        const HOLDING_EMPTY = 0x20;
        const TRANSMITTER_EMPTY = 0x40;
    }

    /// Modem control register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct ModemControl: u8 {
        const DTR = 0x01;
        const RTS = 0x02;
        const OUT_1 = 0x04;
        /// Opens the PC's gate to the interrupt line.
        const OUT_2 = 0x08;
        const LOOP = 0x10;
    }

    /// Modem status register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct ModemStatus: u8 {
        const CTS_CHANGED = 0x01;
        const DSR_CHANGED = 0x02;
        const RI_ENDED = 0x04;
        const DCD_CHANGED = 0x08;
        const CTS = 0x10;
        const DSR = 0x20;
        const RI = 0x40;
        const DCD = 0x80;
    }
}

/// The line conditions that interrupt and that a read of the status clears.
const LINE_ERRORS: LineStatus =
    LineStatus::OVERRUN.union(LineStatus::PARITY).union(LineStatus::FRAMING).union(LineStatus::BREAK);
const MODEM_CHANGES: ModemStatus = ModemStatus::CTS_CHANGED
    .union(ModemStatus::DSR_CHANGED)
    .union(ModemStatus::RI_ENDED)
    .union(ModemStatus::DCD_CHANGED);
/// What a terminal that is switched on and ready shows.
const CONNECTED: ModemStatus = ModemStatus::CTS.union(ModemStatus::DSR).union(ModemStatus::DCD);

/// The registers, as the low three address bits and the divisor latch select them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Data,
    Enable,
    DivisorLow,
    DivisorHigh,
    /// Interrupt identification when read, FIFO control when written.
    Interrupt,
    LineControl,
    ModemControl,
    LineStatus,
    ModemStatus,
    Scratch,
}

/// One serial port. Wants 8 ports and an interrupt line.
pub struct Uart {
    received: VecDeque<u8>,
    enable: Enable,
    fifo_control: u8,
    line_control: u8,
    modem_control: ModemControl,
    line_status: LineStatus,
    modem_status: ModemStatus,
    scratch: u8,
    divisor: u16,
    /// The transmitter ran empty, and the guest was not yet told so.
    emptied: bool,
    /// [`Self::receive`] took less than it was offered.
    offered: bool,
    irq: IrqLine,
    line: Box<dyn ByteSink>,
}

/// The saved state of a serial port.
#[derive(Serialize, Deserialize)]
pub struct UartState {
    received: VecDeque<u8>,
    enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    line_status: u8,
    modem_status: u8,
    scratch: u8,
    divisor: u16,
    emptied: bool,
    offered: bool,
}

impl Uart {
    /// A port whose transmitted bytes go to `line`. Received bytes come by [`Self::receive`].
    pub fn new(irq: IrqLine, line: Box<dyn ByteSink>) -> Self {
        Self {
            received: VecDeque::with_capacity(FIFO),
            enable: Enable::empty(),
            fifo_control: 0,
            line_control: 0,
            modem_control: ModemControl::empty(),
            line_status: LineStatus::empty(),
            modem_status: CONNECTED,
            scratch: 0,
            divisor: DIVISOR_DEFAULT,
            emptied: false,
            offered: false,
            irq,
            line,
        }
    }

    /// Takes bytes from the other end, as many as there is room for, and says how many. After it took fewer than all,
    /// [`ByteSink::ready`] says when to offer the rest. Called from the I/O thread.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        // A port in loopback has its receiver's pin cut off; what comes meanwhile waits.
        let room = if self.loops() { 0 } else { self.capacity().saturating_sub(self.received.len()) };
        let taken = room.min(bytes.len());
        self.received.extend(&bytes[..taken]);
        self.offered = taken < bytes.len();
        self.drive_line();
        taken
    }

    fn loops(&self) -> bool {
        self.modem_control.contains(ModemControl::LOOP)
    }

    fn fifos_on(&self) -> bool {
        self.fifo_control & FIFO_ENABLE != 0
    }

    fn capacity(&self) -> usize {
        if self.fifos_on() { FIFO } else { 1 }
    }

    /// How many received bytes interrupt without waiting.
    fn trigger(&self) -> usize {
        if self.fifos_on() { [1, 4, 8, 14][usize::from(self.fifo_control >> 6)] } else { 1 }
    }

    /// The interrupt identification register without the FIFO bits: the most urgent cause.
    fn cause(&self) -> u8 {
        let enabled = |cause| self.enable.contains(cause);
        if enabled(Enable::LINE_STATUS) && self.line_status.intersects(LINE_ERRORS) {
            0x06
        } else if enabled(Enable::RECEIVED) && self.received.len() >= self.trigger() {
            0x04
        } else if enabled(Enable::RECEIVED) && !self.received.is_empty() {
            // Less than the trigger level: the timeout.
            0x0c
        } else if enabled(Enable::TRANSMITTER_EMPTY) && self.emptied {
            0x02
        } else if enabled(Enable::MODEM_STATUS) && self.modem_status.intersects(MODEM_CHANGES) {
            0x00
        } else {
            NO_INTERRUPT
        }
    }

    fn drive_line(&self) {
        // In loopback OUT2 does not reach its pin, which shuts the gate.
        let gate = self.modem_control.contains(ModemControl::OUT_2) && !self.loops();
        self.irq.set(gate && self.cause() != NO_INTERRUPT);
    }

    fn decode(&self, offset: u16) -> Register {
        let latch = self.line_control & DIVISOR_LATCH != 0;
        match (offset & 7, latch) {
            (0, false) => Register::Data,
            (1, false) => Register::Enable,
            (0, true) => Register::DivisorLow,
            (1, true) => Register::DivisorHigh,
            (2, _) => Register::Interrupt,
            (3, _) => Register::LineControl,
            (4, _) => Register::ModemControl,
            (5, _) => Register::LineStatus,
            (6, _) => Register::ModemStatus,
            _ => Register::Scratch,
        }
    }

    fn read_register(&mut self, register: Register) -> u8 {
        let value = match register {
            Register::Data => {
                let byte = self.received.pop_front().unwrap_or(0);
                if self.received.is_empty() {
                    self.ask_for_more();
                }
                byte
            }
            Register::Enable => self.enable.bits(),
            Register::DivisorLow => self.divisor as u8,
            Register::DivisorHigh => (self.divisor >> 8) as u8,
            Register::Interrupt => {
                let cause = self.cause();
                if cause == 0x02 {
                    self.emptied = false;
                }
                cause | if self.fifos_on() { FIFOS_ON } else { 0 }
            }
            Register::LineControl => self.line_control,
            Register::ModemControl => self.modem_control.bits(),
            Register::LineStatus => {
                let mut status = self.line_status | LineStatus::HOLDING_EMPTY | LineStatus::TRANSMITTER_EMPTY;
                status.set(LineStatus::DATA_READY, !self.received.is_empty());
                self.line_status = LineStatus::empty();
                status.bits()
            }
            Register::ModemStatus => {
                let status = self.modem_status;
                self.modem_status -= MODEM_CHANGES;
                status.bits()
            }
            Register::Scratch => self.scratch,
        };
        self.drive_line();
        value
    }

    fn write_register(&mut self, register: Register, value: u8) {
        match register {
            Register::Data => self.transmit(value),
            Register::Enable => {
                let enable = Enable::from_bits_truncate(value);
                // Enabling the interrupt of a transmitter that is empty raises it.
                if (enable - self.enable).contains(Enable::TRANSMITTER_EMPTY) {
                    self.emptied = true;
                }
                self.enable = enable;
            }
            Register::DivisorLow => self.divisor = self.divisor & 0xff00 | u16::from(value),
            Register::DivisorHigh => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            Register::Interrupt => self.control_fifo(value),
            Register::LineControl => self.line_control = value,
            Register::ModemControl => {
                let looped = self.loops();
                self.modem_control = ModemControl::from_bits_truncate(value);
                self.update_modem_status();
                if looped && !self.loops() {
                    self.ask_for_more();
                }
            }
            Register::LineStatus | Register::ModemStatus => {}
            Register::Scratch => self.scratch = value,
        }
        self.drive_line();
    }

    fn transmit(&mut self, byte: u8) {
        if !self.loops() {
            self.line.byte(byte);
        } else if self.received.len() < self.capacity() {
            self.received.push_back(byte);
        } else {
            self.line_status |= LineStatus::OVERRUN;
            // The lone holding register takes the new byte, a full FIFO keeps the old ones.
            if !self.fifos_on() {
                self.received.clear();
                self.received.push_back(byte);
            }
        }
        self.emptied = true;
    }

    fn control_fifo(&mut self, value: u8) {
        let switched = (self.fifo_control ^ value) & FIFO_ENABLE != 0;
        // The other bits count only together with the enable.
        self.fifo_control = if value & FIFO_ENABLE != 0 { value & 0xc9 } else { 0 };
        if switched || value & FIFO_ENABLE != 0 && value & FIFO_CLEAR_RECEIVER != 0 {
            self.received.clear();
            self.ask_for_more();
        }
    }

    /// Tells the other end of room, if it was refused before.
    fn ask_for_more(&mut self) {
        if std::mem::take(&mut self.offered) {
            self.line.ready();
        }
    }

    /// In loopback the modem's inputs are the port's own outputs.
    fn update_modem_status(&mut self) {
        let lines = if self.loops() {
            [
                (ModemControl::RTS, ModemStatus::CTS),
                (ModemControl::DTR, ModemStatus::DSR),
                (ModemControl::OUT_1, ModemStatus::RI),
                (ModemControl::OUT_2, ModemStatus::DCD),
            ]
            .into_iter()
            .filter(|(output, _)| self.modem_control.contains(*output))
            .map(|(_, input)| input)
            .collect()
        } else {
            CONNECTED
        };
        let before = self.modem_status - MODEM_CHANGES;
        let changed = before ^ lines;
        let mut changes = self.modem_status & MODEM_CHANGES;
        for (line, change) in [
            (ModemStatus::CTS, ModemStatus::CTS_CHANGED),
            (ModemStatus::DSR, ModemStatus::DSR_CHANGED),
            (ModemStatus::DCD, ModemStatus::DCD_CHANGED),
        ] {
            if changed.contains(line) {
                changes |= change;
            }
        }
        // Of the ring only the end counts.
        if (before - lines).contains(ModemStatus::RI) {
            changes |= ModemStatus::RI_ENDED;
        }
        self.modem_status = lines | changes;
    }
}

impl PortIo for Uart {
    fn read(&mut self, offset: u16, size: Size) -> u32 {
        // The ISA bus cuts a wide access into bytes at successive ports.
        (0..size.bytes() as u16)
            .filter_map(|i| offset.checked_add(i).filter(|&port| port < 8).map(|port| (i, port)))
            .fold(u32::MAX, |value, (i, port)| {
                let byte = u32::from(self.read_register(self.decode(port)));
                value & !(0xff << (8 * i)) | byte << (8 * i)
            })
    }

    fn write(&mut self, offset: u16, size: Size, value: u32) {
        for i in 0..size.bytes() as u16 {
            if let Some(port) = offset.checked_add(i).filter(|&port| port < 8) {
                self.write_register(self.decode(port), (value >> (8 * i)) as u8);
            }
        }
    }
}

impl Device for Uart {
    fn reset(&mut self) {
        self.received.clear();
        self.enable = Enable::empty();
        (self.fifo_control, self.line_control, self.scratch) = (0, 0, 0);
        self.modem_control = ModemControl::empty();
        self.line_status = LineStatus::empty();
        self.modem_status = CONNECTED;
        self.divisor = DIVISOR_DEFAULT;
        self.emptied = false;
        self.drive_line();
        self.ask_for_more();
    }
}

impl State for Uart {
    const KIND: &'static str = "uart-16550a";
    type Saved = UartState;

    fn save(&self) -> UartState {
        let Self {
            received,
            enable,
            fifo_control,
            line_control,
            modem_control,
            line_status,
            modem_status,
            scratch,
            divisor,
            emptied,
            offered,
            irq: _,
            line: _,
        } = self;
        UartState {
            received: received.clone(),
            enable: enable.bits(),
            fifo_control: *fifo_control,
            line_control: *line_control,
            modem_control: modem_control.bits(),
            line_status: line_status.bits(),
            modem_status: modem_status.bits(),
            scratch: *scratch,
            divisor: *divisor,
            emptied: *emptied,
            offered: *offered,
        }
    }

    fn restore(&mut self, saved: UartState) -> Result<(), RestoreError> {
        let UartState {
            received,
            enable,
            fifo_control,
            line_control,
            modem_control,
            line_status,
            modem_status,
            scratch,
            divisor,
            emptied,
            offered,
        } = saved;
        if received.len() > FIFO {
            return Err(Self::impossible("receiver"));
        }
        if fifo_control & !0xc9 != 0 {
            return Err(Self::impossible("FIFO control"));
        }
        self.enable = Enable::from_bits(enable).ok_or_else(|| Self::impossible("interrupt enable"))?;
        self.modem_control = ModemControl::from_bits(modem_control).ok_or_else(|| Self::impossible("modem control"))?;
        self.line_status = LineStatus::from_bits(line_status)
            .filter(|status| LINE_ERRORS.contains(*status))
            .ok_or_else(|| Self::impossible("line status"))?;
        self.modem_status = ModemStatus::from_bits_retain(modem_status);
        (self.received, self.fifo_control, self.line_control) = (received, fifo_control, line_control);
        (self.scratch, self.divisor, self.emptied, self.offered) = (scratch, divisor, emptied, offered);
        self.drive_line();
        Ok(())
    }
}

#[cfg(test)]
#[path = "uart_test.rs"]
mod tests;
