//! Scan codes: what a key (an evdev code) is on the wire in sets 1, 2 and 3, and how the controller makes set 1 of set 2.
//!
//! The numbers are those of IBM's PS/2 Hardware Interface Technical Reference and of Microsoft's Keyboard Scan Code
//! Specification.

use serde::{Deserialize, Serialize};

/// Begins a key of the enhanced keyboard.
const EXTENDED: u8 = 0xe0;
/// Begins Pause, the one key of its kind.
const EXTENDED_1: u8 = 0xe1;
/// Says in sets 2 and 3 that the key was released.
const RELEASE: u8 = 0xf0;

const LEFT_CTRL: u16 = 29;
const LEFT_SHIFT: u16 = 42;
const RIGHT_SHIFT: u16 = 54;
const LEFT_ALT: u16 = 56;
const RIGHT_CTRL: u16 = 97;
const PRINT_SCREEN: u16 = 99;
const RIGHT_ALT: u16 = 100;
const PAUSE: u16 = 119;

/// A scan code set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Set {
    One = 1,
    Two = 2,
    Three = 3,
}

impl Set {
    /// The byte that stands where a key was lost for want of room.
    pub(super) fn overrun(self) -> u8 {
        match self {
            Self::One => 0xff,
            Self::Two | Self::Three => 0x00,
        }
    }
}

/// Set 2 of evdev codes 0 to 95, where 0 is no key.
#[rustfmt::skip]
const MAIN: [u8; 96] = [
    0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b,
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a,
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03,
    0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69,
    0x72, 0x7a, 0x70, 0x71, 0x00, 0x5f, 0x61, 0x78, 0x07, 0x51, 0x63, 0x62, 0x64, 0x13, 0x67, 0x6d,
];

/// Set 2 of keys that an enhanced keyboard sends with an E0 before them.
fn extended(code: u16) -> Option<u8> {
    Some(match code {
        96 => 0x5a,  // keypad Enter
        97 => 0x14,  // right Ctrl
        98 => 0x4a,  // keypad /
        100 => 0x11, // right Alt
        102 => 0x6c, // Home
        103 => 0x75, // Up
        104 => 0x7d, // Page Up
        105 => 0x6b, // Left
        106 => 0x74, // Right
        107 => 0x69, // End
        108 => 0x72, // Down
        109 => 0x7a, // Page Down
        110 => 0x70, // Insert
        111 => 0x71, // Delete
        113 => 0x23, // mute
        114 => 0x21, // volume down
        115 => 0x32, // volume up
        116 => 0x37, // power
        125 => 0x1f, // left logo
        126 => 0x27, // right logo
        127 => 0x2f, // menu
        128 => 0x28, // stop
        140 => 0x2b, // calculator
        142 => 0x3f, // sleep
        143 => 0x5e, // wake
        155 => 0x48, // mail
        156 => 0x18, // bookmarks
        157 => 0x40, // computer
        158 => 0x38, // back
        159 => 0x30, // forward
        163 => 0x4d, // next track
        164 => 0x34, // play, pause
        165 => 0x15, // previous track
        166 => 0x3b, // stop track
        172 => 0x3a, // home page
        173 => 0x20, // refresh
        217 => 0x10, // search
        226 => 0x50, // media
        _ => return None,
    })
}

/// Set 2 of plain keys above the main block.
fn plain(code: u16) -> Option<u8> {
    match code {
        0..96 => MAIN.get(usize::from(code)).copied().filter(|&byte| byte != 0),
        117 => Some(0x0f), // keypad =
        121 => Some(0x6d), // keypad ,
        124 => Some(0x6a), // yen
        183 => Some(0x08), // F13
        184 => Some(0x10),
        185 => Some(0x18),
        186 => Some(0x20),
        187 => Some(0x28),
        188 => Some(0x30),
        189 => Some(0x38),
        190 => Some(0x40),
        191 => Some(0x48),
        192 => Some(0x50),
        193 => Some(0x57), // F23
        _ => None,
    }
}

/// The Korean keys, which are told when pressed only.
fn press_only(code: u16) -> Option<u8> {
    match code {
        122 => Some(0xf2), // Hangul
        123 => Some(0xf1), // Hanja
        _ => None,
    }
}

/// Set 3, which knows the American and European keyboards' keys; what it does not name is as in set 2.
fn third(code: u16) -> Option<u8> {
    Some(match code {
        1 => 0x08, // Esc
        29 => 0x11,
        43 => 0x5c,
        56 => 0x19,
        58 => 0x14, // Caps Lock
        59 => 0x07, // F1
        60 => 0x0f,
        61 => 0x17,
        62 => 0x1f,
        63 => 0x27,
        64 => 0x2f,
        65 => 0x37,
        66 => 0x3f,
        67 => 0x47,
        68 => 0x4f,
        69 => 0x76, // Num Lock
        70 => 0x5f, // Scroll Lock
        55 => 0x7e, // keypad *
        74 => 0x84, // keypad -
        78 => 0x7c, // keypad +
        86 => 0x13,
        87 => 0x56, // F11
        88 => 0x5e,
        96 => 0x79, // keypad Enter
        97 => 0x58,
        98 => 0x77, // keypad /
        99 => 0x57, // Print Screen
        100 => 0x39,
        102 => 0x6e,
        103 => 0x63,
        104 => 0x6f,
        105 => 0x61,
        106 => 0x6a,
        107 => 0x65,
        108 => 0x60,
        109 => 0x6d,
        110 => 0x67,
        111 => 0x64,
        119 => 0x62, // Pause
        125 => 0x8b,
        126 => 0x8c,
        127 => 0x8d,
        2..=83 => return plain(code),
        _ => return None,
    })
}

