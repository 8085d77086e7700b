//! The control socket, used by QEMU's own QMP client.

use std::process::Command;
use std::time::Duration;

use dormer_tests::guest::Guest;
use dormer_tests::{media, medium_or_skip};

#[test]
fn a_stock_client_negotiates_and_drives_a_machine() {
    let client = medium_or_skip!(media::QMP_CLIENT.path());
    let arguments = ["--firmware", "bios", "--disk", "1G", "--memory", "256", "--cpus", "2"];
    let mut guest = Guest::start("qmp", &arguments);
    guest.wait_screen("No bootable device", Duration::from_secs(120));
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let output = Command::new("python3")
        .arg(format!("{package}/e2e/qmp.py"))
        .arg(guest.control_path())
        .arg(dormer_tests::output().join("qmp/stock-client.png"))
        .env("PYTHONPATH", client)
        .output()
        .expect("python3 can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("done\n"));
    guest.wait_end(Duration::from_secs(30));
}
