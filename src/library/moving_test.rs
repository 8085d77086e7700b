use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use api::machine::{Firmware, Host, Profile, Wants};

use super::*;
use crate::NewMachine;

struct Desk {
    folder: tempfile::TempDir,
    library: Library,
    entry: Entry,
}

/// A machine with a sparse disk, a log and a link, and a place to move it to.
fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::at(folder.path().join("home"));
    let host = Host { processors: 2, memory: 4096 };
    let new = NewMachine::new("one", Profile::Linux, Firmware::Bios, Wants::default(), host);
    let entry = library.create(&new).unwrap();
    let disk = File::create(entry.folder.join("disk.img")).unwrap();
    disk.set_len(64 << 20).unwrap();
    disk.write_all_at(&[7; 5000], 3 << 20).unwrap();
    disk.write_all_at(b"end", (64 << 20) - 3).unwrap();
    disk.sync_all().unwrap();
    std::fs::create_dir_all(entry.logs()).unwrap();
    std::fs::write(entry.logs().join("engine.log"), "line\n").unwrap();
    symlink("/etc/hostname", entry.folder.join("link")).unwrap();
    std::fs::create_dir(folder.path().join("place")).unwrap();
    Desk { folder, library, entry }
}

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl Desk {
    fn place(&self) -> PathBuf {
        self.folder.path().join("place").canonicalize().unwrap()
    }

    fn children(&self, of: &Path) -> Vec<String> {
        let names = std::fs::read_dir(of).unwrap().map(|child| child.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Moves it by copying; `sync` stands between it and the disk.
    fn cross(
        &self,
        place: &Path,
        sync: Sync<'_>,
        report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Entry> {
        let real = self.entry.folder.canonicalize().unwrap();
        let home = self.library.machines().canonicalize().unwrap() == place;
        let target = if home { self.entry.folder.clone() } else { home::free_folder_in(place, "one") };
        let _lock = self.entry.lock().unwrap();
        Crossing { entry: &self.entry, real: &real, place, target: &target, sync }.go(report)
    }

    /// Moves it, by copying if `copied` wants that.
    fn go(&self, place: &Path, copied: bool, report: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Entry> {
        if !copied {
            return self.library.move_to(&self.entry, place, report);
        }
        self.cross(place, &sync_parents, report)
    }

    /// The machine is there with everything, at this place, and nothing is left elsewhere.
    fn check(&self, at: &Path) {
        self.check_data(at);
        assert_eq!(self.children(&self.library.machines()), ["one"], "something is left in the library");
    }

    /// The machine is there with everything, at this place.
    fn check_data(&self, at: &Path) {
        let found = self.library.find("one").unwrap();
        assert_eq!(found, self.entry, "it is found where it was");
        assert_eq!(found.folder.canonicalize().unwrap(), at);
        let disk = File::open(found.folder.join("disk.img")).unwrap();
        let data = disk.metadata().unwrap();
        assert_eq!(data.len(), 64 << 20);
        assert!(data.blocks() * 512 < 8 << 20, "its holes are gone");
        let mut bytes = vec![0; 64 << 20];
        disk.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[3 << 20..(3 << 20) + 5000].iter().all(|byte| *byte == 7) && bytes.ends_with(b"\0end"));
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 5003);
        assert_eq!(std::fs::read(found.logs().join("engine.log")).unwrap(), b"line\n");
        assert_eq!(std::fs::read_link(found.folder.join("link")).unwrap(), Path::new("/etc/hostname"));
        assert_eq!(found.folder.join("machine.toml").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(found.lock().is_ok(), "somebody holds it");
    }
}

#[test]
fn out_and_elsewhere_and_home() {
    for copied in [false, true] {
        let desk = desk();
        let place = desk.place();
        assert_eq!(desk.go(&place, copied, &mut on).unwrap(), desk.entry);
        desk.check(&place.join("one"));
        // It is there already.
        desk.library.move_to(&desk.entry, &place, &mut on).unwrap();
        desk.check(&place.join("one"));

        std::fs::create_dir(desk.folder.path().join("other")).unwrap();
        let other = desk.folder.path().join("other").canonicalize().unwrap();
        // Its name is taken there.
        std::fs::create_dir(other.join("one")).unwrap();
        desk.go(&other, copied, &mut on).unwrap();
        desk.check(&other.join("one 2"));
        assert!(desk.children(&place).is_empty());

        let home = desk.library.machines().canonicalize().unwrap();
        desk.go(&home, copied, &mut on).unwrap();
        desk.check(&home.join("one"));
        assert!(desk.entry.folder.symlink_metadata().unwrap().is_dir());
        assert_eq!(desk.children(&other), ["one"]);
    }
}

/// A home that is reached by a link is the same home.
#[test]
fn a_home_by_another_name() {
    for copied in [false, true] {
        let mut desk = desk();
        symlink(desk.folder.path().join("home"), desk.folder.path().join("alias")).unwrap();
        desk.library = Library::at(desk.folder.path().join("alias"));
        desk.entry = desk.library.find("one").unwrap();
        let place = desk.place();
        desk.go(&place, copied, &mut on).unwrap();
        desk.check(&place.join("one"));
        let home = desk.library.machines().canonicalize().unwrap();
        desk.go(&home, copied, &mut on).unwrap();
        desk.check(&home.join("one"));
    }
}

#[test]
fn a_moved_machine_is_renamed_and_deleted() {
    let desk = desk();
    let place = desk.place();
    desk.go(&place, false, &mut on).unwrap();
    let renamed = desk.library.rename(&desk.entry, "two").unwrap();
    assert_eq!(desk.library.find("two").unwrap(), renamed);
    assert_eq!(renamed.folder.canonicalize().unwrap(), place.join("one"));
    let gone = desk.library.discard(&renamed).unwrap();
    assert!(desk.library.list().unwrap().machines.is_empty());
    assert_eq!(gone.restore().unwrap(), renamed);
    desk.library.delete(&renamed).unwrap();
    assert!(desk.children(&place).is_empty() && desk.children(&desk.library.machines()).is_empty());

    // What a crash left in the time to undo it.
    let desk = self::desk();
    desk.go(&desk.place(), false, &mut on).unwrap();
    drop(desk.library.discard(&desk.entry).unwrap());
    desk.library.sweep();
    assert!(desk.children(&desk.place()).is_empty() && desk.children(&desk.library.machines()).is_empty());
}

#[test]
fn images_elsewhere_stay_there() {
    let mut desk = desk();
    let outside = desk.folder.path().canonicalize().unwrap().join("picked.iso");
    std::fs::write(&outside, "disc").unwrap();
    let drive = "kind = \"cd\"\nimage = \"../../../picked.iso\"\n";
    desk.entry.machine.drives.push(toml::from_str(drive).unwrap());
    desk.entry.save().unwrap();
    let moved = desk.go(&desk.place(), false, &mut on).unwrap();
    let image = moved.machine.drives.last().unwrap().image.as_deref().unwrap();
    assert_eq!(std::fs::read(moved.image(image)).unwrap(), b"disc");
    assert_eq!(image, outside);
}

#[test]
fn what_cannot_be_moved_stays() {
    let desk = desk();
    let here = desk.entry.folder.canonicalize().unwrap();
    let into_itself = desk.library.move_to(&desk.entry, &desk.entry.logs(), &mut on);
    assert!(matches!(into_itself, Err(Error::IntoItself(_))), "{into_itself:?}");
    let file = desk.folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(desk.library.move_to(&desk.entry, &file, &mut on), Err(Error::NotAFolder(_))));
    assert!(desk.library.move_to(&desk.entry, Path::new("/no/such"), &mut on).is_err());
    let lock = desk.entry.lock().unwrap();
    assert!(matches!(desk.library.move_to(&desk.entry, &desk.place(), &mut on), Err(Error::Running(_))));
    drop(lock);
    desk.check(&here);
    // What no copy can be made of.
    let socket = std::os::unix::net::UnixListener::bind(desk.entry.folder.join("socket")).unwrap();
    assert!(matches!(desk.go(&desk.place(), true, &mut on), Err(Error::NotMovable(_))));
    drop(socket);
    std::fs::remove_file(desk.entry.folder.join("socket")).unwrap();
    desk.check(&here);
    assert!(desk.children(&desk.place()).is_empty());
}

/// What is in such places goes with something else: with another machine, or when throw-away machines are swept.
#[test]
fn places_that_are_not_for_machines() {
    let desk = desk();
    let here = desk.entry.folder.canonicalize().unwrap();
    let home = desk.folder.path().join("home");
    let inside = desk.library.machines().join("folder");
    for place in [home.clone(), desk.library.disposables(), inside.clone()] {
        std::fs::create_dir_all(&place).unwrap();
        let refused = desk.library.move_to(&desk.entry, &place, &mut on);
        assert!(matches!(refused, Err(Error::IntoLibrary(_))), "{}: {refused:?}", place.display());
    }
    std::fs::remove_dir(inside).unwrap();
    desk.check(&here);
    let two = desk.library.create(&crate::fixture::machine("two")).unwrap();
    desk.library.move_to(&two, &desk.place(), &mut on).unwrap();
    let refused = desk.library.move_to(&desk.entry, &desk.place().join("two"), &mut on);
    assert!(matches!(refused, Err(Error::IntoItself(_))), "{refused:?}");
    // It is deleted, and is not yet gone.
    let two = desk.library.discard(&two).unwrap();
    let refused = desk.library.move_to(&desk.entry, &desk.place().join("two"), &mut on);
    assert!(matches!(refused, Err(Error::IntoItself(_))), "{refused:?}");
    two.finish().unwrap();
    desk.check(&here);
}

#[test]
fn half_copies_are_swept_from_the_place() {
    let desk = desk();
    let copy = || desk.place().join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
    let (left, made, mine) = (copy(), copy(), desk.place().join(".new-photos"));
    for folder in [&left, &made, &mine] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("lock"), "").unwrap();
    }
    let lock = Lock::take(&made).unwrap().unwrap();
    desk.go(&desk.place(), false, &mut on).unwrap();
    desk.check(&desk.place().join("one"));
    assert!(!left.exists() && made.exists() && mine.exists());
    drop(lock);
}

