//! Address decoding: which device an access goes to.
//!
//! A [`Bus`] maps disjoint address ranges to devices. Look-ups take no lock (the table is swapped whole), so vCPUs meet only
//! at the device they both want. Ranges change when firmware moves a BAR.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::{Mmio, PortIo, Size};

/// A claim that would lie over another one.
#[derive(Debug, thiserror::Error)]
#[error("{wanted:#x?} overlaps the range {taken:#x?}")]
pub struct Overlap {
    /// The range that was asked for.
    pub wanted: Range<u64>,
    /// The range that stands there.
    pub taken: Range<u64>,
}

struct Claim<D: ?Sized> {
    range: Range<u64>,
    /// What the device counts offsets from.
    origin: u64,
    device: Arc<Mutex<D>>,
}

impl<D: ?Sized> Clone for Claim<D> {
    fn clone(&self) -> Self {
        Self { range: self.range.clone(), origin: self.origin, device: Arc::clone(&self.device) }
    }
}

/// One address space and the devices in it.
pub struct Bus<D: ?Sized> {
    /// Sorted by start.
    claims: ArcSwap<Vec<Claim<D>>>,
}

/// The port I/O space (64 KiB).
pub type PortBus = Bus<dyn PortIo>;
/// The memory space, as far as it is not RAM.
pub type MmioBus = Bus<dyn Mmio>;

impl<D: ?Sized> Default for Bus<D> {
    fn default() -> Self {
        Self { claims: ArcSwap::from_pointee(Vec::new()) }
    }
}

impl<D: ?Sized> Bus<D> {
    /// Gives `range` to `device`, which counts offsets from its start. Empty ranges are refused as overlapping themselves.
    pub fn claim(&self, range: Range<u64>, device: Arc<Mutex<D>>) -> Result<(), Overlap> {
        let origin = range.start;
        self.claim_from(origin, range, device)
    }

    /// Gives `range` to `device`, which counts offsets from `origin` (at or below the range): for devices that own several ranges
    /// of one block.
    pub fn claim_from(&self, origin: u64, range: Range<u64>, device: Arc<Mutex<D>>) -> Result<(), Overlap> {
        let mut result = Ok(());
        self.claims.rcu(|old| {
            let mut claims = Vec::clone(old);
            let at = claims.partition_point(|c| c.range.start < range.start);
            let before = at.checked_sub(1).and_then(|i| claims.get(i)).filter(|c| c.range.end > range.start);
            let after = claims.get(at).filter(|c| c.range.start < range.end);
            result = match before.or(after) {
                _ if range.is_empty() => Err(Overlap { wanted: range.clone(), taken: range.clone() }),
                Some(taken) => Err(Overlap { wanted: range.clone(), taken: taken.range.clone() }),
                None => {
                    claims.insert(at, Claim { range: range.clone(), origin, device: Arc::clone(&device) });
                    Ok(())
                }
            };
            claims
        });
        result
    }

    /// Takes back the claim that is exactly `range`; nothing happens when there is none.
    pub fn release(&self, range: &Range<u64>) {
        self.claims.rcu(|old| {
            let mut claims = Vec::clone(old);
            claims.retain(|c| c.range != *range);
            claims
        });
    }

    /// The device at `address` and the offset of `address` in its range.
    fn find(&self, address: u64) -> Option<(Arc<Mutex<D>>, u64)> {
        let claims = self.claims.load();
        let at = claims.partition_point(|c| c.range.start <= address).checked_sub(1)?;
        let claim = &claims[at];
        (address < claim.range.end).then(|| (Arc::clone(&claim.device), address.saturating_sub(claim.origin)))
    }
}

impl PortBus {
    /// A read from `port`; all ones where no device is.
    pub fn read(&self, port: u16, size: Size) -> u32 {
        match self.find(port.into()) {
            // A claim starts and ends inside the 64 KiB, so the offset fits.
            Some((device, offset)) => size.cut(lock(&device).read(offset as u16, size).into()) as u32,
            None => size.ones() as u32,
        }
    }

    /// A write to `port`; lost where no device is.
    pub fn write(&self, port: u16, size: Size, value: u32) {
        if let Some((device, offset)) = self.find(port.into()) {
            lock(&device).write(offset as u16, size, size.cut(value.into()) as u32);
        }
    }
}

impl MmioBus {
    /// A read at `address`; all ones where no device is.
    pub fn read(&self, address: u64, size: Size) -> u64 {
        match self.find(address) {
            Some((device, offset)) => size.cut(lock(&device).read(offset, size)),
            None => size.ones(),
        }
    }

    /// A write at `address`; lost where no device is.
    pub fn write(&self, address: u64, size: Size, value: u64) {
        if let Some((device, offset)) = self.find(address) {
            lock(&device).write(offset, size, size.cut(value));
        }
    }
}

/// A poisoned device was left mid-change by a panic that is already being reported; the others go on to their stop.
fn lock<D: ?Sized>(device: &Mutex<D>) -> std::sync::MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Latch(u32);
    impl PortIo for Latch {
        fn read(&mut self, offset: u16, _: Size) -> u32 {
            self.0 + u32::from(offset)
        }
        fn write(&mut self, offset: u16, _: Size, value: u32) {
            self.0 = value + u32::from(offset);
        }
    }

    #[test]
    fn decodes_and_refuses_overlap() {
        let bus = PortBus::default();
        bus.claim(0x60..0x61, Arc::new(Mutex::new(Latch(1)))).unwrap();
        bus.claim(0x64..0x66, Arc::new(Mutex::new(Latch(0x100)))).unwrap();
        for bad in [0x60..0x61, 0x5f..0x70, 0x65..0x66, 0x10..0x10] {
            assert!(bus.claim(bad, Arc::new(Mutex::new(Latch(0)))).is_err());
        }
        assert_eq!(bus.read(0x65, Size::Byte), 1);
        assert_eq!(bus.read(0x65, Size::Word), 0x101);
        assert_eq!(bus.read(0x61, Size::Word), 0xffff);
        bus.write(0x60, Size::Byte, 0x1ff);
        assert_eq!(bus.read(0x60, Size::Word), 0xff);
        bus.release(&(0x60..0x61));
        bus.write(0x60, Size::Byte, 0);
        assert_eq!(bus.read(0x60, Size::Byte), 0xff);
    }
}
