//! Control clients: QMP's framing and negotiation, commands to where they are done.
//!
//! A client has two threads, one that reads commands and one that writes answers and events in their order. What concerns screen,
//! input and serial line is done here by [`machine::Front`]; everything else is an [`Order`] to the machine's owner.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use api::control::{Command, Request, Text};
use machine::Front;
use serde_json::{Value, json};

use crate::clients::{self, Service};
use crate::events::{Events, Lines, Subscription};
use crate::messages::Messages;
use crate::owner::Order;
use crate::{keys, picture};

/// Clients at the same time.
const CLIENTS: usize = 16;
/// Lines that may wait for a client to read them.
const BACKLOG: usize = 1024;
/// A client that does not read for this long, with its socket full, is dropped.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// How long the guest may take to read what is sent over the serial line.
const SERIAL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may wait for what the guest sends.
const SERIAL_WAIT: Duration = Duration::from_secs(10);

const COMMANDS: &[&str] = &[
    "qmp_capabilities",
    "query-commands",
    "query-version",
    "query-name",
    "query-status",
    "query-block",
    "query-blockstats",
    "stop",
    "cont",
    "system_reset",
    "system_powerdown",
    "quit",
    "screendump",
    "send-key",
    "eject",
    "set_link",
    "x-dormer-text",
    "x-dormer-pointer",
    "x-dormer-serial-write",
    "x-dormer-serial-read",
    "x-dormer-insert",
    "x-dormer-query-networks",
    "x-dormer-connect",
    "x-dormer-capture",
    "x-dormer-capture-end",
    "x-dormer-query-usage",
    "x-dormer-usb-attach",
    "x-dormer-usb-detach",
    "x-dormer-query-usb",
];

/// What clients work with.
#[derive(Clone)]
pub(crate) struct Context {
    /// The machine's name.
    pub name: String,
    /// Its front.
    pub front: Front,
    /// Where events come from.
    pub events: Events,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
}

/// Serves clients on `listener` from threads of its own.
pub(crate) fn serve(listener: UnixListener, context: Context) -> std::io::Result<()> {
    let service = Service { listener: "control", client: "control client", most: CLIENTS };
    clients::accept(listener.into(), service, move |socket| serve_client(socket.into(), &context))
}

fn greeting() -> Value {
    json!({ "QMP": { "version": version(), "capabilities": [] } })
}

fn version() -> Value {
    let part = |text: &str| text.parse::<u32>().unwrap_or(0);
    json!({
        "qemu": {
            "major": part(env!("CARGO_PKG_VERSION_MAJOR")),
            "minor": part(env!("CARGO_PKG_VERSION_MINOR")),
            "micro": part(env!("CARGO_PKG_VERSION_PATCH")),
        },
        "package": concat!("dormer ", env!("CARGO_PKG_VERSION")),
    })
}

