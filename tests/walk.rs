//! Walks through the app with real machines: the scripts in `ui/` that want an image.

use std::path::Path;
use std::process::Command;

use crate::output;

/// Walks as `ui/SCRIPT.py` says, with the image; pictures are in the output folder, in `SCRIPT`.
pub fn through_the_app(script: &str, image: &Path) {
    // Debian's own interpreter: it has the accessibility bindings.
    let status = Command::new("/usr/bin/python3")
        .arg(format!("{}/ui/{script}.py", env!("CARGO_MANIFEST_DIR")))
        .arg("--iso")
        .arg(image)
        .arg("--out")
        .arg(output().join(script))
        .env("DORMER_SECCOMP", "kill")
        .status()
        .expect("python3 of the system");
    assert!(status.success(), "the walk through the app ended with {status}");
}
