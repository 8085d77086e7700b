//! The guest's pointer: as the desktop's own where the guest takes positions, and drawn into the picture where it takes movements.

use api::ui::Rect;
use console::Cursor;
use winit::window::{CustomCursor, CustomCursorSource};

/// The desktop's pointer that looks like the guest's.
///
/// winit takes pixels whose alpha is not multiplied in yet and multiplies it in on Wayland; on X11 it leaves that out (0.30.13), so there it
/// gets them as X wants them in the end.
pub(crate) fn source(cursor: &Cursor, x11: bool) -> Option<CustomCursorSource> {
    let straight = |part: u8, alpha: u8| match alpha {
        0 => 0,
        _ if x11 => part,
        // At most 255, or a guest whose colours are brighter than their alpha allows.
        alpha => (u32::from(part) * 255 / u32::from(alpha)).min(255) as u8,
    };
    let pixel = |&[blue, green, red, alpha]: &[u8; 4]| {
        [straight(red, alpha), straight(green, alpha), straight(blue, alpha), alpha]
    };
    let rgba: Vec<u8> = cursor.pixels.as_chunks::<4>().0.iter().flat_map(pixel).collect();
    let side = |length: u32| u16::try_from(length).ok();
    let (width, height) = (side(cursor.width)?, side(cursor.height)?);
    CustomCursor::from_rgba(rgba, width, height, side(cursor.hot_x)?, side(cursor.hot_y)?).ok()
}

/// What a cursor that points at `at` covers of a picture of `size`.
pub(crate) fn area(cursor: &Cursor, at: (i32, i32), size: (u32, u32)) -> Rect {
    let along = |at: i32, hot: u32, length: u32, size: u32| {
        let start = i64::from(at) - i64::from(hot);
        let clip = |edge: i64| edge.clamp(0, size.into()) as u32;
        (clip(start), clip(start + i64::from(length)))
    };
    let (left, right) = along(at.0, cursor.hot_x, cursor.width, size.0);
    let (top, bottom) = along(at.1, cursor.hot_y, cursor.height, size.1);
    Rect { x: left, y: top, width: right - left, height: bottom - top }
}

/// Draws a cursor that points at `at` into a picture's pixels: blue, green, red and a byte without meaning, `width` of them a line.
pub(crate) fn draw(cursor: &Cursor, at: (i32, i32), area: Rect, pixels: &mut [u8], width: u32) {
    let column = |x: u32| (i64::from(x) - i64::from(at.0) + i64::from(cursor.hot_x)) as usize;
    let row = |y: u32| (i64::from(y) - i64::from(at.1) + i64::from(cursor.hot_y)) as usize;
    for (y, x) in (area.y..area.y + area.height).flat_map(|y| (area.x..area.x + area.width).map(move |x| (y, x))) {
        let from = (row(y) * cursor.width as usize + column(x)) * 4;
        let to = (y as usize * width as usize + x as usize) * 4;
        let alpha = u32::from(cursor.pixels[from + 3]);
        for (below, above) in pixels[to..to + 3].iter_mut().zip(&cursor.pixels[from..from + 3]) {
            let shine = (u32::from(*below) * (255 - alpha) + 127) / 255;
            *below = (shine + u32::from(*above)).min(255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White, half white, bright without cover, and nothing.
    fn cursor() -> Cursor {
        let pixels = [[255; 4], [128; 4], [255, 255, 255, 0], [0; 4]].concat();
        Cursor { width: 2, height: 2, hot_x: 1, hot_y: 0, pixels }
    }

    #[test]
    fn it_is_drawn_where_it_points() {
        let cursor = cursor();
        let mut pixels = [100, 100, 100, 7].repeat(9);
        let place = area(&cursor, (1, 1), (3, 3));
        assert_eq!(place, Rect { x: 0, y: 1, width: 2, height: 2 });
        draw(&cursor, (1, 1), place, &mut pixels, 3);
        let line: Vec<_> = (0..3).map(|x| pixels[(3 + x) * 4]).collect();
        assert_eq!(line, [255, 178, 100]);
        assert!(pixels.iter().skip(3).step_by(4).all(|unused| *unused == 7));
    }

    #[test]
    fn it_may_stand_outside() {
        let cursor = cursor();
        let mut pixels = vec![0; 9 * 4];
        for at in [(0, 0), (3, 3), (-1, 2), (i32::MIN, 0), (i32::MAX, i32::MAX), (2, i32::MIN)] {
            let place = area(&cursor, at, (3, 3));
            assert!(place.x + place.width <= 3 && place.y + place.height <= 3, "{at:?}: {place:?}");
            draw(&cursor, at, place, &mut pixels, 3);
        }
        assert_eq!(area(&cursor, (0, 0), (3, 3)), Rect { x: 0, y: 0, width: 1, height: 2 });
        assert!(area(&cursor, (i32::MAX, 0), (3, 3)).is_empty());
    }

    #[test]
    fn desktops_take_it() {
        assert!(source(&cursor(), true).is_some() && source(&cursor(), false).is_some());
    }
}
