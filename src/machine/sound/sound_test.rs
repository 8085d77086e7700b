use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use api::pcm::{Bell, Consumer, Layout, Producer, Ring};
use api::ui::ToConsole;
use sound::Shape;

use super::*;

const SHAPE: Shape = Shape { rate: 48_000, channels: 2 };
const SOON: Duration = Duration::from_secs(20);

/// A device that plays its frames' numbers.
#[derive(Default)]
struct Device {
    played: i32,
    recorded: usize,
    loud: usize,
    turns: usize,
}

impl Pcm for Device {
    fn play(&mut self, stream: u32, samples: &mut [i32]) -> usize {
        assert_eq!(stream, 0);
        for frame in samples.chunks_exact_mut(2) {
            self.played += 1;
            frame.fill(self.played);
        }
        samples.len() / 2
    }

    fn record(&mut self, stream: u32, samples: &[i32]) -> usize {
        assert_eq!(stream, 1);
        self.recorded += samples.len() / 2;
        self.loud += samples.iter().filter(|sample| **sample != 0).count() / 2;
        samples.len() / 2
    }

    fn turn_done(&mut self) {
        self.turns += 1;
    }
}

struct Bench {
    sound: Sound,
    device: Arc<Mutex<Device>>,
}

type Heard = Arc<Mutex<Vec<(ToConsole, Vec<OwnedFd>)>>>;

impl Bench {
    fn new() -> Self {
        let sound = Sound::new(&[Direction::Playback, Direction::Capture], || ()).unwrap();
        let device = Arc::new(Mutex::new(Device::default()));
        let weak: Weak<Mutex<dyn Pcm>> = Arc::<Mutex<Device>>::downgrade(&device);
        sound.connect(weak);
        sound.set_running(true);
        Self { sound, device }
    }

    fn listen(&self, console: u64, playback: bool, capture: bool) -> Heard {
        let heard = Heard::default();
        let told = Arc::clone(&heard);
        let tell: Tell = Box::new(move |message, fds| {
            let fds = fds.iter().map(|fd| fd.try_clone_to_owned().unwrap()).collect();
            lock(&told).push((message.clone(), fds));
            true
        });
        self.sound.listen(Listener { console, playback, capture, tell });
        heard
    }

