//! The keyboard controller: an Intel 8042 with the PS/2 firmware (IBM PS/2 Hardware Interface Technical Reference, "Keyboard
//! and Auxiliary Device Controller"), and the keyboard and the mouse on its two ports.
//!
//! One byte at a time stands in the output buffer, taken in this order: the controller's own answer, the keyboard, the mouse.
//! Reading it lowers its interrupt line; the next byte raises one again at once, so edge-triggered inputs see each byte.
//!
//! A20 is always open: nothing that still runs wants it shut, and no hypervisor shuts it.

use device::input::{Axis, Button, KeySink, PointerSink};
use device::{Clock, Device, IrqLine, PortIo, RestoreError, Size, State, Timed, Timer, VmTime};
use serde::{Deserialize, Serialize};

use crate::power::{PowerControl, PowerRequest};
use crate::ps2::{Keyboard, KeyboardState, Mouse, MouseState, Translator};

/// Offset of port 0x60 in the claimed range.
const DATA: u16 = 0;
/// Offset of port 0x64.
const COMMAND: u16 = 4;

/// Bits of the status register.
mod status {
    pub(super) const OUTPUT_FULL: u8 = 0x01;
    pub(super) const SYSTEM: u8 = 0x04;
    pub(super) const COMMAND: u8 = 0x08;
    pub(super) const UNLOCKED: u8 = 0x10;
    pub(super) const AUX_OUTPUT: u8 = 0x20;
}

/// Bits of the controller's configuration, which is byte 0 of its RAM.
mod config {
    pub(super) const KEYBOARD_INTERRUPT: u8 = 0x01;
    pub(super) const AUX_INTERRUPT: u8 = 0x02;
    pub(super) const SYSTEM: u8 = 0x04;
    pub(super) const KEYBOARD_OFF: u8 = 0x10;
    pub(super) const AUX_OFF: u8 = 0x20;
    pub(super) const TRANSLATE: u8 = 0x40;
    /// As the firmware of a PC leaves it.
    pub(super) const DEFAULT: u8 = KEYBOARD_INTERRUPT | AUX_INTERRUPT | TRANSLATE;
}

const RAM: usize = 32;

/// Who said the byte in the output buffer, as far as the guest can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    Keyboard,
    Aux,
}

/// What the next byte written to the data port is for, instead of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Awaiting {
    Ram(u8),
    OutputPort,
    /// To come back as if from this device.
    Echo(Source),
    Mouse,
}

/// The controller. Wants ports 0x60 and 0x64, both as offsets from 0x60, lines to IRQ 1 and IRQ 12, and [`Timed`].
pub struct I8042 {
    ram: [u8; RAM],
    output: Option<(u8, Source)>,
    /// What the data port shows: the output buffer, or what was last in it.
    data: u8,
    /// The controller's answer, which waits for the output buffer.
    answer: Option<(u8, Source)>,
    awaiting: Option<Awaiting>,
    /// Was the last write to the command port?
    commanded: bool,
    translator: Translator,
    keyboard: Keyboard,
    mouse: Mouse,
    armed: Option<VmTime>,
    clock: Clock,
    timer: Timer,
    keyboard_irq: IrqLine,
    mouse_irq: IrqLine,
    power: Box<dyn PowerControl>,
}

/// The saved state of the controller and its devices.
#[derive(Serialize, Deserialize)]
pub struct I8042State {
    ram: [u8; RAM],
    output: Option<(u8, Source)>,
    data: u8,
    answer: Option<(u8, Source)>,
    awaiting: Option<Awaiting>,
    commanded: bool,
    translator: Translator,
    keyboard: KeyboardState,
    mouse: MouseState,
}

impl I8042 {
    /// A controller with a keyboard and a mouse. `timer` is number 0 of this device. `power` hears when the guest
    /// resets the machine.
    pub fn new(
        keyboard_irq: IrqLine,
        mouse_irq: IrqLine,
        clock: Clock,
        timer: Timer,
        power: Box<dyn PowerControl>,
    ) -> Self {
        let mut ram = [0; RAM];
        ram[0] = config::DEFAULT;
        Self {
            ram,
            output: None,
            data: 0,
            answer: None,
            awaiting: None,
            commanded: true,
            translator: Translator::default(),
            keyboard: Keyboard::default(),
            mouse: Mouse::default(),
            armed: None,
            clock,
            timer,
            keyboard_irq,
            mouse_irq,
            power,
        }
    }

    fn config(&self, bit: u8) -> bool {
        self.ram[0] & bit != 0
    }

