//! `dormerctl usb` on a computer whose `/sys` and `/dev/bus` are folders, which a mount namespace puts there: what looks for devices is
//! what looks on real ones.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Desk, Done};

/// The computer's folders.
struct Computer {
    desk: Desk,
}

impl Computer {
    /// None, loudly, where there are no engines or no mount namespaces.
    fn new() -> Option<Self> {
        let desk = Desk::new()?;
        let can = Command::new("unshare").args(["--mount", "--map-root-user", "true"]).stderr(Stdio::null()).status();
        if !can.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: unshare --mount");
            return None;
        }
        let computer = Self { desk };
        for folder in ["sys/bus/usb/devices", "sys/class/input", "sys/block", "nodes/usb/001"] {
            std::fs::create_dir_all(computer.path(folder)).unwrap();
        }
        Some(computer)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.desk.folder.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Plugs a device in; its interface is of this class.
    fn plug(&self, port: &str, address: u8, ids: (&str, &str), strings: (&str, &str, &str), class: &str) {
        let folder = format!("sys/devices/pci0000:00/usb1/{port}");
        let attribute = |name: &str, value: &str| self.file(&format!("{folder}/{name}"), &format!("{value}\n"));
        let (maker, model, serial) = strings;
        for (name, value) in [
            ("busnum", "1"),
            ("devnum", &address.to_string()),
            ("devpath", port.split_once('-').unwrap().1),
            ("idVendor", ids.0),
            ("idProduct", ids.1),
            ("bcdDevice", "0100"),
            ("version", " 2.00"),
            ("bDeviceClass", if class == "09" { "09" } else { "00" }),
            ("bDeviceSubClass", "00"),
            ("bDeviceProtocol", "00"),
            ("bConfigurationValue", "1"),
            ("speed", "480"),
            ("manufacturer", maker),
            ("product", model),
            ("serial", serial),
        ] {
            attribute(name, value);
        }
        let codes = if class == "03" { ("01", "01") } else { ("06", "50") };
        for (name, value) in [
            ("bInterfaceNumber", "00"),
            ("bInterfaceClass", class),
            ("bInterfaceSubClass", codes.0),
            ("bInterfaceProtocol", codes.1),
        ] {
            attribute(&format!("{port}:1.0/{name}"), value);
        }
        let link = self.path(&format!("sys/bus/usb/devices/{port}"));
        symlink(format!("../../../devices/pci0000:00/usb1/{port}"), link).unwrap();
        self.file(&format!("nodes/usb/001/{address:03}"), "");
    }

    fn run(&self, arguments: &str) -> Done {
        let there =
            "mount --bind \"$0/sys\" /sys && mkdir -p /dev/bus && mount --bind \"$0/nodes\" /dev/bus && exec \"$@\"";
        let inner = self.desk.command(&arguments.split(' ').collect::<Vec<_>>());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", there]).arg(self.desk.folder.path());
        command.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Done::of(&command.output().unwrap())
    }

    fn good(&self, line: &str) -> Done {
        let done = self.run(line);
        assert!(done.ok, "{line}: {}", done.err);
        done
    }

    fn bad(&self, line: &str, words: &str) {
        let done = self.run(line);
        assert!(!done.ok && done.code == 1 && done.err.contains(words), "{line}: {} {}", done.code, done.err);
    }
}

