//! Which machines are shown, and in which order.

use crate::machines::Summary;
use crate::sort_by::SortBy;

/// Those of the machines (which are in the order of their names) that have all the query's words, in this order.
pub(super) fn arranged(machines: &[Summary], sort: SortBy, query: &str) -> Vec<Summary> {
    let query = query.to_lowercase();
    let found = |summary: &&Summary| {
        let name = summary.name().to_lowercase();
        let system = summary.entry.machine.os.as_deref().unwrap_or_default();
        query.split_whitespace().all(|word| name.contains(word) || system.contains(word))
    };
    let mut found: Vec<_> = machines.iter().filter(found).cloned().collect();
    if sort == SortBy::LastUsed {
        found.sort_by_key(|summary| std::cmp::Reverse(summary.last_start));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use api::machine::{Firmware, Host, Profile, Wants};
    use library::{Library, NewMachine, State};

    use super::*;

    #[test]
    fn machines_are_sorted_and_searched() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let host = Host { processors: 2, memory: 4096 };
        let summary = |(name, os, started): (&str, Option<&str>, Option<u64>)| {
            let mut new = NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), host);
            new.os = os.map(ToOwned::to_owned);
            let last_start = started.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            Summary { entry: library.create(&new).unwrap(), state: State::Stopped, last_start }
        };
        let machines = [
            ("Alpha", Some("debian13"), None),
            ("Beta", None, Some(5)),
            ("Gamma", Some("win11"), Some(9)),
            ("Ärger", None, None),
        ]
        .map(summary);
        let names = |sort, query: &str| {
            arranged(&machines, sort, query).iter().map(|machine| machine.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(SortBy::Name, ""), ["Alpha", "Beta", "Gamma", "Ärger"]);
        assert_eq!(names(SortBy::LastUsed, " "), ["Gamma", "Beta", "Alpha", "Ärger"]);
        assert_eq!(names(SortBy::Name, "ÄR"), ["Ärger"]);
        assert_eq!(names(SortBy::Name, "debian al"), ["Alpha"]);
        assert_eq!(names(SortBy::LastUsed, "a m"), ["Gamma"]);
        assert!(names(SortBy::Name, "win alpha").is_empty());
    }
}
