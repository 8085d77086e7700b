//! Choices that the app remembers, each by a word.

use crate::preferences::Preferences;

/// A choice.
pub(crate) trait Choice: Copy + Default + PartialEq + 'static {
    /// The key that it is remembered by.
    const KEY: &'static str;
    /// All that there are to choose from, with the words that are remembered and that actions take.
    const WORDS: &'static [(Self, &'static str)];

    /// Its word.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(choice, _)| *choice == self).map_or("", |(_, word)| word)
    }

    /// The choice of this word.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(choice, _)| *choice)
    }

    /// As the person chose.
    fn remembered() -> Self {
        Preferences::of_app().word(Self::KEY).and_then(|word| Self::from_word(&word)).unwrap_or_default()
    }

    /// The person chose this one.
    fn remember(self) {
        Preferences::of_app().set_word(Self::KEY, self.word());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::host_key::HostKey;
    use crate::sort_by::SortBy;
    use crate::view_as::ViewAs;

    fn has_words<T: Choice + std::fmt::Debug>(count: usize) {
        let words: HashSet<_> = T::WORDS.iter().map(|(_, word)| *word).collect();
        assert_eq!(words.len(), count);
        assert!(T::WORDS.iter().any(|(choice, _)| *choice == T::default()));
        for (choice, word) in T::WORDS {
            assert_eq!((choice.word(), T::from_word(word)), (*word, Some(*choice)));
        }
        assert_eq!(T::from_word("colour"), None);
    }

    #[test]
    fn all_have_words() {
        has_words::<SortBy>(2);
        has_words::<ViewAs>(2);
        has_words::<HostKey>(5);
    }
}
