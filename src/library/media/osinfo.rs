//! Which system is on an ISO, by osinfo-db: `osinfo/os/*/*.xml` in the data folders (format: its `schema/osinfo.rng`).
//!
//! A medium fits when every identifier that its `<iso>` element names is found in the ISO: regular expressions for volume,
//! system, publisher and application, and equal sizes. Of several that fit, the one that says more about the ISO wins, then one
//! for x86-64, then the newest release.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use api::machine::{Firmware, Profile, Wants};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use regex::RegexBuilder;

use super::{System, Volume};
use crate::firmware::data_folders;

/// Most bytes of one file; the largest is a tenth.
const FILE_BYTES: u64 = 4 << 20;
/// Most files; there are 800.
const FILES: usize = 8192;
/// Most bytes that a compiled expression takes.
const REGEX_BYTES: usize = 1 << 20;
/// How far a system inherits what it wants from others.
const ANCESTORS: usize = 8;

/// The systems that osinfo-db knows. Loading reads some 5 MB: keep it only as long as it is asked.
#[derive(Debug, Default)]
pub struct Database {
    systems: Vec<Os>,
    by_id: HashMap<String, usize>,
}

/// A system's entry.
#[derive(Clone, Debug, Default, PartialEq)]
struct Os {
    /// The `id` attribute, a URL.
    id: String,
    short_id: String,
    name: String,
    family: String,
    version: String,
    /// ISO 8601, so that text order is time order.
    released: String,
    status: String,
    parents: Vec<String>,
    media: Vec<Media>,
    /// What it wants on a processor (`all`, `x86_64`).
    wants: BTreeMap<String, Resources>,
    no_bios: bool,
    no_uefi: bool,
}

/// A `<media>` with its `<iso>`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Media {
    arch: String,
    live: bool,
    volume: Option<String>,
    system: Option<String>,
    publisher: Option<String>,
    application: Option<String>,
    bytes: Option<u64>,
}

/// A `<resources>`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Resources {
    minimum: Amounts,
    recommended: Amounts,
}

/// Processors; bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amounts {
    processors: Option<u64>,
    memory: Option<u64>,
    storage: Option<u64>,
}

/// A system's name for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `debian12`.
    pub id: String,
    /// “Debian 12”.
    pub name: String,
}

impl Database {
    /// Reads the database; empty when it is not installed (package `osinfo-db`).
    pub fn load() -> Self {
        let folders = data_folders().into_iter().map(|folder| folder.join("osinfo/os"));
        folders.map(|folder| Self::read(&folder)).find(|database| !database.systems.is_empty()).unwrap_or_default()
    }

    /// Reads a database's `os` folder. Files that cannot be read or understood are left out.
    pub fn read(folder: &Path) -> Self {
        let mut database = Self::default();
        let mut text = String::new();
        for path in files(folder) {
            text.clear();
            let read = std::fs::File::open(&path).and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text));
            match read.map_err(|error| error.to_string()).and_then(|_| parse(&text)) {
                Ok(systems) => systems.into_iter().for_each(|system| database.add(system)),
                Err(error) => tracing::debug!("{}: {error}", path.display()),
            }
        }
        database
    }

    fn add(&mut self, system: Os) {
        if !system.short_id.is_empty() {
            self.by_id.insert(system.id.clone(), self.systems.len());
            self.systems.push(system);
        }
    }

    /// All systems, by name.
    pub fn known(&self) -> Vec<Known> {
        let known = |os: &Os| Known { id: os.short_id.clone(), name: os.name.clone() };
        let mut all: Vec<_> = self.systems.iter().map(known).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The system of this short id (`debian12`).
    pub fn system(&self, id: &str) -> Option<System> {
        let os = self.systems.iter().find(|os| os.short_id == id)?;
        Some(self.describe(os, &Media { arch: "x86_64".into(), ..Media::default() }))
    }

    /// The system whose installer or live medium this is.
    pub fn identify(&self, volume: &Volume) -> Option<System> {
        let all = self.systems.iter().flat_map(|os| os.media.iter().map(move |media| (os, media)));
        let fits = all.filter(|(_, media)| media.fits(volume));
        let (os, media) = fits.max_by_key(|(os, media)| {
            let native = matches!(media.arch.as_str(), "x86_64" | "all");
            (media.weight(), native, os.status.is_empty(), os.released.clone())
        })?;
        Some(self.describe(os, media))
    }

    fn describe(&self, os: &Os, media: &Media) -> System {
        let (profile, firmware) = os.devices();
        // There is no UEFI for 32-bit systems.
        let firmware = if matches!(media.arch.as_str(), "i686" | "i386") { Firmware::Bios } else { firmware };
        System {
            id: Some(os.short_id.clone()),
            name: os.name.clone(),
            recognised: true,
            profile,
            firmware,
            wants: self.wants(os),
            live: media.live,
            foreign: (!matches!(media.arch.as_str(), "x86_64" | "i686" | "i386" | "all" | ""))
                .then(|| media.arch.clone()),
            windows: None,
        }
    }

    /// Recommended, else minimal resources; from the systems it came from where it says nothing itself.
    fn wants(&self, os: &Os) -> Wants {
        let mut wants = Wants::default();
        let mut queue = vec![os];
        let mut seen = 0;
        while let Some(os) = queue.pop().filter(|_| seen < ANCESTORS) {
            seen += 1;
            for resources in ["x86_64", "all"].iter().filter_map(|arch| os.wants.get(*arch)) {
                let (good, least) = (resources.recommended, resources.minimum);
                let small = |count: u64| u32::try_from(count).ok();
                wants.processors = wants.processors.or(good.processors.or(least.processors).and_then(small));
                wants.memory = wants.memory.or(good.memory.or(least.memory).map(|bytes| bytes.div_ceil(1 << 20)));
                wants.disk = wants.disk.or(good.storage.or(least.storage).map(|bytes| bytes.div_ceil(1 << 30)));
                wants.least_disk = wants.least_disk.or(least.storage.map(|bytes| bytes.div_ceil(1 << 30)));
            }
            if wants == Wants::default() {
                queue.extend(os.parents.iter().rev().filter_map(|id| Some(&self.systems[*self.by_id.get(id)?])));
            }
        }
        wants
    }
}

