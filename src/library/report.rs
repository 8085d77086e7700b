//! A report about a machine, for those who are asked for help: one text with the host, the configuration and the ends of the logs.
//!
//! It goes to strangers: the person's home folder and login name are left out of everything in it, and so are their notes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use api::machine::Machine;

use crate::entry::Entry;
use crate::logs::Source;
use crate::{host, kvm};

/// Most lines of each log.
const LINES: usize = 60;
/// Most characters of a line.
const LINE: usize = 400;

/// The report. Starts a program that tries KVM and waits for it (10 s at most).
pub fn report(entry: &Entry) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    without_person(&whole(entry, &kvm::check().sentence()), home.as_deref())
}

fn whole(entry: &Entry, kvm: &str) -> String {
    let mut text = String::new();
    let resources = host::resources();
    let mut line = |name: &str, value: &str| {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Dormer", env!("CARGO_PKG_VERSION"));
    line("System", &host::system().unwrap_or_else(|| "not known".into()));
    line("Kernel", &host::kernel());
    line("Processor", &host::processor().unwrap_or_else(|| "not known".into()));
    line("Processors", &resources.processors.to_string());
    line("Memory", &format!("{} MiB", resources.memory));
    line("KVM", kvm);
    line("Sandbox", if Path::new("/.flatpak-info").exists() { "Flatpak" } else { "none" });
    line("State", entry.state().word());
    let machine = Machine { notes: String::new(), ..entry.machine.clone() };
    let configuration = toml::to_string(&machine).unwrap_or_else(|error| error.to_string());
    let _ = write!(text, "\n--- machine.toml ---\n{configuration}");
    for (source, end) in entry.log_ends() {
        section(&mut text, &source, &end);
    }
    text
}

fn section(text: &mut String, source: &Source, end: &str) {
    let name = match source {
        Source::Engine => "engine.log".to_owned(),
        Source::Serial => "serial.log".to_owned(),
        Source::Firmware => "firmware.log".to_owned(),
        Source::Network(card) => format!("{card}.log"),
    };
    let _ = write!(text, "\n--- {name} ---\n{}", last_lines(end));
}

/// The last lines, none of them without end.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let mut last = String::new();
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        last.extend(line.chars().take(LINE));
        last.push('\n');
    }
    last
}

/// Leaves out who the person is: their home is `~`, their login name in other paths is `USER`.
fn without_person(text: &str, home: Option<&Path>) -> String {
    let Some(home) = home.filter(|home| home.components().count() > 1) else { return text.to_owned() };
    let plain = text.replace(&*home.to_string_lossy(), "~");
    match home.file_name().map(|name| name.to_string_lossy()) {
        Some(name) => plain.replace(&format!("/{name}/"), "/USER/"),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use api::machine::{Firmware, Host, Profile, Wants};

    use super::*;
    use crate::{Library, NewMachine};

    #[test]
    fn a_report_says_what_helps_and_not_who_asks() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("alice");
        let library = Library::at(home.join(".local/share/dormer"));
        let host = Host { processors: 2, memory: 4096 };
        let mut new = NewMachine::new("one", Profile::Linux, Firmware::Bios, Wants::default(), host);
        new.cd = Some(home.join("Downloads/debian.iso"));
        let mut entry = library.create(&new).unwrap();
        entry.machine.notes = "the password is sesame".into();
        let lines: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let said = format!("{lines}read {}/x, /media/alice/stick/y\x1b[2J\n{}", home.display(), "z".repeat(900));
        std::fs::write(entry.logs().join("engine.log"), said).unwrap();
        let text = without_person(&whole(&entry, "This computer can run machines."), Some(&home));
        for part in [
            concat!("Dormer: ", env!("CARGO_PKG_VERSION"), "\n"),
            "KVM: This computer can run machines.\n",
            "State: stopped\n",
            "name = \"one\"\n",
            "~/Downloads/debian.iso",
            "--- engine.log ---\n",
            "line 99\n",
            "read ~/x, /media/USER/stick/y\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert!(!text.contains("sesame"), "{text}");
        assert!(!text.contains("alice") && !text.contains("line 20\n") && !text.contains('\x1b'), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= LINE));
        assert!(!text.contains("Kernel: \n"));
    }
}
