//! Keywords by which systems are known that osinfo-db does not know by their media.

use api::machine::{Firmware, Profile};

/// A keyword in what a medium says of itself, in lower case, and what that means.
pub(super) struct Clue {
    pub(super) word: &'static str,
    pub(super) name: &'static str,
    /// What its ids in osinfo-db begin with; empty when it is not there.
    pub(super) id: &'static str,
    /// How many parts its versions have: 24.04 has two; none when it has none.
    pub(super) parts: usize,
    pub(super) profile: Profile,
    pub(super) firmware: Firmware,
    pub(super) live: bool,
}

/// A modern system that installs.
const fn modern(word: &'static str, name: &'static str, id: &'static str, parts: usize) -> Clue {
    Clue { word, name, id, parts, profile: Profile::Linux, firmware: Firmware::Uefi, live: false }
}

/// A modern system that runs from its medium.
const fn live(word: &'static str, name: &'static str, parts: usize) -> Clue {
    Clue { live: true, ..modern(word, name, "", parts) }
}

/// A system for old computers.
const fn old(word: &'static str, name: &'static str, id: &'static str, parts: usize) -> Clue {
    Clue { profile: Profile::Legacy, firmware: Firmware::Bios, ..modern(word, name, id, parts) }
}

/// An old system that runs from its medium.
const fn old_live(word: &'static str, name: &'static str) -> Clue {
    Clue { live: true, ..old(word, name, "", 0) }
}

/// A system without virtio drivers.
const fn plain(word: &'static str, name: &'static str, id: &'static str, parts: usize, firmware: Firmware) -> Clue {
    Clue { profile: Profile::Windows, firmware, ..modern(word, name, id, parts) }
}