impl Os {
    /// Devices and firmware that suit it.
    fn devices(&self) -> (Profile, Firmware) {
        let after = |year: &str| self.released.is_empty() || self.released.as_str() >= year;
        let version = self.version.parse::<f32>().unwrap_or(0.0);
        let (profile, firmware) = match self.family.as_str() {
            // 6.1 is Windows 7, the first with an AHCI driver and High Definition Audio that work out of the box; 6.2 is Windows 8,
            // the first whose UEFI start does not need a legacy VGA BIOS.
            "winnt" if version >= 6.2 => (Profile::Windows, Firmware::Uefi),
            "winnt" if version >= 6.0 => (Profile::Windows, Firmware::Bios),
            "winnt" | "win9x" | "win16" | "msdos" | "netware" => (Profile::Legacy, Firmware::Bios),
            "darwin" => (Profile::Windows, Firmware::Uefi),
            // virtio came with Linux 2.6.25 and the BSDs of 2012.
            "linux" if !after("2008-06") => (Profile::Legacy, Firmware::Bios),
            _ if after("2014") => (Profile::Linux, Firmware::Uefi),
            "linux" => (Profile::Linux, Firmware::Bios),
            _ if after("2012") => (Profile::Linux, Firmware::Bios),
            _ => (Profile::Legacy, Firmware::Bios),
        };
        match (self.no_bios, self.no_uefi) {
            (true, false) => (profile, Firmware::Uefi),
            (false, true) => (profile, Firmware::Bios),
            _ => (profile, firmware),
        }
    }
}

impl Media {
    /// Does everything it says hold of this ISO?
    fn fits(&self, iso: &Volume) -> bool {
        let fields = [
            (&self.volume, &iso.volume),
            (&self.system, &iso.system),
            (&self.publisher, &iso.publisher),
            (&self.application, &iso.application),
        ];
        let says_something = fields.iter().any(|(pattern, _)| pattern.is_some());
        says_something
            && self.bytes.is_none_or(|bytes| bytes == iso.bytes)
            && fields.iter().all(|(pattern, text)| pattern.as_ref().is_none_or(|pattern| found(pattern, text)))
    }

    /// How much it says.
    fn weight(&self) -> usize {
        let fields = [&self.volume, &self.system, &self.publisher, &self.application];
        fields.iter().filter(|field| field.is_some()).count() + 4 * usize::from(self.bytes.is_some())
    }
}

/// Is the expression found in the text? Nearly all begin with characters that stand for themselves, and where those are
/// missing nothing has to be compiled.
fn found(pattern: &str, text: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    let (anchored, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    if !has_alternatives(pattern) {
        let literal: String = rest.chars().take_while(|&c| !r"\.+*?()|[]{}^$".contains(c)).collect();
        // The last character may be optional: “a?”, “a*”, “a{0}”.
        let certain = &literal[..literal.len() - literal.chars().last().map_or(0, char::len_utf8)];
        if if anchored { !text.starts_with(certain) } else { !text.contains(certain) } {
            return false;
        }
    }
    // A few expressions look ahead, which this crate refuses to do: those media stay unknown.
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES).build().is_ok_and(|regex| regex.is_match(text))
}

