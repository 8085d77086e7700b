use api::pcm::{Heard, Producer};
use hound::WavReader;
use std::os::unix::fs::FileExt;

use super::*;

const MS: Duration = Duration::from_millis(1);

struct Bench {
    tape: Tape,
    file: File,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let (file, now) = (tempfile::tempfile().unwrap(), Instant::now());
        Self { tape: Tape::new(file.try_clone().unwrap(), now), file, now }
    }

    /// The guest begins to play.
    fn play(&mut self, stream: u32, layout: Layout) -> (Producer, Bell, Option<Stop>) {
        let (ring, memfd) = Ring::create(layout).unwrap();
        let other = Ring::map(memfd, layout).unwrap();
        let (ours, theirs) = Bell::pair().unwrap();
        let event = SoundEvent::Playback { stream, ring: other, bell: Arc::new(theirs) };
        let stop = self.tape.follow(event, self.now).unwrap();
        (Producer::new(ring), ours, stop)
    }

    fn pass(&mut self, milliseconds: u32) -> Option<Stop> {
        self.now += MS * milliseconds;
        self.tape.turn(self.now).unwrap()
    }

    fn samples(&self) -> Vec<i32> {
        self.tape.finish().unwrap();
        let mut bytes = vec![0; self.file.metadata().unwrap().len() as usize];
        self.file.read_exact_at(&mut bytes, 0).unwrap();
        WavReader::new(&bytes[..]).unwrap().into_samples().collect::<Result<_, _>>().unwrap()
    }
}

fn layout() -> Layout {
    Layout::new(8_000, 1).unwrap()
}

fn pieces(of: &[(i32, usize)]) -> Vec<i32> {
    of.iter().flat_map(|(sample, count)| std::iter::repeat_n(*sample, *count)).collect()
}

#[test]
fn a_place_in_the_file_is_a_moment() {
    let mut bench = Bench::new();
    assert_eq!((bench.pass(500), bench.tape.recorded(), bench.tape.is_playing()), (None, None, false));
    let (mut guest, bell, stop) = bench.play(0, layout());
    assert_eq!((stop, guest.wanted(), bell.hear()), (None, 1200, Heard::Ring));
    guest.write(&[7; 100]);
    bench.pass(10);
    assert_eq!((guest.fill(), bell.hear()), (20, Heard::Ring));
    bench.pass(10);
    guest.write(&[8; 80]);
    bench.pass(5);
    let event = SoundEvent::Ended { stream: 0 };
    bench.tape.follow(event, bench.now).unwrap();
    // It is the guest's no longer, but what was in it is played.
    guest.write(&[9; 80]);
    bench.pass(475);
    assert!(!bench.tape.is_playing());
    assert_eq!(bench.samples(), pieces(&[(0, 4000), (7, 100), (0, 60), (8, 80), (0, 3760)]));
}

#[test]
fn what_the_last_one_left_is_heard_with_the_next() {
    let mut bench = Bench::new();
    let (mut first, ..) = bench.play(0, layout());
    first.write(&[1; 50]);
    let (mut second, ..) = bench.play(0, layout());
    second.write(&[i32::MAX; 20]);
    let (mut third, ..) = bench.play(1, layout());
    third.write(&[-5; 100]);
    bench.pass(20);
    let (all, two) = (i32::MAX - 5, -4);
    assert_eq!(bench.samples(), pieces(&[(all, 20), (two, 30), (-5, 50), (0, 60)]));
    // However often an engine says so, it has no more than two rings a stream.
    for _ in 0..100 {
        let (mut guest, ..) = bench.play(0, layout());
        guest.write(&[1; 50]);
    }
    assert_eq!(bench.tape.lines.len(), 3);
}

#[test]
fn a_file_has_one_layout() {
    let mut bench = Bench::new();
    let (mut guest, ..) = bench.play(0, layout());
    guest.write(&[7; 8]);
    bench.pass(1);
    let larger = Layout { frames: 4096, ..layout() };
    assert_eq!(bench.play(0, larger).2, None, "a ring's size is nobody's business");
    for other in [Layout { rate: 16_000, ..layout() }, Layout { channels: 2, ..layout() }] {
        assert_eq!(bench.play(1, other).2, Some(Stop::Other(other)));
    }
    assert_eq!(bench.samples(), [7; 8]);
}

#[test]
fn the_last_frames_are_taken_and_no_more() {
    let mut bench = Bench::new();
    let (mut guest, ..) = bench.play(0, layout());
    guest.write(&[7; 1000]);
    bench.pass(10);
    bench.tape.take_rest().unwrap();
    assert_eq!(bench.samples(), [7; 1000]);
}

#[test]
fn a_full_file_is_said() {
    let mut bench = Bench::new();
    let wide = Layout::new(384_000, 8).unwrap();
    let (_guest, _bell, stop) = bench.play(0, wide);
    assert_eq!((stop, bench.pass(1000)), (None, None));
    assert_eq!(bench.pass(400_000), Some(Stop::Full));
    assert!(bench.tape.recorded().unwrap().1 < 350 * 384_000);
}

#[test]
fn each_second_of_it_can_be_played() {
    let mut bench = Bench::new();
    let (mut guest, ..) = bench.play(0, layout());
    for _ in 0..10 {
        guest.write(&[7; 800]);
        bench.pass(100);
    }
    let bytes = bench.file.metadata().unwrap().len();
    assert_eq!(bytes, 68 + 4 * 8000);
    bench.pass(100);
    assert_eq!(bench.file.metadata().unwrap().len(), bytes);
}

#[test]
fn a_disk_that_takes_nothing_is_told() {
    let now = Instant::now();
    let file = File::options().write(true).open("/dev/full").unwrap();
    let mut tape = Tape::new(file, now);
    let (ring, memfd) = Ring::create(layout()).unwrap();
    let (_ours, theirs) = Bell::pair().unwrap();
    let ring = Ring::map(memfd, ring.layout()).unwrap();
    assert!(tape.follow(SoundEvent::Playback { stream: 0, ring, bell: Arc::new(theirs) }, now).is_err());
}
