//! Jobs side by side: exact test hosts, each of which is one thread and so much memory.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use super::{Ended, Job, heading, place::Show};

/// Runs all of them, the ones that may take longest first, and hands each one's name and end to `ended`, on this thread.
pub(super) fn run(mut jobs: Vec<Job<'_>>, mut ended: impl FnMut(&str, Ended)) {
    jobs.sort_by_key(|job| std::cmp::Reverse(job.wishes.timeout));
    let lanes = lanes(&jobs);
    let alone = lanes == 1;
    let waiting = Mutex::new(VecDeque::from(jobs));
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..lanes {
            let (waiting, sender) = (&waiting, sender.clone());
            scope.spawn(move || {
                // A queue is whole even where a lane panicked.
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(job) = next() {
                    heading(&if alone { job.name() } else { format!("{}, beside others", job.name()) });
                    let result = job.run(if alone { Show::Live } else { Show::AtEnd });
                    if sender.send((job.name(), result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (name, result) in results {
            ended(&name, result);
        }
    });
}

/// How many run at a time: one for each processor, and no more than there is memory for.
fn lanes(jobs: &[Job<'_>]) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let available = available_memory(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let hungriest = jobs.iter().map(|job| job.wishes.memory_mib()).max().unwrap_or(1);
    // QEMU itself wants some too.
    let by_memory = available / (u64::from(hungriest) + 1024);
    processors.min(usize::try_from(by_memory).unwrap_or(usize::MAX)).min(jobs.len()).max(1)
}

/// `MemAvailable` of /proc/meminfo (proc_meminfo(5)), in MiB.
fn available_memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read() {
        assert_eq!(available_memory("MemTotal: 9 kB\nMemAvailable:    4194304 kB\nBuffers: 1 kB\n"), 4096);
        assert_eq!(available_memory(""), 0);
    }

    #[test]
    fn no_job_needs_no_lane() {
        run(Vec::new(), |name, _| panic!("{name} was never there"));
    }
}
