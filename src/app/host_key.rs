//! The host key: what a person holds, over a machine's screen, for a combination that is the console's and not the guest's.
//!
//! Host+G gives keyboard and pointer back to the desktop, Host+F leads into full screen and out of it, Host+M mutes the machine. A host key
//! that is a single key is never the guest's, and gives both back too when it is pressed alone; of several keys the guest hears as of all others.

use crate::choice::Choice;
use crate::i18n::gettext;
use crate::preferences::HOST_KEY;

/// The host key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HostKey {
    /// Both, whichever of the two of each.
    #[default]
    CtrlAlt,
    /// Both, whichever of the two of each.
    CtrlShift,
    /// The right one.
    RightCtrl,
    /// The right one, AltGr on most keyboards.
    RightAlt,
    /// The right one.
    RightShift,
}

/// evdev's codes.
const CTRL: &[u16] = &[29, 97];
const ALT: &[u16] = &[56, 100];
const SHIFT: &[u16] = &[42, 54];

impl Choice for HostKey {
    const KEY: &'static str = HOST_KEY;
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::CtrlAlt, "ctrl-alt"),
        (Self::CtrlShift, "ctrl-shift"),
        (Self::RightCtrl, "right-ctrl"),
        (Self::RightAlt, "right-alt"),
        (Self::RightShift, "right-shift"),
    ];
}

impl HostKey {
    /// Its name, for people.
    pub(crate) fn name(self) -> String {
        match self {
            Self::CtrlAlt => gettext("Ctrl+Alt"),
            Self::CtrlShift => gettext("Ctrl+Shift"),
            Self::RightCtrl => gettext("Right Ctrl"),
            Self::RightAlt => gettext("Right Alt"),
            Self::RightShift => gettext("Right Shift"),
        }
    }

    /// What gives keyboard and pointer back, for people.
    pub(crate) fn release(self) -> String {
        if self.single().is_some() { self.name() } else { format!("{}+G", self.name()) }
    }

    /// A combination, as GTK's list of shortcuts has it.
    pub(crate) fn accelerator(self, key: char) -> String {
        match self {
            Self::CtrlAlt => format!("<Ctrl><Alt>{key}"),
            Self::CtrlShift => format!("<Ctrl><Shift>{key}"),
            Self::RightCtrl => format!("Control_R&{key}"),
            Self::RightAlt => format!("Alt_R&{key}"),
            Self::RightShift => format!("Shift_R&{key}"),
        }
    }

    /// Keys that are held together: of each group one.
    pub(crate) fn groups(self) -> &'static [&'static [u16]] {
        match self {
            Self::CtrlAlt => &[CTRL, ALT],
            Self::CtrlShift => &[CTRL, SHIFT],
            Self::RightCtrl => &[&[97]],
            Self::RightAlt => &[&[100]],
            Self::RightShift => &[&[54]],
        }
    }

    /// The key, if it is a single one.
    pub(crate) fn single(self) -> Option<u16> {
        match self.groups() {
            [[key]] => Some(*key),
            _ => None,
        }
    }
}
