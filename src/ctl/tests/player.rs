//! The stand-in engine's sound: a pattern, played to the console that listens, as fast as it reads.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::pcm::{Heard, Layout, Producer};
use api::ui::{ToConsole, ToEngine};

use crate::console_end::FakeEngine;
use crate::pattern;

/// How long a console may read nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a recording has before anything is played.
const BEFORE: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(2);

/// Consoles, and the guest that plays to one of them.
pub(crate) struct Player {
    consoles: Arc<Mutex<Vec<Watcher>>>,
}

struct Watcher {
    engine: FakeEngine,
    listens: bool,
}

impl Player {
    /// Takes consoles as they come.
    pub(crate) fn new(listener: OwnedFd, name: &str) -> Self {
        let consoles = Arc::<Mutex<Vec<Watcher>>>::default();
        let (taken, name) = (Arc::clone(&consoles), name.to_owned());
        std::thread::spawn(move || {
            while let Ok(socket) = rustix::net::accept(&listener) {
                let engine = FakeEngine::over(socket);
                engine.hello(&name);
                taken.lock().unwrap().push(Watcher { engine, listens: false });
            }
        });
        Self { consoles }
    }

    /// Plays so many frames of the pattern, as in “48000 2 4800”, to the console that listens; says how that went.
    pub(crate) fn play(&self, words: &str) -> String {
        let numbers: Vec<u32> = words.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let [rate, channels, frames] = numbers[..] else { return "[what?]".into() };
        let console = self.listening();
        std::thread::sleep(BEFORE);
        let layout = Layout::new(rate, channels.try_into().unwrap()).unwrap();
        let (ring, ours) = console.offer(ToConsole::Playback, 0, layout);
        let (mut producer, samples) = (Producer::new(ring), pattern::frames(frames, channels));
        let (mut written, mut read, mut moved) = (0, 0, Instant::now());
        while written < samples.len() || producer.fill() > 0 {
            if ours.hear() == Heard::Gone || moved.elapsed() > PATIENCE {
                return "[nobody reads]".into();
            }
            written += producer.write(&samples[written..]) * channels as usize;
            if producer.read() != read {
                (read, moved) = (producer.read(), Instant::now());
            }
            std::thread::sleep(LOOK);
        }
        console.send(&ToConsole::StreamEnded { stream: 0 });
        self.consoles.lock().unwrap().push(Watcher { engine: console, listens: true });
        "[played]".into()
    }

    /// The last console that asked for sound, and for nothing else.
    fn listening(&self) -> FakeEngine {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let mut consoles = self.consoles.lock().unwrap();
            consoles.retain_mut(|console| {
                match console.engine.receive() {
                    Ok(Some(message)) => {
                        console.listens = message == ToEngine::Sound { listen: true, microphone: false };
                    }
                    Ok(None) => {}
                    Err(_) => return false,
                }
                true
            });
            if let Some(at) = consoles.iter().rposition(|console| console.listens) {
                return consoles.remove(at).engine;
            }
            drop(consoles);
            std::thread::sleep(LOOK);
        }
        panic!("nobody listens");
    }
}
