//! A guest made by hand, and the process it talks to.

use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use net::framing::{Inbox, Outbox, Read as Got};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::packet::{self, BROADCAST, Mac, Packet, Tcp, Udp, flag};

/// Longer than any wait in these tests should take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// A running `dormer-nat`.
pub(crate) struct Nat(Child);

impl Nat {
    fn spawn(args: &[&str], stdin: Stdio, stdout: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dormer-nat"));
        command.args(args).env_remove("RUST_LOG").stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// One with a socket as standard input and nothing else.
    pub(crate) fn run(args: &[&str]) -> Self {
        let (_, far) = UnixStream::pair().unwrap();
        Self::spawn(args, OwnedFd::from(far).into(), Stdio::null())
    }

    /// One with a guest. Standard input carries the frames: a descriptor that is inherited without races.
    pub(crate) fn start(args: &[&str]) -> (Self, Guest) {
        let (near, far) = UnixStream::pair().unwrap();
        let nat = Self::spawn(&[&["--fd", "0"], args].concat(), OwnedFd::from(far).into(), Stdio::null());
        (nat, Guest::new(near))
    }

    /// One with a guest and a control channel.
    pub(crate) fn start_with_control(args: &[&str]) -> (Self, Guest, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let (control, commands) = UnixStream::pair().unwrap();
        let args = [&["--fd", "0", "--control-fd", "1"], args].concat();
        let nat = Self::spawn(&args, OwnedFd::from(far).into(), OwnedFd::from(commands).into());
        (nat, Guest::new(near), control)
    }

    /// One with a guest and a socket that commanders connect to.
    pub(crate) fn start_listening(commands: UnixListener) -> (Self, Guest) {
        let (near, far) = UnixStream::pair().unwrap();
        let args = ["--fd", "0", "--control-fd", "1"];
        let nat = Self::spawn(&args, OwnedFd::from(far).into(), OwnedFd::from(commands).into());
        (nat, Guest::new(near))
    }

    /// Processor time used so far, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // Fields 14 and 15 (proc_pid_stat(5)); the second field, a name in parentheses, may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Waits for its end; its status, and what it said on the way.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let end = Instant::now() + LIMIT;
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < end, "dormer-nat does not end"),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status, said)
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        // Fails when it has ended, as it should have.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What DHCP gave.
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    options: Vec<u8>,
}

impl Lease {
    /// An option's value (RFC 2132).
    pub(crate) fn option(&self, wanted: u8) -> Option<&[u8]> {
        let mut rest = &self.options[..];
        while let [code, tail @ ..] = rest {
            match code {
                0 => rest = tail,
                255 => break,
                _ => {
                    let (value, after) = tail[1..].split_at(tail[0].into());
                    if *code == wanted {
                        return Some(value);
                    }
                    rest = after;
                }
            }
        }
        None
    }
}

/// A NIC with just enough of a network stack behind it.
pub(crate) struct Guest {
    link: UnixStream,
    inbox: Inbox,
    address: Ipv4Addr,
}

impl Guest {
    fn new(link: UnixStream) -> Self {
        link.set_write_timeout(Some(LIMIT)).unwrap();
        Self { link, inbox: Inbox::default(), address: Ipv4Addr::UNSPECIFIED }
    }

    /// The stream itself.
    pub(crate) fn raw(&self) -> &UnixStream {
        &self.link
    }

