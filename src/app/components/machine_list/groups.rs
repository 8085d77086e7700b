//! Which groups' machines the person does not want to see, which the app remembers.

use std::collections::BTreeSet;

use crate::preferences::{CLOSED_GROUPS, Preferences};

/// Their names.
pub(super) fn closed() -> BTreeSet<String> {
    Preferences::of_app().words(CLOSED_GROUPS).into_iter().collect()
}

/// Remembers them.
pub(super) fn remember(closed: &BTreeSet<String>) {
    Preferences::of_app().set_words(CLOSED_GROUPS, closed.iter().map(String::as_str));
}
