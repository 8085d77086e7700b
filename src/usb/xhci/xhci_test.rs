use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use device::bench::{Bench, check_state};
use device::{RestoreError, State};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::{Bus, Completion, Direction, Fault, Function, Kind, Speed, Transfer, TransferId};

#[path = "abuse_test.rs"]
mod abuse;
#[path = "ring_test.rs"]
mod rings;

pub(super) const CONTEXTS: u64 = 0x1000;
pub(super) const TABLE: u64 = 0x2000;
pub(super) const INPUT: u64 = 0x2800;
pub(super) const EVENTS: u64 = 0x3000;
pub(super) const COMMANDS: u64 = 0x4000;
pub(super) const DEVICE: u64 = 0x5000;
/// Rings of endpoints: 0x1000 for each, by the number of their context.
pub(super) const RINGS: u64 = 0x1_0000;
pub(super) const DATA: u64 = 0x4_0000;
pub(super) const RAM: usize = 0x8_0000;

pub(super) const COMMAND: u64 = 0x40;
pub(super) const STATUS: u64 = 0x44;
pub(super) const PORT: u64 = 0x440;
pub(super) const RUNTIME: u64 = 0x1000;
pub(super) const DOORBELL: u64 = 0x2000;
/// TRBs of the event ring.
pub(super) const EVENT_COUNT: u64 = 64;

/// A device that gives `answer` to what it is asked, or keeps it until it is let go.
pub(super) struct Tester {
    pub(super) speed: Speed,
    pub(super) waiting: Vec<Transfer>,
    pub(super) done: Vec<(TransferId, Completion)>,
    pub(super) seen: Vec<(u8, Kind, u64)>,
    pub(super) resets: u32,
    pub(super) forgotten: Vec<(u8, u16)>,
}

/// As its owner and its controller have it.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Mutex<Tester>>);

impl Shared {
    pub(super) fn new(speed: Speed) -> Self {
        let tester =
            Tester { speed, waiting: Vec::new(), done: Vec::new(), seen: Vec::new(), resets: 0, forgotten: Vec::new() };
        Self(Arc::new(Mutex::new(tester)))
    }

    pub(super) fn with<R>(&self, tell: impl FnOnce(&mut Tester) -> R) -> R {
        tell(&mut self.0.lock().unwrap())
    }

    /// Ends the oldest transfer that waits.
    pub(super) fn end(&self, completion: Completion) {
        self.with(|tester| {
            let transfer = tester.waiting.remove(0);
            tester.done.push((transfer.id, completion));
        });
    }
}

impl State for Shared {
    const KIND: &'static str = "tester";
    type Saved = u32;

    fn save(&self) -> u32 {
        self.0.lock().unwrap().resets
    }

    fn restore(&mut self, saved: u32) -> Result<(), RestoreError> {
        self.with(|tester| {
            assert!(tester.waiting.is_empty(), "nothing is with it when it is restored");
            tester.resets = saved;
        });
        Ok(())
    }
}

impl Function for Shared {
    fn speed(&self) -> Speed {
        self.0.lock().unwrap().speed
    }

    fn reset(&mut self) {
        self.with(|tester| {
            tester.resets += 1;
            tester.waiting.clear();
            tester.done.clear();
        });
    }

    fn submit(&mut self, transfer: Transfer) -> Option<Completion> {
        self.with(|tester| {
            let length = transfer.memory.len();
            tester.seen.push((transfer.endpoint.address(), transfer.kind, length));
            match transfer.kind {
                Kind::Control(setup) if setup.request == 0xee => Some(Completion::failed(Fault::Stall)),
                Kind::Control(setup) if setup.direction() == Direction::In => {
                    let bytes: Vec<u8> = (0..18).collect();
                    let most = length.min(setup.length.into()).min(18) as usize;
                    transfer.memory.write(0, &bytes[..most]).ok()?;
                    Some(Completion::done(most as u64))
                }
                // Endpoint 2 takes all, endpoint 3 gives half of what there is room for.
                _ if transfer.endpoint.number == 2 => Some(Completion::done(length)),
                _ if transfer.endpoint.number == 3 => Some(Completion::done(length / 2)),
                Kind::Control(_) => Some(Completion::done(length)),
                _ => {
                    tester.waiting.push(transfer);
                    None
                }
            }
        })
    }

    fn cancel(&mut self, id: TransferId) {
        self.with(|tester| {
            tester.waiting.retain(|transfer| transfer.id != id);
            tester.done.retain(|(done, _)| *done != id);
        });
    }

    fn collect(&mut self) -> Option<(TransferId, Completion)> {
        self.with(|tester| (!tester.done.is_empty()).then(|| tester.done.remove(0)))
    }

    fn endpoint_reset(&mut self, endpoint: crate::Endpoint, streams: u16) {
        self.with(|tester| tester.forgotten.push((endpoint.address(), streams)));
    }
}

/// A hub whose port 3 has something in it.
pub(super) struct Hub(pub(super) Shared, pub(super) Shared);

