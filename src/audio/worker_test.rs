use std::sync::mpsc::channel;

use api::pcm::{Bell, Layout, Ring};

use super::*;
use crate::Audio;

/// What a window has, and its thread, which does nothing by itself here.
struct Bench {
    audio: Audio,
    worker: Worker,
    streams: HashMap<u32, Stream>,
}

impl Bench {
    fn new() -> Self {
        let mut audio = Audio::new(|| ());
        let (orders, received) = channel();
        audio.orders = Some(orders.clone());
        let parts = Parts {
            orders: received,
            back: orders,
            controls: Arc::clone(&audio.controls),
            state: Arc::clone(&audio.state),
            news: Arc::clone(&audio.news),
            changed: Box::new(|| ()),
            playback: None,
            capture: None,
        };
        Self { audio, worker: Worker::new(parts), streams: HashMap::new() }
    }

    /// All that it was told until now, but opens nothing.
    fn obey(&mut self) -> Vec<u32> {
        while let Ok(order) = self.worker.parts.orders.try_recv() {
            self.worker.obey(order, &mut self.streams);
        }
        let mut streams: Vec<_> = self.streams.keys().copied().collect();
        streams.sort_unstable();
        streams
    }

    /// Streams, of which the first plays and the second records, and neither is to be opened soon.
    fn waiting(&mut self) {
        self.audio.handle(event(0, true));
        self.audio.handle(event(1, false));
        assert_eq!(self.obey(), [0, 1]);
        let later = Instant::now() + Duration::from_secs(3600);
        self.streams.values_mut().for_each(|stream| stream.is = Is::Waiting { until: later });
    }

    fn fail(&mut self, stream: u32, words: &'static str) {
        let error = cpal::Error::with_message(ErrorKind::DeviceNotAvailable, words);
        self.worker.obey(Order::Failed { stream, opening: 0, error }, &mut self.streams);
        self.worker.keep(&mut self.streams, Instant::now());
    }

    fn problem(&self) -> String {
        self.audio.state().problem.unwrap_or_default()
    }
}

fn event(stream: u32, playback: bool) -> SoundEvent {
    let (ring, _memfd) = Ring::create(Layout::new(48_000, 2).unwrap()).unwrap();
    let bell = Arc::new(Bell::pair().unwrap().0);
    match playback {
        true => SoundEvent::Playback { stream, ring, bell },
        false => SoundEvent::Capture { stream, ring, bell },
    }
}

#[test]
fn what_comes_after_silence_is_heard() {
    let mut bench = Bench::new();
    bench.audio.handle(event(0, true));
    bench.audio.silence();
    // Another console, before the thread has looked.
    bench.audio.handle(event(1, true));
    assert_eq!(bench.obey(), [1]);
    bench.audio.handle(event(2, true));
    bench.audio.silence();
    assert!(bench.obey().is_empty());
    bench.audio.silence();
    bench.audio.handle(event(3, true));
    bench.audio.handle(event(3, false));
    assert_eq!(bench.obey(), [3]);
    assert!(!bench.streams[&3].playback, "the newest");
}

#[test]
fn what_fails_takes_nothing_of_the_other_direction_along() {
    let mut bench = Bench::new();
    bench.waiting();
    let connect = || Some(Host::deaf());
    bench.worker.hosts = Hosts { playback: connect(), capture: connect() };
    bench.fail(1, "no microphone");
    assert!(bench.worker.hosts.playback.is_some() && bench.worker.hosts.capture.is_none());
    bench.worker.hosts.capture = connect();
    bench.fail(0, "no speaker");
    assert!(bench.worker.hosts.playback.is_none() && bench.worker.hosts.capture.is_some());
    bench.audio.silence();
    assert!(bench.obey().is_empty());
    bench.worker.keep(&mut bench.streams, Instant::now());
    assert!(bench.worker.hosts.capture.is_none(), "nobody needs it any more");
}

#[test]
fn a_problem_stands_as_long_as_its_stream_has_it() {
    let mut bench = Bench::new();
    bench.waiting();
    bench.worker.keep(&mut bench.streams, Instant::now());
    assert_eq!(bench.problem(), "");
    bench.fail(1, "no microphone");
    assert!(bench.problem().contains("no microphone"), "{}", bench.problem());
    // What is heard matters more.
    bench.fail(0, "no speaker");
    assert!(bench.problem().contains("no speaker"), "{}", bench.problem());
    bench.fail(1, "no microphone");
    assert!(bench.problem().contains("no speaker"), "{}", bench.problem());
    bench.streams.remove(&0);
    bench.worker.keep(&mut bench.streams, Instant::now());
    assert!(bench.problem().contains("no microphone"), "{}", bench.problem());
    bench.streams.clear();
    bench.worker.keep(&mut bench.streams, Instant::now());
    assert!(bench.problem().contains("no microphone"), "the last that is known");
}
