//! Frames on a stream socket, as QEMU's `-netdev stream`, passt and gvproxy speak it: a 4-byte big-endian length, then that
//! many bytes of frame.
//!
//! Both directions are bounded: [`Inbox`] holds a fixed buffer, [`Outbox`] refuses what does not fit. Neither ever blocks.
//! After a [`BadFrame`] the stream has lost its step and cannot be used again.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// The shortest frame taken, in bytes: an Ethernet header.
pub const MIN_FRAME: usize = 14;
/// The longest frame taken, in bytes: the largest IP packet, an Ethernet header, and a VLAN tag.
pub const MAX_FRAME: usize = 65_535 + 14 + 4;

/// Bytes of a frame's length field.
const LENGTH: usize = 4;
/// Room for the longest frame and, when frames are of usual size, for many of them per system call.
const INBOX: usize = 128 * 1024;

/// What came cannot be a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes was announced; frames have {MIN_FRAME} to {MAX_FRAME}")]
pub struct BadFrame {
    /// The length that was announced.
    pub length: u32,
}

/// What one read from the stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// At least one byte.
    Some,
    /// Nothing now, or no room to read into.
    Nothing,
    /// The other end is closed.
    Closed,
}

/// Frames coming in: bytes read and not yet consumed.
pub struct Inbox {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { buffer: vec![0; INBOX].into(), start: 0, end: 0 }
    }
}

