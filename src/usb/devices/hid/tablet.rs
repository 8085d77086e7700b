//! The tablet: a pointer that knows where on the screen it is.

use serde::{Deserialize, Serialize};

use super::Boot;
use super::pointer::{Place, Pointer, Step};

/// Positions are 0 to this.
const FARTHEST: u16 = 0x7fff;

/// A tablet with five buttons and two wheels.
pub type Tablet = Pointer<Position>;

/// A position, from the upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    x: u16,
    y: u16,
}

impl Place for Position {
    const KIND: &'static str = "usb-tablet";
    const NAME: &'static str = "Dormer USB Tablet";
    const BOOT: Option<Boot> = None;
    const REPORT: u16 = 7;
    /// A mouse whose axes are absolute, which is what systems take as one pointer with their mice; a digitizer would be a pen.
    #[rustfmt::skip]
    const REPORT_DESCRIPTOR: &'static [u8] = &[
        0x05, 0x01,       // Usage Page (Generic Desktop)
        0x09, 0x02,       // Usage (Mouse)
        0xa1, 0x01,       // Collection (Application)
        0x09, 0x01,       //   Usage (Pointer)
        0xa1, 0x00,       //   Collection (Physical)
        0x05, 0x09,       //     Usage Page (Button)
        0x19, 0x01,       //     Usage Minimum (1)
        0x29, 0x05,       //     Usage Maximum (5)
        0x15, 0x00,       //     Logical Minimum (0)
        0x25, 0x01,       //     Logical Maximum (1)
        0x75, 0x01,       //     Report Size (1)
        0x95, 0x05,       //     Report Count (5)
        0x81, 0x02,       //     Input (Data, Variable, Absolute)
        0x75, 0x03,       //     Report Size (3)
        0x95, 0x01,       //     Report Count (1)
        0x81, 0x01,       //     Input (Constant)
        0x05, 0x01,       //     Usage Page (Generic Desktop)
        0x09, 0x30,       //     Usage (X)
        0x09, 0x31,       //     Usage (Y)
        0x15, 0x00,       //     Logical Minimum (0)
        0x26, 0xff, 0x7f, //     Logical Maximum (0x7fff)
        0x35, 0x00,       //     Physical Minimum (0)
        0x46, 0xff, 0x7f, //     Physical Maximum (0x7fff)
        0x75, 0x10,       //     Report Size (16)
        0x95, 0x02,       //     Report Count (2)
        0x81, 0x02,       //     Input (Data, Variable, Absolute)
        0x09, 0x38,       //     Usage (Wheel)
        0x15, 0x81,       //     Logical Minimum (-127)
        0x25, 0x7f,       //     Logical Maximum (127)
        0x35, 0x00,       //     Physical Minimum (0: as the logical one)
        0x45, 0x00,       //     Physical Maximum (0: as the logical one)
        0x75, 0x08,       //     Report Size (8)
        0x95, 0x01,       //     Report Count (1)
        0x81, 0x06,       //     Input (Data, Variable, Relative)
        0x05, 0x0c,       //     Usage Page (Consumer)
        0x0a, 0x38, 0x02, //     Usage (AC Pan)
        0x81, 0x06,       //     Input (Data, Variable, Relative)
        0xc0,             //   End Collection
        0xc0,             // End Collection
    ];
    const IS_ABSOLUTE: bool = true;

    fn at(x: u16, y: u16) -> Option<Self> {
        Some(Self { x: x.min(FARTHEST), y: y.min(FARTHEST) })
    }

    /// Buttons, x, y, wheel, pan.
    fn report(step: Step<Self>) -> Vec<u8> {
        let Step { place: Self { x, y }, wheel, pan, buttons } = step;
        let ([x0, x1], [y0, y1]) = (x.to_le_bytes(), y.to_le_bytes());
        // Turns were cut to a byte.
        vec![buttons, x0, x1, y0, y1, wheel as u8, pan as u8]
    }

    fn join(&mut self, later: Self) {
        *self = later;
    }

    fn take(&mut self) -> Self {
        *self
    }

    fn is_told(&self) -> bool {
        true
    }

    fn next(self) -> Self {
        self
    }

    fn is_possible(&self) -> bool {
        self.x <= FARTHEST && self.y <= FARTHEST
    }
}
