//! Stands in for `dormer-vm`, `dormer-nat` and `dormer-switch` in tests of those who start them: speaks the start protocol and QMP, and writes what
//! it is told into its “serial port”, where tests read it.
//!
//! A machine whose name has “fail” or “die” in it does that; the tray of one that is “stuck” is. A forward of host port 1 is refused.
//! “play RATE CHANNELS FRAMES” on the serial line has it play to the consoles that listen (`player.rs`).

#[path = "../../console/fake_engine.rs"]
mod console_end;
mod pattern;
mod player;

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::exit;
use std::sync::{Arc, Mutex};

use api::spec::Start;
use player::Player;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg};
use serde_json::{Value, json};

/// A PNG of 640 by 480 pixels, as far as anybody here looks.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--check-kvm") => println!("{{\"ok\":true}}"),
        Some("--start-fd") => engine(),
        Some("--fd") => network(&arguments),
        Some(folder) if folder.starts_with('/') => switch(folder),
        _ => exit(2),
    }
}

/// A port of an internal network; the one that is called “full” takes none.
fn switch(folder: &str) {
    if folder.ends_with("/full") {
        eprintln!("dormer-switch: all are taken");
        exit(1);
    }
    println!("port 1");
    // Until the engine's end closes.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// Bytes and descriptors of one message.
fn receive(socket: impl AsFd, size: usize) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut bytes = vec![0; size];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let count = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
    bytes.truncate(count.map_or(0, |message| message.bytes));
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    (bytes, rights.flatten().collect())
}

fn network(arguments: &[String]) {
    if arguments.iter().any(|argument| argument.starts_with("tcp:127.0.0.1:1-")) {
        eprintln!("dormer-nat: port 1 is taken");
        exit(1);
    }
    let listener = UnixListener::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|peer| command_network(&peer.unwrap())));
    // Until the engine's end closes.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// Takes forwards, but of host port 1.
fn command_network(peer: &UnixStream) {
    for line in BufReader::new(peer).lines() {
        let taken = line.unwrap().contains("tcp:127.0.0.1:1-");
        let answer = if taken { json!({ "error": { "desc": "port 1 is taken" } }) } else { json!({ "return": [] }) };
        writeln!(&mut &*peer, "{answer}").unwrap();
    }
}

#[derive(Default)]
struct State {
    paused: bool,
    serial: String,
    captured: bool,
    stuck: bool,
    cables: Vec<OwnedFd>,
    asked: u64,
    clients: Vec<UnixStream>,
    player: Option<Player>,
    /// Devices with their files.
    usb: Vec<(Value, OwnedFd)>,
}

impl State {
    /// A disk that moves a MiB from one question to the next.
    fn stats(&mut self) -> Value {
        self.asked += 1;
        let stats =
            json!({ "rd_bytes": self.asked << 20, "wr_bytes": 0, "rd_operations": self.asked, "wr_operations": 0 });
        json!([{ "device": "disk0", "stats": stats }])
    }

    fn tell(&mut self, event: &str, data: Value) {
        let line = json!({ "event": event, "data": data, "timestamp": { "seconds": 0, "microseconds": 0 } });
        self.clients.retain(|mut client| writeln!(client, "{line}").is_ok());
    }
}

fn engine() {
    let stdin = std::io::stdin();
    let (message, fds) = receive(&stdin, api::spec::START_BYTES);
    let start: Start = serde_json::from_slice(&message).unwrap();
    let say = |answer: &str| {
        let bytes = [IoSlice::new(answer.as_bytes())];
        rustix::net::sendmsg(&stdin, &bytes, &mut SendAncillaryBuffer::default(), SendFlags::empty()).unwrap();
    };
    if start.machine.name.contains("die") {
        eprintln!("the end is near");
        exit(3);
    }
    if start.machine.name.contains("fail") {
        say("{\"failed\":\"no machine today\"}");
        exit(1);
    }
    let mut fds: Vec<_> = fds.into_iter().map(Some).collect();
    let listener = UnixListener::from(fds[start.control.0 as usize].take().unwrap());
    let player = Player::new(fds[start.ui.0 as usize].take().unwrap(), &start.machine.name);
    let networks = start.machine.networks.iter();
    let cables = networks.filter_map(|network| fds[network.stream?.0 as usize].take()).collect();
    let drives: Vec<_> =
        start.machine.drives.iter().map(|drive| format!("{}={}", drive.id, drive.image.is_some())).collect();
    let serial = format!("login: {} networks={}\r\n", drives.join(" "), start.machine.networks.len());
    let stuck = start.machine.name.contains("stuck");
    let state = Arc::new(Mutex::new(State {
        paused: start.paused,
        serial,
        cables,
        stuck,
        player: Some(player),
        ..State::default()
    }));
    say("\"running\"");
    for client in listener.incoming() {
        let (state, client) = (Arc::clone(&state), client.unwrap());
        std::thread::spawn(move || serve(client, &state));
    }
}

