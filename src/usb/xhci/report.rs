//! Transfer descriptors: what a driver asks for in one (xHCI 1.2 §3.2.9 to §3.2.11, §4.11.2), and what it is told (§4.10.1, §4.11.5.2).

use device::Dma;

use super::trb::{Broken, Code, EventKind, Ring, Trb, TrbKind};
use crate::memory::Piece;
use crate::{Completion, Fault, Setup};

/// Most TRBs of one TD: with one page each, 16 MiB.
pub(super) const TD_TRBS: usize = 4096;

/// A transfer's TRBs. A control transfer's three stages, which are TDs of their own, are together here.
#[derive(Clone, Debug)]
pub(super) struct Td {
    trbs: Vec<(u64, Trb)>,
    /// The ring before it.
    pub(super) start: Ring,
}

/// What a TD asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing: no operation, or events alone.
    Nothing,
    /// A control transfer.
    Request(Setup),
    /// Data, or an empty packet.
    Data,
    /// What makes no sense on this endpoint.
    Nonsense,
}

/// An event that comes of a TD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) interrupter: usize,
    pub(super) event: Trb,
    /// Is it to interrupt?
    pub(super) interrupts: bool,
}

/// Which TDs are right on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Control,
    Plain,
    Isochronous,
}

impl Td {
    /// The next TD of `ring`, which is then behind it; `None` while the driver has not handed over all of it.
    pub(super) fn take(ring: &mut Ring, shape: Shape, dma: &Dma, looked: &mut usize) -> Result<Option<Self>, Broken> {
        let (start, mut at) = (*ring, *ring);
        let mut trbs: Vec<(u64, Trb)> = Vec::new();
        let mut had_status = false;
        loop {
            if trbs.len() == TD_TRBS {
                return Err(Broken::Senseless);
            }
            let Some((address, trb)) = at.next(dma, looked)? else { return Ok(None) };
            trbs.push((address, trb));
            had_status |= trb.kind() == TrbKind::Status;
            let is_request = shape == Shape::Control && trbs[0].1.kind() == TrbKind::Setup;
            let again = is_request && trbs.len() > 1 && trb.kind() == TrbKind::Setup;
            if again || !trb.is_chained() && (had_status || !is_request) {
                *ring = at;
                return Ok(Some(Self { trbs, start }));
            }
        }
    }

    /// What it asks for, on an endpoint for TDs of this shape.
    pub(super) fn asks(&self, shape: Shape) -> Asks {
        let kinds = || self.trbs.iter().map(|(_, trb)| trb.kind());
        let Some(&(_, first)) = self.trbs.first() else { return Asks::Nonsense };
        if kinds().all(|kind| matches!(kind, TrbKind::NoOp | TrbKind::EventData)) {
            return Asks::Nothing;
        }
        match shape {
            Shape::Control => {
                let is_setup = first.kind() == TrbKind::Setup && first.status & 0x1_ffff == 8;
                // Setup, data as often as it goes on, status, and events of all of them.
                let stages = kinds().filter(|kind| *kind != TrbKind::EventData).map(|kind| match kind {
                    TrbKind::Setup => 0,
                    TrbKind::Data => 1,
                    TrbKind::Normal => 2,
                    TrbKind::Status => 3,
                    _ => 4,
                });
                let mut stage = None;
                for next in stages {
                    let follows =
                        matches!((stage, next), (None, 0) | (Some(0), 1) | (Some(1 | 2), 2) | (Some(0..=2), 3));
                    if !follows {
                        return Asks::Nonsense;
                    }
                    stage = Some(next);
                }
                match is_setup && stage == Some(3) {
                    true => Asks::Request(Setup::of_bytes(first.parameter.to_le_bytes())),
                    false => Asks::Nonsense,
                }
            }
            Shape::Plain => {
                match kinds().all(|kind| matches!(kind, TrbKind::Normal | TrbKind::EventData | TrbKind::NoOp)) {
                    true => Asks::Data,
                    false => Asks::Nonsense,
                }
            }
            Shape::Isochronous => {
                let goes_on = kinds().skip(1).all(|kind| matches!(kind, TrbKind::Normal | TrbKind::EventData));
                if first.kind() == TrbKind::Isoch && goes_on { Asks::Data } else { Asks::Nonsense }
            }
        }
    }

