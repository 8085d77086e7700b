//! What the app remembers from one time to the next: GSettings, one schema for the app and one for each machine's console
//! (`data/io.github.dormer_vm.Dormer.gschema.xml`).
//!
//! GLib ends a program that asks for a schema that is not installed. So the program carries its schemas, and a copy of them stands in the
//! person's runtime folder when the system has none. Where even that fails, everything is as it is by default and nothing is remembered:
//! nothing here is worth a question, or an end.

use std::path::{Path, PathBuf};

use gtk::prelude::*;
use gtk::{gio, glib};
use uuid::Uuid;

/// The app's schema.
const APP: &str = "io.github.dormer_vm.Dormer";
/// The schema of a machine's console.
const MACHINE: &str = "io.github.dormer_vm.Dormer.Machine";
/// Where machines' consoles stand, by identity.
const MACHINES: &str = "/io/github/dormer_vm/Dormer/machines/";
/// Both schemas, compiled.
const SCHEMAS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gschemas.compiled"));
/// Their file's name is GLib's.
const FILE: &str = "gschemas.compiled";

/// The order of machines in the list.
pub(crate) const SORT_BY: &str = "sort-by";
/// Whether machines are shown as a list or a grid.
pub(crate) const VIEW_AS: &str = "view-as";
/// Groups whose machines are hidden.
pub(crate) const CLOSED_GROUPS: &str = "closed-groups";
/// The key that leads the console's own key combinations.
pub(crate) const HOST_KEY: &str = "host-key";
/// Whether guests' screens follow their windows; of the app and of a machine.
pub(crate) const RESIZE_GUEST: &str = "resize-guest";
/// What becomes of a machine whose window is closed.
pub(crate) const CLOSING: &str = "closing";
/// Whether quitting tells which machines keep running.
pub(crate) const TELL_QUITTING: &str = "tell-quitting";
/// How a machine's screen is scaled.
pub(crate) const SCALING: &str = "scaling";

/// The preferences of the app, or of a machine's console.
#[derive(Clone, Debug)]
pub(crate) struct Preferences(Option<gio::Settings>);

impl Preferences {
    /// Of the app.
    pub(crate) fn of_app() -> Self {
        Self::open(APP, None)
    }

    /// Of this machine's console.
    pub(crate) fn of_machine(machine: Uuid) -> Self {
        Self::open(MACHINE, Some(&format!("{MACHINES}{machine}/")))
    }

    fn open(id: &str, path: Option<&str>) -> Self {
        Self(schema(id).map(|schema| gio::Settings::new_full(&schema, None::<&gio::SettingsBackend>, path)))
    }

    /// The word of a choice. None where nothing is remembered.
    pub(crate) fn word(&self, key: &str) -> Option<String> {
        self.0.as_ref().map(|settings| settings.string(key).into())
    }

    /// Remembers this word.
    pub(crate) fn set_word(&self, key: &str, word: &str) {
        self.set(key, |settings| settings.set_string(key, word));
    }

    /// The words of a list. None where nothing is remembered.
    pub(crate) fn words(&self, key: &str) -> Vec<String> {
        self.0.iter().flat_map(|settings| settings.strv(key)).map(Into::into).collect()
    }

    /// Remembers these words.
    pub(crate) fn set_words<'a>(&self, key: &str, words: impl Iterator<Item = &'a str>) {
        let words: glib::StrV = words.map(Into::into).collect();
        self.set(key, |settings| settings.set_strv(key, words));
    }

    /// Is it on? What is not remembered is.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        self.0.as_ref().is_none_or(|settings| settings.boolean(key))
    }

    /// Remembers whether it is on.
    pub(crate) fn set_on(&self, key: &str, on: bool) {
        self.set(key, |settings| settings.set_boolean(key, on));
    }

    fn set(&self, key: &str, set: impl FnOnce(&gio::Settings) -> Result<(), glib::BoolError>) {
        if let Some(Err(error)) = self.0.as_ref().map(set) {
            tracing::warn!("{key} is not remembered: {error}");
        }
    }

    /// Calls when this key has another value, by whomever, as long as `self` or a clone of it lives.
    pub(crate) fn watch(&self, key: &str, changed: impl Fn() + 'static) {
        if let Some(settings) = &self.0 {
            settings.connect_changed(Some(key), move |_, _| changed());
        }
    }
}