impl State for Hub {
    const KIND: &'static str = "hub";
    type Saved = (u32, u32);
    fn save(&self) -> (u32, u32) {
        (self.0.save(), self.1.save())
    }
    fn restore(&mut self, saved: (u32, u32)) -> Result<(), RestoreError> {
        self.0.restore(saved.0)?;
        self.1.restore(saved.1)
    }
}

impl Function for Hub {
    fn speed(&self) -> Speed {
        Speed::High
    }
    fn reset(&mut self) {
        self.0.reset();
        self.1.reset();
    }
    fn submit(&mut self, transfer: Transfer) -> Option<Completion> {
        self.0.submit(transfer)
    }
    fn cancel(&mut self, id: TransferId) {
        self.0.cancel(id);
    }
    fn collect(&mut self) -> Option<(TransferId, Completion)> {
        self.0.collect()
    }
    fn child(&mut self, port: u8) -> Option<&mut dyn Function> {
        (port == 3).then_some(&mut self.1)
    }
}

/// A machine with the controller, and a small driver for it.
pub(super) struct Machine {
    pub(super) bench: Bench,
    pub(super) xhci: Arc<Mutex<Xhci>>,
    /// Where the driver puts the next command, and reads the next event.
    command: (u64, bool),
    event: (u64, bool),
    /// Where it puts the next TRB of each endpoint.
    pub(super) rings: [(u64, bool); 32],
}

impl Machine {
    pub(super) fn new() -> Self {
        let bench = Bench::new(RAM);
        let xhci = Arc::new_cyclic(|weak: &Weak<Mutex<Xhci>>| {
            let timers = Timers::new(&|which| {
                let timer = bench.timers.timer(which);
                timer.connect(weak.clone());
                timer
            });
            let mut xhci = Xhci::new(bench.clock.clone(), timers, bench.dma(), bench.msi());
            xhci.core_mut().connect_intx(bench.line.share());
            xhci.config_write(4, Size::Word, 6);
            Mutex::new(xhci)
        });
        Self { bench, xhci, command: (COMMANDS, true), event: (EVENTS, true), rings: [(0, true); 32] }
    }

    /// It runs, with one segment of events and INTx, as drivers leave it.
    pub(super) fn started() -> Self {
        let mut m = Self::new();
        m.set_up();
        m
    }

    pub(super) fn set_up(&mut self) {
        self.write(COMMAND, 2);
        assert_eq!((self.read(COMMAND), self.read(STATUS)), (0, 1));
        (self.command, self.event) = ((COMMANDS, true), (EVENTS, true));
        self.put(0x1000, &[0; 0x4000]);
        self.put(RINGS, &[0; 0x8000]);
        self.write(0x78, 64);
        self.write_long(0x70, CONTEXTS);
        self.write_long(0x58, COMMANDS | 1);
        self.put(TABLE, &[EVENTS.to_le_bytes(), EVENT_COUNT.to_le_bytes()].concat());
        self.write(RUNTIME + 0x28, 1);
        self.write_long(RUNTIME + 0x38, EVENTS);
        self.write_long(RUNTIME + 0x30, TABLE);
        self.write(RUNTIME + 0x24, 0);
        self.write(RUNTIME + 0x20, 2);
        self.write(COMMAND, 5);
        assert_eq!(self.read(STATUS) & 1, 0);
    }

