//! An installed Debian 13 on OVMF: see [`dormer_tests::installed`].

use dormer_tests::installed::{Variant, runs};
use dormer_tests::{media, medium_or_skip, only_in_full};

const UEFI: Variant = Variant { name: "", firmware: "uefi", virtio: true, e1000: false, cpus: 1 };

#[test]
fn on_virtio_with_four_processors() {
    runs(Variant { name: "debian-uefi-virtio-4", cpus: 4, ..UEFI }, &medium_or_skip!(media::DEBIAN_DISK.path()));
}

#[test]
fn on_ahci_with_one_processor() {
    only_in_full!();
    runs(Variant { name: "debian-uefi-ahci-1", virtio: false, ..UEFI }, &medium_or_skip!(media::DEBIAN_DISK.path()));
}

#[test]
fn on_ahci_with_four_processors() {
    only_in_full!();
    let variant = Variant { name: "debian-uefi-ahci-4", virtio: false, cpus: 4, ..UEFI };
    runs(variant, &medium_or_skip!(media::DEBIAN_DISK.path()));
}

#[test]
fn on_virtio_with_one_processor() {
    only_in_full!();
    runs(Variant { name: "debian-uefi-virtio-1", ..UEFI }, &medium_or_skip!(media::DEBIAN_DISK.path()));
}
