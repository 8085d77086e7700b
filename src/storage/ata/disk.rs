//! An ATA disk: the general feature set, 48 bit addresses, native command queuing, TRIM, SMART, power management.

use device::{RestoreError, State};
use disk::DiskQueue;
use serde::{Deserialize, Serialize};

use super::identify::{Identity, Modes, checksum};
use super::{ABORTED, Action, ID_NOT_FOUND, Protocol, SECTOR, TaskFile, is_queued, smart};

/// A device register bit: logical block addresses.
const LBA_MODE: u8 = 1 << 6;
/// A device register bit of queued commands: force unit access.
const FUA: u8 = 1 << 7;
/// The most sectors of a READ or WRITE MULTIPLE block.
const MAX_MULTIPLE: u8 = 16;
/// The most 512 byte blocks of ranges in one DATA SET MANAGEMENT.
const MAX_TRIM_BLOCKS: u16 = 8;
/// Sectors that 28 bit commands reach.
const LBA28_SECTORS: u64 = 1 << 28;
/// Queued commands that may be outstanding.
pub(crate) const QUEUE_DEPTH: u8 = 32;

/// An ATA disk.
pub struct AtaDisk {
    queue: DiskQueue,
    serial: String,
    model: String,
    settings: Settings,
    /// What log page 10h tells of the last queued command that failed.
    queued_error: Option<QueuedError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    write_cache: bool,
    read_ahead: bool,
    smart: bool,
    /// Sectors of a READ or WRITE MULTIPLE block; 0 before it is set.
    multiple: u8,
    transfer_mode: u8,
    /// Heads and sectors a track, for cylinder addresses.
    heads: u8,
    track_sectors: u8,
    standby: bool,
}

const POWER_ON: Settings = Settings {
    write_cache: true,
    read_ahead: true,
    smart: true,
    multiple: 0,
    transfer_mode: 0x46,
    heads: 16,
    track_sectors: 63,
    standby: false,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct QueuedError {
    tag: u8,
    error: u8,
    registers: TaskFile,
}

/// A disk's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtaDiskState {
    settings: Settings,
    queued_error: Option<QueuedError>,
}

/// The width of a command's address and count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Bits28,
    Bits48,
}
use Width::{Bits28, Bits48};

impl AtaDisk {
    /// A disk with the contents of `queue`, which must be connected to the device that the disk is part of. `serial` is cut to
    /// 20 and `model` to 40 characters.
    pub fn new(queue: DiskQueue, serial: &str, model: &str) -> Self {
        Self { queue, serial: serial.to_owned(), model: model.to_owned(), settings: POWER_ON, queued_error: None }
    }

    /// Where its data are.
    pub fn queue(&self) -> &DiskQueue {
        &self.queue
    }

    /// Power-on.
    pub fn reset(&mut self) {
        self.settings = POWER_ON;
        self.queued_error = None;
    }

    /// A reset by the host: settings stay, except that the disk wakes.
    pub fn soft_reset(&mut self) {
        self.settings.standby = false;
        self.queued_error = None;
    }

    /// A queued command has failed with these error bits.
    pub fn queued_failed(&mut self, tag: u8, error: u8, registers: TaskFile) {
        self.queued_error = Some(QueuedError { tag, error, registers });
    }

    fn sectors(&self) -> u64 {
        (self.queue.size() / SECTOR).min(1 << 48)
    }

    /// Executes a command.
    pub fn execute(&mut self, registers: &mut TaskFile) -> Action {
        self.try_execute(registers).unwrap_or_else(Action::Fail)
    }