    pub(super) fn xhci(&self) -> MutexGuard<'_, Xhci> {
        self.xhci.lock().unwrap()
    }

    pub(super) fn read(&self, offset: u64) -> u32 {
        self.xhci().bar_read(0, offset, Size::Dword) as u32
    }
    pub(super) fn write(&self, offset: u64, value: u32) {
        self.xhci().bar_write(0, offset, Size::Dword, value.into());
    }
    pub(super) fn write_long(&self, offset: u64, value: u64) {
        self.xhci().bar_write(0, offset, Size::Qword, value);
    }
    pub(super) fn put(&self, at: u64, bytes: &[u8]) {
        self.bench.ram.write_slice(bytes, GuestAddress(at)).unwrap();
    }
    pub(super) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }
    pub(super) fn word(&self, at: u64) -> u32 {
        self.bench.ram.read_obj(GuestAddress(at)).unwrap()
    }
    pub(super) fn put_words(&self, at: u64, words: &[u32]) {
        self.put(at, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
    }
    pub(super) fn put_trb(&self, at: u64, parameter: u64, status: u32, control: u32) {
        self.put_words(at, &[parameter as u32, (parameter >> 32) as u32, status, control]);
    }

    /// The next event, as kind, code, parameter, rest of its status, and control word.
    pub(super) fn event(&mut self) -> Option<Event> {
        let (at, cycle) = self.event;
        let control = self.word(at + 12);
        if (control & 1 != 0) != cycle {
            return None;
        }
        let next = at + 16;
        self.event = if next == EVENTS + 16 * EVENT_COUNT { (EVENTS, !cycle) } else { (next, cycle) };
        let status = self.word(at + 8);
        Some(Event {
            kind: control >> 10 & 0x3f,
            code: status >> 24,
            parameter: u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32,
            rest: status & 0xff_ffff,
            slot: control >> 24,
            endpoint: control >> 16 & 0x1f,
            is_data: control & 4 != 0,
        })
    }

    /// All events that there are, and says that they have been seen.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            events.extend(std::iter::from_fn(|| self.event()));
            self.write_long(RUNTIME + 0x38, self.event.0 | 8);
            self.write(RUNTIME + 0x20, 3);
            if self.word(self.event.0 + 12) & 1 != u32::from(self.event.1) {
                return events;
            }
        }
    }

    /// A command, and the event that says it is done.
    pub(super) fn command(&mut self, kind: u32, parameter: u64, control: u32) -> Event {
        let (at, cycle) = self.command;
        self.put_trb(at, parameter, 0, control | kind << 10 | u32::from(cycle));
        self.command.0 = at + 16;
        if self.command.0 == COMMANDS + 0x100 {
            self.put_trb(at + 16, COMMANDS, 0, 6 << 10 | 2 | u32::from(cycle));
            self.command = (COMMANDS, !cycle);
        }
        self.write(DOORBELL, 0);
        let events = self.events();
        let done = events.iter().find(|event| event.kind == 33).expect("commands are done at once");
        assert_eq!(done.parameter, at);
        *done
    }

    /// Puts a device into the first port for it, resets the port and gives the port.
    pub(super) fn plug(&mut self, function: impl Function + 'static) -> u8 {
        let port = self.xhci().attach(Box::new(function), None).unwrap();
        self.events();
        self.write(port_at(port), 1 << 9 | 1 << 4);
        assert_eq!(self.read(port_at(port)) & 0x1f3, 3, "enabled, U0");
        self.write(port_at(port), 1 << 9 | 0xfe_0000);
        self.events();
        port
    }

    /// The input context of a device in `port`.
    pub(super) fn input(&self, port: u8, route: u32) {
        self.put(INPUT, &[0; 0x420]);
        self.put_words(INPUT, &[0, 3]);
        self.put_words(INPUT + 0x20, &[1 << 27 | 3 << 20 | route, u32::from(port) << 16]);
        self.put_words(INPUT + 0x40, &[0, 64 << 16 | 4 << 3 | 3 << 1, ring_of(1) as u32 | 1]);
    }

    /// A slot for the device in `port`, addressed. Gives the slot.
    pub(super) fn address(&mut self, port: u8, route: u32) -> u8 {
        let slot = self.command(9, 0, 0);
        assert_eq!(slot.code, 1);
        let slot = slot.slot as u8;
        self.put(CONTEXTS + 8 * u64::from(slot), &device_of(slot).to_le_bytes());
        self.input(port, route);
        self.rings[1] = (ring_of(1), true);
        assert_eq!(self.command(11, INPUT, u32::from(slot) << 24).code, 1);
        assert_eq!(self.word(device_of(slot) + 12), 2 << 27 | u32::from(slot));
        slot
    }

    /// Adds endpoints to a slot by their contexts' numbers and types; with streams where the third number says so.
    pub(super) fn configure(&mut self, slot: u8, endpoints: &[(u8, u32, u32)]) -> u32 {
        let add = endpoints.iter().fold(1, |add, (number, ..)| add | 1 << number);
        self.put(INPUT, &[0; 0x420]);
        self.put_words(INPUT, &[0, add]);
        self.put_words(INPUT + 0x20, &[31 << 27]);
        for &(number, kind, streams) in endpoints {
            let ring = ring_of(number) as u32;
            let (first, pointer) = if streams == 0 { (0, ring | 1) } else { (streams << 10 | 1 << 15, ring) };
            let at = INPUT + 0x20 * (u64::from(number) + 1);
            self.put_words(at, &[first, 512 << 16 | kind << 3 | 3 << 1, pointer]);
            self.rings[usize::from(number)] = (ring_of(number), true);
        }
        self.command(12, INPUT, u32::from(slot) << 24).code
    }

    /// Puts a TRB onto an endpoint's ring. Gives its address.
    pub(super) fn queue(&mut self, endpoint: u8, parameter: u64, status: u32, control: u32) -> u64 {
        let (at, cycle) = self.rings[usize::from(endpoint)];
        self.put_trb(at, parameter, status, control | u32::from(cycle));
        self.rings[usize::from(endpoint)].0 = at + 16;
        at
    }

    pub(super) fn ring(&self, slot: u8, endpoint: u8) {
        self.write(DOORBELL + 4 * u64::from(slot), endpoint.into());
    }

    /// A request with a data stage into `DATA`. Gives the codes of the events.
    pub(super) fn request(&mut self, slot: u8, setup: [u8; 8], length: u32) -> Vec<(u32, u32)> {
        let into = setup[0] & 0x80 != 0;
        self.queue(1, u64::from_le_bytes(setup), 8, 2 << 10 | 1 << 6 | if into { 3 << 16 } else { 0 });
        if length > 0 {
            self.queue(1, DATA, length, 3 << 10 | 1 << 2 | u32::from(into) << 16);
        }
        self.queue(1, 0, 0, 4 << 10 | 1 << 5);
        self.ring(slot, 1);
        self.events().iter().map(|event| (event.code, event.rest)).collect()
    }

    pub(super) fn endpoint_state(&self, slot: u8, endpoint: u8) -> u32 {
        self.word(device_of(slot) + 0x20 * u64::from(endpoint)) & 7
    }

    pub(super) fn dequeue(&self, slot: u8, endpoint: u8) -> u64 {
        self.word(device_of(slot) + 0x20 * u64::from(endpoint) + 8).into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: u32,
    pub(super) code: u32,
    pub(super) parameter: u64,
    pub(super) rest: u32,
    pub(super) slot: u32,
    pub(super) endpoint: u32,
    pub(super) is_data: bool,
}

