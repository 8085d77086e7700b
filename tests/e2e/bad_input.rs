//! What goes wrong on a person's side: each time a clear sentence, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dormer_tests::guest::{Guest, Home};
use dormer_tests::{media, medium_or_skip, only_in_test_host, program};

/// A small machine without a medium, for what needs any machine.
const SMALL: [&str; 8] = ["--firmware", "bios", "--disk", "1G", "--memory", "256", "--cpus", "1"];

#[track_caller]
fn says(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "“{word}” is not in: {sentence}");
    }
    // What a person reads has no traces of Rust in it.
    for trace in ["os error", "Error(", "Some(", "None", "unwrap", "Err("] {
        assert!(!sentence.contains(trace), "“{trace}” is in: {sentence}");
    }
}

fn word(path: &Path) -> &str {
    path.to_str().expect("a path of plain characters")
}

#[test]
fn no_such_file() {
    let home = Home::new();
    says(&home.must_fail(&["run", "/no/such/file.iso"]), &["/no/such/file.iso"]);
    says(&home.must_fail(&["create", "x", "--iso", "/no/such/file.iso"]), &["/no/such/file.iso"]);
    says(&home.must_fail(&["create", "x", "--disk", "/no/such/file.qcow2"]), &["/no/such/file.qcow2"]);
    assert_eq!(home.must(&["list", "--json"]).trim(), "[]");
}

#[test]
fn an_empty_file() {
    let home = Home::new();
    let empty = home.path().join("empty.iso");
    fs::write(&empty, "").unwrap();
    says(&home.must_fail(&["run", word(&empty)]), &["empty"]);
    says(&home.must_fail(&["create", "x", "--iso", word(&empty)]), &["empty"]);
}

