//! A guest made by hand at the other end of a real `dormer-nat`: DHCP, ARP, UDP and TCP out to the host, forwards in,
//! commands, and the ends it can come to. Loopback sockets only.

mod guest;
mod packet;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use guest::{Guest, LIMIT, Nat};
use packet::{Tcp, Udp, flag};
use serde_json::{Value, json};

const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// A port on the loopback that nobody listens on just now.
fn free_tcp_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn timed<S>(stream: S, set: impl Fn(&S, Option<Duration>) -> std::io::Result<()>) -> S {
    set(&stream, Some(LIMIT)).unwrap();
    stream
}

#[test]
fn dhcp_gives_the_known_addresses() {
    let (_nat, mut guest) = Nat::start(&["--hostname", "attic", "--dns-search", "example.org"]);
    let lease = guest.dhcp();
    assert_eq!(lease.address, GUEST);
    assert_eq!(lease.option(1), Some(&[255, 255, 255, 0][..]));
    assert_eq!(lease.option(3), Some(&HOST.octets()[..]));
    assert_eq!(lease.option(6), Some(&DNS.octets()[..]));
    assert_eq!(lease.option(12), Some(&b"attic"[..]));
    assert_eq!(lease.option(119), Some(&b"\x07example\x03org\x00"[..]));
    assert_eq!(lease.option(66), None, "no TFTP server");
}

#[test]
fn another_network_can_be_asked_for() {
    let (_nat, mut guest) = Nat::start(&["--network", "192.168.77.0/26"]);
    let lease = guest.dhcp();
    assert_eq!(lease.address, Ipv4Addr::new(192, 168, 77, 15));
    assert_eq!(lease.option(1), Some(&[255, 255, 255, 192][..]));
}

#[test]
fn host_and_name_server_answer_arp() {
    let (_nat, mut guest) = Nat::start(&[]);
    guest.dhcp();
    for address in [HOST, DNS] {
        let mac = guest.arp(address);
        assert_eq!(mac[..2], [0x52, 0x55]);
        assert_eq!(mac[2..], address.octets());
    }
}

#[test]
fn udp_reaches_the_hosts_loopback_and_comes_back() {
    let server = timed(UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::set_read_timeout);
    let port = server.local_addr().unwrap().port();
    let (_nat, mut guest) = Nat::start(&[]);
    guest.dhcp();
    guest.send_udp(HOST, Udp { source: 4000, destination: port, payload: b"ping".into() });
    let mut bytes = [0; 64];
    let (length, from) = server.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"ping");
    server.send_to(b"pong", from).unwrap();
    let reply = guest.udp(|from, udp| (from == HOST && udp.destination == 4000).then_some(udp));
    assert_eq!((reply.source, &reply.payload[..]), (port, &b"pong"[..]));
}

#[test]
fn tcp_reaches_the_hosts_loopback_and_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = timed(stream, TcpStream::set_read_timeout);
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&[b'<'; 40_000]).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let (_nat, mut guest) = Nat::start(&[]);
    guest.dhcp();
    let mut connection = guest.connect(5000, HOST, port);
    connection.write(&mut guest, b"hello");
    let received = connection.read_to_end(&mut guest);
    assert_eq!(received.len(), 40_005);
    assert!(received[..40_000].iter().all(|&byte| byte == b'<'));
    assert_eq!(&received[40_000..], b"hello");
    server.join().unwrap();
}

#[test]
fn a_closed_port_of_the_host_refuses() {
    let (_nat, mut guest) = Nat::start(&[]);
    guest.dhcp();
    let port = free_tcp_port();
    guest.send_tcp(HOST, Tcp::syn(5001, port, 1));
    let answer = guest.tcp(|_, tcp| (tcp.destination == 5001).then_some(tcp));
    assert!(answer.flags & flag::RST != 0, "{answer:?}");
}

#[test]
fn the_hosts_loopback_can_be_denied() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let (_nat, mut guest) = Nat::start(&["--no-host-loopback"]);
    guest.dhcp();
    let port = server.local_addr().unwrap().port();
    guest.send_udp(HOST, Udp { source: 4000, destination: port, payload: b"ping".into() });
    // The answer to ARP tells that the datagram before it was dealt with.
    guest.arp(HOST);
    assert!(server.recv_from(&mut [0; 64]).is_err());
}

