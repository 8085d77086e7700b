//! The guest's sound as a console gets it: checked rings, for whoever plays and records.
//!
//! Nothing is played here, so that programs without sound need no sound system. A console that nobody takes sound from keeps only what
//! stands. What the person does not want ends here and at once, whatever the engine does: a microphone that is off hears nothing for it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use api::pcm::{Bell, Offer, Ring};

use crate::Error;

/// Streams that there can be, by number; a sound card has two or three. So nobody who keeps something of each can be made to keep more.
const STREAMS: u32 = 16;

/// What became of a stream.
#[derive(Clone, Debug)]
pub enum SoundEvent {
    /// The guest plays: this ring is to be read, and the bell to be rung after every reading.
    Playback {
        /// Its number.
        stream: u32,
        /// The frames.
        ring: Arc<Ring>,
        /// Tells the engine.
        bell: Arc<Bell>,
    },
    /// The guest records: what the microphone hears is to be written to this ring, and the bell to be rung.
    Capture {
        /// Its number.
        stream: u32,
        /// The frames.
        ring: Arc<Ring>,
        /// Tells the engine.
        bell: Arc<Bell>,
    },
    /// It is over.
    Ended {
        /// Its number.
        stream: u32,
    },
}

impl SoundEvent {
    /// Its number.
    pub fn stream(&self) -> u32 {
        match self {
            Self::Playback { stream, .. } | Self::Capture { stream, .. } | Self::Ended { stream } => *stream,
        }
    }
}

/// What stands, and what was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    /// Playback and capture.
    listen: bool,
    microphone: bool,
    /// Streams that stand, and whether they capture.
    live: Vec<(u32, bool)>,
    events: Vec<SoundEvent>,
}

impl Sound {
    /// What the person wants from now on.
    pub(crate) fn want(&mut self, listen: bool, microphone: bool) {
        (self.listen, self.microphone) = (listen, microphone);
        let unwanted = |(_, captures): &mut (u32, bool)| if *captures { !microphone } else { !listen };
        for (stream, _) in self.live.extract_if(.., unwanted) {
            self.events.retain(|event| event.stream() != stream);
            self.events.push(SoundEvent::Ended { stream });
        }
    }

    pub(crate) fn playback(&mut self, offer: Offer, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
        let (ring, bell) = attached(offer, descriptors)?;
        let stream = numbered(offer.stream)?;
        if !self.listen {
            // On its way when it was still wanted.
            return Ok(());
        }
        self.live.retain(|(other, _)| *other != stream);
        self.live.push((stream, false));
        self.tell(SoundEvent::Playback { stream, ring, bell });
        Ok(())
    }

    pub(crate) fn capture(&mut self, offer: Offer, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
        let (ring, bell) = attached(offer, descriptors)?;
        let stream = numbered(offer.stream)?;
        if !self.microphone {
            return Ok(());
        }
        self.live.retain(|(other, _)| *other != stream);
        self.live.push((stream, true));
        self.tell(SoundEvent::Capture { stream, ring, bell });
        Ok(())
    }

    pub(crate) fn ended(&mut self, stream: u32) -> Result<(), Error> {
        let stream = numbered(stream)?;
        self.live.retain(|(other, _)| *other != stream);
        self.tell(SoundEvent::Ended { stream });
        Ok(())
    }

    pub(crate) fn take(&mut self) -> Vec<SoundEvent> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.live.iter().any(|(_, captures)| *captures)
    }

    /// What is new of a stream takes the place of what was not taken.
    fn tell(&mut self, event: SoundEvent) {
        self.events.retain(|other| other.stream() != event.stream());
        self.events.push(event);
    }
}

/// A stream's number, if it can be one.
fn numbered(stream: u32) -> Result<u32, Error> {
    if stream < STREAMS { Ok(stream) } else { Err(Error::Nonsense("too many streams of sound")) }
}

