//! What the test host says to `cargo xtask host` over its one virtio-serial port.
//!
//! A frame is a kind byte, a little-endian 32-bit length and that many bytes. One port keeps both output streams
//! and the exit status in order, so that when the status is here, all output is.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// Frames are never longer; a longer length is a broken stream.
pub(super) const MAX_PAYLOAD: usize = 64 * 1024;

/// The port's name in `/sys/class/virtio-ports/*/name`.
pub(super) const PORT_NAME: &str = "io.github.dormer_vm.test_host";

/// Which of the command's two outputs some bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One message from the test host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The command is about to start: the test host is up.
    Started,
    /// Some of the command's output.
    Output(Stream, Vec<u8>),
    /// The command ended with this exit status (128 + n for signal n); nothing follows.
    Exit(i32),
}

impl Frame {
    /// Writes the frame whole. Output longer than [`MAX_PAYLOAD`] must have been split by the caller.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let status;
        let (kind, payload): (u8, &[u8]) = match self {
            Self::Started => (b'S', &[]),
            Self::Output(Stream::Out, bytes) => (b'O', bytes),
            Self::Output(Stream::Err, bytes) => (b'E', bytes),
            Self::Exit(code) => {
                status = code.to_le_bytes();
                (b'X', &status)
            }
        };
        debug_assert!(payload.len() <= MAX_PAYLOAD);
        let mut frame = Vec::with_capacity(5 + payload.len());
        frame.push(kind);
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(payload);
        to.write_all(&frame)
    }

    /// Takes one whole frame off the front of `buffer`, or `None` while there is not enough of it.
    ///
    /// # Errors
    /// `InvalidData` for bytes no test host sends.
    pub(super) fn take(buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, format!("test host sent {what}"));
        let [kind, l0, l1, l2, l3, ..] = buffer[..] else { return Ok(None) };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_PAYLOAD {
            return Err(invalid("an overlong frame"));
        }
        if buffer.len() < 5 + length {
            return Ok(None);
        }
        let payload = buffer[5..5 + length].to_vec();
        buffer.drain(..5 + length);
        match kind {
            b'S' => Ok(Some(Self::Started)),
            b'O' => Ok(Some(Self::Output(Stream::Out, payload))),
            b'E' => Ok(Some(Self::Output(Stream::Err, payload))),
            b'X' => {
                let status = payload.try_into().map_err(|_| invalid("a status that is not 4 bytes"))?;
                Ok(Some(Self::Exit(i32::from_le_bytes(status))))
            }
            _ => Err(invalid("an unknown frame")),
        }
    }
}

/// What the test host is asked to do; a JSON file in the run folder it mounts.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Request {
    /// Program and arguments. Unix bytes that are not UTF-8 are not supported here.
    pub(super) command: Vec<String>,
    /// Where to run it.
    pub(super) directory: String,
    /// Its whole environment.
    pub(super) environment: Vec<(String, String)>,
    /// Folders shared for writing: 9p tag and mount point.
    pub(super) writable: Vec<(String, String)>,
    /// Kernel modules to load from the shared root.
    pub(super) modules: Vec<String>,
    /// How many SCSI disks (USB sticks) to wait for; they take a second to appear.
    pub(super) disks: usize,
}

impl Request {
    /// Reads a request back.
    pub(super) fn read(from: impl Read) -> anyhow::Result<Self> {
        Ok(serde_json::from_reader(from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_splitting() {
        let frames = [
            Frame::Started,
            Frame::Output(Stream::Out, b"hello".to_vec()),
            Frame::Output(Stream::Err, vec![0; MAX_PAYLOAD]),
            Frame::Output(Stream::Out, Vec::new()),
            Frame::Exit(137),
        ];
        let mut sent = Vec::new();
        for frame in &frames {
            frame.write(&mut sent).unwrap();
        }
        for piece in [1, 7, sent.len()] {
            let (mut buffer, mut seen) = (Vec::new(), Vec::new());
            for bytes in sent.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Some(frame) = Frame::take(&mut buffer).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames);
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn broken_frames_are_refused() {
        for bytes in [&b"Z\0\0\0\0"[..], b"O\xff\xff\xff\xff", b"X\x01\0\0\0a"] {
            assert!(Frame::take(&mut bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }
}
