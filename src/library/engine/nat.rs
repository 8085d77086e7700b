//! `dormer-nat`: one user-mode network for each card. It ends when the engine closes the card's socket.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use api::machine::{Network, Protocol};

use crate::error::{Error, Result, Trying};

/// Binding a few ports takes no time.
const READY: Duration = Duration::from_secs(10);
/// Most bytes of its answer, and of its last words.
const ANSWER_BYTES: u64 = 64 << 10;

/// Starts the network of a card and gives back the engine's end of its cable.
///
/// `log` gets what it says. Its forwards stand when this returns.
pub(super) fn start(network: &Network, log: &Path) -> Result<OwnedFd> {
    let trying = || "start the network".to_owned();
    let (engine, frames) = UnixStream::pair().trying(trying)?;
    let (ours, control) = UnixStream::pair().trying(trying)?;
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(log);
    let mut log = open.at("open", log)?;
    let mut command = Command::new(super::program("dormer-nat")?);
    command.args(["--fd", "0", "--control-fd", "1"]);
    for forward in &network.forwards {
        let protocol = match forward.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        command.args(["--forward", &format!("{protocol}:127.0.0.1:{}-:{}", forward.host, forward.guest)]);
    }
    command
        .stdin(OwnedFd::from(frames))
        .stdout(OwnedFd::from(control))
        .stderr(Stdio::from(log.try_clone().trying(trying)?))
        .current_dir("/")
        // Ctrl-C in the terminal that started a machine is not for the machine.
        .process_group(0);
    let mut child = command.spawn().trying(trying)?;
    // The command holds the child's ends of the sockets.
    drop(command);
    let ready = (|| {
        ours.set_read_timeout(Some(READY))?;
        (&ours).write_all(b"{\"execute\":\"list-forwards\"}\n")?;
        let mut answer = String::new();
        BufReader::new(ours.take(ANSWER_BYTES)).read_line(&mut answer)?;
        Ok::<_, std::io::Error>(answer.contains("\"return\""))
    })();
    if !ready.is_ok_and(|ready| ready) {
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::Start(format!("the network does not start: {}", last_words(&mut log))));
    }
    super::start::reap(child);
    Ok(engine.into())
}

/// The last line of a log.
fn last_words(log: &mut (impl Read + std::io::Seek)) -> String {
    let mut text = Vec::new();
    // What cannot be read says nothing.
    let _ = log.rewind().and_then(|()| log.take(ANSWER_BYTES).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
    line.trim_start_matches("dormer-nat: ").chars().take(300).collect()
}
