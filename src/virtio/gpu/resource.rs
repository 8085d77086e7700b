//! Resources: pictures that the driver owns, held in memory that consoles can map, filled from guest pages.

use std::sync::Arc;

use api::ui::Rect;
use device::Ram;
use device::pci::SharedMemory;
use display::{PixelFormat, Scanout};
use serde::{Deserialize, Serialize};
use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileMemory};

use crate::chain::Span;

/// Bytes of a pixel in every format there is.
const PIXEL: u32 = 4;

/// How the guest stores pixels: which byte of its pixel goes to which of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(super) struct Format {
    number: u32,
    /// Where blue, green, red and alpha are in the guest's pixel.
    bytes: [u8; 4],
    /// Has it alpha?
    pub(super) alpha: bool,
}

impl TryFrom<u32> for Format {
    type Error = &'static str;

    /// Format `number` of §5.7.6.8.
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        let (bytes, alpha) = match number {
            1 => ([0, 1, 2, 3], true),
            2 => ([0, 1, 2, 3], false),
            3 => ([3, 2, 1, 0], true),
            4 => ([3, 2, 1, 0], false),
            67 => ([2, 1, 0, 3], true),
            68 => ([1, 2, 3, 0], false),
            121 => ([1, 2, 3, 0], true),
            134 => ([2, 1, 0, 3], false),
            _ => return Err("unknown pixel format"),
        };
        Ok(Self { number, bytes, alpha })
    }
}

impl From<Format> for u32 {
    fn from(format: Format) -> Self {
        format.number
    }
}

impl Format {
    /// Is it stored as we store it?
    fn is_ours(self) -> bool {
        self.bytes == [0, 1, 2, 3]
    }

    fn to_ours(self, pixel: u32) -> u32 {
        let bytes = pixel.to_le_bytes();
        u32::from_le_bytes(self.bytes.map(|at| bytes[usize::from(at)]))
    }
}

/// Guest pages behind a resource.
pub(super) struct Backing {
    spans: Vec<Span>,
    /// Where each span starts in the whole.
    starts: Vec<u64>,
    ram: Arc<Ram>,
}

impl Backing {
    /// `None` when a span is not RAM.
    pub(super) fn new(mut spans: Vec<Span>, ram: &Arc<Ram>) -> Option<Self> {
        spans.retain(|span| span.length != 0);
        let mut starts = Vec::with_capacity(spans.len());
        let mut total = 0;
        for span in &spans {
            if !GuestMemoryBackend::check_range(&**ram, GuestAddress(span.address), span.length as usize) {
                return None;
            }
            starts.push(total);
            total += u64::from(span.length);
        }
        Some(Self { spans, starts, ram: Arc::clone(ram) })
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Copies `length` bytes from `from` on into `memory` at `to`, as far as both go.
    fn copy(&self, from: u64, memory: &SharedMemory, to: u64, length: u64) {
        let (mut from, mut to, mut left) = (from, to, length);
        let Some(first) = self.starts.partition_point(|start| *start <= from).checked_sub(1) else { return };
        for (span, start) in self.spans[first..].iter().zip(&self.starts[first..]) {
            // Behind the last byte wanted, a span begins after `from`.
            if left == 0 {
                return;
            }
            let skip = from - start;
            if skip >= span.length.into() {
                return;
            }
            let count = left.min(u64::from(span.length) - skip);
            let slices = self.ram.get_slices(GuestAddress(span.address + skip), count as usize);
            for source in slices.map_while(Result::ok) {
                let Ok(target) = memory.region().get_slice(to as usize, source.len()) else { return };
                source.copy_to_volatile_slice(target);
                to += source.len() as u64;
            }
            (from, left) = (from + count, left - count);
        }
    }
}

/// A picture.
pub(super) struct Resource {
    pub(super) format: Format,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) memory: Arc<SharedMemory>,
    pub(super) backing: Option<Backing>,
}

impl Resource {
    /// Bytes that a picture of this size takes.
    pub(super) fn bytes_of(width: u32, height: u32) -> u64 {
        u64::from(width) * u64::from(height) * u64::from(PIXEL)
    }

    fn stride(&self) -> u32 {
        self.width * PIXEL
    }

    /// Is `rect` a part of the picture?
    pub(super) fn contains(&self, rect: Rect) -> bool {
        rect.clipped(self.width, self.height) == rect
    }

    /// Is `rect` a part of the picture that a head can show?
    pub(super) fn can_show(&self, rect: Rect) -> bool {
        !rect.is_empty() && self.contains(rect)
    }

    /// Fills `rect`, which must be [contained](Self::contains), from the guest's pages, where the rectangle's first pixel is
    /// `offset` bytes in and lines are as long as the whole picture's.
    pub(super) fn transfer(&self, rect: Rect, offset: u64) {
        let Some(backing) = &self.backing else { return };
        let stride = u64::from(self.stride());
        let target = |line: u32| u64::from(rect.y + line) * stride + u64::from(rect.x * PIXEL);
        if rect.width == self.width {
            backing.copy(offset, &self.memory, target(0), stride * u64::from(rect.height));
        } else {
            for line in 0..rect.height {
                let Some(from) = offset.checked_add(u64::from(line) * stride) else { break };
                backing.copy(from, &self.memory, target(line), u64::from(rect.width * PIXEL));
            }
        }
        if self.format.is_ours() {
            return;
        }
        let mut pixels = vec![0u32; rect.width as usize];
        for line in 0..rect.height {
            let Ok(row) = self.memory.region().get_array_ref::<u32>(target(line) as usize, pixels.len()) else {
                return;
            };
            row.copy_to(&mut pixels);
            pixels.iter_mut().for_each(|pixel| *pixel = self.format.to_ours(*pixel));
            row.copy_from(&pixels);
        }
    }

    /// Fills all of it.
    pub(super) fn transfer_all(&self) {
        self.transfer(Rect { x: 0, y: 0, width: self.width, height: self.height }, 0);
    }

    /// `rect` of it as a picture for a console.
    pub(super) fn scanout(&self, rect: Rect) -> Scanout {
        Scanout {
            memory: Arc::clone(&self.memory),
            offset: u64::from(rect.y) * u64::from(self.stride()) + u64::from(rect.x * PIXEL),
            width: rect.width,
            height: rect.height,
            stride: self.stride(),
            format: PixelFormat::Xrgb8888,
        }
    }

    /// All its pixels with their alpha, as a pointer wants them.
    pub(super) fn pixels(&self) -> Vec<u32> {
        let mut pixels = vec![0u32; self.width as usize * self.height as usize];
        if let Ok(all) = self.memory.region().get_array_ref::<u32>(0, pixels.len()) {
            all.copy_to(&mut pixels);
        }
        let opaque = if self.format.alpha { 0 } else { 0xff00_0000 };
        pixels.iter_mut().for_each(|pixel| *pixel = u32::from_le(*pixel) | opaque);
        pixels
    }
}
