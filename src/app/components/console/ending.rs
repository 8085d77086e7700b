//! Why a machine's screen is gone, in words.

use crate::i18n::{gettext, gettext_f};
use crate::words;

/// Why a machine's screen is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The guest turned it off.
    GuestOff,
    /// The person turned it off.
    TurnedOff,
    /// Its engine is gone without a word.
    Died,
    /// It did not start, and why.
    NotStarted(String),
    /// The connection is over, and why; the machine may run.
    Disconnected(String),
}

impl Ending {
    /// The button that brings it back.
    pub(super) fn again(&self) -> String {
        match self {
            Self::Disconnected(_) => gettext("Connect Again"),
            Self::NotStarted(_) => gettext("Try Again"),
            Self::GuestOff | Self::TurnedOff | Self::Died => gettext("Start Again"),
        }
    }

    /// Is that as it should be?
    pub(super) fn icon(&self) -> &'static str {
        match self {
            Self::GuestOff | Self::TurnedOff => "system-shutdown-symbolic",
            Self::Died | Self::NotStarted(_) | Self::Disconnected(_) => "dialog-warning-symbolic",
        }
    }

    /// The headline.
    pub(super) fn title(&self, name: &str) -> String {
        match self {
            Self::GuestOff | Self::TurnedOff => gettext("The Machine Is Off"),
            Self::Died => gettext("The Machine Has Stopped"),
            Self::NotStarted(_) => gettext_f("“{name}” Does Not Start", &[("name", name)]),
            Self::Disconnected(_) => gettext("Disconnected"),
        }
    }

    /// What happened.
    pub(super) fn text(&self, name: &str) -> String {
        let name = [("name", name)];
        match self {
            Self::GuestOff => gettext_f("“{name}” turned itself off.", &name),
            Self::TurnedOff => gettext_f("You turned “{name}” off.", &name),
            Self::Died => gettext_f(
                "The engine that ran “{name}” ended unexpectedly. What the machine had written to its disks is still there.",
                &name,
            ),
            Self::NotStarted(why) | Self::Disconnected(why) => words::sentence(why),
        }
    }
}
