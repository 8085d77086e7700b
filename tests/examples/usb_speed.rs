//! How fast a guest reads and writes on USB, and what it costs, as a ratio to QEMU with the same devices on the same host:
//!
//! ```sh
//! cargo build --release --workspace --exclude dormer-xtask --bins --examples
//! cargo xtask host --exact --timeout 7200 -- target/release/examples/usb_speed
//! ```
//!
//! A Debian reads and writes, past its cache: a stick of the host's, passed through, which the host's kernel plays itself, once a
//! millisecond ([`KernelGadget`]: what waits for another computer has no place on a clock that goes by instructions); a disk of the machine's own by UAS; and the same
//! by the transport of old, Bulk-Only. Time is the guest's, the costs are the engine's whole processor time, its guest in it. One line of
//! JSON for each: MB/s, processor time for a MB in milliseconds, and the ratios; and one of an idle guest with the stick: processor time
//! for a second, in milliseconds.
//!
//! `usb_speed [MIB [NAME]]`: of so many (64); with a stick of the host's that has this name instead of the played one, where its clock is the
//! computer's:
//!
//! ```sh
//! truncate -s 300M target/stick.img
//! cargo xtask host --usb-stick target/stick.img --timeout 7200 -- target/release/examples/usb_speed 32 "QEMU USB HARDDRIVE"
//! ```

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use dormer_tests::gadget::KernelGadget;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::host_device::HostDevice;
use dormer_tests::qemu::Qemu;
use dormer_tests::{media, serial};
use regex::Regex;
use serde_json::json;

/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const LONG: Duration = Duration::from_secs(1800);

/// What a guest did.
#[derive(Clone, Copy)]
struct Measured {
    /// In a second.
    megabytes: f64,
    /// Processor time for each megabyte.
    cost: f64,
}

fn main() {
    let count: u32 = std::env::args().nth(1).map_or(64, |word| word.parse().expect("a number of MiB"));
    let debian = media::DEBIAN_DISK.path().expect("`cargo xtask test media` builds it");
    let folder = tempfile::tempdir().expect("room for disks");
    let [own, played] = ["own.img", "stick.img"].map(|name| folder.path().join(name));
    for image in [&own, &played] {
        std::fs::write(image, mbr())
            .and_then(|()| std::fs::File::options().write(true).open(image)?.set_len(300 << 20))
            .expect("room");
    }
    let real = std::env::args().nth(2);
    let _plugged = real.is_none().then(|| KernelGadget::stick(&played));
    let stick = HostDevice::appears(real.as_deref().unwrap_or(KernelGadget::NAME), Duration::from_secs(60));
    stick.wait_driver(Some("usb-storage"), Duration::from_secs(60));

    let mut ours = dormer(&debian, &own);
    ours.must(&["usb", "attach", "--yes", "speed", stick.id()]);
    let passed = both(&mut ours, "usb-storage", count, None);
    let idle = idle(&mut ours);
    ours.must(&["usb", "detach", "speed", stick.id()]);
    stick.wait_driver(Some("usb-storage"), Duration::from_secs(60));
    let uas = both(&mut ours, "uas", count, None);
    let bot = both(&mut ours, "usb-storage", count, Some("46f4:0001"));
    drop(ours);

    let through = format!("usb-host,hostbus={},hostport={}", stick.number("busnum"), port(&stick));
    let mut guest = qemu(&debian, &own, &["-device", &through]);
    compare("a stick of the host", passed, both(&mut guest, "usb-storage", count, None));
    println!(
        "{}",
        json!({ "what": "idle, with that stick", "ms/s": round(idle), "QEMU ms/s": round(self::idle(&mut guest)) })
    );
    drop(guest);
    let disk = ["-device", "usb-uas,id=uas", "-device", "scsi-hd,bus=uas.0,drive=own"];
    compare("its own, by UAS", uas, both(&mut qemu(&debian, &own, &disk), "uas", count, None));
    let disk = ["-device", "usb-storage,drive=own"];
    compare("its own, by BOT", bot, both(&mut qemu(&debian, &own, &disk), "usb-storage", count, None));
}

/// What makes a disk of some bytes.
fn mbr() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

/// The port as QEMU wants it: without the bus.
fn port(device: &HostDevice) -> &str {
    device.id().split_once('-').expect("bus and port").1
}

/// A guest of either.
trait Machine: serial::SerialPort {
    /// The engine's process.
    fn process(&self) -> u32;
}

impl Machine for Guest {
    fn process(&self) -> u32 {
        // The oldest of this name: the others keep devices.
        let output = std::process::Command::new("pgrep").args(["-o", "dormer-vm"]).output().expect("pgrep");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("the engine runs")
    }
}

impl Machine for Qemu {
    fn process(&self) -> u32 {
        Qemu::process(self)
    }
}