    fn try_execute(&mut self, registers: &mut TaskFile) -> Result<Action, u8> {
        use Protocol::{Dma, Pio};
        if !matches!(registers.command, 0xe0..=0xe6 | 0x94..=0x99) {
            self.settings.standby = false;
        }
        match registers.command {
            0x06 => self.data_set_management(registers),
            // RECALIBRATE and SEEK.
            0x10..=0x1f => Ok(Action::Done),
            0x70..=0x7f => self.extent(registers, Bits28).map(|_| Action::Done),
            0x20 | 0x21 => self.read(registers, Bits28, Pio),
            0x24 => self.read(registers, Bits48, Pio),
            0x25 => self.read(registers, Bits48, Dma),
            0x29 => self.multiple()?.read(registers, Bits48, Pio),
            0xc4 => self.multiple()?.read(registers, Bits28, Pio),
            0xc8 | 0xc9 => self.read(registers, Bits28, Dma),
            0x30 | 0x31 => self.write(registers, Bits28, Pio, false),
            0x34 => self.write(registers, Bits48, Pio, false),
            0x35 => self.write(registers, Bits48, Dma, false),
            0x3d => self.write(registers, Bits48, Dma, true),
            0x39 => self.multiple()?.write(registers, Bits48, Pio, false),
            0xc5 => self.multiple()?.write(registers, Bits28, Pio, false),
            0xce => self.multiple()?.write(registers, Bits48, Pio, true),
            0xca | 0xcb => self.write(registers, Bits28, Dma, false),
            0x40 | 0x41 => self.extent(registers, Bits28).map(|_| Action::Done),
            0x42 => self.extent(registers, Bits48).map(|_| Action::Done),
            command if is_queued(command) => self.queued(registers),
            0x27 => self.native_max(registers, 1 << 48),
            0xf8 => self.native_max(registers, LBA28_SECTORS),
            0x2f => self.read_log(registers, Pio),
            0x47 => self.read_log(registers, Dma),
            0x90 => {
                *registers = TaskFile { command: registers.command, ..TaskFile::signature(false) };
                Ok(Action::Reset)
            }
            0x91 => self.set_geometry(registers),
            0xb0 => Ok(smart::execute(registers, &mut self.settings.smart)),
            0xc6 => self.set_multiple(registers),
            // STANDBY IMMEDIATE, STANDBY, SLEEP: whatever happens to the host then, the data stay.
            0xe0 | 0x94 | 0xe2 | 0x96 | 0xe6 | 0x99 => {
                self.settings.standby = true;
                Ok(Action::Flush)
            }
            // IDLE IMMEDIATE, IDLE.
            0xe1 | 0x95 | 0xe3 | 0x97 => {
                self.settings.standby = false;
                Ok(Action::Done)
            }
            0xe5 | 0x98 => {
                registers.count = if self.settings.standby { 0x00 } else { 0xff };
                Ok(Action::Done)
            }
            0xe7 | 0xea => Ok(Action::Flush),
            0xec => Ok(Action::DataIn { bytes: self.identify(), protocol: Pio }),
            0xef => self.set_features(registers),
            _ => Err(ABORTED),
        }
    }

    fn multiple(&mut self) -> Result<&mut Self, u8> {
        if self.settings.multiple == 0 { Err(ABORTED) } else { Ok(self) }
    }

    /// Where a command's sectors lie, in bytes.
    fn extent(&self, registers: &TaskFile, width: Width) -> Result<(u64, u64), u8> {
        let (start, count) = match width {
            Bits48 => {
                (registers.lba & 0xffff_ffff_ffff, if registers.count == 0 { 0x1_0000 } else { registers.count.into() })
            }
            Bits28 => {
                let count = if registers.count_low() == 0 { 0x100 } else { registers.count_low().into() };
                (self.address28(registers)?, count)
            }
        };
        if start + count > self.sectors() {
            return Err(ID_NOT_FOUND);
        }
        Ok((start * SECTOR, count * SECTOR))
    }

    fn address28(&self, registers: &TaskFile) -> Result<u64, u8> {
        let low = registers.lba & 0xff_ffff;
        let high = u64::from(registers.device & 0xf);
        if registers.device & LBA_MODE != 0 {
            return Ok(high << 24 | low);
        }
        // Cylinder, head, sector: sectors count from 1.
        let (cylinder, head, sector) = (low >> 8, high, low & 0xff);
        let (heads, track) = (u64::from(self.settings.heads), u64::from(self.settings.track_sectors));
        if head >= heads || sector == 0 || sector > track {
            return Err(ID_NOT_FOUND);
        }
        Ok((cylinder * heads + head) * track + sector - 1)
    }

    fn read(&self, registers: &TaskFile, width: Width, protocol: Protocol) -> Result<Action, u8> {
        let (at, len) = self.extent(registers, width)?;
        Ok(Action::Read { at, len, protocol })
    }

