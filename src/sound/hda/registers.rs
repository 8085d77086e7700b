//! The registers of the memory BAR: where they are, how wide, and what their bits mean (High Definition Audio 1.0a §3.3; the ICH9 data
//! sheet for what the specification leaves to the controller).

use bitflags::bitflags;

/// Streams of each direction.
pub(super) const INPUTS: usize = 4;
/// All of them: inputs, then outputs.
pub(super) const STREAMS: usize = 8;

/// Registers of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// GCAP.
    Capabilities,
    /// VMIN.
    MinorVersion,
    /// VMAJ.
    MajorVersion,
    /// OUTPAY.
    OutputPayload,
    /// INPAY.
    InputPayload,
    /// GCTL.
    Control,
    /// WAKEEN.
    WakeEnable,
    /// STATESTS.
    StateChange,
    /// GSTS.
    Status,
    /// OUTSTRMPAY.
    OutputStreamPayload,
    /// INSTRMPAY.
    InputStreamPayload,
    /// INTCTL.
    InterruptControl,
    /// INTSTS.
    InterruptStatus,
    /// WALCLK.
    WallClock,
    /// SSYNC.
    StreamSynchronization,
    /// CORBLBASE.
    CommandRing,
    /// CORBUBASE.
    CommandRingUpper,
    /// CORBWP.
    CommandWrite,
    /// CORBRP.
    CommandRead,
    /// CORBCTL.
    CommandControl,
    /// CORBSTS.
    CommandStatus,
    /// CORBSIZE.
    CommandSize,
    /// RIRBLBASE.
    ResponseRing,
    /// RIRBUBASE.
    ResponseRingUpper,
    /// RIRBWP.
    ResponseWrite,
    /// RINTCNT.
    ResponseCount,
    /// RIRBCTL.
    ResponseControl,
    /// RIRBSTS.
    ResponseStatus,
    /// RIRBSIZE.
    ResponseSize,
    /// ICOI.
    ImmediateCommand,
    /// ICII.
    ImmediateResponse,
    /// ICIS.
    ImmediateStatus,
    /// DPLBASE.
    PositionBuffer,
    /// DPUBASE.
    PositionBufferUpper,
}

/// Registers of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Descriptor {
    /// SDnCTL.
    Control,
    /// SDnSTS.
    Status,
    /// SDnLPIB.
    Position,
    /// SDnCBL.
    BufferLength,
    /// SDnLVI.
    LastIndex,
    /// SDnFIFOS.
    FifoSize,
    /// SDnFMT.
    Format,
    /// SDnBDPL.
    List,
    /// SDnBDPU.
    ListUpper,
}

/// Whose register it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Global(Global),
    Stream(usize, Descriptor),
    /// Reads as zero.
    Reserved,
}

/// Offset, bytes, register.
const GLOBALS: &[(u64, u64, Global)] = &[
    (0x00, 2, Global::Capabilities),
    (0x02, 1, Global::MinorVersion),
    (0x03, 1, Global::MajorVersion),
    (0x04, 2, Global::OutputPayload),
    (0x06, 2, Global::InputPayload),
    (0x08, 4, Global::Control),
    (0x0c, 2, Global::WakeEnable),
    (0x0e, 2, Global::StateChange),
    (0x10, 2, Global::Status),
    (0x18, 2, Global::OutputStreamPayload),
    (0x1a, 2, Global::InputStreamPayload),
    (0x20, 4, Global::InterruptControl),
    (0x24, 4, Global::InterruptStatus),
    (0x30, 4, Global::WallClock),
    // ICH9 has it here, the specification at 38h; drivers for one do not touch the other's.
    (0x34, 4, Global::StreamSynchronization),
    (0x38, 4, Global::StreamSynchronization),
    (0x40, 4, Global::CommandRing),
    (0x44, 4, Global::CommandRingUpper),
    (0x48, 2, Global::CommandWrite),
    (0x4a, 2, Global::CommandRead),
    (0x4c, 1, Global::CommandControl),
    (0x4d, 1, Global::CommandStatus),
    (0x4e, 1, Global::CommandSize),
    (0x50, 4, Global::ResponseRing),
    (0x54, 4, Global::ResponseRingUpper),
    (0x58, 2, Global::ResponseWrite),
    (0x5a, 2, Global::ResponseCount),
    (0x5c, 1, Global::ResponseControl),
    (0x5d, 1, Global::ResponseStatus),
    (0x5e, 1, Global::ResponseSize),
    (0x60, 4, Global::ImmediateCommand),
    (0x64, 4, Global::ImmediateResponse),
    (0x68, 2, Global::ImmediateStatus),
    (0x70, 4, Global::PositionBuffer),
    (0x74, 4, Global::PositionBufferUpper),
];