fn attached(offer: Offer, descriptors: Vec<OwnedFd>) -> Result<(Arc<Ring>, Arc<Bell>), Error> {
    let [memfd, bell] = descriptors.try_into().map_err(|_| Error::Nonsense("sound without its two descriptors"))?;
    let ring = Ring::map(memfd, offer.layout).map_err(|bad| Error::Nonsense(bad.0))?;
    Ok((ring, Arc::new(Bell::over(bell))))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use api::pcm::{Heard, Layout};
    use api::ui::{ToConsole, ToEngine};

    use super::*;
    use crate::fake_engine::FakeEngine;
    use crate::{Changes, Console};

    fn greeted() -> (FakeEngine, Console) {
        let (engine, socket) = FakeEngine::pair();
        let mut console = Console::over(socket);
        engine.hello("sound");
        console.dispatch().unwrap();
        console.want_sound(true, true).unwrap();
        assert_eq!(engine.received(), [ToEngine::Sound { listen: true, microphone: true }]);
        (engine, console)
    }

    fn offer(engine: &FakeEngine, message: fn(Offer) -> ToConsole, stream: u32) -> Bell {
        engine.offer(message, stream, Layout::new(48_000, 2).unwrap()).1
    }

    #[test]
    fn rings_and_bells_arrive() {
        let (engine, mut console) = greeted();
        let _kept = offer(&engine, ToConsole::Playback, 0);
        let bell = offer(&engine, ToConsole::Capture, 1);
        assert_eq!(console.dispatch().unwrap(), Changes::SOUND);
        assert!(console.is_recorded());
        let events = console.take_sound();
        assert!(matches!(&events[0], SoundEvent::Playback { stream: 0, ring, .. } if ring.layout().rate == 48_000));
        let SoundEvent::Capture { stream: 1, bell: rung, .. } = &events[1] else { panic!("{events:?}") };
        rung.ring();
        assert_eq!(bell.hear(), Heard::Ring);
        engine.send(&ToConsole::StreamEnded { stream: 1 });
        assert_eq!(console.dispatch().unwrap(), Changes::SOUND);
        assert!(!console.is_recorded() && matches!(console.take_sound()[..], [SoundEvent::Ended { stream: 1 }]));
    }

    #[test]
    fn what_nobody_takes_does_not_pile_up() {
        let (engine, mut console) = greeted();
        for _ in 0..50 {
            offer(&engine, ToConsole::Playback, 3);
            engine.send(&ToConsole::StreamEnded { stream: 3 });
            console.dispatch().unwrap();
        }
        assert!(matches!(console.take_sound()[..], [SoundEvent::Ended { stream: 3 }]));
        for stream in 0..17 {
            engine.send(&ToConsole::StreamEnded { stream });
        }
        assert!(matches!(console.dispatch(), Err(Error::Nonsense("too many streams of sound"))));
    }

    #[test]
    fn a_microphone_that_is_off_is_off_whatever_the_engine_does() {
        let (engine, mut console) = greeted();
        let _kept = [offer(&engine, ToConsole::Capture, 1), offer(&engine, ToConsole::Playback, 0)];
        console.dispatch().unwrap();
        console.take_sound();
        console.want_sound(true, false).unwrap();
        assert!(!console.is_recorded());
        assert!(matches!(console.take_sound()[..], [SoundEvent::Ended { stream: 1 }]));
        let _more = offer(&engine, ToConsole::Capture, 1);
        console.dispatch().unwrap();
        assert!(!console.is_recorded() && console.take_sound().is_empty());
    }

    #[test]
    fn streams_are_few_also_when_they_are_taken() {
        let (engine, mut console) = greeted();
        let _kept: Vec<_> = (0..16).map(|stream| offer(&engine, ToConsole::Playback, stream)).collect();
        console.dispatch().unwrap();
        assert_eq!(console.take_sound().len(), 16);
        offer(&engine, ToConsole::Playback, 16);
        assert!(matches!(console.dispatch(), Err(Error::Nonsense("too many streams of sound"))));
    }

    #[test]
    fn a_stream_has_a_small_number() {
        let messages: [fn(&FakeEngine); 3] = [
            |engine| engine.send(&ToConsole::StreamEnded { stream: 16 }),
            |engine| drop(offer(engine, ToConsole::Playback, 16)),
            |engine| drop(offer(engine, ToConsole::Capture, u32::MAX)),
        ];
        for message in messages {
            let (engine, mut console) = greeted();
            message(&engine);
            assert!(matches!(console.dispatch(), Err(Error::Nonsense("too many streams of sound"))));
            assert!(console.take_sound().is_empty());
        }
    }

    #[test]
    fn sound_that_makes_no_sense_costs_the_console() {
        let layout = Layout::new(48_000, 2).unwrap();
        let (_ring, memfd) = Ring::create(layout).unwrap();
        let (_ours, bell) = Bell::pair().unwrap();
        let playback = |layout| serde_json::to_vec(&ToConsole::Playback(Offer { stream: 0, layout })).unwrap();
        let (memfd, bell) = (memfd.as_fd(), bell.as_fd());
        for (bytes, fds) in [
            (playback(layout), vec![]),
            (playback(layout), vec![memfd]),
            (playback(layout), vec![memfd, bell, bell]),
            (playback(layout), vec![bell, memfd]),
            (playback(Layout { frames: 1 << 17, ..layout }), vec![memfd, bell]),
            (playback(Layout { rate: 0, ..layout }), vec![memfd, bell]),
            (serde_json::to_vec(&ToConsole::HideCursor).unwrap(), vec![memfd, bell]),
        ] {
            let (engine, mut console) = greeted();
            engine.send_bytes(&bytes, &fds);
            assert!(matches!(console.dispatch(), Err(Error::Nonsense(_))), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
