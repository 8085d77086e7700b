//! What a command asks a codec's node to do (High Definition Audio 1.0a §7.3.1, §7.3.3).

/// A verb with its payload. Verbs that nothing here has a use for are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Parameter(u8),
    ConnectionList(u8),
    Format,
    SetFormat(u16),
    Amplifier(AmplifierSelect),
    SetAmplifier(AmplifierChange),
    Stream,
    SetStream(u8),
    Power,
    SetPower(u8),
    PinControl,
    SetPinControl(u8),
    Sense,
    ExternalAmplifier,
    SetExternalAmplifier(u8),
    Configuration,
    SetConfiguration(SetByte),
    Subsystem,
    SetSubsystem(SetByte),
    Reset,
    /// Is answered by zero, as codecs do.
    Other,
}

/// Which amplifier and which side of it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AmplifierSelect {
    pub(super) output: bool,
    pub(super) left: bool,
    pub(super) index: u8,
}

/// What is set of which amplifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AmplifierChange {
    pub(super) output: bool,
    pub(super) input: bool,
    pub(super) left: bool,
    pub(super) right: bool,
    pub(super) index: u8,
    pub(super) mute: bool,
    pub(super) gain: u8,
}

/// A byte of a 32 bit register that is set by four verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetByte {
    byte: u32,
    value: u8,
}

impl SetByte {
    pub(super) fn apply(self, register: u32) -> u32 {
        let shift = 8 * self.byte;
        register & !(0xff << shift) | u32::from(self.value) << shift
    }
}

impl Verb {
    /// The lowest 20 bits of a command: four bits of verb and sixteen of payload, or twelve and eight.
    pub(super) fn decode(command: u32) -> Self {
        let (word, byte) = (command as u16, command as u8);
        let bit = |bit: u32| command >> bit & 1 != 0;
        match command >> 16 & 0xf {
            0x2 => Self::SetFormat(word),
            0x3 => Self::SetAmplifier(AmplifierChange {
                output: bit(15),
                input: bit(14),
                left: bit(13),
                right: bit(12),
                index: (word >> 8 & 0xf) as u8,
                mute: bit(7),
                gain: byte & 0x7f,
            }),
            0xa => Self::Format,
            0xb => Self::Amplifier(AmplifierSelect { output: bit(15), left: bit(13), index: byte & 0xf }),
            0x7 | 0xf => Self::long(command >> 8 & 0xfff, byte),
            _ => Self::Other,
        }
    }

    fn long(verb: u32, payload: u8) -> Self {
        let set = |first| SetByte { byte: verb - first, value: payload };
        match verb {
            0x705 => Self::SetPower(payload),
            0x706 => Self::SetStream(payload),
            0x707 => Self::SetPinControl(payload),
            0x70c => Self::SetExternalAmplifier(payload),
            0x71c..=0x71f => Self::SetConfiguration(set(0x71c)),
            0x720..=0x723 => Self::SetSubsystem(set(0x720)),
            0x7ff => Self::Reset,
            0xf00 => Self::Parameter(payload),
            0xf02 => Self::ConnectionList(payload),
            0xf05 => Self::Power,
            0xf06 => Self::Stream,
            0xf07 => Self::PinControl,
            0xf09 => Self::Sense,
            0xf0c => Self::ExternalAmplifier,
            0xf1c => Self::Configuration,
            0xf20 => Self::Subsystem,
            _ => Self::Other,
        }
    }
}
