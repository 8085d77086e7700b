//! A stream: its descriptor, and its walk over the buffers in guest memory (High Definition Audio 1.0a §3.3.35 and on, §3.6).
//!
//! The list of buffers is read as the walk comes to it, an entry at a time, so there is nothing to keep but where the walk is. One
//! thing differs from hardware, for guests that are late, as a busy computer makes them: hardware goes round and round, and plays
//! what was played; here a stream stands still when it has been round once since the guest left an interrupt unanswered. The FIFO
//! has no length: positions are those of what was moved.

use std::ops::Range;

use device::{Dma, DmaError};
use serde::{Deserialize, Serialize};

use super::format::{FORMAT_BITS, Format};
use super::registers::{ALIGNED, Descriptor, INPUTS, StreamControl, StreamStatus, Write};

/// Bytes of a list entry, and the bit that wants an interrupt.
const ENTRY: u64 = 16;
const INTERRUPT: u32 = 1;
/// What ICH9 says of its FIFOs.
const OUTPUT_FIFO: u32 = 0xbf;
const INPUT_FIFO: u32 = 0x77;
/// List entries that are read at once at most: four times a list, far beyond what anything that is to be heard needs.
const FETCHES: u32 = 1024;

/// A saved stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stream {
    control: u32,
    status: u32,
    position: u32,
    length: u32,
    last: u8,
    format: u32,
    list: u64,
    /// The entry that the walk is in, and how far.
    entry: u8,
    within: u32,
    /// Bytes since a buffer was completed that the guest wants to be told of, up to a round.
    since: u32,
    /// Bytes since the beginning of the first such buffer that the guest has not answered for.
    unanswered: u32,
}

/// A buffer of the list.
struct Buffer {
    at: u64,
    bytes: u32,
    interrupts: bool,
}

impl Stream {
    fn control(&self) -> StreamControl {
        StreamControl::from_bits_retain(self.control)
    }

    /// Does the guest want it to move?
    pub(super) fn runs(&self) -> bool {
        self.control().contains(StreamControl::RUN)
    }

    /// Its number on the link; 0 is nobody's.
    pub(super) fn tag(&self) -> u8 {
        (self.control >> 20 & 0xf) as u8
    }

    pub(super) fn format(&self) -> Option<Format> {
        Format::of(self.format)
    }

    /// Bytes from the start of the buffer to where the walk is.
    pub(super) fn position(&self) -> u32 {
        self.position
    }

    /// Has it something to say?
    pub(super) fn has_event(&self) -> bool {
        self.status != 0
    }

    /// May it interrupt for that?
    pub(super) fn interrupts(&self) -> bool {
        self.status & self.control & StreamStatus::EVENTS.bits() != 0
    }

    /// A guest's read; `index` is the stream's own.
    pub(super) fn read(&self, register: Descriptor, index: usize) -> u32 {
        match register {
            Descriptor::Control => self.control,
            Descriptor::Status if self.runs() => self.status | StreamStatus::FIFO_READY.bits(),
            Descriptor::Status => self.status,
            Descriptor::Position => self.position,
            Descriptor::BufferLength => self.length,
            Descriptor::LastIndex => self.last.into(),
            Descriptor::FifoSize if index < INPUTS => INPUT_FIFO,
            Descriptor::FifoSize => OUTPUT_FIFO,
            Descriptor::Format => self.format,
            Descriptor::List => self.list as u32,
            Descriptor::ListUpper => (self.list >> 32) as u32,
        }
    }

    pub(super) fn write(&mut self, register: Descriptor, write: Write) {
        if self.control().contains(StreamControl::RESET) && register != Descriptor::Control {
            return;
        }
        match register {
            Descriptor::Control => self.write_control(write),
            Descriptor::Status => self.status &= !write.ones(),
            Descriptor::BufferLength => self.length = write.over(self.length, u32::MAX),
            Descriptor::LastIndex => self.last = write.over(self.last.into(), 0xff) as u8,
            Descriptor::Format => self.format = write.over(self.format, FORMAT_BITS),
            Descriptor::List => self.set_list(write.low(self.list, ALIGNED)),
            Descriptor::ListUpper => self.set_list(write.high(self.list)),
            Descriptor::Position | Descriptor::FifoSize => {}
        }
    }

    fn write_control(&mut self, write: Write) {
        let new = write.over(self.control, (StreamControl::WRITABLE | StreamControl::RESET).bits());
        if StreamControl::from_bits_retain(new).contains(StreamControl::RESET) {
            *self = Self { control: StreamControl::RESET.bits(), ..Self::default() };
        } else {
            self.control = new;
        }
    }

    /// A new list, which begins at its beginning.
    fn set_list(&mut self, list: u64) {
        self.list = list;
        if !self.runs() {
            (self.entry, self.within, self.position) = (0, 0, 0);
        }
    }

