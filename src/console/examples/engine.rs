//! An engine without a machine: it is started as `dormer-vm` is, shows a moving pattern, and shows what input it gets.
//!
//! For looking at consoles where there is no KVM, and for UI tests: `DORMER_VM=target/debug/examples/engine dormer`. Some keys do
//! things: F1 changes between tablet and mouse, F2 the screen's size, F3 turns the picture off and on, F4 is a guest that turns itself
//! off, F5 an engine that dies, F6 one that talks without end, and stops, F7 one that talks nonsense, F8 a film of 1920 by
//! 1080 at 60 Hz whose log says how many of its pictures consoles were too slow for, F9 one that takes the CD out as after
//! an installation, F10 one whose USB devices are all pulled out. The position of the pointer, pressed buttons and pressed keys are
//! drawn. The serial line says what is said to it, and asks where the cursor is when it hears a question mark. Its guest plays a tone
//! to consoles that listen, and records whenever the microphone is on.

#[path = "../fake_engine.rs"]
mod fake_engine;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use api::pcm::{Bell, Layout, Producer};
use api::spec::{NetworkSpec, START_BYTES, START_FDS, Start, Started};
use api::ui::{Rect, ToConsole, ToEngine};
use fake_engine::{FakeEngine, Screen, sealed};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};
use serde_json::{Value, json};

const FRAME: Duration = Duration::from_millis(33);
/// Of a film.
const FILM_FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);
const FILM_SIZE: (u32, u32) = (1920, 1080);
/// The log has a line each so many pictures of a film.
const FILM_PART: u64 = 600;
/// Asks a terminal where its cursor is (ECMA-48, DSR).
const ASK: &str = "\x1b[6n";
const SIZES: [(u32, u32); 3] = [(1024, 768), (720, 400), (1280, 800)];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--check-kvm") => {
            println!("{}", json!({ "ok": true }));
            ExitCode::SUCCESS
        }
        Some("--start-fd") => {
            Engine::started().run();
            ExitCode::SUCCESS
        }
        Some("--keep-usb") => {
            // No kernel has it, so there is nothing to give back.
            let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => {
            eprintln!("usage: engine --check-kvm | --keep-usb | --start-fd 0");
            ExitCode::FAILURE
        }
    }
}

struct Engine {
    name: String,
    control: UnixListener,
    ui: OwnedFd,
    /// Networks go on as long as these are open.
    cables: Vec<OwnedFd>,
    networks: Vec<NetworkSpec>,
    captured: bool,
    drives: Vec<String>,
    /// MiB.
    memory: u64,
    clients: Vec<Client>,
    consoles: Vec<Watcher>,
    paused: bool,
    absolute: bool,
    size: usize,
    screen: Screen,
    dark: bool,
    step: u32,
    /// Drawn so far.
    frames: u64,
    keys: BTreeSet<u16>,
    buttons: u32,
    pointer: (u32, u32),
    flooding: bool,
    /// Pictures of the film that is shown, and how many of them came while a console still had the one before.
    film: Option<(u64, u64)>,
    /// What all control clients hear next, whoever of them is being served.
    events: Vec<Value>,
    cd_out: bool,
    /// Devices of the host, with their files.
    usb: Vec<(Value, OwnedFd)>,
    ended: bool,
    /// What the serial line said.
    serial: String,
}

/// A control client.
struct Client {
    lines: BufReader<UnixStream>,
    descriptors: Vec<OwnedFd>,
}

/// A console, and what it has not been sent yet.
struct Watcher {
    engine: FakeEngine,
    damage: Rect,
    waits: bool,
    /// The guest plays.
    tone: Option<Tone>,
    /// The guest records.
    microphone: Option<Bell>,
}

/// A tone that goes on as long as somebody reads it.
struct Tone {
    producer: Producer,
    _bell: Bell,
    /// Frames so far.
    at: u32,
}

