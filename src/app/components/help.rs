//! The help page: what people ask first, each question with its answer.

use adw::prelude::*;

use crate::i18n::gettext;

/// Shows it.
pub(crate) fn present(parent: &impl IsA<gtk::Widget>) {
    let page = adw::PreferencesPage::new();
    for (title, questions) in chapters() {
        let group = adw::PreferencesGroup::builder().title(title).build();
        for (question, answer) in questions {
            group.add(&row(&question, &answer));
        }
        page.add(&group);
    }
    let view = adw::ToolbarView::builder().content(&page).build();
    view.add_top_bar(&adw::HeaderBar::new());
    let dialog = adw::Dialog::builder()
        .title(gettext("Help"))
        .content_width(640)
        .content_height(640)
        .width_request(360)
        .child(&view)
        .build();
    dialog.present(Some(parent));
}

/// A question that opens to its answer.
fn row(question: &str, answer: &str) -> adw::ExpanderRow {
    let text = gtk::Label::builder()
        .label(answer)
        .wrap(true)
        .xalign(0.0)
        .selectable(true)
        .margin_top(12)
        .margin_bottom(12)
        .margin_start(12)
        .margin_end(12)
        .build();
    let inner = gtk::ListBoxRow::builder().child(&text).activatable(false).build();
    inner.update_property(&[gtk::accessible::Property::Label(answer)]);
    let row = adw::ExpanderRow::builder().title(question).use_markup(false).build();
    row.add_row(&inner);
    row
}

type Chapter = (String, Vec<(String, String)>);

fn chapters() -> [Chapter; 3] {
    [
        (
            gettext("Getting Started"),
            vec![
                (
                    gettext("How do I install a system?"),
                    gettext(
                        "Download the system’s installer as an ISO file. Choose New Machine, give it the file and press Create: the machine starts, and its screen opens in a window of its own. Go through the installer as on any computer. Its CD is taken out once the system is installed.",
                    ),
                ),
                (
                    gettext("I have a disk image already. Can I use it?"),
                    gettext(
                        "Yes. Choose it in New Machine in place of an installer: raw and qcow2 images are used where they are. Disks can be added to a machine in its settings, too.",
                    ),
                ),
                (
                    gettext("Which sizes should I choose?"),
                    gettext(
                        "Those that New Machine proposes: what the system recommends, and never more than half of this computer. All of it can be changed later, when the machine is off.",
                    ),
                ),
            ],
        ),
        (
            gettext("A Running Machine"),
            vec![
                (
                    gettext("How do I get the pointer or the keyboard back?"),
                    gettext(
                        "The top of the window says which keys release them; Ctrl+Alt+G where nothing else was chosen in Preferences. Most newer systems do not capture the pointer at all.",
                    ),
                ),
                (
                    gettext("What happens when I close its window?"),
                    gettext(
                        "Dormer asks. A machine can keep running without a window, even without Dormer: Show Console brings the window back.",
                    ),
                ),
                (
                    gettext("How do I reach a server in the machine?"),
                    gettext(
                        "Add a port in the settings, under Network: 2222:22 makes the machine’s port 22 this computer’s port 2222, so that “ssh -p 2222 localhost” leads into it.",
                    ),
                ),
                (
                    gettext("How do I hear the machine, and it me?"),
                    gettext(
                        "The speaker at the top of its window has volume, mute and the microphone, which is off until you turn it on. A machine that has none lacks a sound card: give it one in the settings, under Sound.",
                    ),
                ),
                (
                    gettext("How do I turn it off?"),
                    gettext(
                        "From within, or with Press Power Button, which its system treats like the button of a real computer. Power Off pulls the plug: what is not saved is lost.",
                    ),
                ),
            ],
        ),
        (
            gettext("When Something Goes Wrong"),
            vec![
                (
                    gettext("“Machines Cannot Run”"),
                    gettext(
                        "Machines need KVM, which is a part of Linux. The banner’s button says what this computer lacks and what to do: often it is a setting of the firmware that is called SVM or VT-x, or a group that you are not in.",
                    ),
                ),
                (
                    gettext("A machine does not start, or stops"),
                    gettext(
                        "Its logs say why: choose Show Logs in its menu. Copy Report puts what helpers ask for on the clipboard.",
                    ),
                ),
                (
                    gettext("Where is everything?"),
                    gettext(
                        "Each machine is a folder with its settings, disks and logs: Open Folder shows it. Nothing else needs to be saved.",
                    ),
                ),
            ],
        ),
    ]
}
