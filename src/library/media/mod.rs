//! What is in an image that a person picked: its format, what starts from it, and which system that is.
//!
//! Looked at once, when a person picks the file; the answer is recorded in `machine.toml` and never guessed again. Images are
//! hostile: everything read from them is bounded and checked.

mod boot;
mod clues;
mod contents;
mod guess;
mod iso;
mod iso_directory;
mod languages;
pub mod osinfo;
mod partition;
mod udf;
mod why;
mod wim;
mod windows;

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use api::machine::{Firmware, ImageFormat, Profile, Wants};

pub use boot::Boots;
pub use iso::Volume;
pub use why::{Obstacle, WhyDevices, WhyFirmware};
pub use windows::Windows;

/// What a picked file cannot be used for, as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not there.
    #[error("there is no file {0}")]
    NotFound(PathBuf),
    /// A folder.
    #[error("{0} is a folder: choose an ISO or disk image in it")]
    Folder(PathBuf),
    /// A socket, pipe or terminal.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// Nothing in it.
    #[error("{0} is empty: was it downloaded completely?")]
    Empty(PathBuf),
    /// The system refuses.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither ISO nor disk.
    #[error("{0} is neither an ISO nor a disk image that Dormer knows")]
    Unknown(PathBuf),
    /// Packed.
    #[error("{path} is packed with {packer}: unpack it first")]
    Packed {
        /// Which file.
        path: PathBuf,
        /// What unpacks it.
        packer: &'static str,
    },
    /// A disk format of another program.
    #[error("{path} is a {format} disk image: convert it to qcow2 first, for example with qemu-img convert")]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Whose.
        format: &'static str,
    },
    /// A floppy.
    #[error("{0} is a floppy image, and Dormer has no floppy drive yet: use an ISO or a hard disk image")]
    Floppy(PathBuf),
    /// A qcow2 image that does not stand alone.
    #[error("{path} cannot be used: {why}")]
    Qcow2 {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// Nothing starts from it.
    #[error("nothing starts from {0}: it is not an installer or live system, or the download is incomplete")]
    CannotBoot(PathBuf),
    /// For another kind of processor.
    #[error("{path} is for {processor} processors, and this computer runs x86 machines")]
    Processor {
        /// Which file.
        path: PathBuf,
        /// Which processors.
        processor: String,
    },
    /// Less than it says it has.
    #[error("{0} is incomplete: download it again")]
    Truncated(PathBuf),
}

/// CD or disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediumKind {
    /// Goes into a CD drive.
    Cd,
    /// Is a disk.
    Disk,
}

/// What is in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Medium {
    /// The file.
    pub path: PathBuf,
    /// Which drive it goes into.
    pub kind: MediumKind,
    /// Its format, to be recorded.
    pub format: ImageFormat,
    /// Bytes that the guest sees.
    pub size: u64,
    /// What starts from it.
    pub boots: Boots,
    /// What an ISO says of itself.
    pub volume: Option<Volume>,
    /// Which system it is.
    pub system: System,
}

/// A guest system.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// Its id in osinfo-db, when it is known there.
    pub id: Option<String>,
    /// Its name for people; of a system that is not recognised, its file's.
    pub name: String,
    /// Is it known what it is?
    pub recognised: bool,
    /// Which devices suit it.
    pub profile: Profile,
    /// How it likes to start; [`Medium::firmware`] weighs what the medium can.
    pub firmware: Firmware,
    /// What it recommends.
    pub wants: Wants,
    /// Starts without installing?
    pub live: bool,
    /// The processor it is for, by osinfo's name, when it is not x86.
    pub foreign: Option<String>,
    /// What its installer says of itself, of Windows.
    pub windows: Option<Windows>,
}

impl System {
    /// What it is, as exactly as is known: “Windows 11 Pro, 64-bit, German”.
    pub fn description(&self) -> String {
        self.windows.as_ref().map_or_else(|| self.name.clone(), Windows::description)
    }
}