pub(super) fn port_at(port: u8) -> u64 {
    PORT + 0x10 * (u64::from(port) - 1)
}

pub(super) fn ring_of(endpoint: u8) -> u64 {
    RINGS + 0x1000 * u64::from(endpoint)
}

pub(super) fn device_of(slot: u8) -> u64 {
    DEVICE + 0x400 * (u64::from(slot) - 1)
}

const DESCRIPTOR: [u8; 8] = [0x80, 6, 0, 1, 0, 0, 18, 0];

/// Endpoint types.
const BULK_OUT: u32 = 2;
const BULK_IN: u32 = 6;
const INTERRUPT_IN: u32 = 7;

#[test]
fn capabilities_say_what_is_there() {
    let m = Machine::new();
    assert_eq!(Size::Byte.cut(m.xhci().bar_read(0, 0, Size::Byte)), 0x40);
    assert_eq!(Size::Word.cut(m.xhci().bar_read(0, 2, Size::Word)), 0x110);
    assert_eq!(m.read(4), 0x1000_0840);
    assert_eq!((m.read(0x14), m.read(0x18)), (0x2000, 0x1000));
    // The extended capabilities, as drivers walk them.
    let mut at = u64::from(m.read(0x10) >> 16) * 4;
    let mut protocols = Vec::new();
    loop {
        let head = m.read(at);
        assert_eq!((head & 0xff, m.read(at + 4)), (2, 0x2042_5355));
        protocols.push((head >> 16, m.read(at + 8) & 0xffff));
        match head >> 8 & 0xff {
            0 => break,
            next => at += u64::from(next) * 4,
        }
    }
    assert_eq!(protocols, [(0x200, 0x0801), (0x310, 0x0809)]);
    assert_eq!(m.read(0x48), 1);
    let mut xhci = m.xhci();
    assert_eq!(xhci.config_read(8, Size::Dword), 0x0c_0330_01);
    assert_eq!(xhci.config_read(0x10, Size::Dword) & 0xf, 4);
    // MSI-X behind the other registers.
    let mut at = xhci.config_read(0x34, Size::Byte);
    while xhci.config_read(at as u16, Size::Byte) != 0x11 {
        at = xhci.config_read(at as u16 + 1, Size::Byte);
        assert_ne!(at, 0);
    }
    let of = |offset| xhci.core().config_read(at as u16 + offset, Size::Dword);
    assert_eq!((of(0) >> 16, of(4), of(8)), (7, 0x3000, 0x3800));
}

#[test]
fn a_port_follows_what_is_in_it() {
    let mut m = Machine::started();
    assert_eq!(m.read(port_at(1)), 0x2a0);
    let (slow, fast) = (Shared::new(Speed::Full), Shared::new(Speed::Super));
    assert_eq!(m.xhci().attach(Box::new(slow.clone()), None), Ok(1));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), None), Ok(9));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), Some(1)), Err(NoPort));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), Some(9)), Err(NoPort));
    assert_eq!(m.xhci().attach(Box::new(fast.clone()), Some(12)), Ok(12));
    let changed: Vec<_> = m.events().iter().map(|event| (event.kind, event.parameter)).collect();
    assert_eq!(changed, [(34, 1 << 24), (34, 9 << 24), (34, 12 << 24)]);
    assert_eq!(m.read(STATUS) & 0x10, 0x10);
    m.write(STATUS, 0x10);
    assert_eq!(m.read(STATUS) & 0x10, 0);
    // Polling and full speed; U0, enabled and super speed.
    assert_eq!((m.read(port_at(1)), m.read(port_at(9))), (0x2_06e1, 0x2_1203));
    // Changes are answered one by one; a reset enables.
    m.write(port_at(1), 0x2_0200);
    assert_eq!(m.read(port_at(1)), 0x6e1);
    let before = slow.with(|tester| tester.resets);
    m.write(port_at(1), 0x210);
    assert_eq!(slow.with(|tester| tester.resets), before + 1);
    assert_eq!(m.read(port_at(1)), 0x20_0603);
    m.write(port_at(9), 0x8000_0200);
    assert_eq!(m.read(port_at(9)), 0x2a_1203);
    m.write(port_at(9), 0x2a_0200);
    m.write(port_at(1), 0x20_0200);
    m.events();
    // Sleep, wake by what is in it, and end of that.
    m.write(port_at(1), 0x1_0260);
    assert_eq!(m.read(port_at(1)), 0x663);
    m.xhci().woken(1);
    assert_eq!(m.read(port_at(1)), 0x40_07e3);
    m.write(port_at(1), 0x40_0200);
    m.write(port_at(1), 0x1_0200);
    assert_eq!(m.read(port_at(1)), 0x40_0603);
    assert_eq!(m.events().len(), 2);
    // Without the strobe PLS is not written; ones to PED disable.
    m.write(port_at(9), 0x260);
    assert_eq!(m.read(port_at(9)), 0x1203);
    m.write(port_at(9), 0x202);
    assert_eq!(m.read(port_at(9)), 0x1281);
    m.write(port_at(9), 0x1_02a0);
    assert_eq!(m.read(port_at(9)), 0x2_1203);
    m.write(port_at(1), 0x40_0202);
    assert_eq!(m.read(port_at(1)), 0x6e1);
    m.events();
    // Gone.
    assert!(m.xhci().detach(1).is_some() && m.xhci().detach(1).is_none());
    assert_eq!(m.read(port_at(1)), 0x2_02a0);
    assert_eq!(m.events().len(), 1);
    assert!(m.xhci().detach(0).is_none() && m.xhci().detach(17).is_none());
    // A controller that is reset finds what is there, and says so when it runs.
    m.write(COMMAND, 2);
    assert_eq!((m.read(port_at(9)), m.read(port_at(1))), (0x2_1203, 0x2a0));
    m.set_up();
    let changed: Vec<_> = m.events().iter().map(|event| (event.kind, event.parameter)).collect();
    assert_eq!(changed, [(34, 9 << 24), (34, 12 << 24)]);
}

