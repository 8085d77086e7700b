//! The test bench: fake RAM, recorded interrupts, a manual clock. Devices are tested here, without KVM or a board.

mod random;

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use vm_memory::GuestAddress;

use crate::pci::{AddressSpace, Devfn, SharedMemory};
use crate::{Clock, Dma, IrqLine, LineSink, Msi, MsiSink, Ram, State, TimerQueue, VmTime};

pub use self::random::Random;

/// RAM of `size` bytes at address 0.
///
/// # Panics
/// When the host has no memory; this is for tests.
pub fn ram(size: usize) -> Ram {
    Ram::from_ranges(&[(GuestAddress(0), size)]).expect("RAM for a test")
}

/// What a line or an MSI sink saw.
#[derive(Clone, Debug)]
pub struct Record<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Record<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Record<T> {
    /// Everything since the last call, oldest first.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, item: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }
}

/// A place where a device under test stands.
pub struct Bench {
    /// Guest RAM at address 0.
    pub ram: Ram,
    /// Stopped; tests move it.
    pub clock: Clock,
    /// Timers, reported when a test calls [`TimerQueue::run_due`].
    pub timers: TimerQueue,
    /// Messages sent.
    pub messages: Record<(u64, u32)>,
    /// Level changes on the line.
    pub levels: Record<bool>,
    /// The line.
    pub line: IrqLine,
}

struct Lines(Record<bool>);
impl LineSink for Lines {
    fn set_level(&self, high: bool) {
        self.0.push(high);
    }
}

struct Messages(Record<(u64, u32)>);
impl MsiSink for Messages {
    fn deliver(&self, address: u64, data: u32) {
        self.0.push((address, data));
    }
}

impl Bench {
    /// A bench with `ram_size` bytes of RAM.
    pub fn new(ram_size: usize) -> Self {
        let clock = Clock::stopped(VmTime(0));
        let levels = Record::default();
        Self {
            ram: ram(ram_size),
            timers: TimerQueue::new(clock.clone()),
            clock,
            messages: Record::default(),
            line: IrqLine::new(Box::new(Lines(levels.clone()))),
            levels,
        }
    }

    /// An open handle to the RAM.
    pub fn dma(&self) -> Dma {
        Dma::new(self.ram.clone(), true)
    }

    /// A handle whose messages are recorded.
    pub fn msi(&self) -> Msi {
        Msi::new(Arc::new(Messages(self.messages.clone())))
    }
}

/// An address space that remembers where things were placed.
#[derive(Debug, Default)]
pub struct Placements {
    /// Memory id and where it went.
    pub memory: Record<(u32, Option<u64>)>,
    /// Function, doorbell index, and where it went.
    pub doorbells: Record<(Devfn, u16, Option<u64>)>,
}

impl AddressSpace for Placements {
    fn place_memory(&self, memory: &Arc<SharedMemory>, at: Option<u64>) -> bool {
        self.memory.push((memory.id(), at));
        true
    }

    fn place_doorbell(&self, function: Devfn, index: u16, at: Option<u64>) {
        self.doorbells.push((function, index, at));
    }

    fn take_dirty(&self, memory: &SharedMemory) -> Vec<u64> {
        vec![u64::MAX; memory.size().div_ceil(4096 * 64) as usize]
    }
}

/// The saved-state test that every device has: save, change the device, restore, save again: equal.
///
/// # Panics
/// When the second save differs, the state cannot be read back from JSON, or `mutate` changed nothing.
pub fn check_state<D: State>(device: &mut D, mutate: impl FnOnce(&mut D))
where
    D::Saved: Serialize,
{
    let json = |saved: &D::Saved| serde_json::to_value(saved).expect("saved state is plain data");
    let before = json(&device.save());
    mutate(device);
    assert_ne!(json(&device.save()), before, "{}: the mutation must change the state", D::KIND);
    let saved = serde_json::from_value(before.clone()).expect("saved state reads back");
    device.restore(saved).expect("own saved state is taken");
    assert_eq!(json(&device.save()), before, "{}: restored state differs", D::KIND);
}