impl Medium {
    /// BIOS or UEFI: what the system likes, as long as the medium can.
    pub fn firmware(&self) -> Firmware {
        match self.boots {
            Boots { bios: true, uefi: false } => Firmware::Bios,
            Boots { bios: false, uefi: true } => Firmware::Uefi,
            _ => self.system.firmware,
        }
    }

    /// Can a machine start from it? (Data CDs and empty disks are good media too, for a machine that has another.)
    pub fn check_bootable(&self) -> Result<(), Error> {
        if let Some(processor) = &self.system.foreign {
            return Err(Error::Processor { path: self.path.clone(), processor: processor.clone() });
        }
        // A qcow2 image may hide its start from this look (compressed).
        if self.boots == Boots::default() && self.format == ImageFormat::Raw {
            return Err(Error::CannotBoot(self.path.clone()));
        }
        Ok(())
    }
}

/// Looks at an image. Takes a moment (osinfo's database is read for ISOs): do it off the main thread.
pub fn inspect(path: &Path) -> Result<Medium, Error> {
    inspect_with(path, &mut osinfo::Database::load)
}

/// [`inspect`] with a database of the caller's.
pub fn inspect_with(path: &Path, database: &mut dyn FnMut() -> osinfo::Database) -> Result<Medium, Error> {
    let path = std::path::absolute(path).map_err(|_| Error::NotFound(path.to_owned()))?;
    let (file, length) = open(&path)?;
    let image = Image { file: &file, start: 0, length };
    let medium = |kind, format, size, boots, volume, system| Medium {
        path: path.clone(),
        kind,
        format,
        size,
        boots,
        volume,
        system,
    };
    if let Some(volume) = iso::volume(&image) {
        if volume.bytes > length.saturating_add(iso::SLACK) {
            return Err(Error::Truncated(path));
        }
        let mut boots = iso::boots(&image, &volume);
        let mut kind = MediumKind::Cd;
        if boots == Boots::default() {
            // An ISO made for USB sticks only.
            boots = partition::boots(&image);
            if boots != Boots::default() {
                kind = MediumKind::Disk;
            }
        }
        let system = match windows::find(&image, Some(&volume)) {
            Some(windows) => windows.system(&database()),
            None => {
                let database = database();
                database.identify(&volume).unwrap_or_else(|| guess::system(&volume, &path, &database))
            }
        };
        return Ok(medium(kind, ImageFormat::Raw, length, boots, Some(volume), system));
    }
    if let Some(size) = qcow2(&image, &path)? {
        let boots = qcow2_start(&image).map(|start| partition::boots(&start)).unwrap_or_default();
        return Ok(medium(MediumKind::Disk, ImageFormat::Qcow2, size, boots, None, guess::disk(&path)));
    }
    refuse_known(&image, &path)?;
    if udf::is_udf(&image) {
        let system = match windows::find(&image, None) {
            Some(windows) => windows.system(&database()),
            None => guess::disk(&path),
        };
        return Ok(medium(MediumKind::Cd, ImageFormat::Raw, length, Boots::default(), None, system));
    }
    if partition::is_disk(&image) {
        let boots = partition::boots(&image);
        return Ok(medium(MediumKind::Disk, ImageFormat::Raw, length, boots, None, guess::disk(&path)));
    }
    Err(Error::Unknown(path))
}

/// Opens a file for reading, and how long it is (block devices too).
fn open(path: &Path) -> Result<(File, u64), Error> {
    let unreadable = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::NotFound(path.to_owned()),
        _ => Error::Unreadable { path: path.to_owned(), source },
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Err(Error::Folder(path.to_owned()));
    }
    // Opening a pipe would wait for its other end.
    if !kind.is_file() && !kind.is_block_device() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let length = std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(unreadable)?;
    match length {
        0 => Err(Error::Empty(path.to_owned())),
        _ => Ok((file, length)),
    }
}

/// An image under inspection.
struct Image<'a> {
    file: &'a File,
    /// Where the guest's first byte is in the file.
    start: u64,
    /// Bytes that can be looked at from there.
    length: u64,
}

