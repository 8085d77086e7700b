//! Input device (VIRTIO 1.2 §5.8): a keyboard or a tablet that speaks evdev.
//!
//! Events that belong together end with SYN_REPORT and reach the driver together or not at all. While the driver has no buffers
//! they wait, up to a bound; of waiting positions only the last is kept.

use std::collections::VecDeque;

use device::input::{Axis, Button, KeySink, PointerSink};
use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use crate::VirtioPci;
use crate::input_model::{
    ABS_X, ABS_Y, EV_ABS, EV_KEY, EV_LED, EV_REL, EV_SYN, Keyboard, Model, REL_HWHEEL, REL_WHEEL, Tablet, button_code,
};
use crate::queues::Queues;
use crate::virtio_device::{DeviceType, Identity, VirtioDevice};

const EVENTS: u16 = 0;
const STATUS: u16 = 1;
const QUEUE_SIZE: u16 = 64;

/// Bytes of an event on the wire: type, code, value.
const EVENT: usize = 8;
/// Reports that wait for buffers; later ones are lost. A person fills this in no less than seconds.
const MOST_WAITING: usize = 256;
/// Status events of the driver that one request is looked at for.
const MOST_STATUS: usize = QUEUE_SIZE as usize;

// Config space (§5.8.4): select, subselect, size, five reserved, data.
const SELECT: usize = 0;
const SUBSELECT: usize = 1;
const SIZE: usize = 2;
const DATA: usize = 8;
const CONFIG_LENGTH: usize = 136;

/// One evdev event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    kind: u16,
    code: u16,
    value: u32,
}

impl Event {
    const REPORT: Self = Self { kind: EV_SYN, code: 0, value: 0 };

    fn to_bytes(self) -> [u8; EVENT] {
        let Self { kind, code, value } = self;
        let mut bytes = [0; EVENT];
        bytes[..2].copy_from_slice(&kind.to_le_bytes());
        bytes[2..4].copy_from_slice(&code.to_le_bytes());
        bytes[4..].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    fn from_bytes([k0, k1, c0, c1, value @ ..]: [u8; EVENT]) -> Self {
        let (kind, code) = (u16::from_le_bytes([k0, k1]), u16::from_le_bytes([c0, c1]));
        Self { kind, code, value: u32::from_le_bytes(value) }
    }
}

/// An input device of model `M`.
#[derive(Default)]
pub struct Input<M> {
    model: M,
    select: u8,
    subselect: u8,
    /// The driver has given buffers since it became ready, and so takes events.
    fed: bool,
    /// Reports that wait for buffers, each without its SYN_REPORT.
    waiting: VecDeque<Vec<Event>>,
    /// Keys and buttons that the driver was told are down, in the order in which they went.
    down: Vec<u16>,
    /// Lit lights, by evdev LED number.
    leds: u16,
}

/// The saved device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputState {
    select: u8,
    subselect: u8,
    fed: bool,
    waiting: Vec<Vec<Event>>,
    down: Vec<u16>,
    leds: u16,
}

impl<M: Model> Input<M> {
    /// A keyboard's lights: bit 0 is num lock, 1 caps lock, 2 scroll lock.
    pub fn leds(&self) -> u16 {
        self.leds
    }

    fn config(&self) -> [u8; CONFIG_LENGTH] {
        let mut config = [0; CONFIG_LENGTH];
        let data = self.model.config(self.select, self.subselect);
        config[SELECT] = self.select;
        config[SUBSELECT] = self.subselect;
        // Models keep to the 128 bytes there are.
        config[SIZE] = data.len() as u8;
        config[DATA..DATA + data.len()].copy_from_slice(&data);
        config
    }

    /// Sends a report, now or when there are buffers.
    fn report(&mut self, events: Vec<Event>, queues: &mut Queues) {
        if !queues.is_running() {
            return;
        }
        let is_move = |events: &[Event]| events.iter().all(|event| event.kind == EV_ABS);
        let full = self.waiting.len() >= MOST_WAITING;
        match self.waiting.back_mut() {
            Some(last) if is_move(last) && is_move(&events) => *last = events,
            _ if full => return,
            _ => self.waiting.push_back(events),
        }
        self.deliver(queues);
    }

    /// Hands out reports as far as buffers go.
    fn deliver(&mut self, queues: &mut Queues) {
        while let Some(events) = self.waiting.front() {
            let mut chains = Vec::new();
            for _ in 0..=events.len() {
                let Some(chain) = queues.pop(EVENTS) else {
                    queues.unpop(EVENTS, &chains);
                    return;
                };
                chains.push(chain);
            }
            let events = events.iter().copied().chain([Event::REPORT]);
            let filled: Vec<_> = chains
                .into_iter()
                .zip(events)
                .map(|(chain, event)| {
                    let written = if chain.write_at(0, &event.to_bytes()) { EVENT as u32 } else { 0 };
                    (chain, written)
                })
                .collect();
            queues.push_all(EVENTS, &filled);
            self.waiting.pop_front();
        }
    }

