//! Messages of a control client: JSON values one behind another (QMP, "General definitions"; RFC 8259), with their descriptors.
//!
//! A message ends where its outermost bracket closes: clients need not send an end of line, and QEMU's own Python client sends
//! none. What is no object or array ends with its line, so that a person who mistyped is answered. A byte 0xFF, which is in no
//! JSON text, drops what was not finished, as it does in QEMU. A message is of at most [`LINE_BYTES`].

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use api::control::LINE_BYTES;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// Descriptors that may wait for their command.
const FDS: usize = 16;

/// What a client sends, message by message.
pub(crate) struct Messages {
    stream: UnixStream,
    received: VecDeque<u8>,
    message: Message,
    fds: Vec<OwnedFd>,
}

impl Messages {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, received: VecDeque::new(), message: Message::default(), fds: Vec::new() }
    }

    /// The next message, and the descriptors that came until its end; `None` when the client is gone.
    ///
    /// # Errors
    /// A message too long, too many descriptors, or a broken connection: there is no sense in going on.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        loop {
            while let Some(byte) = self.received.pop_front() {
                if let Some(whole) = self.message.feed(byte) {
                    return Ok(Some((whole, std::mem::take(&mut self.fds))));
                }
            }
            ensure!(self.message.bytes.len() <= LINE_BYTES, "a command of more than {LINE_BYTES} bytes");
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    fn receive(&mut self) -> Result<bool> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message = loop {
            match rustix::net::recvmsg(&self.stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => continue,
                other => break other?,
            }
        };
        for item in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = item {
                self.fds.extend(rights);
            }
        }
        ensure!(self.fds.len() <= FDS, "more than {FDS} descriptors with one command");
        self.received.extend(&bytes[..message.bytes]);
        Ok(message.bytes > 0)
    }
}

/// A message that is coming in.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
    /// Brackets that are open.
    open: usize,
    /// Within a string, and right behind a backslash there.
    string: bool,
    escaped: bool,
}

impl Message {
    /// Takes a byte; the whole message, when it ends with this one.
    fn feed(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte == 0xff {
            *self = Self::default();
            return None;
        }
        if self.bytes.is_empty() && byte.is_ascii_whitespace() {
            return None;
        }
        self.bytes.push(byte);
        if self.string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.string = false,
                _ => {}
            }
            return None;
        }
        let ends = match byte {
            b'"' if self.open > 0 => {
                self.string = true;
                false
            }
            b'{' | b'[' => {
                self.open += 1;
                false
            }
            b'}' | b']' => {
                self.open = self.open.saturating_sub(1);
                self.open == 0
            }
            b'\n' => self.open == 0,
            _ => false,
        };
        ends.then(|| std::mem::take(self).bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

    use super::*;

    fn messages(bytes: &[u8]) -> Vec<String> {
        let mut message = Message::default();
        bytes.iter().filter_map(|&byte| message.feed(byte)).map(|text| String::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn messages_end_with_their_bracket() {
        let stream = b"{\"execute\":\"stop\"}{\"execute\":\n \"cont\",\"arguments\":{\"a\":[{}]}}\r\n\n [1]";
        assert_eq!(
            messages(stream),
            ["{\"execute\":\"stop\"}", "{\"execute\":\n \"cont\",\"arguments\":{\"a\":[{}]}}", "[1]"]
        );
    }

    #[test]
    fn brackets_in_strings_are_text() {
        assert_eq!(messages(br#"{"a":"}\"}\\"}{"b":"{["}"#), [r#"{"a":"}\"}\\"}"#, r#"{"b":"{["}"#]);
    }

    #[test]
    fn what_is_no_object_ends_with_its_line() {
        assert_eq!(messages(b"help \"me\n{}}stop\n"), ["help \"me\n", "{}", "}", "stop\n"]);
    }

    #[test]
    fn a_byte_that_is_in_no_text_starts_anew() {
        assert_eq!(messages(b"{\"execute\":\"\xff{\"execute\":\"stop\"}"), ["{\"execute\":\"stop\"}"]);
    }

    #[test]
    fn a_message_without_end_ends_the_connection() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let sender = std::thread::spawn(move || {
            let chunk = [b'['; 1 << 16];
            // Until the other end has had enough.
            for _ in 0..64 {
                if theirs.write_all(&chunk).is_err() {
                    return;
                }
            }
        });
        let mut messages = Messages::new(ours);
        assert!(messages.next().unwrap_err().to_string().contains("more than"));
        drop(messages);
        sender.join().unwrap();
    }

    #[test]
    fn descriptors_come_with_their_message() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let fds = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        let part = [std::io::IoSlice::new(b" ")];
        rustix::net::sendmsg(&theirs, &part, &mut ancillary, SendFlags::empty()).unwrap();
        theirs.write_all(b"{\"a\":1}{\"b\":2}").unwrap();
        drop(theirs);
        let mut messages = Messages::new(ours);
        let (first, fds) = messages.next().unwrap().unwrap();
        assert_eq!((first.as_slice(), fds.len()), (&b"{\"a\":1}"[..], 1));
        let (second, fds) = messages.next().unwrap().unwrap();
        assert_eq!((second.as_slice(), fds.len()), (&b"{\"b\":2}"[..], 0));
        assert!(messages.next().unwrap().is_none());
    }
}
