//! Each kind of USB device that a host has, in a guest whose own drivers must work: keys and a pointer, a serial adapter, a network card,
//! loudspeakers, a microphone, a camera, a reader of smart cards, a media player, and what is behind a hub.
//!
//! All of them are the test host's own, attached by `dormerctl usb attach` and given back; what they did is looked for where it arrived.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dormer_tests::gadget::{Camera, Microphone, Plugged};
use dormer_tests::guest::{Guest, Home};
use dormer_tests::host_device::HostDevice;
use dormer_tests::monitor::Monitor;
use dormer_tests::signal::{self, noise};
use dormer_tests::{media, medium_or_skip, output};
use serde_json::json;

const SHORT: Duration = Duration::from_secs(240);
const NAME: &str = "usb-kinds";
/// Of the noise that is played, at 48 kHz in stereo.
const FRAMES: usize = 96_000;
/// Where the disk with it has it.
const NOISE_AT: usize = 1 << 16;
/// And what is recorded.
const RECORDED_AT: usize = 1 << 20;

/// The guest and, of the computer that the test runs on, the monitor.
struct Desk {
    guest: Guest,
    monitor: Monitor,
}

impl Desk {
    /// Gives the device to the guest, which must have a driver at its first interface then, if one is named.
    #[track_caller]
    fn attach(&mut self, device: &HostDevice, driver: &str) {
        // The person knows that it is missed.
        let said = self.guest.must(&["usb", "attach", "--yes", NAME, device.id()]);
        assert!(said.contains("at its port 1."), "{said}");
        assert_eq!(device.driver().as_deref(), Some("usbfs"));
        let seen = format!("grep -l '{}' /sys/bus/usb/devices/*/product", device.product());
        let bound = if driver.is_empty() { seen } else { format!("ls -d /sys/bus/usb/drivers/{driver}/*:*") };
        self.guest.shell_until(&format!("{bound} && udevadm settle"), SHORT);
    }

    /// Gives it back, to this driver.
    #[track_caller]
    fn detach(&mut self, device: &HostDevice, driver: Option<&str>) {
        self.guest.must(&["usb", "detach", NAME, device.id()]);
        device.wait_driver(driver, SHORT);
    }

    /// The events that one of the guest's input devices has meanwhile, each as type, code and value.
    #[track_caller]
    fn events(&mut self, name: &str, count: u32, meanwhile: impl FnOnce(&mut Monitor)) -> String {
        let device = format!("$(grep -l '{name}' /sys/class/input/event*/device/name | head -1 | cut -d/ -f5)");
        self.guest.shell_until(&format!("[ -n \"{device}\" ]"), SHORT);
        let listen = format!("dd if=/dev/input/{device} of=/run/events bs=24 count={count} 2>/dev/null & sleep 1");
        self.guest.shell(&listen, SHORT);
        meanwhile(&mut self.monitor);
        let heard = "wait; od -An -v -w24 -t d2 /run/events | awk '{ print $9, $10, $11 }'";
        self.guest.shell(heard, SHORT)
    }
}

#[test]
fn each_kind_works_in_a_guest() {
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let Some(monitor) = Monitor::open() else {
        println!("skipped: only a test host has these devices");
        return;
    };
    let home = Home::new();
    let sound = home.path().join("noise.img");
    // Something like a disk, so that it is known for one.
    let mut bytes = vec![0; NOISE_AT];
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes.extend(signal::to_bytes(&noise(FRAMES)));
    bytes.resize(2 << 20, 0);
    fs::write(&sound, bytes).expect("room for some noise");
    let noise_disk = sound.clone();
    let sound = sound.to_str().expect("a path of plain characters");
    println!("{}", home.must(&["usb", "list"]));
    // There is room for all of them in its hub.
    let settings = ["usb.hub=on", "usb.tablet=off"];
    let guest = Guest::debian_with_usb(home, NAME, &disk, &["--disk", sound, "--firmware", "bios"], &settings);
    let mut desk = Desk { guest, monitor };

    keys(&mut desk);
    pointer(&mut desk);
    serial(&mut desk);
    network(&mut desk);
    media_player(&mut desk);
    smart_cards(&mut desk);
    loudspeakers(&mut desk);
    microphone(&mut desk, &noise_disk);
    camera(&mut desk, &noise_disk);
    hub(&mut desk);

    assert!(desk.guest.must(&["usb", "list", NAME]).contains("no USB device"));
    let said = desk.guest.shell("dmesg | grep -i -e usb -e xhci", SHORT);
    println!("{said}");
    for bad in ["WARN", "timed out", "timeout", "died", "not responding", "babble"] {
        assert!(!said.contains(bad), "{bad}: {said}");
    }
}

fn called(name: &str) -> HostDevice {
    HostDevice::called(name).unwrap_or_else(|| panic!("the test host has no “{name}”"))
}

