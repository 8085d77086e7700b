//! `dormerctl` from outside, with a stand-in engine (`fake_engine.rs`).

mod pattern;
mod record_sound;
mod usb;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A library, a runtime folder and an engine of its own.
struct Desk {
    folder: tempfile::TempDir,
}

/// What a command did.
struct Done {
    ok: bool,
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Self {
            ok: output.status.success(),
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// Programs are beside this one, a folder up.
fn fake_engine() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("examples/fake-engine")
}

impl Desk {
    /// None, loudly, where no engine can be started: the starter opens `/dev/kvm`.
    fn new() -> Option<Self> {
        if let Err(error) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            eprintln!("SKIPPED: /dev/kvm: {error}");
            return None;
        }
        if !["/usr/share/seabios", "/usr/share/qemu"]
            .iter()
            .any(|folder| Path::new(folder).join("bios-256k.bin").exists())
        {
            eprintln!("SKIPPED: seabios is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        Some(Self { folder })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dormerctl"));
        command
            .args(arguments)
            .env("DORMER_HOME", self.folder.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"))
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env_remove("FLATPAK_ID")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DISPLAY")
            .env("DORMER_VM", fake_engine())
            .env("DORMER_NAT", fake_engine())
            .env("DORMER_SWITCH", fake_engine())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed.
    fn good(&self, line: &str) -> Done {
        let done = self.run(&line.split(' ').collect::<Vec<_>>());
        assert!(done.ok, "{line}: {}", done.err);
        done
    }

    /// Runs what must fail with one sentence that has `words` in it.
    fn bad(&self, line: &str, words: &str) {
        let done = self.run(&line.split(' ').collect::<Vec<_>>());
        assert!(!done.ok && done.code == 1, "{line}: {} {}", done.code, done.out);
        assert!(done.err.starts_with("dormerctl: ") && done.err.lines().count() == 1, "{line}: {}", done.err);
        assert!(done.err.contains(words), "{line}: {}", done.err);
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn entries(&self, folder: &str) -> usize {
        std::fs::read_dir(self.folder.path().join(folder)).map_or(0, Iterator::count)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for machine in self.run(&["--json", "list"]).json().as_array().into_iter().flatten() {
            self.run(&["power-off", machine["name"].as_str().unwrap_or_default()]);
        }
    }
}

/// An ISO that a BIOS starts: primary volume descriptor, boot record, boot catalogue.
fn iso(volume: &str) -> Vec<u8> {
    let mut bytes = vec![0; 32 * 2048];
    bytes[16 * 2048..][..6].copy_from_slice(b"\x01CD001");
    bytes[16 * 2048 + 40..][..volume.len()].copy_from_slice(volume.as_bytes());
    bytes[16 * 2048 + 128..][..2].copy_from_slice(&2048u16.to_le_bytes());
    bytes[17 * 2048..][..6].copy_from_slice(b"\0CD001");
    bytes[17 * 2048 + 7..][..23].copy_from_slice(b"EL TORITO SPECIFICATION");
    bytes[17 * 2048 + 0x47] = 20;
    bytes[18 * 2048..][..6].copy_from_slice(b"\xffCD001");
    let catalog = &mut bytes[20 * 2048..];
    catalog[0] = 1;
    catalog[28..32].copy_from_slice(&[0xaa, 0x55, 0x55, 0xaa]);
    catalog[28..30].copy_from_slice(&0u16.wrapping_sub(0xaa55 + 1).to_le_bytes());
    catalog[32] = 0x88;
    catalog[40] = 21;
    bytes
}

const OLD: &str = "--profile legacy --disk none --memory 64 --cpus 1";

#[test]
fn machines_come_and_go() {
    let Some(desk) = Desk::new() else { return };
    assert!(desk.good("list").out.contains("No machines yet"));
    desk.good(&format!("create one {OLD}"));
    desk.good("create two --firmware bios --disk 1G --forward 2222:22");
    desk.bad("create one", "there is a machine “one” already");
    desk.bad("create three --disk nonsense", "there is no file");
    desk.bad("create three --os nonsense1", "nonsense1");
    desk.bad("create a/b", "cannot be a machine's name");
    desk.bad("create large --memory 1000G", "a machine cannot have 1024000 MiB");
    let wide = desk.good("create wide --firmware bios --disk 60T --cpus 64 --memory 64").err;
    assert!(wide.contains("the disk takes room as it fills, up to 61440 GiB"), "{wide}");
    let computer = std::thread::available_parallelism().unwrap();
    assert!(wide.contains(&format!("64 processors and this computer {computer}")) || computer.get() >= 64, "{wide}");
    let iso = desk.file("debian.iso", &iso("Debian 99.1.0 amd64 n"));
    let made = desk.good(&format!("create ninety-nine --iso {iso} --memory 64 --disk 1G"));
    assert!(made.out.starts_with("Debian 99.\nBIOS: the image starts with nothing else.\n"), "{}", made.out);
    assert!(desk.good("show ninety-nine").out.contains("Debian 99"));
    desk.good("delete ninety-nine --yes");
    desk.good("delete wide --yes");
    desk.bad("start three", "there is no machine “three”");
    desk.bad("pause one", "“one” is not running");
    let list = desk.good("--json list").json();
    assert_eq!((list[0]["name"].as_str(), list[0]["state"].as_str()), (Some("one"), Some("stopped")));
    let show = desk.good("show two --json").json();
    assert_eq!(show["machine"]["network"][0]["forward"][0]["guest"], 22);
    desk.good("net two forward udp:53:5353");
    desk.good("net two unforward 2222");
    let show = desk.good("show two --json").json();
    assert_eq!(show["machine"]["network"][0]["forward"][0]["protocol"], "udp");
    assert!(desk.good("show two").out.contains("udp:53:5353"));
    desk.bad("net two unforward 2222", "port 2222 of this computer does not lead into this machine");
    desk.bad("net one forward 1:1", "no setting “net0");
    desk.good("net two link out");
    assert_eq!(desk.good("set two --json").json()["net0.link"], "off");
    let launcher = desk.good("launcher two create").out;
    desk.good("rename two 2");
    let text = std::fs::read_to_string(&launcher).unwrap();
    assert!(text.contains("\nName=2\n") && text.contains("DORMER_HOME="), "{text}");
    desk.good("launcher 2 remove");
    desk.good("launcher 2 create");
    desk.good("delete 2");
    assert!(!Path::new(&launcher).exists());
    let broken = desk.folder.path().join("home/machines/broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("machine.toml"), "name = 3").unwrap();
    assert!(desk.good("list").out.contains("machine.toml: line 1"));
    desk.bad("start broken", "machine.toml cannot be used: line 1");
    assert_eq!(desk.run(&["nonsense"]).code, 2);
}

#[test]
fn a_machine_moves() {
    let Some(desk) = Desk::new() else { return };
    desk.good("create one --firmware bios --disk 1G --memory 64 --cpus 1");
    let place = desk.folder.path().join("place");
    desk.bad(&format!("move one {}", place.display()), "No such file");
    std::fs::create_dir(&place).unwrap();
    desk.good("start one");
    desk.bad(&format!("move one {}", place.display()), "“one” is running: turn it off first");
    desk.good("power-off one");
    let moved = desk.good(&format!("move one {} --json", place.display())).json();
    let there = place.canonicalize().unwrap().join("one");
    assert_eq!(moved["folder"], there.to_str().unwrap());
    assert!(there.join("disk.qcow2").is_file() && there.join("machine.toml").is_file());
    desk.good("start one");
    desk.good("wait one --state running --timeout 10");
    desk.good("power-off one");
    desk.bad(&format!("move one {}", there.display()), "choose another place");
    let machines = desk.folder.path().join("home/machines");
    desk.good(&format!("move one {}", machines.display()));
    assert!(!there.exists() && machines.join("one").symlink_metadata().unwrap().is_dir());
    desk.good(&format!("move one {}", place.display()));
    desk.good("delete one");
    assert_eq!(desk.entries("place") + desk.entries("home/machines"), 0);
}

#[test]
fn settings_are_set_and_told() {
    let Some(desk) = Desk::new() else { return };
    desk.good("create one --firmware bios --disk 1G --memory 256 --cpus 1");
    desk.good("set one memory=128 disk0.bus=ahci net0.forwards=2222:22");
    let settings = desk.good("set one --json").json();
    assert_eq!((&settings["memory"], &settings["disk0.bus"]), (&"128".into(), &"ahci".into()));
    assert!(desk.good("set one").out.contains("clock=utc"), "all of them, with what they are for");
    desk.good("set one boot=net0,disk0 disk0.cache=direct resolution=1024x768 notes=two,words");
    let settings = desk.good("set one --json").json();
    assert_eq!((&settings["boot"], &settings["disk0.cache"]), (&"net0,disk0,cd0".into(), &"direct".into()));
    assert_eq!((&settings["resolution"], &settings["notes"]), (&"1024x768".into(), &"two,words".into()));
    assert!(desk.good("show one").out.contains("net0, disk0, cd0"));
    desk.bad("set one boot=cd0,cd7", "this machine has no “cd7” to start from");
    desk.bad("set one disk0.cache=unsafe", "takes writeback or direct");
    desk.good("set one boot= disk0.cache=writeback");
    desk.good("set one group=Work");
    assert_eq!(desk.good("list --json").json()[0]["group"], "Work");
    assert!(desk.good("show one").out.contains("Work"));
    desk.good("set one group=");
    assert!(desk.good("list --json").json()[0]["group"].is_null());
    // All of it or nothing.
    desk.bad("set one processors=2 memory=1", "“memory” takes a number from 16");
    assert_eq!(desk.good("set one --json").json()["processors"], "1");
    desk.bad("set one memory=1048576", "this computer has");
    desk.bad("set one disk1.bus=ahci", "this machine has no setting “disk1.bus”");
    assert_eq!(desk.run(&["set", "one", "colour=red"]).code, 2);
    // Running, it follows what it can.
    desk.good("start one");
    desk.good("set one notes=");
    desk.bad("set one boot=cd0", "“boot” can only be changed while the machine is off");
    desk.bad("set one memory=256", "“memory” can only be changed while the machine is off");
    desk.good("set one net0.link=off");
    assert!(desk.good("serial one").out.ends_with("[\"net0\" false]"));
    desk.good("net one forward udp:53:53");
    desk.bad("set one net0.link=on net0.forwards=1:1", "the machine's network: port 1 is taken");
    assert!(desk.good("serial one").out.ends_with("[\"net0\" true][\"net0\" false]"), "the cable is as it was");
    let settings = desk.good("set one --json").json();
    assert_eq!((&settings["net0.link"], &settings["net0.forwards"]), (&"off".into(), &"tcp:2222:22 udp:53:53".into()));
    desk.bad("set one name=two", "“one” is running");
    desk.good("power-off one");
    desk.good("set one name=two");
    desk.good("start two");
    assert!(desk.good("serial two").out.contains("networks=1"));
}

#[test]
fn a_machine_runs() {
    let Some(desk) = Desk::new() else { return };
    desk.good(&format!("create one {OLD}"));
    assert!(desk.good("list --json").json()[0]["last-start"].is_null());
    let started = desk.good("start one --headless --json").json();
    let time = desk.good("list --json").json()[0]["last-start"].as_str().unwrap().to_owned();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert!(Path::new(started["control"].as_str().unwrap()).exists());
    desk.bad("start one", "“one” is running");
    let report = desk.good("report one").out;
    assert!(report.starts_with("Dormer: ") && report.contains("State: running"), "{report}");
    assert!(report.contains("--- machine.toml ---") && report.contains("login: cd0=false"), "{report}");
    assert_eq!(desk.good("report one --json").json()["report"].as_str().unwrap().lines().next(), report.lines().next());
    desk.bad("delete one", "“one” is running");
    desk.good("pause one");
    desk.good("wait one --state paused --timeout 10");
    assert_eq!(desk.good("text one").out, "Fake BIOS\npaused: true");
    desk.bad("power-button one", "resume it first");
    desk.good("resume one");
    desk.good("wait one --screen-text ^paused:.false$ --timeout 10");
    desk.bad("wait one --screen-text never --timeout 0.2", "the last line is “paused: false”");
    desk.bad("wait one --state stopped --timeout 0.2", "is running, not stopped");

    desk.good("type one aB| --enter --delay 1");
    desk.good("key one ctrl-alt-del f12");
    desk.good("mouse one 639 0 double-click");
    desk.bad("mouse one 640 0", "640 by 480");
    desk.run(&["serial", "one", "--write", r"\\o/\n"]);
    let serial = desk.good("serial one").out;
    let expected = "<a><shift+b><shift+backslash><ret><ctrl+alt+delete><f12>(32767,0,\"left\")(32767,0,\"left\")\\o/";
    assert_eq!(serial, format!("login: cd0=false networks=0\r\n{expected}"));
    let found = desk.good("--json wait one --serial-text networks=\\d+$ --timeout 10").json();
    assert_eq!(found["found"], "networks=0");
    desk.bad("wait one --serial-text login --new --timeout 0.2", "“login” did not come");

    let picture = desk.folder.path().join("x.png");
    desk.good(&format!("screenshot one {}", picture.display()));
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    desk.bad("screenshot one /no/such/x.png", "cannot write /no/such/x.png");
    assert_eq!(desk.good("qmp one query-status --json").json()["status"], "running");
    desk.bad("qmp one nonsense", "there is no command nonsense");
    desk.bad("qmp one {", "no QMP command");

    let stats = desk.good("stats one --time 0.5 --json").json();
    assert_eq!((&stats["drives"][0]["read"], &stats["drives"][0]["reads"]), (&(2 << 20).into(), &2.into()));
    let rate = stats["drives"][0]["read-per-second"].as_f64().unwrap();
    assert!((100_000.0..=2.1e6).contains(&rate), "{rate}");
    assert_eq!((&stats["memory"]["used"], &stats["processors"]["load"]), (&(3 << 20).into(), &0.0.into()));
    let said = desk.good("stats one --time 0").out;
    assert!(said.contains("3.0 MiB of 256 MiB") && said.contains("4.0 MiB in all; written 0 B/s"), "{said}");
    assert!(said.contains("net0") && said.contains("sent 0 B/s, 180 B in all"), "{said}");

    let cd = desk.file("data.iso", &iso("FREEDOS"));
    desk.good(&format!("medium one insert {cd}"));
    assert!(desk.good("show one").out.contains("data.iso"));
    desk.good("medium one eject");
    desk.bad("medium one eject --drive cd7", "no drive “cd7”");
    assert!(desk.good("serial one").out.ends_with("[\"cd0\" 65536][\"cd0\" out]"));

    let start = Instant::now();
    desk.good("power-button one");
    desk.good("wait one --state stopped --timeout 10");
    assert!(start.elapsed() < Duration::from_secs(8));
    desk.good("start one --paused");
    assert_eq!(desk.good("list --json").json()[0]["state"], "paused");
    desk.good("power-off one --kill");
    desk.good("start one");
    desk.good("power-off one");
    assert_eq!(desk.entries("run/dormer"), 0);
    desk.good("delete one");
}

#[test]
fn windows_are_opened_by_the_viewer() {
    let Some(desk) = Desk::new() else { return };
    desk.good(&format!("create one {OLD}"));
    desk.bad("view one", "“one” is not running");
    let uuid = desk.good("show one --json").json()["uuid"].as_str().unwrap().to_owned();
    let start = |script: &str| {
        let said = desk.folder.path().join("said");
        let viewer = desk.file("viewer", format!("#!/bin/sh\necho \"$@\" > {}\n{script}\n", said.display()).as_bytes());
        std::fs::set_permissions(&viewer, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let output = desk.command(&["start", "one"]).env("DISPLAY", ":0").env("DORMER_VIEW", &viewer).output().unwrap();
        desk.good("power-off one");
        let words = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        (output.status.code(), words, std::fs::read_to_string(said).unwrap_or_default())
    };
    // One that stays does not keep its starter.
    let began = Instant::now();
    let answer = start("echo shown; exec sleep 60 >/dev/null 2>&1 </dev/null");
    assert_eq!(answer, (Some(0), String::new(), format!("{uuid} --detach\n")));
    assert!(began.elapsed() < Duration::from_secs(30));
    let answer = start("echo drivers talk >&2; echo dormer-view: no window today >&2; exit 1");
    assert_eq!(answer.0, Some(1));
    assert_eq!(answer.1, "dormerctl: “one” runs, but no window shows it: no window today");
    // One that talks more than a pipe holds, as drivers do.
    let talk = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2";
    assert_eq!(start(&format!("{talk}; echo shown")).0, Some(0));
    let answer = start(&format!("{talk}; echo dormer-view: no >&2; exit 1"));
    assert_eq!(answer.0, Some(1));
    assert!(start("exit 3").1.ends_with("dormer-view ended with exit status: 3"));
    assert!(desk.good("start one").err.contains("no display here"), "it runs all the same");
    let output =
        desk.command(&["view", "one", "--scaling", "multiples"]).env("DORMER_VIEW", "/bin/echo").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{uuid} --scaling multiples\n"));
}

#[test]
fn what_fails_leaves_a_running_machine_as_it_was() {
    let Some(desk) = Desk::new() else { return };
    // The desktop's folder cannot be made.
    desk.file("config", b"x");
    desk.good("create stuck --firmware bios --disk 1G --memory 64 --cpus 1");
    desk.good("start stuck");
    let asked = ["set", "stuck", "net0.link=off", "autostart=on"];
    let set = desk.command(&asked).env("XDG_CONFIG_HOME", desk.folder.path().join("config")).output().unwrap();
    assert!(!set.status.success());
    assert!(desk.good("serial stuck").out.ends_with("[\"net0\" false][\"net0\" true]"), "its cable is out");
    assert_eq!(desk.good("set stuck --json").json()["net0.link"], "on");
    desk.good("power-off stuck");
    // An installer's CD that does not come out stays one.
    let iso = desk.file("debian.iso", &iso("Debian 99.1.0 amd64 n"));
    desk.good(&format!("create stuck-2 --iso {iso} --memory 64 --disk 1G"));
    let machine = |desk: &Desk| desk.good("show stuck-2 --json").json()["machine"].clone();
    let before = machine(&desk);
    assert_eq!(before["drive"][1]["installer"], true);
    desk.good("start stuck-2");
    desk.bad("medium stuck-2 eject", "the tray is stuck");
    assert_eq!(machine(&desk), before);
}

#[test]
fn failures_to_start_are_sentences() {
    let Some(desk) = Desk::new() else { return };
    for (name, words) in [("fail", "no machine today"), ("die", "the end is near")] {
        desk.good(&format!("create {name} {OLD}"));
        desk.bad(&format!("start {name}"), words);
        assert_eq!(desk.good("list --json").json()[0]["state"], "stopped");
        desk.good(&format!("delete {name}"));
    }
    desk.good(&format!("create port {OLD} --forward 1:22"));
    desk.bad("start port", "the network does not start: port 1 is taken");
    desk.good("net port unforward 1");
    desk.good("start port");
    assert!(desk.good("serial port").out.contains("networks=1"));
    let disk = desk.file("shared.img", &[0xeb; 4096].map(|byte: u8| byte));
    let mut sector = std::fs::read(&disk).unwrap();
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&disk, sector).unwrap();
    for name in ["first", "second"] {
        desk.good(&format!("create {name} --profile legacy --firmware bios --disk {disk}"));
    }
    desk.good("start first");
    desk.bad("start second", "in use");
    std::fs::remove_file(&disk).unwrap();
    desk.good("power-off first");
    desk.bad("start first", "shared.img");
    assert_eq!(desk.good("list --json").json()[0]["state"], "stopped");
}

#[test]
fn networks_of_machines_among_themselves() {
    let Some(desk) = Desk::new() else { return };
    desk.bad(&format!("create wired {OLD} --network internal:lab --forward 2222:22"), "computer lead into net0");
    desk.good(&format!("create wired {OLD} --network internal:lab"));
    assert_eq!(desk.good("set wired --json").json()["net0.network"], "internal:lab");
    desk.good("start wired");
    assert!(desk.good("serial wired").out.contains("networks=1"));
    assert!(desk.folder.path().join("run/dormer/networks/lab").is_dir());
    desk.good("power-off wired");
    assert!(desk.good("create --help").out.contains("internal:NAME"));
    desk.good("create one --firmware bios --disk none --profile linux");
    desk.good("net one add --network internal:lab");
    desk.bad("set one net0.network=lan", "“lan” is not a network: write nat");
    desk.bad("set one net0.network=internal:../x", "“../x” cannot be a network's name");
    assert!(desk.good("show one").out.contains("internal:lab, virtio, 52:54:00:"));
    let show = desk.good("show one --json").json();
    assert_eq!(show["machine"]["network"][1]["network"], "internal:lab");
    desk.good("set one net1.network=internal:full");
    desk.bad("start one", "the network “full” does not start: all are taken");
    desk.good("net one forward 2222:22");
    desk.bad("set one net0.network=internal:lab", "ports of this computer lead into net0");
    desk.good("set one net0.forwards= net0.network=internal:lab net1.network=internal:lab");
    desk.bad("net one forward 2222:22", "ports of this computer lead into net0");
    desk.good("start one");
    assert!(desk.good("serial one").out.contains("networks=2"));
    assert!(desk.folder.path().join("run/dormer/networks/lab").is_dir());
    // Running, it is plugged in elsewhere, and its ports come with that.
    desk.good("set one net1.network=nat net1.forwards=2222:22");
    assert!(desk.good("serial one").out.ends_with("[\"net1\" on \"nat\" 1]"));
    desk.good("net one list");
    assert_eq!(desk.good("set one --json").json()["net1.network"], "nat");
    desk.bad("set one net1.forwards= net1.network=internal:full", "the network “full” does not start: all are taken");
    desk.bad("set one net0.network=tap:nosuchtap0", "no network device “nosuchtap0”: “sudo ip tuntap add dev");
    let settings = desk.good("set one --json").json();
    assert_eq!((&settings["net1.network"], &settings["net0.network"]), (&"nat".into(), &"internal:lab".into()));
}

#[test]
fn what_goes_through_a_card_is_counted_and_captured() {
    let Some(desk) = Desk::new() else { return };
    desk.good("create one --firmware bios --disk none --profile linux");
    let file = desk.folder.path().join("net0.pcapng");
    let begin = format!("net one capture {}", file.display());
    desk.bad(&begin, "“one” is not running");
    assert!(!file.exists());
    let still = desk.good("net one list --json").json();
    assert_eq!((&still[0]["network"], &still[0]["plugged"]), (&"nat".into(), &true.into()));
    assert!(desk.good("net one list").out.starts_with("net0  nat  52:54:00:"));
    desk.good("start one");
    assert_eq!(desk.good("net one list --json").json()[0]["sent-bytes"], 180);
    desk.good(&begin);
    assert_eq!(std::fs::read(&file).unwrap(), b"frames");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&file.metadata().unwrap()) & 0o777, 0o600);
    let list = desk.good("net one list").out;
    assert!(list.contains("link  sent 3 (180 bytes), received 2 (120 bytes), lost 0, captured"), "{list}");
    // What is in a file is lost only for a capture.
    std::fs::write(&file, "kept").unwrap();
    desk.bad(&format!("{begin} --card net7"), "there is no such card");
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    let hidden = std::fs::read_dir(desk.folder.path())
        .unwrap()
        .filter(|child| child.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b"."));
    assert_eq!(hidden.count(), 0);
    desk.good("net one capture off");
    desk.bad("net one capture off", "nothing of net0 is being captured");
    desk.bad("net one capture /no/such/file", "cannot write /no/such/file");
    desk.bad("net one capture /dev/null", "/dev/null is not a file");
}

#[test]
fn throw_away_machines() {
    let Some(desk) = Desk::new() else { return };
    let cd = desk.file("freedos.iso", &iso("FREEDOS"));
    desk.bad("run /no/such.iso", "there is no file /no/such.iso");
    let mut run = desk.command(&["run", &cd]).stdout(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while desk.good("list --json").json()[0]["state"] != "running" {
        assert!(Instant::now() < end && run.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    let listed = desk.good("list --json").json();
    assert_eq!((listed[0]["name"].as_str(), listed[0]["disposable"].as_bool()), (Some("freedos"), Some(true)));
    assert!(desk.good("serial freedos").out.contains("cd0=true"));
    // Ctrl-C turns it off.
    let pid = rustix::process::Pid::from_raw(run.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(run.wait().unwrap().success());
    assert_eq!((desk.entries("home/disposable"), desk.entries("run/dormer")), (0, 0));

    desk.good("create kept --profile legacy --disk 1G --firmware bios");
    desk.good("start kept --disposable");
    desk.bad("pause kept", "not running");
    let copy = ["power-off", "kept (disposable)"];
    assert!(desk.run(&copy).ok);
    assert_eq!(desk.entries("home/disposable"), 0);
    desk.good("start kept");
}
