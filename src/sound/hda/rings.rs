//! Commands to codecs and their responses: a ring each way, or one at a time (High Definition Audio 1.0a §3.3.18 and on, §4.4).
//!
//! Codecs answer at once, so a doorbell brings every command of the ring its response; that is at most one round of it. As on
//! hardware the write pointer of responses waits for nobody.

use device::Dma;
use serde::{Deserialize, Serialize};

use super::codec::Codec;
use super::registers::{ALIGNED, Global, Write};

/// Both rings have 256 entries, and can have no other number.
const SIZE: u32 = 0x42;
const COMMAND: u64 = 4;
const RESPONSE: u64 = 8;
/// CORBRP and RIRBWP: back to the start.
const RESET: u32 = 1 << 15;
/// CORBCTL.
const COMMAND_ERROR_INTERRUPT: u8 = 1 << 0;
const COMMANDS_RUN: u8 = 1 << 1;
/// CORBSTS.
const COMMAND_ERROR: u8 = 1 << 0;
/// RIRBCTL and, with the same places for interrupts, RIRBSTS.
const RESPONDED: u8 = 1 << 0;
const RESPONSES_RUN: u8 = 1 << 1;
const OVERRUN: u8 = 1 << 2;
/// ICIS.
const BUSY: u32 = 1 << 0;
const VALID: u32 = 1 << 1;

/// The rings, as they are saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rings {
    commands: u64,
    command_write: u8,
    command_read: u8,
    /// The guest resets the read pointer and waits to see it done.
    command_reset: bool,
    command_control: u8,
    command_status: u8,
    responses: u64,
    response_write: u8,
    response_count: u8,
    response_control: u8,
    response_status: u8,
    immediate_command: u32,
    immediate_response: u32,
    immediate_valid: bool,
}

impl Rings {
    /// Does a ring ask for the guest's attention?
    pub(super) fn interrupts(&self) -> bool {
        self.response_status & self.response_control & (RESPONDED | OVERRUN) != 0
            || self.command_status & self.command_control & COMMAND_ERROR_INTERRUPT != 0
    }

    /// A guest's read; `None` when the register is not the rings'.
    pub(super) fn read(&self, register: Global) -> Option<u32> {
        Some(match register {
            Global::CommandRing => self.commands as u32,
            Global::CommandRingUpper => (self.commands >> 32) as u32,
            Global::CommandWrite => self.command_write.into(),
            Global::CommandRead => u32::from(self.command_read) | if self.command_reset { RESET } else { 0 },
            Global::CommandControl => self.command_control.into(),
            Global::CommandStatus => self.command_status.into(),
            Global::ResponseRing => self.responses as u32,
            Global::ResponseRingUpper => (self.responses >> 32) as u32,
            Global::ResponseWrite => self.response_write.into(),
            Global::ResponseCount => self.response_count.into(),
            Global::ResponseControl => self.response_control.into(),
            Global::ResponseStatus => self.response_status.into(),
            Global::CommandSize | Global::ResponseSize => SIZE,
            Global::ImmediateCommand => self.immediate_command,
            Global::ImmediateResponse => self.immediate_response,
            Global::ImmediateStatus => {
                if self.immediate_valid {
                    VALID
                } else {
                    0
                }
            }
            _ => return None,
        })
    }