#[test]
fn all_ports_of_a_kind_can_be_taken() {
    let m = Machine::new();
    for port in 1..=8 {
        assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::High)), None), Ok(port));
    }
    assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::Low)), None), Err(NoPort));
    assert_eq!(m.xhci().attach(Box::new(Shared::new(Speed::SuperPlus)), None), Ok(9));
    assert!(m.xhci().function(8).is_some() && m.xhci().function(10).is_none() && m.xhci().function(0).is_none());
}

#[test]
fn a_device_is_addressed_and_described() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    // Data stage short, then the status stage.
    assert_eq!(m.request(slot, DESCRIPTOR, 64), [(13, 46), (1, 0)]);
    assert_eq!(m.bytes(DATA, 19), (0..18).chain([0]).collect::<Vec<u8>>());
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    // SET_ADDRESS is the controller's.
    let seen = tester.with(|tester| tester.seen.len());
    assert_eq!(m.request(slot, [0, 5, 1, 0, 0, 0, 0, 0], 0), [(6, 0)]);
    assert_eq!(tester.with(|tester| tester.seen.len()), seen);
    assert_eq!(m.endpoint_state(slot, 1), 2);
    // Halted: doorbells do nothing until it is reset, and the ring stands where it failed.
    assert_eq!(m.request(slot, DESCRIPTOR, 18), []);
    let failed = m.rings[1].0 - 5 * 16;
    assert_eq!(m.dequeue(slot, 1), failed | 1);
    let control = u32::from(slot) << 24 | 1 << 16;
    assert_eq!(m.command(15, 0, control).code, 19, "not running");
    assert_eq!(m.command(14, 0, control).code, 1);
    assert_eq!((m.endpoint_state(slot, 1), m.command(14, 0, control).code), (3, 19));
    assert_eq!(m.command(16, m.rings[1].0 | 1, control).code, 1);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    assert_eq!(m.endpoint_state(slot, 1), 1);
    // A request that the device does not know.
    assert_eq!(m.request(slot, [0x80, 0xee, 0, 0, 0, 0, 8, 0], 8), [(6, 8)]);
}

