use super::*;

fn layout() -> Layout {
    Layout { rate: 48_000, channels: 2, frames: 256 }
}

fn ends() -> (Producer, Consumer, Arc<Ring>) {
    let (ring, memfd) = Ring::create(layout()).unwrap();
    let other = Ring::map(&memfd, layout()).unwrap();
    (Producer::new(Arc::clone(&ring)), Consumer::new(other), ring)
}

/// Frames whose samples say where they stand.
fn frames(from: i32, count: i32) -> Vec<i32> {
    (from * 2..(from + count) * 2).collect()
}

#[test]
fn frames_come_out_as_they_went_in() {
    let (mut producer, mut consumer, ring) = ends();
    let (mut written, mut read) = (0, 0);
    for step in [1, 100, 7, 256, 300, 3].into_iter().cycle().take(500) {
        written += producer.write(&frames(written, step)) as i32;
        assert_eq!((producer.fill(), consumer.fill(), ring.delay()), {
            let fill = (written - read) as u32;
            (fill, fill, fill)
        });
        let mut out = vec![0; (step * 2 / 3 * 2 + 1) as usize];
        let count = consumer.read(&mut out) as i32;
        assert_eq!(out[..count as usize * 2], frames(read, count));
        read += count;
    }
    assert!(read > 10_000);
    consumer.skip_to_newest(5);
    let mut out = [0; 20];
    assert_eq!(consumer.read(&mut out), 5);
    assert_eq!(out[..10], frames(written - 5, 5));
    consumer.set_unheard(77);
    consumer.want(99);
    assert_eq!((ring.delay(), producer.wanted()), (77, 99));
}

#[test]
fn counters_that_jump_are_a_ring_with_nothing_to_do() {
    let (mut producer, mut consumer, ring) = ends();
    producer.write(&frames(0, 10));
    for nonsense in [u64::MAX / 2, 11, 1 << 63, 10_u64.wrapping_sub(257)] {
        ring.counter(READ).store(nonsense, Ordering::Release);
        assert_eq!((producer.fill(), producer.write(&frames(0, 10)), ring.delay()), (256, 0, 0), "{nonsense}");
    }
    ring.word(UNHEARD).store(u32::MAX, Ordering::Relaxed);
    assert_eq!(ring.delay(), 48_000);
    let mut out = [0; 1000];
    for nonsense in [u64::MAX, 257, 1 << 63] {
        ring.counter(WRITTEN).store(nonsense, Ordering::Release);
        assert_eq!((consumer.fill(), consumer.read(&mut out)), (0, 0), "{nonsense}");
        consumer.skip_to_newest(0);
    }
    // All that fits is believed.
    ring.counter(WRITTEN).store(256, Ordering::Release);
    assert_eq!(consumer.read(&mut out), 256);
}

#[test]
fn counters_go_around() {
    let (ring, _) = Ring::create(layout()).unwrap();
    let start = u64::MAX - 5;
    ring.counter(WRITTEN).store(start, Ordering::Release);
    ring.counter(READ).store(start, Ordering::Release);
    let mut producer = Producer::new(Arc::clone(&ring));
    let mut consumer = Consumer::new(ring);
    assert_eq!(producer.write(&frames(0, 20)), 20);
    let mut out = [0; 40];
    assert_eq!((consumer.read(&mut out), &out[..]), (20, &frames(0, 20)[..]));
}

#[test]
fn memory_that_is_no_ring_is_refused() {
    let (_ring, memfd) = Ring::create(layout()).unwrap();
    for other in [
        Layout { frames: 512, ..layout() },
        Layout { channels: 8, ..layout() },
        Layout { channels: 1, ..layout() },
        Layout { rate: 44_100, ..layout() },
        Layout { frames: 300, ..layout() },
    ] {
        assert!(Ring::map(&memfd, other).is_err(), "{other:?}");
    }
    assert!(Ring::map(std::fs::File::open("/dev/zero").unwrap(), layout()).is_err());
    let open = rustix::fs::memfd_create("open", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&open, 1 << 20).unwrap();
    assert_eq!(Ring::map(&open, layout()).unwrap_err(), BadRing("a memfd that can shrink"));
    rustix::fs::fcntl_add_seals(&open, SealFlags::SHRINK | SealFlags::WRITE).unwrap();
    assert!(Ring::map(&open, layout()).is_err());
}

#[test]
fn two_threads_lose_nothing() {
    let (mut producer, mut consumer, _) = ends();
    const ALL: i32 = 200_000;
    let writer = std::thread::spawn(move || {
        let mut written = 0;
        while written < ALL {
            written += producer.write(&frames(written, 33.min(ALL - written))) as i32;
            std::thread::yield_now();
        }
    });
    let (mut read, mut out) = (0, [0; 100]);
    while read < ALL {
        let count = consumer.read(&mut out) as i32;
        assert_eq!(out[..count as usize * 2], frames(read, count));
        read += count;
        std::thread::yield_now();
    }
    writer.join().unwrap();
}
