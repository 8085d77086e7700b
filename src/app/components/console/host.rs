//! Which keys over a machine's screen are the console's, by the [`HostKey`]. No widgets: keys go in, and what becomes of them comes out.

use std::collections::BTreeSet;

use crate::host_key::HostKey;

/// evdev's codes of the keys that make combinations.
const F: u16 = 33;
const G: u16 = 34;
const M: u16 = 50;

/// What a combination is for, by the action that does it.
pub(super) type Action = &'static str;
/// Keyboard and pointer go back to the desktop.
pub(super) const RELEASE: Action = "win.release-input";
/// Into full screen, and out of it.
pub(super) const FULL_SCREEN: Action = "win.fullscreen";
/// The machine is heard, or not.
pub(super) const MUTE: Action = "win.mute";

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The guest's.
    Guest,
    /// The console's, which does this if it is anything.
    Console(Option<Action>),
}

/// The keys a person holds.
#[derive(Debug, Default)]
pub(super) struct Host {
    key: HostKey,
    /// All that are down.
    down: BTreeSet<u16>,
    /// Those of them that the guest does not hear of.
    kept: BTreeSet<u16>,
    /// The host key is down, and nothing was pressed with it.
    alone: bool,
}

impl Host {
    /// From now on this is the host key.
    pub(super) fn set_key(&mut self, key: HostKey) {
        self.key = key;
        self.forget();
    }

    /// Nothing is down any more.
    pub(super) fn forget(&mut self) {
        *self = Self { key: self.key, ..Self::default() };
    }

    /// A key goes down, again while it is held, or up.
    pub(super) fn key(&mut self, code: u16, down: bool) -> Key {
        if !down {
            self.down.remove(&code);
            let alone = std::mem::take(&mut self.alone) && self.key.single() == Some(code);
            return match self.kept.remove(&code) {
                true => Key::Console(alone.then_some(RELEASE)),
                false => Key::Guest,
            };
        }
        if self.kept.contains(&code) {
            return Key::Console(None);
        }
        let held = self.key.groups().iter().all(|group| group.iter().any(|key| self.down.contains(key)));
        self.down.insert(code);
        self.alone = self.key.single() == Some(code) && self.down.len() == 1;
        let action = match code {
            G if held => Some(RELEASE),
            F if held => Some(FULL_SCREEN),
            M if held => Some(MUTE),
            _ => None,
        };
        if action.is_some() || self.key.single() == Some(code) {
            self.kept.insert(code);
            return Key::Console(action);
        }
        Key::Guest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Key = Key::Console(None);

    fn host(key: HostKey) -> Host {
        Host { key, ..Host::default() }
    }

    fn keys<const N: usize>(host: &mut Host, keys: [(u16, bool); N]) -> [Key; N] {
        keys.map(|(code, down)| host.key(code, down))
    }

    #[test]
    fn several_keys_are_the_guests_too() {
        for (ctrl, alt) in [(29, 56), (97, 100), (29, 100)] {
            let mut host = host(HostKey::CtrlAlt);
            let heard = keys(
                &mut host,
                [(ctrl, true), (alt, true), (G, true), (G, true), (G, false), (30, true), (alt, false)],
            );
            let release = Key::Console(Some(RELEASE));
            assert_eq!(heard, [Key::Guest, Key::Guest, release, NOTHING, NOTHING, Key::Guest, Key::Guest]);
            assert_eq!(keys(&mut host, [(G, true), (G, false)]), [Key::Guest; 2]);
        }
        assert_eq!(keys(&mut host(HostKey::CtrlShift), [(29, true), (56, true), (G, true)]), [Key::Guest; 3]);
    }

    #[test]
    fn a_single_key_is_the_consoles() {
        let mut host = host(HostKey::RightCtrl);
        assert_eq!(
            keys(&mut host, [(97, true), (97, true), (97, false)]),
            [NOTHING, NOTHING, Key::Console(Some(RELEASE))]
        );
        // With another key it gives nothing back.
        let full_screen = Key::Console(Some(FULL_SCREEN));
        assert_eq!(
            keys(&mut host, [(97, true), (F, true), (F, false), (97, false)]),
            [NOTHING, full_screen, NOTHING, NOTHING]
        );
        assert_eq!(
            keys(&mut host, [(30, true), (97, true), (30, false), (97, false)]),
            [Key::Guest, NOTHING, Key::Guest, NOTHING]
        );
        // The left one is a key like others.
        assert_eq!(keys(&mut host, [(29, true), (G, true), (G, false), (29, false)]), [Key::Guest; 4]);
    }

    #[test]
    fn what_is_forgotten_is_up() {
        let mut host = host(HostKey::RightCtrl);
        assert_eq!(host.key(97, true), NOTHING);
        host.forget();
        assert_eq!(keys(&mut host, [(97, false), (G, true)]), [Key::Guest; 2]);
        host.set_key(HostKey::CtrlAlt);
        assert_eq!(keys(&mut host, [(97, true), (56, true), (F, true)])[2], Key::Console(Some(FULL_SCREEN)));
        assert_eq!(host.key(M, true), Key::Console(Some(MUTE)));
    }
}
