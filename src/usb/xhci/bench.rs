//! A machine with the controller in it, a small driver for it, and devices that do what tests want: for this crate's tests.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use device::bench::Bench;
use device::{RestoreError, State};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::{Completion, Direction, Fault, Function, Kind, NoPort, Ports, Speed, Transfer, TransferId};

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
    /// Its port's sleep is to end.
    pub(super) wakes: bool,
}

/// As its owner and its controller have it.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Mutex<Tester>>);

impl Shared {
    pub(super) fn new(speed: Speed) -> Self {
        let tester = Tester {
            speed,
            waiting: Vec::new(),
            done: Vec::new(),
            seen: Vec::new(),
            resets: 0,
            forgotten: Vec::new(),
            wakes: false,
        };
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

    fn remote_wakeup(&mut self) -> bool {
        self.with(|tester| tester.wakes)
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
    fn ports(&mut self) -> Option<&mut dyn Ports> {
        Some(self)
    }
}

impl Ports for Hub {
    fn child(&mut self, port: u8) -> Option<&mut dyn Function> {
        (port == 3).then_some(&mut self.1)
    }
    fn free(&self, _: Speed, _: Option<u8>) -> Option<u8> {
        None
    }
    fn attach(&mut self, _: u8, _: Box<dyn Function>) -> Result<(), NoPort> {
        Err(NoPort)
    }
    fn detach(&mut self, _: u8) -> Option<Box<dyn Function>> {
        None
    }
    fn take_resets(&mut self) -> u8 {
        0
    }
}

/// A machine with the controller, and a small driver for it.
pub(super) struct Machine {
    pub(super) bench: Bench,
    pub(super) xhci: Arc<Mutex<Xhci>>,
    /// Where the driver puts the next command, and reads the next event.
    pub(super) command: (u64, bool),
    pub(super) event: (u64, bool),
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
        let port = self.xhci().attach(Box::new(function), None).unwrap().port;
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
