//! Launchers: a machine among the desktop's apps (Desktop Entry Specification 1.5), and among what it starts at login (Desktop
//! Application Autostart Specification 0.5).
//!
//! A launcher is a file in `$XDG_DATA_HOME/applications` or `$XDG_CONFIG_HOME/autostart`, named by the machine's UUID, that runs
//! `dormer --machine UUID`. It follows the machine: renamed with it, gone with it.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::entry::Entry;
use crate::error::{Error, Result, Trying};
use crate::home::Library;
use crate::{atomic, engine};

/// The app's icon.
const ICON: &str = "io.github.dormer_vm.Dormer";

impl Library {
    /// Puts a machine among the desktop's apps, or writes its launcher anew. Answers where.
    pub fn create_launcher(&self, entry: &Entry) -> Result<PathBuf> {
        let path = self.launcher(entry.machine.uuid);
        write(entry, &path)?;
        Ok(path)
    }

    /// Has it a launcher?
    pub fn has_launcher(&self, uuid: Uuid) -> bool {
        self.launcher(uuid).exists()
    }

    /// Removes a machine's launcher, if it has one.
    pub fn remove_launcher(&self, uuid: Uuid) -> Result<()> {
        remove(&self.launcher(uuid))
    }

    /// Has the desktop start a machine at login, or not any more.
    pub(crate) fn set_autostart(&self, entry: &Entry, on: bool) -> Result<()> {
        let path = self.autostart().join(name(entry.machine.uuid));
        if on { write(entry, &path) } else { remove(&path) }
    }

    /// The machine is gone, and so is what the desktop knows of it.
    pub(crate) fn leave_desktop(&self, uuid: Uuid) -> Result<()> {
        self.remove_launcher(uuid)?;
        remove(&self.autostart().join(name(uuid)))
    }

    /// The machine has another name.
    pub(crate) fn rename_launcher(&self, entry: &Entry) {
        let launcher = self.has_launcher(entry.machine.uuid).then(|| self.create_launcher(entry).map(drop));
        let autostart = entry.machine.autostart.then(|| self.set_autostart(entry, true));
        for error in [launcher, autostart].into_iter().flatten().filter_map(Result::err) {
            // It still starts the machine.
            tracing::warn!("the launcher keeps its name: {error}");
        }
    }

    fn launcher(&self, uuid: Uuid) -> PathBuf {
        self.applications().join(name(uuid))
    }
}

fn name(uuid: Uuid) -> String {
    format!("{ICON}.machine-{uuid}.desktop")
}

fn write(entry: &Entry, path: &Path) -> Result<()> {
    if std::env::var_os("FLATPAK_ID").is_some() {
        return Err(Error::Sandboxed);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).at("make", folder)?;
    }
    // The engine's neighbour; else whatever is found when it is run.
    let program = engine::program("dormer").unwrap_or_else(|_| PathBuf::from("dormer"));
    let home = std::env::var_os("DORMER_HOME").map(PathBuf::from);
    atomic::write(path, text(entry, &program, home.as_deref()).as_bytes())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

fn text(entry: &Entry, program: &Path, home: Option<&Path>) -> String {
    let program = argument(&program.to_string_lossy());
    let environment = home.map(|home| format!("env {} ", argument(&format!("DORMER_HOME={}", home.display()))));
    let (environment, uuid) = (environment.unwrap_or_default(), entry.machine.uuid);
    format!(
        "[Desktop Entry]\nType=Application\nName={}\nComment=A machine of Dormer\nExec={environment}{program} --machine {uuid}\nIcon={ICON}\nTerminal=false\nCategories=System;Emulator;\n",
        value(&entry.machine.name)
    )
}

/// A string of the file.
fn value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', " ")
}

/// An argument of `Exec`: quoted, and then written as any string.
fn argument(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '`' | '$' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    value(&quoted)
}

#[cfg(test)]
mod tests {
    use api::machine::{Firmware, Host, Profile, Wants};

    use super::*;
    use crate::NewMachine;

    #[test]
    fn launchers_follow_their_machines() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let host = Host { processors: 2, memory: 4096 };
        let new = NewMachine::new(r"one \n", Profile::Linux, Firmware::Bios, Wants::default(), host);
        let entry = library.create(&new).unwrap();
        let uuid = entry.machine.uuid;
        assert!(!library.has_launcher(uuid));
        library.remove_launcher(uuid).unwrap();
        let path = library.create_launcher(&entry).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nName=one \\\\n\n") && text.contains(&format!(" --machine {uuid}\n")), "{text}");
        let entry = library.rename(&entry, "two").unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("\nName=two\n"));

        // It goes when nobody can have the machine back any more.
        let gone = library.discard(&entry).unwrap();
        assert!(path.exists());
        let entry = gone.restore().unwrap();
        library.delete(&entry).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_desktop_starts_machines_at_login() {
        let (home, library, entry) = crate::fixture::library_with_one();
        let path = home.path().join("autostart").join(name(entry.machine.uuid));
        let set = |entry: &Entry, value| {
            library.change(entry, |machine| machine.set(api::settings::Key::Autostart, value)).unwrap()
        };
        let entry = set(&entry, "on");
        assert!(
            std::fs::read_to_string(&path).unwrap().contains("\nName=One\n")
                && !library.has_launcher(entry.machine.uuid)
        );
        let entry = library.rename(&entry, "two").unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("\nName=two\n"));
        // Also one that is on.
        let lock = entry.lock().unwrap();
        let off = set(&entry, "off");
        assert!(!path.exists());
        set(&off, "on");
        drop(lock);
        let (copy, _lock) = library.copy_disposable(&entry.reload().unwrap()).unwrap();
        assert!(path.exists() && !copy.machine.autostart);
        library.delete(&entry.reload().unwrap()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_a_crash_leaves_has_no_launcher() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let host = Host { processors: 2, memory: 4096 };
        let entry =
            library.create(&NewMachine::new("one", Profile::Linux, Firmware::Bios, Wants::default(), host)).unwrap();
        let path = library.create_launcher(&entry).unwrap();
        drop(library.discard(&entry).unwrap());
        library.sweep();
        assert!(!path.exists());
    }

    #[test]
    fn arguments_are_quoted_twice() {
        assert_eq!(argument("/usr/bin/dormer"), "\"/usr/bin/dormer\"");
        assert_eq!(argument(r#"/a b/$x"y\%z"#), r#""/a b/\\$x\\"y\\\\%%z""#);
    }
}
