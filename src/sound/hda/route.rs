//! Samples between streams and jacks: which stream a converter listens to, and its frames as whoever is plugged in has them.

use device::Dma;

use super::Hda;
use super::codec::{Converter, Factor};
use super::format::Format;
use super::registers::{GLOBAL, INPUTS, POSITIONS_ON, STREAMS};
use super::stream::Stream;
use crate::{Jack, Pcm, Shape};

/// Channels of a converter.
const CHANNELS: usize = 2;
/// Bytes that are moved at once; frames have at most 64.
const CHUNK: usize = 4096;

/// A running stream and the converter that listens to it. The stream's format is what counts; guests give converters the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The stream's index.
    stream: usize,
    format: Format,
    /// The converter's channels, of the stream's.
    first: usize,
    channels: usize,
}

impl Route {
    /// Between one of `streams`, which begin with index `base`, and a converter.
    fn find(streams: &[Stream], base: usize, held: u32, converter: &Converter) -> Option<Self> {
        if converter.tag() == 0 {
            return None;
        }
        let listens = |stream: &Stream| stream.runs() && stream.tag() == converter.tag();
        let index = streams.iter().position(listens)?;
        if held >> (base + index) & 1 != 0 {
            return None;
        }
        let format = streams[index].format()?;
        let first = converter.channel();
        let channels = format.channels.checked_sub(first).filter(|left| *left > 0)?.min(CHANNELS);
        Some(Self { stream: base + index, format, first, channels })
    }

    fn shape(&self) -> Shape {
        Shape { rate: self.format.rate, channels: self.channels as u8 }
    }
}

/// Tells a jack what became of its stream.
fn tell(jack: &dyn Jack, told: &mut Option<Route>, route: Option<Route>) {
    if *told == route {
        return;
    }
    if told.is_some() {
        jack.stop();
    }
    if let Some(route) = route {
        jack.start(route.shape());
    }
    *told = route;
}

impl Hda {
    /// Brings the jacks up to date with streams and converters.
    pub(super) fn follow(&mut self) {
        let held = self.globals.synchronization;
        let capture = Route::find(&self.streams[..INPUTS], 0, held, self.codec.input());
        let playback = Route::find(&self.streams[INPUTS..STREAMS], INPUTS, held, self.codec.output());
        tell(&*self.microphone, &mut self.capture, capture);
        tell(&*self.line_out, &mut self.playback, playback);
    }

    /// As [`Self::follow`], when all that was told has become void: streams that run begin again.
    pub(super) fn follow_anew(&mut self) {
        tell(&*self.microphone, &mut self.capture, None);
        tell(&*self.line_out, &mut self.playback, None);
        self.follow();
    }

    /// Will the guest hear of what a stream completes?
    fn hears(&self, stream: usize) -> bool {
        self.globals.interrupt_control & GLOBAL != 0 && self.globals.interrupt_control >> stream & 1 != 0
    }

    /// Writes a stream's position to where the guest wants it. If that is nowhere, nobody is told; nor would hardware.
    fn write_position(&self, stream: usize) {
        if self.globals.positions & POSITIONS_ON != 0 {
            let at = (self.globals.positions & !POSITIONS_ON).wrapping_add(8 * stream as u64);
            let _ = self.core.dma().write(at, &self.streams[stream].position().to_le_bytes());
        }
    }
}

/// Takes up to a chunk of a stream's frames, for the line out; how many there were.
fn play(stream: &mut Stream, route: &Route, dma: &Dma, told: bool, factors: &[Factor], out: &mut [i32]) -> usize {
    let Format { channels, encoding, .. } = route.format;
    let (frame, frames) = (route.format.frame(), out.len() / route.channels);
    let (mut bytes, mut samples) = ([0; CHUNK], [0; CHUNK / 2]);
    let taken = stream.take(dma, &mut bytes[..frames * frame], frame, told) / frame;
    encoding.decode(&bytes[..taken * frame], &mut samples);
    let played = samples.chunks_exact(channels).take(taken).zip(out.chunks_exact_mut(route.channels));
    for (samples, out) in played {
        for ((sample, out), factor) in samples[route.first..].iter().zip(out).zip(factors) {
            *out = factor.apply(*sample);
        }
    }
    taken
}

/// Puts up to a chunk of frames from the microphone into a stream; how many it had room for.
fn record(stream: &mut Stream, route: &Route, dma: &Dma, told: bool, factors: &[Factor], from: &[i32]) -> usize {
    let Format { channels, encoding, .. } = route.format;
    let (frame, frames) = (route.format.frame(), from.len() / route.channels);
    let (mut bytes, mut samples) = ([0; CHUNK], [0; CHUNK / 2]);
    for (samples, from) in samples.chunks_exact_mut(channels).zip(from.chunks_exact(route.channels)) {
        for ((sample, from), factor) in samples[route.first..].iter_mut().zip(from).zip(factors) {
            *sample = factor.apply(*from);
        }
    }
    encoding.encode(&samples[..frames * channels], &mut bytes);
    stream.put(dma, &bytes[..frames * frame], frame, told) / frame
}

impl Pcm for Hda {
    fn play(&mut self, stream: u32, samples: &mut [i32]) -> usize {
        samples.fill(0);
        let Some(route) = self.playback.filter(|_| stream == Self::LINE_OUT) else { return 0 };
        let (told, factors) = (self.hears(route.stream), self.codec.output_factors());
        let mut done = 0;
        for chunk in samples.chunks_mut(CHUNK / route.format.frame() * route.channels) {
            let frames = play(&mut self.streams[route.stream], &route, self.core.dma(), told, &factors, chunk);
            done += frames;
            if frames < chunk.len() / route.channels {
                break;
            }
        }
        self.write_position(route.stream);
        done
    }

    fn record(&mut self, stream: u32, samples: &[i32]) -> usize {
        let Some(route) = self.capture.filter(|_| stream == Self::MICROPHONE) else { return 0 };
        let (told, factors) = (self.hears(route.stream), self.codec.input_factors());
        let mut done = 0;
        for chunk in samples.chunks(CHUNK / route.format.frame() * route.channels) {
            let frames = record(&mut self.streams[route.stream], &route, self.core.dma(), told, &factors, chunk);
            done += frames;
            if frames < chunk.len() / route.channels {
                break;
            }
        }
        self.write_position(route.stream);
        done
    }

    /// One interrupt for all that the turn completed; and what failed in it has stopped.
    fn turn_done(&mut self) {
        self.follow();
        self.update(false);
    }
}