#[test]
fn an_iso_that_cannot_boot() {
    let home = Home::new();
    let (folder, iso) = (home.path().join("files"), home.path().join("data.iso"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("readme.txt"), "no system here").unwrap();
    let made = Command::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-V", "DATA", "-o", word(&iso), word(&folder)])
        .status()
        .expect("xorriso can be run");
    assert!(made.success());
    says(&home.must_fail(&["run", word(&iso)]), &["data.iso", "start"]);
}

/// A file of random bytes that calls itself an ISO.
#[test]
fn a_file_that_is_no_medium() {
    let home = Home::new();
    let noise = home.path().join("noise.iso");
    fs::write(&noise, dormer_tests::server::noise(1 << 20, 5)).unwrap();
    says(&home.must_fail(&["run", word(&noise)]), &["noise.iso"]);
}

/// Takes a working qcow2 image and breaks it: the machine does not start, says why, and the image is as it was.
fn broken_qcow2(name: &str, break_it: impl Fn(&mut Vec<u8>)) {
    let home = Home::new();
    let image = home.path().join("disk.qcow2");
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", word(&image), "64M"]).status();
    assert!(made.expect("qemu-img can be run").success());
    let fill = Command::new("qemu-io").args(["-c", "write -P 7 0 8M", word(&image)]).output();
    assert!(fill.expect("qemu-io can be run").status.success());
    home.must(&["create", "kept", "--disk", word(&image), "--firmware", "bios", "--memory", "256"]);
    let mut bytes = fs::read(&image).unwrap();
    break_it(&mut bytes);
    fs::write(&image, &bytes).unwrap();
    let sentence = home.must_fail(&["start", "kept", "--headless"]);
    says(&sentence, &["disk"]);
    assert!(!sentence.contains("engine ended"), "{name}: the engine died: {sentence}");
    assert_eq!(fs::read(&image).unwrap(), bytes, "{name}: the image was changed");
    assert!(home.must(&["list"]).contains("stopped"), "{name}: the machine is not in the list");
}

#[test]
fn qcow2_images_that_are_truncated_or_mean_harm() {
    let put = |at: usize, value: &[u8]| {
        let value = value.to_vec();
        move |bytes: &mut Vec<u8>| bytes[at..at + value.len()].copy_from_slice(&value)
    };
    broken_qcow2("truncated in its header", |bytes| bytes.truncate(40));
    broken_qcow2("truncated in its tables", |bytes| bytes.truncate(70_000));
    broken_qcow2("clusters of 2^63 bytes", put(20, &63u32.to_be_bytes()));
    broken_qcow2("an endless first table", put(36, &u32::MAX.to_be_bytes()));
    broken_qcow2("a table behind the end", put(40, &(1u64 << 50).to_be_bytes()));
    broken_qcow2("a size beyond everything", put(24, &u64::MAX.to_be_bytes()));
    broken_qcow2("a feature nobody knows", put(72, &(1u64 << 40).to_be_bytes()));
    broken_qcow2("a version nobody knows", put(4, &9u32.to_be_bytes()));
}

/// A qcow2 that names a file of this computer as its backing file must not make it readable for the guest.
#[test]
fn a_qcow2_image_with_a_backing_file() {
    let home = Home::new();
    let (base, image) = (home.path().join("base.raw"), home.path().join("overlay.qcow2"));
    fs::write(&base, vec![1; 1 << 20]).unwrap();
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", word(&base), word(&image)])
        .status();
    assert!(made.expect("qemu-img can be run").success());
    let sentence = home.must_fail(&["run", word(&image), "--headless"]);
    says(&sentence, &["overlay.qcow2"]);
}

/// `/dev/kvm` put aside for the time of a test.
struct NoKvm(PathBuf);

impl NoKvm {
    fn new() -> Self {
        let aside = PathBuf::from("/dev/kvm-aside");
        fs::rename("/dev/kvm", &aside).expect("root in a test host may do this");
        Self(aside)
    }
}

impl Drop for NoKvm {
    fn drop(&mut self) {
        fs::rename(&self.0, "/dev/kvm").expect("root in a test host may do this");
    }
}

#[test]
fn no_kvm() {
    only_in_test_host!("/dev/kvm is only taken away in a test host");
    let home = Home::new();
    home.must(&[&["create", "kept"], SMALL.as_slice()].concat());
    let _no_kvm = NoKvm::new();
    says(&home.must_fail(&["start", "kept", "--headless"]), &["KVM"]);
    let check = home.dormerctl(&["check"]);
    assert!(!check.status.success());
    says(&String::from_utf8_lossy(&check.stdout), &["MISSING", "KVM"]);
}

/// `dormerctl` as a person who is not root.
fn as_nobody(home: &Home, arguments: &[&str]) -> Output {
    Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"])
        .arg(program("dormerctl"))
        .args(arguments)
        .env("DORMER_HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .output()
        .expect("setpriv can be run")
}

#[test]
fn no_permission_for_kvm() {
    only_in_test_host!("permissions of /dev/kvm are only changed in a test host");
    let home = Home::new();
    let own = Command::new("chown").arg("65534:65534").arg(home.path()).status();
    assert!(own.expect("chown can be run").success());
    let before = fs::metadata("/dev/kvm").unwrap().permissions();
    fs::set_permissions("/dev/kvm", PermissionsExt::from_mode(0o600)).unwrap();
    let created = as_nobody(&home, &[&["create", "kept"], SMALL.as_slice()].concat());
    let started = as_nobody(&home, &["start", "kept", "--headless"]);
    let checked = as_nobody(&home, &["check"]);
    fs::set_permissions("/dev/kvm", before).unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    assert_eq!(started.status.code(), Some(1));
    let said = String::from_utf8_lossy(&started.stderr);
    println!("  {}", said.trim());
    says(&said, &["/dev/kvm", "group"]);
    says(&String::from_utf8_lossy(&checked.stdout), &["MISSING"]);
}

#[test]
fn the_machine_already_runs() {
    let guest = Guest::start("twice", &SMALL);
    let home = &guest.home;
    says(&home.must_fail(&["start", "twice", "--headless"]), &["twice", "running"]);
    says(&home.must_fail(&["delete", "twice", "--yes"]), &["twice", "running"]);
    says(&home.must_fail(&["rename", "twice", "thrice"]), &["twice", "running"]);
    assert!(home.must(&["list"]).contains("running"), "the first one goes on");
}

#[test]
fn a_broken_configuration() {
    let home = Home::new();
    for name in ["good", "bad"] {
        home.must(&[&["create", name], SMALL.as_slice()].concat());
    }
    let file = home.path().join("machines/bad/machine.toml");
    let text = fs::read_to_string(&file).unwrap();
    for (broken, words) in [
        (format!("{text}\nprocessors = \n"), "line"),
        (text.replace("processors = 1", "processors = 0"), "processors"),
        (text.replace("format = 1", "format = 99"), "newer"),
        (String::new(), "machine.toml"),
    ] {
        fs::write(&file, &broken).unwrap();
        says(&home.must_fail(&["start", "bad", "--headless"]), &["machine.toml", words]);
        let list = home.must(&["list"]);
        assert!(list.contains("good") && list.contains("broken"), "{list}");
        assert_eq!(fs::read_to_string(&file).unwrap(), broken, "a file that cannot be used is never touched");
    }
    fs::write(&file, &text).unwrap();
    home.must(&["show", "bad"]);
}

#[test]
fn the_engine_is_killed_while_its_console_is_open() {
    let iso = medium_or_skip!(media::grub_rescue());
    let arguments = ["--iso", word(&iso), "--firmware", "bios", "--disk", "1G", "--memory", "256", "--cpus", "1"];
    let guest = Guest::start("killed", &arguments);
    let console = guest.console();
    guest.kill();
    // The console learns of it by the end of its connection.
    let mut buffer = [0; 8192];
    let mut packets = 0;
    loop {
        match rustix::net::recv(&console, &mut buffer, rustix::net::RecvFlags::empty()) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => break,
            Ok(_) => packets += 1,
            Err(error) => panic!("the console's connection: {error}"),
        }
        assert!(packets < 10_000, "the connection goes on without its engine");
    }
    let home = &guest.home;
    home.must(&["wait", "killed", "--state", "stopped", "--timeout", "30"]);
    says(&home.must_fail(&["text", "killed"]), &["killed", "not running"]);
    home.must(&["start", "killed", "--headless"]);
    assert!(home.must(&["list"]).contains("running"));
    home.must(&["power-off", "killed"]);
    home.must(&["wait", "killed", "--state", "stopped", "--timeout", "30"]);
}
