//! A machine as its owner configures it: the contents of `machine.toml`, with limits and defaults.
//!
//! This is the one place where defaults live. What can be checked without looking at the host is checked by
//! [`Machine::check`], for the app, for `dormerctl` and for files that somebody edited by hand.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::attachment::{Attachment, InterfaceName, NetworkName};

/// A machine's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Machine {
    /// Version of this file's shape; [`Machine::FORMAT`] in new ones.
    pub format: u32,
    /// Never changes.
    pub uuid: Uuid,
    /// What the person calls it.
    pub name: String,
    /// Machines of one group stand together in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The guest's id in osinfo-db (`debian13`), when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The guest in words, when the medium it came from said more than its id does, or has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The named board; never changes, so that guests find the same hardware for ever.
    #[serde(default)]
    pub board: Board,
    /// How it starts.
    #[serde(default)]
    pub firmware: Firmware,
    /// Virtual processors.
    pub processors: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// What the real-time clock shows.
    #[serde(default)]
    pub clock: RealTimeClock,
    /// What it starts from, best first, by the names of [`Machine::device_names`]; devices that are not named follow in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot: Vec<String>,
    /// Disks and CD drives, in the order of their places on the board.
    #[serde(default, rename = "drive")]
    pub drives: Vec<Drive>,
    /// Network cards.
    #[serde(default, rename = "network")]
    pub networks: Vec<Network>,
    /// Give the guest virtio keyboard and tablet beside PS/2.
    #[serde(default = "yes")]
    pub virtio_input: bool,
    /// The screen's size when it starts, as its monitor tells the guest.
    #[serde(default, skip_serializing_if = "Resolution::is_default")]
    pub resolution: Resolution,
    /// Start it when its owner logs in to the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub autostart: bool,
    /// What its owner wants to remember of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// A board version. Its devices never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Board {
    /// Q35 with ICH9, first version.
    #[default]
    #[serde(rename = "q35-1")]
    Q35V1,
}

/// How a machine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// SeaBIOS: DOS, Windows up to 7, old systems.
    Bios,
    /// OVMF with a variable store of the machine's own.
    #[default]
    Uefi,
}

/// What the real-time clock shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RealTimeClock {
    /// UTC: Linux, BSD.
    #[default]
    Utc,
    /// The host's local time: Windows, DOS.
    Local,
}

/// A screen's size, as in `1280x800`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resolution {
    /// Pixels, a multiple of 8.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl Default for Resolution {
    fn default() -> Self {
        Self { width: 1280, height: 800 }
    }
}

impl Resolution {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl std::str::FromStr for Resolution {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Self, Problem> {
        let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let good = |(width, height): &(u32, u32)| {
            limits::SCREEN.contains(width)
                && limits::SCREEN.contains(height)
                && width.is_multiple_of(8)
                && width * height * 4 <= limits::VIDEO_MEMORY
        };
        let sides = sides.filter(good).ok_or_else(|| Problem::Resolution(text.to_owned()))?;
        Ok(Self { width: sides.0, height: sides.1 })
    }
}

impl TryFrom<String> for Resolution {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Resolution> for String {
    fn from(resolution: Resolution) -> Self {
        resolution.to_string()
    }
}

/// A disk or CD drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drive {
    /// Disk or CD.
    pub kind: DriveKind,
    /// Where it is connected.
    #[serde(default)]
    pub bus: DriveBus,
    /// The image; relative to the machine's folder. A CD drive without one is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The image's format: recorded when it is attached, never guessed when it runs.
    #[serde(default)]
    pub format: ImageFormat,
    /// What happens to its data on the way to the host's disk. Disks only.
    #[serde(default, skip_serializing_if = "DiskCache::is_default")]
    pub cache: DiskCache,
    /// The guest cannot write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Take this medium out when the guest's installation has ended (first power-off or reset that finds a system on a disk). An
    /// empty drive with this had it taken out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub installer: bool,
}

/// Disk or CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriveKind {
    /// A hard disk.
    Disk,
    /// A CD or DVD drive.
    Cd,
}

/// What a drive is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriveBus {
    /// The board's AHCI controller: works with every system's own driver.
    #[default]
    Ahci,
    /// A virtio-blk function: fast, needs a virtio driver. Disks only.
    Virtio,
}

/// An image's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFormat {
    /// Every byte as it stands; ISO images too.
    #[default]
    Raw,
    /// QEMU's qcow2, versions 2 and 3.
    Qcow2,
}

