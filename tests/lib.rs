//! Tests of the whole: layers, firmware, guests, the app.
//!
//! What the end-to-end tests have in common: media that are built once ([`media`]), guests to drive ([`guest`]), guests of a few
//! instructions ([`program`]), pictures to look at ([`picture`]), a server for guests to load from ([`server`]), sound to be known
//! again ([`signal`]); of the computer they run on its USB devices ([`host_device`]), devices that a test plays itself ([`gadget`]) and
//! the monitor that plugs and pulls them ([`monitor`]); and QEMU to compare with ([`qemu`]). How they are run is told by xtask's
//! `test`.

pub mod gadget;
pub mod guest;
pub mod headset;
pub mod host_device;
pub mod installed;
pub mod installer;
pub mod media;
pub mod monitor;
pub mod picture;
pub mod program;
pub mod qemu;
pub mod serial;
pub mod server;
pub mod signal;
pub mod walk;

use std::path::PathBuf;

/// Cargo's target folder.
pub fn target() -> PathBuf {
    let programs = program_folder();
    programs.parent().expect("programs are in a folder of the target folder").to_owned()
}

fn program_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("DORMER_BIN_DIR") {
        return folder.into();
    }
    // target/debug/deps/TEST
    let own = std::env::current_exe().expect("this program has a path");
    own.ancestors().nth(2).expect("tests are in a folder of the target folder").to_owned()
}

/// One of Dormer's programs, as built for these tests.
pub fn program(name: &str) -> PathBuf {
    let path = program_folder().join(name);
    assert!(path.exists(), "{} is not built: run `cargo xtask test`", path.display());
    path
}

/// Where tests leave pictures and logs.
pub fn output() -> PathBuf {
    std::env::var_os("DORMER_TEST_OUT").map_or_else(|| target().join("test-out"), PathBuf::from)
}

/// Are the long tests wanted too?
pub fn full() -> bool {
    std::env::var_os("DORMER_TEST_FULL").is_some_and(|value| !value.is_empty())
}

/// Is this a test host, where a test may do to the computer what it likes?
pub fn is_test_host() -> bool {
    std::env::var_os("DORMER_TEST_HOST").is_some()
}

/// Ends a test outside of a test host, saying what only that has or lets be done.
#[macro_export]
macro_rules! only_in_test_host {
    ($why:literal) => {
        if !$crate::is_test_host() {
            println!(concat!("skipped: ", $why));
            return;
        }
    };
}

/// Leaves the test, counted as skipped, unless long tests are wanted.
#[macro_export]
macro_rules! only_in_full {
    () => {
        if !$crate::full() {
            println!("skipped: only in --full");
            return;
        }
    };
}

/// The medium, or leaves the test, counted as skipped, where it cannot be had.
#[macro_export]
macro_rules! medium_or_skip {
    ($medium:expr) => {
        match $medium {
            Some(path) => path,
            None => {
                println!("skipped: {} is not here", stringify!($medium));
                return;
            }
        }
    };
}
