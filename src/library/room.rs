//! Is there enough on this computer for a machine: room for its disks, memory, processors.
//!
//! Disks take room as they fill, so a large disk on a small file system is a concern and no refusal. Asked before a machine is made,
//! and of memory when it starts.

use std::fmt;
use std::path::{Path, PathBuf};

use api::machine::{Host, limits};

use crate::create::{NewDisk, NewMachine};
use crate::error::{Error, Result, Trying};
use crate::home::Library;
use crate::host;

/// MiB that a file system must have for a machine to begin: its firmware's variables, its logs, and what others need.
const BEGIN: u64 = 256;
/// Bytes that are left for others where something is copied to.
const SPARE: u64 = 256 << 20;

/// What this computer has for machines now.
#[derive(Clone, Debug)]
pub struct Room {
    /// Processors and memory.
    pub host: Host,
    /// MiB of memory that programs could get now, if the kernel says.
    pub memory: Option<u64>,
    /// Where machines are.
    pub folder: PathBuf,
    /// MiB that can be written there, if the system says.
    pub disk: Option<u64>,
}

/// Something that a person should know before a machine is made or started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// There is hardly any room: the machine is not made.
    Full {
        /// Where.
        folder: PathBuf,
        /// MiB that are free there.
        free: u64,
    },
    /// The system asks for more room than there is.
    Cramped {
        /// MiB that it asks for.
        needs: u64,
        /// MiB that are free.
        free: u64,
    },
    /// The disks could grow beyond the room.
    Outgrows {
        /// MiB of all disks.
        size: u64,
        /// MiB that are free.
        free: u64,
    },
    /// More memory than the computer has: the machine is not made.
    Memory {
        /// MiB that the machine is to have.
        wanted: u64,
        /// MiB of the computer.
        there: u64,
    },
    /// More memory than is free now.
    MemoryTaken {
        /// MiB that the machine has.
        wanted: u64,
        /// MiB that are free.
        free: u64,
    },
    /// More processors than the computer has.
    Processors {
        /// How many the machine is to have.
        wanted: u32,
        /// How many there are.
        there: u32,
    },
}

/// MiB as people write them.
fn amount(mib: u64) -> String {
    match mib {
        0..1024 => format!("{mib} MiB"),
        _ if mib.is_multiple_of(1024) => format!("{} GiB", mib / 1024),
        _ => format!("{:.1} GiB", mib as f64 / 1024.0),
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { folder, free } => {
                write!(f, "There is no room for a machine: {} has {} free.", folder.display(), amount(*free))
            }
            Self::Cramped { needs, free } => write!(
                f,
                "Its system asks for {} of disk and only {} are free: the installation may not come to its end.",
                amount(*needs),
                amount(*free)
            ),
            Self::Outgrows { size, free } => write!(
                f,
                "Only {} are free: the disk takes room as it fills, up to {}, and the machine stops when there is none left.",
                amount(*free),
                amount(*size)
            ),
            Self::Memory { wanted, there } => {
                write!(f, "This computer has {} of memory: a machine cannot have {}.", amount(*there), amount(*wanted))
            }
            Self::MemoryTaken { wanted, free } => write!(
                f,
                "Only {} of memory are free now, and the machine has {}: this computer may become slow.",
                amount(*free),
                amount(*wanted)
            ),
            Self::Processors { wanted, there } => write!(
                f,
                "The machine has {wanted} processors and this computer {there}: it runs slower than with {there}."
            ),
        }
    }
}

impl Concern {
    /// Is there no machine with it?
    pub fn refuses(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Memory { .. })
    }
}

/// What a machine takes, as far as this computer has to give it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Virtual processors.
    pub processors: u32,
    /// MiB.
    pub memory: u64,
    /// MiB of disks that are made for it.
    pub disk: u64,
    /// MiB of disk that its system cannot do without.
    pub least_disk: u64,
}

impl Needs {
    /// Of a new machine.
    pub fn of(new: &NewMachine) -> Self {
        let made = new.disks.iter().map(|disk| match disk {
            NewDisk::Create { size, .. } => size >> 20,
            NewDisk::Use { .. } => 0,
        });
        let disk = made.fold(0u64, u64::saturating_add);
        let least_disk = if disk > 0 { new.least_disk } else { 0 };
        Self { processors: new.processors, memory: new.memory, disk, least_disk }
    }
}

impl Room {
    /// What there is for machines in `folder`, which may not be there yet.
    pub fn now(folder: &Path) -> Self {
        let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
        Self {
            host: host::resources(),
            memory: host::memory_available(),
            folder: folder.to_owned(),
            disk: host::free_space(there).ok().map(|bytes| bytes >> 20),
        }
    }

