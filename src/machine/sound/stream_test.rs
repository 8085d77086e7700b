use super::*;

const MS: Duration = Duration::from_millis(1);
const SHAPE: Shape = Shape { rate: 48_000, channels: 2 };

/// A guest that plays its frames' numbers, and remembers what it heard.
#[derive(Default)]
struct Guest {
    played: i32,
    /// Frames that it has ready, when it is late.
    ready: Option<usize>,
    heard: Vec<i32>,
    largest: usize,
}

impl Pcm for Guest {
    fn play(&mut self, stream: u32, samples: &mut [i32]) -> usize {
        assert_eq!(stream, 3);
        samples.fill(0);
        let frames = (samples.len() / 2).min(self.ready.unwrap_or(usize::MAX));
        self.largest = self.largest.max(samples.len() / 2);
        for frame in samples.chunks_exact_mut(2).take(frames) {
            self.played += 1;
            frame.copy_from_slice(&[self.played, -self.played]);
        }
        if let Some(ready) = &mut self.ready {
            *ready -= frames;
        }
        frames
    }

    fn record(&mut self, stream: u32, samples: &[i32]) -> usize {
        assert_eq!(stream, 3);
        self.heard.extend(samples.iter().step_by(2));
        samples.len() / 2
    }
}

struct Bench {
    stream: Stream,
    guest: Guest,
    now: Duration,
    ring: Arc<Ring>,
}

impl Bench {
    fn new(direction: Direction) -> Self {
        let now = Duration::from_secs(5);
        let stream = Stream::new(3, direction, SHAPE, now);
        let (ring, _) = Ring::create(stream.layout()).unwrap();
        Self { stream, guest: Guest::default(), now, ring }
    }

    fn connect(&mut self) {
        self.stream.connect(Some(Arc::clone(&self.ring)), self.now);
    }

    fn turn(&mut self, rung: bool) -> Duration {
        self.stream.turn(self.now, rung, &mut self.guest)
    }

    /// Goes on by its own deadlines for so long.
    fn alone(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.turn(false);
            assert!(next > self.now, "it must not spin");
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
        }
    }
}

#[test]
fn with_nobody_there_ten_minutes_pass_in_ten_minutes() {
    let mut bench = Bench::new(Direction::Playback);
    bench.alone(Duration::from_secs(600));
    bench.turn(false);
    assert_eq!(bench.guest.played, 48_000 * 600);
    assert!(bench.guest.largest <= 240);
    let mut bench = Bench::new(Direction::Capture);
    bench.alone(Duration::from_secs(600));
    bench.turn(false);
    assert_eq!(bench.guest.heard.len(), 48_000 * 600);
    assert!(bench.guest.heard.iter().all(|sample| *sample == 0));
}

#[test]
fn a_listener_has_the_clock_and_the_ring_stays_filled() {
    let mut bench = Bench::new(Direction::Playback);
    bench.connect();
    bench.turn(false);
    let mut listener = Consumer::new(Arc::clone(&bench.ring));
    assert_eq!((listener.fill(), bench.guest.played), (960, 0), "what is there in advance is nobody's");
    let (mut out, mut all) = ([0; 2 * 480], Vec::new());
    for _ in 0..1000 {
        // Its clock is a little fast, and it is the only one.
        bench.now += MS * 99 / 10;
        assert_eq!(listener.read(&mut out), 480);
        all.extend(out.iter().step_by(2).copied());
        let next = bench.turn(true);
        assert_eq!((listener.fill(), next), (960, bench.now + PATIENCE));
    }
    assert!(all.iter().copied().eq(std::iter::repeat_n(0, 960).chain(1..=480_000 - 960)));
    assert_eq!(bench.guest.played, 480_000, "as much as was heard");
}

