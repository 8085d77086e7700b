//! What a machine plays, brought together in real time.
//!
//! A [`Tape`] is at the reading end of all playback rings, and so has their clock: it takes as many frames as time has passed, at the
//! nominal rate. Where rings have none there is silence, so that a place in the file is a moment of the recording. One stream's samples
//! are as the guest played them; those of several at once are added.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pcm::{Bell, Consumer, Layout, Ring};
use console::SoundEvent;

use crate::wav::Wav;

/// What rings are to hold, in milliseconds, which is the most that an engine grants: nobody waits for this sound, so it may be late where
/// this computer is busy.
const DEPTH: u32 = 150;
/// Frames that are worked on at once.
const BLOCK: u64 = 4096;
/// How often the file's header is made right.
const SETTLE: Duration = Duration::from_secs(1);

/// A recording that runs.
pub(crate) struct Tape {
    /// Where it goes when there is something.
    file: Option<File>,
    wav: Option<Wav>,
    lines: Vec<Line>,
    began: Instant,
    settled: Instant,
    mixed: Vec<i32>,
    read: Vec<i32>,
}

/// Why it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The guest plays something of another rate or number of channels, which a file has only one of.
    Other(Layout),
    /// A WAV file holds no more.
    Full,
}

struct Line {
    stream: u32,
    consumer: Consumer,
    bell: Arc<Bell>,
    /// Frames that are still read of one that ended.
    left: Option<u32>,
}

impl Tape {
    /// Begins now; the file stays as it is until something is played.
    pub(crate) fn new(file: File, now: Instant) -> Self {
        let (mixed, read) = (Vec::new(), Vec::new());
        Self { file: Some(file), wav: None, lines: Vec::new(), began: now, settled: now, mixed, read }
    }

    /// What the file is like, and how many frames it has; `None` before the first stream.
    pub(crate) fn recorded(&self) -> Option<(Layout, u64)> {
        self.wav.as_ref().map(|wav| (wav.layout(), wav.frames()))
    }

    /// Does a stream play?
    pub(crate) fn is_playing(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Does as the guest does.
    pub(crate) fn follow(&mut self, event: SoundEvent, now: Instant) -> io::Result<Option<Stop>> {
        let stop = self.turn(now)?;
        let stream = event.stream();
        // What such a stream had in its ring is read to the end; but of one ring at a time.
        self.lines.retain(|line| line.stream != stream || line.left.is_none());
        for line in self.lines.iter_mut().filter(|line| line.stream == stream) {
            line.left = Some(line.consumer.fill());
        }
        match event {
            SoundEvent::Playback { ring, bell, .. } => Ok(self.attach(stream, ring, bell, now)?.or(stop)),
            SoundEvent::Capture { .. } | SoundEvent::Ended { .. } => Ok(stop),
        }
    }

    fn attach(&mut self, stream: u32, ring: Arc<Ring>, bell: Arc<Bell>, now: Instant) -> io::Result<Option<Stop>> {
        let layout = ring.layout();
        if let Some(file) = self.file.take() {
            self.wav = Some(Wav::new(file, layout)?);
            self.turn(now)?;
        }
        let recorded = self.wav.as_ref().map(Wav::layout);
        if recorded.is_some_and(|wav| (wav.rate, wav.channels) != (layout.rate, layout.channels)) {
            return Ok(Some(Stop::Other(layout)));
        }
        let consumer = Consumer::new(ring);
        consumer.want(layout.frames_in(DEPTH));
        bell.ring();
        self.lines.push(Line { stream, consumer, bell, left: None });
        Ok(None)
    }

    /// Takes what is due at this moment.
    pub(crate) fn turn(&mut self, now: Instant) -> io::Result<Option<Stop>> {
        let Some(wav) = &self.wav else { return Ok(None) };
        let passed = now.saturating_duration_since(self.began).as_nanos();
        let all = (passed * u128::from(wav.layout().rate) / 1_000_000_000) as u64;
        self.take(all.saturating_sub(wav.frames()))?;
        let Some(wav) = &self.wav else { return Ok(None) };
        if now.saturating_duration_since(self.settled) >= SETTLE {
            wav.settle()?;
            self.settled = now;
        }
        Ok((wav.room() == 0).then_some(Stop::Full))
    }

    /// Takes the rest: nobody plays any more.
    pub(crate) fn take_rest(&mut self) -> io::Result<()> {
        let rest = self.lines.iter().map(Line::fill).max().unwrap_or(0);
        self.take(rest.into())
    }

    /// Makes the file whole.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.wav.as_ref().map_or(Ok(()), Wav::settle)
    }

    /// Takes so many frames: of the rings, and silence for those that they do not have.
    fn take(&mut self, mut frames: u64) -> io::Result<()> {
        let Some(wav) = &mut self.wav else { return Ok(()) };
        let channels = usize::from(wav.layout().channels);
        loop {
            let there = self.lines.iter().map(Line::fill).max().unwrap_or(0);
            let count = frames.min(there.into()).min(BLOCK) as usize;
            if count == 0 {
                break;
            }
            self.mixed.clear();
            self.mixed.resize(count * channels, 0);
            self.read.resize(count * channels, 0);
            for line in &mut self.lines {
                let samples = line.read(&mut self.read);
                for (mixed, sample) in self.mixed.iter_mut().zip(samples) {
                    *mixed = mixed.saturating_add(*sample);
                }
            }
            wav.write(&self.mixed)?;
            frames -= count as u64;
        }
        wav.silence(frames);
        self.lines.iter().for_each(|line| line.bell.ring());
        self.lines.retain(|line| line.left != Some(0));
        Ok(())
    }
}

impl Line {
    /// Frames that it has.
    fn fill(&self) -> u32 {
        self.consumer.fill().min(self.left.unwrap_or(u32::MAX))
    }

    /// Takes whole frames, as many as there are and as `samples` has room for.
    fn read<'a>(&mut self, samples: &'a mut [i32]) -> &'a [i32] {
        let channels = usize::from(self.consumer.ring().layout().channels);
        let most = (samples.len() / channels).min(self.fill() as usize);
        let count = self.consumer.read(&mut samples[..most * channels]);
        if let Some(left) = &mut self.left {
            *left -= count as u32;
        }
        &samples[..count * channels]
    }
}

#[cfg(test)]
#[path = "tape_test.rs"]
mod tests;
