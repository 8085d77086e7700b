//! Which machines are shown, in which order, and which stand together.

use std::collections::BTreeMap;

use crate::machines::Summary;
use crate::sort_by::SortBy;

/// Those of the machines (which are in the order of their names) that have all the query's words, in this order.
pub(super) fn arranged(machines: &[Summary], sort: SortBy, query: &str) -> Vec<Summary> {
    let query = query.to_lowercase();
    let found = |summary: &&Summary| {
        let name = summary.name().to_lowercase();
        let machine = &summary.entry.machine;
        let id = machine.os.as_deref().unwrap_or_default();
        let system = machine.system.as_deref().unwrap_or_default().to_lowercase();
        query.split_whitespace().all(|word| [name.as_str(), id, &system].iter().any(|text| text.contains(word)))
    };
    let mut found: Vec<_> = machines.iter().filter(found).cloned().collect();
    if sort == SortBy::LastUsed {
        found.sort_by_key(|summary| std::cmp::Reverse(summary.last_start));
    }
    found
}

/// Machines as they stand together, each group in the order that they had: first those of no group, then the groups by their names.
pub(super) fn grouped(machines: Vec<Summary>) -> Vec<(Option<String>, Vec<Summary>)> {
    let mut groups: BTreeMap<Option<(String, String)>, Vec<Summary>> = BTreeMap::new();
    for machine in machines {
        // “a” and “A” are two groups, side by side.
        let key = machine.group().map(|group| (group.to_lowercase(), group.to_owned()));
        groups.entry(key).or_default().push(machine);
    }
    groups.into_iter().map(|(key, machines)| (key.map(|(_, group)| group), machines)).collect()
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
            new.system = os.filter(|id| *id == "win11").map(|_| "Windows 11 Pro".to_owned());
            let last_start = started.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            Summary { entry: Box::new(library.create(&new).unwrap()), state: State::Stopped, last_start }
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
        assert_eq!(names(SortBy::Name, "windows PRO"), ["Gamma"]);
        assert!(names(SortBy::Name, "win alpha").is_empty());
    }

    #[test]
    fn machines_of_a_group_stand_together() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(folder.path());
        let host = Host { processors: 2, memory: 4096 };
        let summary = |(name, group): (&str, Option<&str>)| {
            let new = NewMachine::new(name, Profile::Linux, Firmware::Bios, Wants::default(), host);
            let mut entry = library.create(&new).unwrap();
            entry.machine.group = group.map(ToOwned::to_owned);
            Summary { entry: Box::new(entry), state: State::Stopped, last_start: None }
        };
        let machines = [("1", Some("work")), ("2", None), ("3", Some("Home")), ("4", Some("work"))].map(summary);
        let shown: Vec<_> = grouped(machines.to_vec())
            .into_iter()
            .map(|(group, machines)| {
                (group, machines.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>().concat())
            })
            .collect();
        let group = |name: &str| Some(name.to_owned());
        assert_eq!(shown, [(None, "2".into()), (group("Home"), "3".into()), (group("work"), "14".into())]);
        assert!(grouped(Vec::new()).is_empty());
    }
}
