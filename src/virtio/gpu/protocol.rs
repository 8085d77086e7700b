//! The words of virtio-gpu's control and cursor queues (VIRTIO 1.2 §5.7.6), little endian on the wire.

use api::ui::Rect;

use super::resource::Resource;
use crate::chain::Chain;

/// VIRTIO_GPU_F_EDID.
pub(super) const FEATURE_EDID: u64 = 1 << 1;
/// VIRTIO_GPU_EVENT_DISPLAY.
pub(super) const EVENT_DISPLAY: u32 = 1;
/// Heads that a display info has room for.
pub(super) const MAX_HEADS: usize = 16;
/// Bytes that an EDID answer has room for.
pub(super) const EDID_ROOM: usize = 1024;
/// Bytes of a memory entry.
pub(super) const ENTRY_BYTES: u64 = 16;

const FLAG_FENCE: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER: u64 = 24;

/// A request's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) command: u32,
    flags: u32,
    fence: u64,
    context: u32,
}

impl Header {
    pub(super) fn of(chain: &Chain) -> Option<Self> {
        let bytes = chain.read::<24>(0)?;
        Some(Self {
            command: u32_at(&bytes, 0),
            flags: u32_at(&bytes, 4),
            fence: u64_at(&bytes, 8),
            context: u32_at(&bytes, 16),
        })
    }

    /// The header of the answer: a fence is given back, for the command it belongs to is done.
    fn answer(self, code: u32) -> Vec<u8> {
        let fenced = self.flags & FLAG_FENCE != 0;
        let mut bytes = code.to_le_bytes().to_vec();
        bytes.extend((self.flags & FLAG_FENCE).to_le_bytes());
        bytes.extend(if fenced { self.fence } else { 0 }.to_le_bytes());
        bytes.extend(if fenced { self.context } else { 0 }.to_le_bytes());
        bytes.extend([0; 4]);
        bytes
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    GetDisplayInfo,
    CreateResource { id: u32, format: u32, width: u32, height: u32 },
    UnrefResource { id: u32 },
    SetScanout { rect: Rect, head: u32, id: u32 },
    Flush { rect: Rect, id: u32 },
    Transfer { rect: Rect, offset: u64, id: u32 },
    AttachBacking { id: u32, entries: u32 },
    DetachBacking { id: u32 },
    GetEdid { head: u32 },
}

impl Command {
    /// Reads the command of `header`; `None` when it is unknown or cut short.
    pub(super) fn of(header: Header, chain: &Chain) -> Option<Self> {
        let two = || chain.read::<8>(HEADER).map(|bytes| (u32_at(&bytes, 0), u32_at(&bytes, 4)));
        let after_rect = || {
            let bytes = chain.read::<32>(HEADER)?;
            Some((rect_of(&bytes), bytes))
        };
        Some(match header.command {
            0x100 => Self::GetDisplayInfo,
            0x101 => {
                let bytes = chain.read::<16>(HEADER)?;
                let field = |at| u32_at(&bytes, at);
                Self::CreateResource { id: field(0), format: field(4), width: field(8), height: field(12) }
            }
            0x102 => Self::UnrefResource { id: two()?.0 },
            0x103 => {
                let bytes = chain.read::<24>(HEADER)?;
                Self::SetScanout { rect: rect_of(&bytes), head: u32_at(&bytes, 16), id: u32_at(&bytes, 20) }
            }
            0x104 => {
                let bytes = chain.read::<24>(HEADER)?;
                Self::Flush { rect: rect_of(&bytes), id: u32_at(&bytes, 16) }
            }
            0x105 => {
                let (rect, bytes) = after_rect()?;
                Self::Transfer { rect, offset: u64_at(&bytes, 16), id: u32_at(&bytes, 24) }
            }
            0x106 => {
                let (id, entries) = two()?;
                Self::AttachBacking { id, entries }
            }
            0x107 => Self::DetachBacking { id: two()?.0 },
            0x10a => Self::GetEdid { head: two()?.0 },
            _ => return None,
        })
    }
}

impl Command {
    /// Bytes of pixels that were moved if it was done.
    pub(super) fn bytes_moved(self) -> u64 {
        match self {
            Self::Transfer { rect, .. } => Resource::bytes_of(rect.width, rect.height),
            _ => 0,
        }
    }
}

/// What is said on the cursor queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CursorCommand {
    pub(super) head: u32,
    pub(super) x: i32,
    pub(super) y: i32,
    /// The new picture, when there is one: resource and hot spot.
    pub(super) image: Option<(u32, u32, u32)>,
}

impl CursorCommand {
    pub(super) fn of(chain: &Chain) -> Option<Self> {
        let header = Header::of(chain)?;
        let bytes = chain.read::<32>(HEADER)?;
        let field = |at| u32_at(&bytes, at);
        let image = match header.command {
            0x300 => Some((field(16), field(20), field(24))),
            0x301 => None,
            _ => return None,
        };
        // Positions left of or above the screen come as two's complement.
        Some(Self { head: field(0), x: field(4) as i32, y: field(8) as i32, image })
    }
}

/// Why a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Refusal {
    Unspecified = 0x1200,
    OutOfMemory = 0x1201,
    Scanout = 0x1202,
    Resource = 0x1203,
    Parameter = 0x1205,
}

/// The answer to a command that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// Each head's place and size, and whether it is on.
    DisplayInfo(Vec<(Rect, bool)>),
    Edid(Vec<u8>),
}

/// The bytes of an answer to `header`.
pub(super) fn encode(header: Header, answer: Result<Answer, Refusal>) -> Vec<u8> {
    match answer {
        Ok(Answer::Done) => header.answer(0x1100),
        Ok(Answer::DisplayInfo(heads)) => {
            let mut bytes = header.answer(0x1101);
            for (rect, on) in heads.into_iter().chain(std::iter::repeat((Rect::default(), false))).take(MAX_HEADS) {
                for word in [rect.x, rect.y, rect.width, rect.height, on.into(), 0] {
                    bytes.extend(word.to_le_bytes());
                }
            }
            bytes
        }
        Ok(Answer::Edid(edid)) => {
            let mut bytes = header.answer(0x1104);
            bytes.extend((edid.len() as u32).to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(&edid);
            bytes.resize(bytes.len() + EDID_ROOM - edid.len(), 0);
            bytes
        }
        Err(refusal) => header.answer(refusal as u32),
    }
}

fn rect_of(bytes: &[u8]) -> Rect {
    let field = |at| u32_at(bytes, at);
    Rect { x: field(0), y: field(4), width: field(8), height: field(12) }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