/// Is there a `|` outside of all parentheses? May say yes where there is none.
fn has_alternatives(pattern: &str) -> bool {
    let mut depth = 0;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth <= 0 => return true,
            _ => {}
        }
    }
    false
}

/// The database's files, in a stable order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let children = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let all = children(folder).into_iter().flat_map(|path| if path.is_dir() { children(&path) } else { vec![path] });
    let mut files: Vec<_> =
        all.filter(|path| path.extension().is_some_and(|extension| extension == "xml")).take(FILES).collect();
    files.sort();
    files
}

/// The systems of one file.
fn parse(xml: &str) -> Result<Vec<Os>, String> {
    let mut reader = Reader::from_str(xml);
    let mut systems = Vec::new();
    let mut parser = Parser::default();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => parser.open(&element),
            Event::Empty(element) => {
                parser.open(&element);
                parser.close(&mut systems);
            }
            Event::Text(text) => parser.text.push_str(&text),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().ok().flatten();
                let named = quick_xml::escape::resolve_predefined_entity(&reference);
                parser.text.extend(character);
                parser.text.push_str(named.unwrap_or_default());
            }
            Event::End(_) => parser.close(&mut systems),
            Event::Eof => return Ok(systems),
            _ => {}
        }
    }
}

/// Where in the file the reader is.
#[derive(Default)]
struct Parser {
    path: Vec<String>,
    /// Text since the last tag.
    text: String,
    os: Os,
    media: Media,
    arch: String,
    resources: Resources,
    /// The element open now is a translation.
    translated: bool,
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    Some(attribute.value.into_owned())
}

impl Parser {
    fn open(&mut self, element: &BytesStart<'_>) {
        let name = element.name().as_ref().to_owned();
        let unsupported = attribute(element, "supported").is_some_and(|value| value == "false");
        match (self.path.last().map(String::as_str), name.as_str()) {
            (_, "os") => {
                self.os = Os { id: attribute(element, "id").unwrap_or_default(), ..Os::default() };
            }
            (Some("os"), "derives-from" | "clones") => self.os.parents.extend(attribute(element, "id")),
            (Some("os"), "media") => {
                self.media = Media {
                    arch: attribute(element, "arch").unwrap_or_default(),
                    live: attribute(element, "live").is_some_and(|value| value == "true"),
                    ..Media::default()
                };
            }
            (Some("os"), "resources") => {
                self.arch = attribute(element, "arch").unwrap_or_default();
                self.resources = Resources::default();
            }
            (Some("os"), "firmware") if attribute(element, "arch").is_some_and(|arch| arch == "x86_64") => {
                match attribute(element, "type").as_deref() {
                    Some("bios") => self.os.no_bios = unsupported,
                    Some("efi") => self.os.no_uefi = unsupported,
                    _ => {}
                }
            }
            _ => {}
        }
        self.translated = attribute(element, "xml:lang").is_some();
        self.text.clear();
        self.path.push(name);
    }

    fn close(&mut self, systems: &mut Vec<Os>) {
        let Some(name) = self.path.pop() else { return };
        let text = std::mem::take(&mut self.text);
        if std::mem::take(&mut self.translated) {
            return;
        }
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let text = || text.trim().to_owned();
        match (self.path.last().map(String::as_str), name.as_str()) {
            (_, "os") => systems.push(std::mem::take(&mut self.os)),
            (Some("os"), "short-id") if self.os.short_id.is_empty() => self.os.short_id = text(),
            (Some("os"), "name") => self.os.name = text(),
            (Some("os"), "family") => self.os.family = text(),
            (Some("os"), "version") => self.os.version = text(),
            (Some("os"), "release-date") => self.os.released = text(),
            (Some("os"), "release-status") => self.os.status = text(),
            (Some("os"), "media") => self.os.media.push(std::mem::take(&mut self.media)),
            (Some("os"), "resources") => {
                self.os.wants.insert(std::mem::take(&mut self.arch), std::mem::take(&mut self.resources));
            }
            (Some("iso"), "volume-id") => self.media.volume = some(&text()),
            (Some("iso"), "system-id") => self.media.system = some(&text()),
            (Some("iso"), "publisher-id") => self.media.publisher = some(&text()),
            (Some("iso"), "application-id") => self.media.application = some(&text()),
            (Some("iso"), "volume-size") => self.media.bytes = text().parse().ok(),
            (Some(level @ ("minimum" | "recommended")), item) => {
                let amounts =
                    if level == "minimum" { &mut self.resources.minimum } else { &mut self.resources.recommended };
                let amount = text().parse().ok();
                match item {
                    "n-cpus" => amounts.processors = amount,
                    "ram" => amounts.memory = amount,
                    "storage" => amounts.storage = amount,
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "osinfo_test.rs"]
mod tests;
