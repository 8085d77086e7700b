//! A capture: the frames that pass a port, written to a file.
//!
//! The port's thread only appends to a bounded queue; a thread of the capture's own writes it. A disk that is slow loses frames of
//! the capture, which its end counts, and one that refuses ends the capture: never is the network held up.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::pcapng::{self, Direction};

/// Bytes that wait for the disk.
const QUEUE: usize = 8 << 20;
/// How long the end of a capture waits for the disk.
const END: Duration = Duration::from_secs(5);

/// What waits for the disk.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    passed: u64,
    dropped: u64,
    /// Nobody records any more.
    closed: bool,
    /// Nothing is written any more: everything is in the file, or it cannot be.
    done: bool,
    /// Why it cannot.
    refused: Option<String>,
}

/// Why the file of a capture that was ended is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// The disk takes its time; it gets the rest later.
    #[error("the disk is slow, and gets the rest later")]
    Late,
    /// The disk refuses, which whoever began the capture hears too.
    #[error("{0}")]
    Refused(String),
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Condvar,
}

impl Shared {
    /// A panic elsewhere leaves a queue that is whole enough to be written.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the port's thread puts frames.
pub(crate) struct Recorder(Arc<Shared>);

impl Recorder {
    /// Records a frame. False when the capture has ended.
    pub(crate) fn record(&self, direction: Direction, frame: &[u8]) -> bool {
        let at = SystemTime::now();
        let mut queue = self.0.lock();
        if queue.closed || queue.done {
            return false;
        }
        queue.passed += 1;
        if queue.bytes.len() + frame.len() + pcapng::FRAME_OVERHEAD > QUEUE {
            queue.dropped += 1;
        } else {
            let first = queue.bytes.is_empty();
            pcapng::frame(&mut queue.bytes, at, direction, frame);
            drop(queue);
            if first {
                self.0.news.notify_all();
            }
        }
        true
    }
}

/// A capture under way. Dropping it ends it, and waits a while until the file is whole.
pub(crate) struct Capture(Arc<Shared>);

impl Capture {
    /// Begins one of the card `name` into `file`. `failed` hears, on a thread of its own, when the disk refuses.
    pub(crate) fn begin(
        mut file: File,
        name: &str,
        mac: [u8; 6],
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<(Self, Recorder)> {
        if !file.metadata()?.is_file() {
            // A pipe that nobody reads would keep its thread for ever.
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a capture goes into a plain file"));
        }
        // Tells at once of a disk that refuses everything.
        file.write_all(&pcapng::header(name, mac))?;
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("capture".into()).spawn(move || {
            let written = write(&writer, file);
            let mut queue = writer.lock();
            queue.done = true;
            queue.refused = written.as_ref().err().map(io::Error::to_string);
            drop(queue);
            writer.news.notify_all();
            if let Err(error) = written {
                failed(error);
            }
        })?;
        Ok((Self(Arc::clone(&shared)), Recorder(shared)))
    }

    /// Does it go on?
    pub(crate) fn is_under_way(&self) -> bool {
        !self.0.lock().done
    }

    /// Ends it, and waits a while until its file is whole.
    pub(crate) fn end(self) -> Result<(), Unfinished> {
        self.end_within(END)
    }

    fn end_within(&self, limit: Duration) -> Result<(), Unfinished> {
        let mut queue = self.0.lock();
        queue.closed = true;
        self.0.news.notify_all();
        let waited = self.0.news.wait_timeout_while(queue, limit, |queue| !queue.done);
        let queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        match &queue.refused {
            Some(why) => Err(Unfinished::Refused(why.clone())),
            None if queue.done => Ok(()),
            None => Err(Unfinished::Late),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Once is enough.
        if !self.0.lock().closed
            && let Err(why) = self.end_within(END)
        {
            tracing::warn!("a capture is not whole: {why}");
        }
    }
}

/// Writes until nobody records any more.
fn write(shared: &Shared, mut file: File) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let last = {
            let queue = shared.lock();
            let waits = |queue: &mut Queue| queue.bytes.is_empty() && !queue.closed;
            let mut queue = shared.news.wait_while(queue, waits).unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut queue.bytes, &mut bytes);
            if queue.closed {
                pcapng::statistics(&mut bytes, SystemTime::now(), queue.passed, queue.dropped);
            }
            queue.closed
        };
        file.write_all(&bytes)?;
        bytes.clear();
        if last {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[path = "capture_test.rs"]
mod tests;
