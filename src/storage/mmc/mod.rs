//! A CD/DVD drive's commands, whatever carries them: ATAPI, USB storage, SCSI.
//!
//! Follows MMC-6 and SPC-4. A transport hands each command descriptor block to [`Cdrom::execute`] and does what the
//! [`Outcome`] says; after [`Outcome::Check`] the reason is in [`Cdrom::sense`], which REQUEST SENSE collects. The medium is a
//! [`DiskQueue`] of 2048 byte blocks, read by the transport.

mod configuration;
mod mode;
mod replies;
mod sense;
mod toc;

use device::{RestoreError, State};
use disk::DiskQueue;
use serde::{Deserialize, Serialize};

pub use sense::Sense;

/// Bytes of a block.
pub const BLOCK: u64 = 2048;

/// The longest medium that is taken for a CD, in blocks: 80 minutes. Longer ones are DVDs.
const CD_BLOCKS: u32 = 80 * 60 * 75;

/// What a command amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, nothing to transfer.
    Done,
    /// Done, with these bytes for the host (already cut to what the host asked for).
    Data(Vec<u8>),
    /// Read this from the medium, in bytes; [`Cdrom::read_failed`] if that does not work.
    Read {
        /// Where.
        at: u64,
        /// How many.
        len: u64,
    },
    /// The host sends so many bytes of parameters, to be handed to [`Cdrom::receive`].
    Receive(u16),
    /// It failed: CHECK CONDITION.
    Check,
}

/// Who wants to know of the tray: the person who put the medium in.
pub trait TraySink: Send {
    /// The guest opened (ejected) or closed the tray. Called under the device's mutex; must not call a device.
    fn moved(&self, open: bool);
}

/// The guest has locked the tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest has locked the drive's tray")]
pub struct Locked;

/// What GET EVENT STATUS NOTIFICATION says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MediaEvent {
    None,
    EjectRequest,
    NewMedia,
    Removal,
}

/// A CD/DVD drive, read only.
pub struct Cdrom {
    medium: Option<DiskQueue>,
    tray: Option<Box<dyn TraySink>>,
    tray_open: bool,
    locked: bool,
    /// What the last failed command left for REQUEST SENSE.
    sense: Sense,
    /// A unit attention that nobody has heard yet.
    attention: Option<Sense>,
    event: MediaEvent,
}

/// A drive's saved state; the medium is configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CdromState {
    tray_open: bool,
    locked: bool,
    sense: Sense,
    attention: Option<Sense>,
    event: MediaEvent,
}

/// The fields of a command descriptor block.
struct Cdb<'a>(&'a [u8]);

impl Cdb<'_> {
    fn u8(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }
    fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.u8(at), self.u8(at + 1)])
    }
    fn u24(&self, at: usize) -> u32 {
        u32::from(self.u8(at)) << 16 | u32::from(self.u16(at + 1))
    }
    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) << 16 | u32::from(self.u16(at + 2))
    }
    fn bit(&self, at: usize, bit: u8) -> bool {
        self.u8(at) >> bit & 1 == 1
    }
}

type Answer = Result<Outcome, Sense>;

impl Cdrom {
    /// A drive with `medium` in it. Its queue must be connected to the device that this drive is part of.
    pub fn new(medium: Option<DiskQueue>) -> Self {
        Self {
            medium,
            tray: None,
            tray_open: false,
            locked: false,
            sense: Sense::NONE,
            attention: Some(Sense::RESET),
            event: MediaEvent::None,
        }
    }

    /// Says who hears of the tray.
    pub fn set_tray_sink(&mut self, sink: Box<dyn TraySink>) {
        self.tray = Some(sink);
    }

    /// The medium that can be read now: there is one and the tray is closed.
    pub fn medium(&self) -> Option<&DiskQueue> {
        self.medium.as_ref().filter(|_| !self.tray_open)
    }

    /// Is the tray open?
    pub fn is_open(&self) -> bool {
        self.tray_open
    }

    /// May the medium not be taken out?
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Is there an event that the guest has not asked for yet?
    pub fn has_event(&self) -> bool {
        self.event != MediaEvent::None
    }