#[test]
fn commands_answer_what_they_must() {
    let mut m = Machine::started();
    assert_eq!(m.command(23, 0, 0).code, 1);
    for unknown in [0, 1, 18, 19, 20, 22, 24, 25, 63] {
        assert_eq!(m.command(unknown, 0, 0).code, 5, "{unknown}");
    }
    for of_a_slot in [10, 11, 12, 13, 14, 15, 16, 17] {
        for slot in [0, 1, 64, 65, 255] {
            assert_eq!(m.command(of_a_slot, INPUT, slot << 24).code, 11, "{of_a_slot} {slot}");
        }
    }
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    // No device there; a port that is not; wrong flags.
    let slot = m.command(9, 0, 0).slot;
    m.put(CONTEXTS + 8, &device_of(1).to_le_bytes());
    m.input(port + 1, 0);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 4);
    m.input(port, 5);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 4);
    m.input(17, 0);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 17);
    m.input(port, 0);
    m.put_words(INPUT, &[0, 1]);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 17);
    // Only the slot for now, then the address.
    m.input(port, 0);
    assert_eq!(m.command(11, INPUT, slot << 24 | 1 << 9).code, 1);
    assert_eq!(m.word(DEVICE + 12), 1 << 27);
    assert_eq!(m.command(11, INPUT, slot << 24 | 1 << 9).code, 19);
    assert_eq!(m.command(12, INPUT, slot << 24).code, 19);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 1);
    assert_eq!(m.command(11, INPUT, slot << 24).code, 19);
    // Endpoints: of the wrong direction, a control one, streams beyond what there are.
    assert_eq!(m.configure(1, &[(3, BULK_OUT, 0)]), 17);
    assert_eq!(m.configure(1, &[(4, 4, 0)]), 17);
    assert_eq!(m.configure(1, &[(4, BULK_OUT, 8)]), 17);
    assert_eq!(m.configure(1, &[(4, BULK_OUT, 0), (7, BULK_IN, 0)]), 1);
    assert_eq!((m.word(DEVICE) >> 27, m.word(DEVICE + 12)), (7, 3 << 27 | 1));
    assert_eq!((m.endpoint_state(1, 4), m.endpoint_state(1, 7)), (1, 1));
    assert_eq!(tester.with(|tester| std::mem::take(&mut tester.forgotten)), [(2, 0), (0x83, 0)]);
    assert_eq!(m.command(15, 0, slot << 24 | 5 << 16).code, 12);
    assert_eq!(m.command(16, ring_of(4), slot << 24 | 4 << 16).code, 19, "it runs");
    // Evaluate Context: packets of endpoint 0.
    m.put_words(INPUT, &[0, 2]);
    m.put_words(INPUT + 0x40, &[0, 8 << 16]);
    assert_eq!(m.command(13, INPUT, slot << 24).code, 1);
    assert_eq!(m.word(DEVICE + 0x24), 8 << 16 | 4 << 3 | 3 << 1);
    // Bandwidth, and endpoints gone again.
    assert_eq!(m.command(21, INPUT, 3 << 16).code, 1);
    assert_eq!(m.bytes(INPUT, 17), [&[0][..], &[90; 16]].concat());
    assert_eq!(m.command(12, 0, slot << 24 | 1 << 9).code, 1);
    assert_eq!((m.word(DEVICE) >> 27, m.word(DEVICE + 12), m.endpoint_state(1, 4)), (1, 2 << 27 | 1, 0));
    assert_eq!(m.command(17, 0, slot << 24).code, 1);
    assert_eq!((m.word(DEVICE + 12), m.command(17, 0, slot << 24).code), (1 << 27, 19));
    assert_eq!(m.command(10, 0, slot << 24).code, 1);
    assert_eq!((m.word(DEVICE + 12), m.command(10, 0, slot << 24).code), (0, 11));
    // As many slots as the driver wants.
    m.write(0x78, 3);
    let codes: Vec<_> = (0..4).map(|_| m.command(9, 0, 0).code).collect();
    assert_eq!(codes, [1, 1, 1, 9]);
}

#[test]
fn transfers_that_wait_are_done_later() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    assert_eq!(m.configure(slot, &[(3, INTERRUPT_IN, 0), (4, BULK_OUT, 0), (7, BULK_IN, 0)]), 1);
    // Endpoint 1 gives something when it has it.
    let first = m.queue(3, DATA, 8, 1 << 10 | 1 << 5 | 1 << 2);
    let second = m.queue(3, DATA + 8, 8, 1 << 10 | 1 << 5 | 1 << 2);
    m.ring(slot, 3);
    assert_eq!((m.events(), tester.with(|tester| tester.waiting.len())), (vec![], 2));
    tester.end(Completion::done(8));
    m.xhci().woken(port);
    tester.end(Completion::done(3));
    m.xhci().woken(port);
    let told: Vec<_> =
        m.events().iter().map(|event| (event.code, event.parameter, event.rest, event.endpoint)).collect();
    assert_eq!(told, [(1, first, 0, 3), (13, second, 5, 3)]);
    // Several TRBs: what was moved ends in the second, and the driver's own word has the sum.
    m.queue(7, DATA, 100, 1 << 10 | 1 << 4);
    let inside = m.queue(7, DATA + 0x1000, 100, 1 << 10 | 1 << 4 | 1 << 2);
    m.queue(7, DATA + 0x2000, 100, 1 << 10 | 1 << 4);
    m.queue(7, 0x1234_5678_9abc, 0, 7 << 10 | 1 << 5);
    m.ring(slot, 7);
    let told: Vec<_> =
        m.events().iter().map(|event| (event.code, event.parameter, event.rest, event.is_data)).collect();
    assert_eq!(told, [(13, inside, 50, false), (13, 0x1234_5678_9abc, 150, true)]);
    // Data in the TRB itself, and no packet at all.
    m.queue(4, 0x1122, 2, 1 << 10 | 1 << 6 | 1 << 5);
    m.queue(4, 0, 0, 1 << 10 | 1 << 5);
    m.queue(4, 0, 0, 8 << 10 | 1 << 5);
    m.ring(slot, 4);
    assert_eq!(m.events().iter().map(|event| event.code).collect::<Vec<_>>(), [1, 1, 1]);
    let lengths: Vec<_> = tester.with(|tester| tester.seen.iter().map(|seen| seen.2).collect());
    assert_eq!(lengths[lengths.len() - 2..], [2, 0]);
    // Errors halt, and take back what came behind.
    let failed = m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    tester.end(Completion::failed(Fault::Stall));
    m.xhci().woken(port);
    let told: Vec<_> = m.events().iter().map(|event| (event.code, event.parameter, event.rest)).collect();
    assert_eq!(told, [(6, failed, 8)]);
    assert_eq!((m.endpoint_state(slot, 3), m.dequeue(slot, 3)), (2, failed | 1));
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    let control = u32::from(slot) << 24 | 3 << 16;
    tester.with(|tester| tester.forgotten.clear());
    assert_eq!(m.command(14, 0, control | 1 << 9).code, 1);
    assert!(tester.with(|tester| tester.forgotten.is_empty()), "the toggle is kept");
    // Rung again it goes on where it was.
    m.ring(slot, 3);
    assert_eq!((m.events(), tester.with(|tester| tester.waiting.len())), (vec![], 2));
    // Stopped: the driver hears at what, and the ring stands there.
    m.put_trb(m.command.0, 0, 0, control | 15 << 10 | u32::from(m.command.1));
    m.write(DOORBELL, 0);
    m.command.0 += 16;
    let told: Vec<_> = m.events().iter().map(|event| (event.kind, event.code, event.parameter, event.rest)).collect();
    assert_eq!(told, [(32, 26, failed, 8), (33, 1, m.command.0 - 16, 0)]);
    assert_eq!((m.endpoint_state(slot, 3), m.dequeue(slot, 3)), (3, failed | 1));
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    // What comes now is of nobody.
    tester.with(|tester| tester.done.push((TransferId(0), Completion::done(1))));
    m.xhci().woken(port);
    assert_eq!(m.events(), []);
}

