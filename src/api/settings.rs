//! A machine's settings by name: `memory`, `disk0.bus`, `net0.forwards`.
//!
//! One list for `dormerctl set`, for the app and for whoever asks which there are. A [`Key`] says what it takes and what it is for;
//! [`Machine::set`] refuses what no board can be; [`live`] says what a running machine can follow.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::machine::{
    DiskCache, DriveBus, DriveKind, Firmware, Forward, Machine, Network, NetworkModel, Problem, RealTimeClock, Sound,
    SoundCard, UsbController, UsbRule, limits,
};

/// A setting's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `name`.
    Name,
    /// `group`.
    Group,
    /// `os`.
    Os,
    /// `firmware`.
    Firmware,
    /// `processors`.
    Processors,
    /// `memory`, in MiB.
    Memory,
    /// `clock`.
    Clock,
    /// `virtio-input`.
    VirtioInput,
    /// `boot`: the boot order.
    Boot,
    /// `resolution`.
    Resolution,
    /// `video-memory`, in MiB.
    VideoMemory,
    /// `sound.card`: of the sound card, and of consoles that play it.
    Sound(SoundKey),
    /// `usb.controller`: of USB.
    Usb(UsbKey),
    /// `autostart`.
    Autostart,
    /// `notes`.
    Notes,
    /// `disk0.bus`: of the disk with this number.
    Disk(usize, DiskKey),
    /// `net0.mac`: of the network card with this number.
    Card(usize, CardKey),
}

/// A disk's setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKey {
    /// `bus`.
    Bus,
    /// `read-only`.
    ReadOnly,
    /// `cache`.
    Cache,
}

impl DiskKey {
    /// All of them, as people are shown them.
    pub const ALL: [Self; 3] = [Self::Bus, Self::Cache, Self::ReadOnly];
}

/// A network card's setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKey {
    /// `link`: is the cable in?
    Link,
    /// `network`: where the cable goes.
    Network,
    /// `model`.
    Model,
    /// `mac`.
    Mac,
    /// `forwards`.
    Forwards,
}

impl CardKey {
    /// All of them, as people are shown them.
    pub const ALL: [Self; 5] = [Self::Link, Self::Network, Self::Model, Self::Mac, Self::Forwards];
}

/// A setting of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundKey {
    /// `card`.
    Card,
    /// `volume`, in percent.
    Volume,
    /// `mute`.
    Mute,
    /// `microphone`: may the guest hear it?
    Microphone,
    /// `output`: this computer's device that plays it.
    Output,
    /// `input`: this computer's microphone.
    Input,
}

impl SoundKey {
    /// All of them, as people are shown them.
    pub const ALL: [Self; 6] = [Self::Card, Self::Volume, Self::Mute, Self::Output, Self::Microphone, Self::Input];
}

/// A setting of USB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsbKey {
    /// `controller`.
    Controller,
    /// `keyboard`.
    Keyboard,
    /// `tablet`.
    Tablet,
    /// `mouse`.
    Mouse,
    /// `hub`.
    Hub,
    /// `rules`: which of this computer's USB devices it gets, and when.
    Rules,
}

impl UsbKey {
    /// All of them, as people are shown them.
    pub const ALL: [Self; 6] = [Self::Controller, Self::Tablet, Self::Mouse, Self::Keyboard, Self::Hub, Self::Rules];
}

/// What a setting takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any text that the setting itself accepts.
    Text,
    /// A whole number.
    Number(RangeInclusive<u64>),
    /// One of these.
    Words(&'static [&'static str]),
    /// What a card can be connected to ([`crate::machine::Attachment`]).
    Network,
    /// Any number of forwards with spaces between.
    Forwards,
    /// Names of drives and network cards with commas between.
    Devices,
    /// Any number of rules for USB devices ([`UsbRule`]) with spaces between.
    UsbRules,
}

/// Sizes of screens that people have. Widths are multiples of 8.
const RESOLUTIONS: &[&str] = &[
    "800x600",
    "1024x768",
    "1280x720",
    "1280x800",
    "1280x1024",
    "1440x900",
    "1600x900",
    "1680x1050",
    "1920x1080",
    "1920x1200",
    "2560x1440",
    "2560x1600",
    "3440x1440",
    "3840x2160",
];

