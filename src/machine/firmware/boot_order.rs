//! `bootorder`: what to boot from, best first, one Open Firmware device path a line.
//!
//! Paths are as QEMU prints them. SeaBIOS compares what follows each `@` (and the words `drive` and `disk` of ATA drives); OVMF
//! parses node names as well. Numbers are hexadecimal.

use std::fmt;

/// A device to boot from. PCI slots are those of bus 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootTarget {
    /// Disk or CD drive on a port of the ICH9's AHCI controller, 00:1f.2.
    Ahci {
        /// 0 to 5.
        port: u8,
    },
    /// The virtio disk in a slot.
    VirtioBlk {
        /// 1 to 31.
        slot: u8,
    },
    /// The disk in a port of a USB controller.
    Usb {
        /// The controller's slot, 1 to 31.
        slot: u8,
        /// Its root port, 1 being the first.
        port: u8,
        /// And 1 being the first of USB 3's. SeaBIOS counts like that, as QEMU does, and OVMF does not: there is a line for each.
        super_port: u8,
    },
    /// The network card in a slot.
    Network {
        /// 1 to 31.
        slot: u8,
    },
}

impl fmt::Display for BootTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahci { port } => write!(f, "/pci@i0cf8/pci8086,2922@1f,2/drive@{port:x}/disk@0"),
            Self::VirtioBlk { slot } => write!(f, "/pci@i0cf8/scsi@{slot:x}/disk@0,0"),
            Self::Usb { slot, port, super_port } => {
                let stick = |port: &u8| format!("/pci@i0cf8/usb@{slot:x}/storage@{port:x}/channel@0/disk@0,0");
                write!(f, "{}\n{}", stick(super_port), stick(port))
            }
            Self::Network { slot } => write!(f, "/pci@i0cf8/ethernet@{slot:x}/ethernet-phy@0"),
        }
    }
}

/// The devices in the order that `order` names them in; those that it does not name follow.
pub(crate) fn ordered(mut devices: Vec<(String, BootTarget)>, order: &[String]) -> Vec<BootTarget> {
    devices.sort_by_key(|(id, _)| order.iter().position(|named| named == id).unwrap_or(usize::MAX));
    devices.into_iter().map(|(_, target)| target).collect()
}

/// The file, closed with a zero; none when there is nothing to say.
pub(super) fn text(targets: &[BootTarget]) -> Option<Vec<u8>> {
    let lines: Vec<_> = targets.iter().map(BootTarget::to_string).collect();
    (!lines.is_empty()).then(|| (lines.join("\n") + "\0").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_ones_come_first() {
        let (disk, cd) = (BootTarget::VirtioBlk { slot: 0x10 }, BootTarget::Ahci { port: 0 });
        let (net, other) = (BootTarget::Network { slot: 2 }, BootTarget::Network { slot: 3 });
        let devices = || vec![("disk0".into(), disk), ("cd0".into(), cd), ("net0".into(), net), ("net1".into(), other)];
        assert_eq!(ordered(devices(), &[]), [disk, cd, net, other]);
        assert_eq!(ordered(devices(), &["net1".into(), "gone".into(), "cd0".into()]), [other, cd, disk, net]);
    }

    #[test]
    fn a_line_each() {
        let targets = [
            BootTarget::VirtioBlk { slot: 0x10 },
            BootTarget::Ahci { port: 1 },
            BootTarget::Usb { slot: 0x14, port: 10, super_port: 2 },
            BootTarget::Network { slot: 2 },
        ];
        let text = String::from_utf8(text(&targets).unwrap()).unwrap();
        assert_eq!(
            text,
            "/pci@i0cf8/scsi@10/disk@0,0\n\
             /pci@i0cf8/pci8086,2922@1f,2/drive@1/disk@0\n\
             /pci@i0cf8/usb@14/storage@2/channel@0/disk@0,0\n\
             /pci@i0cf8/usb@14/storage@a/channel@0/disk@0,0\n\
             /pci@i0cf8/ethernet@2/ethernet-phy@0\0"
        );
    }
}
