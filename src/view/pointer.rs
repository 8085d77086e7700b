//! The pointer: winit's words for buttons, wheels and movements, in the guest's.

use api::input::Button;
use winit::event::{MouseButton, MouseScrollDelta};

/// Pixels that a finger goes on a touchpad for what a notch of a wheel is.
const NOTCH: f64 = 30.0;

/// Parts of a whole pixel, or of a notch, that were not sent yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rest(f64, f64);

impl Rest {
    /// It went on by this much: how far is that in whole ones?
    pub(crate) fn advance(&mut self, by: (f64, f64)) -> (i32, i32) {
        let way = (self.0 + by.0, self.1 + by.1);
        let whole = (way.0.trunc(), way.1.trunc());
        let rest = |way: f64, whole: f64| if way.is_finite() { way - whole } else { 0.0 };
        *self = Self(rest(way.0, whole.0), rest(way.1, whole.1));
        // A float that does not fit ends at the nearest value that does.
        (whole.0 as i32, whole.1 as i32)
    }
}

/// Movements that come in pairs.
///
/// X servers send a raw event once to whoever holds the pointer, and once to whoever listens at the root window (`DeliverRawEvent`). A window
/// of winit's is both, and hears of every movement twice as long as it holds the pointer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pairs(Option<(f64, f64)>);

impl Pairs {
    /// Is this movement the first of its pair, or alone?
    pub(crate) fn is_first(&mut self, way: (f64, f64)) -> bool {
        let second = self.0 == Some(way);
        self.0 = (!second).then_some(way);
        !second
    }
}

/// A guest's button.
pub(crate) fn button(button: MouseButton) -> Option<Button> {
    match button {
        MouseButton::Left => Some(Button::Left),
        MouseButton::Middle => Some(Button::Middle),
        MouseButton::Right => Some(Button::Right),
        MouseButton::Back => Some(Button::Side),
        MouseButton::Forward => Some(Button::Extra),
        MouseButton::Other(_) => None,
    }
}

/// Notches of a wheel: to the right, and up. winit tells where the content goes, which is up and to the left for these.
pub(crate) fn notches(delta: MouseScrollDelta) -> (f64, f64) {
    match delta {
        MouseScrollDelta::LineDelta(x, y) => (-f64::from(x), f64::from(y)),
        MouseScrollDelta::PixelDelta(position) => (-position.x / NOTCH, position.y / NOTCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let mut rest = Rest::default();
        let steps: Vec<_> = (0..4).map(|_| rest.advance((0.4, -0.5))).collect();
        assert_eq!(steps, [(0, 0), (0, -1), (1, 0), (0, -1)]);
        assert_eq!(rest.advance((f64::INFINITY, 0.0)).0, i32::MAX);
        assert_eq!(rest.advance((f64::NAN, 2.0)), (0, 2));
        assert_eq!(rest.advance((3.0, 0.0)), (3, 0));
    }

    #[test]
    fn of_each_pair_one_counts() {
        let heard = |ways: &[f64]| {
            let mut pairs = Pairs::default();
            ways.iter().filter(|way| pairs.is_first((**way, 0.0))).copied().collect::<Vec<_>>()
        };
        assert_eq!(heard(&[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]), [1.0, 2.0, 2.0, 1.0]);
        // One that was under way when the pointer was taken.
        assert_eq!(heard(&[3.0, 1.0, 1.0, 2.0, 2.0]), [3.0, 1.0, 2.0]);
    }

    #[test]
    fn wheels_turn_as_the_guest_has_them() {
        assert_eq!(notches(MouseScrollDelta::LineDelta(0.0, 1.0)), (0.0, 1.0));
        assert_eq!(notches(MouseScrollDelta::LineDelta(-1.0, 0.0)), (1.0, 0.0));
    }
}
