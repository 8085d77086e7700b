use super::*;

fn guess_with(database: &Database, label: &str, system_id: &str, publisher: &str, file: &str) -> System {
    let volume =
        Volume { volume: label.into(), system: system_id.into(), publisher: publisher.into(), ..Volume::default() };
    system(&volume, Path::new(file), database)
}

fn guess(label: &str, system_id: &str, publisher: &str, file: &str) -> System {
    guess_with(&Database::default(), label, system_id, publisher, file)
}

#[test]
fn names_and_versions() {
    let named = |label: &str, file: &str| guess(label, "", "", file).name;
    for (label, name) in [
        ("Debian 13.1.0 amd64 n", "Debian 13"),
        ("Debian trixie-DI-rc1 amd64 n", "Debian"),
        ("Ubuntu 26.04 LTS amd64", "Ubuntu 26.04"),
        ("Ubuntu-Server 26.04.1 LTS amd64", "Ubuntu 26.04"),
        ("Kubuntu 26.04 LTS amd64", "Kubuntu 26.04"),
        ("Linux Mint 22.1 Cinnamon 64-bit", "Linux Mint 22.1"),
        ("Fedora-WS-Live-43-1-6", "Fedora 43"),
        ("Fedora-E-dvd-x86_64-43", "Fedora 43"),
        ("openSUSE-Leap-16.0-DVD-x86_64", "openSUSE Leap 16.0"),
        ("RHEL-10-1-BaseOS-x86_64", "Red Hat Enterprise Linux 10"),
        ("Rocky-10-1-x86_64-dvd", "Rocky Linux 10"),
        ("AlmaLinux-10-1-x86_64-dvd", "AlmaLinux 10"),
        ("CentOS-Stream-11-BaseOS-x86_64", "CentOS Stream 11"),
        ("ARCH_202611", "Arch Linux"),
        ("MANJARO_KDE_2511", "Manjaro"),
        ("nixos-minimal-26.05-x86_64", "NixOS 26.05"),
        ("alpine-std 3.23.0 x86_64", "Alpine Linux 3.23"),
        ("Kali Linux amd64 1", "Kali Linux"),
        ("Zorin OS 18 Core 64bit", "Zorin OS 18"),
        ("Pop_OS 24.04 amd64 Intel", "Pop!_OS 24.04"),
        ("Mageia-10-x86_64", "Mageia 10"),
        ("OpenBSD/amd64   7.8 Install CD", "OpenBSD 7.8"),
        ("DragonFly_v6.4.2", "DragonFly BSD"),
        ("GhostBSD", "GhostBSD"),
        ("OpenIndiana_Text_X86", "OpenIndiana"),
        ("OmniOS", "OmniOS"),
        ("haiku-r1~beta5-x86_64", "Haiku"),
        ("FD14-LiveCD", "FreeDOS 1.4"),
        ("CCCOMA_X64FRE_EN-US_DV9", "Windows"),
    ] {
        assert_eq!(named(label, "download.iso"), name, "{label}");
    }
    assert_eq!(named("14_3_RELEASE_AMD64_CD", "FreeBSD-14.3-RELEASE-amd64-disc1.iso"), "FreeBSD 14.3");
    let freebsd = guess("15_0_RELEASE_AMD64_CD", "FreeBSD", "THE FREEBSD PROJECT", "x.iso");
    assert_eq!((freebsd.name.as_str(), freebsd.recognised), ("FreeBSD", true));
    let nothing = guess("PHOTOS 2026", "LINUX", "", "holiday.iso");
    assert_eq!((nothing.name.as_str(), nothing.recognised), ("holiday", false), "any tool writes that");
    assert_eq!(guess("MyLinux", "", "", "x.iso").name, "Linux");
    assert_eq!(named("", ""), "Unknown system");
}

#[test]
fn processors() {
    assert_eq!(guess("Debian 13.1.0 arm64 n", "", "", "x.iso").foreign.as_deref(), Some("aarch64"));
    assert_eq!(guess("Debian 13.1.0 amd64 n", "", "", "x.iso").foreign, None);
    assert_eq!(guess("Debian 12.9.0 i386 n", "", "", "x.iso").firmware, Firmware::Bios);
}

