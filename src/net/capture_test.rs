use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::sync::mpsc;
use std::time::UNIX_EPOCH;

use super::*;

/// A block as a reader sees it, which knows nothing of the writer.
#[derive(Debug)]
struct Block {
    kind: u32,
    body: Vec<u8>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(wide)
}

fn blocks(mut bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let length = number::<4>(bytes, 4) as usize;
        assert!(length.is_multiple_of(4) && length <= bytes.len(), "a block of {length} bytes");
        assert_eq!(number::<4>(bytes, length - 4) as usize, length, "both lengths are the same");
        blocks.push(Block { kind: number::<4>(bytes, 0) as u32, body: bytes[8..length - 4].to_vec() });
        bytes = &bytes[length..];
    }
    blocks
}

impl Block {
    /// The options behind this many bytes of the body.
    fn options(&self, mut at: usize) -> BTreeMap<u64, Vec<u8>> {
        let mut options = BTreeMap::new();
        loop {
            let (code, length) = (number::<2>(&self.body, at), number::<2>(&self.body, at + 2) as usize);
            at += 4;
            if code == 0 {
                assert_eq!((length, at), (0, self.body.len()), "the end of options is the end");
                return options;
            }
            options.insert(code, self.body[at..at + length].to_vec());
            at += length.next_multiple_of(4);
        }
    }

    /// Time in nanoseconds, flags and bytes of a frame.
    fn frame(&self) -> (u64, Vec<u8>, Vec<u8>) {
        assert_eq!((self.kind, number::<4>(&self.body, 0)), (6, 0));
        let time = number::<4>(&self.body, 4) << 32 | number::<4>(&self.body, 8);
        let length = number::<4>(&self.body, 12) as usize;
        assert_eq!(number::<4>(&self.body, 16) as usize, length);
        let flags = self.options(20 + length.next_multiple_of(4)).remove(&2).unwrap();
        (time, flags, self.body[20..20 + length].to_vec())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn what_is_recorded_is_in_the_file() {
    let mut file = tempfile::tempfile().unwrap();
    let mac = [0x52, 0x54, 0, 1, 2, 3];
    let (capture, recorder) = Capture::begin(file.try_clone().unwrap(), "net0", mac, |_| panic!()).unwrap();
    let before = now();
    // Frames of every remainder of four bytes.
    let frames: Vec<Vec<u8>> = (0..300_usize).map(|n| vec![n as u8; 14 + n]).collect();
    for (n, frame) in frames.iter().enumerate() {
        let direction = if n % 3 == 0 { Direction::Inbound } else { Direction::Outbound };
        assert!(recorder.record(direction, frame));
    }
    let after = now();
    assert!(capture.is_under_way());
    drop(capture);
    assert!(!recorder.record(Direction::Inbound, &[0; 14]), "it has ended");

    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let blocks = blocks(&bytes);
    assert_eq!(blocks.len(), 300 + 3);
    assert_eq!((blocks[0].kind, number::<4>(&blocks[0].body, 0)), (0x0a0d_0d0a, 0x1a2b_3c4d));
    let interface = &blocks[1];
    assert_eq!((interface.kind, number::<2>(&interface.body, 0)), (1, 1));
    let options = interface.options(8);
    assert_eq!((&options[&2][..], &options[&6][..], &options[&9][..]), (&b"net0"[..], &mac[..], &[9][..]));
    let mut last = before;
    for (n, block) in blocks[2..302].iter().enumerate() {
        let (time, flags, frame) = block.frame();
        assert!((last..=after).contains(&time), "{time} is not between {last} and {after}");
        last = time;
        assert_eq!((flags[0], &frame), (if n % 3 == 0 { 1 } else { 2 }, &frames[n]));
    }
    let options = blocks[302].options(12);
    assert_eq!((number::<8>(&options[&4], 0), number::<8>(&options[&5], 0)), (300, 0));
    // Somebody else's reader, where it is installed.
    file.rewind().unwrap();
    if let Ok(tcpdump) = std::process::Command::new("tcpdump").args(["-enr", "-"]).stdin(file).output() {
        let said = String::from_utf8_lossy(&tcpdump.stdout);
        assert!(
            tcpdump.status.success() && said.lines().count() >= 300,
            "{}",
            String::from_utf8_lossy(&tcpdump.stderr)
        );
        assert!(said.contains("07:07:07:07:07:07 > 07:07:07:07:07:07") && said.contains("length 313"), "{said}");
    }
}

#[test]
fn a_full_disk_ends_the_capture_and_says_so() {
    // The device whose disk is always full is no plain file, so the limit is one of this size.
    let file = tempfile::NamedTempFile::new().unwrap();
    let read_only = File::open(file.path()).unwrap();
    assert!(Capture::begin(read_only, "net0", [0; 6], |_| panic!()).is_err(), "it tells at once");

    let (tell, told) = mpsc::channel();
    let file = sealed(4096);
    let (capture, recorder) = Capture::begin(file, "net0", [0; 6], move |error| tell.send(error).unwrap()).unwrap();
    let mut recorded = 0;
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while recorder.record(Direction::Outbound, &[0; 1514]) {
        recorded += 1;
        assert!(std::time::Instant::now() < end, "the capture does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(recorded > 0);
    told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(!capture.is_under_way());
}

#[test]
fn the_end_tells_of_a_file_that_is_not_whole() {
    let header = pcapng::header("net0", [0; 6]).len() as u64;
    // No room for the count at the end, and for nothing else.
    for (size, whole) in [(header + 4, false), (4096, true)] {
        let (tell, told) = mpsc::channel();
        let failed = move |error: io::Error| tell.send(error.to_string()).unwrap();
        let (capture, _recorder) = Capture::begin(sealed(size), "net0", [0; 6], failed).unwrap();
        assert!(capture.is_under_way());
        let ended = capture.end();
        assert_eq!(ended, told.recv().map_or(Ok(()), |why| Err(Unfinished::Refused(why))));
        assert_eq!(ended.is_ok(), whole);
    }
    // Nobody writes.
    let capture = Capture(Arc::default());
    assert_eq!(capture.end_within(Duration::from_millis(5)), Err(Unfinished::Late));
    let began = std::time::Instant::now();
    drop(capture);
    assert!(began.elapsed() < END, "it was waited for");
}

/// A file that cannot become larger.
fn sealed(size: u64) -> File {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let file = File::from(memfd_create("full", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
    file.set_len(size).unwrap();
    fcntl_add_seals(&file, SealFlags::GROW).unwrap();
    file
}

#[test]
fn pipes_are_refused_and_a_queue_is_bounded() {
    let (_near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let pipe = File::from(std::os::fd::OwnedFd::from(far));
    assert!(Capture::begin(pipe, "net0", [0; 6], |_| panic!()).is_err());

    let shared = Arc::new(Shared::default());
    let recorder = Recorder(Arc::clone(&shared));
    let frame = vec![0; 65_000];
    for _ in 0..2 * QUEUE / frame.len() {
        assert!(recorder.record(Direction::Inbound, &frame));
    }
    let queue = shared.lock();
    assert!(queue.bytes.len() <= QUEUE && queue.dropped >= (QUEUE / frame.len()) as u64);
}