/// Has the keyboard such a key?
pub(super) fn exists(code: u16) -> bool {
    matches!(code, PRINT_SCREEN | PAUSE) || plain(code).or(extended(code)).or(press_only(code)).is_some()
}

/// Does the key repeat while it is held?
pub(super) fn repeats(code: u16) -> bool {
    code != PAUSE && press_only(code).is_none()
}

/// What the keyboard sends when the key goes `down` or up: at most 8 bytes, none where it says nothing of that. Print Screen
/// and Pause are other keys together with the modifiers that `held` answers for.
pub(super) fn sequence(set: Set, code: u16, down: bool, held: impl Fn(u16) -> bool) -> Vec<u8> {
    match set {
        Set::Two => second(code, down, held),
        Set::One => {
            let mut translator = Translator::default();
            second(code, down, held).into_iter().filter_map(|byte| translator.translate(byte)).collect()
        }
        Set::Three => match (third(code), down) {
            (Some(byte), true) => vec![byte],
            (Some(byte), false) => vec![RELEASE, byte],
            (None, _) => Vec::new(),
        },
    }
}

fn second(code: u16, down: bool, held: impl Fn(u16) -> bool) -> Vec<u8> {
    let ctrl = || held(LEFT_CTRL) || held(RIGHT_CTRL);
    let shift = || held(LEFT_SHIFT) || held(RIGHT_SHIFT);
    match (code, down) {
        (PRINT_SCREEN, true) if held(LEFT_ALT) || held(RIGHT_ALT) => vec![0x84],
        (PRINT_SCREEN, false) if held(LEFT_ALT) || held(RIGHT_ALT) => vec![RELEASE, 0x84],
        (PRINT_SCREEN, true) if ctrl() || shift() => vec![EXTENDED, 0x7c],
        (PRINT_SCREEN, false) if ctrl() || shift() => vec![EXTENDED, RELEASE, 0x7c],
        (PRINT_SCREEN, true) => vec![EXTENDED, 0x12, EXTENDED, 0x7c],
        (PRINT_SCREEN, false) => vec![EXTENDED, RELEASE, 0x7c, EXTENDED, RELEASE, 0x12],
        (PAUSE, true) if ctrl() => vec![EXTENDED, 0x7e, EXTENDED, RELEASE, 0x7e],
        (PAUSE, true) => vec![EXTENDED_1, 0x14, 0x77, EXTENDED_1, RELEASE, 0x14, RELEASE, 0x77],
        (PAUSE, false) => Vec::new(),
        _ => match (plain(code), extended(code), down) {
            (Some(byte), _, true) => vec![byte],
            (Some(byte), _, false) => vec![RELEASE, byte],
            (_, Some(byte), true) => vec![EXTENDED, byte],
            (_, Some(byte), false) => vec![EXTENDED, RELEASE, byte],
            (None, None, true) => press_only(code).into_iter().collect(),
            (None, None, false) => Vec::new(),
        },
    }
}

/// Set 1 of set 2's bytes 0x00 to 0x7f.
#[rustfmt::skip]
const TRANSLATION: [u8; 128] = [
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
];

/// The controller's translation of the keyboard's bytes, for guests that know the PC's first keyboard only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Translator {
    released: bool,
}

impl Translator {
    /// What the guest gets for `byte`; `None` for the prefix that becomes bit 7 of the next byte.
    pub(crate) fn translate(&mut self, byte: u8) -> Option<u8> {
        if byte == RELEASE {
            self.released = true;
            return None;
        }
        let translated = match byte {
            0x00..0x80 => TRANSLATION[usize::from(byte)],
            0x83 => 0x41,
            0x84 => 0x54,
            other => other,
        };
        Some(translated | if std::mem::take(&mut self.released) { 0x80 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: fn(u16) -> bool = |_| false;

    #[test]
    fn first_keyboards_keys_keep_their_evdev_number_in_set_1() {
        for code in (1..=83).chain([86, 87, 88]) {
            assert_eq!(sequence(Set::One, code, true, NONE), [code as u8], "{code}");
            assert_eq!(sequence(Set::One, code, false, NONE), [code as u8 | 0x80], "{code}");
        }
    }

    #[test]
    fn keys_are_told_apart() {
        for set in [Set::One, Set::Two, Set::Three] {
            let mut seen = std::collections::BTreeMap::new();
            for code in (0..=255).filter(|&code| exists(code) && (set != Set::Three || third(code).is_some())) {
                // Two names of the keypad's comma.
                if code == 121 {
                    continue;
                }
                let other = seen.insert(sequence(set, code, true, NONE), code);
                assert_eq!(other, None, "{code} in {set:?}");
            }
        }
    }

    #[test]
    fn long_sequences() {
        assert_eq!(sequence(Set::One, PAUSE, true, NONE), [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
        assert_eq!(sequence(Set::One, PAUSE, true, |key| key == LEFT_CTRL), [0xe0, 0x46, 0xe0, 0xc6]);
        assert_eq!(sequence(Set::One, PRINT_SCREEN, true, NONE), [0xe0, 0x2a, 0xe0, 0x37]);
        assert_eq!(sequence(Set::One, PRINT_SCREEN, false, NONE), [0xe0, 0xb7, 0xe0, 0xaa]);
        assert_eq!(sequence(Set::One, PRINT_SCREEN, true, |key| key == LEFT_ALT), [0x54]);
        assert_eq!(sequence(Set::Two, RIGHT_CTRL, false, NONE), [0xe0, 0xf0, 0x14]);
        assert_eq!(sequence(Set::Three, PAUSE, false, NONE), [0xf0, 0x62]);
        assert!(!exists(0) && !exists(84) && !exists(0xffff));
    }

    #[test]
    fn translation_is_one_to_one_on_keys() {
        let mut bytes: Vec<_> = TRANSLATION.to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), 128);
    }
}