/// MiB of video memory: the powers of two that a board takes.
const VIDEO_MEMORIES: &[&str] = &["16", "32", "64", "128", "256"];

/// The words of a setting that has a few values.
trait Words: Copy + PartialEq + 'static {
    const WORDS: &'static [&'static str];
    const VALUES: &'static [Self];

    fn word(self) -> String {
        let at = Self::VALUES.iter().position(|value| *value == self);
        at.map_or("", |at| Self::WORDS[at]).to_owned()
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().position(|known| *known == word).map(|at| Self::VALUES[at])
    }
}

impl Words for Firmware {
    const WORDS: &'static [&'static str] = &["uefi", "bios"];
    const VALUES: &'static [Self] = &[Self::Uefi, Self::Bios];
}

impl Words for RealTimeClock {
    const WORDS: &'static [&'static str] = &["utc", "local"];
    const VALUES: &'static [Self] = &[Self::Utc, Self::Local];
}

impl Words for DriveBus {
    const WORDS: &'static [&'static str] = &["ahci", "virtio", "usb"];
    const VALUES: &'static [Self] = &[Self::Ahci, Self::Virtio, Self::Usb];
}

impl Words for NetworkModel {
    const WORDS: &'static [&'static str] = &["virtio", "e1000"];
    const VALUES: &'static [Self] = &[Self::Virtio, Self::E1000];
}

impl Words for SoundCard {
    const WORDS: &'static [&'static str] = &["hda", "virtio", "none"];
    const VALUES: &'static [Self] = &[Self::Hda, Self::Virtio, Self::None];
}

impl Words for UsbController {
    const WORDS: &'static [&'static str] = &["xhci", "none"];
    const VALUES: &'static [Self] = &[Self::Xhci, Self::None];
}

impl Words for DiskCache {
    const WORDS: &'static [&'static str] = &["writeback", "direct"];
    const VALUES: &'static [Self] = &[Self::Writeback, Self::Direct];
}

impl Words for bool {
    const WORDS: &'static [&'static str] = &["on", "off"];
    const VALUES: &'static [Self] = &[true, false];
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Group => f.write_str("group"),
            Self::Os => f.write_str("os"),
            Self::Firmware => f.write_str("firmware"),
            Self::Processors => f.write_str("processors"),
            Self::Memory => f.write_str("memory"),
            Self::Clock => f.write_str("clock"),
            Self::VirtioInput => f.write_str("virtio-input"),
            Self::Boot => f.write_str("boot"),
            Self::Resolution => f.write_str("resolution"),
            Self::VideoMemory => f.write_str("video-memory"),
            Self::Sound(SoundKey::Card) => f.write_str("sound.card"),
            Self::Sound(SoundKey::Volume) => f.write_str("sound.volume"),
            Self::Sound(SoundKey::Mute) => f.write_str("sound.mute"),
            Self::Sound(SoundKey::Microphone) => f.write_str("sound.microphone"),
            Self::Sound(SoundKey::Output) => f.write_str("sound.output"),
            Self::Sound(SoundKey::Input) => f.write_str("sound.input"),
            Self::Usb(UsbKey::Controller) => f.write_str("usb.controller"),
            Self::Usb(UsbKey::Keyboard) => f.write_str("usb.keyboard"),
            Self::Usb(UsbKey::Tablet) => f.write_str("usb.tablet"),
            Self::Usb(UsbKey::Mouse) => f.write_str("usb.mouse"),
            Self::Usb(UsbKey::Hub) => f.write_str("usb.hub"),
            Self::Usb(UsbKey::Rules) => f.write_str("usb.rules"),
            Self::Autostart => f.write_str("autostart"),
            Self::Notes => f.write_str("notes"),
            Self::Disk(number, DiskKey::Bus) => write!(f, "disk{number}.bus"),
            Self::Disk(number, DiskKey::ReadOnly) => write!(f, "disk{number}.read-only"),
            Self::Disk(number, DiskKey::Cache) => write!(f, "disk{number}.cache"),
            Self::Card(number, CardKey::Link) => write!(f, "net{number}.link"),
            Self::Card(number, CardKey::Network) => write!(f, "net{number}.network"),
            Self::Card(number, CardKey::Model) => write!(f, "net{number}.model"),
            Self::Card(number, CardKey::Mac) => write!(f, "net{number}.mac"),
            Self::Card(number, CardKey::Forwards) => write!(f, "net{number}.forwards"),
        }
    }
}