thread_local! {
    /// The program's own schemas: a constant, but that GLib reads it from a file.
    static OWN: Option<gio::SettingsSchemaSource> = own();
}

/// The schema: the system's, else the program's own.
fn schema(id: &str) -> Option<gio::SettingsSchema> {
    let installed = gio::SettingsSchemaSource::default().and_then(|source| source.lookup(id, true));
    installed.or_else(|| OWN.with(|own| own.as_ref()?.lookup(id, false)))
}

fn own() -> Option<gio::SettingsSchemaSource> {
    let folder = unpack(&glib::user_runtime_dir().join("dormer")).map_err(|error| error.to_string());
    let installed = gio::SettingsSchemaSource::default();
    let source = folder.and_then(|folder| {
        gio::SettingsSchemaSource::from_directory(&folder, installed.as_ref(), false).map_err(|error| error.to_string())
    });
    source.inspect_err(|error| tracing::warn!("preferences are not remembered: {error}")).ok()
}

/// Puts the schemas into a folder below this one, unless they are there.
fn unpack(folder: &Path) -> std::io::Result<PathBuf> {
    let folder = folder.join("schemas");
    let path = folder.join(FILE);
    if std::fs::read(&path).is_ok_and(|there| there == SCHEMAS) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    // As a whole: another process may have the file in its memory.
    let fresh = folder.join(format!("{FILE}.{}", std::process::id()));
    std::fs::write(&fresh, SCHEMAS)?;
    std::fs::rename(&fresh, &path)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_own_schemas_do() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("schemas").join(FILE);
        std::fs::create_dir(stale.parent().unwrap()).unwrap();
        std::fs::write(&stale, "of another version").unwrap();
        let source = gio::SettingsSchemaSource::from_directory(unpack(folder.path()).unwrap(), None, false).unwrap();
        let memory = gio::functions::memory_settings_backend_new();
        let open = |id, path: Option<&str>| {
            Preferences(Some(gio::Settings::new_full(&source.lookup(id, false).unwrap(), Some(&memory), path)))
        };
        let app = open(APP, None);
        assert_eq!(app.word(HOST_KEY).as_deref(), Some("ctrl-alt"));
        assert!(app.is_on(RESIZE_GUEST) && app.is_on(TELL_QUITTING));
        app.set_word(CLOSING, "keep-running");
        assert_eq!((app.word(VIEW_AS).as_deref(), app.words(CLOSED_GROUPS)), (Some("list"), Vec::new()));
        app.set_word(VIEW_AS, "grid");
        app.set_words(CLOSED_GROUPS, ["At work", "[x]='\n'"].into_iter());
        assert_eq!(app.word(VIEW_AS).as_deref(), Some("grid"));
        assert_eq!(app.words(CLOSED_GROUPS), ["At work", "[x]='\n'"]);
        app.set_on(RESIZE_GUEST, false);
        assert_eq!((app.word(CLOSING).as_deref(), app.is_on(RESIZE_GUEST)), (Some("keep-running"), false));
        // No word of the schema's: what was stays.
        app.set_word(CLOSING, "power-off");
        assert_eq!(app.word(CLOSING).as_deref(), Some("keep-running"));
        let [one, other] = ["one", "other"].map(|machine| open(MACHINE, Some(&format!("{MACHINES}{machine}/"))));
        one.set_word(SCALING, "actual");
        assert_eq!([one, other].map(|machine| machine.word(SCALING).unwrap()), ["actual", "fit"]);
    }

    #[test]
    fn nothing_is_remembered_without_schemas() {
        let none = Preferences(None);
        none.set_on(RESIZE_GUEST, false);
        none.set_word(SCALING, "actual");
        none.set_words(CLOSED_GROUPS, ["Work"].into_iter());
        assert!(none.words(CLOSED_GROUPS).is_empty());
        assert_eq!((none.is_on(RESIZE_GUEST), none.word(SCALING)), (true, None));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(unpack(&folder.path().join("file")).is_err());
    }
}
