//! What settings and their values are called, and what they are for.

use api::settings::{CardKey, DiskKey, Key, SoundKey, UsbKey};

use crate::i18n::gettext;

/// A setting's title, and what to know about it.
pub(super) fn of(key: Key) -> (String, String) {
    let (title, about) = match key {
        Key::Name => (gettext("Name"), String::new()),
        Key::Group => (gettext("Group"), gettext("Machines of one group stand together in the list")),
        Key::Os => (gettext("System"), gettext("What is installed in it")),
        Key::Clock => (gettext("Clock"), gettext("Linux and BSD expect UTC; Windows and DOS expect local time")),
        Key::VirtioInput => (
            gettext("Fast Keyboard and Tablet"),
            gettext("The mouse is not captured. For Linux and BSD; others need a driver"),
        ),
        Key::Processors => (gettext("Processors"), gettext("More than half of this computer’s slow both down")),
        Key::Memory => (gettext("Memory in MiB"), gettext("Taken from this computer while the machine is on")),
        Key::Firmware => {
            (gettext("Firmware"), gettext("An installed system starts only with the one it was installed with"))
        }
        Key::Resolution => (gettext("Screen Size"), gettext("What the system finds when it starts")),
        Key::VideoMemory => (gettext("Video Memory in MiB"), gettext("16 are enough for screens of up to 2560 × 1600")),
        Key::Sound(SoundKey::Card) => (
            gettext("Sound Card"),
            gettext("Every system knows Intel HD Audio; virtio is for Linux, and takes less work"),
        ),
        Key::Sound(SoundKey::Volume) => (gettext("Volume in Percent"), gettext("The system has a volume of its own")),
        Key::Sound(SoundKey::Mute) => (gettext("Mute"), gettext("Nothing is heard; the system does not know")),
        Key::Sound(SoundKey::Output) => (gettext("Output Device"), String::new()),
        Key::Sound(SoundKey::Microphone) => {
            (gettext("Microphone"), gettext("The system hears this computer’s microphone while its window is open"))
        }
        Key::Sound(SoundKey::Input) => (gettext("Input Device"), String::new()),
        Key::Usb(UsbKey::Controller) => {
            (gettext("USB Controller"), gettext("Windows 8 and later, Linux and BSD have a driver for xHCI"))
        }
        Key::Usb(UsbKey::Tablet) => {
            (gettext("USB Tablet"), gettext("The mouse is not captured by systems with a driver for xHCI"))
        }
        Key::Usb(UsbKey::Mouse) => (gettext("USB Mouse"), gettext("For systems that know no tablet")),
        Key::Usb(UsbKey::Hub) => (
            gettext("USB Hub"),
            gettext("Tablet, mouse and keyboard are in it, and devices of USB 2 while there is room"),
        ),
        Key::Usb(UsbKey::Keyboard) => {
            (gettext("USB Keyboard"), gettext("Systems without a driver for xHCI do not hear keys"))
        }
        Key::Autostart => (gettext("Start at Login"), gettext("The machine starts when you log in to this computer")),
        Key::Notes => (gettext("Notes"), String::new()),
        Key::Boot => (gettext("Boot Order"), String::new()),
        Key::Usb(UsbKey::Rules) => (gettext("USB Devices"), String::new()),
        Key::Disk(_, DiskKey::Bus) => {
            (gettext("Controller"), gettext("virtio is faster; the system in it needs a driver for it"))
        }
        Key::Disk(_, DiskKey::Cache) => {
            (gettext("Cache"), gettext("What the system in it has saved is safe either way"))
        }
        Key::Disk(_, DiskKey::ReadOnly) => (gettext("Read-Only"), gettext("The system cannot write to this disk")),
        Key::Card(_, CardKey::Link) => (gettext("Cable"), gettext("Pulled out, the machine is offline")),
        Key::Card(_, CardKey::Network) => (gettext("Connected To"), String::new()),
        Key::Card(_, CardKey::Model) => (gettext("Card"), gettext("Every system knows the e1000; virtio is faster")),
        Key::Card(_, CardKey::Mac) => (gettext("Ethernet Address"), String::new()),
        Key::Card(_, CardKey::Forwards) => (gettext("Ports"), String::new()),
    };
    (title, about)
}

/// A value's name.
pub(super) fn value(key: Key, word: &str) -> String {
    match (key, word) {
        (Key::Firmware, "uefi") => gettext("UEFI"),
        (Key::Firmware, "bios") => gettext("BIOS"),
        (Key::Clock, "utc") => gettext("UTC"),
        (Key::Clock, "local") => gettext("Local Time"),
        (Key::Disk(_, DiskKey::Bus), "ahci") => gettext("AHCI, for every system"),
        (Key::Disk(_, DiskKey::Bus), "virtio") => gettext("virtio"),
        (Key::Disk(_, DiskKey::Bus), "usb") => gettext("USB Stick"),
        (Key::Card(_, CardKey::Model), "virtio") => gettext("virtio"),
        (Key::Card(_, CardKey::Model), "e1000") => gettext("Intel e1000"),
        (Key::Disk(_, DiskKey::Cache), "writeback") => gettext("This Computer’s"),
        (Key::Disk(_, DiskKey::Cache), "direct") => gettext("None: Straight to the Disk"),
        (Key::Sound(SoundKey::Card), "hda") => gettext("Intel HD Audio"),
        (Key::Sound(SoundKey::Card), "virtio") => gettext("virtio"),
        (Key::Sound(SoundKey::Card), "none") => gettext("None"),
        (Key::Usb(UsbKey::Controller), "xhci") => gettext("USB 3 (xHCI)"),
        (Key::Usb(UsbKey::Controller), "none") => gettext("None"),
        (Key::Resolution, size) => size.replace('x', " × "),
        _ => word.to_owned(),
    }
}
