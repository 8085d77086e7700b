//! The main job through the app, as a person does it: `tests/ui/demo.py` drives it, and leaves pictures of every station.

use std::process::Command;

use dormer_tests::{media, medium_or_skip, output};

#[test]
fn from_an_installer_image_to_its_pages_in_a_window() {
    let image = medium_or_skip!(media::INSTALLER_TEXT.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/demo.py");
    // Debian's own interpreter: it has the accessibility bindings.
    let status = Command::new("/usr/bin/python3")
        .args([
            script.as_ref(),
            "--iso".as_ref(),
            image.as_os_str(),
            "--out".as_ref(),
            output().join("app").as_os_str(),
        ])
        .env("DORMER_SECCOMP", "kill")
        .status()
        .expect("python3 of the system");
    assert!(status.success(), "the walk through the app ended with {status}");
}