    fn set_config(&mut self, bit: u8, on: bool) {
        self.ram[0] = self.ram[0] & !bit | if on { bit } else { 0 };
    }

    fn status(&self) -> u8 {
        let output = match self.output {
            None => 0,
            Some((_, Source::Keyboard)) => status::OUTPUT_FULL,
            Some((_, Source::Aux)) => status::OUTPUT_FULL | status::AUX_OUTPUT,
        };
        let system = if self.config(config::SYSTEM) { status::SYSTEM } else { 0 };
        let command = if self.commanded { status::COMMAND } else { 0 };
        output | system | command | status::UNLOCKED
    }

    /// Port P2: the reset line and A20 high, then the interrupts, then the idle lines to the keyboard.
    fn output_port(&self) -> u8 {
        let interrupt = match self.output {
            None => 0,
            Some((_, Source::Keyboard)) => 0x10,
            Some((_, Source::Aux)) => 0x20,
        };
        0xc3 | interrupt
    }

    fn read_data(&mut self) -> u8 {
        if let Some((byte, _)) = self.output.take() {
            self.data = byte;
            self.drive_lines();
            self.advance();
            return byte;
        }
        self.data
    }

    fn write_data(&mut self, byte: u8) {
        self.commanded = false;
        match self.awaiting.take() {
            Some(Awaiting::Ram(index)) => self.ram[usize::from(index) % RAM] = byte,
            Some(Awaiting::OutputPort) => {
                if byte & 1 == 0 {
                    self.power.request(PowerRequest::Reset);
                }
            }
            Some(Awaiting::Echo(source)) => self.answer = Some((byte, source)),
            // Talking to a device starts its clock.
            Some(Awaiting::Mouse) => {
                self.set_config(config::AUX_OFF, false);
                self.mouse.receive(byte);
            }
            None => {
                self.set_config(config::KEYBOARD_OFF, false);
                self.keyboard.receive(byte);
            }
        }
        self.advance();
    }

    fn write_command(&mut self, command: u8) {
        self.commanded = true;
        self.awaiting = None;
        match command {
            0x20..=0x3f => self.answer(self.ram[usize::from(command & 0x1f)]),
            0x60..=0x7f => self.awaiting = Some(Awaiting::Ram(command & 0x1f)),
            // No password is set.
            0xa4 => self.answer(0xf1),
            0xa7 => self.set_config(config::AUX_OFF, true),
            0xa8 => self.set_config(config::AUX_OFF, false),
            // Both ports pass their tests.
            0xa9 | 0xab => self.answer(0x00),
            0xaa => {
                self.set_config(config::SYSTEM, true);
                self.answer(0x55);
            }
            0xad => self.set_config(config::KEYBOARD_OFF, true),
            0xae => self.set_config(config::KEYBOARD_OFF, false),
            // Port P1: the key lock is open.
            0xc0 => self.answer(0x80),
            0xd0 => self.answer(self.output_port()),
            0xd1 => self.awaiting = Some(Awaiting::OutputPort),
            0xd2 => self.awaiting = Some(Awaiting::Echo(Source::Keyboard)),
            0xd3 => self.awaiting = Some(Awaiting::Echo(Source::Aux)),
            0xd4 => self.awaiting = Some(Awaiting::Mouse),
            // The test inputs, both clocks low.
            0xe0 => self.answer(0x00),
            // Pulls the lines low whose bits are clear; of them only the reset line leads anywhere.
            0xf0..=0xff if command & 1 == 0 => self.power.request(PowerRequest::Reset),
            _ => {}
        }
        self.advance();
    }

    fn answer(&mut self, byte: u8) {
        self.answer = Some((byte, Source::Keyboard));
    }

    /// The next byte for a free output buffer.
    fn next_output(&mut self) -> Option<(u8, Source)> {
        if let Some(answer) = self.answer.take() {
            return Some(answer);
        }
        if !self.config(config::KEYBOARD_OFF) {
            while let Some(byte) = self.keyboard.next() {
                let byte = if self.config(config::TRANSLATE) { self.translator.translate(byte) } else { Some(byte) };
                if let Some(byte) = byte {
                    return Some((byte, Source::Keyboard));
                }
            }
        }
        if !self.config(config::AUX_OFF) {
            return self.mouse.next().map(|byte| (byte, Source::Aux));
        }
        None
    }

