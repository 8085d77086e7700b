//! Input on its way to an engine that may not read for a while.
//!
//! A window never waits for an engine. What the socket does not take stands here, bounded: movements unite, and when a person goes on
//! typing into an engine that does not answer, what they typed is dropped and all keys released, so that none stays down. What they
//! want of sound is not typed, and stays.

use std::collections::VecDeque;

use api::ui::ToEngine;

use crate::Error;
use crate::channel::{Channel, Sent};

/// Most messages that wait.
const MOST: usize = 256;

/// Messages that wait for the engine, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<ToEngine>,
}

impl Outbox {
    /// Sends a message, or lets it wait.
    pub(crate) fn send(&mut self, channel: &Channel, message: ToEngine) -> Result<(), Error> {
        self.flush(channel)?;
        if self.waiting.is_empty() && channel.send(&message)? == Sent::Yes {
            return Ok(());
        }
        let united = self.waiting.back_mut().is_some_and(|last| unite(last, &message));
        if !united {
            if self.waiting.len() >= MOST {
                let frame_done = self.waiting.contains(&ToEngine::FrameDone);
                let sound = self.waiting.iter().rfind(|message| matches!(message, ToEngine::Sound { .. })).cloned();
                self.waiting.clear();
                self.waiting.extend(sound);
                self.waiting.push_back(ToEngine::ReleaseAll);
                if frame_done {
                    self.waiting.push_back(ToEngine::FrameDone);
                }
            }
            self.waiting.push_back(message);
        }
        Ok(())
    }

    /// Sends what waits, as far as the engine takes it.
    pub(crate) fn flush(&mut self, channel: &Channel) -> Result<(), Error> {
        while let Some(message) = self.waiting.front() {
            if channel.send(message)? == Sent::Full {
                break;
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Does nothing wait?
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Makes one message of two movements, if they are of one kind.
fn unite(last: &mut ToEngine, next: &ToEngine) -> bool {
    match (last, next) {
        (ToEngine::PointerPosition { x, y }, ToEngine::PointerPosition { x: new_x, y: new_y }) => {
            (*x, *y) = (*new_x, *new_y);
            true
        }
        (ToEngine::PointerMotion { dx, dy }, ToEngine::PointerMotion { dx: more_x, dy: more_y }) => {
            (*dx, *dy) = (dx.saturating_add(*more_x), dy.saturating_add(*more_y));
            true
        }
        (last @ ToEngine::UiInfo { .. }, next @ ToEngine::UiInfo { .. })
        | (last @ ToEngine::Sound { .. }, next @ ToEngine::Sound { .. }) => {
            *last = next.clone();
            true
        }
        _ => false,
    }
}
