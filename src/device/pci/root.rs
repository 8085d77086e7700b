//! The root complex: finds functions by CF8/CFC and by ECAM, and keeps their BARs where firmware puts them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::core::ROM_BAR;
use super::{AddressSpace, Backing, BarKind, PciFunction, SharedMemory};
use crate::{Device, Mmio, MmioBus, PortBus, PortIo, RestoreError, Size, State};

/// Bytes of ECAM for one bus.
pub const ECAM_SIZE_PER_BUS: u64 = 1 << 20;

/// A function's place on bus 0: device 0–31, function 0–7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Devfn(u8);

impl Devfn {
    /// Device `device` (0–31), function `function` (0–7).
    pub const fn new(device: u8, function: u8) -> Self {
        Self(device << 3 | function & 7)
    }

    /// The device number.
    pub const fn device(self) -> u8 {
        self.0 >> 3
    }

    /// The function number.
    pub const fn function(self) -> u8 {
        self.0 & 7
    }
}

impl std::fmt::Display for Devfn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "00:{:02x}.{}", self.device(), self.function())
    }
}

/// Where a BAR stands now, and what to take away when it moves.
enum Placed {
    Ports(Range<u64>),
    Registers(Range<u64>, Vec<u16>),
    Memory(u64, Arc<SharedMemory>),
}

/// Which addresses above 4 GiB have memory BARs now: for ACPI tables, which must name them. Read without any lock; right while
/// nothing moves.
#[derive(Debug, Default)]
pub struct HighBars {
    start: AtomicU64,
    end: AtomicU64,
}

impl HighBars {
    /// From the lowest to behind the highest.
    pub fn span(&self) -> Option<Range<u64>> {
        let span = self.start.load(Ordering::Acquire)..self.end.load(Ordering::Acquire);
        (!span.is_empty()).then_some(span)
    }
}

/// Bus 0 and its functions.
pub struct PciRoot {
    functions: BTreeMap<Devfn, Arc<Mutex<dyn PciFunction>>>,
    placed: BTreeMap<(Devfn, u8), Placed>,
    /// BARs that could not go where they were told, because something else stood there.
    blocked: BTreeSet<(Devfn, u8)>,
    high: Arc<HighBars>,
    /// CONFIG_ADDRESS, port CF8.
    address: u32,
    ports: Arc<PortBus>,
    mmio: Arc<MmioBus>,
    space: Arc<dyn AddressSpace>,
}

/// The root's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PciRootState {
    address: u32,
}

impl PciRoot {
    /// A root without functions, which places BARs on these buses.
    pub fn new(ports: Arc<PortBus>, mmio: Arc<MmioBus>, space: Arc<dyn AddressSpace>) -> Self {
        Self {
            functions: BTreeMap::new(),
            placed: BTreeMap::new(),
            blocked: BTreeSet::new(),
            high: Arc::default(),
            address: 0,
            ports,
            mmio,
            space,
        }
    }

    /// Puts `function` at `devfn`, in place of what stood there.
    pub fn plug(&mut self, devfn: Devfn, function: Arc<Mutex<dyn PciFunction>>) {
        self.functions.insert(devfn, function);
        self.place(devfn);
    }

    /// Where BARs stand above 4 GiB, kept up to date.
    pub fn high_bars(&self) -> Arc<HighBars> {
        Arc::clone(&self.high)
    }

