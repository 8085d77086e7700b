//! `dormer-nat`: one user-mode network for each card. It ends when the engine closes the card's socket.
//!
//! Commands reach it over a socket beside the engine's, from any process, so that forwards come and go while the machine runs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use api::machine::{Forward, Network, Protocol};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{cable, runtime};
use crate::error::{Error, Result, Trying};

const PROGRAM: &str = "dormer-nat";
/// Most bytes of its answer.
const ANSWER_BYTES: u64 = 64 << 10;

/// Starts the network of a card and gives back the engine's end of its cable.
///
/// `log` gets what it says. Its forwards stand when this returns.
pub(super) fn start(network: &Network, uuid: Uuid, card: usize, log: &Path) -> Result<OwnedFd> {
    let trying = || "start the network".to_owned();
    let (engine, frames) = UnixStream::pair().trying(trying)?;
    let commands = runtime::network(uuid, card)?;
    let mut log = cable::open_log(log)?;
    let mut command = Command::new(super::program(PROGRAM)?);
    command.args(["--fd", "0", "--control-fd", "1"]);
    for forward in &network.forwards {
        command.args(["--forward", &written(forward)]);
    }
    command
        .stdin(OwnedFd::from(frames))
        .stdout(OwnedFd::from(commands))
        .stderr(Stdio::from(log.try_clone().trying(trying)?))
        .current_dir("/")
        // Ctrl-C in the terminal that started a machine is not for the machine.
        .process_group(0);
    let mut child = command.spawn().trying(trying)?;
    // The command holds the child's ends of the sockets.
    drop(command);
    let ready =
        Commands::connect(uuid, card).and_then(|mut commands| commands.ask(&json!({"execute": "list-forwards"})));
    if ready.is_err() {
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::Start(format!("the network does not start: {}", cable::last_words(&mut log, PROGRAM))));
    }
    super::start::reap(child);
    Ok(engine.into())
}

/// A forward as `dormer-nat` takes it.
fn written(forward: &Forward) -> String {
    format!("{}-:{}", listens(forward), forward.guest)
}

/// Its end on this computer.
fn listens(forward: &Forward) -> String {
    let protocol = match forward.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{protocol}:127.0.0.1:{}", forward.host)
}

/// Takes forwards of a running card's network away and adds others: all of it, or nothing when one cannot be.
pub(super) fn change(uuid: Uuid, card: usize, remove: &[Forward], add: &[Forward]) -> Result<()> {
    let mut commands = Commands::connect(uuid, card)?;
    let mut done: Vec<(bool, &Forward)> = Vec::new();
    let steps = remove.iter().map(|forward| (false, forward)).chain(add.iter().map(|forward| (true, forward)));
    for (adds, forward) in steps {
        if let Err(error) = commands.forward(adds, forward) {
            for (added, forward) in done.into_iter().rev() {
                // As it was: if that fails too, the first error is the one to tell.
                let _ = commands.forward(!added, forward);
            }
            return Err(error);
        }
        done.push((adds, forward));
    }
    Ok(())
}

/// A connection to a card's network.
struct Commands(BufReader<UnixStream>);

impl Commands {
    fn connect(uuid: Uuid, card: usize) -> Result<Self> {
        let path = runtime::network_path(uuid, card)?;
        let connected = UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(cable::READY))?;
            stream.set_write_timeout(Some(cable::READY))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Self(BufReader::new(stream))),
            // Nobody listens any more.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                Err(Error::NetworkDown)
            }
            Err(error) => Err(Error::Network(error.to_string())),
        }
    }

    fn forward(&mut self, adds: bool, forward: &Forward) -> Result<()> {
        let (verb, text) = if adds { ("add-forward", written(forward)) } else { ("remove-forward", listens(forward)) };
        self.ask(&json!({"execute": verb, "arguments": {"forward": text}})).map(drop)
    }

    /// A command, and its answer.
    fn ask(&mut self, command: &Value) -> Result<Value> {
        let answer = self.exchange(command).map_err(|error| Error::Network(error.to_string()))?;
        match (answer.get("return"), answer.pointer("/error/desc")) {
            (Some(value), _) => Ok(value.clone()),
            (None, desc) => {
                let words = desc.and_then(Value::as_str).unwrap_or("it does not say why");
                Err(Error::Network(words.chars().take(300).collect()))
            }
        }
    }

    fn exchange(&mut self, command: &Value) -> io::Result<Value> {
        self.0.get_mut().write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        self.0.by_ref().take(ANSWER_BYTES).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}
