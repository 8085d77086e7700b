//! Transfer request blocks: the sixteen bytes in which driver and controller talk (xHCI 1.2 §4.11, §6.4), and rings of them.

use std::sync::atomic::{Ordering, fence};

use device::{Dma, DmaError};
use serde::{Deserialize, Serialize};

/// Bytes of a TRB.
pub(super) const TRB: u64 = 16;
/// Links that lead to links: no driver has more than one, a ring of nothing else has no end.
const LINKS: usize = 8;

/// What a TRB is (§6.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrbKind {
    Normal,
    Setup,
    Data,
    Status,
    Isoch,
    Link,
    EventData,
    NoOp,
    EnableSlot,
    DisableSlot,
    AddressDevice,
    ConfigureEndpoint,
    EvaluateContext,
    ResetEndpoint,
    StopEndpoint,
    SetDequeue,
    ResetDevice,
    GetPortBandwidth,
    NoOpCommand,
    /// Not known, or not done here.
    Other,
}

/// Why something ended as it did (§6.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    Success = 1,
    Babble = 3,
    Transaction = 4,
    TrbError = 5,
    Stall = 6,
    NoSlots = 9,
    InvalidStreamType = 10,
    SlotNotEnabled = 11,
    EndpointNotEnabled = 12,
    ShortPacket = 13,
    RingUnderrun = 14,
    RingOverrun = 15,
    Parameter = 17,
    ContextState = 19,
    EventRingFull = 21,
    Missed = 23,
    CommandRingStopped = 24,
    Stopped = 26,
    InvalidStream = 34,
}

/// What an event tells (§6.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EventKind {
    Transfer = 32,
    CommandCompletion = 33,
    PortStatusChange = 34,
    HostController = 37,
    FrameIndexWrap = 39,
}

/// One of them, as its three words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trb {
    pub(super) parameter: u64,
    pub(super) status: u32,
    pub(super) control: u32,
}

const CYCLE: u32 = 1;
const TOGGLE_CYCLE: u32 = 1 << 1;
const SHORT_INTERRUPTS: u32 = 1 << 2;
const CHAIN: u32 = 1 << 4;
const INTERRUPTS: u32 = 1 << 5;
const IMMEDIATE: u32 = 1 << 6;
const BLOCKS_INTERRUPT: u32 = 1 << 9;

impl Trb {
    /// An event. Where it goes decides its cycle bit.
    pub(super) fn event(kind: EventKind, code: Code, parameter: u64, rest: u32) -> Self {
        Self { parameter, status: rest & 0xff_ffff | (code as u32) << 24, control: u32::from(kind as u8) << 10 }
    }

    pub(super) fn kind(self) -> TrbKind {
        match self.control >> 10 & 0x3f {
            1 => TrbKind::Normal,
            2 => TrbKind::Setup,
            3 => TrbKind::Data,
            4 => TrbKind::Status,
            5 => TrbKind::Isoch,
            6 => TrbKind::Link,
            7 => TrbKind::EventData,
            8 => TrbKind::NoOp,
            9 => TrbKind::EnableSlot,
            10 => TrbKind::DisableSlot,
            11 => TrbKind::AddressDevice,
            12 => TrbKind::ConfigureEndpoint,
            13 => TrbKind::EvaluateContext,
            14 => TrbKind::ResetEndpoint,
            15 => TrbKind::StopEndpoint,
            16 => TrbKind::SetDequeue,
            17 => TrbKind::ResetDevice,
            21 => TrbKind::GetPortBandwidth,
            23 => TrbKind::NoOpCommand,
            _ => TrbKind::Other,
        }
    }

    /// Does it move data?
    pub(super) fn moves_data(self) -> bool {
        matches!(self.kind(), TrbKind::Normal | TrbKind::Data | TrbKind::Isoch)
    }

    /// Bytes of its buffer; of data in place of the address there can only be eight.
    pub(super) fn length(self) -> u32 {
        let length = self.status & 0x1_ffff;
        if self.is_immediate() { length.min(8) } else { length.min(0x1_0000) }
    }

