//! A machine's sound card as its owner configures it, and what a console does with its sound.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::sizes::Profile;

/// Sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sound {
    /// The card.
    #[serde(default)]
    pub card: SoundCard,
    /// Percent, 100 for as loud as the guest plays.
    #[serde(default = "full", skip_serializing_if = "is_full")]
    pub volume: u8,
    /// Nobody hears the guest, which does not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mute: bool,
    /// The guest hears this computer's microphone while a console is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub microphone: bool,
    /// Where it is heard, by the name that this computer's sound system has for it; empty for its usual device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Which microphone, in the same way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
}

fn full() -> u8 {
    100
}

fn is_full(volume: &u8) -> bool {
    *volume == full()
}

impl Default for Sound {
    fn default() -> Self {
        Self::new(SoundCard::default())
    }
}

impl Sound {
    /// Most bytes of a device's name.
    pub const DEVICE: usize = 256;

    /// At full volume, without a microphone.
    pub fn new(card: SoundCard) -> Self {
        Self { card, volume: full(), mute: false, microphone: false, output: String::new(), input: String::new() }
    }

    /// What can be said without looking at the host.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.volume > full() {
            return Err(Problem::Volume(self.volume));
        }
        let is_name = |name: &&String| name.len() <= Self::DEVICE && !name.chars().any(char::is_control);
        match [&self.output, &self.input].into_iter().find(|name| !is_name(name)) {
            Some(name) => Err(Problem::SoundDevice(name.chars().take(40).collect())),
            None => Ok(()),
        }
    }
}

/// A sound card's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoundCard {
    /// No card.
    #[default]
    None,
    /// Intel's High Definition Audio, as in ICH9: works with every system's own driver.
    Hda,
    /// virtio-sound: less work for both sides, needs a virtio driver.
    Virtio,
}

impl SoundCard {
    /// What a new machine has.
    pub fn for_guest(profile: Profile) -> Self {
        match profile {
            Profile::Linux => Self::Virtio,
            Profile::Windows | Profile::Legacy => Self::Hda,
        }
    }
}
