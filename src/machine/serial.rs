//! What the guest sends over its first serial port, kept for whoever asks.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::control::Serial;
use chipset::ByteSink;

/// Bytes that are kept.
const KEPT: usize = 1 << 20;
/// Bytes that are read at a time.
const MOST: usize = 64 << 10;
/// Bytes that a log has at most: a guest can send for ever. Then it begins again with what is kept.
const LOGGED: usize = 8 << 20;

#[derive(Default)]
struct Inner {
    kept: VecDeque<u8>,
    /// Bytes sent since start.
    total: u64,
    /// Open for appending.
    log: Option<File>,
    logged: usize,
    pending: Vec<u8>,
    /// Readers that wait.
    waiting: usize,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    /// The guest has made room for input.
    ready: Condvar,
    /// The guest has sent something.
    arrived: Condvar,
}

/// The record of a serial port. Clones are the same record.
#[derive(Clone, Default)]
pub struct SerialRecord(Arc<Shared>);

impl SerialRecord {
    /// An empty record that also writes to `log`, which is open for appending.
    pub fn new(log: Option<File>) -> Self {
        Self(Arc::new(Shared { inner: Mutex::new(Inner { log, ..Inner::default() }), ..Shared::default() }))
    }

    /// What came since byte `from`, at most 64 KiB at a time. When that is nothing, waits for something until `limit`.
    pub fn read(&self, from: u64, limit: Duration) -> Serial {
        let deadline = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            let serial = inner.read(from);
            let left = deadline.saturating_duration_since(Instant::now());
            if !serial.text.is_empty() || left.is_zero() {
                // What was told is in the log; each byte on its own would be a write each.
                inner.flush();
                return serial;
            }
            inner.waiting += 1;
            inner = self.0.arrived.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            inner.waiting -= 1;
        }
    }

    /// Writes to the log what it lacks: the beginning of a line. The owner calls it when the machine comes to a stand.
    pub(crate) fn flush(&self) {
        self.lock().flush();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the guest has made room for input. Looks again every 20 ms in any case, because the guest may have done so
    /// before; false when `deadline` has passed.
    pub(crate) fn wait_ready(&self, deadline: Instant) -> bool {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
        let limit = left.min(Duration::from_millis(20));
        drop(self.0.ready.wait_timeout(self.lock(), limit));
        true
    }
}

impl Inner {
    fn read(&self, from: u64) -> Serial {
        let first = self.total - self.kept.len() as u64;
        let from = from.clamp(first, self.total);
        let mut bytes: Vec<u8> = self.kept.iter().skip((from - first) as usize).take(MOST).copied().collect();
        bytes.truncate(whole_characters(&bytes));
        Serial { from, next: from + bytes.len() as u64, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let Some(log) = &mut self.log else { return };
        self.logged += pending.len();
        let written = if self.logged > LOGGED {
            self.logged = self.kept.len();
            log.set_len(0).and_then(|()| log.write_all(self.kept.make_contiguous()))
        } else {
            log.write_all(&pending)
        };
        if written.is_err() {
            self.log = None;
        }
    }
}

impl ByteSink for SerialRecord {
    fn byte(&mut self, byte: u8) {
        let mut inner = self.lock();
        if inner.kept.len() == KEPT {
            inner.kept.pop_front();
        }
        inner.kept.push_back(byte);
        inner.total += 1;
        // The UART is locked meanwhile: a system call for each byte, for nobody, would be felt.
        if inner.waiting > 0 {
            self.0.arrived.notify_all();
        }
        if inner.log.is_some() {
            inner.pending.push(byte);
            // Lines as they come; a guest without line ends every 256 bytes.
            if byte == b'\n' || inner.pending.len() >= 256 {
                inner.flush();
            }
        }
    }

