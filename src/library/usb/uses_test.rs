//! A computer of folders and files.

use std::os::unix::fs::symlink;

use super::*;

/// `sys` and `proc` in a folder of their own.
struct Computer {
    folder: tempfile::TempDir,
    host: Host,
}

/// Keys of a keyboard and buttons of a mouse, as the kernel writes them.
const KEYS: &str = "402000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
const BUTTONS: &str = "1f0000 0 0 0 0";

impl Computer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host { sys: folder.path().join("sys"), proc: folder.path().join("proc") };
        let computer = Self { folder, host };
        computer.file("proc/self/mountinfo", "21 1 254:0 / / rw - ext4 /dev/vda rw\n");
        computer.file("proc/swaps", "Filename Type Size Used Priority\n");
        computer
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn append(&self, path: &str, text: &str) {
        let old = std::fs::read_to_string(self.folder.path().join(path)).unwrap_or_default();
        self.file(path, &format!("{old}{text}"));
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(self.folder.path().join(to), path).unwrap();
    }

    /// A device's folder.
    fn device(&self, port: &str) -> PathBuf {
        let path = self.folder.path().join(Self::place(port));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn place(port: &str) -> String {
        format!("sys/devices/pci0000:00/0000:00:14.0/usb1/{port}")
    }

    /// A stick: one disk, with a partition.
    fn stick(&self, port: &str, disk: &str, number: u32) -> PathBuf {
        let device = self.device(port);
        let block = format!("{}/{port}:1.0/host4/target4:0:0/4:0:0:0/block/{disk}", Self::place(port));
        self.file(&format!("{block}/dev"), &format!("8:{number}\n"));
        self.file(&format!("{block}/{disk}1/dev"), &format!("8:{}\n", number + 1));
        self.file(&format!("{block}/{disk}1/partition"), "1\n");
        self.link(&format!("sys/block/{disk}"), &block);
        device
    }

    fn input(&self, below: &str, number: u32, keys: &str, relative: &str) {
        let input = format!("{below}/input/input{number}");
        self.file(&format!("{input}/capabilities/key"), keys);
        self.file(&format!("{input}/capabilities/rel"), relative);
        self.file(&format!("{input}/capabilities/abs"), "0\n");
        self.link(&format!("sys/class/input/input{number}"), &input);
    }

    fn uses(&self, device: &Path) -> Vec<Use> {
        self.host.uses(device, Kind::Other)
    }

    /// A volume over a block device.
    fn volume(&self, over: &Path, node: &str, name: &str, number: &str) {
        let volume = format!("sys/devices/virtual/block/{node}");
        self.file(&format!("{volume}/dev"), number);
        self.file(&format!("{volume}/dm/name"), &format!("{name}\n"));
        std::fs::create_dir_all(self.folder.path().join(&volume).join("holders")).unwrap();
        self.link(&format!("sys/block/{node}"), &volume);
        let over = over.strip_prefix(self.folder.path()).unwrap().join("holders").join(node);
        self.link(over.to_str().unwrap(), &volume);
    }
}

fn partition(device: &Path, disk: &str) -> PathBuf {
    let port = device.file_name().unwrap().to_str().unwrap();
    device.join(format!("{port}:1.0/host4/target4:0:0/4:0:0:0/block/{disk}/{disk}1"))
}

#[test]
fn a_disk_that_nobody_uses_is_free() {
    let computer = Computer::new();
    let stick = computer.stick("1-2", "sdb", 16);
    assert_eq!(computer.uses(&stick), []);
    assert_eq!(computer.host.uses(&stick, Kind::Hub), [Use::Hub]);
    assert_eq!(computer.uses(Path::new("/nowhere")), []);
}

#[test]
fn a_mounted_disk_stays() {
    let computer = Computer::new();
    let (stick, other) = (computer.stick("1-2", "sdb", 16), computer.stick("1-3", "sdc", 32));
    computer.append("proc/self/mountinfo", "90 21 8:17 / /media/My\\040Stick rw shared:1 - vfat /dev/sdb1 rw\n");
    let mounted = [Use::Mounted("/media/My Stick".into())];
    assert_eq!(computer.uses(&stick), mounted);
    assert!(mounted[0].forbids() && mounted[0].explain().contains("/media/My Stick: eject"));
    assert_eq!(computer.uses(&other), []);
    // Of a file system with a number of its own only the source says where it is.
    computer.append("proc/self/mountinfo", "91 21 0:44 / /data rw - btrfs /dev/sdc1 rw\n");
    assert_eq!(computer.uses(&other), [Use::Mounted("/data".into())]);
}

#[test]
fn what_is_made_of_a_disk_counts_as_the_disk() {
    let computer = Computer::new();
    let stick = computer.stick("1-2", "sdb", 16);
    let part = partition(&stick, "sdb");
    computer.volume(&part, "dm-0", "luks-1", "253:0\n");
    assert_eq!(computer.uses(&stick), [Use::Volume("luks-1".into())]);
    let crypt = computer.folder.path().join("sys/devices/virtual/block/dm-0");
    computer.volume(&crypt, "dm-1", "vg-home", "253:1\n");
    assert_eq!(computer.uses(&stick), [Use::Volume("vg-home".into())]);
    computer.append("proc/swaps", "/dev/mapper/vg-home partition 1 0 -2\n");
    assert_eq!(computer.uses(&stick), [Use::Swap]);
    computer.append("proc/self/mountinfo", "90 21 253:1 / /home rw - ext4 /dev/mapper/vg-home rw\n");
    assert_eq!(computer.uses(&stick), [Use::Mounted("/home".into()), Use::Swap]);
    assert!(computer.uses(&stick).iter().all(Use::forbids));
    // Volumes that stand on themselves end somewhere.
    computer.link("sys/devices/virtual/block/dm-1/holders/dm-0", "sys/devices/virtual/block/dm-0");
    assert!(!computer.uses(&stick).is_empty());
}

