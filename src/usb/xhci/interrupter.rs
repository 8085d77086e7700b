//! Interrupters: event rings and when they interrupt (xHCI 1.2 §4.9.4, §4.17, §5.5.2).
//!
//! Events that find their ring full wait here. While any does, no new work is begun, so they are no more than what was in flight.

use std::collections::VecDeque;
use std::time::Duration;

use device::{Dma, VmTime};
use serde::{Deserialize, Serialize};

use super::registers::{Half, InterrupterRegister, SEGMENTS};
use super::trb::{Broken, Code, EventKind, TRB, Trb};

/// Most events that wait: more than can be in flight. What comes beyond is lost.
const WAITING: usize = 0x8000;
/// IP and IE.
const PENDING: u32 = 1;
const ENABLED: u32 = 2;
/// EHB.
const BUSY: u64 = 1 << 3;
/// DESI and EHB.
const DEQUEUE_FLAGS: u64 = 0xf;
/// The unit of IMODI.
const INTERVAL: Duration = Duration::from_nanos(250);
/// IMODI after a reset: 1 ms.
const USUAL_INTERVAL: u32 = 4000;
/// Bytes of an entry in the segment table.
const ENTRY: u64 = 16;

/// Where the controller stands on the event ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    segment: u16,
    index: u16,
    cycle: bool,
}

const START: Place = Place { segment: 0, index: 0, cycle: true };

/// An interrupter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Interrupter {
    management: u32,
    moderation: u32,
    segments: u16,
    table: u64,
    dequeue: u64,
    place: Place,
    /// The driver was told that the ring is full.
    told_full: bool,
    waiting: VecDeque<(Trb, bool)>,
    /// IPE: something was told that is to interrupt.
    has_news: bool,
    /// No interrupt before this.
    quiet_until: VmTime,
}

impl Default for Interrupter {
    fn default() -> Self {
        Self {
            management: 0,
            moderation: USUAL_INTERVAL,
            segments: 0,
            table: 0,
            dequeue: 0,
            place: START,
            told_full: false,
            waiting: VecDeque::new(),
            has_news: false,
            quiet_until: VmTime(0),
        }
    }
}

impl Interrupter {
    pub(super) fn is_possible(&self, now: VmTime) -> bool {
        let Self {
            management,
            moderation: _,
            segments,
            table,
            dequeue: _,
            place,
            told_full: _,
            waiting,
            has_news: _,
            quiet_until,
        } = self;
        management & !(PENDING | ENABLED) == 0
            && *segments <= SEGMENTS
            && table & 0x3f == 0
            && place.segment < SEGMENTS
            && waiting.len() <= WAITING
            && *quiet_until <= now + INTERVAL * 0xffff
    }

    pub(super) fn read(&self, register: InterrupterRegister) -> u32 {
        match register {
            InterrupterRegister::Management => self.management,
            InterrupterRegister::Moderation => self.moderation,
            InterrupterRegister::Segments => self.segments.into(),
            InterrupterRegister::Table(half) => half.of(self.table),
            InterrupterRegister::Dequeue(half) => half.of(self.dequeue),
        }
    }

    /// A write; the events that wait are to be told after it.
    pub(super) fn write(&mut self, register: InterrupterRegister, value: u32) {
        match register {
            InterrupterRegister::Management => {
                let pending = self.management & PENDING & !value;
                self.management = pending | value & ENABLED;
            }
            InterrupterRegister::Moderation => {
                self.moderation = value;
                self.quiet_until = VmTime(0);
            }
            InterrupterRegister::Segments => self.segments = (value as u16).min(SEGMENTS),
            InterrupterRegister::Table(half) => {
                self.table = half.put(self.table, value) & !0x3f;
                (self.place, self.told_full) = (START, false);
            }
            InterrupterRegister::Dequeue(Half::Low) => {
                let busy = self.dequeue & BUSY & !u64::from(value);
                self.dequeue = Half::Low.put(self.dequeue, value) & !BUSY | busy;
            }
            InterrupterRegister::Dequeue(Half::High) => self.dequeue = Half::High.put(self.dequeue, value),
        }
    }

