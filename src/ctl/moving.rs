//! Moving machines to other places.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use library::{Entry, Library, Progress};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::output::Output;

/// `move`: says at a terminal how far it is; Ctrl-C stops it, and the machine stays where it was.
pub(crate) fn move_to(library: &Library, entry: &Entry, place: &Path, out: Output) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot listen for Ctrl-C")?;
    }
    let shows = std::io::stderr().is_terminal();
    let mut shown = None;
    let moved = library.move_to(entry, place, &mut |Progress { done, all }| {
        let percent = done.saturating_mul(100) / all.max(1);
        if shows && shown.replace(percent) != Some(percent) {
            // A terminal that is gone needs no numbers.
            let _ = write!(std::io::stderr(), "\r{percent} %");
        }
        if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if shown.is_some() {
        eprintln!();
    }
    let folder = moved?.folder.canonicalize()?;
    out.data(|| json!({ "folder": folder }), || format!("“{}” is in {}.", entry.machine.name, folder.display()))
}