#[test]
fn devices() {
    let devices = |label: &str| {
        let system = guess(label, "", "", "x.iso");
        (system.profile, system.firmware, system.live)
    };
    assert_eq!(devices("FREEDOS_99"), (Profile::Legacy, Firmware::Bios, false));
    assert_eq!(devices("Oracle_Solaris-11_4-Text"), (Profile::Windows, Firmware::Bios, false));
    assert_eq!(devices("haiku"), (Profile::Linux, Firmware::Uefi, false));
    assert_eq!(devices("MT86PLUS_64"), (Profile::Linux, Firmware::Uefi, true));
}

#[test]
fn numbers() {
    for (text, parts, found) in [
        (" 13.1.0", 1, Some("13")),
        ("-x86_64-43", 1, Some("43")),
        (" amd64 n", 1, None),
        (" 64-bit", 1, None),
        ("-20261101", 1, None),
        (" 7", 2, Some("7")),
        (" 7..8", 2, Some("7")),
        (" r1", 1, None),
        ("é 2", 1, Some("2")),
        ("", 1, None),
        (&" ".repeat(200), 1, None),
    ] {
        assert_eq!(number(text, parts).as_deref(), found, "{text}");
    }
}

/// osinfo-db's own word for media of the large families; and those that it does not know by their media but by their names.
#[test]
fn with_the_real_database() {
    let database = Database::load();
    if database.known().is_empty() {
        eprintln!("SKIPPED: osinfo-db is not installed");
        return;
    }
    let ids: std::collections::HashSet<_> = database.known().into_iter().map(|known| known.id).collect();
    let identify = |label: &str, system_id: &str, publisher: &str| {
        let volume =
            Volume { volume: label.into(), system: system_id.into(), publisher: publisher.into(), ..Volume::default() };
        database.identify(&volume).unwrap_or_else(|| system(&volume, Path::new("x.iso"), &database))
    };
    for (label, system_id, publisher, id) in [
        ("Debian 12.4.0 amd64 n", "", "", "debian12"),
        ("Debian 13.1.0 amd64 n", "", "", "debian13"),
        ("d-live 12.4.0 gn amd64", "", "", "debian12"),
        ("Ubuntu 24.04.1 LTS amd64", "", "", "ubuntu24.04"),
        ("Ubuntu-Server 24.04 LTS amd64", "", "", "ubuntu24.04"),
        ("Fedora-WS-Live-41-1-4", "LINUX", "", "fedora41"),
        ("openSUSE-Leap-15.6-DVD-x86_64710", "LINUX", "SUSE LINUX GmbH", "opensuse15.6"),
        ("RHEL-9-4-0-BaseOS-x86_64", "LINUX", "", "rhel9.4"),
        ("Rocky-9-4-x86_64-dvd", "LINUX", "", "rocky9"),
        ("AlmaLinux-9-4-x86_64-dvd", "LINUX", "", "almalinux9"),
        ("CentOS-Stream-9-BaseOS-x86_64", "LINUX", "", "centos-stream9"),
        ("ARCH_202611", "", "ARCH LINUX <HTTPS://ARCHLINUX.ORG>", "archlinux"),
        ("MANJARO_KDE_2411", "", "", "manjaro"),
        ("nixos-minimal-24.11-x86_64", "", "", "nixos-24.11"),
        ("alpine-std 3.21.0 x86_64", "", "", "alpinelinux3.21"),
        ("Gentoo-amd64-20241110", "", "", "gentoo"),
        ("VOID_LIVE", "", "", "voidlinux"),
        ("14_2_RELEASE_AMD64_CD", "FreeBSD", "", "freebsd14.2"),
        ("OpenBSD/amd64   7.6 Install CD", "OpenBSD", "", "openbsd7.6"),
        ("haiku-r1~beta4-x86_64", "", "", "haikur1beta4"),
        ("FD13-LiveCD", "LINUX", "", "freedos1.3"),
        ("OmniOS", "", "", "omnios"),
        ("OpenIndiana_Text_X86", "", "", "openindiana"),
    ] {
        if !ids.contains(id) {
            eprintln!("SKIPPED: this osinfo-db does not know {id}");
            continue;
        }
        let system = identify(label, system_id, publisher);
        assert_eq!(system.id.as_deref(), Some(id), "{label}");
        assert!(system.recognised && system.foreign.is_none(), "{label}");
    }
    // Later than any database.
    let later = identify("Debian 99.1.0 amd64 n", "", "");
    assert_eq!((later.id, later.name.as_str()), (None, "Debian 99"));
}
