//! What guests boot from: media out of Debian's packages, and those that the scripts in `media/` build from them.
//!
//! Built media are kept in `target/media/` under a name that tells what they were built from, so that they are built once; a new
//! one appears whole or not at all. The test `media` builds all of them: it runs on the machine itself, before what boots them,
//! because in a test host nothing can be kept and everything is slow.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::target;

/// A medium that a script builds.
#[derive(Clone, Copy, Debug)]
pub struct Built {
    name: &'static str,
    suffix: &'static str,
    script: &'static str,
    /// For the script, before the path of what it builds.
    arguments: &'static [&'static str],
    /// Other files of `media/` that it uses.
    with: &'static [&'static str],
    /// Packages whose files end up in it.
    packages: &'static [&'static str],
}

const GRUB: [&str; 2] = ["grub-pc-bin", "grub-efi-amd64-bin"];

/// Debian 13's installer, in text.
pub const INSTALLER_TEXT: Built = Built {
    name: "debian-installer-text",
    suffix: "iso",
    script: "debian-installer.sh",
    arguments: &["text"],
    with: &[],
    packages: &[GRUB[0], GRUB[1], "debian-installer-13-netboot-amd64"],
};

/// Debian 13's installer, graphical.
pub const INSTALLER_GRAPHICAL: Built = Built { name: "debian-installer-gtk", arguments: &["gtk"], ..INSTALLER_TEXT };

/// An installed Debian 13.
pub const DEBIAN_DISK: Built = Built {
    name: "debian-disk",
    suffix: "qcow2",
    script: "debian-disk.sh",
    arguments: &[],
    with: &["gpt-disk.py"],
    packages: &GRUB,
};

/// A live desktop with a browser, which can install itself.
pub const LIVE_DESKTOP: Built = Built {
    name: "live-desktop",
    suffix: "iso",
    script: "live-desktop.sh",
    with: &["install-to-disk.sh"],
    ..DEBIAN_DISK
};

/// iPXE for UEFI.
pub const IPXE_UEFI: Built =
    Built { name: "ipxe-uefi", suffix: "iso", script: "ipxe-uefi.sh", arguments: &[], with: &[], packages: &["ipxe"] };

/// A folder for PYTHONPATH with QEMU's QMP client in it.
pub const QMP_CLIENT: Built =
    Built { name: "qmp-client", suffix: "python", script: "qmp-client.sh", arguments: &[], with: &[], packages: &[] };

/// Everything that is built.
pub const ALL: [Built; 6] = [INSTALLER_TEXT, INSTALLER_GRAPHICAL, DEBIAN_DISK, LIVE_DESKTOP, IPXE_UEFI, QMP_CLIENT];

impl Built {
    /// Its path, when it is built.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.place().ok()?;
        if !path.exists() {
            println!("  {} is missing: `cargo xtask test media` builds it", path.display());
            return None;
        }
        Some(path)
    }

    /// Builds it, if it is not there.
    ///
    /// # Errors
    /// The script failed; its output is in `target/media/NAME.log`.
    pub fn build(&self) -> Result<PathBuf> {
        let path = self.place()?;
        let folder = folder();
        fs::create_dir_all(&folder)?;
        // Two builders at once would do the same work twice.
        let lock = File::create(folder.join("lock"))?;
        lock.lock().context("target/media cannot be locked")?;
        if path.exists() {
            return Ok(path);
        }
        let unfinished = folder.join(format!("unfinished-{}.{}", self.name, self.suffix));
        let log = folder.join(format!("{}.log", self.name));
        let (out, errors) = (File::create(&log)?, fs::OpenOptions::new().append(true).open(&log)?);
        remove(&unfinished)?;
        let status = Command::new("sh")
            .arg(scripts().join(self.script))
            .args(self.arguments)
            .arg(&unfinished)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .status()?;
        if !status.success() {
            remove(&unfinished)?;
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(8)..].join("\n");
            anyhow::bail!("{} ended with {status}; {} ends with\n{last}", self.script, log.display());
        }
        for old in fs::read_dir(&folder)?.flatten() {
            let name = old.file_name().to_string_lossy().into_owned();
            let hash = name.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('-'));
            if hash.and_then(|rest| rest.strip_suffix(self.suffix)).is_some_and(|hash| hash.len() == 17) {
                remove(&old.path())?;
            }
        }
        fs::rename(&unfinished, &path)?;
        Ok(path)
    }

    /// Where it is or will be: its name tells what it is built from.
    fn place(&self) -> Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        for file in [self.script].iter().chain(self.with) {
            let path = scripts().join(file);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?.hash(&mut hasher);
        }
        self.arguments.hash(&mut hasher);
        let versions = Command::new("dpkg-query")
            .args(["--show", "--showformat", "${Package} ${Version}\\n"])
            .args(self.packages)
            .stderr(Stdio::null())
            .output();
        if let Some(versions) = versions.ok().filter(|_| !self.packages.is_empty()) {
            versions.stdout.hash(&mut hasher);
        }
        Ok(folder().join(format!("{}-{:016x}.{}", self.name, hasher.finish(), self.suffix)))
    }
}

fn folder() -> PathBuf {
    target().join("media")
}

fn scripts() -> PathBuf {
    // Set by whoever runs the test; the compile-time value is for a test that is started by hand.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("media")
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn packaged(path: &str) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.exists())
}

/// memtest86+ (package `memtest86+`), BIOS and UEFI.
pub fn memtest() -> Option<PathBuf> {
    packaged("/usr/lib/memtest86+/memtest86+x64.iso")
}

/// GRUB's rescue CD (package `grub-rescue-pc`), BIOS.
pub fn grub_rescue() -> Option<PathBuf> {
    packaged("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
}

/// The same as a disk.
pub fn grub_rescue_disk() -> Option<PathBuf> {
    packaged("/usr/lib/grub-rescue/grub-rescue-usb.img")
}

/// iPXE (package `ipxe`), BIOS.
pub fn ipxe() -> Option<PathBuf> {
    packaged("/usr/lib/ipxe/ipxe.iso")
}

/// MikeOS's CD, BIOS: in no package, so it is looked for in the folder that `DORMER_MEDIA` names, or `shared/media` beside the
/// repository.
pub fn mikeos() -> Option<PathBuf> {
    let beside = scripts().join("../../../shared/media");
    let folders = [std::env::var_os("DORMER_MEDIA").map(PathBuf::from), Some(beside)];
    folders.into_iter().flatten().map(|folder| folder.join("mikeos.iso")).find(|path| path.exists())
}

/// Fails unless the file at `path` is at least so large: a build that went wrong quietly.
///
/// # Errors
/// It is smaller.
pub fn check_size(path: &Path, least: u64) -> Result<()> {
    let size = fs::metadata(path)?.len();
    ensure!(size >= least, "{} has only {size} bytes", path.display());
    Ok(())
}