    /// A guest's write; false when the register is not the rings'.
    pub(super) fn write(&mut self, register: Global, write: Write, codec: &mut Codec, dma: &Dma) -> bool {
        match register {
            Global::CommandRing => self.commands = write.low(self.commands, ALIGNED),
            Global::CommandRingUpper => self.commands = write.high(self.commands),
            Global::CommandWrite => {
                self.command_write = write.over(self.command_write.into(), 0xff) as u8;
                self.run(codec, dma);
            }
            Global::CommandRead => {
                self.command_reset = write.over(if self.command_reset { RESET } else { 0 }, RESET) != 0;
                if self.command_reset {
                    self.command_read = 0;
                }
            }
            Global::CommandControl => {
                let bits = COMMAND_ERROR_INTERRUPT | COMMANDS_RUN;
                self.command_control = write.over(self.command_control.into(), bits.into()) as u8;
                self.run(codec, dma);
            }
            Global::CommandStatus => self.command_status &= !(write.ones() as u8),
            Global::ResponseRing => self.responses = write.low(self.responses, ALIGNED),
            Global::ResponseRingUpper => self.responses = write.high(self.responses),
            Global::ResponseWrite => {
                if write.ones() & RESET != 0 {
                    self.response_write = 0;
                }
            }
            Global::ResponseCount => self.response_count = write.over(self.response_count.into(), 0xff) as u8,
            Global::ResponseControl => {
                let bits = RESPONDED | RESPONSES_RUN | OVERRUN;
                self.response_control = write.over(self.response_control.into(), bits.into()) as u8;
            }
            Global::ResponseStatus => self.response_status &= !(write.ones() as u8),
            Global::ImmediateCommand => self.immediate_command = write.over(self.immediate_command, u32::MAX),
            Global::ImmediateStatus => self.immediate(write, codec),
            Global::CommandSize | Global::ResponseSize | Global::ImmediateResponse => {}
            _ => return false,
        }
        true
    }

    /// Sends the command that stands in its register. Where no codec is, nothing ever answers; the frame is over all the same.
    fn immediate(&mut self, write: Write, codec: &mut Codec) {
        if write.ones() & VALID != 0 {
            self.immediate_valid = false;
        }
        if write.ones() & BUSY != 0
            && let Some(response) = codec.command(self.immediate_command)
        {
            (self.immediate_response, self.immediate_valid) = (response, true);
        }
    }

    /// Sends what is in the command ring.
    fn run(&mut self, codec: &mut Codec, dma: &Dma) {
        let mut answered = false;
        while self.command_control & COMMANDS_RUN != 0 && self.command_read != self.command_write {
            self.command_read = self.command_read.wrapping_add(1);
            // Guests that never look after the reset bit meant it all the same.
            self.command_reset = false;
            let at = self.commands.wrapping_add(COMMAND * u64::from(self.command_read));
            let Ok(command) = dma.read_u32(at) else {
                // Hardware goes no further without a reset.
                self.command_status |= COMMAND_ERROR;
                self.command_control &= !COMMANDS_RUN;
                break;
            };
            if let Some(response) = codec.command(command) {
                answered |= self.respond(response, dma);
            }
        }
        // The frame behind the last command brings no response, and that interrupts whatever the count of responses is.
        if answered {
            self.response_status |= RESPONDED;
        }
    }

    /// Puts a response into its ring; false when it was lost.
    fn respond(&mut self, response: u32, dma: &Dma) -> bool {
        if self.response_control & RESPONSES_RUN == 0 {
            return false;
        }
        let next = self.response_write.wrapping_add(1);
        let at = self.responses.wrapping_add(RESPONSE * u64::from(next));
        // The upper half says which codec it was (the first), and that it was asked.
        if dma.write(at, &u64::from(response).to_le_bytes()).is_err() {
            self.response_status |= OVERRUN;
            return false;
        }
        self.response_write = next;
        true
    }

    /// Could a guest have brought them here?
    pub(super) fn is_possible(&self) -> bool {
        let Self {
            commands,
            command_write: _,
            command_read,
            command_reset,
            command_control,
            command_status,
            responses,
            response_write: _,
            response_count: _,
            response_control,
            response_status,
            immediate_command: _,
            immediate_response: _,
            immediate_valid: _,
        } = self;
        *commands as u32 & !ALIGNED == 0
            && *responses as u32 & !ALIGNED == 0
            && (!command_reset || *command_read == 0)
            && command_control & !(COMMAND_ERROR_INTERRUPT | COMMANDS_RUN) == 0
            && command_status & !COMMAND_ERROR == 0
            && response_control & !(RESPONDED | RESPONSES_RUN | OVERRUN) == 0
            && response_status & !(RESPONDED | OVERRUN) == 0
    }
}
