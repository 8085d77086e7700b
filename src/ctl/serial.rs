//! The first serial port: print, send, converse.

use std::io::{IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use api::control::Command;
use library::Entry;
use library::control::Client;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;

use crate::output::Output;

/// How often new output is asked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long the engine waits for new output at a time.
const WAIT: Duration = Duration::from_secs(5);
/// Ctrl-] ends a conversation, as in telnet.
const ESCAPE: u8 = 0x1d;

/// `serial`.
pub(crate) fn serial(entry: &Entry, write: Option<&str>, follow: bool, out: Output) -> Result<()> {
    let mut control = entry.running()?.control()?;
    if let Some(text) = write {
        control.execute(&Command::SerialWrite { text: unescape(text)? })?;
        if !follow {
            return Ok(());
        }
    } else if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !follow && !out.json {
        return converse(&mut control);
    }
    let serial = control.serial(0)?;
    if out.json && !follow {
        return out.data(|| json!({ "from": serial.from, "next": serial.next, "text": serial.text }), String::new);
    }
    print(&serial.text)?;
    if follow { follow_from(&mut control, serial.next) } else { Ok(()) }
}

/// Prints what comes until the machine is off.
fn follow_from(control: &mut Client, mut next: u64) -> Result<()> {
    loop {
        let asked = Instant::now();
        match control.await_serial(next, WAIT) {
            Ok(serial) => {
                next = serial.next;
                print(&serial.text)?;
                if serial.text.is_empty() {
                    // For engines of before, which do not wait.
                    std::thread::sleep(LOOK.saturating_sub(asked.elapsed()));
                }
            }
            Err(library::control::Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A terminal in raw mode until it is dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn new() -> Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn converse(control: &mut Client) -> Result<()> {
    eprintln!("Ctrl-] ends this.");
    let terminal = RawTerminal::new()?;
    let mut next = 0;
    let ended = loop {
        let serial = match control.serial(next) {
            Ok(serial) => serial,
            Err(library::control::Error::Closed) => break "The machine is off.",
            Err(error) => return Err(error.into()),
        };
        next = serial.next;
        print(&serial.text)?;
        let stdin = std::io::stdin();
        let mut wait = [PollFd::new(&stdin, PollFlags::IN)];
        let limit = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
        if poll(&mut wait, Some(&limit))? == 0 {
            continue;
        }
        let mut bytes = [0; 256];
        let count = stdin.lock().read(&mut bytes)?;
        let typed = &bytes[..count];
        if count == 0 || typed.contains(&ESCAPE) {
            break "";
        }
        control.execute(&Command::SerialWrite { text: String::from_utf8_lossy(typed).into_owned() })?;
    };
    drop(terminal);
    eprintln!("\n{ended}");
    Ok(())
}

/// `\n`, `\r`, `\t`, `\e` and `\\`.
fn unescape(text: &str) -> Result<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('e') => '\u{1b}',
                Some('\\') => '\\',
                other => bail!("“\\{}” means nothing here: write \\\\ for a backslash", other.unwrap_or(' ')),
            },
            other => other,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\n\r\t\\b").unwrap(), "a\n\r\t\\b");
        assert!(unescape(r"a\x").is_err() && unescape("\\").is_err());
    }
}