    /// How many TRBs it is of.
    pub(super) fn trbs(&self) -> usize {
        self.trbs.len()
    }

    /// Bytes of its buffers.
    pub(super) fn length(&self) -> u64 {
        self.trbs.iter().filter(|(_, trb)| trb.moves_data()).map(|(_, trb)| u64::from(trb.length())).sum()
    }

    /// Its buffers. Data that stands in the place of the address is memory too.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let buffers = self.trbs.iter().filter(|(_, trb)| trb.moves_data());
        let piece = |&(at, trb): &(u64, Trb)| Piece {
            at: if trb.is_immediate() { at } else { trb.parameter },
            length: trb.length(),
        };
        buffers.map(piece).filter(|piece| piece.length > 0).collect()
    }

    /// What the driver hears when it is done.
    pub(super) fn reports(&self, completion: Completion) -> Vec<Report> {
        let mut reports = Vec::new();
        let fault = completion.fault.map(|fault| (self.place_of(completion.length), code_of(fault)));
        let (mut left, mut moved) = (completion.length, 0u32);
        let (mut is_short, mut is_told) = (false, false);
        for (number, &(at, trb)) in self.trbs.iter().enumerate() {
            let mut residue = 0;
            match trb.kind() {
                TrbKind::Status => (is_short, is_told, moved) = (false, false, 0),
                _ if trb.moves_data() => {
                    let length = trb.length();
                    let here = u64::from(length).min(left) as u32;
                    left -= u64::from(here);
                    moved = moved.wrapping_add(here);
                    residue = length - here;
                    is_short |= residue > 0;
                }
                _ => {}
            }
            if let Some((_, code)) = fault.filter(|(place, _)| *place == number) {
                reports.push(Report::new(trb, Trb::event(EventKind::Transfer, code, at, residue)));
                break;
            }
            let code = if is_short { Code::ShortPacket } else { Code::Success };
            if trb.kind() == TrbKind::EventData {
                if trb.interrupts() {
                    let mut event = Trb::event(EventKind::Transfer, code, trb.parameter, std::mem::take(&mut moved));
                    event.control |= EVENT_DATA;
                    reports.push(Report::new(trb, event));
                }
            } else if !is_told && (trb.interrupts() || is_short && trb.interrupts_if_short()) {
                reports.push(Report::new(trb, Trb::event(EventKind::Transfer, code, at, residue)));
                is_told = is_short;
            }
        }
        reports
    }

    /// That it was stopped before anything was moved, or makes no sense.
    pub(super) fn cut_short(&self, code: Code) -> Option<Report> {
        let &(at, trb) = self.trbs.first()?;
        let residue = if trb.moves_data() { trb.length() } else { 0 };
        Some(Report::new(trb, Trb::event(EventKind::Transfer, code, at, residue)))
    }

    /// Which TRB it was where something went wrong behind `moved` bytes.
    fn place_of(&self, moved: u64) -> usize {
        let mut end = 0;
        let mut last = 0;
        for (number, (_, trb)) in self.trbs.iter().enumerate() {
            if trb.moves_data() {
                end += u64::from(trb.length());
                if moved < end {
                    return number;
                }
                last = number;
            }
            if trb.kind() == TrbKind::Status {
                return number;
            }
        }
        last
    }
}

/// ED: the parameter is the driver's own word.
const EVENT_DATA: u32 = 1 << 2;

impl Report {
    fn new(trb: Trb, event: Trb) -> Self {
        Self { interrupter: trb.interrupter(), event, interrupts: !trb.blocks_interrupt() }
    }
}

fn code_of(fault: Fault) -> Code {
    match fault {
        Fault::Stall => Code::Stall,
        Fault::Babble => Code::Babble,
        Fault::Transaction => Code::Transaction,
        Fault::Missed => Code::Missed,
    }
}

#[cfg(test)]
#[path = "report_test.rs"]
mod tests;
