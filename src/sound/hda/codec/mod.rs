//! The codec: an audio function with a line out and a microphone, in the shape that class drivers know (High Definition Audio 1.0a
//! §7). It answers every command at once; it says nothing unasked.

mod amplifier;
mod node;
mod verb;

use serde::{Deserialize, Serialize};

use amplifier::Amplifier;
pub(super) use amplifier::Factor;
use node::Node;
use verb::{AmplifierChange, AmplifierSelect, Verb};

/// Power states: on, and the deepest.
const D0: u8 = 0;
const D3: u8 = 3;
/// Controls of pins.
const OUTPUT_ON: u8 = 1 << 6;
const INPUT_ON: u8 = 1 << 5;
const BIAS: u8 = 7;
/// The amplifier outside is on.
const EXTERNAL_ON: u8 = 1 << 1;
/// Somebody has plugged something in; always.
const PRESENT: u32 = 1 << 31;
/// Two samples of 16 bits at 48 kHz.
const FIRST_FORMAT: u16 = 0x0011;

/// What turns a stream into sound, or sound into one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Converter {
    format: u16,
    tag: u8,
    channel: u8,
    amplifier: Amplifier,
}

impl Converter {
    fn new() -> Self {
        Self { format: FIRST_FORMAT, tag: 0, channel: 0, amplifier: Amplifier::default() }
    }

    /// The number of its stream; 0 is none.
    pub(super) fn tag(&self) -> u8 {
        self.tag
    }

    /// The first of the stream's channels that is its own.
    pub(super) fn channel(&self) -> usize {
        self.channel.into()
    }

    fn is_possible(&self) -> bool {
        self.tag < 16 && self.channel < 16 && self.amplifier.is_possible()
    }
}

/// A jack's side of the codec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pin {
    control: u8,
    configuration: u32,
}

/// The codec; all of it is state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Codec {
    output: Converter,
    input: Converter,
    line_out: Pin,
    microphone: Pin,
    external: u8,
    power: u8,
    subsystem: u32,
}

impl Codec {
    /// A codec after power-on.
    pub(super) fn new() -> Self {
        Self {
            output: Converter::new(),
            input: Converter::new(),
            line_out: Pin { control: OUTPUT_ON, configuration: node::LINE_OUT },
            microphone: Pin { control: INPUT_ON, configuration: node::MICROPHONE },
            external: EXTERNAL_ON,
            power: D0,
            subsystem: node::SUBSYSTEM,
        }
    }

    /// A reset of the link or of the function. What firmware said of jacks and of the board stays.
    pub(super) fn reset(&mut self) {
        let first = Self::new();
        *self = Self {
            line_out: Pin { configuration: self.line_out.configuration, ..first.line_out },
            microphone: Pin { configuration: self.microphone.configuration, ..first.microphone },
            subsystem: self.subsystem,
            ..first
        };
    }

    pub(super) fn output(&self) -> &Converter {
        &self.output
    }

    pub(super) fn input(&self) -> &Converter {
        &self.input
    }

    /// What becomes of samples on their way to the line out.
    pub(super) fn output_factors(&self) -> [Factor; 2] {
        let on = self.line_out.control & OUTPUT_ON != 0 && self.external & EXTERNAL_ON != 0;
        self.factors(&self.output, on)
    }

    /// What becomes of samples from the microphone.
    pub(super) fn input_factors(&self) -> [Factor; 2] {
        self.factors(&self.input, self.microphone.control & INPUT_ON != 0)
    }

    fn factors(&self, converter: &Converter, on: bool) -> [Factor; 2] {
        if on && self.power == D0 { converter.amplifier.factors() } else { [Factor::SILENCE; 2] }
    }

    /// Carries out a command; the response. `None` when it is for a codec that is not there.
    pub(super) fn command(&mut self, command: u32) -> Option<u32> {
        if command >> 28 != 0 {
            return None;
        }
        // Bit 27 has no meaning yet; with it there is no such node.
        let response = match Node::at(command >> 20 & 0xff) {
            Some(node) => self.carry_out(node, Verb::decode(command)),
            None => 0,
        };
        Some(response)
    }

    fn carry_out(&mut self, node: Node, verb: Verb) -> u32 {
        match (node, verb) {
            (_, Verb::Parameter(parameter)) => return node.parameter(parameter),
            (_, Verb::ConnectionList(first)) => return node.connection_list(first),
            (Node::Function, verb) => return self.function(verb),
            (Node::Output | Node::Input, verb) => return self.converter(node, verb),
            (Node::LineOut, Verb::ExternalAmplifier) => return self.external.into(),
            (Node::LineOut, Verb::SetExternalAmplifier(value)) => self.external = value & EXTERNAL_ON,
            (Node::LineOut | Node::Microphone, verb) => return self.pin(node, verb),
            (Node::Root, _) => {}
        }
        0
    }

    fn function(&mut self, verb: Verb) -> u32 {
        match verb {
            // As it was set, and as it is.
            Verb::Power => return u32::from(self.power) << 4 | u32::from(self.power),
            // States beyond are not supported, and not entered.
            Verb::SetPower(state) if state & 7 <= D3 => self.power = state & 7,
            Verb::Subsystem => return self.subsystem,
            Verb::SetSubsystem(byte) => self.subsystem = byte.apply(self.subsystem),
            Verb::Reset => self.reset(),
            _ => {}
        }
        0
    }

    fn converter(&mut self, node: Node, verb: Verb) -> u32 {
        let is_output = node == Node::Output;
        let converter = if is_output { &mut self.output } else { &mut self.input };
        match verb {
            Verb::Format => return converter.format.into(),
            Verb::SetFormat(format) => converter.format = format,
            Verb::Stream => return u32::from(converter.tag << 4 | converter.channel),
            Verb::SetStream(value) => (converter.tag, converter.channel) = (value >> 4, value & 0xf),
            Verb::Amplifier(AmplifierSelect { output, left, index: 0 }) if output == is_output => {
                return converter.amplifier.get(left);
            }
            Verb::SetAmplifier(AmplifierChange { output, input, left, right, index: 0, mute, gain })
                if (is_output && output) || (!is_output && input) =>
            {
                converter.amplifier.set(left, right, mute, gain);
            }
            _ => {}
        }
        0
    }

    fn pin(&mut self, node: Node, verb: Verb) -> u32 {
        let (pin, writable) = match node {
            Node::LineOut => (&mut self.line_out, OUTPUT_ON),
            _ => (&mut self.microphone, INPUT_ON | BIAS),
        };
        match verb {
            Verb::PinControl => return pin.control.into(),
            Verb::SetPinControl(control) => pin.control = control & writable,
            Verb::Sense => return PRESENT,
            Verb::Configuration => return pin.configuration,
            Verb::SetConfiguration(byte) => pin.configuration = byte.apply(pin.configuration),
            _ => {}
        }
        0
    }

    /// Could a guest have brought it here?
    pub(super) fn is_possible(&self) -> bool {
        let Self { output, input, line_out, microphone, external, power, subsystem: _ } = self;
        output.is_possible()
            && input.is_possible()
            && line_out.control & !OUTPUT_ON == 0
            && microphone.control & !(INPUT_ON | BIAS) == 0
            && external & !EXTERNAL_ON == 0
            && *power <= D3
    }
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod tests;
