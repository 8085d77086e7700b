//! Windows: `dormer-view` shows a machine, in a process of its own.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use library::{Entry, engine};

use crate::arguments::ScalingWord;

const VIEWER: &str = "dormer-view";
/// What a viewer says when its window is there.
const SHOWN: &str = "shown\n";
/// As much of a viewer's words as is read.
const WORDS: u64 = 16 << 10;

/// `view`: becomes the viewer.
pub(crate) fn view(entry: &Entry, fullscreen: bool, scaling: Option<ScalingWord>) -> Result<()> {
    entry.running()?;
    let mut viewer = viewer(entry)?;
    viewer.args(fullscreen.then_some("--fullscreen"));
    if let Some(word) = scaling.as_ref().and_then(ValueEnum::to_possible_value) {
        viewer.args(["--scaling", word.get_name()]);
    }
    Err(viewer.exec()).context("cannot run dormer-view")
}

/// Opens a window on a machine that has just started, and comes back when it is there. Where there is no display, it says how to see the
/// machine elsewhere.
pub(crate) fn open(entry: &Entry) -> Result<()> {
    let name = &entry.machine.name;
    if !has_display() {
        eprintln!("dormerctl: there is no display here: “dormerctl view” shows “{name}” where there is one");
        return Ok(());
    }
    let opened = viewer(entry).and_then(|mut viewer| {
        viewer.arg("--detach").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shown(viewer.spawn().context("cannot run dormer-view")?)
    });
    opened.with_context(|| format!("“{name}” runs, but no window shows it"))
}

/// Waits until a viewer has its window, or says why it has none.
fn shown(mut viewer: Child) -> Result<()> {
    let (stdout, stderr) = (viewer.stdout.take(), viewer.stderr.take());
    // At the same time: a viewer that talks more than a pipe holds would wait for its reader, and this for its window.
    let words = std::thread::Builder::new().name("words".into()).spawn(move || read(stderr))?;
    if read(stdout)? == SHOWN {
        return Ok(());
    }
    let words = words.join().map_err(|_| anyhow!("cannot read what dormer-view says"))??;
    let status = viewer.wait()?;
    let sentence = words.lines().rev().find_map(|line| line.strip_prefix("dormer-view: "));
    match sentence {
        Some(sentence) => Err(anyhow!(sentence.to_owned())),
        None => bail!("dormer-view ended with {status}"),
    }
}

/// Reads to the end: drivers may say more than is kept.
fn read(from: Option<impl Read>) -> std::io::Result<String> {
    let Some(mut from) = from else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    from.by_ref().take(WORDS).read_to_end(&mut bytes)?;
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn viewer(entry: &Entry) -> Result<Command> {
    let mut viewer = Command::new(engine::program(VIEWER)?);
    viewer.arg(entry.machine.uuid.to_string());
    Ok(viewer)
}

/// As toolkits look for one.
fn has_display() -> bool {
    ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
