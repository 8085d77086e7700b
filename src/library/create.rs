//! A new machine: what the person chose, made into a folder.
//!
//! The folder is filled under a hidden name and renamed into the library when everything in it is on the disk, so there are no
//! half-made machines.

use std::path::{Path, PathBuf};

use api::machine::{
    Attachment, Board, Drive, DriveBus, DriveKind, Firmware, Forward, Host, ImageFormat, MacAddress, Machine, Network,
    NetworkModel, Profile, RealTimeClock, Resolution, Sizes, Sound, SoundCard, Usb, Wants, check_name, limits,
};
use uuid::Uuid;

use crate::entry::{Entry, FILE};
use crate::error::{Error, Result, Trying};
use crate::home::{Library, UNFINISHED};
use crate::lock::Lock;
use crate::media::{Medium, MediumKind, Windows};
use crate::room::{Needs, Room};
use crate::{atomic, firmware, image, qcow2};

/// What a person chose for a new machine.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMachine {
    /// Its name; [`Library::free_name`] finds one.
    pub name: String,
    /// The guest's id in osinfo-db.
    pub os: Option<String>,
    /// The guest in words, when they say more than its id.
    pub system: Option<String>,
    /// Which devices it gets.
    pub profile: Profile,
    /// How it starts.
    pub firmware: Firmware,
    /// Virtual processors.
    pub processors: u32,
    /// Memory in MiB.
    pub memory: u64,
    /// The image in its CD drive. A drive is there in any case.
    pub cd: Option<PathBuf>,
    /// Eject that image when the installation has ended.
    pub installer: bool,
    /// MiB of disk that its system cannot do without; 0 when nobody knows.
    pub least_disk: u64,
    /// Its disks.
    pub disks: Vec<NewDisk>,
    /// What its network card is connected to. Without it, a guest that has no use for one has none.
    pub network: Option<Attachment>,
    /// Host ports that lead into it.
    pub forwards: Vec<Forward>,
}

/// A disk of a new machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewDisk {
    /// An empty image, made in the machine's folder; takes room as it fills.
    Create {
        /// Bytes that the guest sees.
        size: u64,
        /// qcow2, or a sparse raw file.
        format: ImageFormat,
    },
    /// An image that is there, used where it is (throw-away machines use a copy).
    Use {
        /// Where.
        path: PathBuf,
        /// Recorded now, never guessed again.
        format: ImageFormat,
    },
}

impl NewMachine {
    /// A machine for this kind of guest, with an empty disk and an empty CD drive.
    pub fn new(name: impl Into<String>, profile: Profile, firmware: Firmware, wants: Wants, host: Host) -> Self {
        let sizes = Sizes::for_guest(profile, wants, host);
        Self {
            name: name.into(),
            os: None,
            system: None,
            profile,
            firmware,
            processors: sizes.processors,
            memory: sizes.memory,
            cd: None,
            installer: false,
            least_disk: wants.least_disk.map_or(0, |gib| gib.saturating_mul(1024)),
            disks: vec![NewDisk::Create { size: sizes.disk << 30, format: ImageFormat::Qcow2 }],
            network: None,
            forwards: Vec::new(),
        }
    }

    /// The machine that suits what is on `medium`: an installer's CD and an empty disk, or the disk itself.
    pub fn for_medium(name: impl Into<String>, medium: &Medium, host: Host) -> Self {
        let system = &medium.system;
        let mut new = Self::new(name, system.profile, medium.firmware(), system.wants, host);
        new.os = system.id.clone();
        if system.windows.as_ref().is_some_and(Windows::is_32_bit) {
            new.memory = new.memory.min(limits::MEMORY_BELOW_4_GIB);
        }
        match medium.kind {
            MediumKind::Cd => {
                new.cd = Some(medium.path.clone());
                new.installer = !system.live;
                let says_more = system.recognised && (system.id.is_none() || system.windows.is_some());
                new.system = says_more.then(|| system.description());
            }
            MediumKind::Disk => {
                new.disks = vec![NewDisk::Use { path: medium.path.clone(), format: medium.format }];
            }
        }
        new
    }