fn serve_client(stream: UnixStream, context: &Context) -> Result<()> {
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let (lines, queue) = mpsc::sync_channel::<Value>(BACKLOG);
    let mut out = stream.try_clone()?;
    let writer = std::thread::Builder::new().name("client-out".into()).spawn(move || {
        for line in queue {
            let mut text = line.to_string();
            text.push_str("\r\n");
            if out.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    })?;
    let result = converse(stream, lines, context);
    // What is still to be said is said; the client keeps its place until then. A panic was reported when it happened.
    let _ = writer.join();
    result
}

/// Answers commands until the client is gone.
fn converse(stream: UnixStream, lines: Lines, context: &Context) -> Result<()> {
    lines.send(greeting())?;
    let mut messages = Messages::new(stream);
    let mut subscription = None;
    while let Some((message, fds)) = messages.next()? {
        let answer = answer(&message, fds, &mut subscription, &lines, context);
        lines.send(answer)?;
    }
    Ok(())
}

/// One command's answer, as its line.
fn answer(
    message: &[u8],
    fds: Vec<OwnedFd>,
    subscription: &mut Option<Subscription>,
    lines: &Lines,
    context: &Context,
) -> Value {
    let failed = |class: &str, sentence: String| json!({ "class": class, "desc": sentence });
    let request: Request = match serde_json::from_slice(message) {
        Ok(request) => request,
        Err(error) => return json!({ "error": failed("GenericError", format!("this is not a command: {error}")) }),
    };
    let id = request.id.clone();
    let outcome = match (request.execute.as_str(), subscription.is_some()) {
        ("qmp_capabilities", false) => {
            *subscription = Some(context.events.subscribe(lines.clone()));
            Ok(json!({}))
        }
        (_, false) => {
            Err(failed("CommandNotFound", "expecting capabilities negotiation with 'qmp_capabilities'".into()))
        }
        ("qmp_capabilities", true) => {
            Err(failed("CommandNotFound", "capabilities negotiation is already complete, command ignored".into()))
        }
        (name, true) if !COMMANDS.contains(&name) => {
            Err(failed("CommandNotFound", format!("the command {name} has not been found")))
        }
        (_, true) => perform(&request, fds, context).map_err(|error| failed("GenericError", format!("{error:#}"))),
    };
    let mut line = match outcome {
        Ok(value) => json!({ "return": value }),
        Err(error) => json!({ "error": error }),
    };
    if let Some(id) = id {
        line["id"] = id;
    }
    line
}

fn perform(request: &Request, mut fds: Vec<OwnedFd>, context: &Context) -> Result<Value> {
    let whole = json!({ "execute": request.execute, "arguments": request.arguments });
    let command: Command = serde_json::from_value(whole).context("the arguments do not fit")?;
    let front = &context.front;
    match command {
        Command::QueryCommands {} => Ok(COMMANDS.iter().map(|name| json!({ "name": name })).collect()),
        Command::QueryVersion {} => Ok(version()),
        Command::QueryName {} => Ok(json!({ "name": context.name })),
        Command::Screendump { format } => {
            let file = fds.pop().context("send an open file with the command: the engine opens no path")?;
            let shot = front.screenshot().context("the screen is off")?;
            picture::write(&shot, format.as_deref().unwrap_or("png"), File::from(file))?;
            Ok(json!({}))
        }
        Command::SendKey { keys, hold_time } => {
            ensure!(keys.len() <= 16, "at most 16 keys at once");
            let codes = keys.iter().map(keys::code).collect::<Result<Vec<_>>>()?;
            let hold = Duration::from_millis(hold_time.unwrap_or(100).min(10_000));
            for &code in &codes {
                front.input().key(code, true);
            }
            std::thread::sleep(hold);
            for &code in codes.iter().rev() {
                front.input().key(code, false);
            }
            Ok(json!({}))
        }
        Command::Pointer { x, y, click } => {
            ensure!(front.input().is_absolute(), "the guest has no driver for a tablet: the pointer cannot be placed");
            let place = |at: u16| at.min(0x7fff);
            front.input().pointer(|pointer| pointer.moved_to(place(x), place(y)));
            if let Some(button) = click {
                front.input().pointer(|pointer| pointer.button(button, true));
                std::thread::sleep(Duration::from_millis(100));
                front.input().release_button(button);
            }
            Ok(json!({}))
        }
        Command::Text {} => Ok(serde_json::to_value(Text { lines: front.text() })?),
        Command::SerialRead { from, wait } => {
            let limit = Duration::from_millis(wait.unwrap_or(0)).min(SERIAL_WAIT);
            Ok(serde_json::to_value(front.serial_read(from, limit))?)
        }
        Command::SerialWrite { text } => {
            let sent = front.serial_write(text.as_bytes(), SERIAL_PATIENCE);
            ensure!(sent == text.len(), "the guest took {sent} of {} bytes", text.len());
            Ok(json!({}))
        }
        command => {
            let (answer, result) = mpsc::sync_channel(1);
            context.orders.send(Order::Command { command, fds, answer }).ok().context("the machine is ending")?;
            match result.recv() {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(sentence)) => bail!("{sentence}"),
                Err(_) => bail!("the machine is ending"),
            }
        }
    }
}
