use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use device::bench::ram;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::{Access, Buffer, Disk, Format, GuestRange};

const LONG: Duration = Duration::from_secs(20);

/// A device that tells what it hears.
struct Listener(Sender<(u64, io::Result<()>)>);

impl Completions for Listener {
    fn completed(&mut self, tag: u64, result: io::Result<()>) {
        let _ = self.0.send((tag, result));
    }
}

type Heard = Receiver<(u64, io::Result<()>)>;

fn connect(queue: &DiskQueue) -> (Arc<Mutex<Listener>>, Heard) {
    let (sender, receiver) = channel();
    let listener = Arc::new(Mutex::new(Listener(sender)));
    let weak: Weak<Mutex<Listener>> = Arc::downgrade(&listener);
    queue.connect(weak);
    (listener, receiver)
}

fn raw(bytes: &[u8], access: Access) -> Disk {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, bytes).unwrap();
    Disk::open(file, Format::Raw, access).unwrap()
}

#[test]
fn raw_reads_and_writes_guest_ram() {
    let ram = ram(0x10000);
    let queue = raw(&[7; 1024], Access::ReadWrite).queue(ram.clone()).unwrap();
    let (_device, done) = connect(&queue);
    let to = vec![GuestRange { at: 0x100, len: 3 }, GuestRange { at: 0x2000, len: 509 }];
    queue.submit(Op::Read { at: 512, to }, 1);
    assert!(matches!(done.recv_timeout(LONG), Ok((1, Ok(())))));
    let mut bytes = [0; 4];
    ram.read_slice(&mut bytes, GuestAddress(0x100)).unwrap();
    assert_eq!(bytes, [7, 7, 7, 0]);
    ram.write_slice(&[9; 512], GuestAddress(0x3000)).unwrap();
    queue.submit(Op::Write { at: 0, from: vec![GuestRange { at: 0x3000, len: 512 }], durable: true }, 2);
    assert!(matches!(done.recv_timeout(LONG), Ok((2, Ok(())))));
    let buffer = Buffer::new(vec![0; 1024]);
    queue.submit(Op::ReadBuffer { at: 0, to: buffer.clone() }, 3);
    assert!(matches!(done.recv_timeout(LONG), Ok((3, Ok(())))));
    buffer.with(|bytes| assert!(bytes[..512] == [9; 512] && bytes[512..] == [7; 512]));
    assert_eq!(queue.read(511, 2, LONG).unwrap(), [9, 7]);
    assert_eq!(queue.read(1024, 1, LONG).unwrap_err().kind(), ErrorKind::InvalidInput);
    // What no device asked for is not counted.
    queue.flush(LONG).unwrap();
    let counted =
        BlockStats { rd_operations: 2, rd_bytes: 512 + 1024, wr_operations: 1, wr_bytes: 512, ..BlockStats::default() };
    assert_eq!(queue.counters(), counted);
    queue.close(LONG).unwrap();
    assert!(queue.read(0, 1, LONG).is_err());
}

#[test]
fn the_last_sector_is_whole() {
    let queue = raw(&[1; 700], Access::ReadWrite).queue(ram(0x1000)).unwrap();
    let (_device, done) = connect(&queue);
    assert_eq!(queue.size(), 1024);
    let buffer = Buffer::new(vec![0xff; 512]);
    queue.submit(Op::ReadBuffer { at: 512, to: buffer.clone() }, 0);
    done.recv_timeout(LONG).unwrap().1.unwrap();
    buffer.with(|bytes| assert!(bytes[..188] == [1; 188] && bytes[188..] == [0; 324]));
}

#[test]
fn bad_requests_fail_whole() {
    let ram = ram(0x1000);
    let queue = raw(&[1; 1024], Access::ReadOnly).queue(ram.clone()).unwrap();
    let (_device, done) = connect(&queue);
    let range = |at, len| vec![GuestRange { at, len }];
    for (op, kind) in [
        (Op::Read { at: 513, to: range(0, 512) }, ErrorKind::InvalidInput),
        (Op::Read { at: u64::MAX, to: range(0, 512) }, ErrorKind::InvalidInput),
        (Op::Read { at: 0, to: range(0xf00, 512) }, ErrorKind::InvalidInput),
        (Op::Read { at: 0, to: range(u64::MAX, 512) }, ErrorKind::InvalidInput),
        (
            Op::Read { at: 0, to: vec![GuestRange { at: 0, len: u64::MAX }, GuestRange { at: 0, len: 2 }] },
            ErrorKind::InvalidInput,
        ),
        (Op::Write { at: 0, from: range(0, 512), durable: false }, ErrorKind::ReadOnlyFilesystem),
        (Op::Discard { at: 0, len: 512 }, ErrorKind::ReadOnlyFilesystem),
        (Op::Zero { at: 0, len: 512, unmap: true, durable: false }, ErrorKind::ReadOnlyFilesystem),
    ] {
        queue.submit(op, 0);
        assert_eq!(done.recv_timeout(LONG).unwrap().1.unwrap_err().kind(), kind);
    }
    assert_eq!(queue.counters(), BlockStats::default(), "only what was done counts");
    queue.submit(Op::Flush, 0);
    done.recv_timeout(LONG).unwrap().1.unwrap();
    assert_eq!(queue.counters(), BlockStats { flush_operations: 1, ..BlockStats::default() });
    let mut bytes = [9; 16];
    ram.read_slice(&mut bytes, GuestAddress(0xf00)).unwrap();
    assert_eq!(bytes, [0; 16]);
}