    /// The configuration, with disks at the paths given.
    fn configuration(&self, disks: Vec<(PathBuf, ImageFormat)>) -> Machine {
        let (bus, networks, virtio_input, clock) = match self.profile {
            Profile::Linux => (DriveBus::Virtio, 1, true, RealTimeClock::Utc),
            Profile::Windows => (DriveBus::Ahci, 1, false, RealTimeClock::Local),
            Profile::Legacy => (DriveBus::Ahci, 0, false, RealTimeClock::Local),
        };
        // Nobody knows which drivers are on a disk that is full already.
        let used = self.disks.iter().any(|disk| matches!(disk, NewDisk::Use { .. }));
        let unknown = used && self.os.is_none();
        let bus = if unknown { DriveBus::Ahci } else { bus };
        let disks = disks.into_iter().map(|(image, format)| Drive::disk(image, format, bus));
        // What is on a disk already was not installed from it.
        let installer = self.installer && self.cd.is_some() && !used;
        let cd = Drive { installer, ..Drive::cd(self.cd.clone()) };
        // An empty disk does not start, so its CD is next; once something is installed, the disk comes first as it should. From a
        // disk that is full already nobody would get to the CD that they put in.
        let drives: Vec<_> = if used && self.cd.is_some() {
            [cd].into_iter().chain(disks).collect()
        } else {
            disks.chain([cd]).collect()
        };
        let [.., a, b, c] = *Uuid::new_v4().as_bytes();
        let network = Network {
            attachment: self.network.clone().unwrap_or_default(),
            model: if unknown { NetworkModel::E1000 } else { NetworkModel::for_guest(self.profile) },
            forwards: self.forwards.clone(),
            ..Network::new(MacAddress::from_random([a, b, c]))
        };
        let networks = if self.network.is_none() && self.forwards.is_empty() { networks } else { 1 };
        Machine {
            format: Machine::FORMAT,
            uuid: Uuid::new_v4(),
            name: self.name.clone(),
            group: None,
            os: self.os.clone(),
            system: self.system.clone(),
            board: Board::default(),
            firmware: self.firmware,
            processors: self.processors,
            memory: self.memory,
            clock,
            boot: Vec::new(),
            drives,
            networks: (0..networks).map(|_| network.clone()).collect(),
            sound: Sound::new(if unknown { SoundCard::Hda } else { SoundCard::for_guest(self.profile) }),
            usb: Usb::for_guest(self.profile, virtio_input),
            virtio_input,
            resolution: Resolution::default(),
            video_memory: *limits::VIDEO_MEMORY.start(),
            autostart: false,
            notes: String::new(),
        }
    }

    /// Makes images and firmware variables in `folder` and says what the machine is.
    fn fill(&self, folder: &Path, copy_images: bool) -> Result<Machine> {
        let mut disks = Vec::new();
        for (number, disk) in self.disks.iter().enumerate() {
            let name = |format| {
                let suffix = if format == ImageFormat::Qcow2 { "qcow2" } else { "img" };
                if number == 0 { format!("disk.{suffix}") } else { format!("disk-{}.{suffix}", number + 1) }
            };
            disks.push(match disk {
                NewDisk::Create { size, format } => {
                    let name = name(*format);
                    image::create(&folder.join(&name), *size, *format)?;
                    (name.into(), *format)
                }
                NewDisk::Use { path, format } if copy_images => {
                    let name = name(*format);
                    image::copy(path, &folder.join(&name))?;
                    (name.into(), *format)
                }
                NewDisk::Use { path, format } => (std::path::absolute(path).at("find", path)?, *format),
            });
        }
        let mut machine = self.configuration(disks);
        for drive in machine.drives.iter_mut().filter(|drive| drive.kind == DriveKind::Cd) {
            if let Some(path) = &mut drive.image {
                *path = std::path::absolute(&path).at("find", path)?;
            }
        }
        machine.check()?;
        if self.firmware == Firmware::Uefi {
            firmware::new_variables(&folder.join(firmware::VARIABLES))?;
        }
        Ok(machine)
    }
}

/// A name that [`check_name`] takes, as near to `text` as can be.
pub(crate) fn name_from(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c == '/' || c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim().trim_start_matches('.').trim_start();
    // Room for a number behind it.
    let short: String = plain.chars().take(limits::NAME - 8).collect();
    let short = short.trim_end();
    if check_name(short).is_ok() { short.to_owned() } else { "Machine".to_owned() }
}

