//! evdev codes (`linux/input-event-codes.h`) of the keys that a desktop keeps for itself, for menus that send them.

/// Escape.
pub const ESC: u16 = 1;
/// Backspace.
pub const BACKSPACE: u16 = 14;
/// Tab.
pub const TAB: u16 = 15;
/// The left Ctrl.
pub const LEFT_CTRL: u16 = 29;
/// The left Shift.
pub const LEFT_SHIFT: u16 = 42;
/// The left Alt.
pub const LEFT_ALT: u16 = 56;
/// Print screen, SysRq with Alt.
pub const PRINT: u16 = 99;
/// Delete.
pub const DELETE: u16 = 111;
/// Pause, Break with Ctrl.
pub const PAUSE: u16 = 119;
/// The left Super (Windows) key.
pub const LEFT_META: u16 = 125;
/// The highest code there is.
pub const MAX: u16 = 0x2ff;

/// F1 to F12.
///
/// # Panics
/// For other numbers.
pub const fn function(number: u16) -> u16 {
    match number {
        1..=10 => 58 + number,
        11 | 12 => 76 + number,
        _ => panic!("F1 to F12"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn function_keys() {
        assert_eq!([1, 10, 11, 12].map(super::function), [59, 68, 87, 88]);
    }
}
