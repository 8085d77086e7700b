//! The list of packages: what for, and on Debian 12 from which release.

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To build everything.
    Build,
    /// To run machines.
    Run,
    /// To emulate a PC with KVM where this machine has none.
    TestHost,
    /// What the tests boot, and look at results with.
    Media,
    /// To test the app without a display.
    Desktop,
}

impl Purpose {
    /// Every purpose there is.
    pub(crate) fn all() -> [Self; 5] {
        [Self::Build, Self::Run, Self::TestHost, Self::Media, Self::Desktop]
    }
}

/// Which release a package is taken from on Debian 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Debian 12's own.
    Own,
    /// Debian 13's, because Debian 12's is too old, or wants libraries that GTK has brought from Debian 13 by then.
    Trixie,
}

/// A package that is needed.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) purpose: Purpose,
    pub(super) from: Origin,
    pub(super) at_least: Option<&'static str>,
}

/// The test host's kernel.
pub(super) const KERNEL: &str = "linux-image-amd64";

const fn own(purpose: Purpose, name: &'static str) -> Package {
    Package { name, purpose, from: Origin::Own, at_least: None }
}

const fn trixie(purpose: Purpose, name: &'static str) -> Package {
    Package { name, purpose, from: Origin::Trixie, at_least: None }
}

const fn at_least(version: &'static str, package: Package) -> Package {
    Package { at_least: Some(version), ..package }
}

use Purpose::{Build, Desktop, Media, Run, TestHost};

/// Everything, in groups.
pub(super) const PACKAGES: &[Package] = &[
    own(Build, "gcc"),
    trixie(Build, "libc6-dev"),
    trixie(Build, "pkgconf"),
    at_least("4.18", trixie(Build, "libgtk-4-dev")),
    at_least("1.7", trixie(Build, "libadwaita-1-dev")),
    at_least("0.76", trixie(Build, "libvte-2.91-gtk4-dev")),
    // By name, or Debian 12's stays, which has no bzip2.pc for cairo.
    at_least("1.0.8-6", trixie(Build, "libbz2-dev")),
    trixie(Build, "libasound2-dev"),
    trixie(Build, "libslirp-dev"),
    own(Build, "gettext"),
    trixie(Run, "seabios"),
    trixie(Run, "ovmf"),
    trixie(Run, "ipxe-qemu"),
    // The viewer opens these by name: winit on X11, and wgpu.
    trixie(Run, "libxkbcommon-x11-0"),
    trixie(Run, "libxcursor1"),
    trixie(Run, "libxi6"),
    trixie(Run, "libvulkan1"),
    trixie(Run, "mesa-vulkan-drivers"),
    // Debian 12's knows neither Debian 12 nor 13.
    at_least("0.20250", trixie(Run, "osinfo-db")),
    trixie(TestHost, "qemu-system-x86"),
    // For the kernel, before it: the library that kmod must match has moved with GTK.
    trixie(TestHost, "kmod"),
    own(TestHost, KERNEL),
    own(TestHost, "busybox-static"),
    own(TestHost, "xz-utils"),
    own(Media, "memtest86+"),
    own(Media, "grub-rescue-pc"),
    own(Media, "ipxe"),
    trixie(Media, "debian-installer-13-netboot-amd64"),
    own(Media, "grub-pc-bin"),
    own(Media, "grub-efi-amd64-bin"),
    own(Media, "grub-common"),
    own(Media, "xorriso"),
    // Discs and image files like those of Windows.
    own(Media, "genisoimage"),
    own(Media, "wimtools"),
    own(Media, "mtools"),
    own(Media, "mmdebstrap"),
    own(Media, "squashfs-tools"),
    own(Media, "acpica-tools"),
    own(Media, "tesseract-ocr"),
    own(Media, "tcpdump"),
    // QEMU's QMP client is in no package. Of Debian 13 as python3-gi is, whose Python has no place for the pip of Debian 12's; that of
    // Debian 13 goes with either.
    trixie(Media, "python3-pip"),
    trixie(Media, "qemu-utils"),
    // For locales other than C's, which knows no other language.
    trixie(Desktop, "locales"),
    own(Desktop, "xvfb"),
    // Focus, full screen and keyboard grabs are a window manager's.
    own(Desktop, "openbox"),
    own(Desktop, "x11-utils"),
    own(Desktop, "xdotool"),
    own(Desktop, "imagemagick"),
    trixie(Desktop, "at-spi2-core"),
    trixie(Desktop, "dbus"),
    // A sound server without a sound card, and what records from it.
    trixie(Desktop, "pipewire"),
    trixie(Desktop, "wireplumber"),
    trixie(Desktop, "pipewire-pulse"),
    trixie(Desktop, "pulseaudio-utils"),
    trixie(Desktop, "adwaita-icon-theme"),
    trixie(Desktop, "librsvg2-common"),
    own(Desktop, "fonts-cantarell"),
    own(Desktop, "fonts-dejavu-core"),
    trixie(Desktop, "libgl1-mesa-dri"),
    // Wayland without a screen, with pointer locks and real key codes.
    trixie(Desktop, "mutter"),
    trixie(Desktop, "python3-gi"),
    trixie(Desktop, "gir1.2-gtk-4.0"),
    trixie(Desktop, "gir1.2-atspi-2.0"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Python comes with the first of them, and modules of another release do not go with it.
    #[test]
    fn python_is_of_one_release() {
        let mut python = PACKAGES.iter().filter(|package| package.name.starts_with("python3"));
        assert!(python.all(|package| package.from == Origin::Trixie));
    }

    #[test]
    fn no_package_twice() {
        let mut names: Vec<_> = PACKAGES.iter().map(|package| package.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