    /// After anything happened: fills the output buffer, drives the lines, arms the timer.
    fn advance(&mut self) {
        if self.output.is_none() {
            self.output = self.next_output();
        }
        self.drive_lines();
        let due = self.keyboard.repeat_at();
        if self.armed != due {
            self.armed = due;
            match due {
                Some(at) => self.timer.arm(at),
                None => self.timer.cancel(),
            }
        }
    }

    fn drive_lines(&self) {
        let source = self.output.map(|(_, source)| source);
        // With the keyboard off the guest is talking to the controller, and polls.
        let keyboard = self.config(config::KEYBOARD_INTERRUPT) && !self.config(config::KEYBOARD_OFF);
        self.keyboard_irq.set(keyboard && source == Some(Source::Keyboard));
        self.mouse_irq.set(self.config(config::AUX_INTERRUPT) && source == Some(Source::Aux));
    }
}

impl PortIo for I8042 {
    fn read(&mut self, offset: u16, _: Size) -> u32 {
        let byte = match offset {
            DATA => self.read_data(),
            COMMAND => self.status(),
            _ => 0xff,
        };
        0xffff_ff00 | u32::from(byte)
    }

    fn write(&mut self, offset: u16, _: Size, value: u32) {
        match offset {
            DATA => self.write_data(value as u8),
            COMMAND => self.write_command(value as u8),
            _ => {}
        }
    }
}

impl KeySink for I8042 {
    fn listens(&self) -> bool {
        self.keyboard.is_scanning()
    }

    fn key(&mut self, code: u16, down: bool) {
        self.keyboard.key(code, down, self.clock.now());
        self.advance();
    }
}

impl PointerSink for I8042 {
    fn listens(&self) -> bool {
        self.mouse.is_reporting()
    }

    fn is_absolute(&self) -> bool {
        false
    }

    fn moved(&mut self, dx: i32, dy: i32) {
        self.mouse.moved(dx, dy, 0);
        self.advance();
    }

    fn moved_to(&mut self, _: u16, _: u16) {}

    fn button(&mut self, button: Button, down: bool) {
        self.mouse.button(button, down);
        self.advance();
    }

    fn wheel(&mut self, axis: Axis, steps: i32) {
        // A PS/2 wheel turns one way only; what is up for the person is less for the mouse.
        if axis == Axis::Vertical {
            self.mouse.moved(0, 0, steps.saturating_neg());
            self.advance();
        }
    }
}

impl Timed for I8042 {
    fn expired(&mut self, _: u32, now: VmTime) {
        self.armed = None;
        self.keyboard.repeat(now);
        self.advance();
    }
}

impl Device for I8042 {
    fn reset(&mut self) {
        self.ram = [0; RAM];
        self.ram[0] = config::DEFAULT;
        (self.output, self.data, self.answer, self.awaiting, self.commanded) = (None, 0, None, None, true);
        self.translator = Translator::default();
        self.keyboard = Keyboard::default();
        self.mouse = Mouse::default();
        self.advance();
    }
}

impl State for I8042 {
    const KIND: &'static str = "i8042";
    type Saved = I8042State;

    fn save(&self) -> I8042State {
        let Self {
            ram,
            output,
            data,
            answer,
            awaiting,
            commanded,
            translator,
            keyboard,
            mouse,
            armed: _,
            clock: _,
            timer: _,
            keyboard_irq: _,
            mouse_irq: _,
            power: _,
        } = self;
        I8042State {
            ram: *ram,
            output: *output,
            data: *data,
            answer: *answer,
            awaiting: *awaiting,
            commanded: *commanded,
            translator: *translator,
            keyboard: keyboard.save(),
            mouse: mouse.save(),
        }
    }

    fn restore(&mut self, saved: I8042State) -> Result<(), RestoreError> {
        let I8042State { ram, output, data, answer, awaiting, commanded, translator, keyboard, mouse } = saved;
        if matches!(awaiting, Some(Awaiting::Ram(index)) if usize::from(index) >= RAM) {
            return Err(Self::impossible("RAM index"));
        }
        self.keyboard.restore(keyboard).map_err(Self::impossible)?;
        self.mouse.restore(mouse).map_err(Self::impossible)?;
        (self.ram, self.output, self.data, self.answer) = (ram, output, data, answer);
        (self.awaiting, self.commanded, self.translator) = (awaiting, commanded, translator);
        self.drive_lines();
        // The queue may hold an alarm of before.
        self.armed = self.keyboard.repeat_at();
        match self.armed {
            Some(at) => self.timer.arm(at),
            None => self.timer.cancel(),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "i8042_test.rs"]
mod tests;
