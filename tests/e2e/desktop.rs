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
    for (x, y) in [(200, 150), (900, 600)] {
        guest.verb("mouse", &[&x.to_string(), &y.to_string()]);
        let at = guest.wait_serial(r"POINTER (\d+) (\d+)", Duration::from_secs(60));
        let near = |text: &str, wanted: i32| (text.parse::<i32>().expect("a number") - wanted).abs() <= 2;
        assert!(near(&at[1], x) && near(&at[2], y), "the pointer was sent to {x} {y} and is at {} {}", at[1], at[2]);
        guest.screenshot(&format!("pointer-{x}-{y}"));
    }
}
