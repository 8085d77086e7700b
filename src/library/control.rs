//! A QMP client over an engine's control socket ([`api::control`]).
//!
//! One connection does one thing at a time: whoever wants events while commands run makes a second one (an engine takes any
//! number). Everything waits with a limit, and nothing an engine says is trusted: lines are bounded, shapes are checked.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use api::control::{Command, Event, LINE_BYTES, NetworkStatus, Request, Serial, Status, Text};
use api::machine::limits;
use api::stats::DriveStats;
use api::usb::UsbStatus;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(20);
/// Most descriptors with one command.
const FDS: usize = 4;
/// Most ports of a USB controller.
const USB_PORTS: usize = 255;
/// Events kept for [`Client::next_event`]; older ones are lost, as their reader does not read.
const EVENTS: usize = 1024;

/// What went wrong between client and engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("the machine's engine does not answer: {0}")]
    Connect(io::Error),
    /// The engine ended.
    #[error("the machine's engine has ended")]
    Closed,
    /// No answer in time.
    #[error("the machine's engine did not answer within {0} seconds")]
    Timeout(u64),
    /// The engine refuses the command, in its words.
    #[error("{0}")]
    Refused(String),
    /// What came is not QMP.
    #[error("the machine's engine said something that is not QMP: {0}")]
    Nonsense(String),
    /// The socket failed.
    #[error("the connection to the machine's engine failed: {0}")]
    Io(io::Error),
}

/// A connection to an engine, ready for commands.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    /// Read and not yet a line.
    buffer: Vec<u8>,
    events: VecDeque<Event>,
    next_id: u64,
    limit: Duration,
}

impl Client {
    /// Connects, greets and ends the negotiation; `limit` is how long that and every later answer may take.
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, Error> {
        let stream = UnixStream::connect(path).map_err(Error::Connect)?;
        Self::new(stream, limit)
    }