#[test]
fn what_is_pulled_out_answers_no_more() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    assert!(m.xhci().detach(port).is_some());
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    let told: Vec<_> = m.events().iter().map(|event| (event.kind, event.code)).collect();
    assert_eq!(told, [(32, 4), (34, 1)]);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(4, 18)]);
    // Another one in the same port does not answer to the old address.
    let other = Shared::new(Speed::High);
    assert_eq!(m.plug(other.clone()), port);
    assert_eq!(m.command(14, 0, u32::from(slot) << 24 | 1 << 16).code, 1);
    m.ring(slot, 1);
    assert_eq!(m.events()[0].code, 4);
    assert!(other.with(|other| other.seen.is_empty()));
    assert_eq!(m.command(10, 0, u32::from(slot) << 24).code, 1);
    let slot = m.address(port, 0);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
}

#[test]
fn behind_a_hub() {
    let mut m = Machine::started();
    let (hub, far) = (Shared::new(Speed::High), Shared::new(Speed::High));
    let port = m.plug(Hub(hub.clone(), far.clone()));
    let near = m.address(port, 0);
    let slot = m.address(port, 3);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
    assert_eq!((hub.with(|hub| hub.seen.len()), far.with(|far| far.seen.len())), (0, 1));
    assert_eq!((near, slot), (1, 2));
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    far.end(Completion::done(8));
    m.xhci().woken(port);
    assert_eq!(m.events().iter().map(|event| (event.slot, event.code)).collect::<Vec<_>>(), [(2, 1)]);
}

#[test]
fn a_waker_wakes_its_port() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::Super);
    let waker = Xhci::waker(&m.xhci, 9);
    assert_eq!(m.xhci().free_port(Speed::Super, None), Ok(9));
    assert_eq!(m.xhci().attach(Box::new(tester.clone()), Some(9)), Ok(9));
    m.events();
    let slot = m.address(9, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    tester.end(Completion::done(8));
    waker.wake();
    assert_eq!(m.events().len(), 1);
    drop(m);
    waker.wake();
}