    fn ready(&mut self) {
        self.0.ready.notify_all();
    }
}

/// How much of this is whole: what begins a character of UTF-8 at the end is for later, when its rest has come.
fn whole_characters(bytes: &[u8]) -> usize {
    let rest = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(rest) {
        Err(error) if error.error_len().is_none() => bytes.len() - rest.len(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn waits_for_whole_characters() {
        let mut record = SerialRecord::new(None);
        for &byte in "a\u{fc}".as_bytes() {
            assert!(record.read(1, NOW).text.is_empty());
            record.byte(byte);
        }
        let read = record.read(1, NOW);
        assert_eq!((read.next, read.text.as_str()), (3, "\u{fc}"));
        // What will never be a character is none.
        record.byte(0xe2);
        assert_eq!(record.read(3, Duration::from_millis(5)).next, 3);
        record.byte(b'z');
        assert_eq!(record.read(3, NOW).text, "\u{fffd}z");
        let mut guest = record.clone();
        let sends = std::thread::spawn(move || guest.byte(b'!'));
        assert_eq!(record.read(5, Duration::from_secs(20)).text, "!");
        sends.join().unwrap();
    }

    #[test]
    fn who_waits_is_counted_and_costs_no_write_for_each_byte() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let record = SerialRecord::new(Some(log.reopen().unwrap()));
        let logged = || std::fs::read(log.path()).unwrap();
        let waits = |wanted: usize| {
            let end = Instant::now() + Duration::from_secs(20);
            while record.lock().waiting != wanted {
                assert!(Instant::now() < end, "not {wanted} wait");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let readers = [(); 2].map(|()| {
            let record = record.clone();
            std::thread::spawn(move || record.read(0, Duration::from_secs(20)).text)
        });
        waits(2);
        let mut guest = record.clone();
        "\u{20ac}".bytes().take(2).for_each(|byte| guest.byte(byte));
        // Both look, see no whole character, and wait again.
        std::thread::sleep(Duration::from_millis(20));
        waits(2);
        assert_eq!(logged(), b"", "nobody was told anything");
        guest.byte("\u{20ac}".as_bytes()[2]);
        assert_eq!(readers.map(|reader| reader.join().unwrap()), ["\u{20ac}"; 2]);
        assert_eq!((logged(), record.lock().waiting), ("\u{20ac}".into(), 0));
        guest.byte(b'!');
        assert_eq!(record.read(3, NOW).text, "!");
        assert_eq!(logged(), "\u{20ac}!".as_bytes());
    }

    #[test]
    fn logs_lines_at_once_and_the_rest_when_flushed() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut record = SerialRecord::new(Some(log.reopen().unwrap()));
        let logged = || std::fs::read_to_string(log.path()).unwrap();
        for &byte in b"a line\nlogin: " {
            record.byte(byte);
        }
        assert_eq!(logged(), "a line\n");
        record.flush();
        assert_eq!(logged(), "a line\nlogin: ");
    }

    #[test]
    fn a_full_log_begins_again_with_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serial.log");
        let log = File::options().append(true).create(true).open(&path).unwrap();
        let mut record = SerialRecord::new(Some(log));
        let line = [&[b'x'; 127], b"\n".as_slice()].concat();
        let size = || std::fs::metadata(&path).unwrap().len() as usize;
        for _ in 0..LOGGED / line.len() {
            line.iter().for_each(|&byte| record.byte(byte));
        }
        assert_eq!(size(), LOGGED);
        b"last\n".iter().for_each(|&byte| record.byte(byte));
        assert_eq!(size(), KEPT);
        b"and more\n".iter().for_each(|&byte| record.byte(byte));
        let text = std::fs::read(&path).unwrap();
        assert!(text.ends_with(b"xx\nlast\nand more\n") && size() == KEPT + 9);
    }

    #[test]
    fn keeps_the_newest() {
        let mut record = SerialRecord::new(None);
        for i in 0..KEPT + 3 {
            record.byte(b'a' + (i % 26) as u8);
        }
        let read = record.read(0, NOW);
        assert_eq!((read.from, read.next), (3, 3 + (64 << 10)));
        assert!(read.text.starts_with("defg"));
        let end = record.read(u64::MAX, NOW);
        assert_eq!((end.from, end.text.as_str()), ((KEPT + 3) as u64, ""));
    }
}
