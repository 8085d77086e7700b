//! USB devices that a test plays itself, plugged into the computer that it runs on: for what QEMU has no device.
//!
//! The kernel's virtual host controller (`vhci_hcd`) has it over a socket, in the words of USB/IP (the kernel's
//! Documentation/usb/usbip_protocol.rst). Isochronous packets go at the pace of a full-speed bus: one a millisecond.
//!
//! A [`KernelGadget`] is played by the kernel instead.

mod camera;
mod kernel_gadget;
mod microphone;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use self::camera::Camera;
pub use self::kernel_gadget::KernelGadget;
pub use self::microphone::Microphone;

/// Where the controller is.
const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
/// What the kernel calls full speed there, and any number for the device.
const FULL_SPEED: u32 = 2;
const DEVICE: u32 = 0x1_0002;
/// A header, and an isochronous packet's descriptor behind the data.
const HEADER: usize = 48;
const PACKET: usize = 16;
const MILLISECOND: Duration = Duration::from_millis(1);
const STALL: i32 = -32;
const UNLINKED: i32 = -104;

/// What a device does.
pub trait Gadget: Send + 'static {
    /// Its device descriptor.
    fn device(&self) -> Vec<u8>;
    /// Its only configuration, whole.
    fn configuration(&self) -> Vec<u8>;
    /// Its strings, from 1 on.
    fn strings(&self) -> &[&str];
    /// What it answers to a request that is none of the standard's; nothing for what any answer will do.
    fn answer(&self, _setup: [u8; 8]) -> Option<Vec<u8>> {
        None
    }
    /// What comes next from this endpoint, of so many bytes at most.
    fn give(&mut self, endpoint: u8, most: usize) -> Vec<u8>;
    /// Takes what comes to this endpoint.
    fn take(&mut self, _endpoint: u8, _bytes: &[u8]) {}
}

/// A plugged-in gadget; pulled out when dropped.
pub struct Plugged {
    port: u32,
    /// The device's end of the cable.
    socket: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Plugged {
    /// Plugs it into the first free port.
    ///
    /// # Panics
    /// The kernel has no such controller, or does not take it.
    pub fn plug(gadget: impl Gadget) -> Self {
        let loaded = Command::new("modprobe").arg("vhci-hcd").status();
        assert!(loaded.is_ok_and(|status| status.success()), "the kernel has no vhci_hcd");
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let status = fs::read_to_string(format!("{CONTROLLER}/status")).expect("the controller says what is in it");
        // hub, port, state (4: empty), and more.
        let free = status.lines().find_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            (words.first() == Some(&"hs") && words.get(2) == Some(&"004")).then(|| words[1].parse::<u32>().ok())?
        });
        let port = free.expect("it has a free port");
        let attach = format!("{port} {} {DEVICE} {FULL_SPEED}", theirs.as_raw_fd());
        fs::write(format!("{CONTROLLER}/attach"), attach).expect("the controller takes it");
        let socket = ours.try_clone().expect("a descriptor");
        let thread = std::thread::spawn(move || Server::new(ours, gadget).serve());
        Self { port, socket, thread: Some(thread) }
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        // It fails only when it is out already.
        let _ = fs::write(format!("{CONTROLLER}/detach"), self.port.to_string());
        // Whatever the controller does with its own end.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A request of the host, in USB/IP's words.
struct Request {
    number: u32,
    is_in: bool,
    endpoint: u8,
    length: usize,
    setup: [u8; 8],
    /// Where each isochronous packet is in the data, and how long.
    packets: Vec<(usize, usize)>,
    data: Vec<u8>,
}

/// The device's end of the socket.
struct Server<G> {
    socket: UnixStream,
    gadget: G,
    /// Isochronous requests, each endpoint's in their order, and when the first is over.
    waiting: BTreeMap<u8, (Instant, VecDeque<Request>)>,
}

impl<G: Gadget> Server<G> {
    fn new(socket: UnixStream, gadget: G) -> Self {
        Self { socket, gadget, waiting: BTreeMap::new() }
    }

