//! Debian's installer on our board: its language page comes up, and keys bring the next one.

use std::path::Path;
use std::time::Duration;

use crate::guest::Guest;

/// From power on to the first page.
const BOOT: Duration = Duration::from_secs(900);
/// From one page to the next.
const PAGE: Duration = Duration::from_secs(300);

fn start(name: &str, firmware: &str, iso: &Path) -> Guest {
    let iso = iso.to_str().expect("a path of plain characters");
    Guest::start(name, &["--iso", iso, "--firmware", firmware, "--memory", "1024", "--cpus", "2", "--disk", "8G"])
}

/// The one in text.
pub fn text(name: &str, firmware: &str, iso: &Path) {
    let mut guest = start(name, firmware, iso);
    guest.wait_screen("Choose the language to be used for the installation process", BOOT);
    guest.keys(&["ret"]);
    guest.wait_screen("The selected location will be used to set your time zone", PAGE);
}

/// The graphical one.
pub fn graphical(name: &str, firmware: &str, iso: &Path) {
    let mut guest = start(name, firmware, iso);
    guest.wait_read("Choose the language to be used", BOOT);
    guest.keys(&["ret"]);
    guest.wait_read("(?i)selected location will be used", PAGE);
}
