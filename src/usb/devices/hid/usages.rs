//! What a key (an evdev code) is among the usages of the keyboard page (HID Usage Tables 1.5, section 10).
//!
//! From 0xe8 on the page says nothing; there are the media keys of some makers' keyboards, which Linux takes and others leave.

/// Left control; the eight modifiers follow in the order of their bits.
pub(super) const FIRST_MODIFIER: u8 = 0xe0;
/// Right logo key.
pub(super) const LAST_MODIFIER: u8 = 0xe7;

/// Evdev codes of usages 0x04 and on; 0 where there is none.
#[rustfmt::skip]
const CODES: [u8; 0xfc - 0x04] = [
                         30,  48,  46,  32,  18,  33,  34,  35,  23,  36,  37,  38, // a to l
     50,  49,  24,  25,  16,  19,  31,  20,  22,  47,  17,  45,  21,  44,   2,   3, // m to z, 1, 2
      4,   5,   6,   7,   8,   9,  10,  11,  28,   1,  14,  15,  57,  12,  13,  26, // 3 to 0, Enter, Esc, …, [
     27,  43,   0,  39,  40,  41,  51,  52,  53,  58,  59,  60,  61,  62,  63,  64, // ], \, ;, …, Caps Lock, F1 to F6
     65,  66,  67,  68,  87,  88,  99,  70, 119, 110, 102, 104, 111, 107, 109, 106, // F7 to F12, Print, …, Right
    105, 108, 103,  69,  98,  55,  74,  78,  96,  79,  80,  81,  75,  76,  77,  71, // Left, Down, Up, Num Lock, keypad
     72,  73,  82,  83,  86, 127, 116, 117, 183, 184, 185, 186, 187, 188, 189, 190, // …, <, Menu, power, =, F13 to F20
    191, 192, 193, 194, 134, 138, 130, 132, 128, 129, 131, 137, 133, 135, 136, 113, // F21 to F24, open, help, …, mute
    115, 114,   0,   0,   0, 121,   0,  89,  93, 124,  92,  94,  95,   0,   0,   0, // louder, softer, keypad comma, Japanese
    122, 123,  90,  91,  85,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0, // Hangul, Hanja, Japanese
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
      0,   0,   0,   0,   0,   0, 179, 180,   0,   0,   0,   0,   0,   0,   0,   0, // keypad ( and )
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
      0,   0,   0,   0,   0,   0,   0, 118,   0,   0,   0,   0,   0,   0,   0,   0, // keypad ±
     29,  42,  56, 125,  97,  54, 100, 126, 164, 166, 165, 163, 161,   0,   0,   0, // modifiers, play, stop, previous, …
    150, 158, 159,   0,   0, 177, 178, 176, 142, 152, 173, 140,                     // web, back, forward, …
];

/// The usage of a key; `None` for keys that there are not on a keyboard.
pub(super) fn usage(code: u16) -> Option<u8> {
    let code = u8::try_from(code).ok().filter(|&code| code != 0)?;
    let at = CODES.iter().position(|&of_usage| of_usage == code)?;
    // The table is as long as the page.
    Some(0x04 + at as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_where_the_page_has_them() {
        let known = [
            (30, 0x04),  // A
            (44, 0x1d),  // Z
            (11, 0x27),  // 0
            (28, 0x28),  // Enter
            (43, 0x31),  // backslash
            (58, 0x39),  // Caps Lock
            (88, 0x45),  // F12
            (106, 0x4f), // Right
            (103, 0x52), // Up
            (69, 0x53),  // Num Lock
            (83, 0x63),  // keypad .
            (86, 0x64),  // the key that American keyboards do not have
            (127, 0x65), // Menu
            (183, 0x68), // F13
            (113, 0x7f), // mute
            (121, 0x85), // keypad comma
            (89, 0x87),  // International 1, Ro
            (95, 0x8c),  // International 6
            (122, 0x90), // Hangul
            (85, 0x94),  // Zenkaku, Hankaku
            (29, 0xe0),  // left Ctrl
            (126, 0xe7), // right logo
            (140, 0xfb), // calculator
        ];
        for (code, of_page) in known {
            assert_eq!(usage(code), Some(of_page), "{code}");
        }
        assert_eq!((usage(0), usage(84), usage(0x110), usage(u16::MAX)), (None, None, None, None));
    }

    #[test]
    fn every_key_of_the_first_keyboards_is_there_once() {
        for code in (1..=83).chain(85..=119) {
            // KEY_LINEFEED and KEY_MACRO are on no keyboard.
            assert_eq!(usage(code).is_some(), !matches!(code, 101 | 112), "{code}");
        }
        let mut codes: Vec<_> = CODES.iter().filter(|&&code| code != 0).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
