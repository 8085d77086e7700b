use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::net::UnixStream;
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

#[test]
fn a_cable_in_anothers_place_is_seen_by_the_guest() {
    let mut desk = desk(usize::MAX);
    let (near, far) = UnixStream::pair().unwrap();
    let began = Instant::now();
    lock(&desk.nic).port.as_ref().unwrap().plug(near);
    desk.until(|nic| nic.links == [true, false]);
    assert_eq!(desk.far.read(&mut [0]).unwrap(), 0, "the old cable is out");
    desk.far = far;
    desk.until(|nic| nic.links == [true, false, true]);
    assert!(began.elapsed() >= CHANGE_OVER);
    desk.feed(7..8, 60);
    desk.until(|nic| nic.got.last().is_some_and(|frame| frame[0] == 7));
    assert!(desk.lost.try_recv().is_err(), "that is no loss");
}

#[test]
fn the_end_of_an_old_cable_is_not_that_of_the_new_one() {
    let shared = Arc::new(Shared::new().unwrap());
    let mut mover = Mover::new(Arc::clone(&shared), |_| ());
    let port = Port::on_bench(shared);
    let mut far = None;
    for _ in 0..3 {
        let (near, other) = UnixStream::pair().unwrap();
        // The helper of the old one ends at the same time.
        far.replace(other);
        port.plug(near);
        mover.wait();
        assert!(mover.obey());
        mover.step().unwrap();
    }
    drop(far);
    mover.wait();
    assert!(matches!(mover.step(), Err(LinkLost::Closed)));
}

#[test]
fn a_cable_changed_during_a_pause_is_seen_by_the_guest() {
    let mut desk = desk(usize::MAX);
    let port = lock(&desk.nic).port.take().unwrap();
    for rounds in 1..=2 {
        port.set_running(false);
        if rounds == 2 {
            port.unplug();
            std::thread::sleep(Duration::from_millis(20));
        }
        let (near, far) = UnixStream::pair().unwrap();
        port.plug(near);
        desk.far = far;
        std::thread::sleep(CHANGE_OVER + Duration::from_millis(200));
        let mut links = [true, false].repeat(rounds);
        assert_eq!(lock(&desk.nic).links, links[..2 * rounds - 1], "it stands");
        let began = Instant::now();
        port.set_running(true);
        desk.until(|nic| nic.links == links);
        links.push(true);
        desk.until(|nic| nic.links == links);
        assert!(began.elapsed() >= CHANGE_OVER, "the guest's time, not the pause's");
    }
    desk.feed(7..8, 60);
    desk.until(|nic| nic.got.len() == 1);
}

#[test]
fn a_tap_gives_and_takes_whole_frames() {
    // Packets of a socket stand in for a tap's: a device needs privileges.
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let desk = desk(usize::MAX);
    // Whoever opened it may have left it blocking.
    lock(&desk.nic).port.as_ref().unwrap().plug(Cable::tap(near).unwrap());
    desk.until(|nic| nic.links == [true, false, true]);
    for length in [14, 60, 1514, 9000] {
        rustix::io::write(&far, &vec![7; length]).unwrap();
        desk.until(|nic| nic.got.last().is_some_and(|frame| *frame == vec![7; length]));
    }
    fcntl_setfl(&far, fcntl_getfl(&far).unwrap() | OFlags::NONBLOCK).unwrap();
    for length in [60, 1514, 14] {
        lock(&desk.nic).port.as_ref().unwrap().send(&[&[8; 10], &vec![9; length - 10]]);
        let end = Instant::now() + LIMIT;
        let mut frame = [0; 2000];
        let got = loop {
            match rustix::io::read(&far, &mut frame) {
                Err(Errno::AGAIN) => assert!(Instant::now() < end, "waited too long"),
                other => break other.unwrap(),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!((got, &frame[..12]), (length, &[&[8; 10][..], &[9; 2]].concat()[..]));
    }
    drop(far);
    assert!(matches!(desk.lost.recv_timeout(LIMIT).unwrap(), LinkLost::Closed));
}

#[test]
fn what_passes_is_captured() {
    let mut desk = desk(usize::MAX);
    let mut file = tempfile::tempfile().unwrap();
    let nic = Arc::clone(&desk.nic);
    let port = |act: &mut dyn FnMut(&Port)| act(lock(&nic).port.as_ref().unwrap());
    // Numbers that occur nowhere else in the file.
    desk.feed(0xa0..0xa1, 100);
    desk.until(|nic| nic.got.len() == 1);
    let copy = file.try_clone().unwrap();
    port(&mut |port| port.capture(copy.try_clone().unwrap(), "net0", [0; 6], |_| panic!()).unwrap());
    desk.feed(0xa1..0xa4, 100);
    desk.until(|nic| nic.got.len() == 4);
    for number in 0..5 {
        port(&mut |port| port.send(&[&[0xee; 14], &[number; 50]]));
        desk.far.read_exact(&mut [0; 68]).unwrap();
    }
    port(&mut |port| {
        assert!(port.is_captured() && port.end_capture().unwrap());
        assert!(!port.is_captured() && !port.end_capture().unwrap());
    });
    desk.feed(0xa4..0xa5, 100);
    desk.until(|nic| nic.got.len() == 5);
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let count = |frame: &[u8]| bytes.windows(frame.len()).filter(|window| *window == frame).count();
    assert_eq!([0xa0, 0xa1, 0xa2, 0xa3, 0xa4].map(|number: u8| count(&[number; 100])), [0, 1, 1, 1, 0]);
    assert_eq!([0, 1, 2, 3, 4].map(|number: u8| count(&[&[0xee; 14][..], &[number; 50]].concat())), [1; 5]);
}
