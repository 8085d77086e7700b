use api::settings::Key;

use super::*;
use crate::fixture::{self, library_with_one};

fn set(library: &Library, entry: &Entry, key: &str, value: &str) -> Result<Entry> {
    library.change(entry, |machine| machine.set(key.parse()?, value))
}

#[test]
fn a_stopped_machine_changes_in_its_file() {
    let (_home, library, entry) = library_with_one();
    // Somebody else changed it since `entry` was read.
    set(&library, &entry, "processors", "1").unwrap();
    let changed = set(&library, &entry, "memory", "512").unwrap();
    assert_eq!((changed.machine.processors, changed.machine.memory), (1, 512));
    assert_eq!(library.find("One").unwrap(), changed);
    // What needs something beside the file has it.
    assert!(!entry.folder.join(firmware::VARIABLES).exists());
    match set(&library, &entry, "firmware", "uefi") {
        Ok(_) => assert!(entry.folder.join(firmware::VARIABLES).exists()),
        Err(error) => assert!(matches!(error, Error::Firmware(_)), "no OVMF here: {error}"),
    }
}

#[test]
fn another_name_is_another_folder() {
    let (_home, library, entry) = library_with_one();
    let renamed = set(&library, &entry, "name", "Two").unwrap();
    assert!(renamed.folder.ends_with("Two") && !entry.folder.exists());
    assert_eq!(library.find("Two").unwrap(), renamed);
    library.create(&fixture::machine("One")).unwrap();
    let taken = library.change(&renamed, |machine| {
        machine.set(Key::Memory, "64")?;
        machine.set(Key::Name, "One")
    });
    assert!(matches!(taken, Err(Error::NameTaken(_))));
    assert_eq!(library.find("Two").unwrap(), renamed, "nothing of it is changed");
}

#[test]
fn what_cannot_be_written_down_starts_at_no_login() {
    let (home, library, entry) = library_with_one();
    let file = entry.folder.join("machine.toml");
    let refused = library.change(&entry, |machine| {
        // Nothing takes this one's place.
        std::fs::rename(&file, entry.folder.join("kept")).unwrap();
        std::fs::create_dir_all(file.join("x")).unwrap();
        machine.set(Key::Autostart, "on")
    });
    assert!(refused.unwrap_err().to_string().starts_with("cannot write "));
    assert_eq!(std::fs::read_dir(home.path().join("autostart")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_changes_nothing() {
    let (_home, library, entry) = library_with_one();
    let refused = |key: &str, value: &str| set(&library, &entry, key, value).unwrap_err().to_string();
    assert!(refused("memory", "1048576").contains("MiB of memory: a machine cannot have 1048576 MiB"));
    assert!(refused("memory", "1").contains("a number from 16"));
    assert!(refused("colour", "red").contains("no setting"));
    let lock = entry.lock().unwrap();
    assert!(refused("memory", "512").contains("only be changed while the machine is off"));
    assert!(refused("name", "Two").contains("is running"));
    // It could follow this one, but its engine is not there.
    assert!(refused("net0.link", "off").contains("is not running"));
    drop(lock);
    assert_eq!(entry.reload().unwrap(), entry);
}
