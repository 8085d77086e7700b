//! What a microphone's callback does: frames into the guest's ring, as the guest wants them.
//!
//! [`Recorder::take`] neither waits nor allocates. What the ring has no room for is lost.

use std::sync::Arc;

use api::pcm::{Bell, Producer, Ring};

use crate::controls::Controls;
use crate::positions::{Mix, Order};
use crate::rate::{CHUNK, Rate};

/// Frames that are worked on at once.
const BLOCK: usize = 256;

/// A ring and the way of a device's frames into it.
pub(crate) struct Recorder {
    /// The guest's stream.
    stream: u32,
    producer: Producer,
    bell: Arc<Bell>,
    controls: Arc<Controls>,
    mix: Mix,
    rate: Option<Slower>,
    mixed: Vec<f32>,
    raw: Vec<i32>,
}

/// Another rate, fed by what comes: it asks for as many frames as it needs, so those wait until they suffice.
struct Slower {
    rate: Rate,
    waiting: Vec<f32>,
    used: usize,
    made: Vec<f32>,
}

impl Recorder {
    /// For a device of this rate and so many channels.
    pub(crate) fn new(
        stream: u32,
        ring: Arc<Ring>,
        bell: Arc<Bell>,
        controls: Arc<Controls>,
        device_rate: u32,
        device_channels: (usize, Order),
    ) -> Option<Self> {
        let layout = ring.layout();
        let channels = usize::from(layout.channels);
        let rate = match layout.rate == device_rate {
            true => None,
            false => Some(Slower {
                rate: Rate::new(device_rate, layout.rate, channels)?,
                waiting: Vec::with_capacity(Self::most_waiting(device_rate, layout.rate) * channels),
                used: 0,
                made: vec![0.0; CHUNK * channels],
            }),
        };
        let samples = BLOCK * channels.max(device_channels.0);
        Some(Self {
            stream,
            producer: Producer::new(ring),
            bell,
            controls,
            mix: Mix::new(device_channels, (channels, Order::Alsa)),
            rate,
            mixed: vec![0.0; BLOCK * channels],
            raw: vec![0; samples],
        })
    }

    /// Frames for a few chunks that come out, and a block that comes in meanwhile.
    fn most_waiting(device_rate: u32, rate: u32) -> usize {
        (device_rate.div_ceil(rate) as usize + 1) * BLOCK * 4
    }

    /// The device has recorded these whole frames. A microphone that is off hears nothing, however late its stream is closed.
    pub(crate) fn take(&mut self, samples: &[f32]) {
        if !self.controls.hears(self.stream) {
            return;
        }
        let mut peak = 0.0_f32;
        for samples in samples.chunks(BLOCK * self.mix.from()) {
            let frames = samples.len() / self.mix.from();
            let mixed = &mut self.mixed[..frames * self.mix.to()];
            self.mix.frames(samples, mixed);
            peak = mixed.iter().fold(peak, |peak, sample| peak.max(sample.abs()));
            match &mut self.rate {
                None => write(&mut self.producer, &mut self.raw, mixed),
                Some(slower) => slower.take(mixed, self.mix.to(), |made| {
                    write(&mut self.producer, &mut self.raw, made);
                }),
            }
        }
        self.controls.recorded(peak.min(1.0));
        self.bell.ring();
    }
}

impl Slower {
    fn take(&mut self, samples: &[f32], channels: usize, mut give: impl FnMut(&[f32])) {
        // Within what was reserved; more comes only of a device that gives more than there can be.
        let room = self.waiting.capacity() - self.waiting.len();
        self.waiting.extend_from_slice(&samples[..samples.len().min(room / channels * channels)]);
        while self.waiting.len() - self.used >= self.rate.takes() * channels {
            let (waiting, used) = (&self.waiting, &mut self.used);
            self.rate.fill(&mut self.made, |input| {
                let end = (*used + input.len()).min(waiting.len());
                let there = &waiting[*used..end];
                let (have, not) = input.split_at_mut(there.len());
                have.copy_from_slice(there);
                not.fill(0.0);
                *used = end;
            });
            give(&self.made);
        }
        self.waiting.drain(..self.used);
        self.used = 0;
    }
}

fn write(producer: &mut Producer, raw: &mut [i32], samples: &[f32]) {
    for part in samples.chunks(raw.len()) {
        for (raw, sample) in raw.iter_mut().zip(part) {
            *raw = (f64::from(*sample) * 2_147_483_648.0) as i32;
        }
        producer.write(&raw[..part.len()]);
    }
}

#[cfg(test)]
mod tests {
    use api::pcm::{Consumer, Heard, Layout};

    use super::*;

    fn bench(layout: Layout, rate: u32, channels: usize) -> (Recorder, Consumer, Bell) {
        let (ring, memfd) = Ring::create(layout).unwrap();
        let other = Ring::map(memfd, layout).unwrap();
        let (ours, theirs) = Bell::pair().unwrap();
        let controls = Arc::new(Controls::default());
        controls.hear(Some(7));
        let recorder = Recorder::new(7, other, Arc::new(theirs), controls, rate, (channels, Order::Pulse)).unwrap();
        (recorder, Consumer::new(ring), ours)
    }

    #[test]
    fn what_is_said_is_heard() {
        let (mut recorder, mut guest, bell) = bench(Layout::new(48_000, 2).unwrap(), 48_000, 1);
        recorder.take(&[0.5; 480]);
        recorder.take(&[-2.0; 10]);
        assert_eq!(bell.hear(), Heard::Ring);
        let mut heard = [0; 2000];
        assert_eq!(guest.read(&mut heard), 490);
        assert_eq!((heard[0], heard[959], heard[960]), (1 << 30, 1 << 30, i32::MIN));
        // A guest that does not listen loses the rest.
        for _ in 0..100 {
            recorder.take(&[0.5; 480]);
        }
        assert_eq!(guest.fill(), 16384);
    }

    #[test]
    fn a_microphone_that_is_off_hears_nothing() {
        let (mut recorder, mut guest, bell) = bench(Layout::new(48_000, 2).unwrap(), 48_000, 2);
        for off in [None, Some(8)] {
            recorder.controls.hear(off);
            recorder.take(&[0.5; 480]);
            assert_eq!((guest.read(&mut [0; 2000]), bell.hear()), (0, Heard::Nothing));
        }
        assert_eq!(recorder.controls.take_levels(), (0.0, 0.0));
    }

    #[test]
    fn another_rate_loses_nothing() {
        for (from, to) in [(48_000, 44_100), (44_100, 48_000), (48_000, 8_000), (8_000, 48_000)] {
            let (mut recorder, mut guest, _bell) = bench(Layout::new(to, 2).unwrap(), from, 2);
            let (mut heard, mut all) = (vec![0; 1 << 16], 0);
            for _ in 0..200 {
                recorder.take(&vec![0.5; from as usize / 100 * 2]);
                let frames = guest.read(&mut heard);
                let loud = heard[..frames * 2].iter().all(|sample| (*sample - (1 << 30)).abs() < 1 << 24);
                assert!(loud || all < 1024, "{from} to {to}");
                all += frames;
            }
            let lost = 2 * to as usize - all;
            assert!(lost < 1024, "{from} to {to}: {lost}");
        }
    }
}