#[test]
fn a_forward_leads_into_the_guest() {
    let (tcp_port, udp_port) = (free_tcp_port(), free_udp_port());
    let forwards = [format!("tcp:127.0.0.1:{tcp_port}-10.0.2.15:22"), format!("udp::{udp_port}-:69")];
    let (_nat, mut guest) = Nat::start(&["--forward", &forwards[0], "--forward", &forwards[1]]);
    guest.dhcp();

    let client = std::thread::spawn(move || {
        let mut stream = timed(TcpStream::connect(("127.0.0.1", tcp_port)).unwrap(), TcpStream::set_read_timeout);
        let mut greeting = [0; 6];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(b"ssh").unwrap();
        greeting
    });
    let mut connection = guest.accept(22);
    connection.write(&mut guest, b"banner");
    assert_eq!(connection.read_to_end(&mut guest), b"ssh");
    assert_eq!(&client.join().unwrap(), b"banner");

    let client = timed(UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::set_read_timeout);
    client.send_to(b"read", ("127.0.0.1", udp_port)).unwrap();
    let (from, request) = guest.udp(|from, udp| (udp.destination == 69).then_some((from, udp)));
    assert_eq!(request.payload, b"read");
    guest.send_udp(from, Udp { source: 69, destination: request.source, payload: b"data".into() });
    let mut bytes = [0; 64];
    let length = client.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"data");
}

