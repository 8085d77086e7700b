//! The guest's screen follows the window: it is told how large it could be, in device pixels, once the window stays for a moment.
//!
//! The room is what a person sees of the display: where the picture is larger and scrolls, the display is too.

use std::time::Duration;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::display::Display;
use console::geometry::device_pixels;

/// Quiet time after which the guest hears of another size.
const DELAY: Duration = Duration::from_millis(250);
/// A guest hears of no smaller screen.
const LEAST: u32 = 64;

impl Display {
    /// Does the guest's screen follow the window?
    pub(super) fn set_resizes_guest(&self, on: bool) {
        self.imp().fixed.set(!on);
        self.imp().told.set((0, 0));
        self.tell_size_soon();
    }

    /// What a person sees of the display, in logical pixels.
    pub(super) fn room(&self) -> (i32, i32) {
        match self.parent().and_downcast::<gtk::Viewport>() {
            Some(view) => (view.width(), view.height()),
            None => (self.width(), self.height()),
        }
    }

    /// Tells the guest how large its screen could be, once the size stays for a moment.
    pub(super) fn tell_size_soon(&self) {
        if let Some(source) = self.imp().resize.take() {
            source.remove();
        }
        if self.absolute().is_none() || self.imp().fixed.get() {
            return;
        }
        let display = self.downgrade();
        let source = glib::timeout_add_local_once(DELAY, move || {
            let Some(display) = display.upgrade() else { return };
            display.imp().resize.take();
            display.tell_size();
        });
        self.imp().resize.replace(Some(source));
    }

    fn tell_size(&self) {
        let (_, scale) = self.surface_place();
        let room = self.room();
        let size = (device_pixels(room.0, scale), device_pixels(room.1, scale));
        if size.0 < LEAST || size.1 < LEAST || self.imp().told.replace(size) == size {
            return;
        }
        let monitor = self
            .native()
            .and_then(|native| native.surface())
            .and_then(|surface| gtk::prelude::WidgetExt::display(self).monitor_at_surface(&surface));
        let millimetres = monitor.map_or((0, 0), |monitor| {
            let geometry = monitor.geometry();
            let part = |length: i32, of: i32, mm: i32| (length * mm.max(0)).checked_div(of).unwrap_or(0).max(0) as u32;
            (part(room.0, geometry.width(), monitor.width_mm()), part(room.1, geometry.height(), monitor.height_mm()))
        });
        self.tell(|console| console.ui_info(size, millimetres));
    }
}
