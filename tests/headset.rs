//! A console with ears and a mouth: it hears what a guest plays and says known frames into its microphone, both at the nominal rate,
//! for it has the clock.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use api::pcm::{Bell, Consumer, Layout, Producer};
use console::{Console, SoundEvent};

/// Between two turns.
const TURN: Duration = Duration::from_millis(5);
/// How long what is on its way is waited for when it is taken off.
const LINGER: Duration = Duration::from_secs(1);
/// Milliseconds that it would have in advance.
const AHEAD: u32 = 150;
/// Most frames at once: what a headset that was late for longer has missed is missed.
const MOST: u64 = 1 << 14;

/// One of a guest's songs: what came through one ring.
#[derive(Debug)]
pub struct Heard {
    /// What its frames are like.
    pub layout: Layout,
    /// Interleaved, full scale.
    pub samples: Vec<i32>,
}

/// What sound does to somebody: it hears of each ring, and then what came through it.
pub trait Ear: Send + 'static {
    /// Another ring.
    fn begin(&mut self, layout: Layout);
    /// Frames of the last one.
    fn hear(&mut self, samples: &[i32]);
}

/// Remembers everything.
impl Ear for Vec<Heard> {
    fn begin(&mut self, layout: Layout) {
        self.push(Heard { layout, samples: Vec::new() });
    }

    fn hear(&mut self, samples: &[i32]) {
        if let Some(heard) = self.last_mut() {
            heard.samples.extend(samples);
        }
    }
}

/// On somebody's head, until it is [taken off](Headset::take_off).
pub struct Headset<E = Vec<Heard>> {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<E>,
}

impl<E: Ear> Headset<E> {
    /// On a connected socket of the engine's for consoles. `microphone` is whether it speaks, too.
    pub fn put_on(socket: OwnedFd, ear: E, microphone: bool) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ends);
        let mut console = Console::over(socket);
        console.wait(Duration::from_secs(60)).expect("the engine greets");
        console.want_sound(true, microphone).expect("the engine listens");
        Self { ends, thread: std::thread::spawn(move || serve(&mut console, ear, &end)) }
    }

    /// The ear, which has heard.
    pub fn take_off(self) -> E {
        self.ends.store(true, Relaxed);
        self.thread.join().expect("a headset that works")
    }
}

/// What a microphone says in a frame of this number: neither channel is ever silent, and each tells where and when it is.
pub fn said(frame: u64, channel: u8) -> i32 {
    let number = (frame % 30_000) as i32 + 1;
    if channel == 0 { number << 16 } else { -number << 16 }
}

/// The engine's ring, and how far its clock has come.
struct Live<T> {
    stream: u32,
    end: T,
    layout: Layout,
    bell: Arc<Bell>,
    began: Instant,
    done: u64,
}

impl<T> Live<T> {
    /// Frames that are due now.
    fn due(&self) -> u64 {
        let until = self.began.elapsed().as_micros() * u128::from(self.layout.rate) / 1_000_000;
        (until as u64).saturating_sub(self.done).min(MOST)
    }
}

impl Live<Consumer> {
    /// Hears so many frames, or as many as there are.
    fn hear(&mut self, frames: u64, ear: &mut impl Ear) {
        let channels = usize::from(self.layout.channels);
        let mut samples = vec![0; frames as usize * channels];
        let read = self.end.read(&mut samples);
        self.done += read as u64;
        ear.hear(&samples[..read * channels]);
    }
}

fn serve<E: Ear>(console: &mut Console, mut ear: E, ends: &AtomicBool) -> E {
    let mut rings: Vec<Live<Consumer>> = Vec::new();
    let mut mouths: Vec<Live<Producer>> = Vec::new();
    let mut off_at = None;
    loop {
        // What is on its way is heard to its end, if it has one.
        if ends.load(Relaxed) {
            let off_at = *off_at.get_or_insert_with(|| Instant::now() + LINGER);
            if Instant::now() >= off_at || rings.iter().all(|ring| ring.end.fill() == 0) {
                break;
            }
        }
        // An engine that has ended says no more.
        if console.wait(TURN).is_err() {
            break;
        }
        for event in console.take_sound() {
            let stream = event.stream();
            for mut ring in rings.extract_if(.., |ring| ring.stream == stream) {
                // What is on its way is heard to its end.
                let left = u64::from(ring.end.fill());
                ring.hear(left, &mut ear);
            }
            mouths.retain(|mouth| mouth.stream != stream);
            let (began, done) = (Instant::now(), 0);
            match event {
                SoundEvent::Playback { ring, bell, .. } => {
                    let layout = ring.layout();
                    ear.begin(layout);
                    let end = Consumer::new(ring);
                    // Late now and then, as its computer is, it is still there.
                    end.want(layout.frames_in(AHEAD));
                    rings.push(Live { stream, end, layout, bell, began, done });
                }
                SoundEvent::Capture { ring, bell, .. } => {
                    let layout = ring.layout();
                    mouths.push(Live { stream, end: Producer::new(ring), layout, bell, began, done });
                }
                SoundEvent::Ended { .. } => {}
            }
        }
        // A guest has one loudspeaker.
        for ring in &mut rings {
            ring.hear(ring.due(), &mut ear);
            ring.bell.ring();
        }
        for mouth in &mut mouths {
            let channels = mouth.layout.channels;
            let frames = mouth.done..mouth.done + mouth.due();
            let samples: Vec<i32> =
                frames.flat_map(|frame| (0..channels).map(move |channel| said(frame, channel))).collect();
            mouth.done += mouth.end.write(&samples) as u64;
            mouth.bell.ring();
        }
    }
    ear
}