/// What happens to a disk's data on the way to the host's disk. A guest's flush is honoured with all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskCache {
    /// They go through the host's page cache.
    #[default]
    Writeback,
    /// They pass it by (O_DIRECT), where the image's file system can.
    Direct,
}

impl DiskCache {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// The card.
    #[serde(default)]
    pub model: NetworkModel,
    /// Its address, as in `52:54:00:12:34:56`.
    pub mac: MacAddress,
    /// The cable is in.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub link: bool,
    /// Where the cable goes.
    #[serde(default, rename = "network", skip_serializing_if = "Attachment::is_nat")]
    pub attachment: Attachment,
    /// Ports of the host that lead into the guest.
    #[serde(default, rename = "forward", skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<Forward>,
}

impl Network {
    /// A card on the host's network.
    pub fn new(mac: MacAddress) -> Self {
        Self {
            model: NetworkModel::default(),
            mac,
            link: true,
            attachment: Attachment::default(),
            forwards: Vec::new(),
        }
    }
}

/// A network card's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkModel {
    /// virtio-net.
    #[default]
    Virtio,
}

/// A port of the host that leads into the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Forward {
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Protocol,
    /// Port on the host's 127.0.0.1.
    pub host: u16,
    /// Port in the guest.
    pub guest: u16,
}

/// A forward's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// A locally administered unicast address from random bytes, in the range that virtual machines use.
    pub fn from_random(bytes: [u8; 3]) -> Self {
        Self([0x52, 0x54, 0x00, bytes[0], bytes[1], bytes[2]])
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::str::FromStr for MacAddress {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Self, Problem> {
        let bad = || Problem::Mac(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        match parts.next() {
            None if bytes[0] & 1 == 0 => Ok(Self(bytes)),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

/// What is wrong with a configuration, as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a name for people and folders.
    #[error(
        "“{0}” cannot be a machine's name: use 1 to 80 characters, none of them “/” or a control character, not starting with “.”"
    )]
    Name(String),
    /// Too few or many processors.
    #[error("a machine can have 1 to {max} processors, not {0}", max = limits::PROCESSORS)]
    Processors(u32),
    /// Too little or much memory.
    #[error("a machine can have {min} MiB to {max} MiB of memory, not {0} MiB", min = limits::MEMORY_MIN, max = limits::MEMORY_MAX)]
    Memory(u64),
    /// More drives than places.
    #[error("a machine can have {max} AHCI and {virtio} virtio drives", max = limits::AHCI_DRIVES, virtio = limits::VIRTIO_DRIVES)]
    Drives,
    /// A CD on virtio-blk.
    #[error("a CD drive can only be connected to AHCI")]
    CdBus,
    /// A disk without an image.
    #[error("disk {0} has no image")]
    NoImage(usize),
    /// More cards than places.
    #[error("a machine can have {max} network cards", max = limits::NETWORKS)]
    Networks,
    /// Not an Ethernet address.
    #[error(
        "“{0}” is not an Ethernet address for a card: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56"
    )]
    Mac(String),
    /// Two cards of one address.
    #[error("two network cards cannot both have the address {0}")]
    SameMac(MacAddress),
    /// Not a forward.
    #[error("“{0}” is not a forward: write a port of this computer and one of the guest, as in 2222:22 or udp:5353:53")]
    Forward(String),
    /// A host port that leads to two places.
    #[error("port {0} of this computer cannot lead to two places")]
    SameForward(u16),
    /// Not a network.
    #[error("“{0}” is not a network: write nat, or as in internal:lab, bridge:br0 or tap:tap0")]
    Attachment(String),
    /// Not an internal network's name.
    #[error("“{0}” cannot be a network's name: use 1 to 32 letters from a to z, digits, “-” and “_”")]
    NetworkName(String),
    /// Not a network interface's name.
    #[error("“{0}” cannot be the name of a network device: “ip link” shows those there are")]
    InterfaceName(String),
    /// Ports of the host that cannot lead anywhere.
    #[error(
        "ports of this computer lead into net{0}, which they can only while it is on the network “nat”: take them away first"
    )]
    ForwardsNeedNat(usize),
    /// A port that leads nowhere.
    #[error("port {0} of this computer does not lead into this machine")]
    NoForward(u16),
    /// Not a size of a screen.
    #[error("“{0}” is not the size of a screen: write width and height as in 1280x800, with room for it in 16 MiB")]
    Resolution(String),
    /// Notes that are a book.
    #[error("notes can have {max} bytes, and no control characters; these have {0} bytes", max = limits::NOTES)]
    Notes(usize),
    /// A boot order with something that is not there.
    #[error("this machine has no “{0}” to start from")]
    NoBootDevice(String),
    /// A boot order with something twice.
    #[error("“{0}” stands in the boot order twice")]
    SameBootDevice(String),
    /// A name that is none for a group.
    #[error("“{0}” cannot be a group's name: it should be a short text in one line")]
    Group(String),
    /// No setting of this name.
    #[error("this machine has no setting “{0}”")]
    NoSetting(String),
    /// A value that a setting does not take.
    #[error("“{key}” takes {takes}, not “{value}”")]
    Value {
        /// The setting.
        key: String,
        /// What was to be its value.
        value: String,
        /// What it takes, in words.
        takes: String,
    },
    /// A running machine cannot follow.
    #[error("“{0}” can only be changed while the machine is off")]
    NeedsOff(String),
    /// A file of a later Dormer.
    #[error("this machine was made by a newer Dormer (format {0}): update Dormer to use it")]
    Format(u32),
}

