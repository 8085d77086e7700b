//! Consoles: the engine's end of the UI channel.
//!
//! A console has two threads: one takes the person's input to the machine's front, one sends what changes on the screen, one frame at a
//! time as the console acknowledges them. Sound goes beside it, through rings that the machine's sound thread offers.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use api::input::Button;
use api::ui::{MAX_SIDE, MESSAGE_BYTES, ToConsole, ToEngine, VERSION};
use machine::{Changes, Front, Listener, Watcher};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::clients::{self, Service};

/// Consoles at the same time.
const CONSOLES: usize = 8;
/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// How long a picture may go without a look at video memory while nothing announces changes.
const IDLE_LOOK: Duration = Duration::from_millis(33);
/// How long a console may not know of a pointer that became absolute while nothing else happens.
const IDLE_WAIT: Duration = Duration::from_millis(500);
/// A console that does not take messages for this long is dropped.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// Serves consoles on `listener`, a listening `SOCK_SEQPACKET` socket, from threads of its own.
pub(crate) fn serve(listener: OwnedFd, name: String, front: Front) -> std::io::Result<()> {
    let service = Service { listener: "ui", client: "console", most: CONSOLES };
    let consoles = Arc::new(AtomicU64::new(0));
    clients::accept(listener, service, move |socket| {
        let number = consoles.fetch_add(1, Ordering::Relaxed) + 1;
        serve_console(&Arc::new(socket), number, name.clone(), &front)
    })
}

fn serve_console(socket: &Arc<OwnedFd>, number: u64, name: String, front: &Front) -> Result<()> {
    rustix::net::sockopt::set_socket_timeout(socket, rustix::net::sockopt::Timeout::Send, Some(SEND_PATIENCE))?;
    send(socket, &ToConsole::Hello { version: VERSION, name }, None)?;
    let watcher = Arc::new(front.screen().watch());
    let painter = {
        let (socket, front, watcher) = (Arc::clone(socket), front.clone(), Arc::clone(&watcher));
        std::thread::Builder::new().name("painter".into()).spawn(move || {
            if let Err(error) = paint(&socket, &front, &watcher) {
                tracing::debug!("console: {error:#}");
            }
            // Wakes the reader.
            let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
        })?
    };
    let mut held = Held::default();
    let result = listen(socket, number, front, &watcher, &mut held);
    held.release(front);
    if let Some(sound) = front.sound() {
        sound.leave(number);
    }
    watcher.end();
    // A panic of the thread was reported when it happened.
    let _ = painter.join();
    result
}

/// What the person holds down in this console.
#[derive(Default)]
struct Held {
    keys: Vec<u16>,
    buttons: Vec<Button>,
}

impl Held {
    fn release(&mut self, front: &Front) {
        for code in self.keys.drain(..) {
            front.input().key(code, false);
        }
        for button in self.buttons.drain(..) {
            front.input().release_button(button);
        }
    }
}

/// Takes the person's input until the console is gone.
fn listen(socket: &Arc<OwnedFd>, number: u64, front: &Front, watcher: &Watcher, held: &mut Held) -> Result<()> {
    loop {
        let mut bytes = [0; MESSAGE_BYTES];
        // No descriptor is wanted: without room for them the kernel closes those that come.
        let mut ancillary = RecvAncillaryBuffer::default();
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message = match rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::empty()) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        if message.bytes == 0 {
            return Ok(());
        }
        let message: ToEngine = serde_json::from_slice(&bytes[..message.bytes]).context("a message cannot be read")?;
        let input = front.input();
        match message {
            ToEngine::FrameDone => watcher.acknowledge(),
            ToEngine::Key { code, down } => {
                ensure!(code < 0x300, "there is no key {code}");
                if down == held.keys.contains(&code) {
                    continue;
                }
                match down {
                    true if held.keys.len() >= 32 => continue,
                    true => held.keys.push(code),
                    false => held.keys.retain(|other| *other != code),
                }
                input.key(code, down);
            }
            ToEngine::PointerMotion { dx, dy } => {
                let bound = |by: i32| by.clamp(-4096, 4096);
                input.pointer(|pointer| pointer.moved(bound(dx), bound(dy)));
            }
            ToEngine::PointerPosition { x, y } => {
                input.pointer(|pointer| pointer.moved_to(x.min(0x7fff), y.min(0x7fff)));
            }
            ToEngine::Button { button, down: true } => {
                if !held.buttons.contains(&button) {
                    held.buttons.push(button);
                }
                input.pointer(|pointer| pointer.button(button, true));
            }
            ToEngine::Button { button, down: false } => {
                held.buttons.retain(|other| *other != button);
                input.release_button(button);
            }
            ToEngine::Wheel { axis, steps } => input.pointer(|pointer| pointer.wheel(axis, steps.clamp(-64, 64))),
            ToEngine::ReleaseAll => held.release(front),
            ToEngine::UiInfo { width, height, width_mm, height_mm } => {
                ensure!(width <= MAX_SIDE && height <= MAX_SIDE, "a screen of {width} by {height} is impossible");
                front.set_display_size(width, height, width_mm.min(10_000), height_mm.min(10_000));
            }
            ToEngine::Sound { listen, microphone } => {
                if let Some(sound) = front.sound() {
                    sound.listen(listener(socket, number, listen, microphone));
                }
            }
        }
    }
}

