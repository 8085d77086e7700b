//! Sound device (VIRTIO 1.2 §5.14): a playback and a capture stream, each with a [`Jack`] on its back.
//!
//! Frames go in messages; there is no shared memory. Who is plugged into the jacks has the clock and turns the device into a
//! [`Pcm`]: playing takes frames straight out of the driver's buffers, recording puts them there, and a buffer that is done goes
//! back to the driver as the sign that a period is over. Commands are obeyed in the order of §5.14.6.6.1; what a driver asks for at
//! the wrong time is a bad message, and so is what no device could obey.

mod params;
mod protocol;
mod stream;

use std::sync::Arc;

use ::sound::{Jack, Pcm};
use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use self::params::Params;
use self::protocol::{Direction, Event, HEADER, MAPS, Query, Request, Status, word, words};
use self::stream::{Stream, StreamState, give_back};
use crate::VirtioPci;
use crate::chain::Chain;
use crate::queues::Queues;
use crate::virtio_device::{DeviceType, Identity, VirtioDevice};

/// The playback stream's number.
pub const PLAYBACK: u32 = 0;
/// The capture stream's number.
pub const CAPTURE: u32 = 1;

const CONTROL: u16 = 0;
const EVENTS: u16 = 1;
const TX: u16 = 2;
const RX: u16 = 3;
/// Entries of the queues that carry frames, and so the most messages of a stream.
const QUEUE_SIZE: u16 = 256;

const CONFIG_LENGTH: usize = 12;

/// What a person can plug something into; each has a stream behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plug {
    /// Line out, of the playback stream.
    LineOut,
    /// Microphone, of the capture stream.
    Microphone,
}

/// A jack of the back panel (§5.14.6.4). Its number is its stream's.
#[derive(Clone, Copy, Debug)]
struct Panel {
    connected: bool,
    /// The same as the driver knows it.
    told: bool,
}

/// The device.
pub struct Sound {
    streams: [Stream; 2],
    panel: [Panel; 2],
    /// Frames on their way; kept for its memory.
    bytes: Vec<u8>,
}

/// The saved device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoundState {
    told: [bool; 2],
    streams: [StreamState; 2],
}

impl Sound {
    /// A device whose streams have `speaker` and `microphone` on their back. Both plugs are connected.
    pub fn new(speaker: Arc<dyn Jack>, microphone: Arc<dyn Jack>) -> Self {
        let streams = [Stream::new(Direction::Output, speaker), Stream::new(Direction::Input, microphone)];
        Self { streams, panel: [Panel { connected: true, told: true }; 2], bytes: Vec::new() }
    }

    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        self.streams.get_mut(number as usize)
    }

    /// Obeys a request; gives what the answer has behind its header.
    fn obey(&mut self, chain: &Chain, queues: &mut Queues) -> Result<Vec<u8>, Status> {
        let request = Request::decode(word(chain, 0)?).ok_or(Status::NotSupported)?;
        match request {
            Request::JackInfo => self.jacks(chain),
            Request::PcmInfo => {
                let items = self.streams.iter().map(|stream| protocol::pcm_info(stream.direction()));
                Query::of(chain)?.answer(chain, &items.collect::<Vec<_>>())
            }
            Request::ChannelMapInfo => Query::of(chain)?.answer(chain, &MAPS.map(protocol::channel_map_info)),
            _ => self.command(request, chain, queues).map(|()| Vec::new()),
        }
    }

    /// The jacks as they are now, which the driver knows then.
    fn jacks(&mut self, chain: &Chain) -> Result<Vec<u8>, Status> {
        let query = Query::of(chain)?;
        let panel = self.streams.iter().zip(&self.panel);
        let items = panel.map(|(stream, panel)| protocol::jack_info(stream.direction(), panel.connected));
        let answer = query.answer(chain, &items.collect::<Vec<_>>())?;
        for panel in self.panel.get_mut(query.numbers()).into_iter().flatten() {
            panel.told = panel.connected;
        }
        Ok(answer)
    }

    /// Requests about one stream or jack.
    fn command(&mut self, request: Request, chain: &Chain, queues: &mut Queues) -> Result<(), Status> {
        if request == Request::PcmRelease {
            // What was sent before it is there before it, in whatever order the doorbells are heard.
            self.take_messages(TX, queues);
            self.take_messages(RX, queues);
        }
        let stream = self.stream(word(chain, HEADER)?).ok_or(Status::BadMessage)?;
        match request {
            Request::PcmSetParams => stream.set_params(Params::of(chain)?, queues),
            Request::PcmPrepare => stream.prepare(),
            Request::PcmRelease => stream.release(queues),
            Request::PcmStart => stream.start(),
            Request::PcmStop => stream.stop(),
            // No jack can be remapped.
            _ => Err(Status::NotSupported),
        }
    }

    fn take_commands(&mut self, queues: &mut Queues) {
        while let Some(chain) = queues.pop(CONTROL) {
            if chain.writable_len() < HEADER as u64 {
                // There is no place to answer.
                queues.fail();
                return;
            }
            let (status, behind) = match self.obey(&chain, queues) {
                Ok(behind) => (Status::Ok, behind),
                Err(status) => (status, Vec::new()),
            };
            let answer = [words(&[status as u32]), behind].concat();
            let written = if chain.write_at(0, &answer) { answer.len() as u32 } else { 0 };
            queues.push(CONTROL, chain, written);
        }
    }

    /// Takes what the driver has put into a queue of frames.
    fn take_messages(&mut self, queue: u16, queues: &mut Queues) {
        while let Some(chain) = queues.pop(queue) {
            let number = word(&chain, 0).ok();
            match number.and_then(|number| self.stream(number)).filter(|stream| stream.queue() == queue) {
                Some(stream) => stream.take(chain, queues),
                None => give_back(chain, queue, Status::IoError, 0, 0, queues),
            }
        }
    }

    /// Goes on after a restore. The plugs may not be connected as they were.
    fn go_on(&mut self, queues: &mut Queues) {
        self.streams.iter_mut().for_each(|stream| stream.go_on(queues));
        self.tell_plugs(queues);
    }

    /// Tells the driver of plugs, as far as it has room for events; of the rest when it has. One that is yet to come asks.
    fn tell_plugs(&mut self, queues: &mut Queues) {
        for (number, panel) in (0..).zip(&mut self.panel) {
            let event = if panel.connected { Event::JackConnected } else { Event::JackDisconnected };
            if panel.told != panel.connected && tell(event, number, queues) {
                panel.told = panel.connected;
            }
        }
    }

    fn plug(&mut self, plug: Plug, connected: bool, queues: &mut Queues) {
        self.panel[plug as usize].connected = connected;
        self.tell_plugs(queues);
    }

    fn play(&mut self, number: u32, samples: &mut [i32], queues: &mut Queues) -> usize {
        self.go_on(queues);
        self.take_messages(TX, queues);
        let Some(stream) = self.streams.get_mut(number as usize) else {
            samples.fill(0);
            return 0;
        };
        let frames = stream.play(samples, &mut self.bytes, queues);
        if stream.take_xrun() {
            tell(Event::Xrun, number, queues);
        }
        frames
    }

    fn record(&mut self, number: u32, samples: &[i32], queues: &mut Queues) -> usize {
        self.go_on(queues);
        self.take_messages(RX, queues);
        let Some(stream) = self.streams.get_mut(number as usize) else { return 0 };
        let frames = stream.record(samples, &mut self.bytes, queues);
        if stream.take_xrun() {
            tell(Event::Xrun, number, queues);
        }
        frames
    }
}

