//! Transfers as the kernel has them: what goes into a URB, how many are in flight, and what came of them.

use rustix::io::Errno;

use super::super::descriptors::{Pipe, Transfers};
use super::super::usbfs::{PACKETS, Reaped, Urb, UrbKind};
use super::lane::{Lane, URBS};
use super::{HostDevice, Way};
use crate::{Completion, Direction, Endpoint, Fault, Kind, Setup, Speed, TransferId};

/// Most bytes on their way: a part of the 16 MiB that the kernel gives all of usbfs (`usbfs_memory_mb`). An endpoint with nothing on its way
/// has as much again: what others wait for may come only of what it has to say.
const BUDGET: usize = 6 << 20;
/// Bytes of a URB at most, if the kernel takes memory for it in pieces, and if in one.
pub(super) const LONG: u64 = 1 << 20;
pub(super) const SHORT: u64 = 16 << 10;
/// Microseconds that an isochronous URB lasts, so that what is played is not late.
const LASTS: u32 = 4000;

/// Where `bmAttributes` is in a configuration's descriptor, and what it says of waking.
const ATTRIBUTES: usize = 7;
const REMOTE_WAKEUP: u8 = 1 << 5;

/// A URB in flight: whose it is.
pub(super) struct Flight {
    way: Way,
    jobs: Vec<TransferId>,
    bytes: usize,
    /// It is cancelled, and nobody waits for it.
    forgotten: bool,
}

impl HostDevice {
    /// Sends what there is to send of one endpoint.
    pub(super) fn pump(&mut self, way: Way) {
        let isochronous = self.pipe(way.0).filter(|pipe| pipe.transfers == Transfers::Isochronous);
        loop {
            let flights = self.flights.values().filter(|flight| flight.way == way).count();
            let most = if way.0 == Endpoint::CONTROL { 1 } else { URBS };
            if self.gone || !self.busy.is_empty() || flights >= most {
                return;
            }
            let sent = match isochronous {
                Some(pipe) => self.send_packets(way, pipe, flights == 0),
                None => self.send_piece(way, flights == 0),
            };
            if !sent {
                return;
            }
        }
    }

    /// Bytes that may go on their way: of whatever size when there are none.
    fn room(&self, is_first: bool) -> usize {
        match self.bytes {
            0 => usize::MAX,
            bytes => (if is_first { 2 * BUDGET } else { BUDGET }).saturating_sub(bytes),
        }
    }

    /// Sends the next URB of a lane that is not isochronous; false when there is none to send now.
    fn send_piece(&mut self, way: Way, is_first: bool) -> bool {
        let room = self.room(is_first);
        let pipe = self.pipe(way.0);
        let Some(lane) = self.lanes.get_mut(&way) else { return false };
        let Some(index) = lane.next() else { return false };
        let Some(job) = lane.jobs.get_mut(index) else { return false };
        let memory = &job.transfer.memory;
        let (kind, address, mut buffer, data) = match job.transfer.kind {
            Kind::Control(setup) => {
                let mut buffer = self.shared.usbfs.buffer(8 + usize::from(setup.length));
                buffer[..8].copy_from_slice(&setup.bytes());
                job.sent = memory.len();
                (UrbKind::Control, way.0.address(), buffer, setup.direction() == Direction::Out)
            }
            _ => {
                let (kind, piece) = match pipe {
                    Some(Pipe { transfers: Transfers::Interrupt, packet, .. }) => {
                        // The kernel wants memory in one piece, and packets whole.
                        (UrbKind::Interrupt, SHORT / u64::from(packet) * u64::from(packet))
                    }
                    _ => (UrbKind::Bulk(way.1), self.piece),
                };
                let length = (memory.len() - job.moved).min(piece);
                job.sent = job.moved + length;
                (kind, way.0.address(), self.shared.usbfs.buffer(length as usize), way.0.direction == Direction::Out)
            }
        };
        let bytes = buffer.len();
        if bytes > room && way.0 != Endpoint::CONTROL {
            return false;
        }
        let at = if kind == UrbKind::Control { 8 } else { 0 };
        if data && memory.read(job.moved, &mut buffer[at..]).is_err() {
            let finished = lane.finish(index, Completion::failed(Fault::Transaction));
            self.done.extend(finished);
            return true;
        }
        let id = job.transfer.id;
        match self.shared.usbfs.submit(Urb { kind, endpoint: address, buffer, packets: Vec::new() }) {
            Ok(urb) => {
                job.urb = Some(urb);
                self.flights.insert(urb, Flight { way, jobs: vec![id], bytes, forgotten: false });
                self.bytes += bytes;
                true
            }
            Err(error) => self.refused(way, error, &[id]),
        }
    }

