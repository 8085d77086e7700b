//! A library with a machine in it, for tests.

use api::machine::{Firmware, Host, Profile, Wants};

use crate::{Entry, Library, NewMachine};

/// A machine that starts by BIOS, with a disk of 25 GiB and an empty CD drive; not made yet.
pub(crate) fn machine(name: &str) -> NewMachine {
    NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), Host { processors: 2, memory: 2048 })
}

/// A library of its own with the machine “One”; gone with the folder.
pub(crate) fn library_with_one() -> (tempfile::TempDir, Library, Entry) {
    let home = tempfile::tempdir().unwrap();
    let library = Library::at(home.path());
    let entry = library.create(&machine("One")).unwrap();
    (home, library, entry)
}