impl Tone {
    /// A sine of 440 Hz on all channels.
    fn go_on(&mut self) {
        let layout = self.producer.ring().layout();
        let frames = layout.frames - self.producer.fill();
        let samples: Vec<_> = (self.at..self.at + frames)
            .flat_map(|frame| {
                let turns = f64::from(frame) * 440.0 / f64::from(layout.rate);
                let sample = (turns * std::f64::consts::TAU).sin() * 0.2 * f64::from(i32::MAX);
                std::iter::repeat_n(sample as i32, layout.channels.into())
            })
            .collect();
        self.producer.write(&samples);
        // After a second it is where it was.
        self.at = (self.at + frames) % layout.rate;
    }
}

impl Watcher {
    /// The guest plays to whoever listens.
    fn play(&mut self, listens: bool) {
        if listens == self.tone.is_some() {
            return;
        }
        self.tone = None;
        if !listens {
            self.engine.send(&ToConsole::StreamEnded { stream: 0 });
            return;
        }
        let (ring, bell) = self.engine.offer(ToConsole::Playback, 0, stereo());
        self.tone = Some(Tone { producer: Producer::new(ring), _bell: bell, at: 0 });
    }

    /// The guest records whenever it may.
    fn record(&mut self, may: bool) {
        if may == self.microphone.is_some() {
            return;
        }
        self.microphone = None;
        if !may {
            self.engine.send(&ToConsole::StreamEnded { stream: 1 });
            return;
        }
        self.microphone = Some(self.engine.offer(ToConsole::Capture, 1, stereo()).1);
    }
}

/// What all of its sound is like.
fn stereo() -> Layout {
    Layout::new(48_000, 2).expect("a shape of sound")
}