    fn write(&self, registers: &TaskFile, width: Width, protocol: Protocol, fua: bool) -> Result<Action, u8> {
        let (at, len) = self.extent(registers, width)?;
        Ok(Action::Write { at, len, protocol, durable: fua || !self.settings.write_cache })
    }

    /// READ and WRITE FPDMA QUEUED: the count stands in the features, the count holds the tag.
    fn queued(&self, registers: &TaskFile) -> Result<Action, u8> {
        let by_count = TaskFile { count: registers.features, ..*registers };
        match registers.command {
            0x60 => self.read(&by_count, Bits48, Protocol::Queued),
            0x61 => self.write(&by_count, Bits48, Protocol::Queued, registers.device & FUA != 0),
            _ => Err(ABORTED),
        }
    }

    fn data_set_management(&self, registers: &TaskFile) -> Result<Action, u8> {
        const TRIM: u8 = 1;
        if registers.features_low() != TRIM || registers.count == 0 || registers.count > MAX_TRIM_BLOCKS {
            return Err(ABORTED);
        }
        Ok(Action::TrimList { len: u32::from(registers.count) * SECTOR as u32 })
    }

    /// The ranges of a TRIM list, in bytes; error bits when one is not on the disk.
    pub fn trim_ranges(&self, list: &[u8]) -> Result<Vec<(u64, u64)>, u8> {
        let mut ranges = Vec::new();
        for entry in list.chunks_exact(8) {
            let entry = entry.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
            let (start, count) = (entry & 0xffff_ffff_ffff, entry >> 48);
            if count == 0 {
                continue;
            }
            if start + count > self.sectors() {
                return Err(ID_NOT_FOUND);
            }
            ranges.push((start * SECTOR, count * SECTOR));
        }
        Ok(ranges)
    }

    fn native_max(&self, registers: &mut TaskFile, limit: u64) -> Result<Action, u8> {
        let last = self.sectors().min(limit).saturating_sub(1);
        if limit == LBA28_SECTORS {
            registers.lba = last & 0xff_ffff;
            registers.device = registers.device & 0xf0 | (last >> 24) as u8 & 0xf;
        } else {
            registers.lba = last;
        }
        Ok(Action::Done)
    }

    fn set_geometry(&mut self, registers: &TaskFile) -> Result<Action, u8> {
        if registers.count_low() == 0 {
            return Err(ABORTED);
        }
        self.settings.heads = (registers.device & 0xf) + 1;
        self.settings.track_sectors = registers.count_low();
        Ok(Action::Done)
    }

    fn set_multiple(&mut self, registers: &TaskFile) -> Result<Action, u8> {
        let sectors = registers.count_low();
        if sectors > MAX_MULTIPLE || sectors != 0 && !sectors.is_power_of_two() {
            return Err(ABORTED);
        }
        self.settings.multiple = sectors;
        Ok(Action::Done)
    }

    fn set_features(&mut self, registers: &TaskFile) -> Result<Action, u8> {
        match registers.features_low() {
            0x02 => self.settings.write_cache = true,
            0x82 => {
                self.settings.write_cache = false;
                return Ok(Action::Flush);
            }
            0x03 => match transfer_mode(registers.count_low()) {
                Some(mode) => self.settings.transfer_mode = mode,
                None => return Err(ABORTED),
            },
            0xaa => self.settings.read_ahead = true,
            0x55 => self.settings.read_ahead = false,
            // Reverting to power-on settings at a reset, or not: there is nothing to revert.
            0x66 | 0xcc => {}
            _ => return Err(ABORTED),
        }
        Ok(Action::Done)
    }

    /// READ LOG EXT and READ LOG DMA EXT: the directory, and queued errors.
    fn read_log(&mut self, registers: &TaskFile, protocol: Protocol) -> Result<Action, u8> {
        let (log, page) = (registers.lba as u8, (registers.lba >> 8 & 0xff) | (registers.lba >> 32 & 0xff) << 8);
        if registers.count != 1 || page != 0 {
            return Err(ABORTED);
        }
        let mut bytes = vec![0; 512];
        match log {
            0x00 => {
                bytes[0] = 1; // version
                bytes[2 * 0x10] = 1; // pages of log 10h
            }
            0x10 => {
                if let Some(QueuedError { tag, error, registers }) = self.queued_error.take() {
                    bytes[0] = tag;
                    bytes[2] = super::READY | super::ERR;
                    bytes[3] = error;
                    let lba = registers.lba.to_le_bytes();
                    bytes[4..7].copy_from_slice(&lba[..3]);
                    bytes[7] = registers.device;
                    bytes[8..11].copy_from_slice(&lba[3..6]);
                    bytes[12..14].copy_from_slice(&registers.count.to_le_bytes());
                } else {
                    bytes[0] = 0x80; // not of a queued command
                }
                bytes[511] = checksum(&bytes[..511]);
            }
            _ => return Err(ABORTED),
        }
        Ok(Action::DataIn { bytes, protocol })
    }

