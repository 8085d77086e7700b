//! Human interface devices (HID 1.11): a [`Keyboard`], a [`Mouse`], a [`Tablet`].
//!
//! A device is a [`Hid`] over a [`Model`], which is what the person does and what reports are made of it. The model has a mutex of
//! its own and is shared with a [`Sink`], through which the machine's owner tells it of keys and movements; what the guest does
//! not fetch waits in the model, up to a bound. The sink listens while the guest asks for reports, and while it sleeps and would hear that it
//! is woken.
//!
//! They run at high speed: every guest that has a driver for xHCI takes that, packets of endpoint 0 have one size there, which spares
//! firmware a step, and polls come as often as a millisecond or more where full speed's old hubs would need split transactions.
//! Their descriptors say how they would run at full speed, as they must.
//!
//! A guest that lets them sleep is woken by what the person does, and hears of it when it is awake.

mod keyboard;
mod mouse;
mod pointer;
mod tablet;
mod usages;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use device::{Clock, RestoreError, State, Timed, Timer, VmTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::keyboard::Keyboard;
pub use self::mouse::{Mouse, Movement};
pub use self::pointer::{Place, Pointer, Step};
pub use self::tablet::{Position, Tablet};

use super::descriptor::{Configuration, Descriptors, Identity, Interface, Pipe, PipeKind, with_header};
use super::pending::Pending;
use super::standard::{Change, Reply, Standard, StandardState, received};
use crate::{Completion, Direction, Endpoint, Fault, Function, Kind, Setup, Speed, Transfer, TransferId, Waker};

/// Class code.
const HID: u8 = 3;
/// Where reports come from.
const REPORTS: Endpoint = Endpoint { number: 1, direction: Direction::In };

// Types of descriptors (HID 1.11, 7.1).
const HID_DESCRIPTOR: u8 = 0x21;
const REPORT_DESCRIPTOR: u8 = 0x22;

// Requests (HID 1.11, 7.2), with their types.
const GET_DESCRIPTOR: (u8, u8) = (0x81, 0x06);
const GET_REPORT: (u8, u8) = (0xa1, 0x01);
const GET_IDLE: (u8, u8) = (0xa1, 0x02);
const GET_PROTOCOL: (u8, u8) = (0xa1, 0x03);
const SET_REPORT: (u8, u8) = (0x21, 0x09);
const SET_IDLE: (u8, u8) = (0x21, 0x0a);
const SET_PROTOCOL: (u8, u8) = (0x21, 0x0b);

// Kinds of reports (HID 1.11, 7.2.1).
const INPUT: u8 = 1;
const OUTPUT: u8 = 2;

/// Bytes of the longest report that a host may send.
const MOST_RECEIVED: usize = 64;

/// What a device is of firmware's devices (HID 1.11, 4.2 and 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// 1 is a keyboard, 2 a mouse.
    protocol: u8,
    /// Bytes of a report in the boot protocol.
    length: usize,
}

/// A kind of device: what the person did, and the reports that come of it.
pub trait Model: Default + Send + 'static {
    /// Name of the saved state's kind.
    const KIND: &'static str;
    /// What the guest shows people.
    const NAME: &'static str;
    /// `idProduct`.
    const PRODUCT: u16;
    /// Can firmware have it?
    const BOOT: Option<Boot>;
    /// What reports look like (HID 1.11, 6.2.2).
    const REPORT_DESCRIPTOR: &'static [u8];
    /// Bytes of a report.
    const REPORT: u16;
    /// Between two polls: 2 to the power of one less microframes.
    const INTERVAL: u8;
    /// Plain data.
    type Saved: Serialize + DeserializeOwned;

    /// Everything that the person has done and that was not told is forgotten, and so is what is held down: nothing hangs.
    fn reset(&mut self);

    /// The next report, if there is something to tell.
    fn next(&mut self) -> Option<Vec<u8>>;

    /// Is there something to tell?
    fn is_ready(&self) -> bool;

    /// Is something held down, which a host may want to hear again and again?
    fn is_held(&self) -> bool {
        false
    }

    /// What was told last, without movements.
    fn last(&self) -> Vec<u8>;

    /// The host's report: lights.
    fn output(&mut self, report: &[u8]) {
        let _ = report;
    }

    /// Lights; the host sees them as its last report.
    fn lights(&self) -> u8 {
        0
    }

    /// Takes the state out.
    fn save(&self) -> Self::Saved;

    /// Puts a state in; the error names the impossible field.
    fn restore(&mut self, saved: Self::Saved) -> Result<(), &'static str>;
}

