//! The computer's own disk runs full under a guest that writes: the machine pauses, says why, and goes on when there is room, and not one
//! of its writes is lost.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use api::control::Event;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::only_in_test_host;
use dormer_tests::program::{self, REQUEST, REQUESTS, SECTOR};

const LIMIT: Duration = Duration::from_secs(180);

/// A file system of its own, which is full after 8 MiB.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn new(at: &'a Path) -> Self {
        fs::create_dir(at).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=8M", "small"], at);
        Self(at)
    }

    fn make_room(&self) {
        mount(&["-o", "remount,size=128M"], self.0);
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, because the engine may have its image open yet. What fails here ends with the test host.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().expect("mount can be run");
    assert!(status.success(), "mount {arguments:?}: {status}");
}

fn goes_on(format: &str, bus: &[&str]) {
    only_in_test_host!("file systems are only mounted in a test host");
    let home = Home::new();
    let folder = home.path().join("small");
    let small = SmallDisk::new(&folder);
    let raw = folder.join("program.raw");
    program::make_writer(&raw).unwrap();
    let image = folder.join(format!("disk.{format}"));
    let made = Command::new("qemu-img").args(["convert", "-f", "raw", "-O", format]).args([&raw, &image]).status();
    assert!(made.expect("qemu-img can be run").success());
    fs::remove_file(&raw).unwrap();

    let image_word = image.to_str().expect("a path of plain characters");
    let arguments = ["create", "writer", "--disk", image_word, "--firmware", "bios", "--memory", "256", "--cpus", "1"];
    home.must(&[&arguments, bus].concat());
    let mut guest = Guest::start_in(home, "writer");
    let full = |event: &Event| matches!(event, Event::BlockIoError { nospace: true, .. });
    guest.wait_event("a full disk", LIMIT, full);
    assert!(guest.home.must(&["list"]).contains("io-error"));

    // Without room it pauses again.
    guest.verb("resume", &[]);
    guest.wait_event("a disk that is still full", LIMIT, full);
    guest.home.must(&["wait", "writer", "--state", "io-error", "--timeout", "60"]);
    let seen = guest.text().expect("a text mode").concat();
    assert!(!seen.contains('*') && !seen.contains('!'), "the program learnt of it: {seen}");

    small.make_room();
    guest.verb("resume", &[]);
    guest.wait("the end of the program", LIMIT * 2, Duration::from_millis(200), |guest| {
        let seen = guest.text()?.concat();
        assert!(!seen.contains('!'), "the BIOS reported an error");
        seen.contains('*').then_some(())
    });
    let stats: serde_json::Value = serde_json::from_str(&guest.verb("stats", &["--json"])).expect("JSON");
    let disk = &stats["drives"][0];
    assert_eq!(disk["written"], REQUESTS * REQUEST, "what waited for room is counted once: {stats}");
    assert!(disk["read"].as_u64().is_some_and(|bytes| bytes >= SECTOR as u64), "the BIOS read the program: {stats}");
    let memory = stats["memory"]["used"].as_u64().unwrap();
    assert!(memory > REQUEST && memory <= 256 << 20, "{stats}");
    assert!(stats["processors"]["nanoseconds"].as_u64().unwrap() > 0, "{stats}");
    guest.verb("power-off", &[]);
    guest.wait_end(LIMIT);

    program::check_written(&image, format);
}

#[test]
fn a_raw_image_on_ahci() {
    goes_on("raw", &[]);
}

#[test]
fn a_qcow2_image_on_virtio() {
    goes_on("qcow2", &["--os", "debian13"]);
}