#[test]
fn a_move_can_be_stopped_anywhere() {
    let mut steps = 0;
    let desk = desk();
    let here = desk.entry.folder.canonicalize().unwrap();
    let mut last = Progress { done: 0, all: 0 };
    // Stopped after the first step, after the second, and so on until it is not stopped any more.
    for stop in 0.. {
        let mut seen = 0;
        let moved = desk.go(&desk.place(), true, &mut |progress| {
            seen += 1;
            last = progress;
            if seen > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match moved {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, Error::Cancelled), "{error}"),
        }
        steps += 1;
        desk.check(&here);
        assert!(desk.children(&desk.place()).is_empty(), "a copy is left");
    }
    assert!(steps >= 6, "{steps}: at least three files, twice");
    assert!(last.done > 0 && last.done <= last.all, "{last:?}");
    desk.check(&desk.place().join("one"));
}

/// A disk that fails when something is to be on stable storage takes no machine with it, wherever that is.
#[test]
fn no_sync_that_fails_loses_the_machine() {
    for failing in 0.. {
        let desk = desk();
        let (home, place) = (desk.library.machines().canonicalize().unwrap(), desk.place());
        let calls = std::cell::Cell::new(0);
        let sync = |paths: &[&Path]| {
            calls.set(calls.get() + 1);
            match calls.get() - 1 == failing {
                true => Err(Error::Io { what: "sync".into(), source: std::io::ErrorKind::Other.into() }),
                false => sync_parents(paths),
            }
        };
        std::fs::create_dir(desk.folder.path().join("other")).unwrap();
        let other = desk.folder.path().join("other").canonicalize().unwrap();
        // Out, elsewhere, and home again.
        let mut at = home.clone();
        for to in [&place, &other, &home] {
            match desk.cross(to, &sync, &mut on) {
                Ok(_) => at = to.clone(),
                Err(_) => {
                    assert!(desk.children(to).iter().all(|child| child == "one") || *to == home, "a copy is left")
                }
            }
            assert_eq!(desk.library.find("one").unwrap().folder.canonicalize().unwrap(), at.join("one"));
            desk.library.sweep();
            desk.check(&at.join("one"));
        }
        if calls.get() <= failing {
            assert!(failing >= 4, "only {failing}");
            break;
        }
    }
}