    fn publish_high_bars(&self) {
        let ranges = self.placed.values().filter_map(|placed| match placed {
            Placed::Ports(_) => None,
            Placed::Registers(range, _) => Some(range.clone()),
            Placed::Memory(at, memory) => Some(*at..*at + memory.size()),
        });
        let high = ranges.filter(|range| range.start >= 1 << 32);
        let span = high.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end)).unwrap_or(0..0);
        self.high.start.store(span.start, Ordering::Release);
        self.high.end.store(span.end, Ordering::Release);
    }

    /// Places all BARs anew; called after reset and restore, when config spaces changed under the root.
    pub fn place_all(&mut self) {
        let all: Vec<_> = self.functions.keys().copied().collect();
        // Everything goes before anything comes: places may have been swapped.
        for &devfn in &all {
            for bar in 0..=ROM_BAR {
                self.displace(devfn, bar);
            }
        }
        for devfn in all {
            self.place(devfn);
        }
    }

    fn config_read(&self, devfn: Devfn, offset: u16, size: Size) -> u32 {
        match self.functions.get(&devfn) {
            Some(function) => lock(function).config_read(offset, size),
            None => size.ones() as u32,
        }
    }

    fn config_write(&mut self, devfn: Devfn, offset: u16, size: Size, value: u32) {
        let Some(function) = self.functions.get(&devfn) else { return };
        lock(function).config_write(offset, size, value);
        // Command, BARs and the ROM are all that moves anything.
        let last = offset.saturating_add(size.bytes() as u16);
        let touches = |range: Range<u16>| offset < range.end && last > range.start;
        if touches(0x04..0x06) || touches(0x10..0x28) || touches(0x30..0x34) {
            self.place(devfn);
        }
    }

    /// Brings a function's BARs to where its config space says, and then those that what moved away had stood in the way of.
    fn place(&mut self, devfn: Devfn) {
        let mut gone = false;
        for index in 0..=ROM_BAR {
            gone |= self.place_bar(devfn, index);
        }
        if gone {
            for (devfn, index) in self.blocked.clone() {
                self.place_bar(devfn, index);
            }
        }
        self.publish_high_bars();
    }

    /// Brings a BAR to where it should be. True when it left a place.
    fn place_bar(&mut self, devfn: Devfn, index: u8) -> bool {
        let Some(function) = self.functions.get(&devfn).cloned() else { return false };
        let (at, bar) = {
            let function = lock(&function);
            let bar = if index == ROM_BAR { function.core().rom() } else { function.core().bar(index).cloned() };
            (function.core().placed(index), bar)
        };
        let Some(bar) = bar else { return false };
        let before = self.placed.get(&(devfn, index)).map(|placed| match placed {
            Placed::Ports(range) | Placed::Registers(range, _) => range.start,
            Placed::Memory(at, _) => *at,
        });
        if at.is_some() && at == before {
            return false;
        }
        self.displace(devfn, index);
        self.blocked.remove(&(devfn, index));
        let Some(at) = at else { return before.is_some() };
        let range = at..at + bar.size;
        let window = Arc::new(Mutex::new(Window { function, bar: index }));
        let placed = match (bar.kind, bar.backing) {
            (BarKind::Io, _) => self.ports.claim(range.clone(), window).ok().map(|()| Placed::Ports(range)),
            (_, Backing::Memory(memory)) => {
                self.space.place_memory(&memory, Some(at)).then_some(Placed::Memory(at, memory))
            }
            (_, Backing::Registers) => self.mmio.claim(range.clone(), window).ok().map(|()| {
                let bells = bar.doorbells.iter().map(|bell| {
                    self.space.place_doorbell(devfn, bell.index, Some(at + bell.offset));
                    bell.index
                });
                Placed::Registers(range, bells.collect())
            }),
        };
        match placed {
            Some(placed) => {
                self.placed.insert((devfn, index), placed);
            }
            // As on a real bus with two decoders: one answers. It is the one that was there.
            None => {
                tracing::debug!("BAR {index} of {devfn} finds {at:#x} taken");
                self.blocked.insert((devfn, index));
            }
        }
        before.is_some()
    }

    fn displace(&mut self, devfn: Devfn, bar: u8) {
        match self.placed.remove(&(devfn, bar)) {
            Some(Placed::Ports(range)) => self.ports.release(&range),
            Some(Placed::Registers(range, bells)) => {
                for index in bells {
                    self.space.place_doorbell(devfn, index, None);
                }
                self.mmio.release(&range);
            }
            Some(Placed::Memory(_, memory)) => {
                self.space.place_memory(&memory, None);
            }
            None => {}
        }
    }

    /// The function and register that CONFIG_ADDRESS names, when it is enabled and on bus 0.
    fn addressed(&self) -> Option<(Devfn, u16)> {
        let on_bus_0 = self.address & 0x80ff_0000 == 0x8000_0000;
        on_bus_0.then_some((Devfn((self.address >> 8) as u8), (self.address & 0xfc) as u16))
    }
}