fn dormer(disk: &Path, own: &Path) -> Guest {
    let home = Home::new();
    let word = |path: &Path| path.to_str().expect("a path of plain characters").to_owned();
    let (disk, own) = (word(disk), word(own));
    let guest = ["--profile", "linux", "--os", "debian13", "--firmware", "bios", "--cpus", "1"];
    home.must(&[&["create", "speed", "--disk", &disk, "--disk", &own][..], &guest].concat());
    home.must(&["set", "speed", "usb.controller=xhci", "disk1.bus=usb", "memory=512", "net0.link=off"]);
    let mut guest = Guest::start_in(home, "speed");
    guest.log_in(BOOT);
    guest
}

fn qemu(disk: &Path, own: &Path, devices: &[&str]) -> Qemu {
    let mut options: Vec<OsString> = ["-m", "512", "-smp", "1", "-snapshot"].map(OsString::from).into();
    let drive = format!("file={},format=qcow2,if=none,id=disk0", disk.display());
    let own = format!("file={},format=raw,if=none,id=own", own.display());
    let rest = ["-drive", &drive, "-drive", &own, "-device", "virtio-blk-pci,drive=disk0", "-device", "qemu-xhci"];
    options.extend(rest.iter().chain(devices).map(OsString::from));
    // As every machine of ours has them.
    options.extend(["-device", "virtio-vga", "-device", "virtio-rng-pci"].map(OsString::from));
    let mut guest = Qemu::start(options);
    guest.log_in(BOOT);
    guest
}

/// Reads and writes on the disk with this driver, which is given to the devices with these numbers if it is not theirs.
fn both(guest: &mut impl Machine, driver: &str, count: u32, forced: Option<&str>) -> [Measured; 2] {
    if let Some(numbers) = forced {
        let force = format!(
            "udevadm settle && rmmod uas usb_storage && modprobe usb-storage quirks={numbers}:u && udevadm settle"
        );
        serial::shell(guest, &force, LONG);
    }
    let find = format!(
        "for b in /sys/block/sd?; do case $(readlink -f $b/device/../../../driver) in */{driver}) echo ${{b##*/}};; esac; done | grep ."
    );
    let disk = serial::shell_until(guest, &find, LONG / 10);
    let options = format!("bs=1M count={count} 2>&1 | tail -1");
    let read = measure(guest, &format!("dd if=/dev/{disk} of=/dev/null iflag=direct {options}"));
    let write = measure(guest, &format!("dd if=/dev/zero of=/dev/{disk} seek=1 oflag=direct {options}"));
    [read, write]
}

fn measure(guest: &mut impl Machine, command: &str) -> Measured {
    let process = guest.process();
    let before = processor_times(process);
    let said = serial::shell(guest, command, LONG);
    let spent = spent_since(&before, process);
    let numbers = Regex::new(r"^(\d+) bytes .*, ([\d.e-]+) s,").expect("a regular expression");
    let found = numbers.captures(&said).unwrap_or_else(|| panic!("dd says: {said}"));
    let [bytes, seconds] = [1, 2].map(|at| found[at].parse::<f64>().expect("a number"));
    Measured { megabytes: bytes / 1e6 / seconds, cost: spent * 1e3 / (bytes / 1e6) }
}

/// Milliseconds of processor time in a second of nothing.
fn idle(guest: &mut impl Machine) -> f64 {
    const SECONDS: u32 = 30;
    // Whatever follows what was done before.
    serial::shell(guest, "sleep 15", LONG);
    let process = guest.process();
    let before = processor_times(process);
    serial::shell(guest, &format!("sleep {SECONDS}"), LONG);
    spent_since(&before, process) * 1e3 / f64::from(SECONDS)
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Nanoseconds that each thread of a process had, by its `schedstat` (the kernel's Documentation/scheduler/sched-stats.rst): exact, where
/// proc_pid_stat(5) has hundredths.
fn processor_times(process: u32) -> HashMap<OsString, u64> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the engine runs").flatten();
    let time = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some((thread.file_name(), text.split_whitespace().next()?.parse().ok()?))
    };
    threads.filter_map(time).collect()
}

/// Seconds that a process had since then. Threads that have ended meanwhile are not counted, neither what they had before.
fn spent_since(before: &HashMap<OsString, u64>, process: u32) -> f64 {
    let spent = |(thread, time): (OsString, u64)| time.saturating_sub(before.get(&thread).copied().unwrap_or(0));
    processor_times(process).into_iter().map(spent).sum::<u64>() as f64 / 1e9
}

fn compare(what: &str, ours: [Measured; 2], theirs: [Measured; 2]) {
    for ((way, ours), theirs) in ["read", "written"].into_iter().zip(ours).zip(theirs) {
        println!(
            "{}",
            json!({
                "what": what, "way": way,
                "MB/s": round(ours.megabytes), "ms/MB": round(ours.cost),
                "QEMU MB/s": round(theirs.megabytes), "QEMU ms/MB": round(theirs.cost),
                "speed ratio": round(ours.megabytes / theirs.megabytes), "cost ratio": round(ours.cost / theirs.cost),
            })
        );
    }
}