    /// A key or button; a release of what the driver does not know to be down is not for it.
    fn press(&mut self, code: u16, down: bool, queues: &mut Queues) {
        let held = self.down.iter().position(|&key| key == code);
        match (held, down) {
            (None, true) if queues.is_running() && self.model.has_key(code) => self.down.push(code),
            (Some(at), false) => drop(self.down.remove(at)),
            _ => return,
        }
        self.report(vec![Event { kind: EV_KEY, code, value: down.into() }], queues);
    }

    /// What the driver says: lights.
    fn take_status(&mut self, queues: &mut Queues) {
        while let Some(chain) = queues.pop(STATUS) {
            for i in 0..MOST_STATUS {
                let Some(bytes) = chain.read((i * EVENT) as u64) else { break };
                let Event { kind, code, value } = Event::from_bytes(bytes);
                if kind == EV_LED && code < 16 {
                    self.leds = self.leds & !(1 << code) | u16::from(value != 0) << code;
                }
            }
            queues.push(STATUS, chain, 0);
        }
    }
}

impl<M: Model> VirtioDevice for Input<M> {
    fn identity(&self) -> Identity {
        Identity {
            device_type: DeviceType::Input,
            class: M::CLASS,
            features: 0,
            queue_sizes: vec![QUEUE_SIZE; 2],
            config_length: CONFIG_LENGTH as u64,
        }
    }

    fn read_config(&self, at: u64, into: &mut [u8]) {
        into.copy_from_slice(&self.config()[at as usize..at as usize + into.len()]);
    }

    fn write_config(&mut self, at: u64, data: &[u8]) {
        for (at, &byte) in (at as usize..).zip(data) {
            match at {
                SELECT => self.select = byte,
                SUBSELECT => self.subselect = byte,
                _ => {}
            }
        }
    }

    fn process(&mut self, queue: u16, queues: &mut Queues) {
        match queue {
            EVENTS => {
                self.fed |= queues.has_available(EVENTS);
                self.deliver(queues);
            }
            _ => self.take_status(queues),
        }
    }

    fn reset(&mut self) {
        let Self { model: _, select, subselect, fed, waiting, down, leds } = self;
        (*select, *subselect, *fed, *leds) = (0, 0, false, 0);
        waiting.clear();
        down.clear();
    }
}

impl<M: Model> VirtioPci<Input<M>> {
    fn takes_events(&self) -> bool {
        self.is_running() && self.device().fed
    }
}

impl KeySink for VirtioPci<Input<Keyboard>> {
    fn listens(&self) -> bool {
        self.takes_events()
    }

    fn key(&mut self, code: u16, down: bool) {
        self.change(|input, queues| input.press(code, down, queues));
    }
}

impl PointerSink for VirtioPci<Input<Tablet>> {
    fn listens(&self) -> bool {
        self.takes_events()
    }

    fn is_absolute(&self) -> bool {
        true
    }

    fn moved(&mut self, _: i32, _: i32) {}

    fn moved_to(&mut self, x: u16, y: u16) {
        let axis = |code, value: u16| Event { kind: EV_ABS, code, value: value.into() };
        self.change(|input, queues| input.report(vec![axis(ABS_X, x), axis(ABS_Y, y)], queues));
    }

    fn button(&mut self, button: Button, down: bool) {
        self.change(|input, queues| input.press(button_code(button), down, queues));
    }

    fn wheel(&mut self, axis: Axis, steps: i32) {
        let code = match axis {
            Axis::Vertical => REL_WHEEL,
            Axis::Horizontal => REL_HWHEEL,
        };
        // Negative numbers go over the wire in two's complement.
        let event = Event { kind: EV_REL, code, value: steps as u32 };
        self.change(|input, queues| input.report(vec![event], queues));
    }
}

impl<M: Model> State for Input<M> {
    const KIND: &'static str = M::KIND;
    type Saved = InputState;

    fn save(&self) -> InputState {
        let Self { model: _, select, subselect, fed, waiting, down, leds } = self;
        InputState {
            select: *select,
            subselect: *subselect,
            fed: *fed,
            waiting: waiting.iter().cloned().collect(),
            down: down.clone(),
            leds: *leds,
        }
    }

    fn restore(&mut self, saved: InputState) -> Result<(), RestoreError> {
        let InputState { select, subselect, fed, waiting, down, leds } = saved;
        let is_report = |events: &Vec<Event>| matches!(events.len(), 1 | 2);
        if waiting.len() > MOST_WAITING || !waiting.iter().all(is_report) {
            return Err(Self::impossible("waiting"));
        }
        if !down.iter().all(|&code| self.model.has_key(code)) || down.len() > 0x300 {
            return Err(Self::impossible("down"));
        }
        (self.select, self.subselect, self.fed, self.leds) = (select, subselect, fed, leds);
        self.waiting = waiting.into();
        self.down = down;
        Ok(())
    }
}

#[cfg(test)]
#[path = "input_test.rs"]
mod tests;
