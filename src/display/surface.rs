//! Memory for pictures that a device draws itself.

use std::io;
use std::sync::Arc;

use device::pci::SharedMemory;
use vm_memory::{Bytes, VolatileMemory};

use crate::Scanout;

/// Where devices get memory for pictures: the board, which knows ids and seals.
pub trait Surfaces: Send + Sync {
    /// New zeroed memory of at least `bytes`, which a console can map.
    fn allocate(&self, bytes: u64) -> io::Result<Arc<SharedMemory>>;
}

/// Copies line `y` of `scanout` into `into`, from the left: as many pixels as it has room for. False, and `into` as it was, when
/// that is outside the picture's memory.
pub(crate) fn read_line(scanout: &Scanout, y: u32, into: &mut [u32]) -> bool {
    let Some(at) = line_start(scanout, y) else { return false };
    scanout.memory.region().get_array_ref::<u32>(at, into.len()).map(|line| line.copy_to(into)).is_ok()
}

/// Writes `from` into line `y` of `scanout`, starting at pixel `x`.
pub(crate) fn write_line(scanout: &Scanout, x: u32, y: u32, from: &[u32]) {
    let Some(at) = line_start(scanout, y).and_then(|at| at.checked_add(x as usize * 4)) else { return };
    if let Ok(line) = scanout.memory.region().get_array_ref::<u32>(at, from.len()) {
        line.copy_from(from);
    }
}

fn line_start(scanout: &Scanout, y: u32) -> Option<usize> {
    let at = scanout.offset.checked_add(u64::from(y) * u64::from(scanout.stride))?;
    usize::try_from(at).ok()
}

/// The picture's pixels, row by row, as 0x00RRGGBB: for screenshots and tests. Black where it lies outside its memory.
pub fn read_pixels(scanout: &Scanout) -> Vec<u32> {
    let mut pixels = Vec::new();
    if !scanout.fits() {
        return pixels;
    }
    let mut line = vec![0; scanout.width as usize];
    for y in 0..scanout.height {
        read_line(scanout, y, &mut line);
        pixels.extend(line.iter().map(|pixel| pixel & 0xff_ffff));
    }
    pixels
}

/// Fills `bytes` bytes of `memory` from `offset` on with zeroes, as far as they exist.
pub(crate) fn clear(memory: &SharedMemory, offset: u64, bytes: u64) {
    const ZEROES: [u8; 4096] = [0; 4096];
    let slice = memory.region().as_volatile_slice();
    let end = offset.saturating_add(bytes).min(memory.size());
    let mut at = offset;
    while at < end {
        let count = (end - at).min(ZEROES.len() as u64) as usize;
        if slice.write_slice(&ZEROES[..count], at as usize).is_err() {
            return;
        }
        at += count as u64;
    }
}
