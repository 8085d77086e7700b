//! What a video device says to consoles.

use std::sync::Arc;

use api::ui::Rect;
use device::pci::SharedMemory;

/// How a pixel is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// 32 bits, little endian: blue, green, red, and a byte without meaning.
    Xrgb8888,
}

impl PixelFormat {
    /// Bytes of one pixel.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Xrgb8888 => 4,
        }
    }
}

/// A picture in shared memory.
#[derive(Clone, Debug)]
pub struct Scanout {
    /// Where it is.
    pub memory: Arc<SharedMemory>,
    /// Bytes from the start of `memory` to the top left pixel.
    pub offset: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes from line to line.
    pub stride: u32,
    /// How pixels are stored.
    pub format: PixelFormat,
}

impl Scanout {
    /// Does the whole picture lie in its memory?
    pub fn fits(&self) -> bool {
        let line = u64::from(self.width) * u64::from(self.format.bytes());
        let last = u64::from(self.height.saturating_sub(1)) * u64::from(self.stride);
        let end = self.offset.checked_add(last).and_then(|at| at.checked_add(line));
        line <= u64::from(self.stride) && end.is_some_and(|end| end <= self.memory.size())
    }
}

/// Equal when it is the same memory, laid out alike.
impl PartialEq for Scanout {
    fn eq(&self, other: &Self) -> bool {
        let layout = |s: &Self| (s.offset, s.width, s.height, s.stride, s.format);
        Arc::ptr_eq(&self.memory, &other.memory) && layout(self) == layout(other)
    }
}

/// The guest's pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorImage {
    /// Pixels, at most [`api::ui::MAX_CURSOR`].
    pub width: u32,
    /// Pixels, at most [`api::ui::MAX_CURSOR`].
    pub height: u32,
    /// The pixel that points, from the left.
    pub hot_x: u32,
    /// The pixel that points, from the top.
    pub hot_y: u32,
    /// `width * height` pixels, row by row: premultiplied alpha in the top byte, then red, green, blue.
    pub pixels: Vec<u32>,
}

/// The consoles of a machine, as its video devices see them. Heads count from 0.
///
/// Called under the device's mutex from vCPU, I/O and refresh threads; an implementation hands on and returns at once.
pub trait Output: Send + Sync {
    /// `head` shows this picture from now on, all of it new; or nothing.
    fn scanout(&self, head: u32, scanout: Option<Scanout>);
    /// The picture of `head` changed inside `rect`, which lies in it.
    fn damage(&self, head: u32, rect: Rect);
    /// The pointer of `head` looks like this; or there is none.
    fn cursor(&self, head: u32, image: Option<CursorImage>);
    /// The guest put its pointer here: the pixel that points, in pixels of `head`; it may lie outside.
    fn cursor_moved(&self, head: u32, x: i32, y: i32);
}
