//! Debian's installer on SeaBIOS.

use dormer_tests::{installer, media, medium_or_skip};

#[test]
fn text_pages_follow_keys() {
    installer::text("installer-bios-text", "bios", &medium_or_skip!(media::INSTALLER_TEXT.path()));
}

#[test]
fn graphical_pages_follow_keys() {
    installer::graphical("installer-bios-gtk", "bios", &medium_or_skip!(media::INSTALLER_GRAPHICAL.path()));
}
