//! Commands while the network runs: one JSON object per line, in QMP's shapes (without its greeting).
//!
//! ```text
//! {"execute": "add-forward", "arguments": {"forward": "tcp:127.0.0.1:2222-10.0.2.15:22"}, "id": 1}
//! {"execute": "remove-forward", "arguments": {"forward": "tcp:127.0.0.1:2222"}, "id": 2}
//! {"execute": "list-forwards"}
//! ```
//! The answer is `{"return": …}` or `{"error": {"class": "GenericError", "desc": …}}`, with the command's `id` when it had
//! one. Commands are answered in order; a peer that reads no answers is not heard until it does. On a listening socket peers come
//! one after another: the next is accepted when the last has gone.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::slirp::Stack;

/// Bytes of the longest line taken.
const LINE: usize = 64 * 1024;

#[derive(Deserialize)]
struct Request {
    #[serde(flatten)]
    command: Command,
    id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "execute", content = "arguments", rename_all = "kebab-case")]
enum Command {
    AddForward { forward: String },
    RemoveForward { forward: String },
    ListForwards,
}

/// The control channel. It may close any time; the network goes on without.
pub(crate) struct Control {
    /// Where peers come from.
    listener: Option<UnixListener>,
    peer: Option<Peer>,
}

/// Somebody who sends commands.
struct Peer {
    stream: UnixStream,
    /// Bytes of lines not yet complete.
    heard: Vec<u8>,
    /// Bytes of answers not yet written.
    answers: Vec<u8>,
}

/// The channel is closed or unusable.
pub(crate) struct Closed;

impl Control {
    /// One peer, which is there already.
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self { listener: None, peer: Some(Peer::new(stream)) }
    }

    /// Whoever connects.
    pub(crate) fn listen(listener: UnixListener) -> std::io::Result<Self> {
        // Somebody who went before they were accepted keeps nobody waiting.
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Some(listener), peer: None })
    }

    /// What to sleep on, and for what.
    pub(crate) fn wanted(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match (&self.peer, &self.listener) {
            (Some(peer), _) => Some((peer.stream.as_fd(), peer.wanted())),
            (None, listener) => listener.as_ref().map(|listener| (listener.as_fd(), PollFlags::IN)),
        }
    }

    /// Goes on, as far as it can without waiting.
    pub(crate) fn serve(&mut self, stack: &mut Stack) -> Result<(), Closed> {
        match (&mut self.peer, &self.listener) {
            (Some(peer), listener) => match peer.serve(stack) {
                Err(Closed) if listener.is_some() => self.peer = None,
                served => return served,
            },
            (None, Some(listener)) => self.peer = listener.accept().ok().map(|(stream, _)| Peer::new(stream)),
            (None, None) => return Err(Closed),
        }
        Ok(())
    }
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self { stream, heard: Vec::new(), answers: Vec::new() }
    }

    fn wanted(&self) -> PollFlags {
        if self.answers.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    fn serve(&mut self, stack: &mut Stack) -> Result<(), Closed> {
        if self.answers.is_empty() {
            let mut bytes = [0; 4096];
            match recv(&self.stream, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(Closed),
                Ok((read, _)) => self.heard.extend_from_slice(&bytes[..read]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Err(Closed),
            }
            while let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                if !line.trim_ascii().is_empty() {
                    self.answers.extend(answer(&line, stack).to_string().bytes());
                    self.answers.push(b'\n');
                }
            }
            if self.heard.len() > LINE {
                tracing::warn!("control: a line of more than {LINE} bytes");
                return Err(Closed);
            }
        }
        if !self.answers.is_empty() {
            match send(&self.stream, &self.answers, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(written) => drop(self.answers.drain(..written)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Err(Closed),
            }
        }
        Ok(())
    }
}

fn answer(line: &[u8], stack: &mut Stack) -> Value {
    let (id, result) = match serde_json::from_slice::<Request>(line) {
        Ok(request) => (request.id, obey(request.command, stack)),
        Err(error) => (None, Err(anyhow::anyhow!("not a command: {error}"))),
    };
    let mut answer = match result {
        Ok(value) => json!({ "return": value }),
        Err(error) => json!({ "error": { "class": "GenericError", "desc": format!("{error:#}") } }),
    };
    if let Some(id) = id {
        answer["id"] = id;
    }
    answer
}

fn obey(command: Command, stack: &mut Stack) -> anyhow::Result<Value> {
    match command {
        Command::AddForward { forward } => stack.add_forward(forward.parse()?)?,
        Command::RemoveForward { forward } => stack.remove_forward(forward.parse()?)?,
        Command::ListForwards => return Ok(stack.forwards().iter().map(ToString::to_string).collect()),
    }
    Ok(json!({}))
}
