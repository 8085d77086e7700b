//! How large a new machine is, by what is to be in it and where it is to be.

use serde::{Deserialize, Serialize};

use crate::limits;

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
