//! What a running machine takes of this computer, and what goes through its drives and network cards: samples of its engine's counters
//! ([`api::stats`]), and what happened between two of them.
//!
//! An engine measures nothing by itself: whoever wants to know asks, and one that nobody asks has no work with it.

use std::time::Instant;

use api::control::{Command, NetworkStatus};
use api::stats::{DriveStats, Usage};

use crate::control::{Client, Error};

/// An engine's counters at one instant, as near as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When they were asked for.
    pub at: Instant,
    /// Processor time and memory.
    pub usage: Usage,
    /// What went through each drive.
    pub drives: Vec<DriveStats>,
    /// What went through each network card.
    pub networks: Vec<NetworkStatus>,
}

/// What happened between two samples, for each second of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// How much of the machine's processors was used: 0 is nothing, 1 is all of them.
    pub load: f64,
    /// Bytes read from all drives.
    pub read: f64,
    /// Bytes written to all drives.
    pub written: f64,
    /// Bytes that came in over all cards.
    pub received: f64,
    /// Bytes that went out over all cards.
    pub sent: f64,
}

impl Sample {
    /// Asks an engine.
    pub fn take(client: &mut Client) -> Result<Self, Error> {
        Ok(Self {
            at: Instant::now(),
            usage: client.ask(&Command::QueryUsage {})?,
            drives: client.drive_stats()?,
            networks: client.networks()?,
        })
    }

    /// What happened since an earlier sample of the same engine. A counter that went back, which none does, counts as standing.
    pub fn since(&self, earlier: &Self) -> Rates {
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        let between = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let drives = |of: fn(&DriveStats) -> u64| between(total(&self.drives, of), total(&earlier.drives, of));
        let networks = |of: fn(&NetworkStatus) -> u64| between(total(&self.networks, of), total(&earlier.networks, of));
        let cpu_seconds = between(self.usage.cpu_time, earlier.usage.cpu_time) / 1e9;
        Rates {
            // What the engine does for its guest counts too, and may be more than the guest alone can use.
            load: (cpu_seconds / f64::from(self.usage.processors.max(1))).min(1.0),
            read: drives(|drive| drive.stats.rd_bytes),
            written: drives(|drive| drive.stats.wr_bytes),
            received: networks(|card| card.received_bytes),
            sent: networks(|card| card.sent_bytes),
        }
    }
}

fn total<T>(all: &[T], of: fn(&T) -> u64) -> u64 {
    all.iter().map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::machine::MacAddress;
    use api::stats::BlockStats;

    use super::*;

    fn sample(at: Instant, cpu_time: u64, processors: u32, bytes: u64) -> Sample {
        let stats = BlockStats { rd_bytes: bytes, wr_bytes: 2 * bytes, ..BlockStats::default() };
        let drive = |device: &str| DriveStats { device: device.into(), stats };
        let card = NetworkStatus {
            device: "net0".into(),
            mac: MacAddress::from_random([0; 3]),
            network: "nat".into(),
            plugged: true,
            link: true,
            sent: 0,
            sent_bytes: 0,
            dropped: 0,
            received: 1,
            received_bytes: bytes,
            captured: false,
        };
        let usage = Usage { cpu_time, processors, memory: 1, memory_size: 2 };
        Sample { at, usage, drives: vec![drive("disk0"), drive("cd0")], networks: vec![card] }
    }

    #[test]
    fn rates_are_for_a_second() {
        let begin = Instant::now();
        let (first, second) =
            (sample(begin, 5, 2, 100), sample(begin + Duration::from_secs(2), 1_000_000_005, 2, 1100));
        let rates = second.since(&first);
        assert_eq!(rates, Rates { load: 0.25, read: 1000.0, written: 2000.0, received: 500.0, sent: 0.0 });
        // The same instant, and counters that go back.
        assert_eq!(first.since(&first), Rates::default());
        let back = Sample { at: begin + Duration::from_secs(4), ..first };
        assert_eq!(back.since(&second), Rates::default());
    }

    #[test]
    fn nonsense_is_bounded() {
        let begin = Instant::now();
        let (first, second) =
            (sample(begin, 0, 0, 0), sample(begin + Duration::from_secs(1), u64::MAX, 0, u64::MAX / 2));
        let rates = second.since(&first);
        assert_eq!(rates.load, 1.0);
        assert!(rates.read.is_finite() && rates.written.is_finite(), "{rates:?}");
    }
}
