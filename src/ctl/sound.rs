//! The sound of a machine as a file.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use api::machine::SoundCard;
use console::Console;
use library::Entry;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::output::Output;
use crate::tape::{Stop, Tape};

/// Between two readings of what is played.
const TURN: Duration = Duration::from_millis(10);
/// Between two looks at whether something is; a signal and what the engine says cut it short.
const LOOK: Duration = Duration::from_millis(200);

/// Why a recording ended.
enum End {
    /// By Ctrl-C, or because time was up.
    Asked,
    /// The machine turned off.
    Off,
    /// The file takes no more.
    Stopped(Stop),
}

/// `record-sound`.
pub(crate) fn record(entry: &Entry, path: &Path, time: Option<Duration>, out: Output) -> Result<()> {
    let name = &entry.machine.name;
    if path == Path::new("-") {
        bail!("a WAV file begins with its length, which only a file can be told at the end: name one");
    }
    let running = entry.running()?;
    if entry.machine.sound.card == SoundCard::None {
        bail!("“{name}” has no sound card: while it is off, “dormerctl set” with sound.card=hda gives it one");
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot listen for Ctrl-C")?;
    }
    let failed = || format!("cannot write {}", path.display());
    let (file, is_new) = open(path).with_context(failed)?;
    let began = Instant::now();
    let mut tape = Tape::new(file, began);
    let ended = running.ui().map_err(anyhow::Error::from).and_then(|socket| {
        let mut console = Console::over(socket);
        console.want_sound(true, false)?;
        if time.is_none() && io::stderr().is_terminal() {
            eprintln!("Ctrl-C ends this.");
        }
        let end = time.map(|time| began + time);
        let ended = listen(&mut console, &mut tape, end, &interrupted)?;
        if !matches!(ended, End::Asked) {
            tape.take_rest()?;
        }
        Ok(ended)
    });
    // Of the two ways to fail, one is the file's.
    let ended = ended.map_err(|error| if error.is::<io::Error>() { error.context(failed()) } else { error });
    let Some((layout, _)) = tape.recorded() else {
        if is_new {
            // Nothing is in it.
            let _ = std::fs::remove_file(path);
        }
        ended?;
        bail!("“{name}” played nothing in {:.1} seconds: nothing was recorded", began.elapsed().as_secs_f64());
    };
    // Whatever happened, what was recorded until then is there.
    let finished = tape.finish().with_context(failed);
    let ended = ended?;
    finished?;
    let frames = tape.recorded().map_or(0, |(_, frames)| frames);
    let seconds = frames as f64 / f64::from(layout.rate);
    let file = path.display();
    match ended {
        End::Asked | End::Off => out.data(
            || json!({ "file": path, "seconds": seconds, "rate": layout.rate, "channels": layout.channels, "frames": frames }),
            || format!("{seconds:.1} seconds, {}.", shape(layout)),
        ),
        End::Stopped(Stop::Full) => bail!("{file} is full after {seconds:.0} seconds: a WAV file holds 4 GiB"),
        End::Stopped(Stop::Other(other)) => bail!(
            "{file} ends after {seconds:.1} seconds, where the guest went over from {} to {}: a WAV file has one of either",
            shape(layout),
            shape(other)
        ),
    }
}

fn shape(layout: api::pcm::Layout) -> String {
    let channels = if layout.channels == 1 { "channel" } else { "channels" };
    format!("{} Hz and {} {channels}", layout.rate, layout.channels)
}

/// The file, with what is in it, and whether it is a new one: whether something is played is seen later.
fn open(path: &Path) -> io::Result<(File, bool)> {
    match File::options().write(true).create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Looked at first: the other end of a pipe would be waited for.
            if path.metadata().is_ok_and(|data| !data.is_file()) {
                return Err(io::Error::other("it is not a file"));
            }
            Ok((File::options().write(true).create(true).truncate(false).open(path)?, false))
        }
        Err(error) => Err(error),
    }
}

/// Records until something ends it.
fn listen(console: &mut Console, tape: &mut Tape, end: Option<Instant>, interrupted: &AtomicBool) -> Result<End> {
    loop {
        let now = Instant::now();
        let over = end.filter(|end| *end <= now);
        // To the frame, however late it is noticed.
        if let Some(stop) = tape.turn(over.unwrap_or(now))? {
            return Ok(End::Stopped(stop));
        }
        if over.is_some() || interrupted.load(Ordering::Relaxed) {
            return Ok(End::Asked);
        }
        let rest = if tape.is_playing() { TURN } else { LOOK };
        let rest = end.map_or(rest, |end| rest.min(end.saturating_duration_since(now)));
        match console.wait(rest) {
            Ok(_) => {}
            Err(console::Error::Closed) => return Ok(End::Off),
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        for event in console.take_sound() {
            if let Some(stop) = tape.follow(event, end.map_or(now, |end| now.min(end)))? {
                return Ok(End::Stopped(stop));
            }
        }
    }
}
