//! Small pictures of screens, for the list of machines.

use gtk::prelude::*;
use gtk::{gdk, glib};

/// Most pixels of a side. A row and a tile show fewer; dense screens show all of a tile's.
const WIDTH: usize = 288;
const HEIGHT: usize = 216;
/// Bytes of a pixel.
const PIXEL: usize = 4;

/// A small picture of this one, with the same proportions. Takes milliseconds: not for the main thread.
pub(crate) fn of(picture: &gdk::Texture) -> Option<gdk::Texture> {
    let mut downloader = gdk::TextureDownloader::new(picture);
    downloader.set_format(gdk::MemoryFormat::R8g8b8a8);
    let (bytes, stride) = downloader.download_bytes();
    let size = (usize::try_from(picture.width()).ok()?, usize::try_from(picture.height()).ok()?);
    let (pixels, (width, height)) = shrink(&bytes, stride, size)?;
    let texture = gdk::MemoryTexture::new(
        i32::try_from(width).ok()?,
        i32::try_from(height).ok()?,
        gdk::MemoryFormat::R8g8b8a8,
        &glib::Bytes::from_owned(pixels),
        width * PIXEL,
    );
    Some(texture.upcast())
}

/// Averages the pixels that fall together; a picture that is small enough stays. `None` when the bytes are no such picture.
fn shrink(bytes: &[u8], stride: usize, (width, height): (usize, usize)) -> Option<(Vec<u8>, (usize, usize))> {
    if width == 0 || height == 0 || width.checked_mul(PIXEL)? > stride {
        return None;
    }
    if bytes.len() < stride.checked_mul(height - 1)?.checked_add(width * PIXEL)? {
        return None;
    }
    // The narrower of the two decides.
    let (small_width, small_height) = if width * HEIGHT > height * WIDTH {
        let small = width.min(WIDTH);
        (small, (height * small / width).max(1))
    } else {
        let small = height.min(HEIGHT);
        ((width * small / height).max(1), small)
    };
    let mut pixels = Vec::with_capacity(small_width * small_height * PIXEL);
    for y in 0..small_height {
        let rows = y * height / small_height..((y + 1) * height / small_height);
        for x in 0..small_width {
            let columns = x * width / small_width..((x + 1) * width / small_width);
            let mut sums = [0usize; PIXEL];
            for row in rows.clone() {
                for pixel in bytes[row * stride..][columns.start * PIXEL..columns.end * PIXEL].chunks_exact(PIXEL) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += usize::from(*value));
                }
            }
            let count = (rows.len() * columns.len()).max(1);
            pixels.extend(sums.map(|sum| (sum / count) as u8));
        }
    }
    Some((pixels, (small_width, small_height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_shrink_in_proportion() {
        let picture = |width: usize, height: usize| vec![7; width * height * PIXEL];
        let size = |width, height| shrink(&picture(width, height), width * PIXEL, (width, height)).unwrap().1;
        assert_eq!(size(1024, 768), (288, 216));
        assert_eq!(size(1920, 1080), (288, 162));
        assert_eq!(size(720, 1440), (108, 216));
        assert_eq!(size(16, 9), (16, 9));
        assert_eq!(size(4000, 1), (288, 1));
        assert_eq!(shrink(&[], 0, (0, 4)), None);
        assert_eq!(shrink(&picture(4, 4), 4, (4, 4)), None);
        assert_eq!(shrink(&picture(4, 3), 16, (4, 4)), None);
    }

    #[test]
    fn pixels_that_fall_together_are_averaged() {
        // Black and white columns in turn, with room behind each row.
        let (width, height, stride) = (576, 2, 576 * PIXEL + 12);
        let mut bytes = vec![99; stride * height];
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            bytes[y * stride + x * PIXEL..][..PIXEL].fill(if x % 2 == 0 { 0 } else { 254 });
        }
        let (pixels, size) = shrink(&bytes, stride, (width, height)).unwrap();
        assert_eq!(size, (288, 1));
        assert!(pixels.iter().all(|value| *value == 127), "{pixels:?}");
    }
}