    fn played(&self) -> i32 {
        lock(&self.device).played
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn next(heard: &Heard) -> (ToConsole, Vec<OwnedFd>) {
    until("a message", || !lock(heard).is_empty());
    lock(heard).remove(0)
}

/// The other end of a ring.
fn ring(heard: &Heard, is_playback: bool) -> (Arc<Ring>, Bell) {
    let (message, fds) = next(heard);
    let offer = match message {
        ToConsole::Playback(offer) if is_playback => offer,
        ToConsole::Capture(offer) if !is_playback => offer,
        other => panic!("{other:?}"),
    };
    assert_eq!(offer.layout, Layout::new(48_000, 2).unwrap());
    let [memfd, bell] = fds.try_into().unwrap();
    (Ring::map(memfd, offer.layout).unwrap(), Bell::over(bell))
}

#[test]
fn nothing_ticks_without_a_stream_and_a_stream_runs_without_a_listener() {
    let bench = Bench::new();
    let jack = bench.sound.jack(0).unwrap();
    assert!(bench.sound.jack(2).is_none());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(lock(&bench.device).turns, 0);
    let began = Instant::now();
    jack.start(SHAPE);
    until("sound", || bench.played() > 9600);
    assert!(began.elapsed() >= Duration::from_millis(200), "no faster than it is");
    jack.stop();
    until("rest", || {
        let turns = lock(&bench.device).turns;
        std::thread::sleep(Duration::from_millis(100));
        lock(&bench.device).turns == turns
    });
    assert_eq!(jack.delay(), 0);
}

#[test]
fn a_listener_gets_a_ring_and_every_frame_of_it() {
    let bench = Bench::new();
    let heard = bench.listen(1, true, false);
    let jack = bench.sound.jack(0).unwrap();
    jack.start(SHAPE);
    let (ring_, bell) = ring(&heard, true);
    let mut listener = Consumer::new(ring_);
    until("a full ring", || listener.fill() == 960);
    let mut silence = [1; 1920];
    assert_eq!((listener.read(&mut silence), silence), (960, [0; 1920]));
    bell.ring();
    let mut last = (0, Instant::now());
    let mut out = [0; 960];
    for _ in 0..50 {
        until("a full ring", || listener.fill() == 960);
        assert_eq!((jack.delay(), listener.read(&mut out)), (960, 480));
        // Unless this test had to wait so long for its computer that it was taken for dead.
        if last.1.elapsed() < Duration::from_millis(40) {
            assert_eq!(out[0], last.0 + 1);
        }
        assert!(out[0] > last.0 && out[959] == out[0] + 479);
        last = (out[959], Instant::now());
        bell.ring();
    }
    listener.set_unheard(100);
    until("a full ring", || jack.delay() == 1060);
    // Stopped and started as guests do, it is the same ring; stopped for long, there is none.
    jack.stop();
    std::thread::sleep(Duration::from_millis(50));
    jack.start(SHAPE);
    assert!(lock(&heard).is_empty());
    jack.stop();
    assert!(matches!(next(&heard).0, ToConsole::StreamEnded { stream: 0 }));
    jack.start(SHAPE);
    ring(&heard, true);
}

#[test]
fn one_console_has_the_sound_at_a_time() {
    let bench = Bench::new();
    let jack = bench.sound.jack(0).unwrap();
    jack.start(SHAPE);
    let one = bench.listen(1, true, false);
    let kept = ring(&one, true);
    let other = bench.listen(2, true, false);
    let _kept_too = ring(&other, true);
    assert!(matches!(next(&one).0, ToConsole::StreamEnded { stream: 0 }));
    // The first has nothing to give up any more.
    bench.sound.leave(1);
    drop(kept);
    std::thread::sleep(Duration::from_millis(20));
    assert!(lock(&other).is_empty());
    // A third one comes and goes: the second has the sound again.
    let third = bench.listen(3, true, false);
    let _kept_as_well = ring(&third, true);
    assert!(matches!(next(&other).0, ToConsole::StreamEnded { stream: 0 }));
    bench.sound.leave(3);
    let _kept_again = ring(&other, true);
    // Who has a ring and does not read it is nobody after a while.
    until("nobody", || jack.delay() == 0);
    let before = bench.played();
    until("sound", || bench.played() > before + 960);
    bench.sound.leave(2);
    assert!(matches!(next(&other).0, ToConsole::StreamEnded { stream: 0 }));
    until("nobody", || jack.delay() == 0);
}

#[test]
fn a_console_that_dies_leaves_a_guest_that_plays_on() {
    let bench = Bench::new();
    bench.sound.jack(0).unwrap().start(SHAPE);
    let heard = bench.listen(1, true, false);
    drop(ring(&heard, true));
    // Its bell is gone, and it is not asked again and again.
    let before = bench.played();
    until("sound", || bench.played() > before + 4800);
    assert!(lock(&heard).is_empty());
}

#[test]
fn the_guest_hears_when_the_person_lets_it() {
    let bench = Bench::new();
    bench.sound.jack(1).unwrap().start(SHAPE);
    let heard = bench.listen(1, true, false);
    until("silence", || lock(&bench.device).recorded > 960);
    assert!(lock(&heard).is_empty() && lock(&bench.device).loud == 0);
    let heard = bench.listen(1, true, true);
    let (ring_, bell) = ring(&heard, false);
    let mut microphone = Producer::new(ring_);
    microphone.write(&[7; 960]);
    bell.ring();
    until("sound", || lock(&bench.device).loud == 480);
    let heard = bench.listen(1, true, false);
    assert!(matches!(next(&heard).0, ToConsole::StreamEnded { stream: 1 }));
}

#[test]
fn a_machine_that_stands_calls_no_device() {
    let bench = Bench::new();
    bench.sound.jack(0).unwrap().start(SHAPE);
    let heard = bench.listen(1, true, false);
    let _ring = ring(&heard, true);
    bench.sound.set_running(false);
    let turns = lock(&bench.device).turns;
    assert!(matches!(next(&heard).0, ToConsole::StreamEnded { stream: 0 }));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(lock(&bench.device).turns, turns);
    bench.sound.set_running(true);
    ring(&heard, true);
}

#[test]
fn a_console_that_takes_no_messages_is_told_later() {
    let bench = Bench::new();
    bench.sound.jack(0).unwrap().start(SHAPE);
    let tries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&tries);
    let tell: Tell = Box::new(move |_, _| {
        *lock(&counted) += 1;
        *lock(&counted) > 2
    });
    bench.sound.listen(Listener { console: 1, playback: true, capture: false, tell });
    until("tries", || *lock(&tries) >= 3);
    assert!(bench.played() >= 4800, "and the guest plays on meanwhile");
}
