//! Why there is no more to see, by what the engine said on its control socket before it closed the screen.

use std::time::{Duration, Instant};

use api::control::{Event, RunState};
use library::control::{self, Client};

/// How long the engine's last words may take.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Most events heard at once, so that a chatty engine cannot keep a window from drawing.
const EVENTS_AT_ONCE: usize = 64;

/// What is known of the machine beside its screen.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// It stands still.
    pub(crate) paused: bool,
    /// It was turned off.
    pub(crate) off: bool,
    /// Its engine has closed the control socket.
    pub(crate) closed: bool,
}

impl Fate {
    /// How the machine is found.
    pub(crate) fn of(control: &mut Client) -> Self {
        let state = control.status().inspect_err(|error| tracing::warn!("{error}")).map(|status| status.status);
        Self { paused: matches!(state, Ok(RunState::Paused | RunState::Prelaunch)), ..Self::default() }
    }

    /// Hears what the engine said meanwhile.
    pub(crate) fn hear(&mut self, control: &mut Client) {
        for _ in 0..EVENTS_AT_ONCE {
            if !self.hear_one(control, Duration::ZERO) {
                break;
            }
        }
    }

    /// Hears one event that comes in time; false when there is none.
    fn hear_one(&mut self, control: &mut Client, limit: Duration) -> bool {
        match control.next_event(limit) {
            Ok(Some(event)) => self.note(&event),
            Ok(None) => return false,
            Err(error) => {
                if !matches!(error, control::Error::Closed) {
                    tracing::warn!("{error}");
                }
                self.closed = true;
                return false;
            }
        }
        true
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Stop {} => self.paused = true,
            Event::Resume {} => self.paused = false,
            Event::Shutdown { .. } => self.off = true,
            _ => {}
        }
    }

    /// The screen is closed, and why: a sentence, or nothing where the machine was turned off as it should be.
    pub(crate) fn ending(&mut self, error: &console::Error, control: Option<&mut Client>) -> Option<String> {
        if let (console::Error::Closed, Some(control)) = (error, control) {
            let end = Instant::now() + LAST_WORDS;
            while self.hear_one(control, end.saturating_duration_since(Instant::now())) && Instant::now() < end {}
        }
        match error {
            _ if self.off => None,
            console::Error::Closed if self.closed => {
                Some("the machine’s engine ended unexpectedly; what was on its disks is still there".into())
            }
            error => Some(error.to_string()),
        }
    }
}
