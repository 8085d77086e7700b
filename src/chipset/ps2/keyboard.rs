//! The keyboard.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use device::VmTime;
use serde::{Deserialize, Serialize};

use super::scancodes::{self, Set};
use super::{ACKNOWLEDGE, FIFO, LONGEST_REPLY, RESEND, SELF_TEST_PASSED};

/// An "enhanced" keyboard's identity.
const IDENTITY: [u8; 2] = [0xab, 0x83];
/// Half a second, then 10.9 times a second.
const TYPEMATIC_DEFAULT: u8 = 0x2b;

/// What the next byte from the host belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Awaiting {
    Leds,
    ScancodeSet,
    Typematic,
    /// Keys of set 3, until the next command. That they may differ is not modelled: all are told and repeated.
    Keys,
}

/// The held key that repeats, and when it does next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Repeat {
    code: u16,
    at: VmTime,
}

/// The keyboard's state, and its saved state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyboardState {
    /// Answers to the last command, sent before keys.
    replies: VecDeque<u8>,
    /// Scan codes: up to [`FIFO`], and the overrun marker.
    keys: VecDeque<u8>,
    last_sent: u8,
    awaiting: Option<Awaiting>,
    scanning: bool,
    set: Set,
    leds: u8,
    typematic: u8,
    /// Keys that the person holds.
    held: BTreeSet<u16>,
    /// Keys that the host believes held. Those that are not are released as soon as there is room, so that none hangs.
    told: BTreeSet<u16>,
    repeat: Option<Repeat>,
}

impl Default for KeyboardState {
    fn default() -> Self {
        Self {
            replies: VecDeque::new(),
            keys: VecDeque::new(),
            last_sent: 0,
            awaiting: None,
            scanning: true,
            set: Set::Two,
            leds: 0,
            typematic: TYPEMATIC_DEFAULT,
            held: BTreeSet::new(),
            told: BTreeSet::new(),
            repeat: None,
        }
    }
}

/// A keyboard with the keys of a 105-key one and more.
#[derive(Debug, Default)]
pub(crate) struct Keyboard(KeyboardState);

impl Keyboard {
    /// Does the host want keys?
    pub(crate) fn is_scanning(&self) -> bool {
        self.0.scanning
    }

    /// When [`Self::repeat`] is due.
    pub(crate) fn repeat_at(&self) -> Option<VmTime> {
        self.0.repeat.map(|repeat| repeat.at)
    }

