//! What a Windows image file (`install.wim`, `install.esd`) says of the systems in it.
//!
//! Microsoft, “Windows Imaging File Format (WIM)”: a header of 208 bytes with a resource that is an XML document in UTF-16, uncompressed
//! as the format demands. Nothing else of the file is read.

use super::contents::Contents;
use super::{Image, le32, le64};

/// Bytes of the header.
const HEADER: usize = 208;
/// Most bytes of the document; real ones have some ten thousand.
const DOCUMENT: u64 = 4 << 20;
/// Where the header describes the document (`rhXmlData`).
const RESOURCE: usize = 72;
/// The resource's flag: it is compressed.
const COMPRESSED: u8 = 4;

/// The XML document of an image file.
pub(super) fn document(image: &Image<'_>, file: &Contents) -> Option<String> {
    let header = file.read(image, 0, HEADER)?;
    if !header.starts_with(b"MSWIM\0\0\0") || (le32(&header, 8) as usize) < HEADER {
        return None;
    }
    // Seven bytes of size, one of flags; then the offset.
    let size = le64(&header, RESOURCE) & 0x00ff_ffff_ffff_ffff;
    let flags = header[RESOURCE + 7];
    if flags & COMPRESSED != 0 || size > DOCUMENT {
        return None;
    }
    let bytes = file.read(image, le64(&header, RESOURCE + 8), size as usize)?;
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    Some(text.skip_while(|&c| c == '\u{feff}').collect())
}