fn keys(desk: &mut Desk) {
    let keyboard = called("QEMU USB Keyboard");
    // One that is typed on is not taken unasked.
    assert!(desk.guest.home.must_fail(&["usb", "attach", NAME, keyboard.id()]).contains("--yes"));
    desk.attach(&keyboard, "usbhid");
    let events = desk.events("QEMU USB Keyboard", 6, |monitor| monitor.press("q"));
    assert!(events.contains("1 16 1") && events.contains("1 16 0"), "{events}");
    desk.detach(&keyboard, Some("usbhid"));
}

fn pointer(desk: &mut Desk) {
    let tablet = called("QEMU USB Tablet");
    // The only one stays.
    assert!(desk.guest.home.must_fail(&["usb", "attach", "--yes", NAME, tablet.id()]).contains("only mouse"));
    desk.monitor.plug(json!({ "driver": "usb-mouse", "id": "mouse", "bus": "xhci.0", "port": "14" }));
    HostDevice::appears("QEMU USB Mouse", SHORT).wait_driver(Some("usbhid"), SHORT);
    desk.attach(&tablet, "usbhid");
    let events = desk.events("QEMU USB Tablet", 3, |monitor| monitor.point(0x1234, 0x4321));
    assert!(events.ends_with("3 0 4660\n3 1 17185\n0 0 0"), "{events}");
    desk.detach(&tablet, Some("usbhid"));
}

fn serial(desk: &mut Desk) {
    let adapter = called("QEMU USB SERIAL");
    desk.attach(&adapter, "ftdi_sio");
    let text: String = (0..200).map(|i| format!("line {i}\n")).collect();
    desk.guest.shell_until("[ -c /dev/ttyUSB0 ]", SHORT);
    desk.guest.shell(
        "stty -F /dev/ttyUSB0 raw 115200; \
         for i in $(seq 0 199); do echo line $i; done > /dev/ttyUSB0",
        SHORT,
    );
    desk.detach(&adapter, Some("ftdi_sio"));
    let sent = fs::read_to_string(output().join("host_usb_kinds-serial.txt")).expect("what was sent");
    assert_eq!(sent, text);
}

fn network(desk: &mut Desk) {
    let card = called("RNDIS/QEMU USB Network Device");
    let before = card.driver();
    // It has a configuration for Windows, and one for others.
    desk.attach(&card, "");
    // Whoever answers at the far end refuses, and by that has an address.
    let knock = "ip address add 10.0.2.77/24 dev usb0; ip link set usb0 up; \
        for i in $(seq 60); do curl -s -m 5 http://10.0.2.2:9/; [ $? = 7 ] && break; sleep 0.5; done; \
        ip -color=never neighbour show 10.0.2.2 dev usb0";
    let neighbour = desk.guest.shell(knock, SHORT);
    assert!(neighbour.contains("lladdr 52:55:0a:00:02:02"), "{neighbour}");
    println!("  by {}", desk.guest.shell("basename $(readlink /sys/class/net/usb0/device/driver)", SHORT));
    desk.detach(&card, before.as_deref());
}

fn media_player(desk: &mut Desk) {
    let folder = output().join("host_usb_kinds-mtp");
    let tune: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(folder.join("tune.ogg"), &tune).expect("a tune");
    let player = called("QEMU filesharing");
    desk.attach(&player, "");
    println!("{}", desk.guest.shell("lsusb; mtp-files 2>&1", SHORT));
    let fetched = desk.guest.shell(
        "id=$(mtp-files 2>/dev/null | grep 'File ID' | tail -1 | tr -dc 0-9); \
         mtp-getfile $id /run/tune > /dev/null 2>&1; sha256sum < /run/tune | cut -d' ' -f1; rm /run/tune",
        SHORT,
    );
    assert_eq!(fetched, dormer_tests::installed::checksum(&tune));
    desk.detach(&player, None);
}

fn smart_cards(desk: &mut Desk) {
    let reader = called("QEMU USB CCID");
    desk.attach(&reader, "");
    desk.guest
        .shell("systemctl stop pcscd.socket pcscd.service 2>/dev/null; (pcscd -f -d > /run/pcscd.log 2>&1 &)", SHORT);
    // Its slots are counted, and it is asked again and again whether there is a card in it.
    desk.guest.shell_until("grep 'Reader supports 1 slot(s)' /run/pcscd.log", SHORT);
    desk.guest.shell_until("grep 'Using the reader polling thread' /run/pcscd.log", SHORT);
    desk.guest.shell("pkill pcscd", SHORT);
    desk.detach(&reader, None);
}

