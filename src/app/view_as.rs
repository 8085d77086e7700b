//! How machines are shown, which the app remembers.

use crate::preferences::{Preferences, VIEW_AS};

/// How machines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ViewAs {
    /// One below the other, beside the page of the one that is selected.
    #[default]
    List,
    /// As tiles that take the whole window; the page comes in their place.
    Grid,
}

impl ViewAs {
    /// Its word, for what is remembered and for actions.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Grid => "grid",
        }
    }

    /// The view of this word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::List, Self::Grid].into_iter().find(|view| view.word() == word)
    }

    /// As the person chose it.
    pub(crate) fn remembered() -> Self {
        Preferences::of_app().word(VIEW_AS).and_then(|word| Self::from_word(&word)).unwrap_or_default()
    }

    /// The person chose this one.
    pub(crate) fn remember(self) {
        Preferences::of_app().set_word(VIEW_AS, self.word());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_have_words() {
        for view in [ViewAs::List, ViewAs::Grid] {
            assert_eq!(ViewAs::from_word(view.word()), Some(view));
        }
        assert_eq!(ViewAs::from_word("map"), None);
    }
}