/// What a board holds.
pub mod limits {
    /// Processors.
    pub const PROCESSORS: u32 = 64;
    /// Least memory in MiB.
    pub const MEMORY_MIN: u64 = 16;
    /// Most memory in MiB (1 TiB).
    pub const MEMORY_MAX: u64 = 1 << 20;
    /// Most memory in MiB that is all below 4 GiB: 32-bit systems see no other.
    pub const MEMORY_BELOW_4_GIB: u64 = 2816;
    /// Ports of the AHCI controller.
    pub const AHCI_DRIVES: usize = 6;
    /// Slots for virtio-blk.
    pub const VIRTIO_DRIVES: usize = 8;
    /// Slots for network cards.
    pub const NETWORKS: usize = 4;
    /// Sides of a screen.
    pub const SCREEN: std::ops::RangeInclusive<u32> = 480..=2560;
    /// Bytes of video memory.
    pub const VIDEO_MEMORY: u32 = 16 << 20;
    /// Bytes of notes.
    pub const NOTES: usize = 4096;
    /// Characters of a machine's name.
    pub const NAME: usize = 80;
}

/// Is this a name for people and folders?
pub fn check_name(name: &str) -> Result<(), Problem> {
    let length = name.chars().count();
    let good = (1..=limits::NAME).contains(&length)
        && !name.starts_with('.')
        && name.trim() == name
        && !name.chars().any(|c| c == '/' || c.is_control());
    good.then_some(()).ok_or_else(|| Problem::Name(name.to_owned()))
}

/// Is this a short text in one line?
fn is_line(text: &str) -> bool {
    (1..=limits::NAME).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control)
}

impl Machine {
    /// The newest file format.
    pub const FORMAT: u32 = 1;

    /// Everything that can be said without looking at the host.
    pub fn check(&self) -> Result<(), Problem> {
        if self.format > Self::FORMAT {
            return Err(Problem::Format(self.format));
        }
        check_name(&self.name)?;
        if let Some(group) = self.group.as_deref().filter(|group| !is_line(group)) {
            return Err(Problem::Group(group.to_owned()));
        }
        if !(1..=limits::PROCESSORS).contains(&self.processors) {
            return Err(Problem::Processors(self.processors));
        }
        if !(limits::MEMORY_MIN..=limits::MEMORY_MAX).contains(&self.memory) {
            return Err(Problem::Memory(self.memory));
        }
        for (number, drive) in self.drives.iter().enumerate() {
            match drive.kind {
                DriveKind::Cd if drive.bus != DriveBus::Ahci => return Err(Problem::CdBus),
                DriveKind::Disk if drive.image.is_none() => return Err(Problem::NoImage(number)),
                _ => {}
            }
        }
        let on = |bus| self.drives.iter().filter(|drive| drive.bus == bus).count();
        if on(DriveBus::Ahci) > limits::AHCI_DRIVES || on(DriveBus::Virtio) > limits::VIRTIO_DRIVES {
            return Err(Problem::Drives);
        }
        if self.networks.len() > limits::NETWORKS {
            return Err(Problem::Networks);
        }
        let mut addresses = HashSet::new();
        if let Some(network) = self.networks.iter().find(|network| !addresses.insert(network.mac)) {
            return Err(Problem::SameMac(network.mac));
        }
        let is_text = |c: char| !c.is_control() || c == '\n' || c == '\t';
        if self.notes.len() > limits::NOTES || !self.notes.chars().all(is_text) {
            return Err(Problem::Notes(self.notes.len()));
        }
        let devices = self.device_names();
        let mut named = HashSet::new();
        for name in &self.boot {
            if !devices.contains(name) {
                return Err(Problem::NoBootDevice(name.clone()));
            }
            if !named.insert(name) {
                return Err(Problem::SameBootDevice(name.clone()));
            }
        }
        let lost = |network: &Network| !network.attachment.is_nat() && !network.forwards.is_empty();
        if let Some(card) = self.networks.iter().position(lost) {
            return Err(Problem::ForwardsNeedNat(card));
        }
        let mut ports = HashSet::new();
        let mut forwards = self.networks.iter().flat_map(|network| &network.forwards);
        if let Some(forward) = forwards.find(|forward| !ports.insert((forward.protocol, forward.host))) {
            return Err(Problem::SameForward(forward.host));
        }
        Ok(())
    }

