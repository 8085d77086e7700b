//! Where a machine's picture stands in its widget.
//!
//! The picture keeps its shape, and its edges fall on device pixels. Lengths in widgets are logical pixels; a surface has `scale` device
//! pixels to a logical one, which need not be a whole number.

/// How much room may be lost for a whole-number enlargement.
const SNAP: f64 = 1.12;

/// How large a picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// As large as fits; a whole number of times when that loses little room, so that text stays crisp.
    #[default]
    Fit,
    /// A guest pixel is a device pixel, however much room there is.
    Actual,
    /// A whole number of times, the largest that fits; as large as fits when it does not fit once.
    Multiples,
}

/// Whole device pixels in a length.
pub fn device_pixels(length: i32, scale: f64) -> u32 {
    // What only the multiplication lost is there. A float that does not fit ends at the nearest value that does.
    (f64::from(length) * scale + 1e-6).floor() as u32
}

/// The length that so many device pixels need.
pub fn logical_length(pixels: u32, scale: f64) -> i32 {
    (f64::from(pixels) / scale - 1e-6).ceil() as i32
}

/// A picture's place in its widget, in the widget's (logical) pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Down.
    pub height: f64,
    /// Does every guest pixel cover the same whole number of device pixels?
    pub whole: bool,
}

impl Placement {
    /// Places a picture of `frame` guest pixels into a widget of `widget` logical pixels that stands at `origin` in its surface, where
    /// `scale` device pixels make a logical one. `None` when there is no room.
    pub fn new(
        frame: (u32, u32),
        widget: (f64, f64),
        (origin, scale): ((f64, f64), f64),
        scaling: Scaling,
    ) -> Option<Self> {
        let frame = (f64::from(frame.0), f64::from(frame.1));
        let device = (widget.0 * scale, widget.1 * scale);
        if frame.0 < 1.0 || frame.1 < 1.0 || device.0 < 1.0 || device.1 < 1.0 {
            return None;
        }
        let fit = (device.0 / frame.0).min(device.1 / frame.1);
        // A fraction of a pixel may be missing where scales are fractional.
        let steps = (fit + 0.5 / frame.0.max(frame.1)).floor();
        let factor = match scaling {
            Scaling::Actual => 1.0,
            Scaling::Multiples if steps >= 1.0 => steps,
            Scaling::Fit if steps >= 1.0 && fit / steps <= SNAP => steps,
            Scaling::Fit | Scaling::Multiples => fit,
        };
        let whole = factor == 1.0 || factor == steps;
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
    pub fn to_picture(self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.x) / self.width, (y - self.y) / self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What surfaces have.
    const SCALES: [f64; 4] = [1.0, 1.25, 1.5, 2.0];

    fn place(frame: (u32, u32), widget: (f64, f64), scale: f64) -> Placement {
        Placement::new(frame, widget, ((0.0, 0.0), scale), Scaling::Fit).unwrap()
    }

    fn place_by(scaling: Scaling, frame: (u32, u32), widget: (i32, i32), scale: f64) -> Placement {
        let widget = (f64::from(widget.0), f64::from(widget.1));
        Placement::new(frame, widget, ((0.0, 0.0), scale), scaling).unwrap()
    }

    /// Device pixels of a picture.
    fn covered(placement: Placement, scale: f64) -> (f64, f64) {
        (placement.width * scale, placement.height * scale)
    }

    #[test]
    fn a_guest_that_follows_the_window_fills_it_pixel_for_pixel() {
        for scale in SCALES {
            for widget in [(1024, 768), (1023, 767), (801, 601)] {
                let guest = (device_pixels(widget.0, scale), device_pixels(widget.1, scale));
                for scaling in [Scaling::Fit, Scaling::Actual, Scaling::Multiples] {
                    let placement = place_by(scaling, guest, widget, scale);
                    let (width, height) = covered(placement, scale);
                    assert!(placement.whole, "{scaling:?} {widget:?} at {scale}: {placement:?}");
                    assert!((width - f64::from(guest.0)).abs() < 1e-6 && (height - f64::from(guest.1)).abs() < 1e-6);
                    // Less than a device pixel is left at each side.
                    assert!(f64::from(widget.0) * scale - width < 1.0 && f64::from(widget.1) * scale - height < 1.0);
                }
            }
        }
    }

    #[test]
    fn lengths_and_pixels() {
        assert_eq!([1.0, 1.25, 1.5, 2.0].map(|scale| device_pixels(1023, scale)), [1023, 1278, 1534, 2046]);
        assert_eq!([1.0, 1.25, 1.5, 2.0].map(|scale| logical_length(1280, scale)), [1280, 1024, 854, 640]);
        // A desktop's 110 % is 1.1000000000000001.
        assert_eq!((device_pixels(30, 1.1), logical_length(33, 1.1)), (33, 30));
        assert_eq!(device_pixels(-1, 1.0), 0);
        for scale in SCALES {
            for pixels in 1..3000 {
                assert!(device_pixels(logical_length(pixels, scale), scale) >= pixels, "{pixels} at {scale}");
            }
        }
    }

    #[test]
    fn actual_size_is_device_pixels() {
        for scale in SCALES {
            for room in [(2000, 1600), (300, 200)] {
                // The widget is as large as the picture needs, where there is less room.
                let need = (logical_length(800, scale), logical_length(600, scale));
                let widget = (room.0.max(need.0), room.1.max(need.1));
                let placement = place_by(Scaling::Actual, (800, 600), widget, scale);
                assert_eq!(covered(placement, scale), (800.0, 600.0));
                assert!(placement.whole && placement.x >= 0.0 && placement.y >= 0.0, "{placement:?}");
            }
        }
    }

    #[test]
    fn multiples() {
        for (scale, times) in [(1.0, 1.0), (1.25, 1.0), (1.5, 2.0), (2.0, 3.0)] {
            let placement = place_by(Scaling::Multiples, (640, 480), (1000, 760), scale);
            assert_eq!(covered(placement, scale), (640.0 * times, 480.0 * times), "at {scale}");
            assert!(placement.whole);
        }
        // It does not fit once.
        let placement = place_by(Scaling::Multiples, (640, 480), (320, 480), 1.0);
        assert_eq!((placement.width, placement.whole), (320.0, false));
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
            let placement = Placement::new((720, 400), (1023.0, 701.0), ((origin, origin), 1.5), Scaling::Fit).unwrap();
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
        let none = |frame, widget| Placement::new(frame, widget, ((0.0, 0.0), 1.0), Scaling::Fit).is_none();
        assert!(none((800, 600), (0.0, 600.0)) && none((0, 0), (10.0, 600.0)));
    }
}