impl Library {
    /// Makes a machine.
    pub fn create(&self, new: &NewMachine) -> Result<Entry> {
        check_name(&new.name)?;
        self.name_is_free(&new.name)?;
        self.room().check(Needs::of(new))?;
        let (entry, _lock) =
            place(&self.machines(), false, |folder| new.fill(folder, false), |_| self.free_folder(&new.name))?;
        Ok(entry)
    }

    /// Makes a throw-away machine, its lock taken for whoever starts it with [`crate::engine::start_locked`]. Images it could
    /// write to are copied first.
    pub fn create_disposable(&self, new: &NewMachine) -> Result<(Entry, Lock)> {
        check_name(&new.name)?;
        self.sweep();
        let home = self.disposables();
        Room::now(&home).check(Needs::of(new))?;
        place(&home, true, |folder| new.fill(folder, true), |machine| home.join(machine.uuid.to_string()))
    }

    /// Makes a throw-away copy of a stopped machine: what it writes goes when it stops.
    pub fn copy_disposable(&self, entry: &Entry) -> Result<(Entry, Lock)> {
        self.sweep();
        // Nobody writes to its images meanwhile.
        let _original = entry.lock()?;
        let home = self.disposables();
        let fill = |folder: &Path| {
            let mut machine = entry.machine.clone();
            machine.uuid = Uuid::new_v4();
            machine.autostart = false;
            machine.name = name_from(&format!("{} (disposable)", name_from(&machine.name)));
            for (number, drive) in machine.drives.iter_mut().enumerate() {
                let Some(path) = &mut drive.image else { continue };
                let original = entry.image(path);
                if drive.kind == DriveKind::Cd || drive.read_only {
                    *path = original;
                } else {
                    let name = format!("disk-{number}");
                    image::copy(&original, &folder.join(&name))?;
                    *path = name.into();
                }
            }
            let variables = entry.folder.join(firmware::VARIABLES);
            if variables.exists() {
                image::copy(&variables, &folder.join(firmware::VARIABLES))?;
            }
            Ok(machine)
        };
        place(&home, true, fill, |machine| home.join(machine.uuid.to_string()))
    }
}

/// Makes a machine's folder in `home`: everything on the disk under a hidden name, then renamed to what `name` says.
fn place(
    home: &Path,
    disposable: bool,
    fill: impl FnOnce(&Path) -> Result<Machine>,
    name: impl FnOnce(&Machine) -> PathBuf,
) -> Result<(Entry, Lock)> {
    std::fs::create_dir_all(home).at("make", home)?;
    let hidden = home.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
    let made = (|| {
        std::fs::create_dir(&hidden).at("make", &hidden)?;
        let lock = Lock::take(&hidden)?.ok_or_else(|| Error::Running("new machine".into()))?;
        let mut entry = Entry { folder: hidden.clone(), machine: fill(&hidden)?, disposable };
        std::fs::create_dir(entry.logs()).at("make", &entry.logs())?;
        entry.save()?;
        debug_assert!(hidden.join(FILE).exists());
        entry.folder = name(&entry.machine);
        // Fails when somebody made a folder of that name meanwhile; nothing is ever replaced, as that one is not empty.
        std::fs::rename(&hidden, &entry.folder).at("make", &entry.folder)?;
        atomic::sync_folder(home)?;
        Ok((entry, lock))
    })();
    if made.is_err() {
        // What failed is the error worth telling.
        let _ = std::fs::remove_dir_all(&hidden);
    }
    made
}

impl NewDisk {
    /// Bytes in a size that a person wrote: `40G`, `512M`, `1.5T`, `10 GiB`.
    pub fn parse_size(text: &str) -> Result<u64> {
        let bad = || Error::Size(text.to_owned());
        let upper = text.trim().to_ascii_uppercase();
        let plain = upper.trim_end_matches('B').trim_end_matches('I');
        let (number, unit) = match plain.char_indices().find(|(_, c)| c.is_ascii_alphabetic()) {
            Some((at, _)) => plain.split_at(at),
            None => (plain, ""),
        };
        let shift = match unit {
            "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err(bad()),
        };
        let value: f64 = number.trim().parse().map_err(|_| bad())?;
        let bytes = value * (1u64 << shift) as f64;
        if !bytes.is_finite() || bytes < 1.0 || bytes > qcow2::MAX_SIZE as f64 {
            return Err(bad());
        }
        Ok(bytes as u64)
    }
}

#[cfg(test)]
#[path = "create_test.rs"]
mod tests;
