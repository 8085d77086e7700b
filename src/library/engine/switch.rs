//! `dormer-switch`: a card's port in an internal network. It ends when the engine closes the card's socket.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use api::machine::NetworkName;

use super::{cable, runtime};
use crate::error::{Error, Result, Trying};

const PROGRAM: &str = "dormer-switch";

/// Joins a network and gives back the engine's end of the cable.
pub(super) fn start(name: &NetworkName, log: &Path) -> Result<OwnedFd> {
    let trying = || "start the network".to_owned();
    let (engine, frames) = UnixStream::pair().trying(trying)?;
    let (mut words, said) = UnixStream::pair().trying(trying)?;
    words.set_read_timeout(Some(cable::READY)).trying(trying)?;
    let mut log = cable::open_log(log)?;
    let mut command = Command::new(super::program(PROGRAM)?);
    command
        .arg(runtime::meeting_place(name)?)
        .stdin(OwnedFd::from(frames))
        .stdout(OwnedFd::from(said))
        .stderr(Stdio::from(log.try_clone().trying(trying)?))
        // Ctrl-C in the terminal that started a machine is not for the machine.
        .process_group(0);
    let mut child = command.spawn().trying(trying)?;
    // The command holds the child's ends of the sockets.
    drop(command);
    // It says a line when it has joined; nothing comes from one that has ended.
    if words.read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {
        super::start::reap(child);
        return Ok(engine.into());
    }
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
    Err(Error::Start(format!("the network “{name}” does not start: {}", cable::last_words(&mut log, PROGRAM))))
}
