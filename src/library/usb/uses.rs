//! What this computer uses a USB device for, from sysfs (`Documentation/ABI/testing/sysfs-bus-usb`) and procfs: disks that are mounted,
//! swapped to or part of a volume (partitions, LUKS, LVM and RAID are followed), the keyboard and mouse, network interfaces, programs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Kind;

/// Most folders that are looked into below a device, and how deep they are.
const FOLDERS: usize = 4096;
const DEPTH: usize = 16;
/// Most volumes on top of each other.
const LAYERS: usize = 8;
/// Most bytes of a file that the kernel makes.
const BYTES: u64 = 4 << 20;
/// Bits of `KEY_Q` and `KEY_P`, `BTN_LEFT`, `REL_X` and `ABS_X` (`input-event-codes.h`).
const LETTERS: [usize; 2] = [16, 25];
const BTN_LEFT: usize = 0x110;
const BTN_TOUCH: usize = 0x14a;

/// Something that a device is used for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// It is a hub: what is plugged into it can be given away, it cannot.
    Hub,
    /// A file system on it is mounted here.
    Mounted(PathBuf),
    /// Memory is swapped to it.
    Swap,
    /// It is part of this volume (LUKS, LVM, RAID), which is open.
    Volume(String),
    /// There is no other keyboard.
    OnlyKeyboard,
    /// There is no other mouse.
    OnlyMouse,
    /// A program has taken it.
    Program,
    /// It is a keyboard; there are others.
    Keyboard,
    /// It is a mouse; there are others.
    Mouse,
    /// This network interface is up; does it lead to the internet?
    Network {
        /// Its name.
        interface: String,
        /// The default route goes through it.
        route: bool,
    },
}

impl Use {
    /// Must it stay with this computer? If not, its owner should say so first.
    pub fn forbids(&self) -> bool {
        match self {
            Self::Hub
            | Self::Mounted(_)
            | Self::Swap
            | Self::Volume(_)
            | Self::OnlyKeyboard
            | Self::OnlyMouse
            | Self::Program => true,
            Self::Keyboard | Self::Mouse | Self::Network { .. } => false,
        }
    }

    /// Why the device stays and what to do, or what its owner should know: a sentence without its full stop.
    pub fn explain(&self) -> String {
        match self {
            Self::Hub => "It is a hub: choose what is plugged into it".into(),
            Self::Mounted(place) => format!("Its files are in use at {}: eject it first", place.display()),
            Self::Swap => "This computer swaps memory to it: switch that off first".into(),
            Self::Volume(name) => format!("It is part of the volume “{name}”, which is open: close that first"),
            Self::OnlyKeyboard => "It is this computer's only keyboard".into(),
            Self::OnlyMouse => "It is this computer's only mouse".into(),
            Self::Program => "Another program uses it: end that first".into(),
            Self::Keyboard => "It is a keyboard of this computer".into(),
            Self::Mouse => "It is a mouse of this computer".into(),
            Self::Network { interface, route: true } => format!("This computer is online through it ({interface})"),
            Self::Network { interface, route: false } => format!("It is a network card of this computer ({interface})"),
        }
    }
}

/// Where the kernel tells.
#[derive(Clone, Debug)]
pub struct Host {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { sys: PathBuf::from("/sys"), proc: PathBuf::from("/proc") }
    }
}

/// What is below a device in sysfs.
#[derive(Debug, Default)]
struct Below {
    disks: Vec<PathBuf>,
    inputs: Vec<PathBuf>,
    interfaces: Vec<PathBuf>,
    program: bool,
}

impl Host {
    /// What the device with this folder in sysfs is used for, best reason first.
    pub(super) fn uses(&self, device: &Path, kind: Kind) -> Vec<Use> {
        if kind == Kind::Hub {
            return vec![Use::Hub];
        }
        let mut below = Below::default();
        find(device, &mut below);
        let mut uses = Vec::new();
        if !below.disks.is_empty() {
            let mounts = self.mounts();
            let swaps = self.swaps();
            for disk in &below.disks {
                self.disk_uses(disk, 0, &mounts, &swaps, &mut uses);
            }
        }
        if !below.inputs.is_empty() {
            uses.extend(self.input_uses(device, &below.inputs));
        }
        for interface in &below.interfaces {
            uses.extend(self.network_use(interface));
        }
        if below.program {
            uses.push(Use::Program);
        }
        let mut seen = HashSet::new();
        uses.retain(|one| seen.insert(one.clone()));
        uses.sort_by_key(|one| !one.forbids());
        uses
    }

