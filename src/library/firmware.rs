//! SeaBIOS and OVMF as distributions ship them for QEMU.
//!
//! OVMF is found through QEMU's firmware descriptors (QEMU `docs/interop/firmware.json`): JSON files in `qemu/firmware` of the
//! person's, the administrator's and the distribution's configuration; a file hides those of the same name further down, an
//! empty one hides them and says nothing, and the lowest name that fits wins. SeaBIOS has no descriptor, only well-known names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::atomic;
use crate::error::Trying;

/// A UEFI machine's variable store, in its folder.
pub(crate) const VARIABLES: &str = "nvram.fd";
/// What both halves of the flash take together in the layout that new machines get.
const FLASH_4M: u64 = 4 << 20;
/// Most bytes of a descriptor.
const DESCRIPTOR_BYTES: u64 = 64 << 10;

/// Firmware that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No OVMF.
    #[error(
        "this computer has no UEFI firmware for machines: install the package “ovmf” (Debian, Ubuntu) or “edk2-ovmf”"
    )]
    NoUefi,
    /// No OVMF that goes with the variables of a machine.
    #[error(
        "no UEFI firmware here fits this machine's variables ({0} bytes): install the one it was made with (package “ovmf” or “edk2-ovmf”)"
    )]
    NoMatch(u64),
    /// No SeaBIOS.
    #[error("this computer has no BIOS for machines: install the package “seabios”")]
    NoBios,
}

/// OVMF's two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uefi {
    /// The code, to be opened read-only.
    pub code: PathBuf,
    /// What a new machine's variable store is a copy of.
    pub template: PathBuf,
}

/// A descriptor, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    mode: Option<String>,
    executable: Option<Flash>,
    nvram_template: Option<Flash>,
}

#[derive(Debug, Deserialize)]
struct Flash {
    filename: PathBuf,
    format: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

impl Descriptor {
    /// Its two files when it is UEFI for Q35 in raw flash, without Secure Boot and without need of SMM.
    fn suits(&self) -> Option<Uefi> {
        let has = |list: &[String], word: &str| list.iter().any(|item| item == word);
        let target = |target: &Target| {
            target.architecture == "x86_64"
                && target.machines.iter().any(|machine| machine == "*" || machine.starts_with("pc-q35"))
        };
        let unfit = ["requires-smm", "enrolled-keys", "secure-boot"].iter().any(|word| has(&self.features, word));
        let mapping = &self.mapping;
        let split = mapping.mode.as_deref().is_none_or(|mode| mode == "split");
        if !has(&self.interface_types, "uefi")
            || mapping.device != "flash"
            || !split
            || unfit
            || !self.targets.iter().any(target)
        {
            return None;
        }
        let (code, template) = (mapping.executable.as_ref()?, mapping.nvram_template.as_ref()?);
        let raw = code.format == "raw" && template.format == "raw";
        raw.then(|| Uefi { code: code.filename.clone(), template: template.filename.clone() })
    }
}

/// `XDG_DATA_DIRS` (in Flatpak the app's own comes first), and the distribution's in any case.
pub(crate) fn data_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::env::var_os("XDG_DATA_DIRS")
        .map(|all| std::env::split_paths(&all).filter(|path| path.is_absolute()).collect())
        .unwrap_or_default();
    for usual in ["/usr/local/share", "/usr/share"] {
        if !folders.iter().any(|folder| folder == Path::new(usual)) {
            folders.push(usual.into());
        }
    }
    folders
}

/// Where descriptors are, most important first.
fn descriptor_folders() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    let folders = config.into_iter().chain([PathBuf::from("/etc")]).chain(data_folders());
    folders.map(|folder| folder.join("qemu/firmware")).collect()
}

/// All OVMFs that suit, best first.
fn candidates(folders: &[PathBuf]) -> Vec<Uefi> {
    let mut descriptors = BTreeMap::new();
    for folder in folders {
        let Ok(files) = std::fs::read_dir(folder) else { continue };
        for path in files.flatten().map(|file| file.path()) {
            if path.extension().is_some_and(|extension| extension == "json") {
                descriptors.entry(path.file_name().map(ToOwned::to_owned)).or_insert(path);
            }
        }
    }
    let read = |path: &PathBuf| {
        let mut text = String::new();
        std::fs::File::open(path).and_then(|file| file.take(DESCRIPTOR_BYTES).read_to_string(&mut text)).ok()?;
        if text.is_empty() {
            return None;
        }
        let descriptor: Descriptor = serde_json::from_str(&text)
            .inspect_err(|error| tracing::debug!("{} is no firmware descriptor: {error}", path.display()))
            .ok()?;
        descriptor.suits().filter(|uefi| uefi.code.is_file() && uefi.template.is_file())
    };
    descriptors.values().filter_map(read).collect()
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}

/// OVMF for a new machine, or for one whose variable store has this many bytes.
pub fn uefi(variables: Option<u64>) -> Result<Uefi, Error> {
    choose(candidates(&descriptor_folders()), variables)
}

fn choose(candidates: Vec<Uefi>, variables: Option<u64>) -> Result<Uefi, Error> {
    match variables {
        // Both halves must have been built for one layout of the flash.
        Some(bytes) if !candidates.is_empty() => {
            candidates.into_iter().find(|uefi| size(&uefi.template) == bytes).ok_or(Error::NoMatch(bytes))
        }
        _ => {
            let whole = |uefi: &&Uefi| size(&uefi.code) + size(&uefi.template) == FLASH_4M;
            let best = candidates.iter().find(whole).or(candidates.first());
            best.cloned().ok_or(Error::NoUefi)
        }
    }
}

/// Makes a new machine's variable store.
pub(crate) fn new_variables(path: &Path) -> crate::Result<()> {
    let template = uefi(None)?.template;
    let bytes = std::fs::read(&template).at("read", &template)?;
    atomic::write(path, &bytes)
}

/// SeaBIOS.
pub fn bios() -> Result<PathBuf, Error> {
    rom("bios-256k.bin").ok_or(Error::NoBios)
}

/// The video BIOS of the board's VGA.
pub fn video_bios() -> Result<PathBuf, Error> {
    rom("vgabios-virtio.bin").ok_or(Error::NoBios)
}

/// iPXE for an e1000, for BIOS and UEFI, or an older one for BIOS alone; without it machines do not start from that card.
pub fn card_rom() -> Option<PathBuf> {
    ["efi-e1000.rom", "pxe-e1000.rom"].into_iter().find_map(rom)
}

fn rom(name: &str) -> Option<PathBuf> {
    let places = data_folders();
    let paths = places.iter().flat_map(|folder| ["seabios", "qemu"].map(|sub| folder.join(sub).join(name)));
    paths.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
#[path = "firmware_test.rs"]
mod tests;