    fn wait(&self, flags: PollFlags, end: Instant) {
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited too long");
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        poll(&mut [PollFd::new(&self.link, flags)], Some(&left)).unwrap();
    }

    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        let mut outbox = Outbox::new(1 << 20);
        assert!(outbox.push(&[frame]));
        let end = Instant::now() + LIMIT;
        while !outbox.is_empty() {
            outbox.write_to(&self.link).unwrap();
            if !outbox.is_empty() {
                self.wait(PollFlags::OUT, end);
            }
        }
    }

    /// Drops what has come.
    pub(crate) fn skip(&mut self) {
        while self.inbox.read_from(&self.link).unwrap() == Got::Some {
            while self.inbox.frame().unwrap().is_some() {
                self.inbox.consume();
            }
        }
    }

    /// The next packet that `pick` takes; others are dropped, but questions for the guest's address are answered.
    fn next<T>(&mut self, mut pick: impl FnMut(Packet) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            while let Some(frame) = self.inbox.frame().unwrap() {
                let packet = packet::parse(frame);
                self.inbox.consume();
                if let Packet::Arp { operation: 1, from, to } = packet
                    && to == self.address
                {
                    let reply = packet::arp(2, (MAC, to), from);
                    self.send_frame(&packet::ethernet(from.0, MAC, packet::ARP, &reply));
                } else if let Some(picked) = pick(packet) {
                    return picked;
                }
            }
            self.wait(PollFlags::IN, end);
            assert_ne!(self.inbox.read_from(&self.link).unwrap(), Got::Closed, "dormer-nat is gone");
        }
    }

    pub(crate) fn udp<T>(&mut self, mut pick: impl FnMut(Ipv4Addr, Udp) -> Option<T>) -> T {
        self.next(|packet| if let Packet::Udp { from, udp } = packet { pick(from, udp) } else { None })
    }

    pub(crate) fn tcp<T>(&mut self, mut pick: impl FnMut(Ipv4Addr, Tcp) -> Option<T>) -> T {
        self.next(|packet| if let Packet::Tcp { from, tcp } = packet { pick(from, tcp) } else { None })
    }

    /// libslirp takes any destination address for its router's.
    fn send_ip(&mut self, packet: &[u8]) {
        self.send_frame(&packet::ethernet(BROADCAST, MAC, packet::IPV4, packet));
    }

    pub(crate) fn send_udp(&mut self, to: Ipv4Addr, udp: Udp) {
        self.send_ip(&packet::udp(self.address, to, &udp));
    }

    pub(crate) fn send_tcp(&mut self, to: Ipv4Addr, tcp: Tcp) {
        self.send_ip(&packet::tcp(self.address, to, &tcp));
    }

    /// Asks who has `address`.
    pub(crate) fn arp(&mut self, address: Ipv4Addr) -> Mac {
        let question = packet::arp(1, (MAC, self.address), ([0; 6], address));
        self.send_frame(&packet::ethernet(BROADCAST, MAC, packet::ARP, &question));
        self.next(|packet| match packet {
            Packet::Arp { operation: 2, from, .. } if from.1 == address => Some(from.0),
            _ => None,
        })
    }

    /// Discover, offer, request, acknowledge (RFC 2131); takes the address.
    pub(crate) fn dhcp(&mut self) -> Lease {
        let offer = self.dhcp_step(&[53, 1, 1], 2);
        let wanted = offer.address.octets();
        let server: [u8; 4] = offer.option(54).unwrap().try_into().unwrap();
        let lease = self.dhcp_step(&[&[53, 1, 3, 50, 4][..], &wanted, &[54, 4], &server].concat(), 5);
        assert_eq!(lease.address, offer.address);
        self.address = lease.address;
        lease
    }

    /// Sends a message with `options`, and waits for one of type `answer`.
    fn dhcp_step(&mut self, options: &[u8], answer: u8) -> Lease {
        const COOKIE: [u8; 4] = [99, 130, 83, 99];
        const FIXED: usize = 236;
        let transaction = [1, 2, 3, answer];
        let mut message = vec![1, 1, 6, 0];
        message.extend(transaction);
        message.resize(28, 0);
        message.extend(MAC);
        message.resize(FIXED, 0);
        message.extend([&COOKIE[..], options, &[255]].concat());
        let udp = Udp { source: 68, destination: 67, payload: message };
        self.send_ip(&packet::udp(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, &udp));
        self.udp(|_, udp| {
            let reply = &udp.payload;
            let ours = udp.destination == 68 && reply[4..8] == transaction && reply[FIXED..FIXED + 4] == COOKIE;
            let lease =
                ours.then(|| Lease { address: packet::address(reply, 16), options: reply[FIXED + 4..].into() })?;
            (lease.option(53) == Some(&[answer][..])).then_some(lease)
        })
    }

    /// Connects out.
    pub(crate) fn connect(&mut self, port: u16, to: Ipv4Addr, to_port: u16) -> Connection {
        self.send_tcp(to, Tcp::syn(port, to_port, 1000));
        let answer = self.tcp(|from, tcp| (from == to && tcp.destination == port).then_some(tcp));
        assert_eq!(answer.flags & (flag::SYN | flag::ACK | flag::RST), flag::SYN | flag::ACK);
        assert_eq!(answer.acknowledged, 1001);
        let mut connection = Connection {
            peer: to,
            peer_port: to_port,
            port,
            sequence: 1001,
            expected: answer.sequence.wrapping_add(1),
        };
        connection.say(self, flag::ACK, &[]);
        connection
    }

    /// Waits for a connection to `port` and takes it.
    pub(crate) fn accept(&mut self, port: u16) -> Connection {
        let (peer, syn) =
            self.tcp(|from, tcp| (tcp.destination == port && tcp.flags == flag::SYN).then_some((from, tcp)));
        let expected = syn.sequence.wrapping_add(1);
        let mut connection = Connection { peer, peer_port: syn.source, port, sequence: 2000, expected };
        connection.say(self, flag::SYN | flag::ACK, &[]);
        connection.sequence += 1;
        self.tcp(|_, tcp| (tcp.destination == port && tcp.acknowledged == 2001).then_some(()));
        connection
    }
}

/// A TCP connection over a link that loses nothing: no timers, no reordering.
pub(crate) struct Connection {
    peer: Ipv4Addr,
    peer_port: u16,
    port: u16,
    /// The next byte we send.
    sequence: u32,
    /// The next byte we expect.
    expected: u32,
}

impl Connection {
    fn say(&mut self, guest: &mut Guest, flags: u8, payload: &[u8]) {
        let tcp = Tcp {
            source: self.port,
            destination: self.peer_port,
            sequence: self.sequence,
            acknowledged: self.expected,
            flags,
            payload: payload.into(),
        };
        guest.send_tcp(self.peer, tcp);
    }

    pub(crate) fn write(&mut self, guest: &mut Guest, bytes: &[u8]) {
        self.say(guest, flag::ACK, bytes);
        self.sequence = self.sequence.wrapping_add(bytes.len() as u32);
    }

    /// Says that we have no more.
    pub(crate) fn finish(&mut self, guest: &mut Guest) {
        self.say(guest, flag::ACK | flag::FIN, &[]);
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Everything until the other side has no more, acknowledged as it comes.
    pub(crate) fn read_to_end(&mut self, guest: &mut Guest) -> Vec<u8> {
        let mut received = Vec::new();
        loop {
            let tcp = guest.tcp(|_, tcp| (tcp.destination == self.port).then_some(tcp));
            assert_eq!(tcp.flags & flag::RST, 0, "reset after {} bytes", received.len());
            if tcp.sequence == self.expected {
                self.expected = self.expected.wrapping_add(tcp.payload.len() as u32);
                received.extend(&tcp.payload);
                let end = tcp.flags & flag::FIN != 0;
                self.expected = self.expected.wrapping_add(end.into());
                if end {
                    self.say(guest, flag::ACK | flag::FIN, &[]);
                    return received;
                }
            }
            if !tcp.payload.is_empty() {
                self.say(guest, flag::ACK, &[]);
            }
        }
    }
}
