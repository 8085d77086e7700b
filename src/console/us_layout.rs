//! What to press on a US keyboard for a character: the layout that firmware and installers start with.
//!
//! Keys have QMP's names (`QKeyCode`) for control sockets, and evdev's codes for [`Console::key`](crate::Console::key).

/// A key's name, its code, and the characters on it: alone, and with Shift.
type Key = (&'static str, u16, char, char);

const KEYS: [Key; 48] = [
    ("1", 2, '1', '!'),
    ("2", 3, '2', '@'),
    ("3", 4, '3', '#'),
    ("4", 5, '4', '$'),
    ("5", 6, '5', '%'),
    ("6", 7, '6', '^'),
    ("7", 8, '7', '&'),
    ("8", 9, '8', '*'),
    ("9", 10, '9', '('),
    ("0", 11, '0', ')'),
    ("minus", 12, '-', '_'),
    ("equal", 13, '=', '+'),
    ("q", 16, 'q', 'Q'),
    ("w", 17, 'w', 'W'),
    ("e", 18, 'e', 'E'),
    ("r", 19, 'r', 'R'),
    ("t", 20, 't', 'T'),
    ("y", 21, 'y', 'Y'),
    ("u", 22, 'u', 'U'),
    ("i", 23, 'i', 'I'),
    ("o", 24, 'o', 'O'),
    ("p", 25, 'p', 'P'),
    ("bracket_left", 26, '[', '{'),
    ("bracket_right", 27, ']', '}'),
    ("a", 30, 'a', 'A'),
    ("s", 31, 's', 'S'),
    ("d", 32, 'd', 'D'),
    ("f", 33, 'f', 'F'),
    ("g", 34, 'g', 'G'),
    ("h", 35, 'h', 'H'),
    ("j", 36, 'j', 'J'),
    ("k", 37, 'k', 'K'),
    ("l", 38, 'l', 'L'),
    ("semicolon", 39, ';', ':'),
    ("apostrophe", 40, '\'', '"'),
    ("grave_accent", 41, '`', '~'),
    ("backslash", 43, '\\', '|'),
    ("z", 44, 'z', 'Z'),
    ("x", 45, 'x', 'X'),
    ("c", 46, 'c', 'C'),
    ("v", 47, 'v', 'V'),
    ("b", 48, 'b', 'B'),
    ("n", 49, 'n', 'N'),
    ("m", 50, 'm', 'M'),
    ("comma", 51, ',', '<'),
    ("dot", 52, '.', '>'),
    ("slash", 53, '/', '?'),
    ("spc", 57, ' ', ' '),
];

/// Keys that write nothing one could see.
const CONTROLS: [(&str, u16, &[char]); 4] =
    [("esc", 1, &['\u{1b}']), ("backspace", 14, &['\u{8}']), ("tab", 15, &['\t']), ("ret", 28, &['\n', '\r'])];

/// A key to press, and whether with Shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// QMP's name.
    pub name: &'static str,
    /// evdev's code.
    pub code: u16,
    /// With Shift.
    pub shift: bool,
}

impl Press {
    /// The codes to press together, Shift first, for a guest whose Caps Lock is on or off.
    pub fn codes(self, caps_lock: bool) -> Vec<u16> {
        // Caps Lock turns Shift round, on letters alone.
        let letter = self.name.len() == 1 && self.name.starts_with(|c: char| c.is_ascii_lowercase());
        if self.shift ^ (caps_lock && letter) { vec![crate::key::LEFT_SHIFT, self.code] } else { vec![self.code] }
    }
}

/// What to press for a character; none when no key has it.
pub fn press(character: char) -> Option<Press> {
    let control = CONTROLS.iter().find(|(_, _, characters)| characters.contains(&character));
    if let Some(&(name, code, _)) = control {
        return Some(Press { name, code, shift: false });
    }
    let &(name, code, alone, _) = KEYS.iter().find(|(_, _, alone, shifted)| [*alone, *shifted].contains(&character))?;
    Some(Press { name, code, shift: character != alone })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_has_a_key_of_its_own() {
        let presses: Vec<_> = (' '..='~').chain("\n\t".chars()).map(|c| press(c).expect("a key")).collect();
        for (index, press) in presses.iter().enumerate() {
            assert!(!presses[..index].contains(press), "{press:?} twice");
        }
        for none in ['é', '€', '\u{7f}', '\0', '\u{a0}', '“'] {
            assert_eq!(press(none), None, "{none:?}");
        }
    }

    #[test]
    fn caps_lock_turns_letters_round() {
        let codes = |character, caps| press(character).unwrap().codes(caps);
        assert_eq!([codes('a', false), codes('A', false)], [vec![30], vec![42, 30]]);
        assert_eq!([codes('a', true), codes('A', true)], [vec![42, 30], vec![30]]);
        assert_eq!([codes('1', true), codes('!', true), codes('\n', true)], [vec![2], vec![42, 2], vec![28]]);
    }
}
