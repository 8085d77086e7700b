//! The kernel's own tests of a USB controller and of what is between it and a device, run in a guest: `usbtest` on a Gadget Zero of the
//! host's, passed through (the kernel's drivers/usb/misc/usbtest.c and tools/usb/testusb.c).
//!
//! At high speed and at SuperSpeed, all but what needs isochronous transfers, which the host's `dummy_hcd` has none of.

use std::time::Duration;

use dormer_tests::gadget::KernelGadget;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::host_device::HostDevice;
use dormer_tests::{media, medium_or_skip, only_in_test_host};

const SHORT: Duration = Duration::from_secs(240);
const NAME: &str = "usbtest";

/// Number, how often, bytes, by how much they vary, pieces or what is queued at once; what it is about. All bytes are compared with the
/// pattern that both ends know. What is read is of whole packets: the device sends no less, and more than there is room for is babble.
/// Not there are isochronous ones, those of interrupt endpoints, which this device has none of, and those that only measure.
const TESTS: &[(u32, u32, u32, u32, u32, &str)] = &[
    (1, 50, 1024, 0, 0, "bulk writes"),
    (2, 50, 1024, 0, 0, "bulk reads"),
    (3, 50, 1024, 421, 0, "bulk writes of many lengths"),
    (4, 50, 4096, 1024, 0, "bulk reads of many lengths"),
    (5, 20, 1024, 0, 16, "scattered bulk writes"),
    (5, 5, 65536, 0, 16, "large scattered bulk writes"),
    (6, 20, 1024, 0, 16, "scattered bulk reads"),
    (6, 5, 65536, 0, 16, "large scattered bulk reads"),
    (7, 20, 1024, 421, 16, "scattered bulk writes of many lengths"),
    (8, 20, 4096, 1024, 16, "scattered bulk reads of many lengths"),
    (9, 20, 0, 0, 0, "the requests of chapter 9"),
    (10, 10, 0, 0, 32, "queued requests, some of which stall"),
    (11, 20, 1024, 0, 0, "reads that are taken back"),
    (12, 20, 1024, 0, 0, "writes that are taken back"),
    (13, 20, 0, 0, 0, "halts that are set and cleared"),
    (14, 20, 1024, 421, 0, "requests with data both ways"),
    (17, 20, 1024, 0, 0, "writes from odd addresses"),
    (18, 20, 1024, 0, 0, "reads to odd addresses"),
    (19, 20, 1024, 0, 0, "writes from odd addresses that are not mapped before"),
    (20, 20, 1024, 0, 0, "reads to odd addresses that are not mapped before"),
    (21, 20, 1024, 421, 0, "requests with data at odd addresses"),
    (24, 10, 1024, 0, 16, "a queue that is taken back"),
    (29, 20, 1024, 0, 0, "writes, and a toggle that is cleared between them"),
];

#[test]
fn the_kernels_tests_pass_in_a_guest() {
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    only_in_test_host!("only a test host gets gadgets");
    let mut guest = Guest::debian_with_usb(Home::new(), NAME, &disk, &["--firmware", "bios"], &[]);
    // What testusb does: an order to the driver through the device's file (usbdevfs_ioctl, usbtest_param_32).
    let testusb = "use strict; my ($node, @wish) = @ARGV; open my $file, '+<', $node or die; \
        my $test = pack 'L5l2', @wish, 0, 0; my $order = pack 'iiP', 0, 0xc01c5564, $test; \
        print defined(ioctl $file, 0xc0105512, $order) ? 'passed' : \"failed: $!\";";
    for (is_super, speed) in [(false, "480"), (true, "5000")] {
        let zero = KernelGadget::zero(is_super);
        let device = HostDevice::appears(KernelGadget::NAME, SHORT);
        guest.must(&["usb", "attach", "--yes", NAME, device.id()]);
        let folder = format!("$(dirname $(grep -l '{}' /sys/bus/usb/devices/*/product))", KernelGadget::NAME);
        assert_eq!(guest.shell_until(&format!("cat {folder}/speed"), SHORT), speed);
        guest.shell(&format!("modprobe usbtest; echo 1 > /sys/module/usbtest/parameters/pattern; udevadm settle; ls -d {folder}/*:1.0/driver"), SHORT);
        let node = guest.shell(&format!("cat {folder}/busnum {folder}/devnum"), SHORT);
        let numbers: Vec<u32> = node.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let node = format!("/dev/bus/usb/{:03}/{:03}", numbers[0], numbers[1]);
        let mut failed = Vec::new();
        for (number, times, length, vary, depth, what) in TESTS {
            let order =
                format!("perl -e '{}' {node} {number} {times} {length} {vary} {depth}", testusb.replace('\'', "'\\''"));
            let said = guest.shell(&order, SHORT);
            println!("  {speed} Mbit/s, test {number}, {what}: {said}");
            if said != "passed" {
                failed.push(*number);
            }
        }
        println!("{}", guest.shell("dmesg | tail -n 40", SHORT));
        assert_eq!(failed, [0; 0], "at {speed} Mbit/s");
        guest.must(&["usb", "detach", NAME, device.id()]);
        drop(zero);
    }
}
