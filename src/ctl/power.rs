//! Starting, stopping and what is between.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::control::{Command, RunState};
use library::engine::{self, Options, Running};
use library::media::{self, MediumKind};
use library::{Entry, Library, NewDisk, State};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::arguments::{Choices, StartOptions};
use crate::output::{self, Output};
use crate::{machines, view};

/// An engine that turns off writes its images out first.
const END: Duration = Duration::from_secs(30);
/// How soon Ctrl-C is heard.
const LOOK: Duration = Duration::from_millis(200);

impl From<StartOptions> for Options {
    fn from(options: StartOptions) -> Self {
        Self { paused: options.paused, debug_logs: options.debug_logs }
    }
}

/// Says what a start had to say.
fn announce(entry: &Entry, running: &Running, out: Output) -> Result<()> {
    for note in &running.notes {
        eprintln!("dormerctl: {note}");
    }
    let name = &entry.machine.name;
    let json = || json!({ "name": name, "uuid": entry.machine.uuid, "control": running.control_path() });
    out.data(json, || format!("“{name}” runs."))
}

/// `start`.
pub(crate) fn start(
    library: &Library,
    entry: &Entry,
    disposable: bool,
    options: StartOptions,
    out: Output,
) -> Result<()> {
    let copy;
    let (entry, running) = if disposable {
        let (made, lock) = library.copy_disposable(entry)?;
        copy = made;
        (&copy, engine::start_locked(&copy, lock, &options.into())?)
    } else {
        library.sweep();
        (entry, engine::start(entry, &options.into())?)
    };
    announce(entry, &running, out)?;
    if options.headless { Ok(()) } else { view::open(entry) }
}

/// `run`: a throw-away machine, until it stops or this is interrupted.
pub(crate) fn run(
    library: &Library,
    file: &Path,
    mut choices: Choices,
    options: StartOptions,
    out: Output,
) -> Result<()> {
    let medium = media::inspect(file)?;
    medium.check_bootable()?;
    let base = medium.system.id.is_some().then(|| medium.system.name.clone());
    let name = base.unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let name = library.free_name(&name)?;
    let new = match medium.kind {
        MediumKind::Cd => {
            choices.iso = Some(medium.path.clone());
            machines::plan(&name, &choices, true)?.new
        }
        MediumKind::Disk => {
            let mut new = machines::plan(&name, &choices, true)?.new;
            if choices.firmware.is_none() {
                new.firmware = medium.firmware();
            }
            new.disks.insert(0, NewDisk::Use { path: medium.path.clone(), format: medium.format });
            new
        }
    };
    let obstacle = (medium.kind == MediumKind::Cd).then(|| medium.obstacle()).flatten();
    obstacle.iter().for_each(|obstacle| eprintln!("dormerctl: {obstacle}"));
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot listen for Ctrl-C")?;
    }
    let (entry, lock) = library.create_disposable(&new)?;
    let running = match engine::start_locked(&entry, lock, &options.into()) {
        Ok(running) => running,
        Err(error) => {
            // The lock has gone with the engine that did not start.
            library.sweep();
            return Err(error.into());
        }
    };
    announce(&entry, &running, out)?;
    if !out.json {
        output::line("It is gone when it stops; Ctrl-C turns it off. Other terminals reach it by this name.")?;
    }
    // Without a window it runs as well.
    if !options.headless
        && let Err(error) = view::open(&entry)
    {
        eprintln!("dormerctl: {error:#}");
    }
    while !running.wait_end(LOOK)? {
        if interrupted.load(Ordering::Relaxed) {
            turn_off(&entry, &running)?;
        }
    }
    Ok(())
}

/// Ends an engine and waits until it has.
fn turn_off(entry: &Entry, running: &Running) -> Result<()> {
    match running.control().and_then(|mut control| Ok(control.execute(&Command::Quit {})?)) {
        Ok(_) => {}
        // It may end before it answers.
        Err(library::Error::Control(library::control::Error::Closed)) => {}
        Err(_) if running.has_ended() => {}
        Err(error) => return Err(error.into()),
    }
    if !running.wait_end(END)? {
        bail!("“{}” does not turn off: “dormerctl power-off --kill” ends it", entry.machine.name);
    }
    Ok(())
}

fn command(entry: &Entry, command: &Command) -> Result<()> {
    entry.running()?.control()?.execute(command)?;
    Ok(())
}

/// `pause`.
pub(crate) fn pause(entry: &Entry) -> Result<()> {
    command(entry, &Command::Stop {})
}

/// `resume`.
pub(crate) fn resume(entry: &Entry) -> Result<()> {
    command(entry, &Command::Cont {})
}

/// `reset`.
pub(crate) fn reset(entry: &Entry) -> Result<()> {
    command(entry, &Command::SystemReset {})
}

/// `power-button`. A machine that stands still cannot hear it.
pub(crate) fn button(entry: &Entry) -> Result<()> {
    if let State::Live(RunState::Paused | RunState::Prelaunch, _) = entry.state() {
        bail!("“{}” is paused and does not hear its power button: resume it first", entry.machine.name);
    }
    command(entry, &Command::SystemPowerdown {})
}

/// `power-off`.
pub(crate) fn off(entry: &Entry, kill: bool) -> Result<()> {
    let running = entry.running()?;
    if !kill {
        return turn_off(entry, &running);
    }
    running.kill()?;
    if !running.wait_end(END)? {
        bail!("the engine of “{}” does not end", entry.machine.name);
    }
    Ok(())
}
