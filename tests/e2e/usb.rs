//! The USB controller under firmware's drivers and Linux's: they find it, and keys and the pointer reach them by USB.

use std::time::Duration;

use api::control::Command as Order;
use console::Console;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::serial::SerialPort;
use dormer_tests::{media, medium_or_skip, only_in_full};

const LIMIT: Duration = Duration::from_secs(300);
/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(180);

/// A machine with these of its own on USB.
fn machine(name: &str, arguments: &[&str], devices: &[&str]) -> Guest {
    let home = Home::new();
    home.must(&[&["create", name, "--profile", "linux", "--memory", "512", "--cpus", "1"], arguments].concat());
    let usb: Vec<_> = devices.iter().map(|device| format!("usb.{device}=on")).collect();
    let usb: Vec<_> = usb.iter().map(String::as_str).collect();
    home.must(
        &[&["set", name, "virtio-input=off", "net0.link=off", "usb.controller=xhci", "usb.tablet=off"], &usb[..]]
            .concat(),
    );
    Guest::start_in(home, name)
}

#[test]
fn seabios_takes_keys_by_usb() {
    only_in_full!();
    seabios_takes_keys("usb-bios", &["keyboard", "tablet"]);
}

#[test]
fn seabios_takes_keys_through_a_hub() {
    seabios_takes_keys("usb-bios-hub", &["keyboard", "tablet", "mouse", "hub"]);
}

fn seabios_takes_keys(name: &str, devices: &[&str]) {
    let medium = medium_or_skip!(media::grub_rescue());
    let medium = medium.to_str().expect("a path of plain characters");
    let mut guest = machine(name, &["--firmware", "bios", "--disk", "none", "--iso", medium], devices);
    guest.wait_screen("GNU GRUB  version", LIMIT);
    // GRUB asks the BIOS for keys, and they go to the USB keyboard as soon as that is asked for them.
    assert!(guest.log("firmware.log").contains("USB keyboard initialized"));
    guest.keys(&["down", "c"]);
    guest.wait_screen("grub>", LIMIT);
    guest.type_text("echo Dormer-$cmdpath\n");
    guest.wait_screen("Dormer-(", LIMIT);
    let log = guest.log("firmware.log");
    assert_eq!(log.contains("Initialized USB HUB"), devices.contains(&"hub"), "{log}");
    assert!(log.contains("XHCI at 00:14.0") && log.contains("16 ports, 64 slots, 32 byte contexts"), "{log}");
    for protocol in ["XHCI    protocol USB  2.00, 8 ports (offset 1)", "XHCI    protocol USB  3.10, 8 ports (offset 9)"]
    {
        assert!(log.contains(protocol), "{log}");
    }
}

#[test]
fn ovmf_has_a_driver_on_it() {
    only_in_full!();
    ovmf_has_drivers("usb-uefi", &["keyboard", "tablet"], 2);
}

#[test]
fn ovmf_looks_into_a_hub() {
    // The hub and what is in it.
    ovmf_has_drivers("usb-uefi-hub", &["keyboard", "tablet", "mouse", "hub"], 4);
}

fn ovmf_has_drivers(name: &str, devices: &[&str], count: u32) {
    let mut guest = machine(name, &["--firmware", "uefi", "--disk", "none"], devices);
    guest.wait_screen("or any other key to continue.", LIMIT);
    guest.keys(&["esc"]);
    guest.wait_serial("Shell> ", LIMIT);
    guest.type_text("drivers\n");
    // How many devices each manages, and how many it has found on them.
    guest.wait_serial(r"\b1 +- Usb Xhci Driver", LIMIT);
    guest.wait_serial(&format!(r"\b1 +{count} Usb Bus Driver"), LIMIT);
    guest.wait_serial(r"\b1 +- Usb Keyboard Driver", LIMIT);
}

/// What the person does arrives as events of 24 bytes: the last eight are type, code and value.
const HEARD: &str = "wait; od -An -v -w24 -j0 -t d2 /run/events | awk '{ print $9, $10, $11 }'";

/// Has an input device's next events written down.
fn listen(name: &str, count: u32) -> String {
    let device = format!("$(grep -l '{name}' /sys/class/input/event*/device/name | cut -d/ -f5)");
    format!("dd if=/dev/input/{device} of=/run/events bs=24 count={count} 2>/dev/null & sleep 1")
}

