//! The main job through the app, as a person does it: `tests/ui/demo.py` drives it, and leaves pictures of every station.

use dormer_tests::{media, medium_or_skip, walk};

#[test]
fn from_an_installer_image_to_its_pages_in_a_window() {
    walk::through_the_app("demo", &medium_or_skip!(media::INSTALLER_TEXT.path()));
}
