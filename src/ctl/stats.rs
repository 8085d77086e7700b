//! What a running machine uses and moves.

use std::time::Duration;

use anyhow::Result;
use api::control::NetworkStatus;
use api::stats::DriveStats;
use library::Entry;
use library::usage::Sample;
use serde_json::{Value, json};

use crate::output::{Output, table};

/// `stats`: what was used so far, and in this time.
pub(crate) fn stats(entry: &Entry, time: Duration, out: Output) -> Result<()> {
    let mut control = entry.running()?.control()?;
    let before = Sample::take(&mut control)?;
    std::thread::sleep(time);
    let now = Sample::take(&mut control)?;
    let rates = now.since(&before);
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
    let per_second =
        |now: u64, before: u64| if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
    // Drives and cards stay in their order as long as the engine runs.
    let drives: Vec<_> =
        now.drives.iter().zip(&before.drives).map(|(now, before)| of_drive(now, before, per_second)).collect();
    let cards: Vec<_> =
        now.networks.iter().zip(&before.networks).map(|(now, before)| of_card(now, before, per_second)).collect();
    let usage = &now.usage;
    out.data(
        || {
            json!({
                "seconds": seconds,
                "processors": { "count": usage.processors, "load": rates.load, "nanoseconds": usage.cpu_time },
                "memory": { "used": usage.memory, "size": usage.memory_size },
                "drives": drives.iter().map(Moved::json).collect::<Vec<_>>(),
                "networks": cards.iter().map(Moved::json).collect::<Vec<_>>(),
            })
        },
        || {
            let spent = Duration::from_nanos(usage.cpu_time).as_secs_f64();
            let load = format!("{:.0} % of {}, {spent:.1} s in all", rates.load * 100.0, usage.processors);
            let memory = format!("{} of {}", bytes(usage.memory as f64), bytes(usage.memory_size as f64));
            let mut rows = vec![vec!["Processors".to_owned(), load], vec!["Memory".to_owned(), memory]];
            rows.extend(drives.iter().chain(&cards).map(Moved::row));
            table(&rows)
        },
    )
}

/// What went through a device.
struct Moved {
    device: String,
    /// What it is called, bytes in all, and bytes in a second: in and out of the guest.
    ways: [(&'static str, u64, f64); 2],
    /// What else is known of it, for programs.
    more: Value,
}

fn of_drive(now: &DriveStats, before: &DriveStats, per_second: impl Fn(u64, u64) -> f64) -> Moved {
    let (stats, old) = (now.stats, before.stats);
    Moved {
        device: now.device.clone(),
        ways: [
            ("read", stats.rd_bytes, per_second(stats.rd_bytes, old.rd_bytes)),
            ("written", stats.wr_bytes, per_second(stats.wr_bytes, old.wr_bytes)),
        ],
        more: json!({
            "reads": stats.rd_operations,
            "writes": stats.wr_operations,
            "flushes": stats.flush_operations,
            "discards": stats.unmap_operations,
            "discarded": stats.unmap_bytes,
        }),
    }
}

fn of_card(now: &NetworkStatus, before: &NetworkStatus, per_second: impl Fn(u64, u64) -> f64) -> Moved {
    Moved {
        device: now.device.clone(),
        ways: [
            ("received", now.received_bytes, per_second(now.received_bytes, before.received_bytes)),
            ("sent", now.sent_bytes, per_second(now.sent_bytes, before.sent_bytes)),
        ],
        more: json!({
            "received-frames": now.received,
            "sent-frames": now.sent,
            "dropped-frames": now.dropped,
        }),
    }
}

impl Moved {
    fn json(&self) -> Value {
        let mut value = self.more.clone();
        value["device"] = json!(self.device);
        for (way, total, rate) in self.ways {
            value[way] = json!(total);
            value[format!("{way}-per-second")] = json!(rate);
        }
        value
    }

    fn row(&self) -> Vec<String> {
        let way =
            |(way, total, rate): (&str, u64, f64)| format!("{way} {}/s, {} in all", bytes(rate), bytes(total as f64));
        vec![self.device.clone(), self.ways.map(way).join("; ")]
    }
}

/// A number of bytes as people write it.
fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (1..units.len()).take_while(|unit| count >= 1024_f64.powi(*unit as i32)).count();
    let count = count / 1024_f64.powi(unit as i32);
    let places = usize::from(unit > 0 && count < 10.0);
    format!("{count:.places$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        let sizes = [0.0, 1023.0, 1024.0, 20.0 * 1024.0, 1.5 * 1024.0 * 1024.0, 1e20].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "20 KiB", "1.5 MiB", "90949470 TiB"]);
    }
}