/// What a device shares with its sink.
#[derive(Default)]
struct Shared<M> {
    model: M,
    /// The host asks for reports.
    polled: bool,
    /// It sleeps, or may fall asleep, and is to be woken by them.
    may_wake: bool,
    /// It has been woken by one, and has not asked yet.
    woke: bool,
    /// What is held is to be told again.
    again: bool,
}

fn lock<M>(shared: &Mutex<Shared<M>>) -> MutexGuard<'_, Shared<M>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A human interface device.
pub struct Hid<M: Model> {
    standard: Standard,
    shared: Arc<Mutex<Shared<M>>>,
    pending: Pending,
    /// Reports are firmware's.
    boot: bool,
    /// After so many times 4 ms what is held is told again; 0 for never. SeaBIOS repeats keys by that.
    idle: u8,
    /// Where that comes from.
    repeat: Option<(Timer, Clock)>,
}

/// The saved device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HidState<S> {
    standard: StandardState,
    model: S,
    boot: bool,
    idle: u8,
    polled: bool,
    woke: bool,
}

/// Where the machine's owner puts what the person does.
pub struct Sink<M> {
    shared: Arc<Mutex<Shared<M>>>,
    waker: Waker,
}

impl<M: Model> Default for Hid<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Model> Hid<M> {
    /// A device that nobody touches, and that tells what is held as often as the host asks for (HID 1.11, 7.2.4). The timer reports to
    /// the sink once [`Self::connect_timer`] said so.
    pub fn with_timer(timer: Timer, clock: Clock) -> Self {
        Self { repeat: Some((timer, clock)), ..Self::new() }
    }

    /// Makes the timer report to the device's sink.
    pub fn connect_timer(&self, sink: &Arc<Mutex<Sink<M>>>) {
        if let Some((timer, _)) = &self.repeat {
            let sink: Weak<Mutex<Sink<M>>> = Arc::downgrade(sink);
            timer.connect(sink);
        }
    }

    /// A device that nobody touches, and that tells nothing again.
    pub fn new() -> Self {
        Self {
            standard: Standard::new(descriptors::<M>()),
            shared: Arc::default(),
            pending: Pending::default(),
            boot: false,
            idle: 0,
            repeat: None,
        }
    }

    /// Its sink; `waker` is for the port that the device is in, or behind.
    pub fn sink(&self, waker: Waker) -> Sink<M> {
        Sink { shared: Arc::clone(&self.shared), waker }
    }

    fn request(&mut self, setup: Setup, transfer: &Transfer) -> Reply {
        let [number, kind] = setup.value.to_le_bytes();
        if setup.index != 0 {
            return Reply::Stall;
        }
        let mut shared = lock(&self.shared);
        match (setup.kind, setup.request) {
            GET_DESCRIPTOR => match kind {
                HID_DESCRIPTOR => Reply::Data(hid_descriptor::<M>()),
                REPORT_DESCRIPTOR if number == 0 => Reply::Data(M::REPORT_DESCRIPTOR.to_vec()),
                _ => Reply::Stall,
            },
            GET_REPORT => match kind {
                INPUT => Reply::Data(self.cut(shared.model.last())),
                OUTPUT => Reply::Data(vec![shared.model.lights()]),
                _ => Reply::Stall,
            },
            SET_REPORT => match received(setup, &transfer.memory, MOST_RECEIVED) {
                Some(report) if kind == OUTPUT => {
                    shared.model.output(&report);
                    Reply::Done
                }
                _ => Reply::Stall,
            },
            GET_IDLE => Reply::Data(vec![self.idle]),
            SET_IDLE => {
                self.idle = kind;
                drop(shared);
                self.arm();
                Reply::Done
            }
            GET_PROTOCOL if M::BOOT.is_some() => Reply::Data(vec![u8::from(!self.boot)]),
            SET_PROTOCOL if M::BOOT.is_some() && setup.value <= 1 => {
                self.boot = setup.value == 0;
                Reply::Done
            }
            _ => Reply::Stall,
        }
    }

