//! How machines are put in words: states, systems, sizes.

use std::collections::HashMap;

use api::control::RunState;
use api::machine::{Attachment, Drive, DriveKind, Firmware, Machine, check_name};
use gtk::glib;
use library::{Loss, State};

use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::machines::Order;
use crate::reasons;

/// Most lines of a list in a question.
const LISTED: usize = 10;
/// Most characters of somebody else's words.
const QUOTE: usize = 200;

/// A machine's state.
pub(crate) fn state(state: State) -> String {
    match state {
        State::Stopped => gettext("Off"),
        State::Busy(_) => gettext("Busy"),
        State::Live(state, _) => match state {
            RunState::Running => gettext("Running"),
            RunState::Paused | RunState::Prelaunch => gettext("Paused"),
            RunState::Shutdown => gettext("Turning Off"),
            RunState::InternalError => gettext("Failed"),
            RunState::IoError => gettext("Paused: a Disk Failed"),
        },
    }
}

/// What a machine starts with.
pub(crate) fn firmware(firmware: Firmware) -> String {
    match firmware {
        Firmware::Bios => gettext("BIOS"),
        Firmware::Uefi => gettext("UEFI"),
    }
}

/// Mebibytes.
pub(crate) fn memory(mebibytes: u64) -> String {
    match mebibytes {
        0..1024 => gettext_f("{size} MiB", &[("size", &mebibytes.to_string())]),
        _ if mebibytes.is_multiple_of(1024) => gettext_f("{size} GiB", &[("size", &(mebibytes >> 10).to_string())]),
        _ => gettext_f("{size} GiB", &[("size", &format!("{:.1}", mebibytes as f64 / 1024.0))]),
    }
}

/// Bytes of a disk.
pub(crate) fn bytes(bytes: u64) -> String {
    glib::format_size_full(bytes, glib::FormatSizeFlags::IEC_UNITS).into()
}

/// What a drive is called, by its number among those of its kind, from 0.
pub(crate) fn drive(kind: DriveKind, number: usize) -> String {
    let number = (number + 1).to_string();
    match kind {
        DriveKind::Disk => gettext_f("Disk {number}", &[("number", &number)]),
        DriveKind::Cd => gettext_f("CD Drive {number}", &[("number", &number)]),
    }
}

/// What a network card is called, by its number from 0.
pub(crate) fn card(number: usize) -> String {
    gettext_f("Network Card {number}", &[("number", &(number + 1).to_string())])
}

/// What is in a drive.
pub(crate) fn medium(drive: &Drive) -> String {
    match drive.image.as_deref().and_then(|path| path.file_name()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None if drive.installer => gettext("Empty: the installer’s CD was taken out"),
        None => gettext("Empty"),
    }
}

/// Disks, one after the other.
pub(crate) fn drives(machine: &Machine, kind: DriveKind) -> String {
    let names: Vec<_> = machine.drives.iter().filter(|drive| drive.kind == kind).map(medium).collect();
    if names.is_empty() { gettext("None") } else { names.join(", ") }
}

/// The system in it: what its medium said, its name when osinfo knows it, else its id.
pub(crate) fn system(machine: &Machine, names: &HashMap<String, String>) -> String {
    match (&machine.system, &machine.os) {
        (Some(words), _) => quote(words),
        (None, Some(id)) => names.get(id).unwrap_or(id).clone(),
        (None, None) => gettext("Not known"),
    }
}

/// Its network cards.
pub(crate) fn network(machine: &Machine) -> String {
    let cards: Vec<_> = machine.networks.iter().map(|network| attachment(&network.attachment)).collect();
    match cards.as_slice() {
        [] => gettext("None"),
        cards => cards.join("\n"),
    }
}

/// What a network card is connected to.
pub(crate) fn attachment(attachment: &Attachment) -> String {
    match attachment {
        Attachment::Nat => gettext("Shared with this computer"),
        Attachment::Bridge(name) => gettext_f("Bridge {name} of this computer", &[("name", name.as_str())]),
        Attachment::Tap(name) => gettext_f("Network device {name} of this computer", &[("name", name.as_str())]),
        Attachment::Internal(name) => gettext_f("Internal network {name}", &[("name", name.as_str())]),
    }
}