impl Inbox {
    /// Reads once, without blocking, as much as there is and fits.
    pub fn read_from(&mut self, stream: impl AsFd) -> io::Result<Read> {
        self.close_up();
        if self.end == self.buffer.len() {
            return Ok(Read::Nothing);
        }
        match recv(stream, &mut self.buffer[self.end..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => Ok(Read::Closed),
            Ok((read, _)) => {
                self.end += read;
                Ok(Read::Some)
            }
            // The other end closed with bytes of ours unread.
            Err(Errno::CONNRESET) => Ok(Read::Closed),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Fills the buffer from something that gives one whole frame for each read, as long as another is sure to fit.
    pub(crate) fn read_frames(&mut self, read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> io::Result<Read> {
        self.close_up();
        let mut brought = Read::Nothing;
        while self.buffer.len() - self.end >= LENGTH + MAX_FRAME {
            let room = &mut self.buffer[self.end..][..LENGTH + MAX_FRAME];
            match read(&mut room[LENGTH..]) {
                Ok(0) => return Ok(Read::Closed),
                // What is no frame by its size is dropped.
                Ok(length) if length < MIN_FRAME => {}
                Ok(length) => {
                    room[..LENGTH].copy_from_slice(&(length as u32).to_be_bytes());
                    self.end += LENGTH + length;
                }
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => return Err(error.into()),
            }
            brought = Read::Some;
        }
        Ok(brought)
    }

    /// Moves what is not consumed to the front.
    fn close_up(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// The oldest frame, when it is here in full. It stays until [`Self::consume`].
    pub fn frame(&self) -> Result<Option<&[u8]>, BadFrame> {
        let bytes = &self.buffer[self.start..self.end];
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        if !(MIN_FRAME..=MAX_FRAME).contains(&(length as usize)) {
            return Err(BadFrame { length });
        }
        Ok(rest.get(..length as usize))
    }

    /// Drops the frame that [`Self::frame`] shows; nothing happens when it shows none.
    pub fn consume(&mut self) {
        if let Ok(Some(frame)) = self.frame() {
            self.start += LENGTH + frame.len();
        }
    }
}

/// Frames going out: bytes queued and not yet written. Takes room for half as much again as may wait: what is written goes when
/// that is worth moving the rest.
#[derive(Debug)]
pub struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    limit: usize,
}

impl Outbox {
    /// An empty queue for at most `limit` bytes that wait, lengths included.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), written: 0, limit }
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Queues a frame given in pieces. False, and nothing is queued, when there is no room or the frame's size is none.
    pub fn push(&mut self, pieces: &[&[u8]]) -> bool {
        let length = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
        let waiting = self.bytes.len() - self.written;
        if !(MIN_FRAME..=MAX_FRAME).contains(&length) || waiting + LENGTH + length > self.limit {
            return false;
        }
        if self.written > self.limit / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        self.bytes.extend((length as u32).to_be_bytes());
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        true
    }

    /// The frames of a queue of which nothing was written yet.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        frames(&self.bytes)
    }

    /// Forgets what is not written.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
    }

    /// Writes once, without blocking, as much as the stream takes.
    pub fn write_to(&mut self, stream: impl AsFd) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        match send(stream, &self.bytes[self.written..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(written) => self.written += written,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.written == self.bytes.len() {
            self.clear();
        }
        Ok(())
    }

    /// Gives frames, one by one, to something that takes each whole, until it takes no more.
    pub(crate) fn write_frames(&mut self, write: impl Fn(&[u8]) -> Result<usize, Errno>) -> io::Result<()> {
        while let Some(frame) = frames(&self.bytes[self.written..]).next() {
            match write(frame) {
                Ok(_) => self.written += LENGTH + frame.len(),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.clear();
        Ok(())
    }
}

/// The frames that follow each other in `bytes`, each behind its length.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = bytes.split_first_chunk::<LENGTH>()?;
        let (frame, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = after;
        Some(frame)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut outbox = Outbox::new(1 << 20);
        let frames = [vec![1; MIN_FRAME], vec![2; MAX_FRAME], vec![3; 1514]];
        for frame in &frames {
            let (head, tail) = frame.split_at(5);
            assert!(outbox.push(&[head, &[], tail]));
        }
        let bytes = outbox.bytes.clone();
        let mut inbox = Inbox::default();
        let mut got = Vec::new();
        for piece in bytes.chunks(1001) {
            near.write_all(piece).unwrap();
            assert_eq!(inbox.read_from(&far).unwrap(), Read::Some);
            while let Some(frame) = inbox.frame().unwrap() {
                got.push(frame.to_vec());
                inbox.consume();
            }
        }
        assert_eq!(got, frames);
        assert_eq!(inbox.read_from(&far).unwrap(), Read::Nothing);
        drop(near);
        assert_eq!(inbox.read_from(&far).unwrap(), Read::Closed);
    }

    #[test]
    fn frames_that_come_whole_are_taken_and_given_whole() {
        use std::cell::RefCell;
        let device = RefCell::new(vec![vec![3; 100], vec![2; MIN_FRAME - 1], vec![1; MAX_FRAME]]);
        let read = |room: &mut [u8]| {
            assert!(room.len() >= MAX_FRAME);
            let frame = device.borrow_mut().pop().ok_or(Errno::AGAIN)?;
            room[..frame.len()].copy_from_slice(&frame);
            Ok(frame.len())
        };
        let mut inbox = Inbox::default();
        // After the longest frame another might not fit.
        assert_eq!(inbox.read_frames(read).unwrap(), Read::Some);
        assert_eq!(inbox.frame().unwrap().unwrap(), [1; MAX_FRAME]);
        inbox.consume();
        assert_eq!(inbox.read_frames(read).unwrap(), Read::Some);
        assert_eq!(inbox.frame().unwrap().unwrap(), [3; 100]);
        inbox.consume();
        assert_eq!((inbox.read_frames(read).unwrap(), inbox.frame().unwrap()), (Read::Nothing, None));
        assert!(inbox.read_frames(|_| Err(Errno::BADFD)).is_err());

        let mut outbox = Outbox::new(1 << 20);
        let frames = [vec![1; MIN_FRAME], vec![2; 1514], vec![3; 60]];
        frames.iter().for_each(|frame| assert!(outbox.push(&[frame])));
        let (taken, room) = (RefCell::new(Vec::new()), std::cell::Cell::new(2));
        let write = |frame: &[u8]| {
            room.set(usize::checked_sub(room.get(), 1).ok_or(Errno::AGAIN)?);
            taken.borrow_mut().push(frame.to_vec());
            Ok(frame.len())
        };
        outbox.write_frames(write).unwrap();
        assert_eq!(taken.borrow()[..], frames[..2]);
        assert!(!outbox.is_empty());
        room.set(5);
        outbox.write_frames(write).unwrap();
        assert_eq!(taken.borrow()[..], frames[..]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn impossible_lengths_are_refused_on_both_sides() {
        for length in [0, MIN_FRAME as u32 - 1, MAX_FRAME as u32 + 1, u32::MAX] {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.write_all(&length.to_be_bytes()).unwrap();
            let mut inbox = Inbox::default();
            inbox.read_from(&far).unwrap();
            assert_eq!(inbox.frame(), Err(BadFrame { length }));
            inbox.consume();
            assert_eq!(inbox.frame(), Err(BadFrame { length }));
        }
        let mut outbox = Outbox::new(1 << 20);
        assert!(!outbox.push(&[&[0; MIN_FRAME - 1]]));
        assert!(!outbox.push(&[&[0; MAX_FRAME], &[0]]));
        assert!(outbox.is_empty());
    }

    #[test]
    fn only_what_waits_counts() {
        const LIMIT: usize = 100 * (LENGTH + 1000);
        let taken = std::cell::Cell::new(0_usize);
        let mut outbox = Outbox::new(LIMIT);
        for _ in 0..99 {
            assert!(outbox.push(&[&[0; 1000]]));
        }
        // It is never empty, and what has passed is many times its limit.
        for number in 0..1000 {
            assert!(outbox.push(&[&[number as u8; 1000]]), "frame {number}");
            assert!(!outbox.push(&[&[0; 1000]]), "it is full");
            let room = std::cell::Cell::new(true);
            let write = |frame: &[u8]| {
                let may = room.replace(false);
                let number = taken.get();
                assert!(!may || frame[0] == number.saturating_sub(99) as u8);
                taken.set(number + usize::from(may));
                may.then_some(frame.len()).ok_or(Errno::AGAIN)
            };
            outbox.write_frames(write).unwrap();
            assert!(outbox.bytes.len() <= LIMIT + LIMIT / 2 + LENGTH + 1000);
        }
        assert_eq!((taken.get(), frames(&outbox.bytes[outbox.written..]).count()), (1000, 99));
    }

    #[test]
    fn an_outbox_is_bounded_and_survives_a_slow_reader() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut outbox = Outbox::new(4 << 20);
        let mut pushed = 0;
        while outbox.push(&[&[pushed as u8; 1514]]) {
            pushed += 1;
        }
        assert_eq!(pushed, (4 << 20) / 1518);
        let (mut inbox, mut got) = (Inbox::default(), 0);
        while got < pushed {
            outbox.write_to(&near).unwrap();
            assert_eq!(inbox.read_from(&far).unwrap(), Read::Some);
            while let Some(frame) = inbox.frame().unwrap() {
                assert_eq!(frame, [got as u8; 1514]);
                inbox.consume();
                got += 1;
            }
        }
        assert!(outbox.is_empty());
        drop(far);
        // A child that another test is just starting holds a copy of it until it is a program of its own.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            assert!(outbox.push(&[&[0; 60]]));
            if outbox.write_to(&near).is_err() {
                break;
            }
            assert!(std::time::Instant::now() < end, "a closed stream takes frames");
        }
    }
}