    /// A report as the protocol has it.
    fn cut(&self, mut report: Vec<u8>) -> Vec<u8> {
        if let (true, Some(boot)) = (self.boot, M::BOOT) {
            report.truncate(boot.length);
        }
        report
    }

    fn control(&mut self, setup: Setup, transfer: &Transfer) -> Completion {
        let Some((reply, change)) = self.standard.request(setup) else {
            return self.request(setup, transfer).complete(setup, &transfer.memory);
        };
        match change {
            Change::Configuration => {
                self.forget();
                self.pending.fail(REPORTS, Fault::Transaction);
            }
            Change::Halted(endpoint) => self.pending.fail(endpoint, Fault::Stall),
            Change::Setting | Change::Cleared(_) | Change::Nothing => {}
        }
        lock(&self.shared).may_wake = self.standard.may_wake();
        reply.complete(setup, &transfer.memory)
    }

    /// As after a reset, but for what waits.
    fn forget(&mut self) {
        (self.boot, self.idle) = (false, 0);
        let mut shared = lock(&self.shared);
        shared.model.reset();
        (shared.polled, shared.may_wake, shared.woke, shared.again) = (false, false, false, false);
        drop(shared);
        self.arm();
    }

    /// The host asks, and there is nothing new: what is held is told again in time.
    fn arm(&self) {
        let Some((timer, clock)) = &self.repeat else { return };
        match self.idle > 0 && lock(&self.shared).model.is_held() {
            true => timer.arm(clock.now() + Duration::from_millis(u64::from(self.idle) * 4)),
            false => timer.cancel(),
        }
    }

    /// Puts the next report into a transfer; `None` when there is nothing to tell.
    fn report(&self, transfer: &Transfer) -> Option<Completion> {
        let mut shared = lock(&self.shared);
        let again = std::mem::take(&mut shared.again);
        let report = shared.model.next().or_else(|| again.then(|| shared.model.last()))?;
        drop(shared);
        let report = self.cut(report);
        let length = report.len() as u64;
        Some(match transfer.memory.write(0, &report) {
            Ok(written) if (written as u64) < length => {
                Completion { length: written as u64, fault: Some(Fault::Babble) }
            }
            Ok(_) => Completion::done(length),
            Err(_) => Completion::failed(Fault::Transaction),
        })
    }
}

impl<M: Model> Function for Hid<M> {
    fn speed(&self) -> Speed {
        self.standard.speed()
    }

    fn reset(&mut self) {
        self.standard.reset();
        self.pending.clear();
        self.forget();
    }

    fn submit(&mut self, transfer: Transfer) -> Option<Completion> {
        match transfer.kind {
            Kind::Control(setup) if transfer.endpoint == Endpoint::CONTROL => Some(self.control(setup, &transfer)),
            Kind::Interrupt => {
                if let Err(fault) = self.standard.admit(transfer.endpoint) {
                    return Some(Completion::failed(fault));
                }
                let mut shared = lock(&self.shared);
                (shared.polled, shared.woke) = (true, false);
                drop(shared);
                if self.pending.first(REPORTS).is_none()
                    && let Some(completion) = self.report(&transfer)
                {
                    return Some(completion);
                }
                let refused = self.pending.push(transfer);
                self.arm();
                refused
            }
            Kind::Control(_) | Kind::Bulk { .. } | Kind::Isochronous => Some(Completion::failed(Fault::Transaction)),
        }
    }

    fn cancel(&mut self, id: TransferId) {
        let waited = self.pending.first(REPORTS).is_some();
        self.pending.cancel(id);
        // A driver that takes its polls back has stopped.
        if waited && self.pending.first(REPORTS).is_none() {
            lock(&self.shared).polled = false;
        }
    }

    fn remote_wakeup(&mut self) -> bool {
        let mut shared = lock(&self.shared);
        let wakes = shared.may_wake && shared.model.is_ready();
        shared.woke |= wakes && !shared.polled;
        wakes
    }

    fn collect(&mut self) -> Option<(TransferId, Completion)> {
        if let Some(done) = self.pending.collect() {
            return Some(done);
        }
        let completion = self.report(self.pending.first(REPORTS)?)?;
        let transfer = self.pending.pop(REPORTS)?;
        Some((transfer.id, completion))
    }
}