impl FromStr for Key {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let of = |device: &str| {
            let number = device.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            number.parse::<usize>().ok().filter(|parsed| parsed.to_string() == number)
        };
        let part = || {
            let (device, what) = text.split_once('.')?;
            let number = of(device)?;
            let kind = device.strip_suffix(&number.to_string())?;
            Some(match (kind, what) {
                ("disk", "bus") => Self::Disk(number, DiskKey::Bus),
                ("disk", "read-only") => Self::Disk(number, DiskKey::ReadOnly),
                ("disk", "cache") => Self::Disk(number, DiskKey::Cache),
                ("net", "link") => Self::Card(number, CardKey::Link),
                ("net", "network") => Self::Card(number, CardKey::Network),
                ("net", "model") => Self::Card(number, CardKey::Model),
                ("net", "mac") => Self::Card(number, CardKey::Mac),
                ("net", "forwards") => Self::Card(number, CardKey::Forwards),
                _ => return None,
            })
        };
        match text {
            "name" => Ok(Self::Name),
            "group" => Ok(Self::Group),
            "os" => Ok(Self::Os),
            "firmware" => Ok(Self::Firmware),
            "processors" => Ok(Self::Processors),
            "memory" => Ok(Self::Memory),
            "clock" => Ok(Self::Clock),
            "virtio-input" => Ok(Self::VirtioInput),
            "boot" => Ok(Self::Boot),
            "resolution" => Ok(Self::Resolution),
            "video-memory" => Ok(Self::VideoMemory),
            "sound.card" => Ok(Self::Sound(SoundKey::Card)),
            "sound.volume" => Ok(Self::Sound(SoundKey::Volume)),
            "sound.mute" => Ok(Self::Sound(SoundKey::Mute)),
            "sound.microphone" => Ok(Self::Sound(SoundKey::Microphone)),
            "sound.output" => Ok(Self::Sound(SoundKey::Output)),
            "sound.input" => Ok(Self::Sound(SoundKey::Input)),
            "usb.controller" => Ok(Self::Usb(UsbKey::Controller)),
            "usb.keyboard" => Ok(Self::Usb(UsbKey::Keyboard)),
            "usb.tablet" => Ok(Self::Usb(UsbKey::Tablet)),
            "usb.mouse" => Ok(Self::Usb(UsbKey::Mouse)),
            "usb.hub" => Ok(Self::Usb(UsbKey::Hub)),
            "usb.rules" => Ok(Self::Usb(UsbKey::Rules)),
            "autostart" => Ok(Self::Autostart),
            "notes" => Ok(Self::Notes),
            _ => part().ok_or_else(|| Problem::NoSetting(text.to_owned())),
        }
    }
}

