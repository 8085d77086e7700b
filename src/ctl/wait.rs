//! Waiting until a machine shows, says or is something.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use library::control::{Client, Error};
use library::{Entry, Library};
use regex::Regex;
use serde_json::{Value, json};

use crate::arguments::WaitFor;
use crate::output::Output;

/// Between looks; events cut it short.
const LOOK: Duration = Duration::from_millis(100);
/// As much of the serial port's output as is searched.
const SERIAL_BYTES: usize = 1 << 20;

/// `wait`.
pub(crate) fn wait(
    library: &Library,
    entry: &Entry,
    what: WaitFor,
    timeout: Duration,
    new: bool,
    out: Output,
) -> Result<()> {
    let end = Instant::now() + timeout;
    let found = match what {
        WaitFor { state: Some(state), .. } => return wait_state(library, entry, &state, end),
        WaitFor { screen_text: Some(expression), .. } => {
            let mut last = String::new();
            wait_text(entry, end, &expression, |control| {
                // In a graphics mode there is no text, which is not an error: another mode may follow.
                let lines = control.text()?.lines.unwrap_or_default();
                last = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
                Ok(last.clone())
            })?
        }
        WaitFor { serial_text: Some(expression), .. } => {
            let mut next = None;
            let mut text = String::new();
            wait_text(entry, end, &expression, move |control| {
                let from = match next {
                    Some(from) => from,
                    None if new => skip(control)?,
                    None => 0,
                };
                let serial = control.serial(from)?;
                next = Some(serial.next);
                text.push_str(&serial.text);
                if text.len() > SERIAL_BYTES {
                    let start = (text.len() - SERIAL_BYTES / 2..).find(|&at| text.is_char_boundary(at));
                    text.drain(..start.unwrap_or(text.len()));
                }
                // Terminals end lines with both.
                Ok(text.replace('\r', ""))
            })?
        }
        _ => bail!("say what to wait for"),
    };
    if out.json { out.data(|| found, String::new) } else { Ok(()) }
}

/// The end of what the serial port has sent so far.
fn skip(control: &mut Client) -> Result<u64, Error> {
    let mut at = 0;
    loop {
        let serial = control.serial(at)?;
        if serial.next == at || serial.text.is_empty() {
            return Ok(serial.next);
        }
        at = serial.next;
    }
}

fn wait_text(
    entry: &Entry,
    end: Instant,
    expression: &Regex,
    mut look: impl FnMut(&mut Client) -> Result<String, Error>,
) -> Result<Value> {
    let name = &entry.machine.name;
    let mut control = entry.running()?.control()?;
    let mut last = String::new();
    loop {
        match look(&mut control) {
            Ok(text) => last = text,
            Err(Error::Closed) => bail!("“{name}” turned off before “{expression}” came{}", after(&last)),
            Err(error) => return Err(error.into()),
        }
        if let Some(found) = expression.find(&last) {
            return Ok(json!({ "found": found.as_str() }));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("“{expression}” did not come in time{}", after(&last));
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// The last thing that was seen, for people who wonder.
fn after(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| "; nothing was there".into(), |line| format!("; the last line is “{}”", line.trim()))
}

fn wait_state(library: &Library, entry: &Entry, wanted: &str, end: Instant) -> Result<()> {
    let name = &entry.machine.name;
    let mut events: Option<Client> = None;
    loop {
        let state = entry.state().word();
        if state == wanted {
            if wanted == "stopped" {
                // A throw-away machine's folder is nobody's now.
                library.sweep();
            }
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("“{name}” is {state}, not {wanted}, and time is up");
        }
        if events.is_none() {
            events = entry.running().and_then(|running| running.control_within(Duration::from_secs(2))).ok();
        }
        match events.as_mut().map(|control| control.next_event(left.min(LOOK))) {
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                // The engine ends: its lock falls in a moment.
                events = None;
                std::thread::sleep(Duration::from_millis(5));
            }
            None => std::thread::sleep(left.min(LOOK)),
        }
    }
}
