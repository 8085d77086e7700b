//! The app's preferences: what goes for all machines. Each is kept the moment it is changed.

use adw::prelude::*;

use crate::choice::Choice;
use crate::host_key::HostKey;
use crate::i18n::{gettext, gettext_f};
use crate::preferences::{CLOSING, HOST_KEY, Preferences, RESIZE_GUEST, TELL_QUITTING};

/// Shows them.
pub(crate) fn present(parent: &impl IsA<gtk::Widget>) {
    let preferences = Preferences::of_app();
    let page = adw::PreferencesPage::new();

    let input = adw::PreferencesGroup::builder().title(gettext("Keyboard and Pointer")).build();
    let host = choice(&preferences, HOST_KEY, &gettext("_Host Key"), &host_keys());
    let explain = |host: &adw::ComboRow| {
        let key = HostKey::WORDS.get(host.selected() as usize).map(|(key, _)| *key).unwrap_or_default();
        host.set_subtitle(&gettext_f(
            "{release} gives keyboard and pointer back to the desktop, {host}+F shows the machine in full screen",
            &[("release", &key.release()), ("host", &key.name())],
        ));
    };
    explain(&host);
    host.connect_selected_notify(explain);
    input.add(&host);
    page.add(&input);

    let screen = adw::PreferencesGroup::builder().title(gettext("Screen")).build();
    let resize = switch(&preferences, RESIZE_GUEST, &gettext("_Resize Guest to Window"));
    resize.set_subtitle(&gettext("Each machine’s console can have it otherwise"));
    screen.add(&resize);
    page.add(&screen);

    let closing = adw::PreferencesGroup::builder().title(gettext("Closing")).build();
    let answers = [
        ("ask", gettext("Ask")),
        ("keep-running", gettext("Keep the Machine Running")),
        ("power-button", gettext("Press the Power Button")),
    ];
    closing.add(&choice(&preferences, CLOSING, &gettext("When a Machine’s _Window Is Closed"), &answers));
    closing.add(&switch(&preferences, TELL_QUITTING, &gettext("Tell Which Machines Keep Running on _Quit")));
    page.add(&closing);

    let dialog = adw::PreferencesDialog::builder().title(gettext("Preferences")).build();
    dialog.add(&page);
    dialog.present(Some(parent));
}

fn host_keys() -> Vec<(&'static str, String)> {
    HostKey::WORDS.iter().map(|(key, word)| (*word, key.name())).collect()
}

/// A row of words, each with its name.
fn choice(
    preferences: &Preferences,
    key: &'static str,
    title: &str,
    words: &[(&'static str, String)],
) -> adw::ComboRow {
    let names: Vec<_> = words.iter().map(|(_, name)| name.as_str()).collect();
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let row = adw::ComboRow::builder().title(title).use_underline(true).model(&gtk::StringList::new(&names)).build();
    let now = preferences.word(key).unwrap_or_default();
    row.set_selected(words.iter().position(|word| *word == now).unwrap_or(0) as u32);
    let preferences = preferences.clone();
    row.connect_selected_notify(move |row| {
        if let Some(word) = words.get(row.selected() as usize) {
            preferences.set_word(key, word);
        }
    });
    row
}

fn switch(preferences: &Preferences, key: &'static str, title: &str) -> adw::SwitchRow {
    let row = adw::SwitchRow::builder().title(title).use_underline(true).active(preferences.is_on(key)).build();
    let preferences = preferences.clone();
    row.connect_active_notify(move |row| preferences.set_on(key, row.is_active()));
    row
}
