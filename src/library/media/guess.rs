//! Names for media that osinfo-db does not know, and profiles that do well enough.

use std::path::Path;

use api::machine::{Firmware, Profile, Wants};

use super::{System, Volume};

/// A keyword in what the medium says of itself, and what that means.
struct Clue {
    word: &'static str,
    name: &'static str,
    profile: Profile,
    firmware: Firmware,
    live: bool,
}

const fn clue(word: &'static str, name: &'static str, profile: Profile, firmware: Firmware, live: bool) -> Clue {
    Clue { word, name, profile, firmware, live }
}

/// The first that is found counts, so the more special come first.
const CLUES: [Clue; 30] = [
    clue("memtest", "Memtest86+", Profile::Linux, Firmware::Uefi, true),
    clue("mt86", "Memtest86+", Profile::Linux, Firmware::Uefi, true),
    clue("ipxe", "iPXE", Profile::Linux, Firmware::Uefi, true),
    clue("grub", "GRUB", Profile::Linux, Firmware::Uefi, true),
    clue("freedos", "FreeDOS", Profile::Legacy, Firmware::Bios, false),
    clue("mikeos", "MikeOS", Profile::Legacy, Firmware::Bios, true),
    clue("kolibri", "KolibriOS", Profile::Legacy, Firmware::Bios, true),
    clue("reactos", "ReactOS", Profile::Legacy, Firmware::Bios, false),
    clue("ubuntu", "Ubuntu", Profile::Linux, Firmware::Uefi, false),
    clue("mint", "Linux Mint", Profile::Linux, Firmware::Uefi, false),
    clue("debian", "Debian", Profile::Linux, Firmware::Uefi, false),
    clue("fedora", "Fedora", Profile::Linux, Firmware::Uefi, false),
    clue("opensuse", "openSUSE", Profile::Linux, Firmware::Uefi, false),
    clue("archiso", "Arch Linux", Profile::Linux, Firmware::Uefi, false),
    clue("arch_", "Arch Linux", Profile::Linux, Firmware::Uefi, false),
    clue("manjaro", "Manjaro", Profile::Linux, Firmware::Uefi, false),
    clue("nixos", "NixOS", Profile::Linux, Firmware::Uefi, false),
    clue("alpine", "Alpine Linux", Profile::Linux, Firmware::Uefi, false),
    clue("gentoo", "Gentoo", Profile::Linux, Firmware::Uefi, false),
    clue("freebsd", "FreeBSD", Profile::Linux, Firmware::Uefi, false),
    clue("openbsd", "OpenBSD", Profile::Linux, Firmware::Uefi, false),
    clue("netbsd", "NetBSD", Profile::Linux, Firmware::Uefi, false),
    clue("haiku", "Haiku", Profile::Linux, Firmware::Uefi, false),
    clue("linux", "Linux", Profile::Linux, Firmware::Uefi, false),
    // Names that Microsoft gives its discs: CCCOMA_X64FRE_EN-US_DV9, SSS_X64FREE_…; GRMCPRXFRER_… for 7.
    clue("grmc", "Windows 7", Profile::Windows, Firmware::Bios, false),
    clue("x64fre", "Windows", Profile::Windows, Firmware::Uefi, false),
    clue("x64ch", "Windows", Profile::Windows, Firmware::Uefi, false),
    clue("winxp", "Windows XP", Profile::Legacy, Firmware::Bios, false),
    clue("windows", "Windows", Profile::Windows, Firmware::Uefi, false),
    clue("msdos", "MS-DOS", Profile::Legacy, Firmware::Bios, false),
];

/// The system on an ISO, by keywords in its identifiers and its file's name.
pub(super) fn system(volume: &Volume, path: &Path) -> System {
    let stem = stem(path);
    let words = format!("{} {} {} {stem}", volume.volume, volume.application, volume.publisher).to_lowercase();
    match CLUES.iter().find(|clue| words.contains(clue.word)) {
        Some(clue) => System {
            name: clue.name.to_owned(),
            profile: clue.profile,
            firmware: clue.firmware,
            live: clue.live,
            recognised: true,
            ..unknown(path)
        },
        None => unknown(path),
    }
}

/// The system on a disk: nobody looks into its file systems, so its file's name has to do.
pub(super) fn disk(path: &Path) -> System {
    System { name: unknown(path).name, live: true, ..system(&Volume::default(), path) }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn unknown(path: &Path) -> System {
    let stem = stem(path);
    System {
        id: None,
        name: if stem.is_empty() { "Unknown system".to_owned() } else { stem },
        recognised: false,
        // Nearly all media that no database knows are Linux.
        profile: Profile::Linux,
        firmware: Firmware::Uefi,
        wants: Wants::default(),
        live: false,
        foreign: None,
    }
}
