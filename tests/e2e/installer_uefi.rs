//! Debian's installer on OVMF.

use dormer_tests::{installer, media, medium_or_skip};

#[test]
fn text_pages_follow_keys() {
    installer::text("installer-uefi-text", "uefi", &medium_or_skip!(media::INSTALLER_TEXT.path()));
}

#[test]
fn graphical_pages_follow_keys() {
    installer::graphical("installer-uefi-gtk", "uefi", &medium_or_skip!(media::INSTALLER_GRAPHICAL.path()));
}
