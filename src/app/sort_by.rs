//! The order of machines in the list, which the app remembers.

use crate::preferences::{Preferences, SORT_BY};

/// The order of machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    /// By name.
    #[default]
    Name,
    /// The one that started last comes first.
    LastUsed,
}

impl SortBy {
    /// Its word, for what is remembered and for actions.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::LastUsed => "last-used",
        }
    }

    /// The order of this word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Name, Self::LastUsed].into_iter().find(|sort| sort.word() == word)
    }

    /// As the person chose it.
    pub(crate) fn remembered() -> Self {
        Preferences::of_app().word(SORT_BY).and_then(|word| Self::from_word(&word)).unwrap_or_default()
    }

    /// The person chose this one.
    pub(crate) fn remember(self) {
        Preferences::of_app().set_word(SORT_BY, self.word());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_words() {
        for sort in [SortBy::Name, SortBy::LastUsed] {
            assert_eq!(SortBy::from_word(sort.word()), Some(sort));
        }
        assert_eq!(SortBy::from_word("colour"), None);
    }
}