fn serve(client: UnixStream, state: &Mutex<State>) {
    let mut client = client;
    writeln!(client, "{}", json!({ "QMP": { "version": {}, "capabilities": [] } })).unwrap();
    loop {
        let (bytes, fds) = receive(&client, 65536);
        if bytes.is_empty() {
            return;
        }
        let request: Value = serde_json::from_slice(&bytes).unwrap();
        let mut state = state.lock().unwrap();
        let name = request["execute"].as_str().unwrap().to_owned();
        if name == "qmp_capabilities" {
            state.clients.push(client.try_clone().unwrap());
        }
        let answer = match obey(&mut state, &name, &request["arguments"], fds) {
            Ok(value) => json!({ "return": value, "id": request["id"] }),
            Err(sentence) => json!({ "error": { "class": "GenericError", "desc": sentence }, "id": request["id"] }),
        };
        writeln!(client, "{answer}").unwrap();
        if matches!(name.as_str(), "quit" | "system_powerdown") {
            state.tell("SHUTDOWN", json!({ "guest": name != "quit", "reason": name }));
            exit(0);
        }
    }
}

fn obey(state: &mut State, name: &str, arguments: &Value, fds: Vec<OwnedFd>) -> Result<Value, String> {
    match name {
        "qmp_capabilities" | "quit" | "system_powerdown" | "system_reset" => {}
        "query-status" => {
            let status = if state.paused { "paused" } else { "running" };
            return Ok(json!({ "running": !state.paused, "status": status }));
        }
        "stop" | "cont" => {
            state.paused = name == "stop";
            state.tell(if state.paused { "STOP" } else { "RESUME" }, json!({}));
        }
        "x-dormer-text" => return Ok(json!({ "lines": ["Fake BIOS   ", format!("paused: {}", state.paused), ""] })),
        "x-dormer-serial-write" => {
            let text = arguments["text"].as_str().unwrap();
            state.serial.push_str(text);
            if let (Some(words), Some(player)) = (text.strip_prefix("play "), &state.player) {
                state.serial.push_str(&player.play(words));
            }
        }
        "x-dormer-serial-read" => {
            let from = arguments["from"].as_u64().unwrap() as usize;
            let text = state.serial.get(from..).unwrap_or_default();
            return Ok(json!({ "from": from, "next": state.serial.len(), "text": text }));
        }
        "screendump" => {
            let file = fds.into_iter().next().ok_or("no descriptor")?;
            File::from(file).write_all(PICTURE).unwrap();
        }
        "send-key" => {
            let keys = arguments["keys"].as_array().unwrap().iter().map(|key| key["data"].to_string().replace('"', ""));
            let keys = keys.collect::<Vec<_>>().join("+");
            state.serial.push_str(&format!("<{keys}>"));
        }
        "x-dormer-pointer" => {
            state.serial.push_str(&format!("({},{},{})", arguments["x"], arguments["y"], arguments["click"]));
        }
        "x-dormer-insert" => {
            let mut bytes = Vec::new();
            let file = fds.into_iter().next().ok_or("no descriptor")?;
            File::from(file).read_to_end(&mut bytes).unwrap();
            state.serial.push_str(&format!("[{} {}]", arguments["drive"], bytes.len()));
        }
        "query-blockstats" => return Ok(state.stats()),
        "x-dormer-query-usage" => {
            return Ok(json!({ "cpu-time": 0, "processors": 2, "memory": 3 << 20, "memory-size": 256 << 20 }));
        }
        "set_link" => state.serial.push_str(&format!("[{} {}]", arguments["name"], arguments["up"])),
        "x-dormer-connect" => {
            state.serial.push_str(&format!("[{} on {} {}]", arguments["name"], arguments["network"], fds.len()));
            state.cables.extend(fds);
        }
        "x-dormer-query-networks" => {
            return Ok(json!([{
                "device": "net0", "mac": "52:54:00:00:00:01", "network": "internal:lab", "plugged": true, "link": true, "sent": 3,
                "sent-bytes": 180, "dropped": 0, "received": 2, "received-bytes": 120, "captured": state.captured,
            }]));
        }
        "x-dormer-capture" if arguments["name"] != "net0" => return Err("there is no such card".into()),
        "x-dormer-capture" => {
            let file = fds.into_iter().next().ok_or("no descriptor")?;
            File::from(file).write_all(b"frames").unwrap();
            state.captured = true;
        }
        "x-dormer-capture-end" if !state.captured => return Err("nothing of net0 is being captured".into()),
        "x-dormer-capture-end" => state.captured = false,
        "x-dormer-usb-attach" => {
            let node = fds.into_iter().next().ok_or("no descriptor")?;
            let (id, name) = (arguments["id"].clone(), arguments["name"].clone());
            if name.as_str().is_some_and(|name| name.contains("broken")) {
                return Err("the device does not answer".into());
            }
            let port = (state.usb.len() + 1).to_string();
            let answer = json!({ "id": id, "port": port, "speed": "high" });
            let device =
                json!({ "id": id, "name": name, "vendor": 0x781, "product": 0x5581, "speed": "high", "port": port });
            state.usb.push((device, node));
            return Ok(answer);
        }
        "x-dormer-usb-detach" => {
            let before = state.usb.len();
            state.usb.retain(|(device, _)| device["id"] != arguments["id"]);
            if state.usb.len() == before {
                return Err("the machine has no such device".into());
            }
            state.tell("X_DORMER_USB_DETACHED", json!({ "id": arguments["id"], "reason": "detached" }));
        }
        "x-dormer-query-usb" => return Ok(state.usb.iter().map(|(device, _)| device.clone()).collect()),
        "eject" if state.stuck => return Err("the tray is stuck".into()),
        "eject" => state.serial.push_str(&format!("[{} out]", arguments["id"])),
        _ => return Err(format!("there is no command {name}")),
    }
    Ok(json!({}))
}
