//! The way of sound without a machine: a device that plays a sine and keeps what it hears, the machine's pump, the UI channel, a console,
//! and this computer's sound.
//!
//! For hearing it, and for tests. At the end it prints, as JSON, how old frames were when the computer's callback took them, in
//! milliseconds, how often the ring had run empty, and what became of a microphone.
//!
//! `tone [SECONDS [RATE [CHANNELS [RECORDED.raw]]]]`: 440 Hz, each channel a fifth higher than the one before. With a file, the
//! microphone is on, and what it hears is written there, samples of full-scale `i32`.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use api::pcm::Producer;
use api::ui::{ToConsole, ToEngine, VERSION};
use console::{Console, SoundEvent};
use machine::{Direction, Listener, Sound};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};
use serde_json::json;
use sound::{Pcm, Shape};

/// Half of full scale.
const AMPLITUDE: f64 = 1_073_741_824.0;
/// What is not measured: the start.
const START: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual| arguments.get(at).map_or(usual, |argument| argument.parse().expect("a number"));
    let (seconds, rate, channels) = (number(0, 5), number(1, 48_000), number(2, 2));
    let shape = Shape { rate, channels: channels.try_into().expect("a number of channels") };
    let record = arguments.get(3);

    let device = Arc::new(Mutex::new(Card::new(shape)));
    let sound = Sound::new(&[Direction::Playback, Direction::Capture], || ()).expect("a thread");
    let weak: Weak<Mutex<dyn Pcm>> = Arc::<Mutex<Card>>::downgrade(&device);
    sound.connect(weak);
    sound.set_running(true);
    let (engine, console) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("sockets");
    let jacks = [0, 1].map(|stream| sound.jack(stream).expect("a stream"));
    let engine = Arc::new(engine);
    send(&engine, &ToConsole::Hello { version: VERSION, name: "tone".into() }, &[]);
    std::thread::spawn(move || serve(&engine, &sound));

    let mut console = Console::over(console);
    let mut audio = audio::Audio::new(|| ());
    console.want_sound(true, record.is_some()).expect("an engine");
    let mut handle = |time: Duration| {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            console.wait(left).expect("an engine");
            for event in console.take_sound() {
                if let SoundEvent::Playback { ring, .. } = &event {
                    device.lock().expect("a device").spy = Some(Producer::new(Arc::clone(ring)));
                }
                audio.handle(event);
            }
        }
        (console.is_recorded(), audio.state())
    };
    jacks[0].start(shape);
    if record.is_some() {
        jacks[1].start(shape);
    }
    let (recorded, state) = handle(Duration::from_secs(seconds.into()));
    let delay = jacks[0].delay();
    for jack in &jacks {
        jack.stop();
    }
    handle(Duration::from_millis(1500));
    let levels = audio.take_levels();
    let device = device.lock().expect("a device");
    if let Some(path) = record {
        let bytes: Vec<u8> = device.heard.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        std::fs::File::create(path).and_then(|mut file| file.write_all(&bytes)).expect("a file");
    }
    println!(
        "{}",
        json!({
            "age": device.ages(),
            "empty": device.empty,
            "played": device.frames,
            "delay": delay,
            "playing": state.playing,
            "recording": state.recording && recorded,
            "problem": state.problem,
            "heard": device.heard.len() / usize::from(shape.channels),
            "levels": levels,
        })
    );
}

/// The engine's end of the UI channel, as far as sound goes.
fn serve(socket: &Arc<OwnedFd>, sound: &Sound) {
    loop {
        let mut bytes = [0; 4096];
        let mut ancillary = RecvAncillaryBuffer::default();
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::empty()) {
            Ok(message) if message.bytes > 0 => {
                let message = serde_json::from_slice(&bytes[..message.bytes]).expect("a message");
                if let ToEngine::Sound { listen: playback, microphone: capture } = message {
                    let socket = Arc::clone(socket);
                    let tell = Box::new(move |message: &ToConsole, fds: &[BorrowedFd<'_>]| send(&socket, message, fds));
                    sound.listen(Listener { console: 1, playback, capture, tell });
                }
            }
            _ => return,
        }
    }
}

fn send(socket: &OwnedFd, message: &ToConsole, descriptors: &[BorrowedFd<'_>]) -> bool {
    let bytes = serde_json::to_vec(message).expect("plain data");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).is_ok()
}

/// A sound card with a guest that plays.
struct Card {
    shape: Shape,
    frames: u64,
    heard: Vec<i32>,
    /// Where frames are on their way.
    spy: Option<Producer>,
    began: Instant,
    read: u64,
    /// Up to which frame of the ring were written when.
    written: VecDeque<(u64, Instant)>,
    ages: Vec<Duration>,
    /// In the middle of a turn.
    turning: bool,
    /// Turns that found the ring empty.
    empty: u32,
}

impl Card {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            frames: 0,
            heard: Vec::new(),
            spy: None,
            began: Instant::now(),
            read: 0,
            written: VecDeque::new(),
            ages: Vec::new(),
            turning: false,
            empty: 0,
        }
    }

    fn ages(&self) -> serde_json::Value {
        let mut ages = self.ages.clone();
        ages.sort();
        let milliseconds = |at: usize| ages.get(at).map(|age| age.as_secs_f64() * 1000.0);
        json!({
            "median": milliseconds(ages.len() / 2),
            "most of 20": milliseconds(ages.len() * 19 / 20),
            "most": milliseconds(ages.len().saturating_sub(1)),
        })
    }
}

impl Pcm for Card {
    fn play(&mut self, _: u32, samples: &mut [i32]) -> usize {
        let channels = usize::from(self.shape.channels);
        if let Some(spy) = &self.spy
            && !std::mem::replace(&mut self.turning, true)
            && self.began.elapsed() > START
            && Producer::new(Arc::clone(spy.ring())).fill() == 0
        {
            self.empty += 1;
        }
        for frame in samples.chunks_exact_mut(channels) {
            for (channel, sample) in (0..).zip(frame) {
                let turns = 440.0 * 1.5_f64.powi(channel) * self.frames as f64 / f64::from(self.shape.rate);
                *sample = ((turns * std::f64::consts::TAU).sin() * AMPLITUDE) as i32;
            }
            self.frames += 1;
        }
        samples.len() / channels
    }

    fn record(&mut self, _: u32, samples: &[i32]) -> usize {
        self.heard.extend(samples);
        samples.len() / usize::from(self.shape.channels)
    }

    fn turn_done(&mut self) {
        let now = Instant::now();
        self.turning = false;
        let Some(spy) = &self.spy else { return };
        let read = spy.read();
        while self.written.front().is_some_and(|(until, _)| *until < read) {
            self.written.pop_front();
        }
        if now.duration_since(self.began) > START && read != self.read {
            self.ages.extend(self.written.front().map(|(_, at)| now - *at));
        }
        self.read = read;
        let written = read + u64::from(Producer::new(Arc::clone(spy.ring())).fill());
        self.written.push_back((written, now));
    }
}