/// A console that wants sound. What it does not take at once is said again by whoever says it.
fn listener(socket: &Arc<OwnedFd>, number: u64, playback: bool, capture: bool) -> Listener {
    let socket = Arc::clone(socket);
    let tell = Box::new(move |message: &ToConsole, fds: &[BorrowedFd<'_>]| {
        send_with(&socket, message, fds, SendFlags::DONTWAIT).is_ok()
    });
    Listener { console: number, playback, capture, tell }
}

/// Sends what changes on the screen until the console or the machine is gone.
fn paint(socket: &OwnedFd, front: &Front, watcher: &Watcher) -> Result<()> {
    let mut absolute = None;
    let mut last = Instant::now() - FRAME;
    loop {
        let mut limit = IDLE_WAIT;
        if watcher.is_ready() {
            std::thread::sleep(FRAME.saturating_sub(last.elapsed()));
            last = Instant::now();
            if front.refresh() {
                limit = IDLE_LOOK;
            }
        }
        let now = front.input().is_absolute();
        if absolute.replace(now) != Some(now) {
            send(socket, &ToConsole::PointerMode { absolute: now }, None)?;
        }
        let Some(changes) = watcher.take(limit) else { return Ok(()) };
        tell(socket, &changes)?;
    }
}

/// Sends changes.
fn tell(socket: &OwnedFd, changes: &Changes) -> Result<()> {
    match &changes.scanout {
        Some(Some(scanout)) => {
            let file = scanout.memory.file().context("the screen's memory has no file")?;
            let message = ToConsole::Scanout {
                width: scanout.width,
                height: scanout.height,
                stride: scanout.stride,
                offset: scanout.offset,
            };
            send(socket, &message, Some(file.as_fd()))?;
        }
        Some(None) => send(socket, &ToConsole::Disable, None)?,
        None => {}
    }
    match &changes.cursor {
        Some(Some(cursor)) => {
            let bytes: Vec<u8> = cursor.pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
            let file = sealed(&bytes)?;
            let (width, height, hot_x, hot_y) = (cursor.width, cursor.height, cursor.hot_x, cursor.hot_y);
            send(socket, &ToConsole::Cursor { width, height, hot_x, hot_y }, Some(file.as_fd()))?;
        }
        Some(None) => send(socket, &ToConsole::HideCursor, None)?,
        None => {}
    }
    if let Some((x, y)) = changes.cursor_at {
        send(socket, &ToConsole::CursorAt { x, y }, None)?;
    }
    if !changes.damage.is_empty() {
        send(socket, &ToConsole::Update(changes.damage), None)?;
    }
    Ok(())
}

/// A memfd with these bytes that nobody can change.
fn sealed(bytes: &[u8]) -> Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("dormer-cursor", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut written = 0;
    while written < bytes.len() {
        written += rustix::io::pwrite(&fd, &bytes[written..], written as u64)?;
    }
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(fd)
}

fn send(socket: &OwnedFd, message: &ToConsole, fd: Option<BorrowedFd<'_>>) -> Result<()> {
    send_with(socket, message, fd.as_slice(), SendFlags::empty())
}

fn send_with(socket: &OwnedFd, message: &ToConsole, fds: &[BorrowedFd<'_>], flags: SendFlags) -> Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        bail!("no room for so many descriptors");
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, flags | SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}