#[test]
fn many_threads_answer_everything_once() {
    let queue = raw(&vec![0; 1 << 20], Access::ReadWrite).queue(ram(0x1000)).unwrap();
    let (_device, done) = connect(&queue);
    for tag in 0..1000 {
        let at = tag % 256 * 4096;
        match tag % 5 {
            0 => queue.submit(Op::Flush, tag),
            1 => queue.submit(Op::Zero { at, len: 4096, unmap: true, durable: false }, tag),
            _ => queue.submit(Op::Write { at, from: vec![GuestRange { at: 0, len: 4096 }], durable: false }, tag),
        }
    }
    queue.drain(LONG).unwrap();
    let mut tags: Vec<u64> = done.try_iter().map(|(tag, result)| result.map(|()| tag).unwrap()).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_device_may_hold_the_last_handle() {
    struct Owner(Option<DiskQueue>, Sender<()>);
    impl Completions for Owner {
        fn completed(&mut self, _: u64, _: io::Result<()>) {
            self.0 = None;
            let _ = self.1.send(());
        }
    }
    let queue = raw(&[0; 512], Access::ReadWrite).queue(ram(0x1000)).unwrap();
    let (sender, receiver) = channel();
    let shared = Arc::downgrade(&queue.shared);
    let owner = Arc::new(Mutex::new(Owner(Some(queue.clone()), sender)));
    let weak: Weak<Mutex<Owner>> = Arc::downgrade(&owner);
    queue.connect(weak);
    queue.submit(Op::Flush, 0);
    drop(queue);
    receiver.recv_timeout(LONG).unwrap();
    let deadline = Instant::now() + LONG;
    while shared.strong_count() > 0 {
        assert!(Instant::now() < deadline, "the threads go on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_flush_is_believed_after_one_failed() {
    let queue = DiskQueue::bench(vec![0; 1024], ram(0x1000), false);
    let (_device, done) = connect(&queue);
    queue.fail_next(ErrorKind::StorageFull);
    queue.submit(Op::Flush, 0);
    queue.submit(Op::Flush, 1);
    assert_eq!(queue.steps(9), 2);
    assert!(done.recv().unwrap().1.is_err());
    assert!(done.recv().unwrap().1.is_ok());
    queue.fail_next(ErrorKind::Other);
    queue.submit(Op::Flush, 2);
    queue.submit(Op::Flush, 3);
    queue.submit(Op::WriteBuffer { at: 0, from: Buffer::new(vec![1; 512]), durable: true }, 4);
    queue.submit(Op::WriteBuffer { at: 0, from: Buffer::new(vec![1; 512]), durable: false }, 5);
    assert_eq!(queue.waiting().len(), 4);
    queue.steps(9);
    let results: Vec<bool> = done.try_iter().map(|(_, result)| result.is_ok()).collect();
    assert_eq!(results, [false, false, false, true]);
    assert!(queue.flush(LONG).is_err());
    assert_eq!(queue.contents()[0], 1);
}

struct Count(Arc<AtomicUsize>);

impl Alarm for Count {
    fn storage_full(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_full_host_holds_requests_back() {
    let queue = DiskQueue::bench(vec![0; 1024], ram(0x1000), false);
    let (_device, done) = connect(&queue);
    let alarms = Arc::new(AtomicUsize::new(0));
    queue.connect_alarm(Box::new(Count(alarms.clone())));
    let write = |byte| Op::WriteBuffer { at: 0, from: Buffer::new(vec![byte; 512]), durable: true };
    queue.fail_next(ErrorKind::StorageFull);
    queue.submit(write(1), 1);
    queue.submit(Op::Flush, 2);
    assert_eq!(queue.steps(9), 2);
    assert_eq!(done.try_iter().map(|(tag, result)| (tag, result.is_ok())).collect::<Vec<_>>(), [(2, true)]);
    assert!(queue.is_full());
    assert_eq!(alarms.load(Ordering::Relaxed), 1);
    // What is held keeps nobody from pausing, and is tried as often as somebody wants.
    queue.drain(Duration::ZERO).unwrap();
    queue.fail_next(ErrorKind::QuotaExceeded);
    queue.retry();
    assert!(queue.drain(Duration::ZERO).is_err());
    assert_eq!(queue.steps(9), 1);
    assert!(queue.is_full());
    assert_eq!(alarms.load(Ordering::Relaxed), 2);
    queue.retry();
    queue.steps(9);
    assert_eq!(done.try_iter().map(|(tag, result)| (tag, result.is_ok())).collect::<Vec<_>>(), [(1, true)]);
    assert!(!queue.is_full());
    assert_eq!(queue.contents()[0], 1);
    // A reset device still hears of what it had asked for.
    queue.fail_next(ErrorKind::StorageFull);
    queue.submit(write(2), 3);
    queue.steps(9);
    queue.abandon();
    assert_eq!(done.try_iter().map(|(tag, result)| (tag, result.is_ok())).collect::<Vec<_>>(), [(3, false)]);
    assert!(!queue.is_full());
    assert_eq!((queue.steps(9), queue.contents()[0]), (0, 1));
}
