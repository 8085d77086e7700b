//! A USB stick of the host in a guest: what the host wrote is read there, what was written there is read by the host, which has the stick
//! back with its driver when it is detached, and when the engine is killed.

use std::fs::{self, OpenOptions};
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::control::{Command as Order, Event};
use api::usb::{Speed, UsbAttached, UsbGone, UsbStatus};
use dormer_tests::guest::{Guest, Home};
use dormer_tests::host_device::HostDevice;
use dormer_tests::{media, medium_or_skip, only_in_test_host, program};
use library::control::Client;

const SHORT: Duration = Duration::from_secs(240);
const MIB: usize = 1 << 20;

/// The first MiBs of a disk, or others, as a sum.
fn sum(disk: &Path, skip: usize, count: usize) -> String {
    let disk = disk.display();
    let command = format!("dd if={disk} bs=1M skip={skip} count={count} iflag=direct 2>/dev/null | sha256sum");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Gives the stick to the machine. Gives the process that sees to its coming back.
fn attach(client: &mut Client, stick: &HostDevice) -> Child {
    let device = OpenOptions::new().read(true).write(true).open(stick.node()).unwrap();
    let (seen, held): (PipeReader, PipeWriter) = std::io::pipe().unwrap();
    let keeper = Command::new(program("dormer-vm"))
        .arg("--keep-usb")
        .env("DORMER_SECCOMP", "kill")
        .stdin(seen)
        .stdout(device.try_clone().unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let order = Order::UsbAttach { id: stick.id().to_owned(), name: "Stick".into() };
    let answer = client.execute_with(&order, &[device.as_fd(), held.as_fd()]).unwrap();
    let attached: UsbAttached = serde_json::from_value(answer).unwrap();
    assert_eq!((attached.id.as_str(), attached.speed), (stick.id(), Speed::Super));
    assert_eq!(stick.driver().as_deref(), Some("usbfs"));
    let there: Vec<UsbStatus> = client.ask(&Order::QueryUsb {}).unwrap();
    assert_eq!((there.len(), there[0].vendor, there[0].port), (1, 0x46f4, attached.port));
    // Once is enough.
    assert!(client.execute_with(&order, &[device.as_fd()]).is_err());
    keeper
}

#[test]
fn linux_has_a_stick_of_the_host() {
    let medium = medium_or_skip!(media::DEBIAN_DISK.path());
    only_in_test_host!("only a test host has a stick");
    let stick = HostDevice::called("HARDDRIVE").expect("the test host has a stick");
    fs::write(
        stick.disk(SHORT),
        (0..4 * MIB as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    let before = sum(&stick.disk(SHORT), 0, 4);

    let mut guest = Guest::debian_with_usb(Home::new(), "host-usb", &medium, &["--firmware", "bios"], &[]);
    let mut client = Client::connect(&guest.control_path(), SHORT).unwrap();

    let mut keeper = attach(&mut client, &stick);
    assert_eq!(guest.shell_until("cat /sys/block/sda/size", SHORT), "32768");
    let read = "dd if=/dev/sda bs=1M count=4 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1";
    assert_eq!(guest.shell(read, SHORT), before);
    let write = "dd if=/dev/urandom of=/run/d bs=1M count=4 2>/dev/null && \
        dd if=/run/d of=/dev/sda bs=1M seek=4 oflag=direct conv=fsync 2>/dev/null && sha256sum /run/d | cut -d' ' -f1";
    let written = guest.shell(write, SHORT);
    // The machine stands for a while.
    guest.verb("pause", &[]);
    guest.verb("resume", &[]);
    assert_eq!(guest.shell(read, SHORT), before);

    // Given back.
    client.execute(&Order::UsbDetach { id: stick.id().to_owned() }).unwrap();
    guest.wait_event("word of it", SHORT, |event| {
        *event == Event::UsbDetached { id: stick.id().to_owned(), reason: UsbGone::Detached }
    });
    assert_eq!(stick.driver().as_deref(), Some("usb-storage"));
    assert!(keeper.wait().unwrap().success());
    assert_eq!((sum(&stick.disk(SHORT), 0, 4), sum(&stick.disk(SHORT), 4, 4)), (before, written));
    guest.shell_until("[ ! -e /sys/block/sda ]", SHORT);

    // By the desk, which has a keeper of its own; and the engine ends as by a crash.
    guest.must(&["usb", "attach", "host-usb", stick.id()]);
    assert_eq!(stick.driver().as_deref(), Some("usbfs"));
    guest.shell_until("cat /sys/block/sda/size", SHORT);
    guest.kill();
    stick.wait_driver(Some("usb-storage"), SHORT);
    stick.disk(SHORT);
}
