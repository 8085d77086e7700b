//! QMP's names of keys, and their evdev codes.
//!
//! Names are those of QEMU's `QKeyCode`; codes those of `linux/input-event-codes.h`.

use anyhow::{Context, Result};
use api::control::KeyValue;

const NAMES: &[(&str, u16)] = &[
    ("esc", 1),
    ("1", 2),
    ("2", 3),
    ("3", 4),
    ("4", 5),
    ("5", 6),
    ("6", 7),
    ("7", 8),
    ("8", 9),
    ("9", 10),
    ("0", 11),
    ("minus", 12),
    ("equal", 13),
    ("backspace", 14),
    ("tab", 15),
    ("q", 16),
    ("w", 17),
    ("e", 18),
    ("r", 19),
    ("t", 20),
    ("y", 21),
    ("u", 22),
    ("i", 23),
    ("o", 24),
    ("p", 25),
    ("bracket_left", 26),
    ("bracket_right", 27),
    ("ret", 28),
    ("ctrl", 29),
    ("a", 30),
    ("s", 31),
    ("d", 32),
    ("f", 33),
    ("g", 34),
    ("h", 35),
    ("j", 36),
    ("k", 37),
    ("l", 38),
    ("semicolon", 39),
    ("apostrophe", 40),
    ("grave_accent", 41),
    ("shift", 42),
    ("backslash", 43),
    ("z", 44),
    ("x", 45),
    ("c", 46),
    ("v", 47),
    ("b", 48),
    ("n", 49),
    ("m", 50),
    ("comma", 51),
    ("dot", 52),
    ("slash", 53),
    ("shift_r", 54),
    ("kp_multiply", 55),
    ("asterisk", 55),
    ("alt", 56),
    ("spc", 57),
    ("caps_lock", 58),
    ("f1", 59),
    ("f2", 60),
    ("f3", 61),
    ("f4", 62),
    ("f5", 63),
    ("f6", 64),
    ("f7", 65),
    ("f8", 66),
    ("f9", 67),
    ("f10", 68),
    ("num_lock", 69),
    ("scroll_lock", 70),
    ("kp_7", 71),
    ("kp_8", 72),
    ("kp_9", 73),
    ("kp_subtract", 74),
    ("kp_4", 75),
    ("kp_5", 76),
    ("kp_6", 77),
    ("kp_add", 78),
    ("kp_1", 79),
    ("kp_2", 80),
    ("kp_3", 81),
    ("kp_0", 82),
    ("kp_decimal", 83),
    ("less", 86),
    ("f11", 87),
    ("f12", 88),
    ("ro", 89),
    ("henkan", 92),
    ("hiragana", 91),
    ("muhenkan", 94),
    ("kp_enter", 96),
    ("ctrl_r", 97),
    ("kp_divide", 98),
    ("print", 99),
    ("sysrq", 99),
    ("alt_r", 100),
    ("home", 102),
    ("up", 103),
    ("pgup", 104),
    ("left", 105),
    ("right", 106),
    ("end", 107),
    ("down", 108),
    ("pgdn", 109),
    ("insert", 110),
    ("delete", 111),
    ("audiomute", 113),
    ("volumedown", 114),
    ("volumeup", 115),
    ("power", 116),
    ("kp_equals", 117),
    ("pause", 119),
    ("kp_comma", 121),
    ("yen", 124),
    ("meta_l", 125),
    ("meta_r", 126),
    ("compose", 127),
    ("menu", 127),
    ("stop", 128),
    ("again", 129),
    ("undo", 131),
    ("copy", 133),
    ("open", 134),
    ("paste", 135),
    ("find", 136),
    ("cut", 137),
    ("help", 138),
    ("sleep", 142),
    ("wake", 143),
    ("mail", 155),
    ("computer", 157),
    ("ac_back", 158),
    ("ac_forward", 159),
    ("audionext", 163),
    ("audioplay", 164),
    ("audioprev", 165),
    ("audiostop", 166),
    ("ac_refresh", 173),
];

/// The evdev code of a key.
pub(crate) fn code(key: &KeyValue) -> Result<u16> {
    match key {
        KeyValue::Qcode(name) => {
            let found = NAMES.iter().find(|(other, _)| other == name);
            found.map(|(_, code)| *code).with_context(|| format!("there is no key named {name}"))
        }
        KeyValue::Number(number) => {
            from_set_1(*number).with_context(|| format!("there is no key with the number {number}"))
        }
    }
}

/// Set 1 codes equal evdev's up to 88; above are those with a prefix, 0x80 added.
fn from_set_1(number: u32) -> Option<u16> {
    let code = match number {
        1..=88 => number as u16,
        0x9c => 96,
        0x9d => 97,
        0xb5 => 98,
        0xb7 => 99,
        0xb8 => 100,
        0xc7 => 102,
        0xc8 => 103,
        0xc9 => 104,
        0xcb => 105,
        0xcd => 106,
        0xcf => 107,
        0xd0 => 108,
        0xd1 => 109,
        0xd2 => 110,
        0xd3 => 111,
        0xdb => 125,
        0xdc => 126,
        0xdd => 127,
        _ => return None,
    };
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(code(&KeyValue::Qcode("ret".into())).unwrap(), 28);
        assert_eq!(code(&KeyValue::Number(0xd3)).unwrap(), code(&KeyValue::Qcode("delete".into())).unwrap());
        assert!(code(&KeyValue::Qcode("any".into())).is_err());
        assert!(code(&KeyValue::Number(0)).is_err());
    }
}
