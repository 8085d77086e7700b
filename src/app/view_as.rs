//! How machines are shown, which the app remembers.

use crate::choice::Choice;
use crate::preferences::VIEW_AS;

/// How machines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ViewAs {
    /// One below the other, beside the page of the one that is selected.
    #[default]
    List,
    /// As tiles that take the whole window; the page comes in their place.
    Grid,
}

impl Choice for ViewAs {
    const KEY: &'static str = VIEW_AS;
    const WORDS: &'static [(Self, &'static str)] = &[(Self::List, "list"), (Self::Grid, "grid")];
}