/// Two seconds of sound, as the host's loudspeakers have it.
fn loudspeakers(desk: &mut Desk) {
    let speakers = called("QEMU USB Audio");
    desk.attach(&speakers, "snd-usb-audio");
    let card = desk.guest.shell_until("ls /proc/asound/card*/usbid", SHORT).replace(|c: char| !c.is_ascii_digit(), "");
    let bytes = FRAMES * 4;
    desk.guest.shell(
        &format!(
            "amixer -c {card} scontrols | cut -d\\' -f2 | while read c; do amixer -q -c {card} sset \"$c\" 100% unmute; done; dd if=/dev/vdb bs={NOISE_AT} skip=1 status=none | head -c {bytes} | \
             aplay -q -D hw:{card},0 -t raw -f S16_LE -c 2 -r 48000 2>&1"
        ),
        SHORT,
    );
    desk.detach(&speakers, Some("snd-usb-audio"));
    signal::assert_came_out(&output().join("host_usb_kinds-audio.wav"), &noise(FRAMES));
}

/// A second of a microphone, as the guest records it.
fn microphone(desk: &mut Desk, disk: &Path) {
    let _plugged = Plugged::plug(Microphone::default());
    let microphone = HostDevice::appears(Microphone::NAME, SHORT);
    microphone.wait_driver(Some("snd-usb-audio"), SHORT);
    desk.attach(&microphone, "snd-usb-audio");
    let card = desk.guest.shell_until("ls /proc/asound/card*/usbid", SHORT).replace(|c: char| !c.is_ascii_digit(), "");
    desk.guest.shell(
        &format!(
            "arecord -q -D hw:{card},0 -t raw -f S16_LE -c 2 -r 48000 -s 48000 | \
             dd of=/dev/vdb bs={NOISE_AT} seek={} conv=notrunc,fsync iflag=fullblock status=none",
            RECORDED_AT / NOISE_AT
        ),
        SHORT,
    );
    desk.detach(&microphone, Some("snd-usb-audio"));
    let bytes = fs::read(disk).expect("the disk with what was recorded");
    Microphone::assert_recorded(&bytes[RECORDED_AT..][..48_000 * 4]);
}

/// Pictures of a camera, as the guest's driver puts them together from isochronous packets.
fn camera(desk: &mut Desk, disk: &Path) {
    const PICTURES: usize = 20;
    let _plugged = Plugged::plug(Camera::default());
    let camera = HostDevice::appears(Camera::NAME, SHORT);
    let before = camera.driver();
    desk.attach(&camera, "uvcvideo");
    desk.guest.shell_until("[ -c /dev/video0 ]", SHORT);
    let film = format!(
        "gst-launch-1.0 -q v4l2src device=/dev/video0 num-buffers={PICTURES} ! video/x-raw,format=YUY2 ! filesink location=/run/film > /run/gst 2>&1; \
         dd if=/run/film of=/dev/vdb bs={NOISE_AT} seek={} conv=notrunc,fsync status=none; wc -c < /run/film",
        RECORDED_AT / NOISE_AT
    );
    let said = desk.guest.shell(&film, SHORT);
    let length = said.lines().last().and_then(|line| line.trim().parse::<usize>().ok()).expect("a length");
    desk.detach(&camera, before.as_deref());
    let bytes = fs::read(disk).expect("the disk with the film");
    Camera::assert_filmed(&bytes[RECORDED_AT..][..length], PICTURES);
}

/// A hub of the host with three devices in it: each is a device of its own, and the guest has all at once.
fn hub(desk: &mut Desk) {
    desk.monitor.plug(json!({ "driver": "usb-hub", "id": "hub", "bus": "xhci.0", "port": "15" }));
    for (port, driver) in ["usb-kbd", "usb-wacom-tablet", "usb-tablet"].iter().enumerate() {
        let port = format!("15.{}", port + 1);
        desk.monitor.plug(json!({ "driver": driver, "id": format!("in-hub{port}"), "bus": "xhci.0", "port": port }));
    }
    let wacom = HostDevice::appears("Wacom PenPartner", SHORT);
    let (port, _) = wacom.id().rsplit_once('.').expect("it is in a hub");
    // The hub itself stays.
    assert!(desk.guest.home.must_fail(&["usb", "attach", "--yes", NAME, port]).contains("hub"));
    let all: Vec<String> = (1..=3).map(|number| format!("{port}.{number}")).collect();
    for id in &all {
        desk.guest.must(&["usb", "attach", "--yes", NAME, id]);
    }
    let bound = "ls -d /sys/bus/usb/drivers/usbhid/*:* /sys/bus/usb/drivers/wacom/*:* 2>/dev/null | wc -l";
    desk.guest.shell_until(&format!("[ $({bound}) -ge 3 ]"), SHORT);
    let there = desk.guest.must(&["usb", "list", NAME]);
    assert!(all.iter().all(|id| there.contains(id.as_str())), "{there}");
    // Pulled out with all that is in it.
    desk.monitor.pull("hub");
    desk.guest.wait("end of what was in the hub", SHORT, Duration::from_millis(200), |guest| {
        guest.must(&["usb", "list", NAME]).contains("no USB device").then_some(())
    });
}
