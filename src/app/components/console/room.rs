//! Room for a guest's screen: the window grows with it.

use adw::prelude::*;

use super::display::Display;

/// The window never takes more of a monitor than this.
const MONITOR_PART: f64 = 0.9;
/// Most device pixels that a guest's pixel is given room for.
const MOST_ZOOM: u32 = 8;
/// So much of the display may be added only to make its zoom a whole number, and the picture crisp.
const FOR_ZOOM: f64 = 0.03;

/// Makes the window larger when the guest's screen does not fit. It never shrinks by itself.
pub(super) fn grow(window: &adw::ApplicationWindow, display: &Display, picture: (u32, u32)) {
    if window.is_maximized() || window.is_fullscreen() || picture == (0, 0) {
        return;
    }
    let Some(surface) = window.surface() else { return };
    let (width, height) = missing(picture, display.room(), surface.scale());
    if (width, height) == (0, 0) {
        return;
    }
    let monitor = gtk::prelude::WidgetExt::display(window).monitor_at_surface(&surface);
    let area = monitor.map(|monitor| monitor.geometry()).map(|area| (area.width(), area.height()));
    let limit =
        |length: i32, all: Option<i32>| all.map_or(length, |all| length.min((f64::from(all) * MONITOR_PART) as i32));
    // The default size is the present one, with what decorations need.
    let now = window.default_size();
    window.set_default_size(
        limit(now.0 + width, area.map(|area| area.0)).max(now.0),
        limit(now.1 + height, area.map(|area| area.1)).max(now.1),
    );
}

/// What a display of this (logical) size lacks.
fn missing(picture: (u32, u32), display: (i32, i32), scale: f64) -> (i32, i32) {
    let lack = |pixels: u32, zoom: u32, has: i32| {
        let wanted = (f64::from(pixels) * f64::from(zoom) / scale).ceil();
        // A float that does not fit ends at the largest number.
        (wanted as i32).saturating_sub(has).max(0)
    };
    let lacks = |zoom: u32| (lack(picture.0, zoom, display.0), lack(picture.1, zoom, display.1));
    let little = |(width, height): &(i32, i32)| {
        f64::from(*width) <= f64::from(display.0) * FOR_ZOOM && f64::from(*height) <= f64::from(display.1) * FOR_ZOOM
    };
    (2..=MOST_ZOOM).rev().map(lacks).find(little).unwrap_or_else(|| lacks(1))
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn every_pixel_gets_room() {
        assert_eq!(missing((1280, 800), (1024, 768), 1.0), (256, 32));
        assert_eq!(missing((720, 400), (1024, 768), 1.0), (0, 0));
        assert_eq!(missing((1280, 800), (1024, 768), 2.0), (0, 0));
        assert_eq!(missing((u32::MAX, 1), (1024, 768), 1.0), (i32::MAX - 1024, 0));
    }

    #[test]
    fn whole_numbers_for_a_little_more() {
        // Twice the size on a screen of high density: one logical pixel for one of the guest's.
        assert_eq!(missing((1024, 768), (1016, 767), 2.0), (8, 1));
        // A guest that follows the display has all the room it wants.
        assert_eq!(missing((2032, 1534), (1016, 767), 2.0), (0, 0));
        assert_eq!(missing((1024, 768), (900, 767), 2.0), (0, 0));
    }
}
