//! A disk on USB: a stick, or a drive in a box.
//!
//! It speaks Bulk-Only Transport ([`bot`]), which every system and all firmware know, and where it runs at USB 3's speeds, in another
//! setting of its interface, USB Attached SCSI ([`uas`]), by which many commands are under way at once. The commands are SCSI's
//! (`scsi`). Data go straight between the disk and guest memory. What the disk has of a transfer that is cancelled, it finishes: nothing
//! new begins before.

mod bot;
mod link;
mod uas;
mod work;

use device::{RestoreError, State};
use disk::{DiskQueue, SECTOR};
use serde::{Deserialize, Serialize};

use self::bot::{Bot, BotState};
use self::link::Link;
use self::uas::{Uas, UasState};
use super::descriptor::{Configuration, Descriptors, Identity, Interface, Pipe, PipeKind, with_header};
use super::pending::Pending;
use super::scsi::{self, Unit, UnitState};
use super::standard::{Change, Reply, Standard, StandardState};
use crate::{Completion, Direction, Endpoint, Fault, Function, Kind, Setup, Speed, Transfer, TransferId, Waker};

/// Mass storage, SCSI, Bulk-Only Transport.
const BULK_ONLY: [u8; 3] = [0x08, 0x06, 0x50];
/// Mass storage, SCSI, USB Attached SCSI.
const ATTACHED: [u8; 3] = [0x08, 0x06, 0x62];
/// The descriptor that says what a pipe is for.
const PIPE_USAGE: u8 = 0x24;

const IN: Endpoint = Endpoint { number: 1, direction: Direction::In };
const OUT: Endpoint = Endpoint { number: 2, direction: Direction::Out };
// Of USB Attached SCSI, whose data go over the two above.
const STATUS: Endpoint = Endpoint { number: 3, direction: Direction::In };
const COMMAND: Endpoint = Endpoint { number: 4, direction: Direction::Out };

/// Ids under which systems know the USB disks of virtual machines; there are none of our own.
const VENDOR: u16 = 0x46f4;
const PRODUCT: u16 = 0x0001;

// Requests (Bulk-Only Transport 1.0, 3), with their types.
const RESET: (u8, u8) = (0x21, 0xff);
const GET_MAX_LUN: (u8, u8) = (0xa1, 0xfe);

/// What a disk on USB is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// [`Speed::Super`] or [`Speed::High`].
    pub speed: Speed,
    /// What it is known by, always the same for a drive. Any characters; the guest sees a number that is made of them.
    pub serial: String,
    /// Do systems treat it as a stick that one pulls out?
    pub removable: bool,
    /// May the guest give space back to the host?
    pub discard: bool,
}

/// The function.
pub struct MassStorage {
    standard: Standard,
    unit: Unit,
    link: Link,
    pending: Pending,
    bot: Bot,
    uas: Uas,
}

/// The saved function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MassStorageState {
    standard: StandardState,
    unit: UnitState,
    bot: BotState,
    uas: UasState,
}

impl MassStorage {
    /// A disk over `disk`; [`Self::connect`] is called before it is used.
    pub fn new(disk: DiskQueue, options: Options) -> Self {
        let Options { speed, serial, removable, discard } = options;
        // Bulk-Only Transport wants twelve hexadecimal digits or more.
        let serial = format!("{:016X}", scsi::hash(serial.as_bytes()));
        let read_only = disk.is_read_only();
        let identity = scsi::Identity {
            serial: serial.clone(),
            removable,
            read_only,
            discard: discard && !read_only,
            sectors: disk.size() / SECTOR,
        };
        Self {
            standard: Standard::new(descriptors(speed, serial)),
            unit: Unit::new(identity),
            link: Link::new(disk),
            pending: Pending::default(),
            bot: Bot::default(),
            uas: Uas::default(),
        }
    }

    /// Makes the disk report; `waker` is for the port that the function is in, or behind.
    pub fn connect(&mut self, waker: Waker) {
        self.link.connect(waker);
    }

    fn control(&mut self, setup: Setup, transfer: &Transfer) -> Completion {
        let reply = match self.standard.request(setup) {
            Some((reply, change)) => {
                match change {
                    Change::Configuration | Change::Setting => {
                        self.forget();
                        self.pending.fail_all(Fault::Transaction);
                    }
                    Change::Halted(endpoint) => self.pending.fail(endpoint, Fault::Stall),
                    Change::Cleared(_) | Change::Nothing => {}
                }
                reply
            }
            None => self.request(setup),
        };
        self.advance();
        reply.complete(setup, &transfer.memory)
    }

    fn request(&mut self, setup: Setup) -> Reply {
        if !self.standard.is_configured() || (setup.value, setup.index) != (0, 0) {
            return Reply::Stall;
        }
        match (setup.kind, setup.request) {
            _ if self.is_attached() => Reply::Stall,
            RESET if setup.length == 0 => {
                self.bot.reset();
                self.link.forget_all();
                Reply::Done
            }
            GET_MAX_LUN => Reply::Data(vec![0]),
            _ => Reply::Stall,
        }
    }