#[test]
fn what_a_crash_leaves_is_swept() {
    let desk = desk();
    let machines = desk.library.machines();
    symlink("/no/such/one", machines.join(format!("{MOVED}1"))).unwrap();
    // Half removed: its file is gone already.
    let left = machines.join(format!("{MOVED}{}-2", desk.entry.machine.uuid));
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("lock"), "").unwrap();
    desk.library.sweep();
    desk.check(&desk.entry.folder.canonicalize().unwrap());
}

/// A machine that was on its way home keeps its launcher, and its place at login, when what the move left is swept.
#[test]
fn a_machine_whose_move_crashed_stays_on_the_desktop() {
    let mut desk = desk();
    desk.go(&desk.place(), false, &mut on).unwrap();
    desk.entry = desk.library.change(&desk.entry, |machine| machine.set(api::settings::Key::Autostart, "on")).unwrap();
    let launchers = || desk.children(&desk.folder.path().join("home/autostart")).len();
    desk.library.create_launcher(&desk.entry).unwrap();
    // Before folder and link changed places.
    let partial = desk.library.machines().join(format!("{UNFINISHED}1"));
    std::fs::create_dir(&partial).unwrap();
    for name in ["machine.toml", "lock"] {
        std::fs::copy(desk.entry.folder.join(name), partial.join(name)).unwrap();
    }
    desk.library.sweep();
    assert!(!partial.exists() && desk.library.has_launcher(desk.entry.machine.uuid) && launchers() == 1);
    desk.check(&desk.place().join("one"));
    // And after that, with the machine at home or not.
    symlink(desk.place().join("one"), &partial).unwrap();
    desk.library.sweep();
    desk.check_data(&desk.place().join("one"));
    std::fs::remove_file(&desk.entry.folder).unwrap();
    std::fs::create_dir(&desk.entry.folder).unwrap();
    std::fs::copy(partial.join("machine.toml"), desk.entry.folder.join("machine.toml")).unwrap();
    desk.library.sweep();
    assert!(desk.library.has_launcher(desk.entry.machine.uuid) && launchers() == 1);
    assert!(partial.symlink_metadata().is_err() && desk.children(&desk.place()).is_empty());
}