/// The first that is found counts, so the more special come first: those that stand on another system before that one.
pub(super) const CLUES: &[Clue] = &[
    live("memtest", "Memtest86+", 0),
    live("mt86", "Memtest86+", 0),
    live("ipxe", "iPXE", 0),
    live("clonezilla", "Clonezilla", 0),
    live("gparted", "GParted Live", 0),
    live("systemrescue", "SystemRescue", 2),
    live("sysresccd", "SystemRescue", 0),
    live("knoppix", "Knoppix", 2),
    live("tails", "Tails", 2),
    live("tinycore", "Tiny Core Linux", 0),
    live("puppy", "Puppy Linux", 0),
    old("freedos", "FreeDOS", "freedos", 2),
    old("fd14-", "FreeDOS 1.4", "", 0),
    old("svardos", "SvarDOS", "", 0),
    old_live("mikeos", "MikeOS"),
    old_live("kolibri", "KolibriOS"),
    old_live("menuet", "MenuetOS"),
    old_live("visopsys", "Visopsys"),
    old_live("templeos", "TempleOS"),
    old("reactos", "ReactOS", "", 0),
    old("arcaos", "ArcaOS", "", 0),
    // These stand on FreeBSD.
    modern("pfsense", "pfSense", "", 0),
    modern("opnsense", "OPNsense", "", 2),
    modern("ghostbsd", "GhostBSD", "", 2),
    modern("midnightbsd", "MidnightBSD", "", 2),
    modern("dragonfly", "DragonFly BSD", "dragonflybsd", 2),
    modern("freebsd", "FreeBSD", "freebsd", 2),
    modern("openbsd", "OpenBSD", "openbsd", 2),
    modern("netbsd", "NetBSD", "netbsd", 2),
    modern("openindiana", "OpenIndiana", "openindiana", 0),
    modern("omnios", "OmniOS", "omnios", 0),
    modern("smartos", "SmartOS", "smartos", 0),
    modern("tribblix", "Tribblix", "", 0),
    plain("solaris", "Solaris", "solaris", 1, Firmware::Bios),
    modern("haiku", "Haiku", "", 0),
    // These stand on Debian or Ubuntu.
    modern("kali", "Kali Linux", "", 0),
    modern("parrot", "Parrot OS", "", 2),
    modern("devuan", "Devuan", "", 1),
    modern("proxmox", "Proxmox VE", "", 2),
    modern("truenas", "TrueNAS", "", 2),
    modern("antix", "antiX", "", 0),
    modern("mx-live", "MX Linux", "", 0),
    modern("pureos", "PureOS", "pureos", 0),
    modern("pop_os", "Pop!_OS", "popos", 2),
    modern("pop-os", "Pop!_OS", "popos", 2),
    modern("elementary", "elementary OS", "elementary", 2),
    modern("zorin", "Zorin OS", "", 1),
    modern("linux mint", "Linux Mint", "", 2),
    modern("linuxmint", "Linux Mint", "", 2),
    modern("lmde", "LMDE", "", 1),
    modern("trisquel", "Trisquel", "trisquel", 1),
    modern("endless", "Endless OS", "eos", 2),
    modern("kubuntu", "Kubuntu", "ubuntu", 2),
    modern("lubuntu", "Lubuntu", "ubuntu", 2),
    modern("xubuntu", "Xubuntu", "ubuntu", 2),
    modern("edubuntu", "Edubuntu", "ubuntu", 2),
    modern("ubuntu", "Ubuntu", "ubuntu", 2),
    modern("debian", "Debian", "debian", 1),
    // These stand on Fedora or Red Hat's.
    modern("nobara", "Nobara", "", 1),
    modern("bazzite", "Bazzite", "", 0),
    modern("qubes", "Qubes OS", "", 0),
    modern("rocky", "Rocky Linux", "rocky", 1),
    modern("almalinux", "AlmaLinux", "almalinux", 1),
    modern("centos-stream", "CentOS Stream", "centos-stream", 1),
    modern("centos", "CentOS", "centos", 1),
    modern("oraclelinux", "Oracle Linux", "ol", 0),
    modern("rhel-", "Red Hat Enterprise Linux", "rhel", 1),
    modern("fedora", "Fedora", "fedora", 1),
    modern("opensuse-leap", "openSUSE Leap", "opensuse", 2),
    modern("opensuse-tumbleweed", "openSUSE Tumbleweed", "opensusetumbleweed", 0),
    modern("opensuse", "openSUSE", "opensuse", 0),
    modern("mageia", "Mageia", "mageia", 1),
    // These stand on Arch.
    modern("endeavouros", "EndeavourOS", "", 0),
    modern("cachyos", "CachyOS", "", 0),
    modern("garuda", "Garuda Linux", "", 0),
    modern("artix", "Artix Linux", "", 0),
    modern("manjaro", "Manjaro", "manjaro", 0),
    modern("archiso", "Arch Linux", "archlinux", 0),
    modern("arch_", "Arch Linux", "archlinux", 0),
    modern("archlinux", "Arch Linux", "archlinux", 0),
    modern("nixos", "NixOS", "nixos-", 2),
    modern("guix", "GNU Guix", "guix-system-latest", 0),
    modern("alpine", "Alpine Linux", "alpinelinux", 2),
    modern("gentoo", "Gentoo", "gentoo", 0),
    modern("void_live", "Void Linux", "voidlinux", 0),
    modern("void-live", "Void Linux", "voidlinux", 0),
    modern("slackware", "Slackware", "slackware", 2),
    modern("slackdvd", "Slackware", "slackware", 0),
    modern("solus", "Solus", "", 0),
    live("grub", "GRUB", 0),
    modern("linux", "Linux", "", 0),
    // Names that Microsoft gives its discs, when what is on them cannot be read: GRMCPRXFRER_… for 7, CCCOMA_X64FRE_EN-US_DV9.
    plain("grmc", "Windows 7", "win7", 0, Firmware::Bios),
    plain("x64fre", "Windows", "", 0, Firmware::Uefi),
    plain("x64ch", "Windows", "", 0, Firmware::Uefi),
    old("winxp", "Windows XP", "winxp", 0),
    plain("windows", "Windows", "", 0, Firmware::Uefi),
    old("msdos", "MS-DOS", "", 0),
];