    /// Is the setting that of USB Attached SCSI?
    fn is_attached(&self) -> bool {
        self.standard.setting(0) == 1
    }

    /// Gives up all commands.
    fn forget(&mut self) {
        self.bot.reset();
        self.uas.reset();
        self.link.forget_all();
    }

    /// Does what can be done now.
    fn advance(&mut self) {
        for (tag, result) in self.link.answers() {
            match self.is_attached() {
                true => self.uas.answered(tag, result, &mut self.unit, &mut self.pending),
                false => self.bot.answered(tag, result, &mut self.unit, &mut self.pending),
            }
        }
        if self.is_attached() {
            if self.uas.advance(&mut self.unit, &mut self.link, &mut self.pending) {
                self.standard.halt(COMMAND);
            }
        } else if self.bot.advance(&mut self.unit, &mut self.link, &mut self.pending) {
            self.standard.halt(IN);
            self.standard.halt(OUT);
        }
    }
}

impl Function for MassStorage {
    fn speed(&self) -> Speed {
        self.standard.speed()
    }

    fn reset(&mut self) {
        self.standard.reset();
        self.unit.reset();
        self.pending.clear();
        self.forget();
    }

    fn submit(&mut self, transfer: Transfer) -> Option<Completion> {
        match transfer.kind {
            Kind::Control(setup) if transfer.endpoint == Endpoint::CONTROL => Some(self.control(setup, &transfer)),
            Kind::Bulk { .. } => {
                if let Err(fault) = self.standard.admit(transfer.endpoint) {
                    return Some(Completion::failed(fault));
                }
                let id = transfer.id;
                if let Some(refused) = self.pending.push(transfer) {
                    return Some(refused);
                }
                self.advance();
                self.pending.taken(id)
            }
            Kind::Control(_) | Kind::Interrupt | Kind::Isochronous => Some(Completion::failed(Fault::Transaction)),
        }
    }

    fn cancel(&mut self, id: TransferId) {
        self.pending.cancel(id);
        self.bot.cancel(id, &mut self.link);
        self.uas.cancel(id, &mut self.link);
    }

    fn collect(&mut self) -> Option<(TransferId, Completion)> {
        self.advance();
        self.pending.collect()
    }
}

impl State for MassStorage {
    const KIND: &'static str = "usb-storage";
    type Saved = MassStorageState;

    fn save(&self) -> MassStorageState {
        let Self { standard, unit, link: _, pending: _, bot, uas } = self;
        MassStorageState { standard: standard.save(), unit: unit.save(), bot: bot.save(), uas: uas.save() }
    }

    fn restore(&mut self, saved: MassStorageState) -> Result<(), RestoreError> {
        let MassStorageState { standard, unit, bot, uas } = saved;
        self.pending.clear();
        self.forget();
        self.standard.restore(standard).map_err(Self::impossible)?;
        self.unit.restore(unit);
        self.bot.restore(bot, &self.unit).map_err(Self::impossible)?;
        self.uas.restore(uas, &self.unit).map_err(Self::impossible)
    }
}

fn descriptors(speed: Speed, serial: String) -> Descriptors {
    let identity =
        Identity { class: [0; 3], vendor: VENDOR, product: PRODUCT, release: 0x0100, name: "Dormer USB Disk", serial };
    let slower = (speed == Speed::High).then(|| configuration(Speed::Full));
    Descriptors { speed, identity, configuration: configuration(speed), slower }
}

fn configuration(speed: Speed) -> Configuration {
    let (packet, burst) = match speed {
        Speed::Low | Speed::Full => (64, 0),
        Speed::High => (512, 0),
        Speed::Super | Speed::SuperPlus => (1024, 15),
    };
    let bulk = |endpoint| Pipe { endpoint, kind: PipeKind::Bulk { streams: 0 }, packet, burst, of_class: Vec::new() };
    let bulk_only =
        Interface { number: 0, setting: 0, class: BULK_ONLY, of_class: Vec::new(), pipes: vec![bulk(IN), bulk(OUT)] };
    let mut interfaces = vec![bulk_only];
    if speed.is_super() {
        let pipe = |endpoint, usage, streams| Pipe {
            kind: PipeKind::Bulk { streams },
            of_class: with_header(PIPE_USAGE, &[usage, 0]),
            ..bulk(endpoint)
        };
        let pipes = [(COMMAND, 1, 0), (STATUS, 2, uas::STREAMS), (IN, 3, uas::STREAMS), (OUT, 4, uas::STREAMS)];
        let pipes = pipes.into_iter().map(|(endpoint, usage, streams)| pipe(endpoint, usage, streams)).collect();
        interfaces.push(Interface { number: 0, setting: 1, class: ATTACHED, of_class: Vec::new(), pipes });
    }
    Configuration { self_powered: true, wakes: false, milliamperes: 0, interfaces }
}

#[cfg(test)]
#[path = "storage_test.rs"]
mod tests;
