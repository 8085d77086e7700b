//! The menu of keys that the desktop keeps for itself.

use console::key;
use gtk::gio;

use crate::actions;
use crate::i18n::gettext;

/// Keys together, by the names that the action `win.send-keys` takes.
pub(super) fn parse(text: &str) -> Option<Vec<u16>> {
    text.split('+').map(code).collect()
}

fn code(name: &str) -> Option<u16> {
    Some(match name {
        "ctrl" => key::LEFT_CTRL,
        "alt" => key::LEFT_ALT,
        "super" => key::LEFT_META,
        "delete" => key::DELETE,
        "backspace" => key::BACKSPACE,
        "tab" => key::TAB,
        "esc" => key::ESC,
        "print" => key::PRINT,
        "pause" => key::PAUSE,
        _ => match name.strip_prefix('f')?.parse() {
            Ok(number @ 1..=12) => key::function(number),
            _ => return None,
        },
    })
}

/// The menu.
pub(in crate::components) fn menu() -> gio::Menu {
    let menu = gio::Menu::new();
    let section = |items: &[(&str, &str)]| {
        let section = gio::Menu::new();
        for (label, keys) in items {
            // Key names stand on keyboards, in every language.
            section.append(Some(label), Some(&format!("win.send-keys::{keys}")));
        }
        section
    };
    menu.append_section(
        None,
        &section(&[
            ("Ctrl+Alt+Delete", "ctrl+alt+delete"),
            ("Ctrl+Alt+Backspace", "ctrl+alt+backspace"),
            ("Alt+Tab", "alt+tab"),
            ("Alt+F4", "alt+f4"),
        ]),
    );
    menu.append_section(None, &section(&[("Super", "super"), ("F11", "f11"), ("Print", "print"), ("Pause", "pause")]));
    let consoles: Vec<_> =
        (1..=7).map(|number| (format!("Ctrl+Alt+F{number}"), format!("ctrl+alt+f{number}"))).collect();
    let consoles: Vec<_> = consoles.iter().map(|(label, keys)| (label.as_str(), keys.as_str())).collect();
    menu.append_submenu(Some(&gettext("Linux Consoles")), &section(&consoles));
    actions::section(
        &menu,
        &[(gettext("_Type Clipboard Text"), "win.type-clipboard"), (gettext("Type T_ext…"), "win.type-text")],
    );
    menu
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names() {
        assert_eq!(parse("ctrl+alt+delete"), Some(vec![29, 56, 111]));
        assert_eq!(parse("f11"), Some(vec![87]));
        for bad in ["", "ctrl+", "f13", "f0", "q"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
