//! Which Windows an installer installs, by its own account: the XML document of `sources/install.wim` (or `.esd`, `.swm`), on UDF or
//! ISO 9660.
//!
//! Discs of Windows 10 and 11 have the same labels, so osinfo-db cannot tell them apart; version, edition and languages stand here.

use api::machine::{Firmware, Profile, Wants};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::{Image, System, Volume, iso_directory, languages, osinfo, udf, wim};

/// Where installers have their image files; a disc for both kinds of processors has two. The last is a rescue disc's.
const FILES: [&[&str]; 8] = [
    &["sources", "install.wim"],
    &["sources", "install.esd"],
    &["sources", "install.swm"],
    &["x64", "sources", "install.esd"],
    &["x64", "sources", "install.wim"],
    &["x86", "sources", "install.esd"],
    &["x86", "sources", "install.wim"],
    &["sources", "boot.wim"],
];
/// Most images of one file; there are a dozen.
const IMAGES: usize = 256;
/// Most languages.
const LANGUAGES: usize = 64;
/// Deepest element that is looked at.
const DEPTH: usize = 16;
/// Most characters of a name.
const NAME: usize = 80;
/// The edition of what installers and rescue discs run in.
const PREINSTALLATION: &str = "WindowsPE";

/// What a Windows installer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Major and minor version, build: 10.0.26100.
    pub version: (u32, u32, u32),
    /// Is it a Windows Server?
    pub server: bool,
    /// What it can install, as it calls them: “Windows 11 Pro”.
    pub editions: Vec<String>,
    /// The processor it is for (`PROCESSOR_ARCHITECTURE_…`: 0 x86, 9 x64).
    pub processor: u32,
    /// Its languages, as in `de-DE`.
    pub languages: Vec<String>,
    /// Windows PE: runs from the disc, installs nothing by itself.
    pub live: bool,
}

/// The Windows on an image, if one is.
pub(super) fn find(image: &Image<'_>, volume: Option<&Volume>) -> Option<Windows> {
    let udf = udf::Volume::open(image);
    FILES.iter().find_map(|path| {
        let file = udf.as_ref().and_then(|udf| udf.file(path));
        let file = file.or_else(|| iso_directory::file(image, volume?, path))?;
        read(&wim::document(image, &file)?)
    })
}

/// One image of the file.
#[derive(Default)]
struct Found {
    windows: Windows,
    /// It has a `<WINDOWS>`.
    is_windows: bool,
    edition: String,
    name: String,
    display_name: String,
}

