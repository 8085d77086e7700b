//! Why a new machine is filled in as it is, and what speaks against its image, in the person's language.

use library::media::{Obstacle, WhyDevices, WhyFirmware};

use crate::i18n::gettext;

/// Why this firmware.
pub(super) fn firmware(why: WhyFirmware) -> String {
    match why {
        WhyFirmware::OnlyBios => gettext("BIOS: the image starts with nothing else."),
        WhyFirmware::OnlyUefi => gettext("UEFI: the image starts with nothing else."),
        WhyFirmware::NarrowWindows => gettext("BIOS: there is no UEFI for 32-bit Windows."),
        WhyFirmware::OldWindows => gettext("BIOS: Windows 7 and older start with it."),
        WhyFirmware::OldSystem => gettext("BIOS: systems of that age start with it."),
        WhyFirmware::MostSystems => gettext("UEFI: most systems of today start with it."),
        WhyFirmware::NewWindows => gettext("UEFI: Windows 8 and newer are made for it."),
        WhyFirmware::Today => gettext("UEFI, as on computers of today."),
    }
}

/// Why these devices.
pub(super) fn devices(why: WhyDevices) -> String {
    match why {
        WhyDevices::AnySystem => gettext("The disk is connected as any system finds it."),
        WhyDevices::Fastest => gettext("The fastest devices (virtio): it has drivers for them."),
        WhyDevices::OwnDrivers => gettext("Devices that work with its own drivers."),
        WhyDevices::Old => gettext("Devices of old computers, and no network card."),
    }
}

/// What keeps a system from being installed here.
pub(super) fn obstacle(obstacle: Obstacle) -> String {
    match obstacle {
        Obstacle::Windows11 => gettext(
            "Windows 11 installs only on computers with a TPM 2.0 and Secure Boot. Dormer’s machines do not have them yet, so its installer will say that this PC cannot run Windows 11.",
        ),
    }
}