    /// What a block device is used for: itself, its partitions, and volumes that are made of them.
    fn disk_uses(
        &self,
        disk: &Path,
        layer: usize,
        mounts: &[(String, String, PathBuf)],
        swaps: &[String],
        uses: &mut Vec<Use>,
    ) {
        let Some(name) = disk.file_name().and_then(|name| name.to_str()) else { return };
        let number = text(&disk.join("dev"));
        // Volumes are mounted by their own name.
        let mapped = text(&disk.join("dm/name"));
        let nodes: Vec<_> = [Some(format!("/dev/{name}")), mapped.as_ref().map(|name| format!("/dev/mapper/{name}"))]
            .into_iter()
            .flatten()
            .collect();
        let is_it = |node: &str| nodes.iter().any(|own| own == node);
        // A file system of several devices has a number of its own.
        let mounted = mounts.iter().filter(|(on, source, _)| Some(on) == number.as_ref() || is_it(source));
        let before = uses.len();
        uses.extend(mounted.map(|(.., place)| Use::Mounted(place.clone())));
        if swaps.iter().any(|swap| is_it(swap)) {
            uses.push(Use::Swap);
        }
        let parts = children(disk).into_iter().filter(|part| part.join("partition").exists());
        for part in parts {
            self.disk_uses(&part, layer, mounts, swaps, uses);
        }
        for holder in children(&disk.join("holders")) {
            let Some(holder) = holder.file_name().map(|name| self.sys.join("block").join(name)) else { continue };
            let before = uses.len();
            if layer < LAYERS {
                self.disk_uses(&holder, layer + 1, mounts, swaps, uses);
            }
            // It says more what is on the volume.
            if uses.len() == before {
                let name = text(&holder.join("dm/name"));
                let name = name.or_else(|| Some(holder.file_name()?.to_string_lossy().into_owned()));
                uses.push(Use::Volume(name.unwrap_or_default()));
            }
        }
        uses[before..].sort_by_key(|one| !matches!(one, Use::Mounted(_)));
    }

    /// Mounts by device number, source and place (proc_pid_mountinfo(5)).
    fn mounts(&self) -> Vec<(String, String, PathBuf)> {
        let text = super::read(&self.proc.join("self/mountinfo"), BYTES).unwrap_or_default();
        let mount = |line: &str| {
            let (head, tail) = line.split_once(" - ")?;
            let mut fields = head.split(' ').skip(2);
            let (number, place) = (fields.next()?, fields.nth(1)?);
            let source = tail.split(' ').nth(1)?;
            Some((number.to_owned(), unescape(source), PathBuf::from(unescape(place))))
        };
        text.lines().filter_map(mount).collect()
    }

