//! The kernel and the initramfs the test host boots with.
//!
//! The initramfs (cpio, "newc" format) holds busybox, the kernel modules that must be there before the shared root
//! is mounted, and a short `/init`. It is cached in `target/host/` by kernel version and contents, uncompressed:
//! an emulated processor unpacks more slowly than the disk reads.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// What must be loaded by the initramfs: the shared root, the overlay over it, our port, KVM, and cheap extras.
const MODULES: [&str; 8] =
    ["9p", "9pnet_virtio", "virtio_pci", "overlay", "virtio_console", "kvm-amd", "virtio_net", "virtio_rng"];

/// The 9p options of the shared root: nothing changes it while the test host runs, so everything is cached.
const INIT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
die() { $b echo "test host: $*"; $b poweroff -f; $b sleep 60; }
$b mount -t proc proc /proc && $b mount -t sysfs sys /sys && $b mount -t devtmpfs dev /dev || die "no /proc, /sys, /dev"
for m in /modules/*; do $b insmod $m || $b echo "test host: cannot load $m"; done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /lower || die "no shared root"
$b mount -t tmpfs -o size=75% tmpfs /upper && $b mkdir /upper/data /upper/work || die "no memory for the overlay"
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /new || die "no overlay"
$b mount -t tmpfs -o mode=755 tmpfs /new/run && $b mkdir /new/run/xtask || die "no /run"
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose run /new/run/xtask || die "no run folder"
for m in proc sys dev; do $b mount -o move /$m /new/$m || die "cannot move /$m"; done
exec $b switch_root -c /dev/console /new /run/xtask/xtask host-init
"#;

/// What to boot.
pub(super) struct Boot {
    /// The kernel image.
    pub(super) kernel: PathBuf,
    /// The initramfs made for it.
    pub(super) initramfs: PathBuf,
}

/// Finds the newest Debian kernel and makes, or finds, its initramfs in `cache`.
pub(super) fn prepare(cache: &Path) -> Result<Boot> {
    let version = kernel_version().context("no kernel for the test host in /boot: install linux-image-amd64")?;
    let kernel = Path::new("/boot").join(format!("vmlinuz-{version}"));
    let busybox = static_busybox()?;
    let modules = module_files(&version)?;

    // The name says what is in it, so a changed script or module set makes a new one.
    let identity = fingerprint(&[INIT.as_bytes(), &busybox, format!("{modules:?}").as_bytes()]);
    let initramfs = cache.join(format!("initramfs-{version}-{identity:016x}.cpio"));
    if !initramfs.exists() {
        let mut archive = Cpio::default();
        for folder in ["bin", "dev", "proc", "sys", "lower", "upper", "new", "modules"] {
            archive.folder(folder);
        }
        archive.file("bin/busybox", &busybox);
        archive.file("init", INIT.as_bytes());
        for (order, module) in modules.iter().enumerate() {
            // Numbered: the script loads them in the order of their names.
            archive.file(&format!("modules/{order:03}.ko"), &unpacked(module)?);
        }
        // Several may do this at once; each moves a whole file into place.
        let mut partial = tempfile::NamedTempFile::new_in(cache)?;
        partial.write_all(&archive.finish())?;
        partial.persist(&initramfs)?;
    }
    Ok(Boot { kernel, initramfs })
}

/// The version of the kernel that test hosts boot, if there is one.
pub(super) fn kernel_version() -> Option<String> {
    newest_kernel(Path::new("/boot"), Path::new("/lib/modules"))
}

/// The highest kernel version that has an image in `boot` and the 9p module in `modules`.
fn newest_kernel(boot: &Path, modules: &Path) -> Option<String> {
    fs::read_dir(boot)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
        .filter(|version| modules.join(version).join("kernel/fs/9p").is_dir())
        .max_by_key(|version| version_key(version))
}

/// A version's numbers, so that 6.12.9 < 6.12.48.
fn version_key(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

fn static_busybox() -> Result<Vec<u8>> {
    let program = fs::read("/bin/busybox").context("no /bin/busybox: install busybox-static")?;
    let interpreter = b"/lib64/ld-linux";
    ensure!(
        !program.windows(interpreter.len()).any(|bytes| bytes == interpreter),
        "/bin/busybox needs shared libraries: install busybox-static in place of busybox"
    );
    Ok(program)
}

/// The module files to load, each once, dependencies first.
fn module_files(version: &str) -> Result<Vec<PathBuf>> {
    let modprobe = if Path::new("/sbin/modprobe").exists() { "/sbin/modprobe" } else { "modprobe" };
    let output = Command::new(modprobe)
        .args(["-S", version, "--show-depends", "-a"])
        .args(MODULES)
        .output()
        .context("cannot run modprobe: install kmod")?;
    if !output.status.success() {
        bail!("modprobe does not know the modules of {version}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut seen = BTreeSet::new();
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.strip_prefix("insmod ")?.split_whitespace().next().map(PathBuf::from))
        .filter(|path| seen.insert(path.clone()))
        .collect())
}

/// A module's bytes; Debian 13 ships them compressed.
fn unpacked(module: &Path) -> Result<Vec<u8>> {
    let program = match module.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(module).with_context(|| format!("cannot read {}", module.display())),
    };
    let output =
        Command::new(program).arg("-dc").arg(module).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} cannot unpack {}", module.display());
    Ok(output.stdout)
}

/// FNV-1a over the parts, for cache names only.
fn fingerprint(parts: &[&[u8]]) -> u64 {
    parts
        .concat()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A cpio archive in the "newc" format, the one the kernel reads (its Documentation/driver-api/early-userspace).
#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn file(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, 0o100_755, contents);
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        // Magic, then inode, mode, uid, gid, links, mtime, size, device and rdev (major, minor), name size, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, contents.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_kernel_goes_by_number_and_needs_modules() {
        let here = tempfile::tempdir().unwrap();
        let (boot, modules) = (here.path().join("boot"), here.path().join("modules"));
        fs::create_dir_all(&boot).unwrap();
        assert_eq!(newest_kernel(&boot, &modules), None);
        for version in ["6.12.9-amd64", "6.12.48+deb13-amd64", "6.1.0-40-amd64", "7.0.0-cloud-amd64"] {
            fs::write(boot.join(format!("vmlinuz-{version}")), "").unwrap();
            if !version.contains("cloud") {
                fs::create_dir_all(modules.join(version).join("kernel/fs/9p")).unwrap();
            }
        }
        assert_eq!(newest_kernel(&boot, &modules).as_deref(), Some("6.12.48+deb13-amd64"));
    }

    #[test]
    fn cpio_entries_are_aligned_and_complete() {
        let mut archive = Cpio::default();
        archive.folder("bin");
        archive.file("bin/x", b"12345");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        // 110 bytes of header, "bin" and its NUL, padded to 116.
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[110..114], b"bin\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert_eq!(&bytes[116 + 54..116 + 62], b"00000005");
        assert!(bytes.windows(11).any(|w| w == b"TRAILER!!!\0"));
    }
}
