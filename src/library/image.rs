//! Disk images of a machine: made, and copied.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use api::machine::ImageFormat;
use rustix::fs::{SeekFrom, ioctl_ficlone, seek};

use crate::error::{Error, Result, Trying};
use crate::sparse::parts;
use crate::{qcow2, room};

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Makes an empty image that takes (nearly) no room.
pub(crate) fn create(path: &Path, size: u64, format: ImageFormat) -> Result<()> {
    if !(1..=qcow2::MAX_SIZE).contains(&size) {
        return Err(Error::Size(size.to_string()));
    }
    // Disks consist of sectors.
    let size = size.next_multiple_of(512);
    let made = create_new(path).and_then(|mut file| {
        match format {
            ImageFormat::Raw => file.set_len(size)?,
            ImageFormat::Qcow2 => qcow2::create(&mut file, size)?,
        }
        file.sync_all()
    });
    made.at("make", path)
}

/// Makes the image in `file`, which is at `path` and held alone, larger.
pub(crate) fn grow(file: &File, path: &Path, size: u64, format: ImageFormat) -> Result<()> {
    let refuse = |why: String| Error::Grow { path: path.to_owned(), why };
    if !(1..=qcow2::MAX_SIZE).contains(&size) {
        return Err(Error::Size(size.to_string()));
    }
    let size = size.next_multiple_of(512);
    match format {
        ImageFormat::Qcow2 => qcow2::grow(file, size).map_err(|error| refuse(error.to_string())),
        ImageFormat::Raw => {
            let data = file.metadata().at("look at", path)?;
            if !data.is_file() {
                return Err(refuse("it is not a file".into()));
            }
            if size <= data.len() {
                return Err(refuse(format!("it has {} bytes already", data.len())));
            }
            match file.set_len(size).and_then(|()| file.sync_all()) {
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    Err(refuse(format!("its file system has no files of {} GiB", size >> 30)))
                }
                result => result.at("write", path),
            }
        }
    }
}

/// Reads what a guest sees of an image, within one of its sectors; `None` where it does not read.
pub(crate) fn read_at(file: &File, format: ImageFormat, at: u64, bytes: &mut [u8]) -> Option<()> {
    match format {
        ImageFormat::Raw => FileExt::read_exact_at(file, bytes, at).ok(),
        ImageFormat::Qcow2 => qcow2::read_at(file, at, bytes),
    }
}

/// Bytes that a guest sees of an image.
pub(crate) fn guest_size(file: &File, format: ImageFormat) -> io::Result<u64> {
    match format {
        ImageFormat::Raw => seek(file, SeekFrom::End(0)).map_err(io::Error::from),
        ImageFormat::Qcow2 => qcow2::size(file),
    }
}

/// Copies an image: by shared extents where the file system can, else without its holes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let source = File::open(from).at("read", from)?;
    let target = create_new(to).at("make", to)?;
    if ioctl_ficlone(&target, &source).is_ok() {
        return target.sync_all().at("write", to);
    }
    let data = source.metadata().at("read", from)?;
    let bytes = MetadataExt::blocks(&data).saturating_mul(512);
    room::for_copy(to.parent().unwrap_or(Path::new("/")), bytes)?;
    copy_data(&source, &target, data.len()).trying(|| format!("copy {} to {}", from.display(), to.display()))
}

fn copy_data(source: &File, mut target: &File, length: u64) -> io::Result<()> {
    target.set_len(length)?;
    for part in parts(source, length) {
        let (start, end) = part?;
        seek(source, SeekFrom::Start(start))?;
        seek(target, SeekFrom::Start(start))?;
        if io::copy(&mut source.take(end - start), &mut target)? < end - start {
            // It has become shorter meanwhile.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    target.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_keep_holes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        create(&from, 64 << 20, ImageFormat::Raw).unwrap();
        let file = OpenOptions::new().write(true).open(&from).unwrap();
        file.write_all_at(b"beginning", 0).unwrap();
        file.write_all_at(b"middle", 32 << 20).unwrap();
        file.sync_all().unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(std::fs::read(&from).unwrap(), std::fs::read(&to).unwrap());
        assert!(std::fs::metadata(&to).unwrap().blocks() * 512 < 8 << 20);
        assert!(copy(&from, &to).is_err(), "nothing is overwritten");
        assert!(create(&folder.path().join("c"), 0, ImageFormat::Raw).is_err());
    }
}
