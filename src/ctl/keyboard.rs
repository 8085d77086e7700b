//! Keys by name, and combinations of them as people write them. Names are QMP's (`QKeyCode`).

use anyhow::{Context, Result, bail};
use api::control::KeyValue;
use console::us_layout::{self, Press};

/// Other names that people have for keys.
const ALIASES: [(&str, &str); 30] = [
    ("control", "ctrl"),
    ("ctl", "ctrl"),
    ("del", "delete"),
    ("enter", "ret"),
    ("return", "ret"),
    ("escape", "esc"),
    ("space", "spc"),
    ("super", "meta_l"),
    ("meta", "meta_l"),
    ("win", "meta_l"),
    ("windows", "meta_l"),
    ("altgr", "alt_r"),
    ("ins", "insert"),
    ("pageup", "pgup"),
    ("page-up", "pgup"),
    ("pagedown", "pgdn"),
    ("page-down", "pgdn"),
    ("printscreen", "print"),
    ("prtsc", "print"),
    ("capslock", "caps_lock"),
    ("numlock", "num_lock"),
    ("scrolllock", "scroll_lock"),
    ("bksp", "backspace"),
    ("plus", "equal"),
    ("period", "dot"),
    ("apostroph", "apostrophe"),
    ("break", "pause"),
    ("contextmenu", "menu"),
    ("tilde", "grave_accent"),
    ("hyphen", "minus"),
];

fn key(name: &str) -> KeyValue {
    KeyValue::Qcode(name.to_owned())
}

/// The keys to press together for a character.
pub(crate) fn for_character(character: char) -> Result<Vec<KeyValue>> {
    match us_layout::press(character) {
        Some(Press { name, shift: true, .. }) => Ok(vec![key("shift"), key(name)]),
        Some(Press { name, shift: false, .. }) => Ok(vec![key(name)]),
        None => bail!("a US keyboard has no key for “{character}”"),
    }
}

/// The keys of a combination like `ctrl-alt-delete`; `+` joins as well, and numbers like 0x1d are XT set 1 codes.
pub(crate) fn combination(text: &str) -> Result<Vec<KeyValue>> {
    // A name with a hyphen in it, or a character that joins.
    if let Ok(one) = single(text) {
        return Ok(vec![one]);
    }
    let keys: Result<Vec<_>> = text.split(['-', '+']).map(single).collect();
    keys.with_context(|| format!("“{text}” are no keys: write them as in ctrl-alt-delete"))
}

fn single(text: &str) -> Result<KeyValue> {
    let name = text.to_lowercase();
    let mut characters = text.chars();
    if let (Some(character), None) = (characters.next(), characters.next())
        && let Some(last) = for_character(character.to_ascii_lowercase())?.pop()
    {
        return Ok(last);
    }
    if let Some(code) = name.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
        return Ok(KeyValue::Number(code));
    }
    if let Some((_, known)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Ok(key(known));
    }
    let looks_right = name.len() > 1 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Which names there are the engine knows, and says.
    if looks_right { Ok(key(&name)) } else { bail!("there is no key named “{text}”") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keys: Vec<KeyValue>) -> String {
        let name = |key: &KeyValue| match key {
            KeyValue::Qcode(name) => name.clone(),
            KeyValue::Number(code) => format!("{code:#x}"),
        };
        keys.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_printable_character_has_keys() {
        for character in (' '..='~').chain("\n\t".chars()) {
            assert!(for_character(character).is_ok(), "{character:?}");
        }
        assert_eq!(names(for_character('A').unwrap()), "shift a");
        assert_eq!(names(for_character('|').unwrap()), "shift backslash");
        assert_eq!(names(for_character('/').unwrap()), "slash");
        assert!(for_character('é').is_err());
    }

    #[test]
    fn combinations() {
        for (text, keys) in [
            ("ctrl-alt-delete", "ctrl alt delete"),
            ("Ctrl+Alt+Del", "ctrl alt delete"),
            ("super", "meta_l"),
            ("page-up", "pgup"),
            ("-", "minus"),
            ("ctrl-c", "ctrl c"),
            ("F12", "f12"),
            ("shift-1", "shift 1"),
            ("0xd3", "0xd3"),
            ("alt-print", "alt print"),
        ] {
            assert_eq!(names(combination(text).unwrap()), keys, "{text}");
        }
        for bad in ["", "ctrl-", "ctrl--x", "a b", "é"] {
            assert!(combination(bad).is_err(), "{bad}");
        }
    }
}
