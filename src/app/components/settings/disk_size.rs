//! Questions how large a disk shall be. They propose something, and say when this computer has no room for it: an image takes room as
//! it fills, so that is allowed, but a machine that fills it has to wait.

use adw::prelude::*;
use gtk::gio;

use super::SettingsMsg;
use crate::components::{ask, number_row};
use crate::i18n::{gettext, gettext_f};
use crate::machines::Change;
use crate::words;

/// Most GiB of a disk that is made here.
const MOST: u64 = 65536;
/// GiB that a new disk is proposed to have.
const PROPOSED: u64 = 25;
const GIB: u64 = 1 << 30;

/// How large a disk is and could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes that the system sees.
    pub(super) bytes: u64,
    /// Bytes that there is room for in all, if that is known.
    pub(super) room: Option<u64>,
}

impl Size {
    /// GiB that are the least larger size.
    fn least(self) -> u64 {
        (self.bytes / GIB + 1).min(MOST)
    }

    /// GiB to propose: twice the size, or what there is room for.
    fn proposed(self) -> u64 {
        let twice = self.bytes.saturating_mul(2).div_ceil(GIB);
        let room = self.room.map_or(twice, |room| room / GIB);
        twice.min(room).clamp(self.least(), MOST)
    }
}

/// Asks how large to make a disk.
pub(super) fn ask_larger(parent: &gtk::Button, title: &str, name: &str, now: Size, input: relm4::Sender<SettingsMsg>) {
    let heading = gettext_f("Make “{name}” Larger", &[("name", title)]);
    let body = gettext(
        "What is on it stays. The system in the machine has to make use of the new room. It cannot be made smaller again.",
    );
    let (dialog, row) = question(&heading, &body, now, &[("act", &gettext("_Make Larger"))]);
    row.set_value(now.proposed() as f64);
    let name = name.to_owned();
    ask::choose(&dialog, parent, move |response| {
        if response == "act" {
            row.update();
            input.emit(SettingsMsg::Change(Change::Grow(name, (row.value() as u64) << 30)));
        }
    });
}

/// Asks for a new disk: its size, or its image.
pub(super) fn ask_new(parent: &adw::ButtonRow, room: Option<u64>, input: relm4::Sender<SettingsMsg>) {
    let body = gettext("A new disk is empty and takes room as it fills.");
    let responses = [("file", gettext("_Use an Image…")), ("act", gettext("_Add"))];
    let responses = [(responses[0].0, responses[0].1.as_str()), (responses[1].0, responses[1].1.as_str())];
    let (dialog, row) = question(&gettext("Add a Disk"), &body, Size { bytes: 0, room }, &responses);
    row.set_value(PROPOSED.min(room.map_or(PROPOSED, |room| room / GIB)).max(1) as f64);
    let window = parent.root().and_downcast::<gtk::Window>();
    ask::choose(&dialog, parent, move |response| match response {
        "act" => {
            row.update();
            input.emit(SettingsMsg::Change(Change::AddDisk((row.value() as u64) << 30)));
        }
        "file" => {
            let chooser = gtk::FileDialog::builder().title(gettext("Choose a Disk Image")).modal(true).build();
            chooser.open(window.as_ref(), None::<&gio::Cancellable>, move |picked| {
                if let Some(path) = picked.ok().and_then(|file| file.path()) {
                    input.emit(SettingsMsg::Change(Change::UseDisk(path)));
                }
            });
        }
        _ => {}
    });
}

/// A question with a number of GiB in it.
fn question(heading: &str, body: &str, now: Size, responses: &[(&str, &str)]) -> (adw::AlertDialog, adw::SpinRow) {
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
    let row = number_row::new(&gettext("Size in GiB"), now.least()..=MOST, 1);
    let group = adw::PreferencesGroup::new();
    group.add(&row);
    if let Some(room) = now.room {
        let warning = gettext_f(
            "This computer has room for {room} of it. When that is used up, the machine has to wait for more.",
            &[("room", &words::bytes(room))],
        );
        let label = gtk::Label::builder().label(warning).wrap(true).xalign(0.0).margin_top(12).build();
        label.add_css_class("warning");
        let revealer = gtk::Revealer::builder().child(&label).build();
        let shown = revealer.clone();
        row.connect_value_notify(move |row| shown.set_reveal_child((row.value() as u64).saturating_mul(GIB) > room));
        group.add(&revealer);
    }
    dialog.set_extra_child(Some(&group));
    dialog.add_response("cancel", &gettext("_Cancel"));
    dialog.add_responses(responses);
    dialog.set_response_appearance("act", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("act"));
    dialog.set_close_response("cancel");
    (dialog, row)
}

#[cfg(test)]
mod tests {
    use super::{GIB, MOST, Size};

    #[test]
    fn proposals_are_larger_and_fit() {
        let proposed = |bytes, room| Size { bytes, room }.proposed();
        assert_eq!(proposed(25 * GIB, None), 50);
        assert_eq!(proposed(25 * GIB, Some(1000 * GIB)), 50);
        assert_eq!(proposed(25 * GIB, Some(31 * GIB + 5)), 31);
        // Larger in any case.
        assert_eq!(proposed(25 * GIB, Some(3 * GIB)), 26);
        assert_eq!(proposed(25 * GIB + 512, None), 51);
        assert_eq!(proposed(512, Some(0)), 1);
        assert_eq!(proposed(u64::MAX, None), MOST);
    }
}