    fn identify(&self) -> Vec<u8> {
        let Settings { write_cache, read_ahead, smart, multiple, transfer_mode, heads, track_sectors, standby: _ } =
            self.settings;
        let sectors = self.sectors();
        let mut id = Identity::new();
        id.common(Modes { transfer: transfer_mode });
        let cylinders = |heads: u8, track: u8| (sectors / (u64::from(heads) * u64::from(track))).min(16383) as u16;
        id.set(0, 0x0040);
        id.set(1, cylinders(16, 63));
        id.set(3, 16);
        id.set(6, 63);
        id.text(10, 10, &self.serial);
        id.text(23, 4, "1.0");
        id.text(27, 20, &self.model);
        id.set(47, 0x8000 | u16::from(MAX_MULTIPLE));
        id.set(48, 0x4000);
        id.set(49, 0x2f00); // standby timers, IORDY, LBA, DMA
        id.set(50, 0x4000);
        id.set(53, 0x0007);
        let current = cylinders(heads, track_sectors);
        id.set(54, current);
        id.set(55, heads.into());
        id.set(56, track_sectors.into());
        id.set_u32(57, u32::from(current) * u32::from(heads) * u32::from(track_sectors));
        id.set(59, if multiple == 0 { 0 } else { 0x0100 | u16::from(multiple) });
        id.set_u32(60, sectors.min(LBA28_SECTORS - 1) as u32);
        id.set(69, 0x4000); // what is read after TRIM stays the same
        id.set(75, u16::from(QUEUE_DEPTH - 1));
        id.set(76, 0x0106); // queuing, 1.5 and 3 Gb/s
        id.set(82, 0x0069); // read-ahead, write cache, power management, SMART
        id.set(83, 0x7400); // flush, 48 bit addresses
        id.set(84, 0x4060); // forced unit access, logs
        id.set(85, 0x0008 | u16::from(smart) | u16::from(write_cache) << 5 | u16::from(read_ahead) << 6);
        id.set(86, 0x3400);
        id.set(87, 0x4060);
        id.set_u48(100, sectors);
        id.set(105, MAX_TRIM_BLOCKS);
        id.set(106, 0x4000);
        id.set(169, 0x0001); // TRIM
        id.set(217, 0x0001); // does not rotate
        id.bytes()
    }
}

/// A transfer mode that SET FEATURES takes.
pub(super) fn transfer_mode(mode: u8) -> Option<u8> {
    matches!(mode, 0x00 | 0x01 | 0x08..=0x0c | 0x20..=0x22 | 0x40..=0x46).then_some(mode)
}

impl State for AtaDisk {
    const KIND: &'static str = "ata-disk";
    type Saved = AtaDiskState;

    fn save(&self) -> AtaDiskState {
        let Self { queue: _, serial: _, model: _, settings, queued_error } = self;
        AtaDiskState { settings: *settings, queued_error: *queued_error }
    }

    fn restore(&mut self, saved: AtaDiskState) -> Result<(), RestoreError> {
        let AtaDiskState { settings, queued_error } = saved;
        if settings.heads == 0 || settings.heads > 16 || settings.track_sectors == 0 {
            return Err(Self::impossible("geometry"));
        }
        if settings.multiple > MAX_MULTIPLE || transfer_mode(settings.transfer_mode).is_none() {
            return Err(Self::impossible("transfer mode"));
        }
        if queued_error.is_some_and(|error| error.tag >= QUEUE_DEPTH) {
            return Err(Self::impossible("tag"));
        }
        (self.settings, self.queued_error) = (settings, queued_error);
        Ok(())
    }
}
