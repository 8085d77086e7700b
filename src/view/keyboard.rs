//! The keyboard: which keys are the guest's, and which mean something here.
//!
//! Keys go to the guest by position, as evdev codes. Four things are the viewer's own: F11 alone leads into full screen and out, Ctrl+Alt
//! pressed and let go without another key releases a captured pointer, Ctrl+Alt+S goes over to the other scaling, and Ctrl+Alt+M mutes the
//! machine.

use std::collections::BTreeSet;

use console::key::{LEFT_ALT, LEFT_CTRL, LEFT_META, LEFT_SHIFT, function};
use winit::keyboard::PhysicalKey;
use winit::platform::scancode::PhysicalKeyExtScancode;

/// evdev's codes of keys that menus never send.
const S: u16 = 31;
const M: u16 = 50;
const RIGHT_CTRL: u16 = 97;
const RIGHT_SHIFT: u16 = 54;
const RIGHT_ALT: u16 = 100;
const RIGHT_META: u16 = 126;
/// What winit says of keys that have no code.
const UNKNOWN: u16 = 240;

const FULLSCREEN: u16 = function(11);
const CTRL: [u16; 2] = [LEFT_CTRL, RIGHT_CTRL];
const MODIFIERS: [u16; 8] =
    [LEFT_CTRL, RIGHT_CTRL, LEFT_ALT, RIGHT_ALT, LEFT_SHIFT, RIGHT_SHIFT, LEFT_META, RIGHT_META];

/// A key's evdev code, when it has one.
pub(crate) fn code(key: PhysicalKey) -> Option<u16> {
    key.to_scancode().and_then(|code| u16::try_from(code).ok()).filter(|code| *code != UNKNOWN)
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is the guest's.
    Guest,
    /// It is the guest's, and a captured pointer is released.
    Release,
    /// Into full screen or out of it.
    Fullscreen,
    /// The other scaling.
    Scaling,
    /// Muted, or not any more.
    Mute,
    /// It belongs to what was said before.
    Nothing,
}

/// Keys that are down, as far as this window knows.
#[derive(Debug, Default)]
pub(crate) struct Keyboard {
    held: BTreeSet<u16>,
    /// Went down for the viewer: when it goes up, the guest hears nothing of it either.
    taken: Option<u16>,
    /// Ctrl and Alt are down, and were the last to go down.
    chord: bool,
}

impl Keyboard {
    /// A key goes down or up.
    pub(crate) fn key(&mut self, code: u16, down: bool) -> Meaning {
        if !down {
            return self.up(code);
        }
        let news = self.held.insert(code);
        if self.taken == Some(code) {
            return Meaning::Nothing;
        }
        if news && code == FULLSCREEN && self.held.iter().all(|held| !MODIFIERS.contains(held)) {
            self.taken = Some(code);
            return Meaning::Fullscreen;
        }
        let of_chord = match code {
            S => Some(Meaning::Scaling),
            M => Some(Meaning::Mute),
            _ => None,
        };
        if let Some(meaning) = of_chord.filter(|_| news && self.chord) {
            self.taken = Some(code);
            self.chord = false;
            return meaning;
        }
        let ctrl = self.held.iter().any(|held| CTRL.contains(held));
        self.chord = ctrl && self.held.contains(&LEFT_ALT) && self.held.len() == 2;
        Meaning::Guest
    }

    fn up(&mut self, code: u16) -> Meaning {
        self.held.remove(&code);
        if self.taken == Some(code) {
            self.taken = None;
            return Meaning::Nothing;
        }
        if std::mem::take(&mut self.chord) { Meaning::Release } else { Meaning::Guest }
    }

    /// The window has lost the focus: what goes up elsewhere is not heard.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CTRL_ALT: [(u16, bool); 2] = [(LEFT_CTRL, true), (LEFT_ALT, true)];

    fn last(keys: &[(u16, bool)]) -> Meaning {
        let mut keyboard = Keyboard::default();
        keys.iter().map(|&(code, down)| keyboard.key(code, down)).last().unwrap()
    }

    #[test]
    fn f11_alone_is_full_screen() {
        assert_eq!(last(&[(FULLSCREEN, true)]), Meaning::Fullscreen);
        assert_eq!(last(&[(FULLSCREEN, true), (FULLSCREEN, true)]), Meaning::Nothing);
        assert_eq!(last(&[(FULLSCREEN, true), (FULLSCREEN, false)]), Meaning::Nothing);
        assert_eq!(last(&[(RIGHT_SHIFT, true), (FULLSCREEN, true)]), Meaning::Guest);
        assert_eq!(last(&[(FULLSCREEN, true), (FULLSCREEN, false), (FULLSCREEN, true)]), Meaning::Fullscreen);
    }

    #[test]
    fn ctrl_alt_alone_releases_the_pointer() {
        for up in [LEFT_CTRL, LEFT_ALT] {
            assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (up, false)]), Meaning::Release);
            assert_eq!(last(&[CTRL_ALT[1], CTRL_ALT[0], (up, false)]), Meaning::Release);
            // Ctrl+Alt+Delete is the guest's.
            let keys = [CTRL_ALT[0], CTRL_ALT[1], (111, true), (111, false), (up, false)];
            assert_eq!(last(&keys), Meaning::Guest);
        }
        assert_eq!(last(&[(RIGHT_CTRL, true), CTRL_ALT[1], (RIGHT_CTRL, false)]), Meaning::Release);
        assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (LEFT_ALT, false), (LEFT_CTRL, false)]), Meaning::Guest);
        // AltGr writes characters.
        assert_eq!(last(&[CTRL_ALT[0], (RIGHT_ALT, true), (RIGHT_ALT, false)]), Meaning::Guest);
        let mut keyboard = Keyboard::default();
        for (code, down) in CTRL_ALT {
            keyboard.key(code, down);
        }
        keyboard.forget();
        assert_eq!(keyboard.key(LEFT_ALT, false), Meaning::Guest);
    }

    #[test]
    fn ctrl_alt_s_is_the_scaling_and_m_mutes() {
        assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (S, true)]), Meaning::Scaling);
        assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (S, true), (S, false)]), Meaning::Nothing);
        assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (S, true), (S, false), (LEFT_ALT, false)]), Meaning::Guest);
        assert_eq!(last(&[(S, true)]), Meaning::Guest);
        assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (M, true)]), Meaning::Mute);
        assert_eq!(last(&[CTRL_ALT[0], CTRL_ALT[1], (M, true), (M, true)]), Meaning::Nothing);
        assert_eq!(last(&[(M, true)]), Meaning::Guest);
    }

    #[test]
    fn codes_are_evdevs() {
        for number in (1..256).filter(|number| *number != u32::from(UNKNOWN)) {
            assert_eq!(code(PhysicalKey::from_scancode(number)), u16::try_from(number).ok(), "{number}");
        }
        assert_eq!(code(PhysicalKey::from_scancode(UNKNOWN.into())), None);
    }
}