#[test]
fn a_listener_says_what_it_wants_within_reason_and_gets_no_gap_for_it() {
    let mut bench = Bench::new(Direction::Playback);
    bench.connect();
    let mut listener = Consumer::new(Arc::clone(&bench.ring));
    for (wanted, fill) in [(0, 960), (1440, 1440), (1, 1440), (u32::MAX, 7200), (2000, 7200)] {
        listener.want(wanted);
        bench.turn(true);
        assert_eq!((listener.fill(), bench.guest.played), (fill, 0), "silence before the song");
    }
    let mut out = vec![0; 2 * 6000];
    listener.read(&mut out);
    bench.turn(true);
    assert_eq!((listener.fill(), bench.guest.played), (2000, 800));
    // It wants more in the middle of the song, and has it only when it has run dry.
    listener.want(1);
    listener.skip_to_newest(0);
    bench.turn(true);
    assert_eq!((listener.fill(), bench.guest.played), (240, 1040));
    let mut other = Bench::new(Direction::Playback);
    other.connect();
    other.turn(false);
    let mut listener = Consumer::new(Arc::clone(&other.ring));
    listener.read(&mut out[..2 * 480]);
    other.turn(true);
    listener.want(1440);
    other.turn(true);
    assert_eq!((listener.fill(), other.guest.played), (960, 480));
    assert_eq!(listener.read(&mut out), 960);
    assert!(out[2 * 480..2 * 960].iter().step_by(2).copied().eq(1..=480));
    other.turn(true);
    assert_eq!((listener.fill(), other.guest.played), (1440, 480 + 960));
}

#[test]
fn a_listener_that_dies_and_comes_back_hears_every_frame_once_or_never() {
    let mut bench = Bench::new(Direction::Playback);
    bench.connect();
    bench.turn(false);
    bench.alone(PATIENCE - MS);
    assert_eq!(bench.guest.played, 0, "a listener may take its time");
    bench.alone(MS * 10_001);
    bench.turn(false);
    assert_eq!(bench.guest.played, 480_000, "and the guest goes on at its rate without one");
    let mut listener = Consumer::new(Arc::clone(&bench.ring));
    let mut out = [0; 2 * 480];
    assert_eq!((listener.read(&mut out), out[0]), (480, 0));
    bench.turn(true);
    assert_eq!(bench.guest.played, 480_000 + 480);
    listener.skip_to_newest(480);
    assert_eq!((listener.read(&mut out), out[0]), (480, 480_000 + 1), "the newest, and none twice");
}

#[test]
fn bells_without_reading_do_not_stall_the_guest() {
    let mut bench = Bench::new(Direction::Playback);
    bench.connect();
    for _ in 0..1000 {
        bench.now += MS;
        bench.turn(true);
    }
    // The first ring found nothing to read, and counted.
    assert_eq!(bench.guest.played, 48 * 919);
}

#[test]
fn counters_of_a_hostile_listener_move_nothing_out_of_bounds() {
    let mut bench = Bench::new(Direction::Playback);
    bench.connect();
    bench.turn(false);
    let mut state = 1_u64;
    for _ in 0..10_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bench.now += MS;
        // It reads as much as it likes, whenever it likes, and wants anything.
        let mut hostile = Consumer::new(Arc::clone(&bench.ring));
        hostile.want(state as u32);
        hostile.read(&mut vec![0; (state >> 40) as usize % 4096]);
        let next = bench.turn(state & 1 == 0);
        assert!(next > bench.now);
    }
    // As fast as it reads, and no faster.
    assert!(bench.guest.played > 48 * 10_000);
}