fn lock(function: &Arc<Mutex<dyn PciFunction>>) -> MutexGuard<'_, dyn PciFunction + 'static> {
    function.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ports CF8–CFF (PCI 3.0 §3.2.2.3.2); the range starts at CF8.
impl PortIo for PciRoot {
    fn read(&mut self, offset: u16, size: Size) -> u32 {
        match offset {
            0 if size == Size::Dword => self.address,
            4..8 => match self.addressed() {
                Some((devfn, register)) => self.config_read(devfn, register + (offset & 3), size),
                None => size.ones() as u32,
            },
            _ => size.ones() as u32,
        }
    }

    fn write(&mut self, offset: u16, size: Size, value: u32) {
        match offset {
            0 if size == Size::Dword => self.address = value,
            4..8 => {
                if let Some((devfn, register)) = self.addressed() {
                    self.config_write(devfn, register + (offset & 3), size, value);
                }
            }
            _ => {}
        }
    }
}

/// ECAM: bus in bits 20–27 of the offset, device and function in 12–19, register below.
impl Mmio for PciRoot {
    fn read(&mut self, offset: u64, size: Size) -> u64 {
        if offset >= ECAM_SIZE_PER_BUS {
            return size.ones();
        }
        let (devfn, register) = (Devfn((offset >> 12) as u8), (offset & 0xfff) as u16);
        match size {
            Size::Qword => {
                let low = self.config_read(devfn, register, Size::Dword);
                let high = self.config_read(devfn, register.saturating_add(4), Size::Dword);
                u64::from(low) | u64::from(high) << 32
            }
            _ => self.config_read(devfn, register, size).into(),
        }
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        if offset >= ECAM_SIZE_PER_BUS {
            return;
        }
        let (devfn, register) = (Devfn((offset >> 12) as u8), (offset & 0xfff) as u16);
        match size {
            Size::Qword => {
                self.config_write(devfn, register, Size::Dword, value as u32);
                self.config_write(devfn, register.saturating_add(4), Size::Dword, (value >> 32) as u32);
            }
            _ => self.config_write(devfn, register, size, value as u32),
        }
    }
}

impl Device for PciRoot {
    fn reset(&mut self) {
        self.address = 0;
        self.place_all();
    }
}

impl State for PciRoot {
    const KIND: &'static str = "pci-root";
    type Saved = PciRootState;

    fn save(&self) -> PciRootState {
        let Self { functions: _, placed: _, blocked: _, high: _, address, ports: _, mmio: _, space: _ } = self;
        PciRootState { address: *address }
    }

    fn restore(&mut self, saved: PciRootState) -> Result<(), RestoreError> {
        let PciRootState { address } = saved;
        self.address = address;
        self.place_all();
        Ok(())
    }
}

/// A BAR as a bus sees it.
struct Window {
    function: Arc<Mutex<dyn PciFunction>>,
    bar: u8,
}

impl Mmio for Window {
    fn read(&mut self, offset: u64, size: Size) -> u64 {
        let mut function = lock(&self.function);
        match function.core().msix_read(self.bar, offset, size) {
            Some(value) => value,
            None => function.bar_read(self.bar, offset, size),
        }
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        let mut function = lock(&self.function);
        if !function.core_mut().msix_write(self.bar, offset, size, value) {
            function.bar_write(self.bar, offset, size, value);
        }
    }
}

impl PortIo for Window {
    fn read(&mut self, offset: u16, size: Size) -> u32 {
        Mmio::read(self, offset.into(), size) as u32
    }

    fn write(&mut self, offset: u16, size: Size, value: u32) {
        Mmio::write(self, offset.into(), size, value.into());
    }
}

#[cfg(test)]
#[path = "root_test.rs"]
mod tests;
