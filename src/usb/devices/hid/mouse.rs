//! The mouse: firmware's (HID 1.11, appendix B.2), with two more buttons and two wheels behind.

use serde::{Deserialize, Serialize};

use super::Boot;
use super::pointer::{Place, Pointer, Step, add, is_near, take};

/// A mouse with five buttons and two wheels.
pub type Mouse = Pointer<Movement>;

/// A movement, to the right and downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    x: i32,
    y: i32,
}

impl Place for Movement {
    const KIND: &'static str = "usb-mouse";
    const NAME: &'static str = "Dormer USB Mouse";
    const BOOT: Option<Boot> = Some(Boot { protocol: 2, length: 3 });
    const REPORT: u16 = 5;
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
        0x09, 0x38,       //     Usage (Wheel)
        0x15, 0x81,       //     Logical Minimum (-127)
        0x25, 0x7f,       //     Logical Maximum (127)
        0x75, 0x08,       //     Report Size (8)
        0x95, 0x03,       //     Report Count (3)
        0x81, 0x06,       //     Input (Data, Variable, Relative)
        0x05, 0x0c,       //     Usage Page (Consumer)
        0x0a, 0x38, 0x02, //     Usage (AC Pan)
        0x95, 0x01,       //     Report Count (1)
        0x81, 0x06,       //     Input (Data, Variable, Relative)
        0xc0,             //   End Collection
        0xc0,             // End Collection
    ];
    const IS_ABSOLUTE: bool = false;

    fn by(dx: i32, dy: i32) -> Option<Self> {
        Some(Self { x: add(dx, 0), y: add(dy, 0) })
    }

    /// Buttons, x, y, wheel, pan: all were cut to a byte.
    fn report(step: Step<Self>) -> Vec<u8> {
        let Step { place: Self { x, y }, wheel, pan, buttons } = step;
        vec![buttons, x as u8, y as u8, wheel as u8, pan as u8]
    }

    fn join(&mut self, later: Self) {
        *self = Self { x: add(self.x, later.x), y: add(self.y, later.y) };
    }

    fn take(&mut self) -> Self {
        Self { x: take(&mut self.x), y: take(&mut self.y) }
    }

    fn is_told(&self) -> bool {
        *self == Self::default()
    }

    fn next(self) -> Self {
        Self::default()
    }

    fn is_possible(&self) -> bool {
        is_near(self.x) && is_near(self.y)
    }
}