    /// Puts `medium` in, or nothing, and closes the tray; gives what was in. A locked tray stays as it is, and the guest is
    /// asked to let go of the medium, unless `force`.
    pub fn insert(&mut self, medium: Option<DiskQueue>, force: bool) -> Result<Option<DiskQueue>, Locked> {
        if self.locked && self.medium().is_some() {
            if !force {
                self.event = MediaEvent::EjectRequest;
                return Err(Locked);
            }
            self.locked = false;
        }
        self.event = if medium.is_some() { MediaEvent::NewMedia } else { MediaEvent::Removal };
        if medium.is_some() {
            self.attention = Some(Sense::MEDIUM_CHANGED);
        }
        self.tray_open = false;
        Ok(std::mem::replace(&mut self.medium, medium))
    }

    /// Power-on or bus reset: the tray stays as it is, the lock goes.
    pub fn reset(&mut self) {
        self.locked = false;
        self.sense = Sense::NONE;
        self.attention = Some(Sense::RESET);
        self.event = MediaEvent::None;
    }

    /// Why the last command failed.
    pub fn sense(&self) -> Sense {
        self.sense
    }

    /// The transport could not read what [`Outcome::Read`] said.
    pub fn read_failed(&mut self) {
        self.sense = Sense::READ_ERROR;
    }

    /// Executes a command. `cdb` is as long as the transport carries it; missing bytes are zero.
    pub fn execute(&mut self, cdb: &[u8]) -> Outcome {
        let cdb = Cdb(cdb);
        let opcode = cdb.u8(0);
        // These are answered whatever has happened, and leave it to be reported by others.
        let always = matches!(opcode, 0x03 | 0x12 | 0x46 | 0x4a | 0xa0);
        if !always && let Some(attention) = self.attention.take() {
            self.sense = attention;
            return Outcome::Check;
        }
        if opcode != 0x03 {
            self.sense = Sense::NONE;
        }
        self.dispatch(&cdb).unwrap_or_else(|sense| {
            self.sense = sense;
            Outcome::Check
        })
    }

    /// Takes the parameters that [`Outcome::Receive`] asked for. Nothing in the mode pages can be changed, so it only matters
    /// that they could be read.
    pub fn receive(&mut self, parameters: &[u8]) -> Outcome {
        match mode::select(parameters) {
            Ok(()) => Outcome::Done,
            Err(sense) => {
                self.sense = sense;
                Outcome::Check
            }
        }
    }

    fn dispatch(&mut self, cdb: &Cdb<'_>) -> Answer {
        match cdb.u8(0) {
            0x00 => self.blocks().map(|_| Outcome::Done),
            0x03 => Ok(self.request_sense(cdb)),
            0x12 => replies::inquiry(cdb),
            0x1a => mode::sense_6(cdb, self.locked),
            0x1b => self.start_stop(cdb),
            0x1e => self.prevent_removal(cdb),
            0x25 => Ok(replies::capacity(self.blocks()?)),
            0x28 => self.read(cdb.u32(2), cdb.u16(7).into()),
            0xa8 => self.read(cdb.u32(2), cdb.u32(6)),
            0xbe => self.read_cd(cdb),
            0x2b => self.seek(cdb.u32(2)),
            0x2f => self.verify(cdb.u32(2), cdb.u16(7).into()),
            // SYNCHRONIZE CACHE, SET CD SPEED: nothing to do for a disc that is a file.
            0x35 | 0xbb => Ok(Outcome::Done),
            0x43 => toc::read(cdb, self.blocks()?),
            0x46 => configuration::get(cdb, self.blocks().ok()),
            0x4a => Ok(self.event_status(cdb)?),
            0x51 => self.blocks().map(|_| replies::disc_information(cdb)),
            0x52 => replies::track_information(cdb, self.blocks()?),
            0x55 => Ok(Outcome::Receive(cdb.u16(7))),
            0x5a => mode::sense_10(cdb, self.locked),
            0xa0 => replies::luns(cdb),
            0xad => replies::disc_structure(cdb, self.blocks()?),
            0xbd => Ok(replies::mechanism_status(cdb, self.tray_open)),
            _ => Err(Sense::UNKNOWN_COMMAND),
        }
    }

    /// How many blocks the medium has, or why there is none.
    fn blocks(&self) -> Result<u32, Sense> {
        match &self.medium {
            _ if self.tray_open => Err(Sense::TRAY_OPEN),
            None => Err(Sense::NO_MEDIUM),
            // A medium of more blocks than addresses is cut.
            Some(medium) => Ok(u32::try_from(medium.size() / BLOCK).unwrap_or(u32::MAX)),
        }
    }