    /// Sends isochronous packets that wait as one URB; false when there are none to send now.
    fn send_packets(&mut self, way: Way, pipe: Pipe, is_first: bool) -> bool {
        let room = self.room(is_first);
        // Of microframes, or of frames (USB 2.0, 9.6.6).
        let unit = if self.speed >= Speed::High { 125 } else { 1000 };
        let interval = unit << u32::from(pipe.interval.clamp(1, 16) - 1);
        let most = (LASTS / interval).clamp(1, PACKETS as u32) as usize;
        let Some(lane) = self.lanes.get_mut(&way) else { return false };
        let first = lane.unsent();
        let (mut bytes, mut packets, mut ids) = (0, Vec::new(), Vec::new());
        for job in lane.jobs.iter().skip(first).take(most) {
            // As much as the kernel takes for a packet; hardware takes less.
            let length = job.transfer.memory.len().min(98_304) as usize;
            if bytes > 0 && bytes + length > room.min(BUDGET) {
                break;
            }
            bytes += length;
            packets.push(length as u32);
            ids.push(job.transfer.id);
        }
        if ids.is_empty() || bytes > room {
            return false;
        }
        let mut buffer = self.shared.usbfs.buffer(bytes);
        let mut rest = &mut buffer[..];
        for (job, &length) in lane.jobs.iter().skip(first).zip(&packets).filter(|_| !pipe.is_in()) {
            let (packet, behind) = std::mem::take(&mut rest).split_at_mut(length as usize);
            if job.transfer.memory.read(0, packet).is_err() {
                // What is not RAM is silence.
                packet.fill(0);
            }
            rest = behind;
        }
        let urb = Urb { kind: UrbKind::Isochronous, endpoint: way.0.address(), buffer, packets };
        match self.shared.usbfs.submit(urb) {
            Ok(urb) => {
                for job in lane.jobs.iter_mut().skip(first).take(ids.len()) {
                    job.urb = Some(urb);
                }
                self.flights.insert(urb, Flight { way, jobs: ids, bytes, forgotten: false });
                self.bytes += bytes;
                true
            }
            Err(error) => self.refused(way, error, &ids),
        }
    }

    /// A URB was not taken; is there another to be tried?
    fn refused(&mut self, way: Way, error: Errno, jobs: &[TransferId]) -> bool {
        match error {
            Errno::NODEV | Errno::SHUTDOWN => {
                self.lose();
                false
            }
            Errno::NOMEM | Errno::AGAIN => {
                self.shared.usbfs.give_buffers_back();
                if self.bytes < SHORT as usize {
                    // None of ours will be free: less may be there.
                    self.piece = (self.piece / 2).max(SHORT);
                }
                // Others may free some, and ours on their way may stay there for ever.
                self.shared.call_back_later();
                false
            }
            error => {
                tracing::debug!("a URB for {:?} is refused: {error}", way.0);
                // Requests of what is not there: the device would say so.
                let stalls = error == Errno::PIPE || way.0 == Endpoint::CONTROL;
                let fault = if stalls { Fault::Stall } else { Fault::Transaction };
                let Some(lane) = self.lanes.get_mut(&way) else { return false };
                for &id in jobs {
                    let index = lane.position(id);
                    self.done.extend(index.and_then(|index| lane.finish(index, Completion::failed(fault))));
                }
                true
            }
        }
    }

