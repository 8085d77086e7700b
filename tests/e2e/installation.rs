//! A whole installation through the app, as a person does it: `tests/ui/install.py` drives it, and leaves pictures of every station.

use dormer_tests::{media, medium_or_skip, walk};

#[test]
fn from_a_live_image_to_the_login_of_the_installed_system() {
    walk::through_the_app("install", &medium_or_skip!(media::LIVE_DESKTOP.path()));
}
