//! The codec's nodes and what they say of themselves (High Definition Audio 1.0a §7.3.4).
//!
//! ```text
//! 0 root ── 1 audio function ─┬─ 2 converter with an amplifier ──▶ 3 line out, a green jack at the back
//!                             └─ 4 converter with an amplifier ◀── 5 microphone, a pink jack at the back
//! ```

use super::super::format::RATES;
use super::amplifier;

/// A node. Its number is its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Root = 0,
    Function = 1,
    Output = 2,
    LineOut = 3,
    Input = 4,
    Microphone = 5,
}

/// Makers know codecs by this; drivers of the class do not look at it.
const VENDOR: u32 = 0x1af4_0d01;
const REVISION: u32 = 0x0010_0100;
/// What the function has until firmware gives it another.
pub(super) const SUBSYSTEM: u32 = 0x1af4_1100;
/// The jacks as firmware would describe them: where, what, 3.5 mm, colour, always reckoned to be in use, groups 1 and 2.
pub(super) const LINE_OUT: u32 = 0x0101_4110;
pub(super) const MICROPHONE: u32 = 0x01a1_9120;

/// Of widgets (§7.3.4.6).
const STEREO: u32 = 1 << 0;
const INPUT_AMPLIFIER: u32 = 1 << 1;
const OUTPUT_AMPLIFIER: u32 = 1 << 2;
const OWN_AMPLIFIER: u32 = 1 << 3;
const OWN_FORMAT: u32 = 1 << 4;
const CONNECTED: u32 = 1 << 8;
const INPUT_WIDGET: u32 = 1 << 20;
const PIN_WIDGET: u32 = 4 << 20;
/// Of pins (§7.3.4.9): directions, bias voltages (none, half, four fifths), switch of an amplifier outside.
const OUTPUT_PIN: u32 = 1 << 4;
const INPUT_PIN: u32 = 1 << 5;
const BIAS: u32 = 0x13 << 8;
const EXTERNAL_AMPLIFIER: u32 = 1 << 16;
/// Every rate, in 16, 20, 24 and 32 bits; PCM and nothing else.
const PCM: u32 = ((1 << RATES.len()) - 1) | 0x1e << 16;
const PCM_ONLY: u32 = 1;
/// D0 to D3.
const POWER_STATES: u32 = 0xf;

impl Node {
    /// The node at an address.
    pub(super) fn at(address: u32) -> Option<Self> {
        Some(match address {
            0 => Self::Root,
            1 => Self::Function,
            2 => Self::Output,
            3 => Self::LineOut,
            4 => Self::Input,
            5 => Self::Microphone,
            _ => return None,
        })
    }

    /// A parameter; those that a node does not have are zero.
    pub(super) fn parameter(self, parameter: u8) -> u32 {
        match (self, parameter) {
            (Self::Root, 0x00) => VENDOR,
            (Self::Root, 0x02) => REVISION,
            (Self::Root, 0x04) => Self::range(Self::Function, 1),
            (Self::Function, 0x04) => Self::range(Self::Output, 4),
            // An audio function, which says nothing unasked.
            (Self::Function, 0x05) => 1,
            (Self::Function, 0x0f) => POWER_STATES,
            (Self::Function | Self::Output | Self::Input, 0x0a) => PCM,
            (Self::Function | Self::Output | Self::Input, 0x0b) => PCM_ONLY,
            (Self::Output, 0x09) => OUTPUT_AMPLIFIER | OWN_AMPLIFIER | OWN_FORMAT | STEREO,
            (Self::Output, 0x12) | (Self::Input, 0x0d) => amplifier::CAPABILITIES,
            (Self::LineOut, 0x09) => PIN_WIDGET | CONNECTED | STEREO,
            (Self::LineOut, 0x0c) => OUTPUT_PIN | EXTERNAL_AMPLIFIER,
            (Self::Input, 0x09) => INPUT_WIDGET | CONNECTED | INPUT_AMPLIFIER | OWN_AMPLIFIER | OWN_FORMAT | STEREO,
            (Self::Microphone, 0x09) => PIN_WIDGET | STEREO,
            (Self::Microphone, 0x0c) => INPUT_PIN | BIAS,
            (_, 0x0e) => self.connections().len() as u32,
            _ => 0,
        }
    }

    /// Nodes below a node.
    fn range(first: Self, count: u32) -> u32 {
        (first as u32) << 16 | count
    }

    /// Where its samples come from.
    fn connections(self) -> &'static [Self] {
        match self {
            Self::LineOut => &[Self::Output],
            Self::Input => &[Self::Microphone],
            _ => &[],
        }
    }

    /// Four entries of the list of connections, from `first`.
    pub(super) fn connection_list(self, first: u8) -> u32 {
        let entries = self.connections().iter().skip(first.into()).take(4);
        entries.enumerate().fold(0, |list, (i, node)| list | (*node as u32) << (8 * i))
    }
}