    /// What a person should know before a machine that needs this is made; what refuses it comes first.
    pub fn concerns(&self, needs: Needs) -> Vec<Concern> {
        let Needs { processors, memory: wanted, disk: size, least_disk } = needs;
        let there = self.host.memory;
        let memory = if wanted > there {
            Some(Concern::Memory { wanted, there })
        } else {
            self.memory.filter(|&free| wanted > free).map(|free| Concern::MemoryTaken { wanted, free })
        };
        let disk = self.disk.and_then(|free| {
            if free < BEGIN {
                Some(Concern::Full { folder: self.folder.clone(), free })
            } else if free < least_disk {
                Some(Concern::Cramped { needs: least_disk, free })
            } else {
                (free < size).then_some(Concern::Outgrows { size, free })
            }
        });
        // What no board has is refused elsewhere.
        let many = processors > self.host.processors && processors <= limits::PROCESSORS;
        let processors = many.then_some(Concern::Processors { wanted: processors, there: self.host.processors });
        let mut concerns: Vec<_> = [disk, memory, processors].into_iter().flatten().collect();
        concerns.sort_by_key(|concern| !concern.refuses());
        concerns
    }

    /// Refuses what there cannot be.
    pub(crate) fn check(&self, needs: Needs) -> Result<()> {
        match self.concerns(needs).into_iter().next() {
            Some(Concern::Memory { wanted, there }) => Err(Error::Memory { wanted, there }),
            Some(Concern::Full { folder, free }) => Err(Error::NoRoom { path: folder, free, needed: BEGIN }),
            _ => Ok(()),
        }
    }
}

impl Library {
    /// What there is for machines of this library.
    pub fn room(&self) -> Room {
        Room::now(&self.machines())
    }
}

/// Refuses a copy of so many bytes where there is no room for it.
pub(crate) fn for_copy(folder: &Path, bytes: u64) -> Result<()> {
    let free = host::free_space(folder).at("look at", folder)?;
    let needed = bytes.saturating_add(SPARE);
    match needed > free {
        true => Err(Error::NoRoom { path: folder.to_owned(), free: free >> 20, needed: needed >> 20 }),
        false => Ok(()),
    }
}

/// What a person should know when a machine with so much memory starts.
pub(crate) fn memory_note(wanted: u64, free: Option<u64>) -> Option<String> {
    let free = free.filter(|&free| wanted > free)?;
    Some(Concern::MemoryTaken { wanted, free }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        let host = Host { processors: 4, memory: 8192 };
        Room { host, memory: Some(5000), folder: "/m".into(), disk: Some(30 << 10) }
    }

    const NEEDS: Needs = Needs { processors: 4, memory: 4096, disk: 25 << 10, least_disk: 10 << 10 };

    #[test]
    fn concerns() {
        assert_eq!(room().concerns(NEEDS), []);
        let of = |needs: Needs| room().concerns(needs).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            of(Needs { disk: 64 << 10, ..NEEDS }),
            "Only 30 GiB are free: the disk takes room as it fills, up to 64 GiB, and the machine stops when there is none left."
        );
        let cramped = of(Needs { disk: 64 << 10, least_disk: 52 << 10, ..NEEDS });
        assert!(cramped.starts_with("Its system asks for 52 GiB of disk and only 30 GiB are free"), "{cramped}");
        let taken = of(Needs { memory: 6144, ..NEEDS });
        assert_eq!(
            taken,
            "Only 4.9 GiB of memory are free now, and the machine has 6 GiB: this computer may become slow."
        );
        assert!(of(Needs { processors: 5, ..NEEDS }).contains("5 processors and this computer 4"));
        assert_eq!(of(Needs { processors: limits::PROCESSORS + 1, ..NEEDS }), "", "the board says that");
        let much = Needs { memory: 9000, disk: 64 << 10, ..NEEDS };
        assert!(of(much).starts_with("This computer has 8 GiB of memory: a machine cannot have 8.8 GiB."));
        assert!(matches!(room().check(much), Err(Error::Memory { wanted: 9000, there: 8192 })));
        room().check(Needs { disk: 64 << 10, memory: 6144, ..NEEDS }).unwrap();
    }

    #[test]
    fn a_full_file_system_takes_no_machine() {
        let full = Room { disk: Some(100), memory: None, ..room() };
        let concerns = full.concerns(Needs { memory: 8000, ..NEEDS });
        assert!(concerns.len() == 1 && concerns[0].refuses());
        let error = full.check(NEEDS).unwrap_err().to_string();
        assert_eq!(error, "/m has 100 MiB free, and 256 MiB are needed");
        assert_eq!(Room { disk: None, ..room() }.concerns(Needs { disk: u64::MAX, ..NEEDS }), [], "nobody knows");
    }

    #[test]
    fn copies_leave_room_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let free = host::free_space(folder.path()).unwrap();
        for bytes in [free, u64::MAX] {
            let error = for_copy(folder.path(), bytes).unwrap_err();
            assert!(matches!(error, Error::NoRoom { ref path, .. } if path == folder.path()), "{error}");
        }
        assert_eq!(for_copy(folder.path(), 0).is_ok(), free >= SPARE);
    }

    #[test]
    fn this_computer() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::now(&folder.path().join("not/there/yet"));
        assert_eq!(room.disk.is_some(), host::free_space(folder.path()).is_ok());
        assert!(room.memory.unwrap() <= room.host.memory);
        assert_eq!(memory_note(4096, Some(4096)), None);
        assert!(memory_note(4096, Some(100)).unwrap().starts_with("Only 100 MiB of memory"));
    }
}
