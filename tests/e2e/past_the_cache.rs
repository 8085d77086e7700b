//! Disks that pass the host's page cache by, on a file system of the kind that people have.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dormer_tests::guest::{Guest, Home};
use dormer_tests::{only_in_test_host, program};

const LIMIT: Duration = Duration::from_secs(300);

/// A file system in a file.
struct Ext4<'a>(&'a Path);

impl<'a> Ext4<'a> {
    fn new(at: &'a Path) -> Self {
        let file = at.with_extension("ext4");
        fs::File::create(&file).and_then(|file| file.set_len(160 << 20)).unwrap();
        fs::create_dir(at).unwrap();
        run("modprobe", &["-a", "loop", "ext4"], &[]);
        run("mkfs.ext4", &["-q"], &[&file]);
        run("mount", &["-o", "loop"], &[&file, at]);
        Self(at)
    }
}

impl Drop for Ext4<'_> {
    fn drop(&mut self) {
        // Lazily, because the engine may have its image open yet. What fails here ends with the test host.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn run(program: &str, arguments: &[&str], paths: &[&Path]) {
    let status = Command::new(program).args(arguments).args(paths).status();
    assert!(status.expect("it can be run").success(), "{program} {arguments:?} {paths:?}");
}

/// Is a file that the engine has open one that passes the cache by (`O_DIRECT` in proc(5)'s `fdinfo`)?
fn is_direct(home: &Home, name: &str, image: &Path) -> bool {
    let lock = fs::read_to_string(home.path().join("machines").join(name).join("lock")).unwrap();
    let holder: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let process = Path::new("/proc").join(holder["pid"].to_string());
    let descriptors = fs::read_dir(process.join("fd")).unwrap().flatten();
    let is_image = |fd: &fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|path| path == image);
    let number = descriptors.into_iter().find(is_image).expect("the engine has its image open").file_name();
    let facts = fs::read_to_string(process.join("fdinfo").join(number)).unwrap();
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
    u32::from_str_radix(flags.trim(), 8).unwrap() & 0o40000 != 0
}

fn is_written(format: &str, bus: &[&str]) {
    only_in_test_host!("file systems are only mounted in a test host");
    let home = Home::new();
    let folder = home.path().join("ext4");
    let _mounted = Ext4::new(&folder);
    let (raw, image) = (folder.join("program"), folder.join(format!("disk.{format}")));
    program::make_writer(&raw).unwrap();
    run("qemu-img", &["convert", "-f", "raw", "-O", format], &[&raw, &image]);
    fs::remove_file(&raw).unwrap();
    let image_word = image.to_str().expect("a path of plain characters");
    let arguments = ["create", "writer", "--disk", image_word, "--firmware", "bios", "--memory", "256", "--cpus", "1"];
    home.must(&[&arguments, bus].concat());
    home.must(&["set", "writer", "disk0.cache=direct"]);
    let mut guest = Guest::start_in(home, "writer");
    assert!(is_direct(&guest.home, "writer", &image));
    guest.wait("the end of the program", LIMIT, Duration::from_millis(200), |guest| {
        let seen = guest.text()?.concat();
        assert!(!seen.contains('!'), "the BIOS reported an error");
        seen.contains('*').then_some(())
    });
    guest.verb("power-off", &[]);
    guest.wait_end(LIMIT);
    program::check_written(&image, format);
}

#[test]
fn a_raw_image_on_ahci() {
    is_written("raw", &[]);
}

#[test]
fn a_qcow2_image_on_virtio() {
    is_written("qcow2", &["--os", "debian13"]);
}

/// tmpfs had none until Linux 6.6. The person is told, and the machine runs.
#[test]
fn where_there_is_no_way_past_it() {
    let home = Home::new();
    home.must(&["create", "plain", "--disk", "64M", "--firmware", "bios", "--memory", "256", "--cpus", "1"]);
    home.must(&["set", "plain", "disk0.cache=direct"]);
    let started = home.dormerctl(&["start", "plain", "--headless"]);
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(started.status.success(), "{said}");
    let image = home.path().join("machines/plain/disk.qcow2");
    match is_direct(&home, "plain", &image) {
        true => assert!(said.is_empty(), "{said}"),
        false => assert!(said.contains("does not let a disk pass the cache by"), "{said}"),
    }
    home.must(&["power-off", "plain"]);
}
