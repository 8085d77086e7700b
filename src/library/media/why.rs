//! Why a machine for a medium gets the firmware and the devices that it gets: sentences for people.

use api::machine::{Firmware, Profile};

use super::{Boots, Medium, MediumKind, System};

impl Medium {
    /// Why this firmware.
    pub fn why_firmware(&self) -> &'static str {
        let System { profile, windows, recognised, .. } = &self.system;
        let narrow = windows.as_ref().is_some_and(super::Windows::is_32_bit);
        match (self.boots, self.firmware()) {
            (Boots { bios: true, uefi: false }, _) => "BIOS: the image starts with nothing else.",
            (Boots { bios: false, uefi: true }, _) => "UEFI: the image starts with nothing else.",
            (_, Firmware::Bios) if narrow => "BIOS: there is no UEFI for 32-bit Windows.",
            (_, Firmware::Bios) if windows.is_some() => "BIOS: Windows 7 and older start with it.",
            (_, Firmware::Bios) => "BIOS: systems of that age start with it.",
            (_, Firmware::Uefi) if !recognised => "UEFI: most systems of today start with it.",
            (_, Firmware::Uefi) if *profile == Profile::Windows => "UEFI: Windows 8 and newer are made for it.",
            (_, Firmware::Uefi) => "UEFI, as on computers of today.",
        }
    }

    /// Why these devices.
    pub fn why_devices(&self) -> &'static str {
        match (self.system.profile, self.kind) {
            // Nobody knows which drivers are on it.
            (Profile::Linux, MediumKind::Disk) if self.system.id.is_none() => {
                "The disk is connected as any system finds it."
            }
            (Profile::Linux, _) => "The fastest devices (virtio): it has drivers for them.",
            (Profile::Windows, _) => "Devices that work with its own drivers.",
            (Profile::Legacy, _) => "Devices of old computers, and no network card.",
        }
    }

    /// What a person should know before they install it here.
    pub fn warning(&self) -> Option<&'static str> {
        let windows = self.system.windows.as_ref()?;
        windows.wants_tpm().then_some(
            "Windows 11 installs only on computers with a TPM 2.0 and Secure Boot. Dormer’s machines do not have them yet, so its \
             installer will say that this PC cannot run Windows 11.",
        )
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
        for (boots, label, windows, words) in [
            ((true, false), "Debian", None, "BIOS: the image"),
            ((false, true), "Debian", None, "UEFI: the image"),
            (both, "Debian", None, "UEFI, as on"),
            (both, "FREEDOS", None, "BIOS: systems of that age"),
            (both, "PHOTOS", None, "UEFI: most"),
            (both, "", windows((10, 0, 26100), 9), "UEFI: Windows 8 and newer"),
            (both, "", windows((6, 1, 7601), 9), "BIOS: Windows 7 and older"),
            (both, "", windows((10, 0, 19041), 0), "BIOS: there is no UEFI"),
        ] {
            let medium = medium(boots, label, windows);
            let why = medium.why_firmware();
            assert!(why.starts_with(words), "{label}: {why}");
            assert_eq!(why.starts_with("UEFI"), medium.firmware() == Firmware::Uefi, "{label}: {why}");
            assert!(!medium.why_devices().is_empty());
        }
        assert!(medium(both, "", windows((10, 0, 26100), 9)).warning().is_some());
        assert!(medium(both, "", windows((10, 0, 19045), 9)).warning().is_none());
        assert!(medium(both, "Debian", None).warning().is_none());
    }
}