#[test]
fn streams_have_rings_of_their_own() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::Super);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    assert_eq!(m.configure(slot, &[(4, BULK_OUT, 2)]), 1);
    assert_eq!(tester.with(|tester| std::mem::take(&mut tester.forgotten)), [(2, 7)]);
    let array = ring_of(4);
    let rings = [array + 0x200, array + 0x400];
    for (stream, ring) in (2u64..).zip(rings) {
        m.put(array + 16 * stream, &(ring | 1 << 1 | 1).to_le_bytes());
        m.put_trb(ring, DATA, 16, 1 << 10 | 1 << 5 | 1);
    }
    m.write(DOORBELL + 4 * u64::from(slot), 3 << 16 | 4);
    m.write(DOORBELL + 4 * u64::from(slot), 2 << 16 | 4);
    // Not there: 0, and beyond the array.
    m.write(DOORBELL + 4 * u64::from(slot), 4);
    m.write(DOORBELL + 4 * u64::from(slot), 8 << 16 | 4);
    let told: Vec<_> = m.events().iter().map(|event| (event.code, event.parameter)).collect();
    assert_eq!(told, [(1, rings[1]), (1, rings[0])]);
    let kinds: Vec<_> = tester.with(|tester| tester.seen.iter().map(|seen| seen.1).collect());
    assert_eq!(kinds, [Kind::Bulk { stream: 3 }, Kind::Bulk { stream: 2 }]);
    let control = u32::from(slot) << 24 | 4 << 16;
    assert_eq!(m.command(15, 0, control).code, 1);
    assert_eq!(m.word(array + 32), (rings[0] as u32 + 16) | 3);
    // A stream elsewhere, and one whose context is of another kind.
    m.put_trb(ring_of(5), DATA, 4, 1 << 10 | 1 << 5 | 1);
    let at = m.command.0;
    m.put_trb(at, ring_of(5) | 3, 2 << 16, control | 16 << 10 | u32::from(m.command.1));
    m.command.0 += 16;
    m.write(DOORBELL, 0);
    assert_eq!((m.events()[0].code, m.word(array + 32)), (1, ring_of(5) as u32 | 3));
    m.write(DOORBELL + 4 * u64::from(slot), 2 << 16 | 4);
    assert_eq!(m.events()[0].parameter, ring_of(5));
    m.write(DOORBELL + 4 * u64::from(slot), 1 << 16 | 4);
    assert_eq!((m.events()[0].code, m.endpoint_state(slot, 4)), (10, 4));
}

#[test]
fn isochronous_rings_tell_when_they_are_empty_and_do_not_halt() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, 5, 0)]);
    for _ in 0..3 {
        m.queue(3, DATA, 64, 5 << 10 | 1 << 5 | 1 << 31);
    }
    m.ring(slot, 3);
    assert_eq!(tester.with(|tester| tester.seen.last().copied()), Some((0x81, Kind::Isochronous, 64)));
    for completion in [Completion::done(64), Completion::failed(Fault::Missed), Completion::done(10)] {
        tester.end(completion);
        m.xhci().woken(port);
    }
    let told: Vec<_> = m.events().iter().map(|event| (event.code, event.rest)).collect();
    assert_eq!(told, [(1, 0), (23, 64), (13, 54), (15, 0)]);
    assert_eq!(m.endpoint_state(slot, 3), 1);
    m.write(COMMAND, 0x405);
    m.bench.clock.advance(Duration::from_micros(125 * 5));
    assert_eq!(m.read(RUNTIME), 5);
    m.bench.clock.advance(Duration::from_secs(3));
    m.bench.timers.run_due();
    assert_eq!(m.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [39]);
    assert_eq!(m.read(RUNTIME), (24_005 % 16384));
}

#[test]
fn its_state_comes_back_with_what_is_in_its_ports() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0), (4, BULK_OUT, 0)]);
    let at = m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    {
        let mut xhci = m.xhci();
        check_state(&mut *xhci, |xhci| {
            xhci.bar_write(0, 0x78, Size::Dword, 2);
            Function::reset(&mut tester.clone());
            xhci.bar_write(0, port_at(port), Size::Dword, 0x202);
        });
    }
    // What it had not done is handed to it again.
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    m.bench.clock.advance(Duration::from_millis(1));
    m.bench.timers.run_due();
    assert_eq!(tester.with(|tester| tester.waiting.len()), 1);
    tester.end(Completion::done(8));
    m.xhci().woken(port);
    assert_eq!(m.events()[0].parameter, at);
    // Without the device: it was pulled out.
    let saved = m.xhci().save();
    let other = Machine::new();
    other.bench.ram.write_slice(&m.bytes(0, RAM), GuestAddress(0)).unwrap();
    other.xhci().restore(saved.clone()).unwrap();
    let (command, event, rings) = (m.command, m.event, m.rings);
    let mut other = Machine { command, event, rings, ..other };
    other.bench.clock.advance(Duration::from_millis(1));
    other.bench.timers.run_due();
    assert_eq!(other.read(port_at(port)) & 0x2_0003, 0x2_0000);
    assert_eq!(other.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [34]);
    assert_eq!(other.request(slot, DESCRIPTOR, 18), [(4, 18)]);
    // With another kind of device.
    let third = Machine::new();
    third.xhci().attach(Box::new(Hub(tester.clone(), tester.clone())), Some(port)).unwrap();
    assert!(third.xhci().restore(saved).is_err());
}

#[test]
fn power_on_forgets_all_but_what_is_plugged_in() {
    let mut m = Machine::started();
    let tester = Shared::new(Speed::High);
    let port = m.plug(tester.clone());
    let slot = m.address(port, 0);
    m.configure(slot, &[(3, INTERRUPT_IN, 0)]);
    m.queue(3, DATA, 8, 1 << 10 | 1 << 5);
    m.ring(slot, 3);
    m.xhci().reset();
    assert!(tester.with(|tester| tester.waiting.is_empty()));
    assert_eq!((m.read(COMMAND), m.read(STATUS)), (0, 1));
    m.xhci().config_write(4, Size::Word, 6);
    m.set_up();
    m.write(port_at(port), 0x210);
    let slot = m.address(port, 0);
    assert_eq!(m.request(slot, DESCRIPTOR, 18), [(1, 0)]);
}