#[test]
fn devices_go_into_machines_and_come_back() {
    let Some(computer) = Computer::new() else { return };
    assert_eq!(computer.good("usb list").out, "No USB device is plugged in.");
    computer.plug("1-2", 5, ("0781", "5581"), ("SanDisk", "Ultra", "4C53"), "08");
    computer.plug("1-3", 6, ("0781", "5581"), ("SanDisk", "Ultra\u{1b}[31m", ""), "08");
    computer.plug("1-4", 7, ("046d", "c31c"), ("Logitech", "Keyboard", ""), "03");
    computer.plug("1-5", 8, ("05e3", "0610"), ("", "Hub", ""), "09");
    computer.plug("1-6", 9, ("1234", "0001"), ("", "broken", ""), "ff");
    let input = "sys/devices/pci0000:00/usb1/1-4/1-4:1.0/0003:046D:C31C.0001/input/input3";
    computer.file(&format!("{input}/capabilities/key"), "fffffffffffffffe");
    symlink(format!("../../../{input}"), computer.path("sys/class/input/input3")).unwrap();

    let list = computer.good("usb list").out;
    let rows: Vec<_> = list.lines().collect();
    assert_eq!(rows.len(), 5, "{list}");
    assert!(rows[0].starts_with("1-2  0781:5581  SanDisk Ultra") && rows[0].ends_with("480 Mbit/s  free"), "{list}");
    assert!(rows[1].contains("SanDisk Ultra [31m"), "{list}");
    assert!(
        rows[2].contains("Logitech Keyboard") && rows[2].ends_with("It is this computer's only keyboard"),
        "{list}"
    );
    assert!(rows[3].ends_with("It is a hub: choose what is plugged into it"), "{list}");
    let json = computer.good("--json usb list").json();
    let first = (json[0]["vendor"].as_str(), json[0]["serial"].as_str(), json[0]["kind"].as_str());
    assert_eq!(first, (Some("0781"), Some("4C53"), Some("storage")));
    assert!(json[2]["uses"][0]["stays"].as_bool().unwrap() && json[0]["machine"].is_null());

    for name in ["one", "two"] {
        computer.good(&format!("create {name} --firmware bios --disk none"));
    }
    computer.bad("usb attach one 1-2", "“one” is not running: start it first");
    computer.bad("usb list one", "is not running");
    computer.bad("usb list three", "there is no machine “three”");
    computer.good("start one --headless");
    computer.good("start two --headless");
    computer
        .bad("usb attach one 0781:5581", "several USB devices “0781:5581”: choose one of 1-2 (SanDisk Ultra), 1-3 (");
    computer.bad("usb attach one 1-9", "there is no USB device “1-9”");
    computer.bad("usb attach one stick", "“stick” is not a USB device: write its port as in 1-2.3");
    computer.bad(
        "usb attach one 1-4",
        "“Logitech Keyboard” (1-4) stays with this computer. It is this computer's only keyboard",
    );
    computer.bad("usb attach one 1-5 --yes", "“Hub” (1-5) stays with this computer. It is a hub");
    computer.bad("usb attach one 1-6", "the device does not answer");
    assert!(computer.good("--json usb list").json()[4]["machine"].is_null());

    assert_eq!(
        computer.good("usb attach one 0781:5581:4C53").out,
        "“SanDisk Ultra” is connected to “one”, at its port 1."
    );
    computer.bad("usb attach two 1-2", "“SanDisk Ultra” (1-2) is connected to “one” already");
    computer.bad("usb detach two 1-2", "“two” has no USB device “1-2”");
    assert!(computer.good("usb list").out.contains("connected to “one”"));
    assert_eq!(computer.good("usb list one").out, "1-2  0781:5581  SanDisk Ultra  480 Mbit/s  port 1");
    assert_eq!(computer.good("usb list two").out, "“two” has no USB device of this computer.");
    assert_eq!(computer.good("usb detach one 0781:5581").out, "This computer has “SanDisk Ultra” again.");
    computer.bad("usb detach one 1-2", "“one” has no USB device “1-2”");
    computer.good("usb attach two 1-2");
    // Another stick at its place is not the one that the machine has.
    computer.file("sys/devices/pci0000:00/usb1/1-2/devnum", "77\n");
    assert!(computer.good("--json usb list").json()[0]["machine"].is_null());
    computer.file("sys/devices/pci0000:00/usb1/1-2/devnum", "5\n");
    assert_eq!(computer.good("--json usb list").json()[0]["machine"], "two");
    // An engine that has ended has nothing.
    computer.good("power-off two --kill");
    assert!(computer.good("--json usb list").json()[0]["machine"].is_null());
}

#[test]
fn rules_are_acted_upon_at_the_start() {
    let Some(computer) = Computer::new() else { return };
    computer.plug("1-2", 5, ("0781", "5581"), ("SanDisk", "Ultra", ""), "08");
    computer.plug("1-3", 6, ("046d", "c52b"), ("Logitech", "Receiver", ""), "ff");
    computer.plug("1-6", 9, ("1234", "0001"), ("", "broken", ""), "ff");
    computer.good("create one --firmware bios --disk none");
    assert_eq!(computer.good("usb rule one list").out, "“one” has no rules for USB devices.");
    computer.good("usb rule one add 0781:5581=always 046D:C52B@1-3=ask 1234:0001=start");
    let rules = "0781:5581=always\n046d:c52b@1-3=ask\n1234:0001=start";
    assert_eq!(computer.good("usb rule one list").out, rules);
    assert!(computer.good("set one").out.contains(&format!("usb.rules={}", rules.replace('\n', " "))));
    computer.bad("set one usb.rules=stick", "“stick” is not a rule for USB devices: write vendor:product");
    computer.bad("usb rule one remove 0781:5582", "no rule for the USB device “0781:5582”");
    let started = computer.good("start one --headless");
    assert!(started.err.contains("the device does not answer"), "{}", started.err);
    assert_eq!(computer.good("usb list one").out, "1-2  0781:5581  SanDisk Ultra  480 Mbit/s  port 1");
    // Rules change while it runs.
    computer.good("usb rule one add 0781:5581=ask");
    computer.good("usb rule one remove 046d:c52b@1-3 1234:0001=start");
    assert_eq!(computer.good("--json usb rule one list").json(), serde_json::json!(["0781:5581=ask"]));
    computer.good("set one usb.rules=");
    assert_eq!(computer.good("--json usb rule one list").json(), serde_json::json!([]));
}
