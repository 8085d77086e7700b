//! Virtio 1.2: PCI transport and devices.