#[test]
fn a_guest_that_is_late_is_no_silence_as_long_as_the_ring_bridges_it() {
    let mut bench = Bench::new(Direction::Playback);
    bench.guest.ready = Some(1000);
    bench.connect();
    bench.turn(false);
    let mut listener = Consumer::new(Arc::clone(&bench.ring));
    let mut out = [0; 2 * 480];
    for fill in [960, 960, 520] {
        assert_eq!(listener.read(&mut out), 480);
        bench.turn(true);
        assert_eq!(listener.fill(), fill);
    }
    bench.guest.ready = Some(5000);
    assert_eq!(listener.read(&mut out), 480);
    bench.turn(true);
    assert_eq!(listener.fill(), 960);
    let mut all = vec![0; 2 * 960];
    listener.read(&mut all);
    assert!(all.iter().step_by(2).copied().eq(961..=1920));
    // One that has nothing at all keeps a listener that knocks.
    bench.guest.ready = Some(0);
    for _ in 0..100 {
        bench.now += MS * 10;
        assert_eq!(bench.turn(true), bench.now + PATIENCE);
    }
}

#[test]
fn a_microphone_has_the_clock_while_it_is_there() {
    let mut bench = Bench::new(Direction::Capture);
    bench.alone(MS * 100);
    let silence = bench.guest.heard.len();
    assert!((4320..=4800).contains(&silence), "{silence}");
    bench.connect();
    let mut microphone = Producer::new(Arc::clone(&bench.ring));
    let mut said = 0;
    let mut say = |microphone: &mut Producer| {
        let frames: Vec<i32> = (said + 1..=said + 480).flat_map(|sample| [sample, -sample]).collect();
        said += microphone.write(&frames) as i32;
    };
    for _ in 0..100 {
        bench.now += MS * 11;
        say(&mut microphone);
        bench.turn(true);
    }
    assert!(bench.guest.heard[silence..].iter().copied().eq(1..=48_000));
    // Gone: silence after a while. Back: the newest, not what waited.
    bench.alone(MS * 1200);
    let silence = bench.guest.heard.len();
    assert!((95_000 - 48_000 - 1000..=silence).contains(&48_000), "{silence}");
    for _ in 0..10 {
        say(&mut microphone);
    }
    bench.turn(true);
    assert!(bench.guest.heard[silence..].iter().copied().eq(48_000 + 4800 - 959..=48_000 + 4800));
    // More than can be new.
    for _ in 0..30 {
        say(&mut microphone);
    }
    bench.turn(true);
    assert_eq!(bench.guest.heard.len(), silence + 1920);
}

#[test]
fn absurd_shapes_are_bounded() {
    for shape in [Shape { rate: 0, channels: 0 }, Shape { rate: u32::MAX, channels: 255 }] {
        struct Any;
        impl Pcm for Any {
            fn play(&mut self, _: u32, samples: &mut [i32]) -> usize {
                samples.len() * 1000
            }
            fn record(&mut self, _: u32, _: &[i32]) -> usize {
                usize::MAX
            }
        }
        let mut stream = Stream::new(0, Direction::Playback, shape, Duration::ZERO);
        let (ring, _) = Ring::create(stream.layout()).unwrap();
        stream.connect(Some(ring), Duration::ZERO);
        stream.turn(MS, true, &mut Any);
        stream.turn(MS * 5000, false, &mut Any);
    }
}

#[test]
fn a_song_after_a_pause_begins_with_silence_again() {
    let mut bench = Bench::new(Direction::Playback);
    bench.guest.ready = Some(480);
    bench.connect();
    bench.turn(false);
    let mut listener = Consumer::new(Arc::clone(&bench.ring));
    let mut out = [1; 2 * 960];
    listener.read(&mut out);
    bench.turn(true);
    assert_eq!((listener.fill(), bench.guest.played), (480, 480));
    listener.read(&mut out[..2 * 240]);
    // What is left of the last song is heard first.
    bench.guest.ready = None;
    bench.stream.start_again(bench.now);
    bench.turn(true);
    assert_eq!((listener.fill(), bench.guest.played), (960, 480), "and the next has not begun");
    assert_eq!(listener.read(&mut out), 960);
    assert!(out.iter().step_by(2).copied().eq((241..=480).chain(std::iter::repeat_n(0, 720))));
    bench.turn(true);
    assert_eq!((listener.fill(), bench.guest.played), (960, 480 + 960));
}
