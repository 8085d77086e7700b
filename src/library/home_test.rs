use api::machine::{Firmware, Host, Profile, Wants};

use super::*;
use crate::create::{NewDisk, NewMachine};
use crate::entry::{FILE, State};

const HOST: Host = Host { processors: 8, memory: 16384 };

fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path().join("home"));
    (folder, library)
}

fn new(name: &str) -> NewMachine {
    NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), HOST)
}

#[test]
fn nothing_is_there_at_first() {
    let (_folder, library) = library();
    assert!(library.list().unwrap().machines.is_empty());
    assert_eq!(library.find("x").unwrap_err().to_string(), Error::NotFound("x".into()).to_string());
    library.sweep();
}

#[test]
fn machines_are_found_renamed_and_deleted() {
    let (_folder, library) = library();
    let two = library.create(&new("two")).unwrap();
    let one = library.create(&new("One: 1/2".replace('/', "?").as_str())).unwrap();
    assert_eq!(one.folder.file_name().unwrap(), "One- 1-2");
    let names: Vec<_> = library.list().unwrap().machines.into_iter().map(|entry| entry.machine.name).collect();
    assert_eq!(names, ["One: 1?2", "two"]);
    assert_eq!(library.find("two").unwrap(), two);
    assert_eq!(library.find(&two.machine.uuid.to_string()).unwrap(), two);
    assert!(matches!(library.create(&new("two")), Err(Error::NameTaken(_))));
    assert!(matches!(library.create(&new("a/b")), Err(Error::Problem(_))));
    assert_eq!(library.free_name("two").unwrap(), "two 2");
    assert_eq!(library.free_name("..a/b").unwrap(), "a b");
    assert_eq!(two.state(), State::Stopped);
    assert_eq!(two.last_start(), None);
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(2);
    two.starts_now();
    two.starts_now();
    assert!(two.last_start().unwrap() > before);

    assert!(matches!(library.rename(&two, &one.machine.name), Err(Error::NameTaken(_))));
    let three = library.rename(&two, "three").unwrap();
    assert_eq!(three.folder, library.machines().join("three"));
    assert_eq!((library.find("three").unwrap(), two.folder.exists()), (three.clone(), false));

    let lock = three.lock().unwrap();
    assert!(matches!(library.delete(&three), Err(Error::Running(_))));
    assert!(matches!(library.rename(&three, "four"), Err(Error::Running(_))));
    assert!(matches!(three.state(), State::Busy(holder) if holder.pid == std::process::id()));
    assert!(matches!(three.running(), Err(Error::NotRunning(_))));
    drop(lock);
    library.delete(&three).unwrap();
    assert!(!three.folder.exists() && library.find("three").is_err());
    assert_eq!(std::fs::read_dir(library.machines()).unwrap().count(), 1);
}

#[test]
fn machines_are_found_by_their_files() {
    let (folder, library) = library();
    let one = library.create(&new("one")).unwrap();
    assert_eq!(library.find_file(&one.folder.join(FILE)).unwrap(), one);
    let copy = folder.path().join(FILE);
    std::fs::copy(one.folder.join(FILE), &copy).unwrap();
    let error = library.find_file(&copy).unwrap_err().to_string();
    assert!(error.contains("is not in this computer's library") && error.ends_with("home/machines"), "{error}");
    std::fs::write(one.folder.join(FILE), "name = 3").unwrap();
    assert!(matches!(library.find_file(&one.folder.join(FILE)), Err(Error::Broken { .. })));
    assert!(matches!(library.find_file(&folder.path().join("none/machine.toml")), Err(Error::Io { .. })));
}

#[test]
fn long_names_get_folders() {
    let (_folder, library) = library();
    let name = "ü".repeat(80);
    let entry = library.create(&new(&name)).unwrap();
    assert_eq!(entry.machine.name, name);
    let again = library.free_folder(&name);
    assert!(again != entry.folder && again.file_name().unwrap().len() < 255);
}

#[test]
fn broken_machines_are_shown_and_left_alone() {
    let (_folder, library) = library();
    library.create(&new("good")).unwrap();
    let bad = library.machines().join("bad");
    std::fs::create_dir(&bad).unwrap();
    let file = bad.join(FILE);
    std::fs::write(&file, "format = 1\nname = \"bad\"\ncolour = 3\n").unwrap();
    let empty = library.machines().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let listing = library.list().unwrap();
    assert_eq!((listing.machines.len(), listing.broken.len()), (1, 2));
    let why = &listing.broken[0].why;
    assert!(why.starts_with("line 3: ") && why.contains("colour"), "{why}");
    let error = library.find("bad").unwrap_err().to_string();
    assert!(error.contains("machine.toml cannot be used: line 3"), "{error}");
    library.sweep();
    assert_eq!(std::fs::read_to_string(&file).unwrap().len(), 35);
    assert_eq!(library.free_name("bad").unwrap(), "bad 2");
    // What a hand wrote out of range is broken too.
    let good = library.find("good").unwrap();
    let text = std::fs::read_to_string(good.folder.join(FILE)).unwrap().replace("processors = 4", "processors = 900");
    std::fs::write(good.folder.join(FILE), text).unwrap();
    assert!(library.list().unwrap().machines.is_empty());
}

#[test]
fn only_the_library_is_deleted_from() {
    let (folder, library) = library();
    let mut entry = library.create(&new("x")).unwrap();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for path in [outside.clone(), library.machines(), library.machines().join(".."), library.machines().join("x/..")] {
        entry.folder = path;
        assert!(matches!(library.delete(&entry), Err(Error::Outside(_))), "{:?}", entry.folder);
    }
    std::os::unix::fs::symlink(&outside, library.machines().join("link")).unwrap();
    entry.folder = library.machines().join("link");
    assert!(matches!(library.delete(&entry), Err(Error::Outside(_))));
    assert!(outside.exists());
}

#[test]
fn throw_away_machines_go() {
    let (folder, library) = library();
    let image = folder.path().join("picked.img");
    std::fs::write(&image, b"original").unwrap();
    let mut new = new("throw");
    new.disks = vec![NewDisk::Use { path: image.clone(), format: api::machine::ImageFormat::Raw }];
    let (entry, lock) = library.create_disposable(&new).unwrap();
    assert!(entry.disposable && library.list().unwrap().machines.is_empty());
    assert_eq!(library.find("throw").unwrap(), entry);
    let copy = entry.image(entry.machine.drives[0].image.as_deref().unwrap());
    assert_eq!(std::fs::read(&copy).unwrap(), b"original");
    assert!(copy.starts_with(&entry.folder), "{copy:?}");
    library.sweep();
    assert!(entry.folder.exists(), "it is held");
    drop(lock);
    library.sweep();
    assert!(!entry.folder.exists() && image.exists());

    let kept = library.create(&self::new("kept")).unwrap();
    std::fs::write(kept.folder.join("disk.qcow2"), b"system").unwrap();
    let (copy, _lock) = library.copy_disposable(&kept).unwrap();
    assert_ne!(copy.machine.uuid, kept.machine.uuid);
    assert_eq!(copy.machine.name, "kept (disposable)");
    assert_eq!(std::fs::read(copy.image(copy.machine.drives[0].image.as_deref().unwrap())).unwrap(), b"system");
}