    /// The driver has been through the ring and says so; what it left interrupts again.
    pub(super) fn answered(&mut self, dma: &Dma) {
        if self.dequeue & BUSY == 0 && self.segments > 0 {
            let left = self.address(self.place, dma).is_ok_and(|at| at != self.dequeue & !DEQUEUE_FLAGS);
            self.has_news |= left;
        }
    }

    /// Takes an event.
    pub(super) fn tell(&mut self, event: Trb, interrupts: bool) {
        // Without a ring nobody listens.
        if self.segments > 0 && self.waiting.len() < WAITING {
            self.waiting.push_back((event, interrupts));
        }
    }

    /// Is the ring full?
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Puts what waits onto the ring as far as there is room.
    pub(super) fn flush(&mut self, dma: &Dma) -> Result<(), Broken> {
        if self.segments == 0 {
            self.waiting.clear();
        }
        while let Some(&(event, interrupts)) = self.waiting.front() {
            let dequeue = self.dequeue & !DEQUEUE_FLAGS;
            let at = self.address(self.place, dma)?;
            let next = self.behind(self.place, dma)?;
            if self.address(next, dma)? == dequeue {
                break;
            }
            let after = self.behind(next, dma)?;
            if self.address(after, dma)? == dequeue {
                // The last place is for saying so.
                if !self.told_full {
                    Trb::event(EventKind::HostController, Code::EventRingFull, 0, 0).put(self.place.cycle, at, dma)?;
                    (self.place, self.told_full, self.has_news) = (next, true, true);
                }
                break;
            }
            event.put(self.place.cycle, at, dma)?;
            self.place = next;
            self.told_full = false;
            self.has_news |= interrupts;
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Address and length of a segment, in TRBs.
    fn segment(&self, number: u16, dma: &Dma) -> Result<(u64, u16), Broken> {
        let mut entry = [0; 12];
        dma.read(self.table.wrapping_add(ENTRY * u64::from(number)), &mut entry)?;
        let [a, b, c, d, e, f, g, h, low, high, ..] = entry;
        let length = u16::from_le_bytes([low, high]);
        match length {
            0 => Err(Broken::Senseless),
            _ => Ok((u64::from_le_bytes([a, b, c, d, e, f, g, h]) & !0x3f, length)),
        }
    }

    fn address(&self, place: Place, dma: &Dma) -> Result<u64, Broken> {
        let (at, _) = self.segment(place.segment, dma)?;
        Ok(at.wrapping_add(TRB * u64::from(place.index)))
    }

    /// The place behind this one.
    fn behind(&self, Place { segment, index, cycle }: Place, dma: &Dma) -> Result<Place, Broken> {
        let (_, length) = self.segment(segment, dma)?;
        if index < length - 1 {
            return Ok(Place { segment, index: index + 1, cycle });
        }
        match segment + 1 {
            next if next < self.segments => Ok(Place { segment: next, index: 0, cycle }),
            _ => Ok(Place { segment: 0, index: 0, cycle: !cycle }),
        }
    }

    /// Sets IP when it is time for that. Gives whether it was set now; else when to ask again, if that is known.
    pub(super) fn ripen(&mut self, now: VmTime) -> (bool, Option<VmTime>) {
        if !self.has_news || self.dequeue & BUSY != 0 {
            return (false, None);
        }
        if now < self.quiet_until {
            return (false, Some(self.quiet_until));
        }
        self.has_news = false;
        self.dequeue |= BUSY;
        self.management |= PENDING;
        self.quiet_until = now + INTERVAL * (self.moderation & 0xffff);
        (true, None)
    }

    /// Does it ask for its interrupt?
    pub(super) fn asks(&self) -> bool {
        self.management & (PENDING | ENABLED) == PENDING | ENABLED
    }

    /// A message was sent, which answers for itself.
    pub(super) fn sent(&mut self) {
        self.management &= !PENDING;
    }
}