const DESCRIPTORS: &[(u64, u64, Descriptor)] = &[
    (0x00, 3, Descriptor::Control),
    (0x03, 1, Descriptor::Status),
    (0x04, 4, Descriptor::Position),
    (0x08, 4, Descriptor::BufferLength),
    (0x0c, 2, Descriptor::LastIndex),
    (0x10, 2, Descriptor::FifoSize),
    (0x12, 2, Descriptor::Format),
    (0x18, 4, Descriptor::List),
    (0x1c, 4, Descriptor::ListUpper),
];

const STREAMS_AT: u64 = 0x80;
const STREAM_SIZE: u64 = 0x20;
/// A page of its own that shows the wall clock and positions again, for programs to map (§3.3.42 and on).
const ALIASES_AT: u64 = 0x2000;

/// A byte of the BAR: whose it is, which byte of the register, and how many bytes the register has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) register: Register,
    pub(super) byte: u64,
    pub(super) bytes: u64,
}

impl Place {
    /// What stands at `offset`.
    pub(super) fn decode(offset: u64) -> Self {
        let Some(alias) = offset.checked_sub(ALIASES_AT) else { return Self::own(offset) };
        match Self::own(alias) {
            shown @ Self {
                register: Register::Global(Global::WallClock) | Register::Stream(_, Descriptor::Position),
                ..
            } => shown,
            other => Self { register: Register::Reserved, ..other },
        }
    }

    fn own(offset: u64) -> Self {
        let reserved = Self { register: Register::Reserved, byte: 0, bytes: 1 };
        let Some(beyond) = offset.checked_sub(STREAMS_AT) else {
            let found = GLOBALS.iter().find(|&&(at, bytes, _)| (at..at + bytes).contains(&offset));
            return found.map_or(reserved, |&(at, bytes, register)| Self {
                register: Register::Global(register),
                byte: offset - at,
                bytes,
            });
        };
        let (stream, within) = (beyond / STREAM_SIZE, beyond % STREAM_SIZE);
        let found = DESCRIPTORS.iter().find(|&&(at, bytes, _)| (at..at + bytes).contains(&within));
        found.filter(|_| stream < STREAMS as u64).map_or(reserved, |&(at, bytes, register)| Self {
            register: Register::Stream(stream as usize, register),
            byte: within - at,
            bytes,
        })
    }
}

/// What a write changes: the bits that it covers, and their values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) value: u32,
    pub(super) mask: u32,
}

impl Write {
    /// `old` with the bits that were written, of those in `writable`.
    pub(super) fn over(self, old: u32, writable: u32) -> u32 {
        let mask = self.mask & writable;
        old & !mask | self.value & mask
    }

    /// The ones that were written.
    pub(super) fn ones(self) -> u32 {
        self.value & self.mask
    }

    /// A new lower half of an address.
    pub(super) fn low(self, old: u64, writable: u32) -> u64 {
        old & !0xffff_ffff | u64::from(self.over(old as u32, writable))
    }

    /// A new upper half.
    pub(super) fn high(self, old: u64) -> u64 {
        old & 0xffff_ffff | u64::from(self.over((old >> 32) as u32, u32::MAX)) << 32
    }
}

