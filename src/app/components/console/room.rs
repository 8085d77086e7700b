//! Room for a guest's screen: the window grows with it.

use adw::prelude::*;

use super::display::Display;

/// The window never takes more of a monitor than this.
const MONITOR_PART: f64 = 0.9;

/// Makes the window larger when the guest's screen does not fit. It never shrinks by itself.
pub(super) fn grow(window: &adw::ApplicationWindow, display: &Display, picture: (u32, u32)) {
    if window.is_maximized() || window.is_fullscreen() || picture == (0, 0) {
        return;
    }
    let Some(surface) = window.surface() else { return };
    let scale = surface.scale();
    let wanted = |pixels: u32| (f64::from(pixels) / scale).ceil() as i32;
    let most = gtk::prelude::WidgetExt::display(window).monitor_at_surface(&surface).map(|monitor| monitor.geometry());
    let limit =
        |length: i32, all: Option<i32>| all.map_or(length, |all| length.min((f64::from(all) * MONITOR_PART) as i32));
    let missing = (wanted(picture.0) - display.width(), wanted(picture.1) - display.height());
    if missing.0 <= 0 && missing.1 <= 0 {
        return;
    }
    // The default size is the present one, with what decorations need.
    let (width, height) = window.default_size();
    let more = |length: i32, missing: i32, all: Option<i32>| limit(length + missing.max(0), all).max(length);
    window.set_default_size(
        more(width, missing.0, most.map(|area| area.width())),
        more(height, missing.1, most.map(|area| area.height())),
    );
}