#[test]
fn linux_binds_what_is_there() {
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let disk = disk.to_str().expect("a path of plain characters");
    let arguments = ["--firmware", "bios", "--disk", disk, "--os", "debian13"];
    let mut guest = machine("usb-linux", &arguments, &["keyboard", "tablet"]);
    guest.log_in(BOOT);

    let said = guest.shell("dmesg | grep -i -e xhci -e usb", SHORT);
    println!("{said}");
    assert!(said.contains("xhci_hcd 0000:00:14.0: hcc params") && said.contains("hci version 0x110"), "{said}");
    for bad in ["error", "fail", "WARN", "timed out", "timeout", "died", "unable", "not responding"] {
        assert!(!said.to_lowercase().contains(&bad.to_lowercase()), "{bad}: {said}");
    }
    // Both halves of the controller, with eight ports each.
    let hubs = guest.shell("cat /sys/bus/usb/devices/usb[12]/{version,speed,maxchild}", SHORT);
    assert_eq!(hubs.split_whitespace().collect::<Vec<_>>(), ["2.00", "3.10", "480", "10000", "8", "8"]);
    let drivers = "for device in 1 2; do basename $(readlink /sys/bus/usb/devices/1-$device:1.0/driver); done";
    assert_eq!(guest.shell(drivers, SHORT), "usbhid\nusbhid");
    // The last driver comes when udev has found it.
    let inputs = "grep -c 'Dormer USB' /proc/bus/input/devices";
    guest.shell_until(&format!("{inputs} | grep -x 2"), SHORT);
    let vectors = guest.shell("grep -c xhci_hcd /proc/interrupts", SHORT);
    assert_ne!(vectors, "0");

    guest.shell(&listen("Dormer USB Keyboard", 3), SHORT);
    guest.keys(&["a"]);
    // Its usage (MSC_SCAN), the key, and the end of the report.
    assert!(guest.shell(HEARD, SHORT).lines().any(|line| line == "1 30 1"));
    guest.shell(&listen("Dormer USB Tablet", 3), SHORT);
    guest.order(&Order::Pointer { x: 0x1234, y: 0x4321, click: None });
    // Before them the shell may say that a job is done.
    let events = guest.shell(HEARD, SHORT);
    assert!(events.ends_with("3 0 4660\n3 1 17185\n0 0 0"), "{events}");

    // Some systems let a tablet sleep when it does not move, as systemd does QEMU's (60-autosuspend.hwdb). It wakes them, and what woke
    // them is heard.
    let power = "/sys/bus/usb/devices/1-2/power";
    guest.shell(&listen("Dormer USB Tablet", 3), SHORT);
    let sleeps = format!("grep suspended {power}/runtime_status");
    guest.shell(&format!("echo 0 > {power}/autosuspend_delay_ms; echo auto > {power}/control"), SHORT);
    guest.shell_until(&sleeps, SHORT);
    guest.order(&Order::Pointer { x: 0x4321, y: 0x1234, click: None });
    let events = guest.shell(HEARD, SHORT);
    assert!(events.ends_with("3 0 17185\n3 1 4660\n0 0 0"), "{events}");
    guest.shell_until(&sleeps, SHORT);
    guest.shell(&format!("echo on > {power}/control"), SHORT);

    // Taken away from its driver, and given back.
    guest.shell("cd /sys/bus/pci/drivers/xhci_hcd && echo 0000:00:14.0 > unbind && echo 0000:00:14.0 > bind", SHORT);
    guest.shell_until("[ -e /sys/bus/usb/devices/1-2:1.0/driver ]", SHORT);
    assert_eq!(guest.shell(drivers, SHORT), "usbhid\nusbhid");
}

#[test]
fn linux_has_a_hub_with_keyboard_and_mouse() {
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let disk = disk.to_str().expect("a path of plain characters");
    let arguments = ["--firmware", "bios", "--disk", disk, "--os", "debian13"];
    let mut guest = machine("usb-hub", &arguments, &["keyboard", "mouse", "hub"]);
    guest.log_in(BOOT);
    let inputs = "grep -c 'Dormer USB' /proc/bus/input/devices";
    guest.shell_until(&format!("{inputs} | grep -x 2"), SHORT);
    let drivers = "for device in 1 1.1 1.3; do basename $(readlink /sys/bus/usb/devices/1-$device:1.0/driver); done";
    assert_eq!(guest.shell(drivers, SHORT), "hub\nusbhid\nusbhid");

    guest.shell(&listen("Dormer USB Keyboard", 3), SHORT);
    guest.keys(&["a"]);
    assert!(guest.shell(HEARD, SHORT).lines().any(|line| line == "1 30 1"));
    guest.shell(&listen("Dormer USB Mouse", 3), SHORT);
    let mut console = Console::over(guest.console());
    console.pointer_motion(17, -5).expect("the engine listens");
    let events = guest.shell(HEARD, SHORT);
    assert!(events.ends_with("2 0 17\n2 1 -5\n0 0 0"), "{events}");

    // All of them are let sleep, and the hub sleeps too then. What the person does wakes it, and is heard.
    let power = |device: &str| format!("/sys/bus/usb/devices/{device}/power");
    for device in ["1-1.1", "1-1.3", "1-1"] {
        let power = power(device);
        guest.shell(&format!("echo 0 > {power}/autosuspend_delay_ms; echo auto > {power}/control"), SHORT);
    }
    guest.shell(&listen("Dormer USB Mouse", 3), SHORT);
    guest.shell_until(&format!("grep suspended {}/runtime_status", power("1-1")), SHORT);
    console.pointer_motion(-9, 4).expect("the engine listens");
    let events = guest.shell(HEARD, SHORT);
    assert!(events.ends_with("2 0 -9\n2 1 4\n0 0 0"), "{events}");
    let said = guest.shell("dmesg | grep -i -e xhci -e usb -e hub", SHORT);
    for bad in ["error", "fail", "WARN", "timed out", "timeout", "died", "unable", "not responding"] {
        assert!(!said.to_lowercase().contains(&bad.to_lowercase()), "{bad}: {said}");
    }
}
