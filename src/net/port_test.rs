use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;

/// Longer than any wait in these tests should take.
const LIMIT: Duration = Duration::from_secs(20);

struct Nic {
    room: usize,
    got: Vec<Vec<u8>>,
    links: Vec<bool>,
    port: Option<Port>,
}

impl FrameSink for Nic {
    fn receive(&mut self, frame: &[u8]) -> bool {
        if self.got.len() == self.room {
            return false;
        }
        self.got.push(frame.to_vec());
        true
    }
    fn link_changed(&mut self, up: bool) {
        self.links.push(up);
    }
}

struct Desk {
    nic: Arc<Mutex<Nic>>,
    far: UnixStream,
    lost: mpsc::Receiver<LinkLost>,
}

/// A NIC with `room` for frames, its port plugged and running.
fn desk(room: usize) -> Desk {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(LIMIT)).unwrap();
    let (tell, lost) = mpsc::channel();
    let port = Port::new(move |why| tell.send(why).unwrap()).unwrap();
    let nic = Arc::new(Mutex::new(Nic { room, got: Vec::new(), links: Vec::new(), port: None }));
    let sink: Weak<Mutex<dyn FrameSink>> = Arc::<Mutex<Nic>>::downgrade(&nic);
    port.connect(sink);
    port.plug(near);
    port.set_running(true);
    lock(&nic).port = Some(port);
    let desk = Desk { nic, far, lost };
    desk.until(|nic| nic.links == [true]);
    desk
}