    /// [`Client::connect`] on a connected socket.
    pub fn new(stream: UnixStream, limit: Duration) -> Result<Self, Error> {
        stream.set_write_timeout(Some(limit)).map_err(Error::Io)?;
        let mut client = Self { stream, buffer: Vec::new(), events: VecDeque::new(), next_id: 1, limit };
        let greeting = client.line(Instant::now() + limit)?.ok_or(Error::Timeout(limit.as_secs()))?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Nonsense(shorten(&greeting.to_string())));
        }
        client.execute(&Command::QmpCapabilities {})?;
        Ok(client)
    }

    /// How long an answer may take from now on.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// A command, and its answer as JSON.
    pub fn execute(&mut self, command: &Command) -> Result<Value, Error> {
        self.execute_with(command, &[])
    }

    /// A command with descriptors (4 at most), and its answer.
    pub fn execute_with(&mut self, command: &Command, fds: &[BorrowedFd<'_>]) -> Result<Value, Error> {
        let command = serde_json::to_value(command).map_err(|error| Error::Nonsense(error.to_string()))?;
        self.call(command, fds)
    }

    /// Any request, for commands that only the engine knows.
    pub fn request(&mut self, request: &Request) -> Result<Value, Error> {
        let request = serde_json::to_value(request).map_err(|error| Error::Nonsense(error.to_string()))?;
        self.call(request, &[])
    }

    /// A command, and its answer as what it should be.
    pub fn ask<T: DeserializeOwned>(&mut self, command: &Command) -> Result<T, Error> {
        let answer = self.execute(command)?;
        serde_json::from_value(answer).map_err(|error| Error::Nonsense(error.to_string()))
    }

    /// Runs, stands, or what else.
    pub fn status(&mut self) -> Result<Status, Error> {
        self.ask(&Command::QueryStatus {})
    }

    /// The screen's characters in a text mode.
    pub fn text(&mut self) -> Result<Text, Error> {
        self.ask(&Command::Text {})
    }

    /// Network cards and what went through them; no more of them than a machine has.
    pub fn networks(&mut self) -> Result<Vec<NetworkStatus>, Error> {
        let mut cards: Vec<NetworkStatus> = self.ask(&Command::QueryNetworks {})?;
        cards.truncate(limits::NETWORKS);
        for card in &mut cards {
            card.device = shorten(&card.device);
            card.network = shorten(&card.network);
        }
        Ok(cards)
    }

    /// Drives and what went through them; no more of them than a machine has.
    pub fn drive_stats(&mut self) -> Result<Vec<DriveStats>, Error> {
        let mut drives: Vec<DriveStats> = self.ask(&Command::QueryBlockstats {})?;
        drives.truncate(limits::DRIVES);
        for drive in &mut drives {
            drive.device = shorten(&drive.device);
        }
        Ok(drives)
    }

    /// Devices of this computer that the machine has; no more than a controller has ports.
    pub fn usb(&mut self) -> Result<Vec<UsbStatus>, Error> {
        let mut devices: Vec<UsbStatus> = self.ask(&Command::QueryUsb {})?;
        devices.truncate(USB_PORTS);
        for device in &mut devices {
            device.id = shorten(&device.id);
            device.name = shorten(&device.name);
        }
        Ok(devices)
    }

    /// What the first serial port sent since `from`.
    pub fn serial(&mut self, from: u64) -> Result<Serial, Error> {
        self.ask(&Command::SerialRead { from, wait: None })
    }

    /// [`Client::serial`], as soon as there is something, for `wait` at most: less than an answer may take.
    pub fn await_serial(&mut self, from: u64, wait: Duration) -> Result<Serial, Error> {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.ask(&Command::SerialRead { from, wait: Some(wait) })
    }

    /// The next event, or `None` after `limit`. [`Error::Closed`] when the engine has ended.
    pub fn next_event(&mut self, limit: Duration) -> Result<Option<Event>, Error> {
        let end = Instant::now() + limit;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.line(end)? {
                Some(line) => self.note(line),
                None => return Ok(None),
            }
        }
    }

    /// Sends a request and waits for its answer; events that come meanwhile are kept.
    fn call(&mut self, mut request: Value, fds: &[BorrowedFd<'_>]) -> Result<Value, Error> {
        let id = json!(self.next_id);
        self.next_id += 1;
        request["id"] = id.clone();
        self.send(format!("{request}\n").as_bytes(), fds)?;
        let end = Instant::now() + self.limit;
        loop {
            let mut line = self.line(end)?.ok_or(Error::Timeout(self.limit.as_secs()))?;
            if let Some(error) = line.get("error") {
                // What could not even be parsed has no id.
                if line.get("id").is_none_or(|other| *other == id) {
                    let description = error.get("desc").and_then(Value::as_str).unwrap_or("the engine refuses");
                    return Err(Error::Refused(shorten(description)));
                }
            } else if line.get("return").is_some() {
                if line.get("id") == Some(&id) {
                    return Ok(line["return"].take());
                }
            } else {
                self.note(line);
            }
        }
    }

    /// Keeps an event for later.
    fn note(&mut self, mut line: Value) {
        if line.get("event").is_none() {
            return;
        }
        if line.get("data").is_none() {
            line["data"] = json!({});
        }
        match serde_json::from_value(line) {
            Ok(event) => {
                if self.events.len() == EVENTS {
                    self.events.pop_front();
                }
                self.events.push_back(event);
            }
            Err(error) => tracing::debug!("an event that is not known here: {error}"),
        }
    }

    fn send(&mut self, mut bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Closed,
            io::ErrorKind::WouldBlock => Error::Timeout(ANSWER.as_secs()),
            _ => Error::Io(error),
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Error::Io(io::ErrorKind::InvalidInput.into()));
        }
        while !bytes.is_empty() {
            match sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    // Descriptors go with the first byte.
                    ancillary.clear();
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }

    /// The next line, or `None` when there is none by `end`.
    fn line(&mut self, end: Instant) -> Result<Option<Value>, Error> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                if line.iter().all(u8::is_ascii_whitespace) {
                    searched = 0;
                    continue;
                }
                let bad = |_| Error::Nonsense(shorten(&String::from_utf8_lossy(&line)));
                return serde_json::from_slice(&line).map(Some).map_err(bad);
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES {
                return Err(Error::Nonsense("an endless line".into()));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() && !readable(&self.stream) {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).map_err(Error::Io)?;
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Closed),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionReset => return Err(Error::Closed),
                    _ => return Err(Error::Io(error)),
                },
            }
        }
    }
}

impl AsFd for Client {
    /// To be polled for reading: then [`Client::next_event`] with no limit.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Has something come?
fn readable(stream: &UnixStream) -> bool {
    let mut poll = [rustix::event::PollFd::new(stream, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut poll, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count > 0)
}

/// What an engine says, fit for a sentence.
fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect::<String>().trim().to_owned()
}

#[cfg(test)]
#[path = "control_test.rs"]
mod tests;