/// What a link took the place of is the machine while the library has no other: its new place may be a disk that is not plugged in, or one
/// that forgot.
#[test]
fn a_machine_that_is_nowhere_else_is_not_swept() {
    let desk = desk();
    let machines = desk.library.machines();
    let left = machines.join(format!("{MOVED}{}-2", desk.entry.machine.uuid));
    std::fs::rename(&desk.entry.folder, &left).unwrap();
    for there in [false, true] {
        if there {
            // A folder is there, and no machine in it.
            std::fs::create_dir(desk.place().join("one")).unwrap();
        } else {
            symlink(desk.place().join("one"), &desk.entry.folder).unwrap();
        }
        desk.library.sweep();
        assert!(left.join("machine.toml").exists() && left.join("disk.img").exists());
    }
    std::fs::copy(left.join("machine.toml"), desk.place().join("one/machine.toml")).unwrap();
    desk.library.sweep();
    assert_eq!(desk.children(&machines), ["one"]);
}

#[test]
fn a_disk_that_is_not_there_is_told() {
    let desk = desk();
    let place = desk.place();
    desk.go(&place, false, &mut on).unwrap();
    let away = desk.folder.path().join("away");
    std::fs::rename(&place, &away).unwrap();
    let listing = desk.library.list().unwrap();
    assert!(listing.machines.is_empty());
    assert!(listing.broken[0].why.contains("place/one"), "{:?}", listing.broken);
    desk.library.sweep();
    std::fs::rename(&away, &place).unwrap();
    desk.check(&place.join("one"));
}