impl Engine {
    /// Takes the machine from the starter, on standard input.
    fn started() -> Self {
        let socket = std::io::stdin();
        let mut bytes = vec![0; START_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(START_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
                .expect("a machine");
        let mut descriptors: Vec<Option<OwnedFd>> = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .map(Some)
            .collect();
        let start: Start = serde_json::from_slice(&bytes[..received.bytes]).expect("a machine");
        let mut take = |index: api::spec::FdIndex| descriptors[index.0 as usize].take().expect("a descriptor");
        let control = UnixListener::from(take(start.control));
        control.set_nonblocking(true).expect("a listening socket");
        let ui = take(start.ui);
        rustix::io::ioctl_fionbio(&ui, true).expect("a listening socket");
        let cables = start.machine.networks.iter().filter_map(|network| network.stream).map(&mut take).collect();
        // As long as standard input is open, nobody else answers there.
        let answer = serde_json::to_vec(&Started::Running).expect("plain data");
        rustix::net::send(&socket, &answer, SendFlags::NOSIGNAL).expect("a starter");
        Self {
            name: start.machine.name,
            control,
            ui,
            cables,
            networks: start.machine.networks,
            captured: false,
            drives: start.machine.drives.into_iter().map(|drive| drive.id).collect(),
            memory: start.machine.memory,
            clients: Vec::new(),
            consoles: Vec::new(),
            paused: start.paused,
            absolute: true,
            size: 0,
            screen: Screen::new(SIZES[0].0, SIZES[0].1),
            dark: false,
            step: 0,
            frames: 0,
            keys: BTreeSet::new(),
            buttons: 0,
            pointer: (0, 0),
            flooding: false,
            film: None,
            events: Vec::new(),
            cd_out: false,
            usb: Vec::new(),
            ended: false,
            serial: format!("\x1b[1;32mWelcome\x1b[0m to the little machine{ASK}\r\nlogin: "),
        }
    }

    fn run(mut self) {
        self.background();
        let mut next = Instant::now();
        while !self.ended {
            if self.flooding {
                self.flood();
            } else {
                self.wait(next.saturating_duration_since(Instant::now()));
            }
            self.accept();
            self.serve_control();
            self.serve_consoles();
            self.deliver();
            if !self.paused {
                self.consoles.iter_mut().filter_map(|console| console.tone.as_mut()).for_each(Tone::go_on);
            }
            if Instant::now() >= next {
                next = match self.film {
                    // On the beat, whatever the last one took; but not all that were missed at once.
                    Some(_) => (next + FILM_FRAME).max(Instant::now()),
                    None => Instant::now() + FRAME,
                };
                if !self.paused && !self.dark {
                    self.draw();
                }
                if self.flooding {
                    let reason = "no room\n".repeat(300);
                    self.tell("BLOCK_IO_ERROR", &json!({ "device": "disk0", "reason": reason }));
                }
            }
        }
    }

    fn wait(&self, most: Duration) {
        let clients = self.clients.iter().map(|client| client.lines.get_ref().as_fd());
        let consoles = self.consoles.iter().map(|console| console.engine.as_fd());
        let descriptors = [self.control.as_fd(), self.ui.as_fd()].into_iter().chain(clients).chain(consoles);
        let mut poll: Vec<_> = descriptors.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let most = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
        // Interrupted or not, there is a look at everything next.
        let _ = rustix::event::poll(&mut poll, Some(&most));
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.control.accept() {
            stream.set_nonblocking(true).expect("a socket");
            let mut client = Client { lines: BufReader::new(stream), descriptors: Vec::new() };
            client.say(&json!({ "QMP": { "version": {}, "capabilities": [] } }));
            self.clients.push(client);
        }
        while let Ok(socket) = rustix::net::accept(&self.ui) {
            let engine = FakeEngine::over(socket);
            engine.hello(&self.name);
            engine.send(&ToConsole::PointerMode { absolute: self.absolute });
            engine.send(&ToConsole::HideCursor);
            if !self.dark {
                engine.scanout(&self.screen);
            }
            send_cursor(&engine);
            self.consoles.push(Watcher { engine, damage: Rect::default(), waits: false, tone: None, microphone: None });
        }
    }

    fn serve_control(&mut self) {
        let mut clients = std::mem::take(&mut self.clients);
        clients.retain_mut(|client| {
            while let Some(line) = match client.line() {
                Ok(line) => line,
                Err(_) => return false,
            } {
                let Ok(request) = serde_json::from_str::<Value>(&line) else { return false };
                let command = request["execute"].as_str().unwrap_or_default();
                let answer = self.execute(command, &request["arguments"], client);
                client.say(&json!({ "return": answer, "id": request["id"] }));
            }
            true
        });
        self.clients.append(&mut clients);
    }

    fn execute(&mut self, command: &str, arguments: &Value, client: &mut Client) -> Value {
        match command {
            "x-dormer-serial-read" => {
                let from = arguments["from"].as_u64().map_or(0, |from| self.serial.len().min(from as usize));
                return json!({ "from": from, "next": self.serial.len(), "text": self.serial[from..] });
            }
            "x-dormer-serial-write" => {
                let text = arguments["text"].as_str().unwrap_or_default();
                eprintln!("Serial {text:?}");
                self.serial.push_str(text);
                if text.contains('?') {
                    self.serial.push_str(ASK);
                }
            }
            "query-status" => {
                return json!({ "running": !self.paused, "status": if self.paused { "paused" } else { "running" } });
            }
            "query-blockstats" => return self.drive_stats(),
            "x-dormer-query-usage" => return self.usage(),
            "x-dormer-usb-attach" => {
                let Some(node) = client.descriptors.pop() else { return json!({}) };
                let (id, name, port) = (&arguments["id"], &arguments["name"], (self.usb.len() + 1).to_string());
                let device = json!({ "id": id, "name": name, "vendor": 0x781, "product": 0x5581, "speed": "high", "port": port });
                self.usb.push((device, node));
                return json!({ "id": id, "port": port, "speed": "high" });
            }
            "x-dormer-usb-detach" => {
                let id = arguments["id"].clone();
                self.usb.retain(|(device, _)| device["id"] != id);
                self.tell("X_DORMER_USB_DETACHED", &json!({ "id": id, "reason": "detached" }));
            }
            "x-dormer-query-usb" => return self.usb.iter().map(|(device, _)| device.clone()).collect(),
            "query-block" => {
                let (out, disk) = (self.cd_out, json!({ "device": "disk0", "removable": false, "inserted": true }));
                let cd = json!({ "device": "cd0", "removable": true, "inserted": !out });
                return [disk, cd]
                    .map(|mut drive| {
                        drive["tray_open"] = json!(drive["inserted"] == false);
                        drive["locked"] = json!(false);
                        drive
                    })
                    .into();
            }
            "stop" | "cont" => {
                self.paused = command == "stop";
                self.tell(if self.paused { "STOP" } else { "RESUME" }, &json!({}));
            }
            "system_reset" => self.tell("RESET", &json!({ "guest": false, "reason": "host-qmp-system-reset" })),
            "system_powerdown" => self.tell("POWERDOWN", &json!({})),
            "quit" => self.end(false),
            "x-dormer-connect" => self.cables.append(&mut client.descriptors),
            "x-dormer-capture" | "x-dormer-capture-end" => {
                self.captured = command == "x-dormer-capture";
                client.descriptors.clear();
            }
            "x-dormer-query-networks" => return self.networks.iter().map(|network| self.status(network)).collect(),
            "screendump" => {
                if let Some(file) = client.descriptors.pop() {
                    self.screendump(std::fs::File::from(file));
                }
            }
            _ => {}
        }
        json!({})
    }

    /// A card that is as busy as the screen.
    fn status(&self, network: &NetworkSpec) -> Value {
        let frames = self.frames;
        json!({
            "device": network.id, "mac": network.mac, "network": network.network, "plugged": true, "link": true,
            "sent": 10, "sent-bytes": 4096, "dropped": 0, "received": 2000 + frames, "received-bytes": (3 << 30) + (frames << 10),
            "captured": self.captured,
        })
    }

    /// Drives that read a MiB and write 64 KiB with each frame.
    fn drive_stats(&self) -> Value {
        let frames = self.frames;
        let stats = json!({ "rd_bytes": frames << 20, "wr_bytes": frames << 16, "rd_operations": frames, "wr_operations": frames });
        self.drives.iter().map(|device| json!({ "device": device, "stats": stats })).collect()
    }

    /// A processor that has work for 10 ms with each frame, and memory that fills.
    fn usage(&self) -> Value {
        let size = self.memory << 20;
        json!({
            "cpu-time": self.frames * 10_000_000, "processors": 1,
            "memory": (self.frames << 20).min(size), "memory-size": size,
        })
    }

    fn tell(&mut self, event: &str, data: &Value) {
        self.events.push(json!({ "event": event, "data": data, "timestamp": { "seconds": 0, "microseconds": 0 } }));
    }

    fn deliver(&mut self) {
        for event in self.events.drain(..) {
            self.clients.iter_mut().for_each(|client| client.say(&event));
        }
    }

    fn end(&mut self, guest: bool) {
        let reason = if guest { "guest-shutdown" } else { "host-qmp-quit" };
        self.tell("SHUTDOWN", &json!({ "guest": guest, "reason": reason }));
        self.ended = true;
    }

    fn screendump(&self, file: std::fs::File) {
        let mut encoder = png::Encoder::new(file, self.screen.width, self.screen.height);
        encoder.set_color(png::ColorType::Rgb);
        let (line, mut pixels) = (self.screen.stride as usize, Vec::new());
        let mut row = vec![0; line];
        for y in 0..self.screen.height {
            let at = self.screen.offset + u64::from(y) * u64::from(self.screen.stride);
            rustix::io::pread(&self.screen.memfd, row.as_mut_slice(), at).expect("memory");
            for pixel in row[..self.screen.width as usize * 4].as_chunks::<4>().0 {
                pixels.extend([pixel[2], pixel[1], pixel[0]]);
            }
        }
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("a file");
    }

    fn serve_consoles(&mut self) {
        let mut messages = Vec::new();
        self.consoles.retain_mut(|console| {
            loop {
                match console.engine.receive() {
                    Ok(Some(ToEngine::FrameDone)) => console.waits = false,
                    Ok(Some(message @ ToEngine::Sound { listen, microphone })) => {
                        console.play(listen);
                        console.record(microphone);
                        messages.push(message);
                    }
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            }
        });
        messages.iter().for_each(|message| self.input(message));
        for console in &mut self.consoles {
            if !console.waits && !console.damage.is_empty() {
                console.engine.send(&ToConsole::Update(std::mem::take(&mut console.damage)));
                console.waits = true;
            }
        }
    }

    fn input(&mut self, message: &ToEngine) {
        eprintln!("{message:?}");
        match *message {
            ToEngine::Key { code, down: true } => {
                self.keys.insert(code);
                self.command(code);
            }
            ToEngine::Key { code, down: false } => {
                self.keys.remove(&code);
            }
            ToEngine::ReleaseAll => {
                self.keys.clear();
                self.buttons = 0;
            }
            ToEngine::PointerPosition { x, y } => {
                let part = |part: u16, of: u32| u32::from(part) * (of - 1) / 0x7fff;
                self.pointer = (part(x, self.screen.width), part(y, self.screen.height));
            }
            ToEngine::PointerMotion { dx, dy } => {
                let moved = |at: u32, by: i32, of: u32| at.saturating_add_signed(by).min(of - 1);
                let (x, y) = self.pointer;
                self.pointer = (moved(x, dx, self.screen.width), moved(y, dy, self.screen.height));
            }
            ToEngine::Button { button, down } => {
                let bit = 1 << button as u32;
                self.buttons = if down { self.buttons | bit } else { self.buttons & !bit };
            }
            ToEngine::FrameDone | ToEngine::Wheel { .. } | ToEngine::UiInfo { .. } | ToEngine::Sound { .. } => {}
        }
    }

    /// Everything that makes a console work, without end.
    fn flood(&mut self) {
        let whole = Rect { x: 0, y: 0, width: self.screen.width, height: self.screen.height };
        for round in 0..500 {
            self.send(&ToConsole::CursorAt { x: round, y: i32::MIN });
            self.send(&ToConsole::Leds { num: round % 2 == 0, caps: false, scroll: false });
            self.send(&ToConsole::Update(whole));
        }
        self.consoles.iter().for_each(|console| send_cursor(&console.engine));
    }

    /// The function keys.
    fn command(&mut self, code: u16) {
        match code {
            59 => {
                self.absolute = !self.absolute;
                self.send(&ToConsole::PointerMode { absolute: self.absolute });
            }
            60 => {
                self.size = (self.size + 1) % SIZES.len();
                self.screen = Screen::new(SIZES[self.size].0, SIZES[self.size].1);
                self.pointer = (0, 0);
                self.show();
            }
            61 => {
                self.dark = !self.dark;
                if self.dark { self.send(&ToConsole::Disable) } else { self.show() }
            }
            62 => self.end(true),
            63 => std::process::abort(),
            64 => self.flooding = !self.flooding,
            66 => {
                self.film = self.film.is_none().then_some((0, 0));
                let size = if self.film.is_some() { FILM_SIZE } else { SIZES[self.size] };
                self.screen = Screen::new(size.0, size.1);
                self.pointer = (0, 0);
                self.show();
            }
            65 => self.consoles.iter().for_each(|console| console.engine.send_bytes(b"{\"type\":\"scanout\"}", &[])),
            68 => {
                for (device, _) in std::mem::take(&mut self.usb) {
                    self.tell("X_DORMER_USB_DETACHED", &json!({ "id": device["id"], "reason": "unplugged" }));
                }
            }
            67 => {
                self.cd_out = true;
                self.tell("DEVICE_TRAY_MOVED", &json!({ "device": "cd0", "id": "cd0", "tray-open": true }));
            }
            _ => {}
        }
    }

    fn send(&self, message: &ToConsole) {
        self.consoles.iter().for_each(|console| console.engine.send(message));
    }

    fn show(&self) {
        self.background();
        self.consoles.iter().for_each(|console| console.engine.scanout(&self.screen));
    }

    /// A gradient under a grid of single pixels, to see whether they stay single.
    fn background(&self) {
        let (width, height) = (self.screen.width, self.screen.height);
        for y in (0..height).step_by(16) {
            let shade = (64 * y / height) as u8;
            self.screen.fill(Rect { x: 0, y, width, height: 16.min(height - y) }, [20, 40 + shade, 70 + shade]);
            self.screen.fill(Rect { x: 0, y, width, height: 1 }, [60, 90, 110]);
        }
        for edge in [Rect { x: 0, y: 0, width: 1, height }, Rect { x: width - 1, y: 0, width: 1, height }] {
            self.screen.fill(edge, [255, 120, 0]);
        }
    }

    /// The next step of the pattern: a strip on which a bar runs, with keys, buttons and pointer as squares.
    fn draw(&mut self) {
        let (width, height) = (self.screen.width, self.screen.height);
        let strip = Rect { x: 8, y: height / 2 - 40, width: width - 16, height: 80 };
        self.screen.fill(strip, [30, 30, 46]);
        self.frames += 1;
        self.step = (self.step + 6) % (strip.width - 60);
        self.screen.fill(Rect { x: strip.x + self.step, y: strip.y + 10, width: 60, height: 24 }, [250, 180, 60]);
        for (index, code) in self.keys.iter().take(16).enumerate() {
            let x = strip.x + 10 + index as u32 * 28;
            self.screen.fill(Rect { x, y: strip.y + 46, width: 24, height: 24 }, [90, 200, (*code % 256) as u8]);
        }
        for bit in (0..5).filter(|bit| self.buttons & 1 << bit != 0) {
            let x = strip.x + strip.width - 40 - bit * 28;
            self.screen.fill(Rect { x, y: strip.y + 46, width: 24, height: 24 }, [240, 80, 80]);
        }
        let (x, y) = (self.pointer.0.min(width - 8), self.pointer.1.min(height - 8));
        let spot = Rect { x, y, width: 8, height: 8 };
        self.screen.fill(spot, [255, 255, 255]);
        if let Some((shown, late)) = &mut self.film {
            // A film changes everywhere.
            let whole = Rect { x: 0, y: 0, width, height };
            *shown += 1;
            *late += u64::from(self.consoles.iter().any(|console| !console.damage.is_empty()));
            self.consoles.iter_mut().for_each(|console| console.damage = whole);
            if shown.is_multiple_of(FILM_PART) {
                eprintln!("film: {shown} pictures, {late} united with the one before");
            }
        }
        for console in &mut self.consoles {
            console.damage = console.damage.union(strip).union(spot);
        }
    }
}

impl Client {
    fn say(&mut self, value: &Value) {
        // A client that has gone is noticed when it is read.
        let _ = self.lines.get_mut().write_all(format!("{value}\n").as_bytes());
    }

    /// The next whole line, if it is there; an error when the client is gone. Descriptors that came with it are kept.
    fn line(&mut self) -> std::io::Result<Option<String>> {
        if !self.lines.buffer().contains(&b'\n') {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut bytes = [0; 1];
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC | RecvFlags::PEEK;
            match rustix::net::recvmsg(self.lines.get_ref(), &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)
            {
                Ok(message) if message.bytes == 0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    self.descriptors.extend(descriptors);
                }
            }
        }
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Some(line)),
            Err(error) => Err(error),
        }
    }
}

/// An arrow of 16 by 16 pixels.
fn send_cursor(engine: &FakeEngine) {
    let memfd = sealed(16 * 16 * 4);
    let mut pixels = Vec::new();
    for (y, x) in (0..16u32).flat_map(|y| (0..16u32).map(move |x| (y, x))) {
        pixels.extend(match x.cmp(&y) {
            std::cmp::Ordering::Less if y < 15 => [255u8, 255, 255, 255],
            std::cmp::Ordering::Equal => [0, 0, 0, 255],
            _ if x == 0 => [0, 0, 0, 255],
            _ => [0, 0, 0, 0],
        });
    }
    rustix::io::pwrite(&memfd, &pixels, 0).expect("memory");
    engine.send_with(&ToConsole::Cursor { width: 16, height: 16, hot_x: 0, hot_y: 0 }, memfd.as_fd());
}
