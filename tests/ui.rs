//! The app by its accessibility tree, real keys and a real pointer, with a stand-in for the engine: the scripts in `ui/`. They leave
//! pictures of what they see.

use std::process::Command;

use dormer_tests::{output, program};

/// Runs a script, which has a desktop of its own; as many run side by side as there are processors.
fn walk(script: &str, engine: bool) {
    let out = output().join("ui").join(script);
    // Debian's own interpreter: it has the accessibility bindings.
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(format!("{}/ui/{script}.py", env!("CARGO_MANIFEST_DIR")))
        .arg("--out")
        .arg(&out)
        .env("DORMER_APP", program("dormer"));
    if engine {
        command.env("DORMER_VM", program("examples/engine"));
    }
    let output = command.output().expect("python3 of the system");
    if output.status.success() {
        return;
    }
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    // Of the buses there is always something to be heard.
    for line in words.lines().filter(|line| !line.starts_with("dbus-daemon[")) {
        println!("{line}");
    }
    panic!("the walk {script} ended with {}; pictures are in {}", output.status, out.display());
}

#[test]
fn every_page() {
    walk("drive", true);
}

#[test]
fn library_by_keyboard_and_with_mistakes() {
    walk("library", true);
}

#[test]
fn many_machines() {
    walk("machines", true);
}

#[test]
fn from_the_desktops_side() {
    walk("desktop_side", true);
}

#[test]
fn console_by_keyboard_and_pointer() {
    walk("console", true);
}

#[test]
fn console_by_its_menus() {
    walk("console_menus", true);
}

#[test]
fn preferences() {
    walk("preferences", true);
}

#[test]
fn serial_console() {
    walk("serial", true);
}

#[test]
fn console_on_wayland() {
    walk("wayland", true);
}

#[test]
fn console_at_fractional_scales() {
    walk("scales", true);
}

#[test]
fn viewers() {
    walk("view", true);
}

#[test]
fn viewers_on_wayland() {
    walk("view_wayland", true);
}

#[test]
fn what_new_machine_says() {
    walk("new_machine", true);
}

#[test]
fn every_setting() {
    walk("settings", true);
}

#[test]
fn usb_devices() {
    walk("usb", true);
}

#[test]
fn for_everyone() {
    walk("languages", true);
}

#[test]
fn an_engine_that_means_no_good() {
    walk("hostile", true);
}

#[test]
fn a_computer_without_kvm() {
    walk("without_kvm", false);
}
