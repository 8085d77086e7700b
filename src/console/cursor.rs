//! The guest's pointer.

use std::os::fd::OwnedFd;

use api::ui::MAX_CURSOR;

use crate::Error;
use crate::memory::Mapping;

/// What the guest's pointer looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The pixel that points; within the picture.
    pub hot_x: u32,
    /// The pixel that points; within the picture.
    pub hot_y: u32,
    /// `width * height * 4` bytes: premultiplied blue, green, red, alpha.
    pub pixels: Vec<u8>,
}

impl Cursor {
    /// Reads a picture that an engine sent.
    pub(crate) fn read(width: u32, height: u32, hot: (u32, u32), memfd: Option<OwnedFd>) -> Result<Self, Error> {
        let memfd = memfd.ok_or(Error::Nonsense("a cursor without a picture"))?;
        if !(1..=MAX_CURSOR).contains(&width) || !(1..=MAX_CURSOR).contains(&height) {
            return Err(Error::Nonsense("a cursor's size"));
        }
        let mut pixels = vec![0; (width * height * 4) as usize];
        Mapping::new(memfd, pixels.len())?.read(0, &mut pixels);
        // Guests do set hot spots outside; toolkits refuse them.
        Ok(Self { width, height, hot_x: hot.0.min(width - 1), hot_y: hot.1.min(height - 1), pixels })
    }
}
