//! A live desktop with its browser: a whole system in graphics, the pointer in it, and a screen that follows the console's window.

use std::time::{Duration, Instant};

use console::Console;
use dormer_tests::guest::Guest;
use dormer_tests::serial::SerialPort;
use dormer_tests::{media, medium_or_skip};

/// How long the guest may take to do what it is told.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn the_desktop_stands_and_the_pointer_moves() {
    let iso = medium_or_skip!(media::LIVE_DESKTOP.path());
    let iso = iso.to_str().expect("a path of plain characters");
    let arguments = ["--iso", iso, "--firmware", "bios", "--disk", "none", "--memory", "2048", "--cpus", "2"];
    let mut guest = Guest::start("desktop", &[&arguments[..], &["--profile", "linux"]].concat());
    guest.wait_serial("DESKTOP-UP", Duration::from_secs(1200));
    guest.wait_read("browser stands", Duration::from_secs(300));
    point(&mut guest, &[(200, 150), (900, 600)]);

    // The window gets another size, and the guest hears of it as from the console: its screen follows, and its pointer is right there.
    for (width, height) in [(1280, 720), (800, 600), (1111, 777)] {
        let mut console = Console::over(guest.console());
        console.ui_info((width, height), (300, 200)).expect("the engine takes consoles");
        wait_console(&mut console, &format!("screen of {width}×{height}"), |console| {
            let frame = console.refresh()?;
            (frame.width() == width && frame.height() == height).then_some(())
        });
        drop(console);
        guest.wait_serial(&format!(r"SCREEN {width}x{height}\b"), PATIENCE);
        point(&mut guest, &[(60, 90), (width as i32 - 50, height as i32 - 80)]);
    }
    let mut console = Console::over(guest.console());
    let shape = wait_console(&mut console, "pointer's shape", |console| console.cursor().cloned());
    assert!(shape.pixels.chunks(4).any(|pixel| pixel != [0; 4]), "the pointer is to be seen");
}

/// The desktop tells where its pointer is; the picture shows where it was drawn.
fn point(guest: &mut Guest, places: &[(i32, i32)]) {
    let near = |place: i32| (place - 2..=place + 2).map(|place| place.to_string()).collect::<Vec<_>>().join("|");
    for &(x, y) in places {
        guest.verb("mouse", &[&x.to_string(), &y.to_string()]);
        guest.wait_serial(&format!(r"POINTER ({}) ({})\b", near(x), near(y)), Duration::from_secs(60));
        guest.screenshot(&format!("pointer-{x}-{y}"));
    }
}

/// Follows the screen, as a window does, until `look` finds something.
fn wait_console<T>(console: &mut Console, what: &str, look: impl Fn(&mut Console) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        console.wait(Duration::from_millis(200)).expect("the engine goes on");
        let found = look(console);
        console.frame_done().expect("the engine goes on");
        if let Some(found) = found {
            return found;
        }
        assert!(Instant::now() < end, "no {what} within {} s", PATIENCE.as_secs());
    }
}