    /// What is swapped to (proc_swaps(5)).
    fn swaps(&self) -> Vec<String> {
        let text = super::read(&self.proc.join("swaps"), BYTES).unwrap_or_default();
        text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescape).collect()
    }

    /// Keyboards and mice of the device, beside those that there are.
    fn input_uses(&self, device: &Path, own: &[PathBuf]) -> Vec<Use> {
        let all = children(&self.sys.join("class/input")).into_iter().filter_map(|input| input.canonicalize().ok());
        let device = device.canonicalize().unwrap_or_else(|_| device.to_owned());
        // What programs pretend to be no one can type on.
        let real = |input: &PathBuf| !input.components().any(|part| part.as_os_str() == "virtual");
        let others: Vec<_> = all.filter(|input| real(input) && !input.starts_with(&device)).collect();
        let mut uses = Vec::new();
        if own.iter().any(|input| is_keyboard(input)) {
            let more = others.iter().any(|input| is_keyboard(input));
            uses.push(if more { Use::Keyboard } else { Use::OnlyKeyboard });
        }
        if own.iter().any(|input| is_mouse(input)) {
            let more = others.iter().any(|input| is_mouse(input));
            uses.push(if more { Use::Mouse } else { Use::OnlyMouse });
        }
        uses
    }

    fn network_use(&self, interface: &Path) -> Option<Use> {
        let name = interface.file_name()?.to_str()?.to_owned();
        let route = self.default_routes().contains(&name);
        let state = text(&interface.join("operstate")).unwrap_or_default();
        // Some drivers do not know whether they are up.
        let carrier = || text(&interface.join("carrier")).as_deref() == Some("1");
        let up = state == "up" || (state == "unknown" && carrier());
        (up || route).then_some(Use::Network { interface: name, route })
    }

    /// Interfaces that default routes go through (proc_pid_net(5)): destination and mask, or prefix length, are 0.
    fn default_routes(&self) -> HashSet<String> {
        let read = |name: &str| super::read(&self.proc.join("net").join(name), BYTES).unwrap_or_default();
        let zero = |field: &str| !field.is_empty() && field.bytes().all(|digit| digit == b'0');
        let mut names = HashSet::new();
        for line in read("route").lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if let [name, to, _, _, _, _, _, mask, ..] = fields[..]
                && zero(to)
                && zero(mask)
            {
                names.insert(name.to_owned());
            }
        }
        for line in read("ipv6_route").lines() {
            let fields: Vec<_> = line.split_whitespace().collect();
            // Every computer has an unreachable one through lo.
            if let [to, length, .., name] = fields[..]
                && zero(to)
                && zero(length)
                && name != "lo"
            {
                names.insert(name.to_owned());
            }
        }
        names
    }
}

/// Finds what is below a device. Other devices that are plugged into it are none of it.
fn find(device: &Path, below: &mut Below) {
    let mut folders = vec![(device.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        seen += 1;
        if seen > FOLDERS {
            return;
        }
        let parent = folder.parent().and_then(|parent| parent.file_name()).unwrap_or_default();
        match parent.to_str() {
            _ if depth == 0 => {}
            Some("block") => {
                below.disks.push(folder);
                continue;
            }
            Some("net") => {
                below.interfaces.push(folder);
                continue;
            }
            Some("input") if folder.join("capabilities").is_dir() => {
                below.inputs.push(folder);
                continue;
            }
            _ => {}
        }
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if depth > 0 && api::usb::is_port(name) {
            continue;
        }
        if name.contains(':') {
            let driver = std::fs::read_link(folder.join("driver")).ok();
            below.program |= driver.is_some_and(|driver| driver.file_name().is_some_and(|name| name == "usbfs"));
        }
        if depth < DEPTH {
            let inner = children(&folder).into_iter().filter(|path| !path.is_symlink());
            folders.extend(inner.map(|path| (path, depth + 1)));
        }
    }
}

/// A folder's folders, and links to such, by name.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).take(FOLDERS).collect();
    folders.sort();
    folders
}

/// A kernel's short file, without the line's end.
fn text(path: &Path) -> Option<String> {
    super::read(path, BYTES).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Can one type letters on it?
fn is_keyboard(input: &Path) -> bool {
    let keys = bits(input, "key");
    LETTERS.iter().all(|letter| keys.contains(letter))
}

/// Does it point: a mouse, a touchpad?
fn is_mouse(input: &Path) -> bool {
    let keys = bits(input, "key");
    let relative = bits(input, "rel").contains(&0) && keys.contains(&BTN_LEFT);
    relative || (bits(input, "abs").contains(&0) && (keys.contains(&BTN_LEFT) || keys.contains(&BTN_TOUCH)))
}

/// The bits of an input device's capability: words of 64 in hexadecimal, the highest first.
fn bits(input: &Path, of: &str) -> HashSet<usize> {
    let words = text(&input.join("capabilities").join(of)).unwrap_or_default();
    let words = words.split_whitespace().rev().take(32).map(|word| u64::from_str_radix(word, 16).unwrap_or_default());
    let set = |(at, word): (usize, u64)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit);
    words.enumerate().flat_map(set).collect()
}

/// procfs writes spaces and the like as `\040`.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match tail.get(..3).filter(|_| first == b'\\').and_then(octal) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[path = "uses_test.rs"]
mod tests;
