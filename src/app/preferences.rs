//! What a person chose for the app itself, remembered in a key file: `$XDG_CONFIG_HOME/dormer/preferences`.
//!
//! What a file says that nobody understands counts as not said; a file that cannot be written is forgotten with a warning.

use std::path::{Path, PathBuf};

use gtk::{gio, glib};

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
    /// Its word, for the file and for actions.
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
}

/// The choices, as the file had them when it was read.
#[derive(Debug)]
pub(crate) struct Preferences {
    file: glib::KeyFile,
    path: PathBuf,
}

const LIST: &str = "list";
const SORT: &str = "sort";

impl Preferences {
    /// Reads this person's.
    pub(crate) fn load() -> Self {
        Self::at(&glib::user_config_dir())
    }

    fn at(folder: &Path) -> Self {
        let path = folder.join("dormer/preferences");
        let file = glib::KeyFile::new();
        // At first there is none.
        let _ = file.load_from_file(&path, glib::KeyFileFlags::KEEP_COMMENTS);
        Self { file, path }
    }

    /// The order of machines in the list.
    pub(crate) fn sort(&self) -> SortBy {
        self.file.string(LIST, SORT).ok().and_then(|word| SortBy::from_word(&word)).unwrap_or_default()
    }

    /// Remembers it.
    pub(crate) fn set_sort(&self, sort: SortBy) {
        self.file.set_string(LIST, SORT, sort.word());
        self.save();
    }

    /// Writes the file, off the main loop.
    fn save(&self) {
        let (text, path) = (self.file.to_data(), self.path.clone());
        gio::spawn_blocking(move || {
            if let Err(error) = write(&path, &text) {
                tracing::warn!("cannot write {}: {error}", path.display());
            }
        });
    }
}

/// Replaces the file whole.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_kept_and_nonsense_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let preferences = Preferences::at(folder.path());
        assert_eq!(preferences.sort(), SortBy::Name);
        preferences.file.set_string(LIST, SORT, SortBy::LastUsed.word());
        write(&preferences.path, &preferences.file.to_data()).unwrap();
        assert_eq!(Preferences::at(folder.path()).sort(), SortBy::LastUsed);
        std::fs::write(&preferences.path, "[list]\nsort=colour\n[").unwrap();
        assert_eq!(Preferences::at(folder.path()).sort(), SortBy::Name);
    }
}