/// GCAP: 64 bit addresses, one output line, no bidirectional streams.
pub(super) const CAPABILITIES: u32 = ((STREAMS - INPUTS) as u32) << 12 | (INPUTS as u32) << 8 | 1;
/// Version 1.0.
pub(super) const MAJOR_VERSION: u32 = 1;
/// Words that the link has room for in a frame.
pub(super) const OUTPUT_PAYLOAD: u32 = 0x3c;
pub(super) const INPUT_PAYLOAD: u32 = 0x1d;
/// Of these, words that a stream may take.
pub(super) const OUTPUT_STREAM_PAYLOAD: u32 = 0x30;
pub(super) const INPUT_STREAM_PAYLOAD: u32 = 0x18;
/// What can be written of addresses: rings, lists and the position buffer stand at multiples of 128.
pub(super) const ALIGNED: u32 = !0x7f;
/// The wall clock's frequency.
pub(super) const WALL_HERTZ: u64 = 24_000_000;
/// GSTS: a flush is done.
pub(super) const FLUSHED: u32 = 1 << 1;
/// DPLBASE: positions are written to memory.
pub(super) const POSITIONS_ON: u64 = 1 << 0;
/// INTCTL and INTSTS: everything, the controller, the streams.
pub(super) const GLOBAL: u32 = 1 << 31;
pub(super) const CONTROLLER: u32 = 1 << 30;
pub(super) const ALL_STREAMS: u32 = (1 << STREAMS) - 1;
/// WAKEEN and STATESTS have a bit for each codec there might be.
pub(super) const CODECS: u32 = 0x7fff;

bitflags! {
    /// GCTL, global control (§3.3.7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Control: u32 {
        /// Out of reset.
        const RUNS = 1 << 0;
        /// Flush what is on its way into memory.
        const FLUSH = 1 << 1;
        /// Take responses that no command asked for.
        const UNSOLICITED = 1 << 8;
    }

    /// SDnCTL, a stream's control (§3.3.35).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct StreamControl: u32 {
        /// In reset.
        const RESET = 1 << 0;
        /// Move data.
        const RUN = 1 << 1;
        /// Interrupt for completed buffers.
        const COMPLETION_INTERRUPT = 1 << 2;
        /// Interrupt for FIFO errors.
        const FIFO_INTERRUPT = 1 << 3;
        /// Interrupt for descriptor errors.
        const DESCRIPTOR_INTERRUPT = 1 << 4;
        /// Lines to stripe over; there is one, so nothing follows from it.
        const STRIPE = 3 << 16;
        /// Traffic priority; nothing follows from it.
        const PRIORITY = 1 << 18;
        /// The stream's number on the link.
        const TAG = 0xf << 20;
        /// What the guest may set beside [`Self::RESET`].
        const WRITABLE = Self::RUN.bits() | Self::COMPLETION_INTERRUPT.bits() | Self::FIFO_INTERRUPT.bits()
            | Self::DESCRIPTOR_INTERRUPT.bits() | Self::STRIPE.bits() | Self::PRIORITY.bits() | Self::TAG.bits();
    }

    /// SDnSTS, a stream's status (§3.3.36). The bits that interrupt stand where those that enable them stand in [`StreamControl`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct StreamStatus: u32 {
        /// A buffer that wants to be told of was completed.
        const COMPLETED = 1 << 2;
        /// The FIFO ran over or dry.
        const FIFO_ERROR = 1 << 3;
        /// A descriptor or its buffer could not be reached; the stream stopped.
        const DESCRIPTOR_ERROR = 1 << 4;
        /// The FIFO is filled (or, of an input, has room).
        const FIFO_READY = 1 << 5;
        /// What interrupts, and what ones clear.
        const EVENTS = Self::COMPLETED.bits() | Self::FIFO_ERROR.bits() | Self::DESCRIPTOR_ERROR.bits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_register() {
        let mut offset = 0;
        while offset < 0x4000 {
            let place = Place::decode(offset);
            assert_eq!(place.byte, 0, "{offset:#x}");
            for byte in 0..place.bytes {
                assert_eq!(Place::decode(offset + byte), Place { byte, ..place });
            }
            offset += place.bytes;
        }
    }

    #[test]
    fn streams_and_aliases() {
        let register = |offset| Place::decode(offset).register;
        assert_eq!(register(0x82), Register::Stream(0, Descriptor::Control));
        assert_eq!(register(0x83), Register::Stream(0, Descriptor::Status));
        assert_eq!(register(0x164), Register::Stream(7, Descriptor::Position));
        assert_eq!(register(0x180), Register::Reserved);
        assert_eq!(register(0x2164), Register::Stream(7, Descriptor::Position));
        assert_eq!(register(0x2030), Register::Global(Global::WallClock));
        assert_eq!(register(0x2008), Register::Reserved);
    }
}
