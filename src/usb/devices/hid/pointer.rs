//! A pointer, which a mouse and a tablet are: steps that the pointer did, merged as far as they may be.
//!
//! A movement joins the one before it, and so do turns of the wheel; a button begins a new step, so that clicks are where they were.
//! When there is no room, clicks are merged too, but never so that a button hangs: the last step has the buttons as they are.

use std::collections::VecDeque;

use device::input::{Axis, Button, PointerSink};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Boot, Model, Sink};

/// Steps that wait for the host.
const MOST_WAITING: usize = 32;
/// Turns and movements that are kept for a host that does not fetch them.
const FARTHEST: i32 = 8192;
/// Five buttons.
const BUTTONS: u8 = 0x1f;

/// Where the pointer is, or how far it went: in what mouse and tablet differ.
pub trait Place: Copy + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static {
    /// As [`Model::KIND`].
    const KIND: &'static str;
    /// As [`Model::NAME`].
    const NAME: &'static str;
    /// As [`Model::BOOT`].
    const BOOT: Option<Boot>;
    /// As [`Model::REPORT`].
    const REPORT: u16;
    /// As [`Model::REPORT_DESCRIPTOR`].
    const REPORT_DESCRIPTOR: &'static [u8];
    /// Does it come of positions rather than of movements?
    const IS_ABSOLUTE: bool;

    /// Of a movement.
    fn by(_dx: i32, _dy: i32) -> Option<Self> {
        None
    }
    /// Of a position.
    fn at(_x: u16, _y: u16) -> Option<Self> {
        None
    }
    /// A report.
    fn report(step: Step<Self>) -> Vec<u8>;
    /// Goes on by a later one.
    fn join(&mut self, later: Self);
    /// Takes off what a report has room for.
    fn take(&mut self) -> Self;
    /// Was all of it told?
    fn is_told(&self) -> bool;
    /// Where the next step begins.
    fn next(self) -> Self;
    /// Can it be?
    fn is_possible(&self) -> bool;
}

/// A step, or the part of one that a report tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step<P> {
    /// Where.
    pub place: P,
    /// Away from the person.
    pub wheel: i32,
    /// To the right.
    pub pan: i32,
    /// Bit 0 left, 1 right, 2 middle, 3 side, 4 extra.
    pub buttons: u8,
}

/// A pointer with five buttons and two wheels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Pointer<P: Place> {
    buttons: u8,
    waiting: VecDeque<Step<P>>,
    /// What the host knows.
    told: Step<P>,
}

impl<P: Place> Pointer<P> {
    fn moved(&mut self, place: P) {
        self.step(|step| step.place.join(place));
    }

    fn turned(&mut self, axis: Axis, steps: i32) {
        self.step(|step| {
            let turned = match axis {
                Axis::Vertical => &mut step.wheel,
                Axis::Horizontal => &mut step.pan,
            };
            *turned = add(*turned, steps);
        });
    }

    fn button(&mut self, button: Button, down: bool) {
        let bit = match button {
            Button::Left => 1,
            Button::Right => 2,
            Button::Middle => 4,
            Button::Side => 8,
            Button::Extra => 16,
        };
        let buttons = if down { self.buttons | bit } else { self.buttons & !bit };
        if buttons != self.buttons {
            self.buttons = buttons;
            self.step(|_| {});
        }
    }

    /// Does something to the last step, or to a new one.
    fn step(&mut self, change: impl FnOnce(&mut Step<P>)) {
        let full = self.waiting.len() >= MOST_WAITING;
        let buttons = self.buttons;
        match self.waiting.back_mut() {
            Some(last) if full || last.buttons == buttons => {
                last.buttons = buttons;
                change(last);
            }
            last => {
                let place = last.map_or(self.told.place, |last| last.place).next();
                let mut step = Step { place, wheel: 0, pan: 0, buttons };
                change(&mut step);
                self.waiting.push_back(step);
            }
        }
    }

    /// What the next report tells.
    fn next_step(&mut self) -> Option<Step<P>> {
        let step = self.waiting.front_mut()?;
        let told = Step {
            place: step.place.take(),
            wheel: take(&mut step.wheel),
            pan: take(&mut step.pan),
            buttons: step.buttons,
        };
        if step.place.is_told() && (step.wheel, step.pan) == (0, 0) {
            self.waiting.pop_front();
        }
        self.told = Step { place: told.place.next(), wheel: 0, pan: 0, buttons: told.buttons };
        Some(told)
    }

    /// The field that no pointer could have.
    fn check(&self) -> Result<(), &'static str> {
        let Self { buttons, waiting, told } = self;
        let possible = |step: &Step<P>| {
            let Step { place, wheel, pan, buttons } = step;
            *buttons <= BUTTONS && place.is_possible() && is_near(*wheel) && is_near(*pan)
        };
        if *buttons > BUTTONS || waiting.back().unwrap_or(told).buttons != *buttons {
            return Err("button");
        }
        if waiting.len() > MOST_WAITING || !waiting.iter().chain([told]).all(possible) {
            return Err("step");
        }
        Ok(())
    }
}

impl<P: Place> Model for Pointer<P> {
    const KIND: &'static str = P::KIND;
    const NAME: &'static str = P::NAME;
    const PRODUCT: u16 = 0x0001;
    const BOOT: Option<Boot> = P::BOOT;
    const REPORT_DESCRIPTOR: &'static [u8] = P::REPORT_DESCRIPTOR;
    const REPORT: u16 = P::REPORT;
    /// 4 ms.
    const INTERVAL: u8 = 6;
    type Saved = Self;

    fn reset(&mut self) {
        let place = self.told.place;
        *self = Self { told: Step { place, ..Step::default() }, ..Self::default() };
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        self.next_step().map(P::report)
    }

    fn is_ready(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn last(&self) -> Vec<u8> {
        P::report(self.told)
    }

    fn save(&self) -> Self {
        self.clone()
    }

    fn restore(&mut self, saved: Self) -> Result<(), &'static str> {
        saved.check()?;
        *self = saved;
        Ok(())
    }
}

impl<P: Place> PointerSink for Sink<Pointer<P>> {
    fn listens(&self) -> bool {
        self.is_listening()
    }

    fn is_absolute(&self) -> bool {
        P::IS_ABSOLUTE
    }

    fn moved(&mut self, dx: i32, dy: i32) {
        if let Some(place) = P::by(dx, dy) {
            self.tell_listening(|pointer| pointer.moved(place));
        }
    }

    fn moved_to(&mut self, x: u16, y: u16) {
        if let Some(place) = P::at(x, y) {
            self.tell_listening(|pointer| pointer.moved(place));
        }
    }

    fn button(&mut self, button: Button, down: bool) {
        self.tell(|pointer, listens| {
            if listens || !down {
                pointer.button(button, down);
            }
        });
    }

    fn wheel(&mut self, axis: Axis, steps: i32) {
        self.tell_listening(|pointer| pointer.turned(axis, steps));
    }
}

/// A sum that stays within what is kept.
pub(super) fn add(a: i32, b: i32) -> i32 {
    a.saturating_add(b).clamp(-FARTHEST, FARTHEST)
}

/// Takes off what a byte has room for.
pub(super) fn take(kept: &mut i32) -> i32 {
    let taken = (*kept).clamp(-127, 127);
    *kept -= taken;
    taken
}

/// Is it a sum that is kept?
pub(super) fn is_near(kept: i32) -> bool {
    (-FARTHEST..=FARTHEST).contains(&kept)
}