/// Reads an image file's document.
fn read(document: &str) -> Option<Windows> {
    let mut reader = Reader::from_str(document);
    let (mut path, mut text) = (Vec::new(), String::new());
    let (mut image, mut all) = (Found::default(), Vec::new());
    loop {
        // A document that breaks off says what it said until there.
        match reader.read_event().unwrap_or(Event::Eof) {
            Event::Start(element) if path.len() < DEPTH => {
                path.push(element.name().as_ref().to_owned());
                text.clear();
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::GeneralRef(reference) => {
                text.extend(reference.resolve_char_ref().ok().flatten());
                text.push_str(quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or_default());
            }
            Event::End(_) => {
                let path_now: Vec<_> = path.iter().map(String::as_str).collect();
                if let ["WIM", "IMAGE", inner @ ..] = path_now.as_slice() {
                    if inner.is_empty() && all.len() < IMAGES {
                        all.push(std::mem::take(&mut image));
                    } else {
                        image.take(inner, text.trim());
                    }
                }
                text.clear();
                path.pop();
            }
            Event::Eof => break,
            // Nothing that is looked for is so deep.
            Event::Start(_) => break,
            _ => {}
        }
    }
    all.retain(|image| image.is_windows);
    let live = all.iter().all(|image| image.edition == PREINSTALLATION);
    all.retain(|image| live || image.edition != PREINSTALLATION);
    let first = all.first()?;
    let mut windows = Windows { live, ..first.windows.clone() };
    for image in &all {
        let name = if image.display_name.is_empty() { &image.name } else { &image.display_name };
        if !name.is_empty() && !windows.editions.contains(name) {
            windows.editions.push(name.clone());
        }
        for language in &image.windows.languages {
            if windows.languages.len() < LANGUAGES && !windows.languages.contains(language) {
                windows.languages.push(language.clone());
            }
        }
    }
    Some(windows)
}

impl Found {
    /// Takes what an element below `<IMAGE>` says.
    fn take(&mut self, path: &[&str], text: &str) {
        let number = || text.parse().unwrap_or(0);
        let name = || text.chars().filter(|c| !c.is_control()).take(NAME).collect::<String>();
        let windows = &mut self.windows;
        match path {
            ["NAME"] => self.name = name(),
            ["DISPLAYNAME"] => self.display_name = name(),
            ["WINDOWS"] => self.is_windows = true,
            ["WINDOWS", "ARCH"] => windows.processor = number(),
            ["WINDOWS", "EDITIONID"] => self.edition = name(),
            ["WINDOWS", "PRODUCTTYPE"] => windows.server = !text.eq_ignore_ascii_case("WinNT"),
            ["WINDOWS", "VERSION", "MAJOR"] => windows.version.0 = number(),
            ["WINDOWS", "VERSION", "MINOR"] => windows.version.1 = number(),
            ["WINDOWS", "VERSION", "BUILD"] => windows.version.2 = number(),
            ["WINDOWS", "LANGUAGES", "LANGUAGE"] if windows.languages.len() < LANGUAGES => {
                windows.languages.push(name());
            }
            _ => {}
        }
    }
}

impl Windows {
    /// Its id in osinfo-db and its name.
    fn product(&self) -> Option<(&'static str, &'static str)> {
        Some(match (self.version, self.server) {
            ((6, 0, _), false) => ("winvista", "Windows Vista"),
            ((6, 0, _), true) => ("win2k8", "Windows Server 2008"),
            ((6, 1, _), false) => ("win7", "Windows 7"),
            ((6, 1, _), true) => ("win2k8r2", "Windows Server 2008 R2"),
            ((6, 2, _), false) => ("win8", "Windows 8"),
            ((6, 2, _), true) => ("win2k12", "Windows Server 2012"),
            ((6, 3, _), false) => ("win8.1", "Windows 8.1"),
            ((6, 3, _), true) => ("win2k12r2", "Windows Server 2012 R2"),
            ((10, 0, ..22000), false) => ("win10", "Windows 10"),
            ((10, 0, _), false) => ("win11", "Windows 11"),
            ((10, 0, ..17763), true) => ("win2k16", "Windows Server 2016"),
            ((10, 0, ..20348), true) => ("win2k19", "Windows Server 2019"),
            ((10, 0, ..26100), true) => ("win2k22", "Windows Server 2022"),
            ((10, 0, _), true) => ("win2k25", "Windows Server 2025"),
            _ => return None,
        })
    }

    /// Is it for 32-bit processors?
    pub fn is_32_bit(&self) -> bool {
        self.processor == 0
    }

    /// Does its installer refuse computers without a TPM 2.0 and Secure Boot?
    pub fn wants_tpm(&self) -> bool {
        self.product().is_some_and(|(id, _)| id == "win11") && !self.live
    }

    /// What it is called when it installs one thing only, and what its editions have in common else.
    pub fn name(&self) -> String {
        match (self.live, self.editions.as_slice(), self.product()) {
            (true, ..) => "Windows PE".to_owned(),
            (_, [one], _) if one.starts_with("Windows") => one.clone(),
            (_, _, Some((_, name))) => name.to_owned(),
            (_, _, None) => "Windows".to_owned(),
        }
    }

    /// “Windows 11 Pro, 64-bit, German”.
    pub fn description(&self) -> String {
        let bits = if self.is_32_bit() { "32-bit" } else { "64-bit" };
        let languages = match self.languages.as_slice() {
            [] => String::new(),
            many @ [_, _, _, _, ..] => format!(", {} languages", many.len()),
            few => format!(", {}", few.iter().map(|tag| languages::name(tag)).collect::<Vec<_>>().join(", ")),
        };
        format!("{}, {bits}{languages}", self.name())
    }

    /// The system for a machine.
    pub(super) fn system(self, database: &osinfo::Database) -> System {
        let product = self.product().filter(|_| !self.live);
        let known = product.and_then(|(id, _)| database.system(id));
        // Before Windows 8, the UEFI start needs a BIOS's video services; there is no UEFI for 32-bit systems.
        let uefi = self.version >= (6, 2, 0) && !self.is_32_bit();
        System {
            id: product.map(|(id, _)| id.to_owned()),
            name: product.map_or_else(|| self.name(), |(_, name)| name.to_owned()),
            recognised: true,
            profile: Profile::Windows,
            firmware: if uefi { Firmware::Uefi } else { Firmware::Bios },
            wants: known.map_or_else(Wants::default, |known| known.wants),
            live: self.live,
            foreign: match self.processor {
                0 | 9 => None,
                5 => Some("arm".to_owned()),
                6 => Some("ia64".to_owned()),
                12 => Some("aarch64".to_owned()),
                other => Some(format!("other ({other})")),
            },
            windows: Some(self),
        }
    }
}

#[cfg(test)]
#[path = "windows_test.rs"]
mod tests;
