//! A machine with the device and a driver in it, for this device's tests.

use std::sync::Arc;

use ::sound::bench::{Recorder, Told};
use ::sound::{Jack, Pcm};

use super::params::Params;
use super::*;
use crate::driver::{Driver, Part, Request as Sent};

pub(super) const OK: u32 = 0x8000;
pub(super) const BAD_MSG: u32 = 0x8001;
pub(super) const NOT_SUPP: u32 = 0x8002;
pub(super) const IO_ERR: u32 = 0x8003;

pub(super) const JACK_INFO: u32 = 1;
pub(super) const JACK_REMAP: u32 = 2;
pub(super) const PCM_INFO: u32 = 0x100;
pub(super) const SET_PARAMS: u32 = 0x101;
pub(super) const PREPARE: u32 = 0x102;
pub(super) const RELEASE: u32 = 0x103;
pub(super) const START: u32 = 0x104;
pub(super) const STOP: u32 = 0x105;
pub(super) const CHMAP_INFO: u32 = 0x200;

/// Four periods of four stereo frames of 16 bits, with xruns told.
pub(super) const SMALL: Params =
    Params { buffer_bytes: 64, period_bytes: 16, features: 0x10, channels: 2, format: 5, rate: 7 };

pub(super) struct Fixture {
    pub(super) driver: Driver<Sound>,
    pub(super) speaker: Arc<Recorder>,
    pub(super) microphone: Arc<Recorder>,
}

pub(super) fn fixture() -> Fixture {
    let (speaker, microphone) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    let sound = Sound::new(speaker.clone() as Arc<dyn Jack>, microphone.clone() as Arc<dyn Jack>);
    Fixture { driver: Driver::ready(sound, 0), speaker, microphone }
}

impl Fixture {
    /// A machine with the stream prepared.
    pub(super) fn prepared(stream: u32, params: Params) -> Self {
        let mut f = fixture();
        assert_eq!(f.set_params(stream, params), OK);
        assert_eq!(f.pcm(PREPARE, stream), OK);
        f
    }

    /// One with the stream running.
    pub(super) fn running(stream: u32, params: Params) -> Self {
        let mut f = Self::prepared(stream, params);
        assert_eq!(f.pcm(START, stream), OK);
        f
    }

    /// Sends a control request; gives the whole answer, as much as was written.
    pub(super) fn ask(&mut self, request: &[u8], room: u32) -> Vec<u8> {
        let (mut answer, written) = self.driver.ask(CONTROL, &[Part::Out(request), Part::In(room)], 1).unwrap();
        answer.truncate(written as usize);
        answer
    }

    /// The status that a control request gets.
    pub(super) fn code(&mut self, request: &[u32]) -> u32 {
        code_of(&self.ask(&words(request), 4))
    }

    /// The status of a stream's command.
    pub(super) fn pcm(&mut self, command: u32, stream: u32) -> u32 {
        self.code(&[command, stream])
    }

    pub(super) fn set_params(&mut self, stream: u32, params: Params) -> u32 {
        let Params { buffer_bytes, period_bytes, features, channels, format, rate } = params;
        let last = u32::from_le_bytes([channels, format, rate, 0]);
        self.code(&[SET_PARAMS, stream, buffer_bytes, period_bytes, features, last])
    }

    /// What is told about all of the `count` items.
    pub(super) fn query(&mut self, request: u32, count: u32, size: u32) -> Vec<Vec<u8>> {
        let answer = self.ask(&words(&[request, 0, count, size]), 4 + count * size);
        assert_eq!(code_of(&answer), OK);
        answer[4..].chunks_exact(size as usize).map(<[u8]>::to_vec).collect()
    }

    /// Queues frames for playback, as Linux does: header, frames, status.
    pub(super) fn send(&mut self, frames: &[u8]) -> Sent {
        let sent = self.driver.add(TX, &[Part::Out(&words(&[PLAYBACK])), Part::Out(frames), Part::In(8)]);
        self.driver.ring(TX);
        sent
    }

    /// Queues room for recorded frames.
    pub(super) fn room(&mut self, bytes: u32) -> Sent {
        let sent = self.driver.add(RX, &[Part::Out(&words(&[CAPTURE])), Part::In(bytes), Part::In(8)]);
        self.driver.ring(RX);
        sent
    }

    /// The next message that came back: its head, the written length.
    pub(super) fn back(&mut self, queue: u16) -> Option<(u16, u32)> {
        self.driver.used(queue)
    }

    /// Status and latency of a message that came back, in its last part.
    pub(super) fn status(&mut self, sent: &Sent) -> (u32, u32) {
        let bytes = self.driver.part(sent, sent.parts.len() - 1);
        let at = bytes.len() - 8;
        (code_of(&bytes[at..]), code_of(&bytes[at + 4..]))
    }

    /// One turn of playback: samples, and how many frames there were.
    pub(super) fn play(&mut self, samples: usize) -> (Vec<i32>, usize) {
        let mut into = vec![77; samples];
        let mut function = self.driver.function();
        let frames = function.play(PLAYBACK, &mut into);
        function.turn_done();
        (into, frames)
    }

    /// One turn of recording.
    pub(super) fn record(&mut self, samples: &[i32]) -> usize {
        let mut function = self.driver.function();
        let frames = function.record(CAPTURE, samples);
        function.turn_done();
        frames
    }

    /// Gives the driver's event queue a buffer.
    pub(super) fn await_event(&mut self) -> Sent {
        let sent = self.driver.add(EVENTS, &[Part::In(8)]);
        self.driver.ring(EVENTS);
        sent
    }

    /// What `sent` was told, if it was.
    pub(super) fn event(&mut self, sent: &Sent) -> Option<(u32, u32)> {
        let (head, written) = self.driver.used(EVENTS)?;
        assert_eq!((head, written), (sent.head, 8));
        let bytes = self.driver.part(sent, 0);
        Some((code_of(&bytes), code_of(&bytes[4..])))
    }

    pub(super) fn told(&mut self) -> (Vec<Told>, Vec<Told>) {
        (self.speaker.take(), self.microphone.take())
    }
}

pub(super) fn code_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Stereo frames of 16 bits that count on from `first`: left is `n`, right is `-n`.
pub(super) fn counting(first: i16, frames: i16) -> Vec<u8> {
    (first..first + frames).flat_map(|n| [n.to_le_bytes(), (-n).to_le_bytes()].concat()).collect()
}

/// The same as samples.
pub(super) fn counted(first: i16, frames: i16) -> Vec<i32> {
    (first..first + frames).flat_map(|n| [i32::from(n) << 16, i32::from(-n) << 16]).collect()
}
