//! What a virtio input device says about itself (VIRTIO 1.2 §5.8.2), in evdev's terms (`linux/input-event-codes.h`).

use device::input::Button;

pub(crate) const EV_SYN: u16 = 0x00;
pub(crate) const EV_KEY: u16 = 0x01;
pub(crate) const EV_REL: u16 = 0x02;
pub(crate) const EV_ABS: u16 = 0x03;
pub(crate) const EV_LED: u16 = 0x11;
pub(crate) const EV_REP: u16 = 0x14;

pub(crate) const REL_HWHEEL: u16 = 0x06;
pub(crate) const REL_WHEEL: u16 = 0x08;
pub(crate) const ABS_X: u16 = 0;
pub(crate) const ABS_Y: u16 = 1;

const BTN_LEFT: u16 = 0x110;
const BTN_EXTRA: u16 = 0x114;
/// KEY_ESC; code 0 is reserved.
const FIRST_KEY: u16 = 1;
/// KEY_MICMUTE, the last key below the buttons.
const LAST_KEY: u16 = 248;
/// Num, caps and scroll lock.
const LAST_LED: u16 = 2;
/// Delay and period: the guest repeats keys by itself.
const LAST_REP: u16 = 1;
/// Positions are 0 to this.
const ABS_MAX: u32 = 0x7fff;

// Selects.
const ID_NAME: u8 = 0x01;
const ID_SERIAL: u8 = 0x02;
const ID_DEVIDS: u8 = 0x03;
const EV_BITS: u8 = 0x11;
const ABS_INFO: u8 = 0x12;

const BUS_VIRTUAL: u16 = 0x06;
const VENDOR: u16 = 0x1af4;
const VERSION: u16 = 1;

/// A kind of input device.
pub trait Model: Send + 'static {
    /// Name of the saved state's kind.
    const KIND: &'static str;
    /// What the guest shows people.
    const NAME: &'static str;
    /// Product id.
    const PRODUCT: u16;
    /// PCI class.
    const CLASS: u32;

    /// Codes of event type `kind` that it can send or take, first to last of each run.
    fn codes(&self, kind: u16) -> &'static [(u16, u16)];

    /// Can it send this key or button?
    fn has_key(&self, code: u16) -> bool {
        self.codes(EV_KEY).iter().any(|&(first, last)| (first..=last).contains(&code))
    }

    /// Config data for a select and subselect, at most 128 bytes; empty where there is nothing to say.
    fn config(&self, select: u8, subselect: u8) -> Vec<u8> {
        match (select, subselect) {
            (ID_NAME, 0) => Self::NAME.into(),
            (ID_SERIAL, 0) => "1".into(),
            (ID_DEVIDS, 0) => [BUS_VIRTUAL, VENDOR, Self::PRODUCT, VERSION].map(u16::to_le_bytes).concat(),
            (EV_BITS, kind) => bitmap(self.codes(kind.into())),
            (ABS_INFO, axis) if self.codes(EV_ABS).iter().any(|&(a, b)| (a..=b).contains(&axis.into())) => {
                // Least, greatest, fuzz, flat, resolution.
                [0, ABS_MAX, 0, 0, 0].map(u32::to_le_bytes).concat()
            }
            _ => Vec::new(),
        }
    }
}

/// As many bytes as the highest code needs, a bit for each.
fn bitmap(runs: &[(u16, u16)]) -> Vec<u8> {
    let mut bits = Vec::new();
    for code in runs.iter().flat_map(|&(first, last)| first..=last) {
        let at = usize::from(code / 8);
        if bits.len() <= at {
            bits.resize(at + 1, 0);
        }
        bits[at] |= 1 << (code % 8);
    }
    bits
}

/// A keyboard with three lights.
#[derive(Default)]
pub struct Keyboard;

impl Model for Keyboard {
    const KIND: &'static str = "virtio-keyboard";
    const NAME: &'static str = "Dormer Virtio Keyboard";
    const PRODUCT: u16 = 1;
    const CLASS: u32 = 0x090000;

    fn codes(&self, kind: u16) -> &'static [(u16, u16)] {
        match kind {
            EV_KEY => &[(FIRST_KEY, LAST_KEY)],
            EV_LED => &[(0, LAST_LED)],
            EV_REP => &[(0, LAST_REP)],
            _ => &[],
        }
    }
}

/// A pointer that knows where it is, with five buttons and two wheels.
#[derive(Default)]
pub struct Tablet;

impl Model for Tablet {
    const KIND: &'static str = "virtio-tablet";
    const NAME: &'static str = "Dormer Virtio Tablet";
    const PRODUCT: u16 = 2;
    const CLASS: u32 = 0x090200;

    fn codes(&self, kind: u16) -> &'static [(u16, u16)] {
        match kind {
            EV_KEY => &[(BTN_LEFT, BTN_EXTRA)],
            EV_REL => &[(REL_HWHEEL, REL_HWHEEL), (REL_WHEEL, REL_WHEEL)],
            EV_ABS => &[(ABS_X, ABS_Y)],
            _ => &[],
        }
    }
}

/// A button's code.
pub(crate) fn button_code(button: Button) -> u16 {
    match button {
        Button::Left => BTN_LEFT,
        Button::Right => 0x111,
        Button::Middle => 0x112,
        Button::Side => 0x113,
        Button::Extra => BTN_EXTRA,
    }
}