    fn check_range(&self, block: u32, count: u32) -> Result<(), Sense> {
        let end = u64::from(block) + u64::from(count);
        if end <= u64::from(self.blocks()?) { Ok(()) } else { Err(Sense::OUT_OF_RANGE) }
    }

    fn read(&self, block: u32, count: u32) -> Answer {
        self.check_range(block, count)?;
        match count {
            0 => Ok(Outcome::Done),
            _ => Ok(Outcome::Read { at: u64::from(block) * BLOCK, len: u64::from(count) * BLOCK }),
        }
    }

    /// READ CD: of the parts of a sector, the user data alone can be had.
    fn read_cd(&self, cdb: &Cdb<'_>) -> Answer {
        match cdb.u8(9) & 0xf8 {
            0x00 => self.verify(cdb.u32(2), cdb.u24(6)),
            0x10 => self.read(cdb.u32(2), cdb.u24(6)),
            _ => Err(Sense::INVALID_FIELD),
        }
    }

    fn verify(&self, block: u32, count: u32) -> Answer {
        self.check_range(block, count).map(|()| Outcome::Done)
    }

    fn seek(&self, block: u32) -> Answer {
        self.verify(block, 1)
    }

    fn request_sense(&mut self, cdb: &Cdb<'_>) -> Outcome {
        let sense = match std::mem::replace(&mut self.sense, Sense::NONE) {
            Sense::NONE => self.attention.take().unwrap_or(Sense::NONE),
            sense => sense,
        };
        replies::cut(sense.fixed().to_vec(), cdb.u8(4).into())
    }

    fn start_stop(&mut self, cdb: &Cdb<'_>) -> Answer {
        let power_condition = cdb.u8(4) >> 4;
        let (load_eject, start) = (cdb.bit(4, 1), cdb.bit(4, 0));
        if power_condition != 0 || !load_eject {
            return Ok(Outcome::Done);
        }
        if !start && self.locked && !self.tray_open {
            return Err(Sense::LOCKED);
        }
        if self.tray_open == start {
            self.tray_open = !start;
            if let Some(tray) = &self.tray {
                tray.moved(self.tray_open);
            }
            if self.medium.is_some() {
                self.event = if start { MediaEvent::NewMedia } else { MediaEvent::Removal };
            }
            if start && self.medium.is_some() {
                self.attention = Some(Sense::MEDIUM_CHANGED);
            }
        }
        Ok(Outcome::Done)
    }

    fn prevent_removal(&mut self, cdb: &Cdb<'_>) -> Answer {
        self.locked = cdb.bit(4, 0);
        Ok(Outcome::Done)
    }

    /// GET EVENT STATUS NOTIFICATION, polled; of the classes there is media alone.
    fn event_status(&mut self, cdb: &Cdb<'_>) -> Answer {
        const MEDIA: u8 = 4;
        if !cdb.bit(1, 0) {
            return Err(Sense::INVALID_FIELD);
        }
        let supported = 1 << MEDIA;
        if cdb.u8(4) & supported == 0 {
            // No event available.
            return Ok(replies::cut(vec![0, 2, 0x80, supported], cdb.u16(7).into()));
        }
        let event = match std::mem::replace(&mut self.event, MediaEvent::None) {
            MediaEvent::None => 0,
            MediaEvent::EjectRequest => 1,
            MediaEvent::NewMedia => 2,
            MediaEvent::Removal => 3,
        };
        let status = u8::from(self.tray_open) | u8::from(self.medium().is_some()) << 1;
        Ok(replies::cut(vec![0, 6, MEDIA, supported, event, status, 0, 0], cdb.u16(7).into()))
    }
}

impl State for Cdrom {
    const KIND: &'static str = "cdrom";
    type Saved = CdromState;

    fn save(&self) -> CdromState {
        let Self { medium: _, tray: _, tray_open, locked, sense, attention, event } = self;
        CdromState { tray_open: *tray_open, locked: *locked, sense: *sense, attention: *attention, event: *event }
    }

    fn restore(&mut self, saved: CdromState) -> Result<(), RestoreError> {
        let CdromState { tray_open, locked, sense, attention, event } = saved;
        if sense.key > 15 || attention.is_some_and(|sense| sense.key > 15) {
            return Err(Self::impossible("sense"));
        }
        (self.tray_open, self.locked) = (tray_open, locked);
        (self.sense, self.attention, self.event) = (sense, attention, event);
        Ok(())
    }
}

#[cfg(test)]
#[path = "mmc_test.rs"]
mod tests;
