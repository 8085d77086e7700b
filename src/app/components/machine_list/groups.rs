//! Which groups' machines the person does not want to see, which the app remembers.

use std::collections::BTreeSet;

use crate::remembered::Remembered;

/// Under this name they are remembered, a line each.
const KEY: &str = "closed-groups";

/// Their names.
pub(super) fn closed() -> BTreeSet<String> {
    let lines = Remembered::of_list().get(KEY).unwrap_or_default();
    lines.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}

/// Remembers them.
pub(super) fn remember(closed: &BTreeSet<String>) {
    let lines = closed.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    Remembered::of_list().set(KEY, Some(lines).as_deref().filter(|lines| !lines.is_empty()));
}
