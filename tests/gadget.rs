//! A USB device that a test plays itself, plugged into the computer that it runs on: for what QEMU has no device.
//!
//! The kernel's virtual host controller (`vhci_hcd`) has it over a socket, in the words of USB/IP (the kernel's
//! Documentation/usb/usbip_protocol.rst). Isochronous packets go at the pace of a full-speed bus: one a millisecond.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::signal;

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
    /// What comes next from this endpoint, of so many bytes at most.
    fn give(&mut self, endpoint: u8, most: usize) -> Vec<u8>;
    /// Takes what comes to this endpoint.
    fn take(&mut self, _endpoint: u8, _bytes: &[u8]) {}
}

/// A plugged-in gadget; pulled out when dropped.
pub struct Plugged {
    port: u32,
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
        let thread = std::thread::spawn(move || Server::new(ours, gadget).serve());
        Self { port, thread: Some(thread) }
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        // It fails only when it is out already.
        let _ = fs::write(format!("{CONTROLLER}/detach"), self.port.to_string());
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
                Err(_) => return,
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
            (kind, ..) if kind & 0x80 != 0 => vec![0; length],
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

/// A microphone of the USB Audio Class 1.0: stereo, 16 bits, 48 kHz. What it hears is numbered: [`Microphone::frame`].
#[derive(Default)]
pub struct Microphone {
    heard: u32,
}

impl Microphone {
    /// What its product string says.
    pub const NAME: &'static str = "Dormer Test Microphone";
    /// The endpoint that it is heard by, an interface with the setting that it has there.
    pub const ENDPOINT: u8 = 0x81;
    /// The interface and the setting with that endpoint.
    pub const SETTING: (u8, u8) = (1, 1);
    /// Bytes of a packet.
    pub const PACKET: u32 = 192;

    /// The frame with this number, left and right, never silent.
    pub fn frame(number: u32) -> [i16; 2] {
        let left = (number.wrapping_mul(40_503) >> 3) as i16 | 1;
        [left, !left | 1]
    }

    /// These bytes are what it heard, without a gap; from which frame on, is said.
    #[track_caller]
    pub fn assert_recorded(bytes: &[u8]) {
        let samples = signal::from_bytes(bytes);
        let frames = samples.as_chunks::<2>().0;
        let is_first =
            |number: &u32| (*number..).zip(&frames[..8]).all(|(number, frame)| Self::frame(number) == *frame);
        let first = (0..500_000).find(is_first).expect("frames of the microphone's");
        println!("  recorded {} frames, from its {first} on", frames.len());
        let differs = (first..).zip(frames).find(|(number, frame)| Self::frame(*number) != **frame);
        assert_eq!(differs, None, "this frame differs");
    }
}

impl Gadget for Microphone {
    fn device(&self) -> Vec<u8> {
        // USB 1.1, class by interface, 64 bytes at endpoint 0; of nobody's numbers, with two strings.
        vec![18, 1, 0x10, 0x01, 0, 0, 0, 64, 0xf4, 0x46, 0xfe, 0xca, 0, 1, 1, 2, 0, 1]
    }

    #[rustfmt::skip]
    fn configuration(&self) -> Vec<u8> {
        vec![
            9, 2, 100, 0, 2, 1, 0, 0x80, 50,
            9, 4, 0, 0, 0, 1, 1, 0, 0,                 // Audio control
            9, 0x24, 1, 0x00, 0x01, 30, 0, 1, 1,       // with one streaming interface
            12, 0x24, 2, 1, 0x01, 0x02, 0, 2, 3, 0, 0, 0, // Input Terminal: a microphone, left and right
            9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0,        // Output Terminal: to the host
            9, 4, 1, 0, 0, 1, 2, 0, 0,                 // Streaming: nothing
            9, 4, 1, 1, 1, 1, 2, 0, 0,                 // and one endpoint
            7, 0x24, 1, 2, 1, 0x01, 0x00,              // of that terminal, PCM
            11, 0x24, 2, 1, 2, 2, 16, 1, 0x80, 0xbb, 0x00, // 2 channels, 2 bytes, 16 bits, 48000 Hz
            9, 5, Self::ENDPOINT, 0x05, 192, 0, 1, 0, 0, // isochronous, asynchronous
            7, 0x25, 1, 0, 0, 0, 0,
        ]
    }

    fn strings(&self) -> &[&str] {
        &["Dormer", Self::NAME]
    }

    fn give(&mut self, _endpoint: u8, most: usize) -> Vec<u8> {
        let frames = most.min(Self::PACKET as usize) / 4;
        let numbers = self.heard..self.heard + frames as u32;
        self.heard += frames as u32;
        numbers.flat_map(Self::frame).flat_map(i16::to_le_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_microphones_description_is_as_long_as_it_says() {
        let bytes = Microphone::default().configuration();
        assert_eq!(usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), bytes.len());
        let control: usize = [18, 27, 39].iter().map(|&at: &usize| usize::from(bytes[at])).sum();
        assert_eq!(usize::from(bytes[23]), control);
        let (mut at, mut count) = (0, 0);
        while at < bytes.len() {
            at += usize::from(bytes[at]);
            count += 1;
        }
        assert_eq!((at, count), (bytes.len(), 11));
    }
}
