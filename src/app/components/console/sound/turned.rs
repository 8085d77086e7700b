//! What the person turned at a console's sound, until the machine's file says so. No widgets and no files: wishes go in, and what is to be
//! written comes out.

use api::machine::{Machine, Sound};
use api::settings::{Key, SoundKey};

/// Settings and the values that they are to have, one for each.
type Values = Vec<(SoundKey, String)>;

/// What was turned.
#[derive(Debug, Default)]
pub(super) struct Turned {
    waiting: Values,
    /// Is being written just now.
    writing: Values,
}

impl Turned {
    /// The last word on a setting is the one that counts.
    pub(super) fn add(&mut self, key: SoundKey, value: String) {
        self.waiting.retain(|(other, _)| *other != key);
        self.waiting.push((key, value));
    }

    /// What is to be written now; nothing until what is being written is.
    pub(super) fn next(&mut self) -> Values {
        if self.writing.is_empty() {
            self.writing = std::mem::take(&mut self.waiting);
            return self.writing.clone();
        }
        Values::new()
    }

    /// What nobody has begun to write yet.
    pub(super) fn rest(&mut self) -> Values {
        std::mem::take(&mut self.waiting)
    }

    /// The file says it, or refused to.
    pub(super) fn written(&mut self) {
        self.writing.clear();
    }

    /// The machine's sound as the person wants it.
    pub(super) fn over(&self, machine: &Machine) -> Sound {
        if self.writing.is_empty() && self.waiting.is_empty() {
            return machine.sound.clone();
        }
        let mut wanted = machine.clone();
        for (key, value) in self.writing.iter().chain(&self.waiting) {
            if let Err(problem) = wanted.set(Key::Sound(*key), value) {
                // The file will refuse it, too, and the person is told.
                tracing::debug!("{problem}");
            }
        }
        wanted.sound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(percent: u8) -> (SoundKey, String) {
        (SoundKey::Volume, percent.to_string())
    }

    fn turned(values: impl IntoIterator<Item = (SoundKey, String)>) -> Turned {
        let mut turned = Turned::default();
        values.into_iter().for_each(|(key, value)| turned.add(key, value));
        turned
    }

    #[test]
    fn the_last_word_counts() {
        let mut turned = turned([volume(10), (SoundKey::Mute, "on".into()), volume(30)]);
        assert_eq!(turned.next(), [(SoundKey::Mute, "on".into()), volume(30)]);
        // One after the other.
        turned.add(SoundKey::Volume, "50".into());
        assert!(turned.next().is_empty());
        turned.written();
        assert_eq!(turned.next(), [volume(50)]);
        turned.written();
        assert!(turned.next().is_empty() && turned.rest().is_empty());
        turned.add(SoundKey::Volume, "60".into());
        assert_eq!(turned.rest(), [volume(60)]);
    }
}