    /// A URB is over.
    pub(super) fn reaped(&mut self, reaped: Reaped) {
        let Some(flight) = self.flights.remove(&reaped.id) else { return };
        self.bytes -= flight.bytes;
        let way = flight.way;
        let Some(lane) = self.lanes.get_mut(&way) else { return };
        if !reaped.packets.is_empty() {
            let done = packets_over(lane, &flight, &reaped);
            self.done.extend(done);
            return;
        }
        let Some(index) = flight.jobs.first().and_then(|&id| lane.position(id)) else { return };
        let Some(job) = lane.jobs.get_mut(index) else { return };
        job.urb = None;
        let asked = job.sent - job.moved;
        let (moved, error) = reaped.outcome;
        let memory = &job.transfer.memory;
        let mut reaped = reaped;
        if let Kind::Control(setup) = job.transfer.kind {
            hide_wakeup(setup, &mut reaped.buffer[8..], reaped.outcome.0);
        }
        let (data, at) = match job.transfer.kind {
            Kind::Control(setup) => (setup.direction() == Direction::In, 8),
            _ => (way.0.direction == Direction::In, 0),
        };
        // More than there is room for, which only a control transfer can be.
        let babble = moved as u64 > memory.len();
        let written = if data {
            memory.write(job.moved, reaped.buffer.get(at..at + moved).unwrap_or_default())
        } else {
            Ok(moved)
        };
        job.moved = (job.moved + moved as u64).min(memory.len());
        let fault = match error {
            _ if written.is_err() => Some(Fault::Transaction),
            // Taken back: the guest has forgotten it, or it goes again.
            Some(Errno::NOENT | Errno::CONNRESET) => return,
            Some(error) => Some(fault(error)),
            None => babble.then_some(Fault::Babble),
        };
        let short = (moved as u64) < asked;
        if fault.is_none() && !short && job.moved < memory.len() && way.0 != Endpoint::CONTROL {
            return;
        }
        let completion = Completion { length: job.moved, fault };
        self.done.extend(lane.finish(index, completion));
        if fault.is_some() && way.0 != Endpoint::CONTROL {
            lane.held = true;
            let behind: Vec<_> = lane.jobs.iter().filter_map(|job| job.urb).collect();
            for urb in behind.into_iter().rev() {
                self.shared.usbfs.discard(urb);
            }
        }
    }

    /// Cancels URBs that nobody waits for any more.
    pub(super) fn discard_orphans(&mut self) {
        if !self.busy.is_empty() || !std::mem::take(&mut self.orphans) {
            return;
        }
        for (&urb, flight) in self.flights.iter_mut().rev().filter(|(_, flight)| !flight.forgotten) {
            let lane = self.lanes.get(&flight.way);
            if !flight.jobs.iter().any(|&id| lane.is_some_and(|lane| lane.position(id).is_some())) {
                flight.forgotten = true;
                self.shared.usbfs.discard(urb);
            }
        }
    }
}

/// A configuration's descriptor says that its device wakes nobody (USB 2.0, 9.6.3): the host lets it not sleep, whatever the guest does with its
/// port. Guests leave devices awake that would have to wake them.
fn hide_wakeup(setup: Setup, data: &mut [u8], moved: usize) {
    let [_, kind] = setup.value.to_le_bytes();
    let describes = (setup.kind, setup.request) == (0x80, 6) && (kind == 2 || kind == 7);
    if let (true, Some(attributes)) = (describes && moved > ATTRIBUTES, data.get_mut(ATTRIBUTES)) {
        *attributes &= !REMOTE_WAKEUP;
    }
}

/// A URB's packets are over: each is a transfer, with a place of its own in the buffer.
fn packets_over(lane: &mut Lane, flight: &Flight, reaped: &Reaped) -> Vec<(TransferId, Completion)> {
    let cancelled = matches!(reaped.outcome.1, Some(Errno::NOENT | Errno::CONNRESET));
    let is_in = flight.way.0.direction == Direction::In;
    let over = flight.jobs.iter().zip(&reaped.packets).filter_map(|(&id, &(at, (moved, error)))| {
        let index = lane.position(id)?;
        let memory = &lane.jobs.get(index)?.transfer.memory;
        let data = reaped.buffer.get(at..at + moved).unwrap_or_default();
        let written = if is_in { memory.write(0, data).is_ok() } else { true };
        let completion = match error {
            _ if cancelled => Completion::failed(Fault::Missed),
            _ if !written => Completion::failed(Fault::Transaction),
            error => Completion { length: moved as u64, fault: error.map(fault) },
        };
        lane.finish(index, completion)
    });
    over.collect()
}

/// What a complaint of the kernel is on the wire.
fn fault(error: Errno) -> Fault {
    match error {
        Errno::PIPE => Fault::Stall,
        Errno::OVERFLOW => Fault::Babble,
        Errno::XDEV => Fault::Missed,
        _ => Fault::Transaction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_configuration_says_of_waking_is_not_passed_on() {
        let descriptor = [9, 2, 34, 0, 1, 1, 0, 0xa0, 50];
        let seen = |kind: u16, moved| {
            let mut data = descriptor;
            let setup = Setup { kind: 0x80, request: 6, value: kind << 8, index: 0, length: 9 };
            hide_wakeup(setup, &mut data, moved);
            data[ATTRIBUTES]
        };
        assert_eq!((seen(2, 9), seen(7, 8), seen(2, 7), seen(1, 9), seen(3, 9)), (0x80, 0x80, 0xa0, 0xa0, 0xa0));
        hide_wakeup(Setup { kind: 0x80, request: 6, value: 0x200, index: 0, length: 4 }, &mut [9, 2, 34, 0], 9);
    }
}