impl Desk {
    fn until(&self, done: impl Fn(&Nic) -> bool) {
        let end = Instant::now() + LIMIT;
        while !done(&lock(&self.nic)) {
            assert!(Instant::now() < end, "waited too long");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends frames of `length` bytes, filled with their numbers, towards the NIC.
    fn feed(&mut self, numbers: std::ops::Range<u8>, length: u32) {
        for number in numbers {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.resize(4 + length as usize, number);
            self.far.write_all(&bytes).unwrap();
        }
    }
}

#[test]
fn frames_go_both_ways() {
    let mut desk = desk(usize::MAX);
    desk.feed(0..200, 1514);
    desk.until(|nic| nic.got.len() == 200);
    assert!(lock(&desk.nic).got.iter().enumerate().all(|(n, frame)| *frame == [n as u8; 1514]));
    {
        let nic = lock(&desk.nic);
        let port = nic.port.as_ref().unwrap();
        for number in 0..200_u8 {
            port.send(&[&[number; 14], &[], &[number; 1000]]);
        }
        assert_eq!(
            port.counters(),
            Counters { sent: 200, sent_bytes: 200 * 1014, dropped: 0, received: 200, received_bytes: 200 * 1514 }
        );
    }
    let mut bytes = vec![0; 200 * 1018];
    desk.far.read_exact(&mut bytes).unwrap();
    for (number, frame) in bytes.chunks(1018).enumerate() {
        assert_eq!(frame[..4], 1014_u32.to_be_bytes());
        assert!(frame[4..].iter().all(|&byte| byte == number as u8));
    }
}

#[test]
fn a_full_queue_drops_and_counts() {
    let desk = desk(0);
    let nic = lock(&desk.nic);
    let port = nic.port.as_ref().unwrap();
    // Two queues and the socket's own buffer; nobody reads.
    for _ in 0..4 * QUEUE / 1514 {
        port.send(&[&[0; 1514]]);
    }
    port.send(&[&[0; 3]]);
    let Counters { sent, dropped, .. } = port.counters();
    assert!(sent >= (QUEUE / 1518) as u64, "{sent} sent");
    assert!(dropped > 1, "{dropped} dropped");
}

#[test]
fn a_sink_without_room_stops_the_reader_and_loses_nothing() {
    let mut desk = desk(3);
    desk.feed(0..10, 100);
    desk.until(|nic| nic.got.len() == 3);
    std::thread::sleep(Duration::from_millis(20));
    for room in [4, 10] {
        let mut nic = lock(&desk.nic);
        assert!(nic.got.len() <= room);
        nic.room = room;
        nic.port.as_ref().unwrap().resume();
        drop(nic);
        desk.until(|nic| nic.got.len() == room);
    }
    assert!(lock(&desk.nic).got.iter().enumerate().all(|(n, frame)| frame[0] == n as u8));
}

#[test]
fn a_stopped_port_leaves_the_device_alone() {
    let mut desk = desk(usize::MAX);
    let port = lock(&desk.nic).port.take().unwrap();
    port.set_running(false);
    desk.feed(0..5, 100);
    std::thread::sleep(Duration::from_millis(20));
    assert!(lock(&desk.nic).got.is_empty());
    port.set_running(true);
    desk.until(|nic| nic.got.len() == 5);
}

#[test]
fn a_pulled_plug_loses_frames_and_keeps_the_cable() {
    let mut desk = desk(usize::MAX);
    lock(&desk.nic).port.as_ref().unwrap().set_pulled(true);
    desk.until(|nic| nic.links == [true, false]);
    lock(&desk.nic).port.as_ref().unwrap().send(&[&[1; 60]]);
    desk.feed(0..3, 60);
    lock(&desk.nic).port.as_ref().unwrap().set_pulled(false);
    desk.until(|nic| nic.links == [true, false, true]);
    desk.feed(9..10, 60);
    desk.until(|nic| nic.got.last().is_some_and(|frame| frame[0] == 9));
    assert_eq!(lock(&desk.nic).port.as_ref().unwrap().counters().dropped, 1);
}

#[test]
fn a_dead_cable_is_reported_once_and_another_can_be_plugged_in() {
    let mut desk = desk(usize::MAX);
    desk.feed(0..1, 60);
    let (near, far) = UnixStream::pair().unwrap();
    desk.far = far;
    assert!(matches!(desk.lost.recv_timeout(LIMIT).unwrap(), LinkLost::Closed));
    desk.until(|nic| nic.links == [true, false] && nic.got.len() == 1);
    lock(&desk.nic).port.as_ref().unwrap().send(&[&[0; 60]]);
    assert_eq!(lock(&desk.nic).port.as_ref().unwrap().counters().dropped, 1);
    lock(&desk.nic).port.as_ref().unwrap().plug(near);
    desk.feed(1..3, 60);
    desk.until(|nic| nic.links == [true, false, true] && nic.got.len() == 3);
    lock(&desk.nic).port.as_ref().unwrap().unplug();
    desk.until(|nic| nic.links == [true, false, true, false]);
    assert!(desk.lost.try_recv().is_err());
}

#[test]
fn a_hang_up_is_noticed_while_a_frame_is_held() {
    let mut desk = desk(0);
    desk.feed(0..1, 60);
    let (_near, far) = UnixStream::pair().unwrap();
    desk.far = far;
    assert!(matches!(desk.lost.recv_timeout(LIMIT).unwrap(), LinkLost::Closed));
}

#[test]
fn nonsense_takes_the_link_down() {
    let mut desk = desk(usize::MAX);
    desk.feed(0..2, 60);
    desk.far.write_all(b"HTTP/1.1 200 OK").unwrap();
    let LinkLost::Nonsense(BadFrame { length }) = desk.lost.recv_timeout(LIMIT).unwrap() else { panic!() };
    assert_eq!(length, u32::from_be_bytes(*b"HTTP"));
    desk.until(|nic| nic.links == [true, false]);
    assert_eq!(lock(&desk.nic).got.len(), 2);
    assert_eq!(desk.far.read(&mut [0]).unwrap(), 0, "the stream is closed");
}

#[test]
fn a_device_that_goes_takes_its_port_along() {
    let mut desk = desk(usize::MAX);
    desk.feed(0..100, 1000);
    desk.nic = Arc::new(Mutex::new(Nic { room: 0, got: Vec::new(), links: Vec::new(), port: None }));
    assert!(matches!(desk.far.read(&mut [0]), Ok(0) | Err(_)));
}