impl Key {
    /// What it takes.
    pub fn takes(self) -> Takes {
        match self {
            Self::Name
            | Self::Group
            | Self::Os
            | Self::Notes
            | Self::Card(_, CardKey::Mac)
            | Self::Sound(SoundKey::Output | SoundKey::Input) => Takes::Text,
            Self::Sound(SoundKey::Card) => Takes::Words(SoundCard::WORDS),
            Self::Usb(UsbKey::Controller) => Takes::Words(UsbController::WORDS),
            Self::Sound(SoundKey::Volume) => Takes::Number(0..=100),
            Self::Firmware => Takes::Words(Firmware::WORDS),
            Self::Processors => Takes::Number(1..=limits::PROCESSORS.into()),
            Self::Memory => Takes::Number(limits::MEMORY_MIN..=limits::MEMORY_MAX),
            Self::Clock => Takes::Words(RealTimeClock::WORDS),
            Self::Disk(_, DiskKey::Cache) => Takes::Words(DiskCache::WORDS),
            Self::Disk(_, DiskKey::Bus) => Takes::Words(DriveBus::WORDS),
            Self::VirtioInput
            | Self::Autostart
            | Self::Sound(SoundKey::Mute | SoundKey::Microphone)
            | Self::Usb(UsbKey::Keyboard | UsbKey::Tablet | UsbKey::Mouse | UsbKey::Hub)
            | Self::Disk(_, DiskKey::ReadOnly)
            | Self::Card(_, CardKey::Link) => Takes::Words(bool::WORDS),
            Self::Card(_, CardKey::Network) => Takes::Network,
            Self::Card(_, CardKey::Model) => Takes::Words(NetworkModel::WORDS),
            Self::Card(_, CardKey::Forwards) => Takes::Forwards,
            Self::Boot => Takes::Devices,
            Self::Usb(UsbKey::Rules) => Takes::UsbRules,
            Self::Resolution => Takes::Words(RESOLUTIONS),
            Self::VideoMemory => Takes::Words(VIDEO_MEMORIES),
        }
    }

    /// What it is for, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Name => "what the machine is called",
            Self::Group => "machines of one group stand together in the list; empty for none",
            Self::Os => "the system in it, by its id in osinfo-db; empty when unknown",
            Self::Firmware => "how it starts; most installed systems start only with the one they were installed with",
            Self::Processors => "how many processors the system sees",
            Self::Memory => "MiB of memory",
            Self::Clock => "what its clock shows: UTC for Linux and BSD, local time for Windows and DOS",
            Self::VirtioInput => "a tablet and a keyboard with virtio drivers, so that the mouse is not captured",
            Self::Boot => {
                "what it starts from, best first, as in cd0,disk0; the others follow. With BIOS only cards of model e1000 start it"
            }
            Self::Resolution => "the screen's size at first; most systems then let it be chosen",
            Self::VideoMemory => "MiB of the graphics adapter's own memory, which large screens need",
            Self::Sound(SoundKey::Card) => "HDA works with every system's own driver, virtio is for Linux",
            Self::Sound(SoundKey::Volume) => "how loud its consoles play it, in percent",
            Self::Sound(SoundKey::Mute) => "its consoles play nothing",
            Self::Sound(SoundKey::Microphone) => "the system hears this computer's microphone while a console is open",
            Self::Sound(SoundKey::Output) => "this computer's device that plays it; empty for the usual one",
            Self::Sound(SoundKey::Input) => "this computer's device that it hears; empty for the usual one",
            Self::Usb(UsbKey::Controller) => "xHCI is for Windows 8 and later, Linux and BSD; USB devices need it",
            Self::Usb(UsbKey::Keyboard) => {
                "keys go to a USB keyboard; systems without a driver for xHCI do not hear them"
            }
            Self::Usb(UsbKey::Tablet) => "a USB tablet, with which the mouse is not captured",
            Self::Usb(UsbKey::Mouse) => "a USB mouse, for systems that know no tablet",
            Self::Usb(UsbKey::Hub) => "a USB 2 hub: its own keyboard, mouse and tablet are in that, and what else fits",
            Self::Usb(UsbKey::Rules) => {
                "which of this computer's USB devices it gets: always, at start or ask, as in 0781:5581=always 046d:c52b@1-2=start"
            }
            Self::Autostart => "start it when you log in to this computer",
            Self::Notes => "what you want to remember of the machine",
            Self::Disk(_, DiskKey::Bus) => "AHCI works with every system, virtio is faster and needs a driver",
            Self::Disk(_, DiskKey::ReadOnly) => "the system cannot write to it",
            Self::Disk(_, DiskKey::Cache) => {
                "does it go through this computer's cache, or past it? What the system flushes is safe either way"
            }
            Self::Card(_, CardKey::Link) => "is the cable in?",
            Self::Card(_, CardKey::Network) => {
                "where the cable goes: nat is this computer's network, internal:NAME one that machines have among themselves, bridge:NAME and tap:NAME are network devices of this computer"
            }
            Self::Card(_, CardKey::Model) => "e1000 works with every system, virtio is faster and needs a driver",
            Self::Card(_, CardKey::Mac) => "its Ethernet address",
            Self::Card(_, CardKey::Forwards) => "ports of this computer that lead into the system, as in 2222:22",
        }
    }

    /// Can it change while the machine runs? ([`live`] has the last word.)
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Group
                | Self::Os
                | Self::Usb(UsbKey::Rules)
                | Self::Autostart
                | Self::Notes
                | Self::Sound(
                    SoundKey::Volume | SoundKey::Mute | SoundKey::Microphone | SoundKey::Output | SoundKey::Input
                )
                | Self::Card(_, CardKey::Link | CardKey::Network | CardKey::Forwards)
        )
    }

    /// Refuses a value.
    fn refuse(self, value: &str) -> Problem {
        let takes = match self.takes() {
            Takes::Text => "another text".to_owned(),
            Takes::Number(range) => format!("a number from {} to {}", range.start(), range.end()),
            Takes::Words(words) => words.join(" or "),
            Takes::Network => "nat, internal:NAME, bridge:NAME or tap:NAME".to_owned(),
            Takes::Forwards => "forwards with spaces between".to_owned(),
            Takes::UsbRules => "rules for USB devices with spaces between".to_owned(),
            Takes::Devices => "names of drives and network cards with commas between".to_owned(),
        };
        Problem::Value { key: self.to_string(), value: value.to_owned(), takes }
    }

    fn word<T: Words>(self, value: &str) -> Result<T, Problem> {
        T::from_word(value).ok_or_else(|| self.refuse(value))
    }

    fn number<T: TryFrom<u64>>(self, value: &str) -> Result<T, Problem> {
        let within = |number: &u64| matches!(self.takes(), Takes::Number(range) if range.contains(number));
        let number = value.parse::<u64>().ok().filter(within);
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| self.refuse(value))
    }
}