/// Commands and their answers, one at a time.
struct Commander {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Commander {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { answers: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.stream, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn forward(&mut self, execute: &str, forward: &str) -> Value {
        self.ask(&json!({ "execute": execute, "arguments": { "forward": forward }, "id": 7 }).to_string())
    }
}

#[test]
fn forwards_come_and_go_while_it_runs() {
    let (_nat, mut guest, control) = Nat::start_with_control(&[]);
    let mut commander = Commander::new(control);
    guest.dhcp();
    let port = free_tcp_port();
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let forward = format!("tcp:{address}-10.0.2.15:80");
    assert!(TcpStream::connect(address).is_err());

    assert_eq!(commander.forward("add-forward", &forward), json!({ "return": {}, "id": 7 }));
    assert_eq!(commander.ask(r#"{"execute":"list-forwards"}"#), json!({ "return": [forward] }));
    let client = TcpStream::connect(address).unwrap();
    let connection = guest.accept(80);
    drop((client, connection));

    let twice = commander.forward("add-forward", &forward);
    assert_eq!(twice["error"]["desc"], format!("tcp:{address} is forwarded already"));
    assert_eq!(commander.forward("remove-forward", &format!("tcp:{address}")), json!({ "return": {}, "id": 7 }));
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(commander.ask(r#"{"execute":"list-forwards"}"#), json!({ "return": [] }));
    let gone = commander.forward("remove-forward", &format!("tcp:{address}"));
    assert_eq!(gone["error"]["desc"], format!("tcp:{address} is not forwarded"));
}

#[test]
fn commanders_come_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("commands");
    let (_nat, mut guest) = Nat::start_listening(UnixListener::bind(&path).unwrap());
    let connect = || Commander::new(UnixStream::connect(&path).unwrap());
    let forward = format!("tcp:127.0.0.1:{}-10.0.2.15:80", free_tcp_port());
    assert_eq!(connect().forward("add-forward", &forward), json!({ "return": {}, "id": 7 }));
    // One who says nothing and goes, one who breaks off in the middle of a word, and one who is heard after them.
    drop(UnixStream::connect(&path).unwrap());
    UnixStream::connect(&path).unwrap().write_all(b"{\"exec").unwrap();
    assert_eq!(connect().ask(r#"{"execute":"list-forwards"}"#), json!({ "return": [forward] }));
    guest.dhcp();
}

#[test]
fn commands_that_are_none_get_an_answer_and_change_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_nat, mut guest, control) = Nat::start_with_control(&[]);
    let mut commander = Commander::new(control);
    for line in ["gibberish", "{}", r#"{"execute":"quit"}"#, r#"{"execute":"add-forward"}"#, "[]", "\u{1}"] {
        assert_eq!(commander.ask(line)["error"]["class"], "GenericError", "{line}");
    }
    for forward in ["tcp:22", "tcp::0-:22", "sctp::22-:22"] {
        assert_eq!(commander.forward("add-forward", forward)["error"]["class"], "GenericError");
    }
    let taken = taken.local_addr().unwrap();
    let refused = commander.forward("add-forward", &format!("tcp:{taken}-:22"));
    let sentence = refused["error"]["desc"].as_str().unwrap();
    assert!(sentence.starts_with(&format!("cannot listen on tcp:{taken}: Address already in use")), "{sentence}");
    assert_eq!(commander.ask(r#"{"execute":"list-forwards"}"#), json!({ "return": [] }));

    // Without its commander the network goes on.
    drop(commander);
    guest.dhcp();
}

#[test]
fn connections_that_hang_cost_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let inward = free_tcp_port();
    let (nat, mut guest) = Nat::start(&["--forward", &format!("tcp::{inward}-:22")]);
    guest.dhcp();
    let open = |guest: &mut Guest, from| (guest.connect(from, HOST, port), listener.accept().unwrap().0);
    // The host is done and the guest never answers; the guest is done and the host never answers; the host sends into a
    // guest that acknowledges nothing; the guest sends to a host that does not read; nobody accepts in the guest.
    let (_silent, finished) = open(&mut guest, 6000);
    drop(finished);
    let (mut finished, _kept) = open(&mut guest, 6001);
    finished.finish(&mut guest);
    let (_deaf, sender) = open(&mut guest, 6002);
    sender.set_nonblocking(true).unwrap();
    while (&sender).write(&[0; 65_536]).is_ok() {}
    let (mut eager, _deaf_host) = open(&mut guest, 6003);
    for _ in 0..2000 {
        eager.write(&mut guest, &[0; 1400]);
        guest.skip();
    }
    let _unanswered = TcpStream::connect(("127.0.0.1", inward)).unwrap();

    std::thread::sleep(Duration::from_millis(200));
    let before = nat.ticks();
    std::thread::sleep(Duration::from_secs(1));
    let used = nat.ticks() - before;
    assert!(used < 20, "{used} of 100 ticks used with nothing to do");
}

#[test]
fn it_ends_with_its_engine() {
    let (mut nat, mut guest) = Nat::start(&[]);
    guest.dhcp();
    drop(guest);
    let (status, said) = nat.end();
    assert!(status.success(), "{status}: {said}");
    assert_eq!(said, "");
}

#[test]
fn an_engine_that_talks_nonsense_is_told_so() {
    let (mut nat, guest) = Nat::start(&[]);
    guest.raw().write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let (status, said) = nat.end();
    assert_eq!(status.code(), Some(1));
    assert!(said.starts_with("dormer-nat: the other end of the network link sends nonsense"), "{said}");
}

#[test]
fn hostile_frames_do_no_harm() {
    // Restricted, so that no noise that happens to be right leaves this computer.
    let (_nat, mut guest) = Nat::start(&["--ipv6", "--restrict"]);
    // A small generator, so that each run sends the same.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..3000 {
        let length = [14, 20, 34, 60, 600, 1514, 9000, net::MAX_FRAME][round % 8];
        let mut frame: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        let kind = [[0x08, 0x00], [0x08, 0x06], [0x86, 0xdd], [0x88, 0xf8]][random() as usize % 4];
        frame[12..14].copy_from_slice(&kind);
        if length >= 34 && kind == [0x08, 0x00] {
            // Past the header's checks, to what lies behind them.
            let protocol = [1, 2, 6, 17][random() as usize % 4];
            let to = [HOST, DNS, Ipv4Addr::BROADCAST, Ipv4Addr::new(10, 0, 2, 255)][random() as usize % 4];
            let inner = frame.split_off(34);
            let packet = packet::ipv4(protocol, GUEST, to, &inner);
            frame.truncate(14);
            frame.extend(packet);
        }
        guest.send_frame(&frame);
        guest.skip();
    }
    guest.dhcp();
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let forward = format!("tcp:{}-:22", taken.local_addr().unwrap());
    for (args, sentence) in [
        (&["--fd", "77"][..], "dormer-nat: --fd: file descriptor 77 is not open\n"),
        (&["--fd", "1"], "dormer-nat: --fd: file descriptor 1 is not a stream socket\n"),
        (&["--fd", "0", "--control-fd", "0"], "dormer-nat: --fd and --control-fd are both 0\n"),
        (&["--fd", "0", "--forward", &forward], "dormer-nat: cannot listen on tcp:127.0.0.1"),
    ] {
        let (status, said) = Nat::run(args).end();
        assert_eq!(status.code(), Some(1), "{args:?}");
        assert!(said.starts_with(sentence), "{args:?}: {said}");
    }
}
