//! Text that is to be typed into a guest: which keys that takes, or why it cannot be typed.

use console::us_layout::{self, Press};

use crate::i18n::{gettext, gettext_f};

/// Most characters at once: over a minute of typing.
pub(super) const MOST: usize = 4096;
/// Characters that are named when they cannot be typed.
const NAMED: usize = 5;

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypedText {
    /// It is on the clipboard.
    Clipboard,
    /// The person writes it in a dialog.
    Dialog,
}

/// Why a text cannot be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is nothing.
    Empty,
    /// It has too many characters.
    Long,
    /// It has these characters, each named once.
    Unknown(Vec<char>),
}

/// The keys to press, one after the other. All of the text or nothing.
pub(super) fn keys(text: &str) -> Result<Vec<Press>, Refusal> {
    let text = text.replace("\r\n", "\n");
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    if text.chars().nth(MOST).is_some() {
        return Err(Refusal::Long);
    }
    let mut presses = Vec::new();
    let mut unknown = Vec::new();
    for character in text.chars() {
        // A text that was copied somewhere presses no Escape.
        let written = !character.is_control() || matches!(character, '\n' | '\r' | '\t');
        match us_layout::press(character).filter(|_| written) {
            Some(press) => presses.push(press),
            None if unknown.contains(&character) => {}
            None => unknown.push(character),
        }
    }
    if unknown.is_empty() { Ok(presses) } else { Err(Refusal::Unknown(unknown)) }
}

impl Refusal {
    /// What is wrong, and what to do.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Empty => gettext("There is no text to type."),
            Self::Long => gettext_f(
                "The text has more than {count} characters: type it in parts.",
                &[("count", &MOST.to_string())],
            ),
            Self::Unknown(characters) => {
                let mut names: Vec<_> = characters.iter().take(NAMED).map(|it| format!("“{}”", shown(*it))).collect();
                if characters.len() > NAMED {
                    names.push("…".into());
                }
                gettext_f(
                    "These characters cannot be typed, a US keyboard has no keys for them: {characters}",
                    &[("characters", &names.join(" "))],
                )
            }
        }
    }
}

/// A character that can be seen.
fn shown(character: char) -> String {
    if character.is_control() || character.is_whitespace() {
        format!("U+{:04X}", u32::from(character))
    } else {
        character.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_nothing() {
        let codes = |text| keys(text).unwrap().iter().map(|press| (press.code, press.shift)).collect::<Vec<_>>();
        assert_eq!(codes("aB\r\n|\t"), [(30, false), (48, true), (28, false), (43, true), (15, false)]);
        assert_eq!(keys(""), Err(Refusal::Empty));
        assert_eq!(keys("aé\u{1b}é"), Err(Refusal::Unknown(vec!['é', '\u{1b}'])));
        assert_eq!(keys(&"a".repeat(MOST)).unwrap().len(), MOST);
        assert_eq!(keys(&"a".repeat(MOST + 1)), Err(Refusal::Long));
    }

    #[test]
    fn characters_are_named() {
        let sentence = keys("é\u{1b}\u{a0}ÄÖÜß").unwrap_err().sentence();
        assert!(sentence.ends_with("“é” “U+001B” “U+00A0” “Ä” “Ö” …"), "{sentence}");
    }
}