/// Forwards with spaces between.
fn forwards(value: &str) -> Result<Vec<Forward>, Problem> {
    value.split_whitespace().map(str::parse).collect()
}

/// Rules with spaces between.
fn usb_rules(value: &str) -> Result<Vec<UsbRule>, Problem> {
    value.split_whitespace().map(str::parse).collect()
}

impl Machine {
    /// The settings that this machine has.
    pub fn keys(&self) -> Vec<Key> {
        let mut keys = vec![
            Key::Name,
            Key::Group,
            Key::Os,
            Key::Firmware,
            Key::Processors,
            Key::Memory,
            Key::Clock,
            Key::VirtioInput,
            Key::Boot,
            Key::Resolution,
            Key::VideoMemory,
            Key::Autostart,
            Key::Notes,
        ];
        keys.extend(SoundKey::ALL.map(Key::Sound));
        keys.extend(UsbKey::ALL.map(Key::Usb));
        let disks = self.drives.iter().filter(|drive| drive.kind == DriveKind::Disk).count();
        keys.extend((0..disks).flat_map(|disk| DiskKey::ALL.map(|what| Key::Disk(disk, what))));
        keys.extend((0..self.networks.len()).flat_map(|card| CardKey::ALL.map(|what| Key::Card(card, what))));
        keys
    }

