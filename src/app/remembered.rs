//! What the app remembers from one time to the next: a key file in the person's configuration folder.
//!
//! It has a group for the list of machines, one for all consoles, and one for each machine, by its identity. What cannot be read was never said, and what cannot be
//! written is told to the log: nothing in it is worth a question.

use std::path::PathBuf;

use gtk::glib;
use uuid::Uuid;

/// The group of the list of machines.
const LIST: &str = "List";
/// The group of all consoles.
const CONSOLES: &str = "Consoles";

/// A group of the file.
pub(crate) struct Remembered {
    path: PathBuf,
    group: String,
}

impl Remembered {
    /// What goes for the list of machines.
    pub(crate) fn of_list() -> Self {
        Self { path: path(), group: LIST.into() }
    }

    /// What goes for all consoles.
    pub(crate) fn of_consoles() -> Self {
        Self { path: path(), group: CONSOLES.into() }
    }

    /// What goes for this machine's console.
    pub(crate) fn of(machine: Uuid) -> Self {
        Self { path: path(), group: machine.to_string() }
    }

    /// What was remembered under this name.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.load().string(&self.group, key).ok().map(Into::into)
    }

    /// Remembers this, or forgets it.
    pub(crate) fn set(&self, key: &str, value: Option<&str>) {
        let file = self.load();
        match value {
            Some(value) => file.set_string(&self.group, key, value),
            // What is not there is forgotten.
            None => drop(file.remove_key(&self.group, key)),
        }
        let folder = self.path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let saved = folder.map_err(|error| error.to_string()).and_then(|()| {
            // Atomically: another console may write its own.
            file.save_to_file(&self.path).map_err(|error| error.to_string())
        });
        if let Err(error) = saved {
            tracing::warn!("{} is not written: {error}", self.path.display());
        }
    }

    fn load(&self) -> glib::KeyFile {
        let file = glib::KeyFile::new();
        if let Err(error) = file.load_from_file(&self.path, glib::KeyFileFlags::KEEP_COMMENTS)
            && !error.matches(glib::FileError::Noent)
        {
            tracing::warn!("{} is not read: {error}", self.path.display());
        }
        file
    }
}

fn path() -> PathBuf {
    glib::user_config_dir().join("dormer/preferences")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_do_not_know_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let group = |name: &str| Remembered { path: folder.path().join("dormer/preferences"), group: name.into() };
        let (one, other) = (group("one"), group("other"));
        assert_eq!(one.get("size"), None);
        one.set("size", Some("large [x]=\n"));
        other.set("size", Some("small"));
        other.set("never", None);
        assert_eq!((one.get("size").as_deref(), other.get("size").as_deref()), (Some("large [x]=\n"), Some("small")));
        one.set("size", None);
        assert_eq!((one.get("size"), other.get("size").as_deref()), (None, Some("small")));
        // Whoever breaks it by hand begins anew.
        std::fs::write(&other.path, "size = \n[[").unwrap();
        assert_eq!(other.get("size"), None);
        other.set("size", Some("small"));
        assert_eq!(other.get("size").as_deref(), Some("small"));
    }
}
