//! Where a machine's picture stands in its widget.
//!
//! The picture keeps its shape and is as large as fits. Its edges fall on device pixels, and it is enlarged by whole numbers when that
//! loses little room, so that text stays crisp.

/// How much room may be lost for a whole-number enlargement.
const SNAP: f64 = 1.12;

/// A picture's place in its widget, in the widget's (logical) pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// From the left.
    pub(crate) x: f64,
    /// From the top.
    pub(crate) y: f64,
    /// To the right.
    pub(crate) width: f64,
    /// Down.
    pub(crate) height: f64,
    /// Does every guest pixel cover the same whole number of device pixels?
    pub(crate) whole: bool,
}

impl Placement {
    /// Places a picture of `frame` guest pixels into a widget of `widget` logical pixels that stands at `origin` in its surface, where
    /// `scale` device pixels make a logical one. `None` when there is no room.
    pub(crate) fn new(frame: (u32, u32), widget: (f64, f64), origin: (f64, f64), scale: f64) -> Option<Self> {
        let frame = (f64::from(frame.0), f64::from(frame.1));
        let device = (widget.0 * scale, widget.1 * scale);
        if frame.0 < 1.0 || frame.1 < 1.0 || device.0 < 1.0 || device.1 < 1.0 {
            return None;
        }
        let fit = (device.0 / frame.0).min(device.1 / frame.1);
        // A fraction of a pixel may be missing where scales are fractional.
        let steps = (fit + 0.5 / frame.0.max(frame.1)).floor();
        let whole = steps >= 1.0 && fit / steps <= SNAP;
        let factor = if whole { steps } else { fit };
        let size = ((frame.0 * factor).round(), (frame.1 * factor).round());
        let snap = |room: f64, size: f64, origin: f64| {
            let start = origin * scale;
            (((room - size) / 2.0 + start).round() - start) / scale
        };
        Some(Self {
            x: snap(device.0, size.0, origin.0),
            y: snap(device.1, size.1, origin.1),
            width: size.0 / scale,
            height: size.1 / scale,
            whole,
        })
    }

    /// A position in the widget as parts of the picture: 0 to 1 within it.
    pub(crate) fn to_picture(self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.x) / self.width, (y - self.y) / self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(frame: (u32, u32), widget: (f64, f64), scale: f64) -> Placement {
        Placement::new(frame, widget, (0.0, 0.0), scale).unwrap()
    }

    #[test]
    fn one_to_one() {
        let placement = place((1024, 768), (1024.0, 768.0), 1.0);
        assert_eq!(placement, Placement { x: 0.0, y: 0.0, width: 1024.0, height: 768.0, whole: true });
        // Guest pixels are device pixels, also where scales are fractional.
        let placement = place((1280, 800), (1024.0, 640.0), 1.25);
        assert!(placement.whole && placement.width == 1024.0, "{placement:?}");
    }

    #[test]
    fn letterbox() {
        let placement = place((800, 600), (2000.0, 600.0), 1.0);
        assert_eq!((placement.x, placement.y, placement.width, placement.whole), (600.0, 0.0, 800.0, true));
        let placement = place((1000, 500), (500.0, 500.0), 1.0);
        assert_eq!((placement.y, placement.height, placement.whole), (125.0, 250.0, false));
    }

    #[test]
    fn whole_numbers_when_little_is_lost() {
        assert_eq!(place((640, 480), (1300.0, 1000.0), 1.0).width, 1280.0);
        assert!(place((640, 480), (1300.0, 1000.0), 1.0).whole);
        assert!(!place((640, 480), (900.0, 700.0), 1.0).whole);
        assert!(!place((640, 480), (639.0, 479.0), 1.0).whole);
    }

    #[test]
    fn edges_are_on_device_pixels() {
        for origin in [0.0, 0.3, 17.8] {
            let placement = Placement::new((720, 400), (1023.0, 701.0), (origin, origin), 1.5).unwrap();
            for edge in [placement.x + origin, placement.y + origin, placement.x + origin + placement.width] {
                let device = edge * 1.5;
                assert!((device - device.round()).abs() < 1e-6, "{device}");
            }
        }
    }

    #[test]
    fn positions() {
        let placement = place((800, 600), (1000.0, 600.0), 1.0);
        assert_eq!(placement.to_picture(100.0, 0.0), (0.0, 0.0));
        assert_eq!(placement.to_picture(900.0, 600.0), (1.0, 1.0));
        assert!(placement.to_picture(0.0, 0.0).0 < 0.0);
    }

    #[test]
    fn no_room() {
        assert!(Placement::new((800, 600), (0.0, 600.0), (0.0, 0.0), 1.0).is_none());
        assert!(Placement::new((0, 0), (10.0, 600.0), (0.0, 0.0), 1.0).is_none());
    }
}