    /// A setting's value, as [`Machine::set`] takes it. None when this machine has no such setting.
    pub fn get(&self, key: Key) -> Option<String> {
        Some(match key {
            Key::Name => self.name.clone(),
            Key::Group => self.group.clone().unwrap_or_default(),
            Key::Os => self.os.clone().unwrap_or_default(),
            Key::Firmware => self.firmware.word(),
            Key::Processors => self.processors.to_string(),
            Key::Memory => self.memory.to_string(),
            Key::Clock => self.clock.word(),
            Key::VirtioInput => self.virtio_input.word(),
            Key::Boot => self.boot_order().join(","),
            Key::Resolution => self.resolution.to_string(),
            Key::VideoMemory => self.video_memory.to_string(),
            Key::Sound(SoundKey::Card) => self.sound.card.word(),
            Key::Sound(SoundKey::Volume) => self.sound.volume.to_string(),
            Key::Sound(SoundKey::Mute) => self.sound.mute.word(),
            Key::Sound(SoundKey::Microphone) => self.sound.microphone.word(),
            Key::Sound(SoundKey::Output) => self.sound.output.clone(),
            Key::Sound(SoundKey::Input) => self.sound.input.clone(),
            Key::Usb(UsbKey::Controller) => self.usb.controller.word(),
            Key::Usb(UsbKey::Keyboard) => self.usb.keyboard.word(),
            Key::Usb(UsbKey::Tablet) => self.usb.tablet.word(),
            Key::Usb(UsbKey::Mouse) => self.usb.mouse.word(),
            Key::Usb(UsbKey::Hub) => self.usb.hub.word(),
            Key::Usb(UsbKey::Rules) => self.usb.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Key::Autostart => self.autostart.word(),
            Key::Notes => self.notes.clone(),
            Key::Disk(disk, what) => {
                let drive = self.drives.iter().filter(|drive| drive.kind == DriveKind::Disk).nth(disk)?;
                match what {
                    DiskKey::Bus => drive.bus.word(),
                    DiskKey::ReadOnly => drive.read_only.word(),
                    DiskKey::Cache => drive.cache.word(),
                }
            }
            Key::Card(card, what) => {
                let network = self.networks.get(card)?;
                match what {
                    CardKey::Link => network.link.word(),
                    CardKey::Network => network.attachment.to_string(),
                    CardKey::Model => network.model.word(),
                    CardKey::Mac => network.mac.to_string(),
                    CardKey::Forwards => network.forwards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                }
            }
        })
    }

    /// Sets a setting. After an error the machine is as it was.
    pub fn set(&mut self, key: Key, value: &str) -> Result<(), Problem> {
        let missing = || Problem::NoSetting(key.to_string());
        let mut new = self.clone();
        match key {
            Key::Name => new.name = value.to_owned(),
            Key::Group => new.group = Some(value.to_owned()).filter(|group| !group.is_empty()),
            Key::Os => {
                // An id is a word; whether the database knows it is another question.
                let is_id = value.len() <= 64 && value.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
                // What the medium said may not be so any more.
                new.system = new.system.filter(|_| self.os.as_deref().unwrap_or_default() == value);
                new.os = is_id.then(|| Some(value.to_owned()).filter(|id| !id.is_empty())).ok_or(key.refuse(value))?;
            }
            Key::Firmware => new.firmware = key.word(value)?,
            Key::Processors => new.processors = key.number(value)?,
            Key::Memory => new.memory = key.number(value)?,
            Key::Clock => new.clock = key.word(value)?,
            Key::VirtioInput => new.virtio_input = key.word(value)?,
            Key::Resolution => {
                let known = RESOLUTIONS.contains(&value);
                new.resolution = known.then(|| value.parse()).ok_or_else(|| key.refuse(value))??;
            }
            Key::VideoMemory => {
                let known = VIDEO_MEMORIES.contains(&value).then(|| value.parse().ok()).flatten();
                new.video_memory = known.ok_or_else(|| key.refuse(value))?;
            }
            Key::Sound(SoundKey::Card) => new.sound.card = key.word(value)?,
            Key::Sound(SoundKey::Volume) => new.sound.volume = key.number(value)?,
            Key::Sound(SoundKey::Mute) => new.sound.mute = key.word(value)?,
            Key::Sound(SoundKey::Microphone) => new.sound.microphone = key.word(value)?,
            Key::Sound(SoundKey::Output) => new.sound.output = value.to_owned(),
            Key::Sound(SoundKey::Input) => new.sound.input = value.to_owned(),
            Key::Usb(UsbKey::Controller) => new.usb.controller = key.word(value)?,
            Key::Usb(UsbKey::Keyboard) => new.usb.keyboard = key.word(value)?,
            Key::Usb(UsbKey::Tablet) => new.usb.tablet = key.word(value)?,
            Key::Usb(UsbKey::Mouse) => new.usb.mouse = key.word(value)?,
            Key::Usb(UsbKey::Hub) => new.usb.hub = key.word(value)?,
            Key::Usb(UsbKey::Rules) => new.usb.rules = usb_rules(value)?,
            Key::Autostart => new.autostart = key.word(value)?,
            Key::Notes => new.notes = value.to_owned(),
            Key::Boot => {
                new.boot = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect();
                new.check()?;
                // Written down only if it is not how the devices stand anyway.
                new.boot = new.boot_order();
                if new.boot == new.device_names() {
                    new.boot.clear();
                }
            }
            Key::Disk(disk, what) => {
                let disks = new.drives.iter_mut().filter(|drive| drive.kind == DriveKind::Disk);
                let drive = disks.into_iter().nth(disk).ok_or_else(missing)?;
                match what {
                    DiskKey::Bus => drive.bus = key.word(value)?,
                    DiskKey::ReadOnly => drive.read_only = key.word(value)?,
                    DiskKey::Cache => drive.cache = key.word(value)?,
                }
            }
            Key::Card(card, what) => {
                let network = new.networks.get_mut(card).ok_or_else(missing)?;
                match what {
                    CardKey::Link => network.link = key.word(value)?,
                    CardKey::Network => network.attachment = value.parse()?,
                    CardKey::Model => network.model = key.word(value)?,
                    CardKey::Mac => network.mac = value.parse()?,
                    CardKey::Forwards => network.forwards = forwards(value)?,
                }
            }
        }
        new.check()?;
        *self = new;
        Ok(())
    }
}