impl<M: Model> Sink<M> {
    /// Tells the model, and lets the controller fetch what comes of it.
    fn tell(&self, what: impl FnOnce(&mut M, bool)) {
        let listens = self.is_listening();
        let mut shared = lock(&self.shared);
        what(&mut shared.model, listens);
        let ready = shared.model.is_ready();
        drop(shared);
        if ready {
            self.waker.wake();
        }
    }

    /// As [`Self::tell`], of what is gone when nobody listens.
    fn tell_listening(&self, what: impl FnOnce(&mut M)) {
        self.tell(|model, listens| {
            if listens {
                what(model);
            }
        });
    }

    /// Does the guest ask for reports, or would it be woken by one?
    fn is_listening(&self) -> bool {
        let (polled, sleeps) = {
            let shared = lock(&self.shared);
            (shared.polled, shared.may_wake || shared.woke)
        };
        // The controller is not locked while the model is: it locks the model itself.
        polled || sleeps && self.waker.is_heard()
    }
}

impl<M: Model> Timed for Sink<M> {
    fn expired(&mut self, _: u32, _: VmTime) {
        let mut shared = lock(&self.shared);
        // Else it was let go meanwhile.
        shared.again = shared.model.is_held();
        let again = shared.again;
        drop(shared);
        if again {
            self.waker.wake();
        }
    }
}

impl<M: Model> State for Hid<M> {
    const KIND: &'static str = M::KIND;
    type Saved = HidState<M::Saved>;

    fn save(&self) -> Self::Saved {
        let Self { standard, shared, pending: _, boot, idle, repeat: _ } = self;
        let Shared { model, polled, may_wake: _, woke, again: _ } = &*lock(shared);
        HidState {
            standard: standard.save(),
            model: model.save(),
            boot: *boot,
            idle: *idle,
            polled: *polled,
            woke: *woke,
        }
    }

    fn restore(&mut self, saved: Self::Saved) -> Result<(), RestoreError> {
        let HidState { standard, model, boot, idle, polled, woke } = saved;
        if boot && M::BOOT.is_none() {
            return Err(Self::impossible("protocol"));
        }
        self.pending.clear();
        self.standard.restore(standard).map_err(Self::impossible)?;
        let mut shared = lock(&self.shared);
        shared.model.restore(model).map_err(Self::impossible)?;
        // Who has no configuration is not asked.
        let configured = self.standard.is_configured();
        (shared.polled, shared.woke) = (polled && configured, woke && configured);
        shared.may_wake = self.standard.may_wake();
        drop(shared);
        (self.boot, self.idle) = (boot, idle);
        Ok(())
    }
}

/// Ids under which systems know the input devices of virtual machines; there are none of our own.
const VENDOR: u16 = 0x0627;

fn descriptors<M: Model>() -> Descriptors {
    let identity = Identity {
        class: [0; 3],
        vendor: VENDOR,
        product: M::PRODUCT,
        release: 0x0100,
        name: M::NAME,
        // Windows wants to tell apart what has the same numbers.
        serial: M::KIND.to_owned(),
    };
    // At full speed, intervals are milliseconds: 8 microframes each.
    let milliseconds = 1 << M::INTERVAL.saturating_sub(4);
    Descriptors {
        speed: Speed::High,
        identity,
        configuration: configuration::<M>(M::INTERVAL),
        slower: Some(configuration::<M>(milliseconds)),
    }
}

fn configuration<M: Model>(interval: u8) -> Configuration {
    let kind = PipeKind::Interrupt { interval };
    let pipe = Pipe { endpoint: REPORTS, kind, packet: M::REPORT, burst: 0, of_class: Vec::new() };
    let class = match M::BOOT {
        Some(Boot { protocol, length: _ }) => [HID, 1, protocol],
        None => [HID, 0, 0],
    };
    let interface = Interface { number: 0, setting: 0, class, of_class: hid_descriptor::<M>(), pipes: vec![pipe] };
    Configuration { self_powered: false, wakes: true, milliamperes: 100, interfaces: vec![interface] }
}

/// HID 1.11, 6.2.1: version 1.11, no country, one descriptor of the class.
fn hid_descriptor<M: Model>() -> Vec<u8> {
    let [low, high] = (M::REPORT_DESCRIPTOR.len() as u16).to_le_bytes();
    with_header(HID_DESCRIPTOR, &[0x11, 0x01, 0, 1, REPORT_DESCRIPTOR, low, high])
}

#[cfg(test)]
#[path = "hid_test.rs"]
mod tests;