    /// The next byte for the host.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let byte = match self.0.replies.pop_front() {
            Some(reply) => reply,
            None => {
                let key = self.0.keys.pop_front()?;
                self.tell_releases();
                key
            }
        };
        self.0.last_sent = byte;
        Some(byte)
    }

    /// The host sent `byte`.
    pub(crate) fn receive(&mut self, byte: u8) {
        // A new byte ends what was still to be said to the one before.
        self.0.replies.clear();
        match self.0.awaiting.take() {
            Some(awaiting) if byte < 0x80 => self.argument(awaiting, byte),
            _ => self.command(byte),
        }
    }

    fn command(&mut self, byte: u8) {
        match byte {
            0xed => self.acknowledge_and_await(Awaiting::Leds),
            0xee => self.reply(&[0xee]),
            0xf0 => self.acknowledge_and_await(Awaiting::ScancodeSet),
            0xf2 => self.reply(&[ACKNOWLEDGE, IDENTITY[0], IDENTITY[1]]),
            0xf3 => self.acknowledge_and_await(Awaiting::Typematic),
            0xf4 => {
                self.0.scanning = true;
                self.clear_keys();
                self.reply(&[ACKNOWLEDGE]);
                self.tell_releases();
            }
            0xf5 | 0xf6 => {
                self.0.scanning &= byte == 0xf6;
                self.0.set = Set::Two;
                self.0.typematic = TYPEMATIC_DEFAULT;
                self.clear_keys();
                self.reply(&[ACKNOWLEDGE]);
            }
            0xf7..=0xfa => self.reply(&[ACKNOWLEDGE]),
            0xfb..=0xfd => self.acknowledge_and_await(Awaiting::Keys),
            0xfe => self.reply(&[self.0.last_sent]),
            0xff => {
                *self = Self::default();
                self.reply(&[ACKNOWLEDGE, SELF_TEST_PASSED]);
            }
            _ => self.reply(&[RESEND]),
        }
    }

    fn argument(&mut self, awaiting: Awaiting, byte: u8) {
        match (awaiting, byte) {
            (Awaiting::Leds, _) => self.0.leds = byte & 7,
            (Awaiting::Typematic, _) => self.0.typematic = byte,
            (Awaiting::Keys, _) => self.0.awaiting = Some(Awaiting::Keys),
            (Awaiting::ScancodeSet, 0) => return self.reply(&[ACKNOWLEDGE, self.0.set as u8]),
            (Awaiting::ScancodeSet, 1..=3) => {
                self.0.set = [Set::One, Set::Two, Set::Three][usize::from(byte - 1)];
                self.clear_keys();
            }
            (Awaiting::ScancodeSet, _) => return self.reply(&[RESEND]),
        }
        self.reply(&[ACKNOWLEDGE]);
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.0.replies.extend(bytes);
    }

    fn acknowledge_and_await(&mut self, awaiting: Awaiting) {
        self.0.awaiting = Some(awaiting);
        self.reply(&[ACKNOWLEDGE]);
    }

    fn clear_keys(&mut self) {
        self.0.keys.clear();
        self.0.repeat = None;
    }

    /// The person pressed or released a key.
    pub(crate) fn key(&mut self, code: u16, down: bool, now: VmTime) {
        if !scancodes::exists(code) {
            return;
        }
        if !down {
            self.0.held.remove(&code);
            if self.0.repeat.is_some_and(|repeat| repeat.code == code) {
                self.0.repeat = None;
            }
            return self.tell_releases();
        }
        if !self.0.held.insert(code) || !self.0.scanning {
            return;
        }
        self.tell_releases();
        if self.0.told.contains(&code) || !self.push(&self.sequence(code, true)) {
            return;
        }
        if !self.sequence(code, false).is_empty() {
            self.0.told.insert(code);
        }
        if scancodes::repeats(code) {
            let delay = Duration::from_millis(u64::from(self.0.typematic >> 5 & 3) * 250 + 250);
            self.0.repeat = Some(Repeat { code, at: now + delay });
        }
    }

    /// The time of [`Self::repeat_at`] may have come.
    pub(crate) fn repeat(&mut self, now: VmTime) {
        let Some(Repeat { code, at }) = self.0.repeat else { return };
        if at > now {
            return;
        }
        // A host that is behind is not pushed further: it would go on typing after the release.
        if self.0.keys.is_empty() {
            self.push(&self.sequence(code, true));
        }
        let (mantissa, exponent) = (u64::from(self.0.typematic & 7), self.0.typematic >> 3 & 3);
        let period = Duration::from_micros(((8 + mantissa) * 4170) << exponent);
        self.0.repeat = Some(Repeat { code, at: now + period });
    }

    fn sequence(&self, code: u16, down: bool) -> Vec<u8> {
        scancodes::sequence(self.0.set, code, down, |key| self.0.held.contains(&key))
    }

    /// Puts a key's bytes into the queue, all or none.
    fn push(&mut self, bytes: &[u8]) -> bool {
        if self.0.keys.len() + bytes.len() <= FIFO {
            self.0.keys.extend(bytes);
            return true;
        }
        let overrun = self.0.set.overrun();
        if self.0.keys.len() <= FIFO && self.0.keys.back() != Some(&overrun) {
            self.0.keys.push_back(overrun);
        }
        false
    }

    /// Tells the releases of keys that the host believes held.
    fn tell_releases(&mut self) {
        if !self.0.scanning {
            return;
        }
        for code in self.0.told.difference(&self.0.held).copied().collect::<Vec<_>>() {
            let bytes = self.sequence(code, false);
            if self.0.keys.len() + bytes.len() > FIFO {
                return;
            }
            self.push(&bytes);
            self.0.told.remove(&code);
        }
    }

    /// The state.
    pub(crate) fn save(&self) -> KeyboardState {
        self.0.clone()
    }

    /// Takes a state; the error names the impossible field.
    pub(crate) fn restore(&mut self, saved: KeyboardState) -> Result<(), &'static str> {
        let known = |codes: &BTreeSet<u16>| codes.iter().all(|&code| scancodes::exists(code));
        let KeyboardState { replies, keys, held, told, repeat, leds, typematic, .. } = &saved;
        if replies.len() > LONGEST_REPLY {
            return Err("keyboard reply");
        }
        if keys.len() > FIFO + 1 {
            return Err("keyboard queue");
        }
        if !known(held) || !known(told) || repeat.is_some_and(|repeat| !held.contains(&repeat.code)) {
            return Err("key");
        }
        if *leds > 7 || *typematic > 0x7f {
            return Err("keyboard setting");
        }
        self.0 = saved;
        Ok(())
    }
}
