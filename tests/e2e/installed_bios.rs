//! An installed Debian 13 on SeaBIOS: see [`dormer_tests::installed`].

use dormer_tests::installed::{Variant, runs};
use dormer_tests::{media, medium_or_skip, only_in_full};

const BIOS: Variant = Variant { name: "", firmware: "bios", virtio: true, e1000: false, cpus: 1 };

#[test]
fn on_ahci_with_one_processor_and_an_e1000() {
    let variant = Variant { name: "debian-bios-ahci-1", virtio: false, e1000: true, ..BIOS };
    runs(variant, &medium_or_skip!(media::DEBIAN_DISK.path()));
}

#[test]
fn on_ahci_with_four_processors() {
    only_in_full!();
    let variant = Variant { name: "debian-bios-ahci-4", virtio: false, cpus: 4, ..BIOS };
    runs(variant, &medium_or_skip!(media::DEBIAN_DISK.path()));
}

#[test]
fn on_virtio_with_one_processor() {
    only_in_full!();
    runs(Variant { name: "debian-bios-virtio-1", ..BIOS }, &medium_or_skip!(media::DEBIAN_DISK.path()));
}

#[test]
fn on_virtio_with_four_processors() {
    only_in_full!();
    runs(Variant { name: "debian-bios-virtio-4", cpus: 4, ..BIOS }, &medium_or_skip!(media::DEBIAN_DISK.path()));
}