/// What is wrong with a name for a machine.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(gettext("A machine needs a name."));
    }
    check_name(name).err().as_ref().map(reasons::problem)
}

/// “Do you want this?”, for orders that lose something.
pub(crate) fn question(order: &Order, name: &str) -> String {
    let name = [("name", name)];
    match order {
        Order::Reset => gettext_f("Reset “{name}”?", &name),
        _ => gettext_f("Power Off “{name}”?", &name),
    }
}

/// What deleting a machine does to its images.
pub(crate) fn deletion(loss: &Loss) -> String {
    let mut lines = Vec::new();
    if loss.goes.is_empty() {
        lines.push(gettext("None of its disks is in its folder. Its configuration is deleted."));
    } else {
        lines.push(gettext("These disks are deleted with it:"));
        lines.extend(loss.goes.iter().map(|(path, bytes)| {
            let size = glib::format_size_full(*bytes, glib::FormatSizeFlags::IEC_UNITS);
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            gettext_f("• {name}, {size}", &[("name", &quote(&name)), ("size", &size)])
        }));
    }
    if !loss.stays.is_empty() {
        lines.push(String::new());
        lines.push(gettext("These images stay where they are:"));
        lines.extend(loss.stays.iter().map(|path| format!("• {}", quote(&path.display().to_string()))));
    }
    lines.join("\n")
}

/// What deleting several machines does to their images.
pub(crate) fn deletions(machines: &[(&str, &Loss)]) -> String {
    let mut lines = vec![gettext("These machines are deleted, and the disks in their folders:")];
    lines.extend(machines.iter().take(LISTED).map(|(name, loss)| {
        let size = bytes(loss.goes.iter().map(|(_, bytes)| bytes).fold(0, |sum, bytes| sum.saturating_add(*bytes)));
        gettext_f("• {name}, {size}", &[("name", &quote(name)), ("size", &size)])
    }));
    lines.extend(more(machines.len()));
    let stays: Vec<_> = machines.iter().flat_map(|(_, loss)| &loss.stays).collect();
    if !stays.is_empty() {
        lines.push(String::new());
        lines.push(gettext("These images stay where they are:"));
        lines.extend(stays.iter().take(LISTED).map(|path| format!("• {}", quote(&path.display().to_string()))));
        lines.extend(more(stays.len()));
    }
    lines.join("\n")
}

/// Machines, one below the other.
pub(crate) fn names(names: &[&str]) -> String {
    let lines = names.iter().take(LISTED).map(|name| format!("• {}", quote(name)));
    lines.chain(more(names.len())).collect::<Vec<_>>().join("\n")
}

/// What a list of so many does not name.
fn more(count: usize) -> Option<String> {
    let rest = count.saturating_sub(LISTED);
    (rest > 0).then(|| ngettext_f("and {count} more", "and {count} more", rest, &[]))
}

/// What is lost when so many machines stop without their systems' consent.
pub(crate) fn loss(machines: usize) -> String {
    ngettext_f(
        "What is not saved in it will be lost. To let its system end by itself, turn it off from within or press its power button.",
        "What is not saved in them will be lost. To let their systems end by themselves, turn them off from within or press their power buttons.",
        machines,
        &[],
    )
}

/// The button under [`question`].
pub(crate) fn verb(order: &Order) -> String {
    match order {
        Order::Reset => gettext("_Reset"),
        _ => gettext("Power _Off"),
    }
}

/// An error's words as a sentence: with a capital and a full stop.
pub(crate) fn sentence(error: &str) -> String {
    let error = error.trim();
    let mut characters = error.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if error.ends_with(['.', '!', '?', ':']) || error.contains('\n') { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

/// An engine's or guest's words, fit to be shown: one line that does not go on for ever.
pub(crate) fn quote(words: &str) -> String {
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTE).collect();
    if words.chars().nth(QUOTE).is_some() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(sentence("cannot read x"), "Cannot read x.");
        assert_eq!(sentence("Load it:\nsudo x"), "Load it:\nsudo x");
        assert_eq!(sentence(""), ".");
        assert_eq!(quote("a\nb\u{7}"), "a b ");
        assert_eq!(quote(&"é".repeat(900)), "é".repeat(200) + "…");
        assert_eq!([512, 4096, 1536].map(memory), ["512 MiB", "4 GiB", "1.5 GiB"]);
    }
}
