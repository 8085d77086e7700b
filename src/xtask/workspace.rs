//! Where things are: the repository this xtask was built from and the folder cargo builds into.

use std::path::{Path, PathBuf};

/// The repository's root, where the virtual `Cargo.toml` is.
pub(crate) fn root() -> PathBuf {
    // Set by `cargo run` at run time; the compile-time value serves an xtask started without cargo.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.ancestors().nth(2).map_or(manifest.clone(), Path::to_path_buf)
}

/// Cargo's target folder, as an absolute path.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // Cargo takes a relative one from the folder it was called in.
        Some(dir) => std::path::absolute(&dir).unwrap_or_else(|_| dir.into()),
        None => root().join("target"),
    }
}