    /// Until it is pulled out.
    fn serve(mut self) {
        loop {
            let due = self.waiting.values().filter(|(_, queue)| !queue.is_empty()).map(|(due, _)| *due).min();
            let now = Instant::now();
            if due.is_some_and(|due| due <= now) {
                if !self.play(now) {
                    return;
                }
                continue;
            }
            // Zero would be for ever.
            let patience = due.map(|due| (due - now).max(Duration::from_micros(1)));
            self.socket.set_read_timeout(patience).expect("a socket can wait");
            match self.next() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => {
                    println!("  the gadget's host is gone: {error}");
                    return;
                }
            }
        }
    }

    /// Takes a request; false at the end.
    fn next(&mut self) -> std::io::Result<bool> {
        let mut header = [0; HEADER];
        let first = self.socket.read(&mut header)?;
        if first == 0 {
            return Ok(false);
        }
        self.socket.set_read_timeout(None)?;
        self.socket.read_exact(&mut header[first..])?;
        let word = |at: usize| u32::from_be_bytes(header[at * 4..at * 4 + 4].try_into().expect("four bytes"));
        let (command, number) = (word(0), word(1));
        if command == 2 {
            self.unlink(number, word(5))?;
            return Ok(true);
        }
        let (is_in, length) = (word(3) == 1, word(6) as usize);
        let packets = word(8);
        let mut data = vec![0; if is_in { 0 } else { length }];
        self.socket.read_exact(&mut data)?;
        let count = if packets == u32::MAX { 0 } else { packets as usize };
        let mut descriptors = vec![0; count * PACKET];
        self.socket.read_exact(&mut descriptors)?;
        let (descriptors, _) = descriptors.as_chunks::<PACKET>();
        let packet = |bytes: &[u8; PACKET]| {
            let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
            (word(0), word(4))
        };
        let setup = header[40..48].try_into().expect("eight bytes");
        let packets = descriptors.iter().map(packet).collect();
        self.begin(Request { number, is_in, endpoint: word(4) as u8, length, setup, packets, data })?;
        Ok(true)
    }

    fn begin(&mut self, request: Request) -> std::io::Result<()> {
        if !request.packets.is_empty() {
            let lasts = MILLISECOND * request.packets.len() as u32;
            let endpoint = request.endpoint | u8::from(request.is_in) << 7;
            let (due, queue) = self.waiting.entry(endpoint).or_insert((Instant::now(), VecDeque::new()));
            if queue.is_empty() {
                *due = (*due).max(Instant::now()) + lasts;
            }
            queue.push_back(request);
            return Ok(());
        }
        if request.endpoint == 0 {
            let answer = self.control(request.setup);
            let status = if answer.is_some() { 0 } else { STALL };
            return self.answer(&request, status, answer.as_deref().unwrap_or_default());
        }
        if request.is_in {
            let bytes = self.gadget.give(request.endpoint, request.length);
            self.answer(&request, 0, &bytes)
        } else {
            self.gadget.take(request.endpoint, &request.data);
            self.answer(&request, 0, &[])
        }
    }

