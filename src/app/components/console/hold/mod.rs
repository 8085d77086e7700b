//! A captured pointer: held in place by the desktop, while its movements go to the guest.
//!
//! A guest with a mouse wants movements without end, and GTK tells positions, which end at the widget's edge. So movements are taken
//! where the desktop has them before it makes positions of them: on Wayland from a locked pointer, on X11 from raw events, while the
//! pointer is kept in the widget. Both are unaccelerated, as a mouse has them: the guest accelerates by itself.

mod wayland;
mod x11;

use gtk::gdk;
use gtk::prelude::*;

use super::display::Display;

/// The pointer is held as long as this lives.
#[derive(Debug)]
pub(super) enum Hold {
    Wayland { _lock: Box<wayland::Lock> },
    X11(x11::Cage),
}

impl Hold {
    /// Holds the pointer over the display; `moved` hears of its movements. None where the desktop has no way.
    pub(super) fn new(display: &Display, moved: impl Fn((f64, f64)) + 'static) -> Option<Self> {
        let surface = display.native()?.surface()?;
        if let Some(surface) = surface.downcast_ref::<gdk4_wayland::WaylandSurface>() {
            wayland::Lock::new(surface, moved).map(|lock| Self::Wayland { _lock: Box::new(lock) })
        } else {
            let surface = surface.downcast_ref::<gdk4_x11::X11Surface>()?;
            match x11::Cage::new(surface, area(display, surface.upcast_ref()), moved) {
                Ok(cage) => Some(Self::X11(cage)),
                Err(error) => {
                    tracing::warn!("a captured pointer ends at the screen's edge: {error}");
                    None
                }
            }
        }
    }

    /// The display has another place in its window.
    pub(super) fn follow(&self, display: &Display) {
        if let (Self::X11(cage), Some(surface)) = (self, display.native().and_then(|native| native.surface())) {
            cage.place(area(display, &surface));
        }
    }
}

/// A rectangle of a window, in device pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Area {
    x: i16,
    y: i16,
    width: u16,
    height: u16,
}

/// Where the display stands in its window.
fn area(display: &Display, surface: &gdk::Surface) -> Area {
    let ((x, y), scale) = (display.surface_place().0, surface.scale());
    let pixels = |length: f64| (length * scale).round();
    // A float that does not fit ends at the nearest value that does.
    Area {
        x: pixels(x) as i16,
        y: pixels(y) as i16,
        width: pixels(display.width().into()) as u16,
        height: pixels(display.height().into()) as u16,
    }
}
