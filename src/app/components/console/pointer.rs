//! The pointer over a machine's screen.
//!
//! A guest with a tablet gets positions, and the pointer comes and goes freely. A guest with a mouse gets movements, and only while the
//! pointer is captured: a click into the screen captures it, the host key lets it go. A desktop that can [`Hold`] the pointer tells its
//! movements; on others they are taken from positions, and end at the widget's edge.

use std::cell::Cell;

use api::input::{Axis, Button};
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib};

use super::display::Display;
use super::hold::Hold;

/// A captured pointer's way so far.
#[derive(Debug, Default)]
pub(super) struct Motion {
    last: Cell<Option<(f64, f64)>>,
    /// Parts of a guest pixel that were not sent yet.
    rest: Cell<(f64, f64)>,
}

impl Motion {
    /// The pointer is at `to` now, in guest pixels: how far is that from where it was, in whole ones?
    fn advance(&self, to: (f64, f64)) -> (i32, i32) {
        let Some(from) = self.last.replace(Some(to)) else { return (0, 0) };
        self.shift((to.0 - from.0, to.1 - from.1))
    }

    /// The pointer went this way: how far is that in whole pixels?
    fn shift(&self, by: (f64, f64)) -> (i32, i32) {
        let rest = self.rest.get();
        let way = (by.0 + rest.0, by.1 + rest.1);
        let whole = (way.0.trunc(), way.1.trunc());
        self.rest.set((way.0 - whole.0, way.1 - whole.1));
        (whole.0 as i32, whole.1 as i32)
    }

    /// The next position is a new beginning.
    pub(super) fn forget(&self) {
        self.last.set(None);
        self.rest.set((0.0, 0.0));
    }
}

/// Makes the display take the pointer.
pub(super) fn install(display: &Display) {
    let motion = gtk::EventControllerMotion::new();
    let weak = display.downgrade();
    motion.connect_motion(move |_, x, y| {
        if let Some(display) = weak.upgrade() {
            moved(&display, x, y);
        }
    });
    let weak = display.downgrade();
    motion.connect_leave(move |_| {
        if let Some(display) = weak.upgrade() {
            display.imp().motion.forget();
        }
    });
    display.add_controller(motion);

    // Buttons by raw events: a gesture would wait, to know whether it is one.
    let buttons = gtk::EventControllerLegacy::new();
    let weak = display.downgrade();
    buttons.connect_event(move |_, event| {
        let (Some(display), Some(event)) = (weak.upgrade(), event.downcast_ref::<gdk::ButtonEvent>()) else {
            return glib::Propagation::Proceed;
        };
        match event.event_type() {
            gdk::EventType::ButtonPress => pressed(&display, event.button(), true),
            gdk::EventType::ButtonRelease => pressed(&display, event.button(), false),
            _ => glib::Propagation::Proceed,
        }
    });
    display.add_controller(buttons);

    let flags = gtk::EventControllerScrollFlags::BOTH_AXES | gtk::EventControllerScrollFlags::DISCRETE;
    let wheel = gtk::EventControllerScroll::new(flags);
    let weak = display.downgrade();
    wheel.connect_scroll(move |_, dx, dy| {
        if let Some(display) = weak.upgrade().filter(listens) {
            display.tell(|console| {
                console.wheel(Axis::Vertical, -dy.round() as i32)?;
                console.wheel(Axis::Horizontal, dx.round() as i32)
            });
        }
        glib::Propagation::Stop
    });
    display.add_controller(wheel);
}

/// Holds the pointer for a guest that wants movements, where the desktop can.
pub(super) fn hold(display: &Display) -> Option<Hold> {
    let weak = display.downgrade();
    Hold::new(display, move |way| {
        if let Some(display) = weak.upgrade() {
            let (dx, dy) = display.imp().motion.shift(way);
            display.tell(|console| console.pointer_motion(dx, dy));
        }
    })
}

/// Does the guest get the pointer just now?
fn listens(display: &Display) -> bool {
    match display.absolute() {
        Some(absolute) => absolute || display.is_captured(),
        None => false,
    }
}

fn moved(display: &Display, x: f64, y: f64) {
    let (Some(place), true) = (display.placement(), listens(display)) else { return };
    let (part_x, part_y) = place.to_picture(x, y);
    if display.is_held() {
        // Where the desktop's pointer is kept means nothing.
    } else if display.is_captured() {
        let Some(texture) = display.texture() else { return };
        let here = (part_x * f64::from(texture.width()), part_y * f64::from(texture.height()));
        let (dx, dy) = display.imp().motion.advance(here);
        display.tell(|console| console.pointer_motion(dx, dy));
    } else {
        display.tell(|console| console.pointer_position(part_x, part_y));
    }
}

fn pressed(display: &Display, number: u32, down: bool) -> glib::Propagation {
    let Some(absolute) = display.absolute() else { return glib::Propagation::Proceed };
    if down {
        display.grab_focus();
    }
    if !absolute && !display.is_captured() {
        // The click that captures is the desktop's, not the guest's.
        if down && number == gdk::BUTTON_PRIMARY {
            display.capture_pointer();
        }
        return glib::Propagation::Stop;
    }
    let button = match number {
        gdk::BUTTON_PRIMARY => Button::Left,
        gdk::BUTTON_MIDDLE => Button::Middle,
        gdk::BUTTON_SECONDARY => Button::Right,
        8 => Button::Side,
        9 => Button::Extra,
        _ => return glib::Propagation::Proceed,
    };
    display.tell(|console| console.button(button, down));
    glib::Propagation::Stop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_add_up() {
        let motion = Motion::default();
        assert_eq!(motion.advance((5.0, 5.0)), (0, 0));
        let steps: Vec<_> = (1..=4).map(|step| motion.advance((5.0 + 0.4 * f64::from(step), 5.0))).collect();
        assert_eq!(steps, [(0, 0), (0, 0), (1, 0), (0, 0)]);
        assert_eq!([motion.shift((-0.7, 0.5)), motion.shift((-0.7, 0.5))], [(0, 0), (0, 1)]);
        motion.forget();
        assert_eq!(motion.advance((900.0, 0.0)), (0, 0));
    }
}
