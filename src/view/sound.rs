//! The machine's sound in this window, as its settings were when the window opened.

use api::machine::{self, SoundCard};
use audio::Audio;
use console::Console;

/// The sound.
pub(crate) struct Sound {
    audio: Audio,
    has_card: bool,
    microphone: bool,
    muted: bool,
}

impl Sound {
    /// Silence, until a console has asked for it.
    pub(crate) fn new(settings: &machine::Sound) -> Self {
        // What the computer's sound lacks is told by the thread that misses it.
        let mut audio = Audio::new(|| {});
        audio.set_volume(settings.volume);
        audio.set_muted(settings.mute);
        let device = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        audio.use_devices(device(&settings.output), device(&settings.input));
        let has_card = settings.card != SoundCard::None;
        Self { audio, has_card, microphone: settings.microphone, muted: settings.mute }
    }

    /// Asks for it.
    pub(crate) fn ask(&self, console: &mut Console) -> Result<(), console::Error> {
        if self.has_card { console.want_sound(true, self.microphone) } else { Ok(()) }
    }

    /// Something became of it.
    pub(crate) fn follow(&mut self, console: &mut Console) {
        console.take_sound().into_iter().for_each(|event| self.audio.handle(event));
    }

    /// The machine's screen is closed.
    pub(crate) fn end(&mut self) {
        self.audio.silence();
    }

    /// Muted, or not any more. Nobody mutes what has no card.
    pub(crate) fn toggle_mute(&mut self) {
        self.muted = !self.muted && self.has_card;
        self.audio.set_muted(self.muted);
    }

    pub(crate) fn is_muted(&self) -> bool {
        self.muted && self.has_card
    }
}