    /// What a control request answers; nothing for a stall. All that is asked of the device is granted.
    fn control(&mut self, setup: [u8; 8]) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
        let mut answer = match (setup[0], setup[1], setup[3]) {
            (0x80, 6, 1) => self.gadget.device(),
            (0x80, 6, 2) => self.gadget.configuration(),
            // US English, and the texts.
            (0x80, 6, 3) if setup[2] == 0 => vec![4, 3, 9, 4],
            (0x80, 6, 3) => {
                let text = self.gadget.strings().get(usize::from(setup[2]) - 1)?;
                let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                [&[2 + text.len() as u8, 3], &text[..]].concat()
            }
            (0x80, 6, _) => return None,
            // It has one, and is in it.
            (0x80, 8, _) => vec![1],
            (kind, ..) if kind & 0x80 != 0 => self.gadget.answer(setup).unwrap_or_else(|| vec![0; length]),
            _ => Vec::new(),
        };
        answer.truncate(length);
        Some(answer)
    }

    /// Ends the isochronous requests whose time is over; false when the host is gone.
    fn play(&mut self, now: Instant) -> bool {
        let over = self.waiting.iter_mut().filter(|(_, (due, queue))| *due <= now && !queue.is_empty());
        let over: Vec<_> = over
            .filter_map(|(_, (due, queue))| {
                let request = queue.pop_front()?;
                // The next begins where this one ends.
                *due += queue.front().map_or(Duration::ZERO, |next| MILLISECOND * next.packets.len() as u32);
                Some(request)
            })
            .collect();
        over.into_iter().all(|request| self.isochronous(request).is_ok())
    }

    fn isochronous(&mut self, request: Request) -> std::io::Result<()> {
        let (mut data, mut descriptors): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
        for &(at, length) in &request.packets {
            let moved = if request.is_in {
                let bytes = self.gadget.give(request.endpoint, length);
                data.extend(&bytes);
                bytes.len()
            } else {
                self.gadget.take(request.endpoint, request.data.get(at..at + length).unwrap_or_default());
                length
            };
            descriptors.extend([at, length, moved, 0].into_iter().flat_map(|word| (word as u32).to_be_bytes()));
        }
        let moved = if request.is_in { data.len() } else { request.length };
        let mut message = reply(3, request.number, [0, moved as u32, 0, request.packets.len() as u32, 0]);
        message.extend(data);
        message.extend(descriptors);
        self.socket.write_all(&message)
    }

    fn answer(&mut self, request: &Request, status: i32, bytes: &[u8]) -> std::io::Result<()> {
        let moved = if request.is_in { bytes.len() } else { request.data.len() };
        let mut message = reply(3, request.number, [status as u32, moved as u32, 0, 0, 0]);
        if request.is_in {
            message.extend(bytes);
        }
        self.socket.write_all(&message)
    }

    /// The host takes a request back.
    fn unlink(&mut self, number: u32, which: u32) -> std::io::Result<()> {
        let mut found = false;
        for (_, queue) in self.waiting.values_mut() {
            let before = queue.len();
            queue.retain(|request| request.number != which);
            found |= queue.len() < before;
        }
        let status = if found { UNLINKED } else { 0 };
        self.socket.write_all(&reply(4, number, [status as u32, 0, 0, 0, 0]))
    }
}

/// A header of an answer.
fn reply(command: u32, number: u32, words: [u32; 5]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [command, number, 0, 0, 0].into_iter().chain(words).flat_map(u32::to_be_bytes).collect();
    bytes.resize(HEADER, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths and counts of a configuration, and those of its class that say how long the whole of an interface is.
    fn check(gadget: &impl Gadget) {
        let bytes = gadget.configuration();
        assert_eq!(usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), bytes.len());
        let mut descriptors = Vec::new();
        let mut rest = &bytes[..];
        while let [length, ..] = *rest {
            let (descriptor, behind) = rest.split_at(length.into());
            descriptors.push(descriptor);
            rest = behind;
        }
        let of = |kind| descriptors.iter().filter(move |descriptor| descriptor[1] == kind);
        assert_eq!(of(4).filter(|interface| interface[3] == 0).count(), usize::from(bytes[4]));
        assert_eq!(of(4).map(|interface| usize::from(interface[4])).sum::<usize>(), of(5).count());
        for interface in descriptors.split(|descriptor| descriptor[1] == 4) {
            let class: Vec<_> = interface.iter().filter(|descriptor| descriptor[1] == 0x24).collect();
            // What begins with a header says it in its sixth byte, or its fifth when that is of the stream's.
            let whole: usize = class.iter().map(|descriptor| descriptor.len()).sum();
            let said = |at: usize| usize::from(class[0][at]) | usize::from(class[0][at + 1]) << 8;
            match class.first().map(|first| (first[2], first.len())) {
                Some((1, 9 | 13)) => assert_eq!(said(5), whole),
                Some((1, 14)) => assert_eq!(said(4), whole),
                _ => {}
            }
        }
    }

    #[test]
    fn configurations_are_as_long_as_they_say() {
        check(&Microphone::default());
        check(&Camera::default());
    }
}
