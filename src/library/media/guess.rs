//! Names for media that osinfo-db does not know (newer releases, other systems), and profiles that do well enough.
//!
//! A clue gives a name; a number behind it, the version. With both, osinfo-db may know the system though not this medium of it.

use std::path::Path;

use api::machine::{Firmware, Profile, Wants};

use super::clues::{CLUES, Clue};
use super::osinfo::Database;
use super::{System, Volume};

/// How far behind a clue its version may begin.
const NEAR: usize = 32;
/// Most digits of a version's part; what is longer is a date.
const DIGITS: usize = 3;
/// Processors that are not x86, in labels and file names, and what osinfo calls them.
const FOREIGN: [(&str, &str); 8] = [
    ("arm64", "aarch64"),
    ("aarch64", "aarch64"),
    ("armhf", "armv7l"),
    ("armv7", "armv7l"),
    ("ppc64", "ppc64le"),
    ("riscv64", "riscv64"),
    ("s390x", "s390x"),
    ("loongarch64", "loongarch64"),
];
/// 32-bit x86, likewise. There is no UEFI for it.
const NARROW: [&str; 4] = ["i386", "i486", "i586", "i686"];

/// The system on an ISO, by keywords in its identifiers and its file's name.
pub(super) fn system(volume: &Volume, path: &Path, database: &Database) -> System {
    let Volume { volume, application, publisher, system, .. } = volume;
    // Tools that make images write “LINUX”, whatever is on them.
    let system = if system.eq_ignore_ascii_case("linux") { "" } else { system };
    let words = format!("{volume} {application} {publisher} {system} {}", stem(path)).to_lowercase();
    let Some(clue) = CLUES.iter().find(|clue| words.contains(clue.word)) else { return unknown(path) };
    let version = version(&words, clue);
    let name = match &version {
        Some(version) => format!("{} {version}", clue.name),
        None => clue.name.to_owned(),
    };
    let known = ids(clue, version.as_deref()).into_iter().find_map(|id| database.system(&id));
    let narrow = NARROW.iter().any(|word| words.contains(word));
    let firmware = known.as_ref().map_or(clue.firmware, |known| known.firmware);
    System {
        name,
        recognised: true,
        live: clue.live,
        profile: known.as_ref().map_or(clue.profile, |known| known.profile),
        firmware: if narrow { Firmware::Bios } else { firmware },
        wants: known.as_ref().map_or_else(Wants::default, |known| known.wants),
        id: known.and_then(|known| known.id),
        foreign: FOREIGN.iter().find(|(word, _)| words.contains(word)).map(|(_, processor)| (*processor).to_owned()),
        ..unknown(path)
    }
}

/// The system on a disk: nobody looks into its file systems, so its file's name has to do.
pub(super) fn disk(path: &Path) -> System {
    let unnamed = System { id: None, name: unknown(path).name, live: true, ..unknown(path) };
    let guess = system(&Volume::default(), path, &Database::default());
    System { profile: guess.profile, firmware: guess.firmware, recognised: guess.recognised, ..unnamed }
}

/// What osinfo-db may call it, the more special first: `debian13`, `archlinux`, `nixos-unknown`.
fn ids(clue: &Clue, version: Option<&str>) -> Vec<String> {
    if clue.id.is_empty() {
        return Vec::new();
    }
    let major = version.and_then(|version| version.split('.').next());
    let numbered = [version, major].into_iter().flatten().map(|version| format!("{}{version}", clue.id));
    let plain = clue.id.trim_end_matches('-');
    numbered.chain([plain.to_owned(), format!("{plain}-unknown")]).collect()
}

/// The number behind the clue, with as many parts as the system's versions have.
fn version(words: &str, clue: &Clue) -> Option<String> {
    if clue.parts == 0 {
        return None;
    }
    words.match_indices(clue.word).find_map(|(at, word)| number(&words[at + word.len()..], clue.parts))
}

/// The first number of so many parts that begins near the text's beginning and is neither a processor's nor a date.
fn number(text: &str, parts: usize) -> Option<String> {
    let starts = text.char_indices().take(NEAR).filter(|(at, c)| {
        let before = text[..*at].chars().next_back();
        c.is_ascii_digit() && before.is_none_or(|before| !before.is_ascii_alphanumeric() && before != '.')
    });
    let numbers = starts.filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: Vec<_> = rest[..end].split('.').take(parts).filter(|part| !part.is_empty()).collect();
        let processor = text[..at].ends_with("x86_") || text[..at].ends_with("x86-") || rest.starts_with("64");
        (!processor && number.iter().all(|part| part.len() <= DIGITS)).then(|| number.join("."))
    });
    numbers.into_iter().next()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn unknown(path: &Path) -> System {
    let stem = stem(path);
    System {
        id: None,
        name: if stem.is_empty() { "Unknown system".to_owned() } else { stem },
        recognised: false,
        // Nearly all media that no database knows are Linux.
        profile: Profile::Linux,
        firmware: Firmware::Uefi,
        wants: Wants::default(),
        live: false,
        foreign: None,
        windows: None,
    }
}

#[cfg(test)]
#[path = "guess_test.rs"]
mod tests;
