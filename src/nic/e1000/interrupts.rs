//! What the card interrupts for, and how often (manual §3.2.7, §3.4.3, §13.4.17 to 13.4.21).
//!
//! Causes gather in ICR, whatever the mask; reading it clears them. Two delays keep the causes of received frames and of written-back
//! descriptors until more came; ITR is the least time between two interrupts.

use std::time::Duration;

use device::{Clock, Timer, VmTime};
use serde::{Deserialize, Serialize};

use super::registers::Causes;

/// The unit of ITR.
const INTERVAL: Duration = Duration::from_nanos(256);
/// The unit of the delays.
const DELAY: Duration = Duration::from_nanos(1024);

/// A cause that may wait for more of its kind: until none came for `relative`, at most `absolute` after the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Delayed {
    relative: u16,
    absolute: u16,
    due: Option<VmTime>,
    latest: Option<VmTime>,
}

impl Delayed {
    /// Another one came. When it is to be told, if not at once.
    fn wait(&mut self, now: VmTime) -> Option<VmTime> {
        if self.relative == 0 {
            self.clear();
            return None;
        }
        let mut due = now + DELAY * u32::from(self.relative);
        if self.absolute != 0 {
            due = due.min(*self.latest.get_or_insert(now + DELAY * u32::from(self.absolute)));
        }
        self.due = Some(due);
        self.due
    }

    fn clear(&mut self) {
        (self.due, self.latest) = (None, None);
    }
}

/// The registers, as they are saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InterruptState {
    causes: u32,
    mask: u32,
    interval: u16,
    /// No interrupt before this.
    quiet_until: VmTime,
    asserted: bool,
    received: Delayed,
    sent: Delayed,
}

/// The causes that may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delay {
    Received,
    Sent,
}

/// The registers and their timers.
pub(super) struct Interrupts {
    state: InterruptState,
    clock: Clock,
    throttle: Timer,
    received: Timer,
    sent: Timer,
}

impl Interrupts {
    pub(super) fn new(clock: Clock, throttle: Timer, received: Timer, sent: Timer) -> Self {
        Self { state: InterruptState::default(), clock, throttle, received, sent }
    }

    /// Everything off.
    pub(super) fn reset(&mut self) {
        self.state = InterruptState::default();
        for timer in [&self.throttle, &self.received, &self.sent] {
            timer.cancel();
        }
    }

    /// The registers.
    pub(super) fn save(&self) -> InterruptState {
        let Self { state, clock: _, throttle: _, received: _, sent: _ } = self;
        state.clone()
    }

    /// Puts saved registers in. None waits longer than registers can say.
    pub(super) fn restore(&mut self, mut saved: InterruptState) {
        let now = self.clock.now();
        saved.causes &= Causes::ALL.bits();
        saved.mask &= Causes::ALL.bits();
        saved.quiet_until = saved.quiet_until.min(now + INTERVAL * u32::from(u16::MAX));
        let longest = now + DELAY * u32::from(u16::MAX);
        for (delayed, timer) in [(&mut saved.received, &self.received), (&mut saved.sent, &self.sent)] {
            delayed.due = delayed.due.map(|due| due.min(longest));
            delayed.latest = delayed.latest.map(|latest| latest.min(longest));
            match delayed.due {
                Some(due) => timer.arm(due),
                None => timer.cancel(),
            }
        }
        self.state = saved;
        self.throttle.cancel();
    }

    pub(super) fn raise(&mut self, causes: Causes) {
        self.state.causes |= (causes & Causes::ALL).bits();
    }

    fn delayed(&mut self, which: Delay) -> (&mut Delayed, &Timer, Causes) {
        match which {
            Delay::Received => (&mut self.state.received, &self.received, Causes::RECEIVED),
            Delay::Sent => (&mut self.state.sent, &self.sent, Causes::SENT),
        }
    }

    /// Something happened whose cause may wait.
    pub(super) fn raise_later(&mut self, which: Delay) {
        let now = self.clock.now();
        let (delayed, timer, cause) = self.delayed(which);
        let before = delayed.due;
        match delayed.wait(now) {
            // The timer that is armed looks again when it runs out: arming one for each frame wakes its thread as often.
            Some(due) if before.is_some_and(|before| before <= due) => {}
            Some(due) => timer.arm(due),
            None => self.raise(cause),
        }
    }

    /// What waited has waited long enough.
    pub(super) fn flush(&mut self, which: Delay) {
        let (delayed, timer, cause) = self.delayed(which);
        if delayed.due.is_some() {
            delayed.clear();
            timer.cancel();
            self.raise(cause);
        }
    }

    /// A delay's timer ran out; more may have come since it was armed.
    pub(super) fn expired(&mut self, which: Delay, now: VmTime) {
        let (delayed, timer, _) = self.delayed(which);
        match delayed.due {
            Some(due) if due <= now => self.flush(which),
            Some(due) => timer.arm(due),
            None => {}
        }
    }

    /// The two registers of a delay.
    pub(super) fn delays(&mut self, which: Delay) -> (&mut u16, &mut u16) {
        let delayed = self.delayed(which).0;
        (&mut delayed.relative, &mut delayed.absolute)
    }

    /// ICS reads what ICR would, and leaves it.
    pub(super) fn causes(&self) -> u32 {
        self.state.causes
    }

    pub(super) fn take_causes(&mut self) -> u32 {
        std::mem::take(&mut self.state.causes)
    }

    pub(super) fn clear_causes(&mut self, causes: u32) {
        self.state.causes &= !causes;
    }

    pub(super) fn mask(&self) -> u32 {
        self.state.mask
    }

    pub(super) fn set_mask(&mut self, mask: u32) {
        self.state.mask = mask & Causes::ALL.bits();
    }

    pub(super) fn interval(&self) -> u16 {
        self.state.interval
    }

    pub(super) fn set_interval(&mut self, interval: u16) {
        self.state.interval = interval;
        // What waits for the old one does no longer.
        self.state.quiet_until = VmTime(0);
    }

    /// Whether the line is to be high now.
    pub(super) fn level(&mut self) -> bool {
        let state = &mut self.state;
        if state.causes & state.mask == 0 {
            state.asserted = false;
            return false;
        }
        if !state.asserted {
            if state.interval != 0 {
                let now = self.clock.now();
                if now < state.quiet_until {
                    self.throttle.arm(state.quiet_until);
                    return false;
                }
                state.quiet_until = now + INTERVAL * u32::from(state.interval);
            }
            state.asserted = true;
        }
        true
    }
}