    /// What control commands and settings call each drive, in the drives' order: `disk0`, `cd0`, `disk1`.
    pub fn drive_names(&self) -> Vec<String> {
        let (mut disks, mut cds) = (0.., 0..);
        let mut name = |drive: &Drive| match drive.kind {
            DriveKind::Disk => format!("disk{}", disks.next().unwrap_or(0)),
            DriveKind::Cd => format!("cd{}", cds.next().unwrap_or(0)),
        };
        self.drives.iter().map(&mut name).collect()
    }

    /// The names of all drives and then of all network cards, `net0` being the first.
    pub fn device_names(&self) -> Vec<String> {
        let cards = (0..self.networks.len()).map(|card| format!("net{card}"));
        self.drive_names().into_iter().chain(cards).collect()
    }

    /// What it starts from, best first: all of its drives and network cards by name.
    pub fn boot_order(&self) -> Vec<String> {
        let mut names = self.device_names();
        // Stable: what is not named keeps its place behind what is.
        names.sort_by_key(|name| self.boot.iter().position(|named| named == name).unwrap_or(usize::MAX));
        names
    }

    /// Takes a drive away. Those of its kind behind it get other names; the boot order means the same devices as before.
    pub fn remove_drive(&mut self, place: usize) {
        self.keep_boot_order(place, |machine| drop(machine.drives.remove(place)));
    }

    /// Takes a network card away, as [`Machine::remove_drive`] does.
    pub fn remove_card(&mut self, card: usize) {
        self.keep_boot_order(self.drives.len() + card, |machine| drop(machine.networks.remove(card)));
    }

    /// `remove` takes the device away that has this place among [`Machine::device_names`].
    fn keep_boot_order(&mut self, place: usize, remove: impl FnOnce(&mut Self)) {
        let before = self.device_names();
        remove(self);
        let after = self.device_names();
        let renamed = |old: &String| {
            let at = before.iter().position(|name| name == old).filter(|at| *at != place)?;
            after.get(at - usize::from(at > place)).cloned()
        };
        self.boot = self.boot.iter().filter_map(renamed).collect();
    }
}

/// Which devices a guest gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// What works without a driver disk.
    Windows,
    /// virtio.
    Linux,
    /// BIOS, VGA and PS/2.
    Legacy,
}

/// What the host has to give, for defaults.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Processors online.
    pub processors: u32,
    /// Memory in MiB.
    pub memory: u64,
}

/// What a guest wants, from osinfo-db where known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Recommended (else minimum) processors.
    pub processors: Option<u32>,
    /// Recommended (else minimum) memory in MiB.
    pub memory: Option<u64>,
    /// Recommended (else minimum) disk in GiB.
    pub disk: Option<u64>,
    /// Minimum disk in GiB.
    pub least_disk: Option<u64>,
}

/// Sizes for a new machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Virtual processors.
    pub processors: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// Disk in GiB.
    pub disk: u64,
}

impl Sizes {
    /// What a new machine gets: what the guest recommends or a good size for the profile, never more than half of the host's
    /// processors and memory.
    pub fn for_guest(profile: Profile, wants: Wants, host: Host) -> Self {
        let (processors, memory, disk) = match profile {
            Profile::Windows => (4, 8192, 64),
            Profile::Linux => (4, 4096, 25),
            Profile::Legacy => (1, 256, 4),
        };
        let most_memory = (host.memory / 2).max(512);
        Self {
            processors: wants
                .processors
                .unwrap_or(0)
                .max(processors)
                .min((host.processors / 2).max(1))
                .min(limits::PROCESSORS),
            memory: wants.memory.unwrap_or(0).max(memory).min(most_memory) / 128 * 128,
            disk: wants.disk.unwrap_or(0).max(disk),
        }
    }
}

#[cfg(test)]
#[path = "machine_test.rs"]
mod tests;
