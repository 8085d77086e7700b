//! A machine's logs, to be read by people: the end of each, as plain text.
//!
//! What is in them comes from engines, firmware and guests, which are hostile: no more than [`TAIL`] bytes are read, what is no UTF-8 is
//! replaced, and control characters are taken out (a terminal would obey them).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use api::control::Serial;

use crate::control::Client;
use crate::entry::{ASK, Entry};
use crate::error::{Result, Trying};

/// Most bytes of a log that are read: its last.
pub const TAIL: u64 = 64 << 10;
/// Most pieces of what an engine keeps that are read.
const PIECES: usize = 32;
/// Most logs that are shown.
const LOGS: usize = 16;

/// Whose words a log has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The engine.
    Engine,
    /// The machine's first serial port.
    Serial,
    /// The firmware's debug port.
    Firmware,
    /// A network card's helper.
    Network(String),
}

/// A log that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whose.
    pub source: Source,
    /// Its file.
    pub path: PathBuf,
}

impl Entry {
    /// The machine's logs, the engine's first.
    pub fn all_logs(&self) -> Vec<Log> {
        let folder = self.logs();
        let log = |source, name: &str| Log { source, path: folder.join(name) };
        let cards = (0..self.machine.networks.len()).map(|number| {
            let card = format!("net{number}");
            log(Source::Network(card.clone()), &format!("{card}.log"))
        });
        [(Source::Engine, "engine.log"), (Source::Serial, "serial.log"), (Source::Firmware, "firmware.log")]
            .into_iter()
            .map(|(source, name)| log(source, name))
            .chain(cards)
            // A log without a word is none.
            .filter(|log| log.path.metadata().is_ok_and(|data| data.is_file() && data.len() > 0))
            .take(LOGS)
            .collect()
    }

    /// The ends of all logs, or why one cannot be read. A running machine's serial port is among them, whether its engine has a log to
    /// write to or not.
    pub fn log_ends(&self) -> Vec<(Source, String)> {
        self.ends_with(self.running().and_then(|running| running.control_within(ASK)).ok())
    }

    fn ends_with(&self, mut engine: Option<Client>) -> Vec<(Source, String)> {
        // Asking the engine also brings its log up to date.
        let first = engine.as_mut().and_then(|engine| engine.serial(0).ok());
        let end = |log: Log| {
            let text = log.tail().unwrap_or_else(|error| error.to_string());
            (log.source, text)
        };
        let mut ends: Vec<_> = self.all_logs().into_iter().map(end).collect();
        if let (Some(first), Some(mut engine)) = (first, engine)
            && !ends.iter().any(|(source, _)| *source == Source::Serial)
            && let Some(text) = serial_tail(&mut engine, first).filter(|text| !text.is_empty())
        {
            ends.push((Source::Serial, text));
        }
        ends
    }
}

/// What the first serial port of a machine that runs sent lately, and the engine keeps; `first` is the beginning of it.
fn serial_tail(engine: &mut Client, first: Serial) -> Option<String> {
    let (mut text, mut piece) = (String::new(), first);
    for _ in 1..PIECES {
        if piece.text.is_empty() {
            break;
        }
        text.push_str(&piece.text);
        piece = engine.serial(piece.next).ok()?;
    }
    text.push_str(&piece.text);
    let mut start = text.len().saturating_sub(TAIL as usize);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    Some(plain(&text[start..]))
}

impl Log {
    /// Its end.
    pub fn tail(&self) -> Result<String> {
        tail(&self.path)
    }
}

fn tail(path: &Path) -> Result<String> {
    let read = || -> std::io::Result<(Vec<u8>, bool)> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let start = length.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok((bytes, start > 0))
    };
    let (bytes, cut) = read().at("read", path)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match text.split_once('\n') {
        // The first line has no beginning.
        Some((_, rest)) if cut => rest,
        _ => &text,
    };
    Ok(plain(text))
}

/// Without control characters, but ends of lines and tabs; without ECMA-48's sequences for colours and the like.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' if rest.peek() == Some(&'[') => {
                rest.next();
                // Parameters, then one final byte.
                while rest.next_if(|c| ('\x20'..='\x3f').contains(c)).is_some() {}
                rest.next_if(|c| ('\x40'..='\x7e').contains(c));
            }
            '\n' | '\t' => plain.push(character),
            _ if character.is_control() => {}
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;
    use crate::fixture;

    #[test]
    fn an_engine_is_asked_for_all_only_where_there_is_no_log() {
        let (_home, _library, entry) = fixture::library_with_one();
        std::fs::create_dir_all(entry.logs()).unwrap();
        for (log, text, questions) in [(None, "0123456789", 11), (Some("logged"), "logged", 1)] {
            if let Some(log) = log {
                std::fs::write(entry.logs().join("serial.log"), log).unwrap();
            }
            let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let counter = asked.clone();
            let (client, thread) = fixture::engine(move |request| {
                counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let from = request["arguments"]["from"].as_u64().unwrap();
                let text = "0123456789".get(from as usize..from as usize + 1).unwrap_or_default();
                let answer = json!({ "from": from, "next": from + text.len() as u64, "text": text });
                vec![json!({ "return": answer, "id": request["id"] }).to_string()]
            });
            assert_eq!(entry.ends_with(Some(client)), [(Source::Serial, text.to_owned())]);
            thread.join().unwrap();
            assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), questions);
        }
    }

    #[test]
    fn ends_are_plain_text_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        std::fs::write(&path, b"one\r\n\x1b[1;31mtwo\x1b[0m\x07\xff\x00\n\tthree\x1b]x").unwrap();
        assert_eq!(tail(&path).unwrap(), "one\ntwo\u{fffd}\n\tthree]x");
        let mut file = File::create(&path).unwrap();
        for number in 0..20_000 {
            writeln!(file, "line {number}").unwrap();
        }
        let text = tail(&path).unwrap();
        assert!(text.len() as u64 <= TAIL && text.ends_with("line 19999\n"));
        assert!(text.starts_with("line "), "the first line is whole: {:?}", &text[..20]);
        assert!(tail(&folder.path().join("none")).unwrap_err().to_string().starts_with("cannot read "));
        // A single line without end.
        std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(tail(&path).unwrap().len() as u64, TAIL);
    }
}