/// Sends an event about jack or stream `number`; false when the driver has no buffer for it, and it is lost.
fn tell(event: Event, number: u32, queues: &mut Queues) -> bool {
    let Some(chain) = queues.pop(EVENTS) else { return false };
    let bytes = words(&[event as u32, number]);
    let told = chain.write_at(0, &bytes);
    queues.push(EVENTS, chain, if told { bytes.len() as u32 } else { 0 });
    told
}

impl VirtioDevice for Sound {
    fn identity(&self) -> Identity {
        Identity {
            device_type: DeviceType::Sound,
            class: 0x040100,
            features: 0,
            queue_sizes: vec![64, 64, QUEUE_SIZE, QUEUE_SIZE],
            config_length: CONFIG_LENGTH as u64,
        }
    }

    /// Jacks, streams, channel maps.
    fn read_config(&self, at: u64, into: &mut [u8]) {
        let config = words(&[self.panel.len() as u32, self.streams.len() as u32, MAPS.len() as u32]);
        into.copy_from_slice(&config[at as usize..at as usize + into.len()]);
    }

    fn process(&mut self, queue: u16, queues: &mut Queues) {
        self.go_on(queues);
        match queue {
            CONTROL => self.take_commands(queues),
            TX | RX => self.take_messages(queue, queues),
            _ => {}
        }
    }

    fn reset(&mut self) {
        let Self { streams, panel, bytes: _ } = self;
        streams.iter_mut().for_each(Stream::reset);
        panel.iter_mut().for_each(|panel| panel.told = panel.connected);
    }
}

impl VirtioPci<Sound> {
    /// Something was plugged in or out.
    pub fn set_connected(&mut self, plug: Plug, connected: bool) {
        self.change(|sound, queues| sound.plug(plug, connected, queues));
    }
}

impl Pcm for VirtioPci<Sound> {
    fn play(&mut self, stream: u32, samples: &mut [i32]) -> usize {
        self.change_more(|sound, queues| sound.play(stream, samples, queues))
    }

    fn record(&mut self, stream: u32, samples: &[i32]) -> usize {
        self.change_more(|sound, queues| sound.record(stream, samples, queues))
    }

    fn turn_done(&mut self) {
        self.settle();
    }
}

impl State for Sound {
    const KIND: &'static str = "virtio-sound";
    type Saved = SoundState;

    fn save(&self) -> SoundState {
        let Self { streams, panel, bytes: _ } = self;
        let told = panel.map(|Panel { connected: _, told }| told);
        SoundState { told, streams: [streams[0].save(), streams[1].save()] }
    }

    fn restore(&mut self, saved: SoundState) -> Result<(), RestoreError> {
        let SoundState { told, streams } = saved;
        for (panel, told) in self.panel.iter_mut().zip(told) {
            panel.told = told;
        }
        for (stream, saved) in self.streams.iter_mut().zip(streams) {
            if !stream.restore(saved) {
                return Err(Self::impossible("streams"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod command_test;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod linux_test;
#[cfg(test)]
mod message_test;
#[cfg(test)]
mod state_test;