/// A change that a running machine follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// Pull a card's cable or plug it in.
    Link {
        /// The card's number.
        card: usize,
        /// In or out.
        up: bool,
    },
    /// Plug a card's cable in somewhere else.
    Network {
        /// The card's number.
        card: usize,
        /// What it is like from then on.
        network: Network,
    },
    /// Lead other ports into the guest.
    Forwards {
        /// The card's number.
        card: usize,
        /// These no more.
        remove: Vec<Forward>,
        /// These from now on.
        add: Vec<Forward>,
    },
}

/// What has to be done to a running machine to make `from` into `to`; refuses what needs a machine that is off.
pub fn live(from: &Machine, to: &Machine) -> Result<Vec<Live>, Problem> {
    let mut followed = from.clone();
    let mut changes = Vec::new();
    // Nobody but people and their desktop reads these.
    followed.os.clone_from(&to.os);
    followed.autostart = to.autostart;
    followed.notes.clone_from(&to.notes);
    followed.group.clone_from(&to.group);
    followed.system.clone_from(&to.system);
    followed.usb.rules.clone_from(&to.usb.rules);
    // Consoles do what the rest of these say.
    followed.sound = Sound { card: from.sound.card, ..to.sound.clone() };
    for (card, (old, new)) in followed.networks.iter_mut().zip(&to.networks).enumerate() {
        if old.link != new.link {
            changes.push(Live::Link { card, up: new.link });
            old.link = new.link;
        }
        if old.attachment != new.attachment {
            changes.push(Live::Network { card, network: new.clone() });
            // What is made there has its ports.
            old.attachment.clone_from(&new.attachment);
            old.forwards.clone_from(&new.forwards);
        }
        if old.forwards != new.forwards {
            let without = |a: &[Forward], b: &[Forward]| a.iter().filter(|one| !b.contains(one)).copied().collect();
            let (remove, add) = (without(&old.forwards, &new.forwards), without(&new.forwards, &old.forwards));
            changes.push(Live::Forwards { card, remove, add });
            old.forwards.clone_from(&new.forwards);
        }
    }
    if followed == *to {
        return Ok(changes);
    }
    let keys = to.keys();
    // With other devices the boot order is another one too, which says less.
    let same_devices = followed.device_names() == to.device_names();
    let mut told = keys.into_iter().filter(|key| same_devices || *key != Key::Boot);
    let changed = told.find(|key| followed.get(*key) != to.get(*key));
    Err(Problem::NeedsOff(changed.map_or_else(|| "drives and network cards".to_owned(), |key| key.to_string())))
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