    /// Fills `bytes` from the guest's buffers, in whole frames of `frame` bytes; how many bytes there were. `told` says that the
    /// guest hears of completed buffers.
    pub(super) fn take(&mut self, dma: &Dma, bytes: &mut [u8], frame: usize, told: bool) -> usize {
        let total = bytes.len();
        self.walk(dma, total, frame, told, |at, range| dma.read(at, &mut bytes[range]))
    }

    /// Puts `bytes` into the guest's buffers; as [`Self::take`].
    pub(super) fn put(&mut self, dma: &Dma, bytes: &[u8], frame: usize, told: bool) -> usize {
        self.walk(dma, bytes.len(), frame, told, |at, range| dma.write(at, &bytes[range]))
    }

    /// Moves `total` bytes, buffer by buffer; frames have at least one. Ends early when the guest is late, and for good when something
    /// cannot be reached.
    fn walk(
        &mut self,
        dma: &Dma,
        total: usize,
        frame: usize,
        told: bool,
        mut copy: impl FnMut(u64, Range<usize>) -> Result<(), DmaError>,
    ) -> usize {
        let (mut done, mut fetches) = (0, 0);
        while done < total && self.runs() && self.length > 0 {
            let begun = done % frame;
            let room = if told { self.room() } else { u32::MAX };
            if room == 0 && begun == 0 {
                break;
            }
            fetches += 1;
            if fetches > FETCHES {
                // As where memory is too slow for a list of next to nothing.
                self.status |= StreamStatus::FIFO_ERROR.bits();
                break;
            }
            let Ok(buffer) = self.buffer(dma) else {
                self.fail();
                break;
            };
            // A frame that was begun is always ended.
            let most = (total - done).min((room as usize).max(frame - begun));
            let left = buffer.bytes.saturating_sub(self.within);
            let here = left.min(most.min(u32::MAX as usize) as u32);
            let from = buffer.at.wrapping_add(self.within.into());
            if here > 0 && copy(from, done..done + here as usize).is_err() {
                self.fail();
                break;
            }
            done += here as usize;
            self.moved(here);
            if self.within >= buffer.bytes {
                self.completed(buffer.interrupts);
            }
        }
        // What was begun of a frame when the walk failed is nothing.
        done - done % frame
    }

    /// Bytes that may be moved before the guest has answered.
    fn room(&self) -> u32 {
        let waits = self.control().contains(StreamControl::COMPLETION_INTERRUPT)
            && self.status & StreamStatus::COMPLETED.bits() != 0;
        if waits { self.length.saturating_sub(self.unanswered) } else { u32::MAX }
    }

    fn moved(&mut self, bytes: u32) {
        self.within = self.within.saturating_add(bytes);
        self.position = ((u64::from(self.position) + u64::from(bytes)) % u64::from(self.length)) as u32;
        self.since = self.since.saturating_add(bytes).min(self.length);
        self.unanswered = self.unanswered.saturating_add(bytes);
    }

    fn buffer(&self, dma: &Dma) -> Result<Buffer, DmaError> {
        let mut entry = [0; ENTRY as usize];
        dma.read(self.list.wrapping_add(ENTRY * u64::from(self.entry)), &mut entry)?;
        let dword = |i: usize| u32::from_le_bytes([entry[i], entry[i + 1], entry[i + 2], entry[i + 3]]);
        Ok(Buffer {
            at: u64::from(dword(0)) | u64::from(dword(4)) << 32,
            bytes: dword(8),
            interrupts: dword(12) & INTERRUPT != 0,
        })
    }

    fn completed(&mut self, interrupts: bool) {
        self.within = 0;
        self.entry = if self.entry >= self.last { 0 } else { self.entry + 1 };
        if interrupts {
            if self.status & StreamStatus::COMPLETED.bits() == 0 {
                // A list with one such buffer has the guest look at positions; it gets half a round at least.
                self.unanswered = self.since.min(self.length / 2);
            }
            self.status |= StreamStatus::COMPLETED.bits();
            self.since = 0;
        }
    }

    /// The list or a buffer is nowhere: the stream stops.
    fn fail(&mut self) {
        tracing::debug!("entry {} of a sound stream's list, or its buffer, is not RAM", self.entry);
        self.status |= StreamStatus::DESCRIPTOR_ERROR.bits();
        self.control &= !StreamControl::RUN.bits();
    }

    /// Could a guest have brought it here?
    pub(super) fn is_possible(&self) -> bool {
        let Self {
            control,
            status,
            position: _,
            length: _,
            last: _,
            format,
            list,
            entry: _,
            within: _,
            since: _,
            unanswered: _,
        } = self;
        let resets = *control == StreamControl::RESET.bits();
        (resets || control & !StreamControl::WRITABLE.bits() == 0)
            && status & !StreamStatus::EVENTS.bits() == 0
            && format & !FORMAT_BITS == 0
            && *list as u32 & !ALIGNED == 0
    }
}
