//! A live desktop with its browser: a whole system in graphics, and the pointer in it.

use std::time::Duration;

use dormer_tests::guest::Guest;
use dormer_tests::{media, medium_or_skip};

#[test]
fn the_desktop_stands_and_the_pointer_moves() {
    let iso = medium_or_skip!(media::LIVE_DESKTOP.path());
    let iso = iso.to_str().expect("a path of plain characters");
    let arguments = ["--iso", iso, "--firmware", "bios", "--disk", "none", "--memory", "2048", "--cpus", "2"];
    let mut guest = Guest::start("desktop", &[&arguments[..], &["--profile", "linux"]].concat());
    guest.wait_serial("DESKTOP-UP", Duration::from_secs(1200));
    guest.wait_read("browser stands", Duration::from_secs(300));
    // The desktop tells where its pointer is; the picture shows where it was drawn.
    let near = |place: i32| (place - 2..=place + 2).map(|place| place.to_string()).collect::<Vec<_>>().join("|");
    for (x, y) in [(200, 150), (900, 600)] {
        guest.verb("mouse", &[&x.to_string(), &y.to_string()]);
        guest.wait_serial(&format!(r"POINTER ({}) ({})\b", near(x), near(y)), Duration::from_secs(60));
        guest.screenshot(&format!("pointer-{x}-{y}"));
    }
}