#[test]
fn the_only_keyboard_and_mouse_stay() {
    let computer = Computer::new();
    let keyboard = computer.device("1-4");
    let hid = format!("{}/1-4:1.0/0003:046D:C31C.0001", Computer::place("1-4"));
    computer.input(&hid, 3, KEYS, "0\n");
    assert_eq!(computer.uses(&keyboard), [Use::OnlyKeyboard]);
    let mouse = computer.device("1-5");
    computer.input(&format!("{}/1-5:1.0/0003:046D:C077.0002", Computer::place("1-5")), 4, BUTTONS, "103\n");
    assert_eq!(computer.uses(&mouse), [Use::OnlyMouse]);
    // What a program pretends to be is no keyboard, nor is a power button.
    computer.input("sys/devices/virtual", 5, KEYS, "103\n");
    computer.input("sys/devices/LNXSYSTM:00/LNXPWRBN:00", 6, "10000000000000 0\n", "0\n");
    assert_eq!(computer.uses(&keyboard), [Use::OnlyKeyboard]);
    computer.input("sys/devices/platform/i8042/serio0", 7, KEYS, "0\n");
    assert_eq!(computer.uses(&keyboard), [Use::Keyboard]);
    assert!(!Use::Keyboard.forbids() && Use::OnlyKeyboard.forbids() && Use::OnlyMouse.forbids());
    // One receiver for both: what forbids is said first.
    computer.input(&hid, 8, BUTTONS, "103\n");
    std::fs::remove_dir_all(computer.folder.path().join(Computer::place("1-5"))).unwrap();
    assert_eq!(computer.uses(&keyboard), [Use::OnlyMouse, Use::Keyboard]);
}

#[test]
fn a_network_that_is_up_is_missed() {
    let computer = Computer::new();
    let card = computer.device("1-6");
    let interface = format!("{}/1-6:1.0/net/enx0", Computer::place("1-6"));
    computer.file(&format!("{interface}/operstate"), "down\n");
    assert_eq!(computer.uses(&card), []);
    computer.file(&format!("{interface}/operstate"), "up\n");
    let up = |route| Use::Network { interface: "enx0".into(), route };
    assert_eq!(computer.uses(&card), [up(false)]);
    let route = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                 eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\nenx0 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0\n";
    computer.file("proc/net/route", route);
    assert_eq!(computer.uses(&card), [up(true)]);
    assert!(!up(true).forbids());
    computer.file("proc/net/route", "");
    let zeros = "0".repeat(32);
    computer.file("proc/net/ipv6_route", &format!("{zeros} 00 {zeros} 00 {zeros} ffffffff 1 0 200200 lo\n"));
    assert_eq!(computer.uses(&card), [up(false)]);
    computer.append("proc/net/ipv6_route", &format!("{zeros} 00 {zeros} 00 fe80 00000400 1 0 3 enx0\n"));
    assert_eq!(computer.uses(&card), [up(true)]);
}

#[test]
fn a_program_that_has_it_is_told_of() {
    let computer = Computer::new();
    let device = computer.device("1-7");
    computer.link(&format!("{}/1-7:1.0/driver", Computer::place("1-7")), "sys/bus/usb/drivers/usb-storage");
    assert_eq!(computer.uses(&device), []);
    computer.link(&format!("{}/1-7:1.1/driver", Computer::place("1-7")), "sys/bus/usb/drivers/usbfs");
    assert_eq!(computer.uses(&device), [Use::Program]);
}

#[test]
fn what_is_plugged_into_it_is_not_it() {
    let computer = Computer::new();
    let device = computer.device("1-8");
    let inner = format!("{}/1-8.1/1-8.1:1.0/block/sdd", Computer::place("1-8"));
    computer.file(&format!("{inner}/dev"), "8:48\n");
    computer.append("proc/self/mountinfo", "90 21 8:48 / /inner rw - ext4 /dev/sdd rw\n");
    assert_eq!(computer.uses(&device), []);
    assert_eq!(computer.uses(&device.join("1-8.1")), [Use::Mounted("/inner".into())]);
}

#[test]
fn files_of_nonsense_are_taken() {
    let computer = Computer::new();
    let stick = computer.stick("1-2", "sdb", 16);
    for text in ["", "\n\n", " - \n", "a b c d - e\n", "1 2 8:17\n", "\\\\04 \\999 8:17 / \\ - a \\0\n"] {
        computer.file("proc/self/mountinfo", text);
        computer.file("proc/swaps", text);
        computer.file("proc/net/route", text);
        computer.file("proc/net/ipv6_route", text);
        computer.uses(&stick);
    }
    computer.file("proc/self/mountinfo", "");
    assert_eq!(unescape("a\\040b\\\\134\\"), "a b\\\\\\");
    computer.input(&format!("{}/1-2:1.1", Computer::place("1-2")), 1, "zz fffffffffffffffffffff -1\n", "\n");
    assert_eq!(computer.uses(&stick), []);
}
