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
/// Bytes that are logged at most: a guest can send for ever.
const LOGGED: u64 = 64 << 20;

#[derive(Default)]
struct Inner {
    kept: VecDeque<u8>,
    /// Bytes sent since start.
    total: u64,
    log: Option<File>,
    pending: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    ready: Condvar,
}

/// The record of a serial port. Clones are the same record.
#[derive(Clone, Default)]
pub struct SerialRecord(Arc<Shared>);

impl SerialRecord {
    /// An empty record that also writes to `log`.
    pub fn new(log: Option<File>) -> Self {
        Self(Arc::new(Shared { inner: Mutex::new(Inner { log, ..Inner::default() }), ready: Condvar::new() }))
    }

    /// What came since byte `from`, at most 64 KiB at a time.
    pub fn read(&self, from: u64) -> Serial {
        const MOST: usize = 64 << 10;
        let mut inner = self.lock();
        inner.flush();
        let first = inner.total - inner.kept.len() as u64;
        let from = from.clamp(first, inner.total);
        let bytes: Vec<u8> = inner.kept.iter().skip((from - first) as usize).take(MOST).copied().collect();
        Serial { from, next: from + bytes.len() as u64, text: String::from_utf8_lossy(&bytes).into_owned() }
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
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if let Some(log) = &mut self.log
            && (self.total > LOGGED || log.write_all(&pending).is_err())
        {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn keeps_the_newest() {
        let mut record = SerialRecord::new(None);
        for i in 0..KEPT + 3 {
            record.byte(b'a' + (i % 26) as u8);
        }
        let read = record.read(0);
        assert_eq!((read.from, read.next), (3, 3 + (64 << 10)));
        assert!(read.text.starts_with("defg"));
        let end = record.read(u64::MAX);
        assert_eq!((end.from, end.text.as_str()), ((KEPT + 3) as u64, ""));
    }
}