impl Image<'_> {
    /// Bytes at an offset; `None` beyond the end and where the disk does not read.
    fn read<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read_into(offset, &mut bytes)?;
        Some(bytes)
    }

    /// [`Image::read`] into bytes that are there.
    fn read_into(&self, offset: u64, bytes: &mut [u8]) -> Option<()> {
        offset.checked_add(bytes.len() as u64).filter(|&end| end <= self.length)?;
        self.file.read_exact_at(bytes, self.start.checked_add(offset)?).ok()
    }
}

/// Little-endian fields of a structure.
fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// Guest-visible bytes of a qcow2 image that stands alone; `None` when it is something else.
fn qcow2(image: &Image<'_>, path: &Path) -> Result<Option<u64>, Error> {
    let Some(header) = image.read::<80>(0).filter(|header| header.starts_with(b"QFI\xfb")) else { return Ok(None) };
    let be32 = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let be64 = |at: usize| u64::from(be32(at)) << 32 | u64::from(be32(at + 4));
    let (version, backing, encryption, incompatible) = (be32(4), be64(8), be32(32), be64(72));
    let why = if !matches!(version, 2 | 3) {
        "its qcow2 version is unknown"
    } else if backing != 0 {
        "it depends on another image (a backing file); make it whole with qemu-img convert"
    } else if encryption != 0 {
        "it is encrypted"
    } else if version == 3 && incompatible & 0b100 != 0 {
        "its data is in another file"
    } else if version == 3 && incompatible & 0b10 != 0 {
        "it is marked as damaged; repair it with qemu-img check -r all"
    } else {
        return Ok(Some(be64(24)));
    };
    Err(Error::Qcow2 { path: path.to_owned(), why })
}

/// The guest's first cluster in a qcow2 image, when it stands there uncompressed.
fn qcow2_start<'a>(image: &Image<'a>) -> Option<Image<'a>> {
    /// Offsets in L1 and L2 entries.
    const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
    const COMPRESSED: u64 = 1 << 62;
    let header = image.read::<48>(0)?;
    let bits = u32::from_be_bytes(*header[20..].first_chunk()?);
    let l1 = u64::from_be_bytes(*header[40..].first_chunk()?);
    let l2 = u64::from_be_bytes(image.read::<8>(l1)?) & OFFSET;
    let entry = u64::from_be_bytes(image.read::<8>(l2)?);
    let start = entry & OFFSET;
    let plain = (9..=21).contains(&bits) && l2 != 0 && start != 0 && entry & COMPRESSED == 0;
    plain.then_some(Image { file: image.file, start, length: 1 << bits })
}

/// Refuses what people pick by mistake, by its name.
fn refuse_known(image: &Image<'_>, path: &Path) -> Result<(), Error> {
    // Shorter files are other things, and the zeros behind them match nothing.
    let mut start = [0; 72];
    let _ = image.file.read_at(&mut start, 0);
    let packers: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    ];
    if let Some((_, packer)) = packers.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Error::Packed { path: path.to_owned(), packer });
    }
    let footer = image.length.checked_sub(512).and_then(|at| image.read::<8>(at));
    let format = if start.starts_with(b"KDMV") || start.starts_with(b"# Disk DescriptorFile") {
        Some("VMware (VMDK)")
    } else if le32(&start, 64) == 0xbeda_107f {
        Some("VirtualBox (VDI)")
    } else if start.starts_with(b"vhdxfile") {
        Some("Hyper-V (VHDX)")
    } else if start.starts_with(b"conectix") || footer.is_some_and(|footer| &footer == b"conectix") {
        Some("Virtual PC (VHD)")
    } else {
        None
    };
    if let Some(format) = format {
        return Err(Error::Foreign { path: path.to_owned(), format });
    }
    // 360 KB to 2.88 MB, by the sizes that drives have.
    let floppies = [360, 720, 1200, 1440, 1680, 1722, 2880];
    if floppies.iter().any(|kib| image.length == kib << 10) {
        return Err(Error::Floppy(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "media_test.rs"]
mod tests;
