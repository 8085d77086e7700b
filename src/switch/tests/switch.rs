//! Cards made by hand on real `dormer-switch` processes: frames go where they should while ports come, go and misbehave.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use net::framing::{Inbox, Outbox, Read as Got};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longer than any wait in these tests should take.
const LIMIT: Duration = Duration::from_secs(20);
const EVERYBODY: [u8; 6] = [0xff; 6];

/// A running `dormer-switch` and the card on it.
struct Port {
    process: Child,
    card: UnixStream,
    inbox: Inbox,
    station: [u8; 6],
}

fn spawn(folder: &Path, stdin: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dormer-switch"));
    command.arg(folder).env_remove("RUST_LOG").env("DORMER_SECCOMP", "kill");
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

impl Port {
    /// A port that has joined.
    fn join(folder: &Path, station: u8) -> Self {
        let (card, far) = UnixStream::pair().unwrap();
        let mut process = spawn(folder, OwnedFd::from(far).into());
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("port "), "{line}");
        Self { process, card, inbox: Inbox::default(), station: [2, 0, 0, 0, 0, station] }
    }

    /// Sends a frame that says `text`.
    fn send(&self, to: [u8; 6], text: &str) {
        let mut outbox = Outbox::new(1 << 20);
        assert!(outbox.push(&[&to, &self.station, &[0x88, 0xb5], text.as_bytes()]));
        while !outbox.is_empty() {
            outbox.write_to(&self.card).unwrap();
        }
    }

    /// The next frame, within this time.
    fn frame(&mut self, limit: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(frame) = self.inbox.frame().unwrap().map(<[u8]>::to_vec) {
                self.inbox.consume();
                return Some(frame);
            }
            let left = end.checked_duration_since(Instant::now())?;
            let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            poll(&mut [PollFd::new(&self.card, PollFlags::IN)], Some(&limit)).unwrap();
            assert_ne!(self.inbox.read_from(&self.card).unwrap(), Got::Closed, "the port has ended");
        }
    }

    /// The text of the next frame.
    #[track_caller]
    fn hear(&mut self) -> String {
        let frame = self.frame(LIMIT).expect("a frame comes");
        String::from_utf8_lossy(&frame[14..]).into_owned()
    }

    /// Ends the engine's side; how the process ended, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        self.card.shutdown(std::net::Shutdown::Both).unwrap();
        wait(&mut self.process)
    }
}

fn wait(process: &mut Child) -> (Option<i32>, String) {
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "dormer-switch does not end");
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut said = String::new();
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

#[test]
fn frames_go_where_their_stations_are() {
    let folder = tempfile::tempdir().unwrap();
    let [mut a, mut b, mut c] = [1, 2, 3].map(|station| Port::join(folder.path(), station));
    a.send(EVERYBODY, "who is there?");
    assert_eq!([b.hear(), c.hear()], ["who is there?", "who is there?"]);
    // Where a is, is known; where c is, is not.
    b.send(a.station, "to a alone");
    b.send(c.station, "to wherever c is");
    b.send(EVERYBODY, "end");
    assert_eq!([a.hear(), a.hear(), a.hear()], ["to a alone", "to wherever c is", "end"]);
    assert_eq!([c.hear(), c.hear()], ["to wherever c is", "end"]);
    // A station that speaks from elsewhere is there from then on.
    c.station = a.station;
    c.send(EVERYBODY, "a has moved");
    assert_eq!(b.hear(), "a has moved");
    assert_eq!(a.hear(), "a has moved");
    b.send(a.station, "where are you?");
    b.send(EVERYBODY, "end");
    assert_eq!([c.hear(), c.hear()], ["where are you?", "end"]);
    assert_eq!(a.hear(), "end");
}

#[test]
fn ports_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut a = Port::join(folder.path(), 1);
    // Nobody hears, and nobody minds; or it is on its way yet when b comes.
    a.send(EVERYBODY, "alone");
    let mut b = Port::join(folder.path(), 2);
    b.send(EVERYBODY, "b");
    assert_eq!(a.hear(), "b");
    a.send(b.station, "to b");
    let heard = Some(b.hear()).filter(|heard| heard != "alone").unwrap_or_else(|| b.hear());
    assert_eq!(heard, "to b");
    assert_eq!(b.end(), (Some(0), String::new()));

    // One that is killed leaves its socket, and its number goes to the next.
    let mut c = Port::join(folder.path(), 3);
    c.process.kill().unwrap();
    c.process.wait().unwrap();
    let mut d = Port::join(folder.path(), 4);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    a.send(EVERYBODY, "a");
    assert_eq!(d.hear(), "a");
    // What b's station was told went to b's port; that port has ended.
    a.send([2, 0, 0, 0, 0, 2], "to b");
    assert_eq!(d.hear(), "to b");
    d.send(a.station, "to a");
    assert_eq!(a.hear(), "to a");
}

#[test]
fn networks_do_not_hear_each_other() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [a, mut b] = [1, 2].map(|station| Port::join(one.path(), station));
    let mut c = Port::join(other.path(), 3);
    a.send(EVERYBODY, "hello");
    assert_eq!(b.hear(), "hello");
    assert_eq!(c.frame(Duration::from_millis(200)), None);
}

#[test]
fn much_goes_through_in_order_and_a_deaf_card_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let [mut a, mut b, deaf] = [1, 2, 3].map(|station| Port::join(folder.path(), station));
    b.send(EVERYBODY, "b");
    assert_eq!(a.hear(), "b");
    let text = "x".repeat(1400);
    let mut waiting = VecDeque::new();
    for number in 0..20_000 {
        // Far more than all queues towards the deaf card hold.
        a.send(EVERYBODY, &format!("{number} {text}"));
        waiting.push_back(number);
        if waiting.len() == 200 {
            while let Some(number) = waiting.pop_front() {
                assert!(b.hear().starts_with(&format!("{number} ")));
            }
        }
    }
    drop(deaf);
}

#[test]
fn a_port_that_talks_nonsense_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let [mut a, mut b] = [1, 2].map(|station| Port::join(folder.path(), station));
    let mut stranger = UnixStream::connect(folder.path().join("1")).unwrap();
    stranger.set_read_timeout(Some(LIMIT)).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(stranger.read(&mut [0]).map_err(|error| error.kind()), Ok(0), "it hangs up");
    // More than there may be: those are sent away, and the network goes on.
    let crowd: Vec<_> = (0..100).map(|_| UnixStream::connect(folder.path().join("1")).unwrap()).collect();
    b.send(a.station, "still there?");
    assert_eq!(a.hear(), "still there?");
    drop(crowd);
    a.send(b.station, "yes");
    assert_eq!(b.hear(), "yes");
}

#[test]
fn an_engine_that_talks_nonsense_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut a = Port::join(folder.path(), 1);
    a.card.write_all(&[0xff; 64]).unwrap();
    let (status, said) = wait(&mut a.process);
    assert_eq!(status, Some(1));
    assert!(said.starts_with("dormer-switch: the other end of the network link sends nonsense"), "{said}");
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = wait(&mut spawn(folder.path(), Stdio::null()));
    assert_eq!((status, &said[..]), (Some(1), "dormer-switch: standard input is not a stream socket\n"));
    let (_card, far) = UnixStream::pair().unwrap();
    let (status, said) = wait(&mut spawn(&folder.path().join("none"), OwnedFd::from(far).into()));
    assert_eq!(status, Some(1));
    assert!(said.starts_with("dormer-switch: cannot join the network in ") && said.contains("No such file"), "{said}");
}

impl Drop for Port {
    fn drop(&mut self) {
        // Fails when it has ended, as it may have.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
