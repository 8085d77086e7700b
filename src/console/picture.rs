//! The screen's picture: an engine's scanout, and the frames made of it.
//!
//! A [`Frame`] is our own copy of the scanout, so that what is drawn never changes while it is drawn. A few buffers take turns. Each
//! remembers which part of it is stale, so that a new frame costs a copy of what changed since that buffer was last used, and a frame
//! nobody holds any more gives its buffer back by itself ([`Arc::get_mut`]).

use std::os::fd::OwnedFd;
use std::sync::Arc;

use api::ui::{MAX_SIDE, Rect};

use crate::Error;
use crate::memory::Mapping;

/// Most pixels of a scanout (two 8K screens): an engine must not make us allocate more.
const MOST_PIXELS: u64 = 64 << 20;
/// Furthest that a scanout may start within its memfd.
const MOST_OFFSET: u64 = 1 << 30;
/// Buffers that take turns: one drawn, one about to be, one to write.
const BUFFERS: usize = 3;

/// A picture of the screen. Cheap to clone; stays as it is as long as somebody holds it.
#[derive(Clone, Debug)]
pub struct Frame {
    pixels: Arc<Vec<u8>>,
    width: u32,
    height: u32,
    damage: Rect,
}

impl Frame {
    /// Pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes from line to line.
    pub fn stride(&self) -> usize {
        self.width as usize * 4
    }

    /// What differs from the frame before; the whole frame when that had another size.
    pub fn damage(&self) -> Rect {
        self.damage
    }

    /// Blue, green, red and a byte without meaning, line by line.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Red, green and blue of a pixel.
    ///
    /// # Panics
    /// Outside the frame.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "outside the frame");
        let at = y as usize * self.stride() + x as usize * 4;
        [self.pixels[at + 2], self.pixels[at + 1], self.pixels[at]]
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.pixels
    }
}

/// A scanout and the buffers of its frames.
#[derive(Debug)]
pub(crate) struct Picture {
    memory: Mapping,
    width: u32,
    height: u32,
    stride: usize,
    offset: usize,
    /// Changed since the last frame.
    damage: Rect,
    buffers: Vec<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    pixels: Arc<Vec<u8>>,
    /// Where it differs from the scanout.
    stale: Rect,
}

impl Picture {
    /// Takes a scanout from an engine. All of it is damaged.
    pub(crate) fn new(
        (width, height): (u32, u32),
        stride: u32,
        offset: u64,
        memfd: Option<OwnedFd>,
    ) -> Result<Self, Error> {
        let memfd = memfd.ok_or(Error::Nonsense("a scanout without memory"))?;
        if !(1..=MAX_SIDE).contains(&width)
            || !(1..=MAX_SIDE).contains(&height)
            || u64::from(width) * u64::from(height) > MOST_PIXELS
        {
            return Err(Error::Nonsense("a scanout's size"));
        }
        // Sides and offset are bounded, so nothing below overflows 64 bits.
        if u64::from(stride) < u64::from(width) * 4 || !stride.is_multiple_of(4) || stride > MAX_SIDE * 8 {
            return Err(Error::Nonsense("a scanout's stride"));
        }
        if !offset.is_multiple_of(4) || offset > MOST_OFFSET {
            return Err(Error::Nonsense("a scanout's offset"));
        }
        let (stride, offset) = (stride as usize, offset as usize);
        let memory = Mapping::new(memfd, offset + stride * height as usize)?;
        let damage = Rect { x: 0, y: 0, width, height };
        Ok(Self { memory, width, height, stride, offset, damage, buffers: Vec::new() })
    }

    /// Notes that the scanout changed.
    pub(crate) fn damage(&mut self, rect: Rect) {
        self.damage = self.damage.union(rect.clipped(self.width, self.height));
    }

    /// The newest frame, if it differs from the last.
    pub(crate) fn refresh(&mut self) -> Option<Frame> {
        let damage = std::mem::take(&mut self.damage);
        if damage.is_empty() {
            return None;
        }
        for buffer in &mut self.buffers {
            buffer.stale = buffer.stale.union(damage);
        }
        let free = self.buffers.iter_mut().position(|buffer| Arc::get_mut(&mut buffer.pixels).is_some());
        let index = free.unwrap_or_else(|| {
            // When all are held, the oldest leaves the round and its holder frees it.
            if self.buffers.len() == BUFFERS {
                self.buffers.remove(0);
            }
            let pixels = Arc::new(vec![0; self.width as usize * 4 * self.height as usize]);
            self.buffers.push(Buffer { pixels, stale: Rect { x: 0, y: 0, width: self.width, height: self.height } });
            self.buffers.len() - 1
        });
        let buffer = &mut self.buffers[index];
        let stale = std::mem::take(&mut buffer.stale);
        let pixels = Arc::get_mut(&mut buffer.pixels).expect("found free or just made");
        let (left, bytes) = (stale.x as usize * 4, stale.width as usize * 4);
        for y in stale.y as usize..(stale.y + stale.height) as usize {
            let to = y * self.width as usize * 4 + left;
            self.memory.read(self.offset + y * self.stride + left, &mut pixels[to..to + bytes]);
        }
        Some(Frame { pixels: buffer.pixels.clone(), width: self.width, height: self.height, damage })
    }
}
