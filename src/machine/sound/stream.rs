//! One stream that runs: frames from the device into a ring or to nobody, from a ring or from nobody into the device.
//!
//! It knows no thread and no clock of its own: [`Stream::turn`] is called at a moment, does what is to be done then, and says when it
//! wants to be called again unless a bell rings before.
//!
//! Who is at the ring's other end has the clock. When nothing moves there for [`PATIENCE`], the stream goes on at its nominal rate as
//! if nobody was there, so that the guest never stalls, and comes back when something does. Every frame of the guest's is taken
//! once: into the ring, or for nobody.
//!
//! What a ring holds in advance is silence at first, and not the guest's: a device whose position ran ahead of the clock would tell its
//! driver of periods that cannot have passed, which Linux does not believe (`snd-hda-intel` waits for two thirds of one).

use std::sync::Arc;
use std::time::Duration;

use api::pcm::{Consumer, Layout, MAX_CHANNELS, Producer, RATES, Ring};
use sound::{Pcm, Shape};

use super::pace::Pace;

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the guest.
    Playback,
    /// Into the guest.
    Capture,
}

/// How long nothing may move at the other end of a ring, besides what that end takes at once. A guest must not stand for longer: Linux
/// since 6.6 gives a program an error when a buffer of up to 90 ms does not move for 100.
const PATIENCE: Duration = Duration::from_millis(80);
/// Between two turns where nobody has a clock.
const TICK: Duration = Duration::from_millis(10);
/// Most that is asked of a device, or given to it, at once.
const STEP: u32 = 5;
/// What a ring holds where its reader does not say what it wants.
const TARGET: u32 = 20;
/// The least and the most that a reader can want, in milliseconds.
const WANTED: (u32, u32) = (5, 150);
/// More of a microphone's sound than this is old, and is left out but for [`FRESH`].
const BACKLOG: u32 = 150;
const FRESH: u32 = 20;

/// What is at the other end.
#[derive(Debug)]
enum End {
    Nobody,
    Listener(Producer),
    Microphone(Consumer),
}

/// A stream that runs.
#[derive(Debug)]
pub(super) struct Stream {
    number: u32,
    direction: Direction,
    layout: Layout,
    end: End,
    /// When something moved at the other end.
    moved: Duration,
    /// Where its counter stood then.
    counter: u64,
    /// The nominal rate, while nobody has a clock.
    pace: Option<Pace>,
    /// Frames that the ring was given in advance.
    ahead: u32,
    /// The guest's own went into it.
    begun: bool,
    samples: Vec<i32>,
}

impl Stream {
    /// A stream that starts now, with nobody at its end.
    pub(super) fn new(number: u32, direction: Direction, shape: Shape, now: Duration) -> Self {
        let layout = Self::layout_of(shape);
        let samples = vec![0; samples_of(layout.frames_in(STEP), layout)];
        let pace = Some(Pace::new(layout.rate, now));
        Self {
            number,
            direction,
            layout,
            end: End::Nobody,
            moved: now,
            counter: 0,
            pace,
            ahead: 0,
            begun: false,
            samples,
        }
    }

