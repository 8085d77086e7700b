//! Why a machine for a medium gets the firmware and the devices that it gets, and what speaks against it.

use api::machine::{Firmware, Profile};

use super::{Boots, Medium, MediumKind, System};

/// Why a machine gets its firmware. Shown, it is a sentence in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyFirmware {
    /// The image has nothing for UEFI.
    #[error("BIOS: the image starts with nothing else.")]
    OnlyBios,
    /// The image has nothing for BIOS.
    #[error("UEFI: the image starts with nothing else.")]
    OnlyUefi,
    /// No 32-bit UEFI is at hand.
    #[error("BIOS: there is no UEFI for 32-bit Windows.")]
    NarrowWindows,
    /// Windows before UEFI.
    #[error("BIOS: Windows 7 and older start with it.")]
    OldWindows,
    /// A system before UEFI.
    #[error("BIOS: systems of that age start with it.")]
    OldSystem,
    /// Nobody knows what it is.
    #[error("UEFI: most systems of today start with it.")]
    MostSystems,
    /// Windows after BIOS.
    #[error("UEFI: Windows 8 and newer are made for it.")]
    NewWindows,
    /// A system of today.
    #[error("UEFI, as on computers of today.")]
    Today,
}

/// Why a machine gets its devices. Shown, it is a sentence in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyDevices {
    /// Nobody knows which drivers are on the disk.
    #[error("The disk is connected as any system finds it.")]
    AnySystem,
    /// It knows virtio.
    #[error("The fastest devices (virtio): it has drivers for them.")]
    Fastest,
    /// It knows what real computers have.
    #[error("Devices that work with its own drivers.")]
    OwnDrivers,
    /// It is older than these.
    #[error("Devices of old computers, and no network card.")]
    Old,
}

/// What a person should know before they install a system here. Shown, it is sentences in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Its installer refuses a computer without a TPM 2.0 and Secure Boot.
    #[error(
        "Windows 11 installs only on computers with a TPM 2.0 and Secure Boot. Dormer’s machines do not have them yet, so its \
         installer will say that this PC cannot run Windows 11."
    )]
    Windows11,
}

impl Medium {
    /// Why this firmware.
    pub fn why_firmware(&self) -> WhyFirmware {
        let System { profile, windows, recognised, .. } = &self.system;
        let narrow = windows.as_ref().is_some_and(super::Windows::is_32_bit);
        match (self.boots, self.firmware()) {
            (Boots { bios: true, uefi: false }, _) => WhyFirmware::OnlyBios,
            (Boots { bios: false, uefi: true }, _) => WhyFirmware::OnlyUefi,
            (_, Firmware::Bios) if narrow => WhyFirmware::NarrowWindows,
            (_, Firmware::Bios) if windows.is_some() => WhyFirmware::OldWindows,
            (_, Firmware::Bios) => WhyFirmware::OldSystem,
            (_, Firmware::Uefi) if !recognised => WhyFirmware::MostSystems,
            (_, Firmware::Uefi) if *profile == Profile::Windows => WhyFirmware::NewWindows,
            (_, Firmware::Uefi) => WhyFirmware::Today,
        }
    }

    /// Why these devices.
    pub fn why_devices(&self) -> WhyDevices {
        match (self.system.profile, self.kind) {
            (Profile::Linux, MediumKind::Disk) if self.system.id.is_none() => WhyDevices::AnySystem,
            (Profile::Linux, _) => WhyDevices::Fastest,
            (Profile::Windows, _) => WhyDevices::OwnDrivers,
            (Profile::Legacy, _) => WhyDevices::Old,
        }
    }

    /// What keeps the system from being installed here.
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.system.windows.as_ref()?.wants_tpm().then_some(Obstacle::Windows11)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Windows, guess};
    use super::*;

    fn medium(boots: (bool, bool), label: &str, windows: Option<Windows>) -> Medium {
        let volume = super::super::Volume { volume: label.into(), ..Default::default() };
        let database = super::super::osinfo::Database::default();
        let path = std::path::PathBuf::from("x.iso");
        let system = match windows {
            Some(windows) => windows.system(&database),
            None => guess::system(&volume, &path, &database),
        };
        let boots = Boots { bios: boots.0, uefi: boots.1 };
        let format = api::machine::ImageFormat::Raw;
        Medium { path, kind: MediumKind::Cd, format, size: 1, boots, volume: Some(volume), system }
    }

    #[test]
    fn reasons_suit_the_choice() {
        let windows = |version, processor| Some(Windows { version, processor, ..Windows::default() });
        let both = (true, true);
        for (boots, label, windows, why) in [
            ((true, false), "Debian", None, WhyFirmware::OnlyBios),
            ((false, true), "Debian", None, WhyFirmware::OnlyUefi),
            (both, "Debian", None, WhyFirmware::Today),
            (both, "FREEDOS", None, WhyFirmware::OldSystem),
            (both, "PHOTOS", None, WhyFirmware::MostSystems),
            (both, "", windows((10, 0, 26100), 9), WhyFirmware::NewWindows),
            (both, "", windows((6, 1, 7601), 9), WhyFirmware::OldWindows),
            (both, "", windows((10, 0, 19041), 0), WhyFirmware::NarrowWindows),
        ] {
            let medium = medium(boots, label, windows);
            assert_eq!(medium.why_firmware(), why, "{label}");
            assert_eq!(why.to_string().starts_with("UEFI"), medium.firmware() == Firmware::Uefi, "{label}: {why}");
        }
        assert_eq!(medium(both, "Debian", None).why_devices(), WhyDevices::Fastest);
        assert_eq!(medium(both, "FREEDOS", None).why_devices(), WhyDevices::Old);
        assert_eq!(medium(both, "", windows((10, 0, 19045), 9)).why_devices(), WhyDevices::OwnDrivers);
        assert_eq!(medium(both, "", windows((10, 0, 26100), 9)).obstacle(), Some(Obstacle::Windows11));
        assert_eq!(medium(both, "", windows((10, 0, 19045), 9)).obstacle(), None);
        assert_eq!(medium(both, "Debian", None).obstacle(), None);
    }
}