    /// Which interrupter hears of it.
    pub(super) fn interrupter(self) -> usize {
        (self.status >> 22) as usize
    }

    /// CH.
    pub(super) fn is_chained(self) -> bool {
        self.control & CHAIN != 0
    }

    /// IOC.
    pub(super) fn interrupts(self) -> bool {
        self.control & INTERRUPTS != 0
    }

    /// ISP.
    pub(super) fn interrupts_if_short(self) -> bool {
        self.control & SHORT_INTERRUPTS != 0
    }

    /// BEI.
    pub(super) fn blocks_interrupt(self) -> bool {
        self.control & BLOCKS_INTERRUPT != 0 && self.kind() != TrbKind::Status
    }

    /// IDT.
    pub(super) fn is_immediate(self) -> bool {
        self.control & IMMEDIATE != 0
    }

    /// The slot that a command is for.
    pub(super) fn slot(self) -> u8 {
        (self.control >> 24) as u8
    }

    /// The endpoint that a command is for, as its context's number.
    pub(super) fn endpoint(self) -> u8 {
        (self.control >> 16 & 0x1f) as u8
    }

    /// Puts an event where the driver reads it; the word that hands it over comes last.
    pub(super) fn put(self, cycle: bool, at: u64, dma: &Dma) -> Result<(), DmaError> {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.parameter.to_le_bytes());
        bytes[8..].copy_from_slice(&self.status.to_le_bytes());
        dma.write(at, &bytes)?;
        fence(Ordering::Release);
        dma.write(at.wrapping_add(12), &(self.control & !CYCLE | u32::from(cycle)).to_le_bytes())
    }

    /// What stands at `at`, if its cycle bit is `cycle`. The word that hands it over is read first.
    fn get(cycle: bool, at: u64, dma: &Dma) -> Result<Option<Self>, DmaError> {
        let control = dma.read_u32(at.wrapping_add(12))?;
        if (control & CYCLE != 0) != cycle {
            return Ok(None);
        }
        fence(Ordering::Acquire);
        let mut parameter = [0; 8];
        dma.read(at, &mut parameter)?;
        let status = dma.read_u32(at.wrapping_add(8))?;
        Ok(Some(Self { parameter: u64::from_le_bytes(parameter), status, control }))
    }
}

/// Why a ring cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It leads out of RAM.
    NotRam,
    /// It makes no sense.
    Senseless,
}

impl From<DmaError> for Broken {
    fn from(_: DmaError) -> Self {
        Self::NotRam
    }
}

/// Where the controller stands on a ring that the driver fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ring {
    pub(super) at: u64,
    pub(super) cycle: bool,
}

impl Ring {
    /// From a pointer with the cycle state in its lowest bit.
    pub(super) fn of_pointer(pointer: u64) -> Self {
        Self { at: pointer & !0xf, cycle: pointer & 1 != 0 }
    }

    /// The pointer with the cycle state in its lowest bit.
    pub(super) fn pointer(self) -> u64 {
        self.at | u64::from(self.cycle)
    }

    pub(super) fn is_possible(self) -> bool {
        self.at & 0xf == 0
    }

    /// The next TRB that was handed over, with its address, links followed; `looked` counts what was looked at.
    pub(super) fn next(&mut self, dma: &Dma, looked: &mut usize) -> Result<Option<(u64, Trb)>, Broken> {
        let mut here = *self;
        for _ in 0..LINKS {
            *looked += 1;
            let Some(trb) = Trb::get(here.cycle, here.at, dma)? else { return Ok(None) };
            if trb.kind() == TrbKind::Link {
                here.at = trb.parameter & !0xf;
                here.cycle ^= trb.control & TOGGLE_CYCLE != 0;
                continue;
            }
            let at = here.at;
            here.at = at.wrapping_add(TRB);
            *self = here;
            return Ok(Some((at, trb)));
        }
        Err(Broken::Senseless)
    }
}