    /// What the ring of such a stream is like. A device says what its guest may choose; what cannot be is bounded all the same.
    pub(super) fn layout_of(shape: Shape) -> Layout {
        let (rate, channels) = (shape.rate.clamp(*RATES.start(), *RATES.end()), shape.channels.clamp(1, MAX_CHANNELS));
        Layout::new(rate, channels).expect("within bounds")
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Does somebody at the other end have the clock?
    pub(super) fn is_clocked(&self) -> bool {
        self.pace.is_none()
    }

    /// Somebody is at the other end of this new ring from now on, or nobody.
    pub(super) fn connect(&mut self, ring: Option<Arc<Ring>>, now: Duration) {
        (self.moved, self.counter, self.ahead, self.begun) = (now, 0, 0, false);
        self.end = match (ring, self.direction) {
            (None, _) => End::Nobody,
            (Some(ring), Direction::Playback) => End::Listener(Producer::new(ring)),
            (Some(ring), Direction::Capture) => End::Microphone(Consumer::new(ring)),
        };
        self.pace = matches!(self.end, End::Nobody).then(|| Pace::new(self.layout.rate, now));
    }

    /// It begins anew, with the same shape and the same somebody at its end.
    pub(super) fn start_again(&mut self, now: Duration) {
        self.moved = now;
        // As far as what was there before has not been heard, it is there in advance.
        let left = if let End::Listener(producer) = &self.end { producer.fill() } else { 0 };
        (self.ahead, self.begun) = (left, false);
        self.pace = matches!(self.end, End::Nobody).then(|| Pace::new(self.layout.rate, now));
    }

    /// Moves frames; when to do so again. `rung` when the bell rang since the last turn.
    pub(super) fn turn(&mut self, now: Duration, rung: bool, device: &mut dyn Pcm) -> Duration {
        let (counter, alive) = match &self.end {
            End::Nobody => (0, false),
            // One that would read, and finds nothing because the guest is late, is there all the same.
            End::Listener(producer) => (producer.read(), rung && producer.fill() == 0),
            End::Microphone(consumer) => (0, consumer.fill() > 0),
        };
        if alive || counter != self.counter {
            (self.moved, self.counter) = (now, counter);
            if self.pace.take().is_some()
                && let End::Microphone(consumer) = &mut self.end
            {
                consumer.skip_to_newest(self.layout.frames_in(FRESH));
            }
        } else if self.pace.is_none() && now.saturating_sub(self.moved) >= self.patience() {
            self.pace = Some(Pace::new(self.layout.rate, now));
        }
        match (&mut self.pace, self.direction) {
            (Some(pace), Direction::Playback) => {
                let due = pace.due(now);
                self.play_to_nobody(due, device);
                now + until_tick(now)
            }
            (Some(pace), Direction::Capture) => {
                let due = pace.due(now);
                self.record_silence(due, device);
                now + until_tick(now)
            }
            (None, _) => {
                self.serve(device);
                self.moved + self.patience()
            }
        }
    }

    fn patience(&self) -> Duration {
        // A listener wants more than it takes at once.
        let wanted = match &self.end {
            End::Listener(producer) => producer.wanted().min(self.layout.frames_in(WANTED.1)),
            _ => 0,
        };
        PATIENCE.max(Duration::from_secs(wanted.into()) / self.layout.rate)
    }

    fn play_to_nobody(&mut self, mut frames: u32, device: &mut dyn Pcm) {
        while frames > 0 {
            let step = frames.min(self.layout.frames_in(STEP));
            frames -= step;
            // What the guest did not have in time is silence, which nobody hears either.
            device.play(self.number, &mut self.samples[..samples_of(step, self.layout)]);
        }
    }

    fn record_silence(&mut self, mut frames: u32, device: &mut dyn Pcm) {
        self.samples.fill(0);
        while frames > 0 {
            let step = frames.min(self.layout.frames_in(STEP));
            frames -= step;
            device.record(self.number, &self.samples[..samples_of(step, self.layout)]);
        }
    }

    /// Fills the listener's ring up, or empties the microphone's.
    fn serve(&mut self, device: &mut dyn Pcm) {
        let (layout, number) = (self.layout, self.number);
        match &mut self.end {
            End::Nobody => {}
            End::Listener(producer) => {
                let target = match producer.wanted() {
                    0 => layout.frames_in(TARGET),
                    wanted => wanted.clamp(layout.frames_in(WANTED.0), layout.frames_in(WANTED.1)),
                };
                let target = target.min(layout.frames);
                // More of it only where it is no gap: before the guest's first frame, or when there is a gap anyway.
                if target > self.ahead && (!self.begun || producer.fill() == 0) {
                    let silence = samples_of(target - std::mem::replace(&mut self.ahead, target), layout);
                    producer.write(&vec![0; silence]);
                }
                let mut missing = target.min(self.ahead).saturating_sub(producer.fill());
                while missing > 0 {
                    let step = missing.min(layout.frames_in(STEP));
                    missing -= step;
                    let samples = &mut self.samples[..samples_of(step, layout)];
                    // What is missing is not made up for: the ring bridges it, and where it cannot, its reader plays silence.
                    let frames = device.play(number, samples).min(step as usize);
                    self.begun |= frames > 0;
                    producer.write(&samples[..frames * usize::from(layout.channels)]);
                    if frames < step as usize {
                        break;
                    }
                }
            }
            End::Microphone(consumer) => {
                if consumer.fill() > layout.frames_in(BACKLOG) {
                    consumer.skip_to_newest(layout.frames_in(FRESH));
                }
                // Bounded, however fast the other side may write.
                let mut left = consumer.fill();
                while left > 0 {
                    let step = left.min(layout.frames_in(STEP));
                    left -= step;
                    let samples = &mut self.samples[..samples_of(step, layout)];
                    let frames = consumer.read(samples);
                    device.record(number, &samples[..frames * usize::from(layout.channels)]);
                }
            }
        }
    }
}

fn samples_of(frames: u32, layout: Layout) -> usize {
    frames as usize * usize::from(layout.channels)
}

/// All streams tick together, at whole multiples.
fn until_tick(now: Duration) -> Duration {
    let past = now.as_nanos() % TICK.as_nanos();
    TICK - Duration::from_nanos(past as u64)
}

#[cfg(test)]
#[path = "stream_test.rs"]
mod tests;
