//! The order of machines in the list, which the app remembers.

use crate::choice::Choice;
use crate::preferences::SORT_BY;

/// The order of machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    /// By name.
    #[default]
    Name,
    /// The one that started last comes first.
    LastUsed,
}

impl Choice for SortBy {
    const KEY: &'static str = SORT_BY;
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Name, "name"), (Self::LastUsed, "last-used")];
}
