//! The screen as a picture and as text.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use api::control::Command;
use library::Entry;
use library::control::Client;
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::json;

use crate::output::Output;

/// A picture of the screen in memory.
fn picture(control: &mut Client, format: &str) -> Result<File> {
    let mut file = File::from(memfd_create("screenshot", MemfdFlags::CLOEXEC)?);
    let command = Command::Screendump { format: Some(format.to_owned()) };
    control.execute_with(&command, &[file.as_fd()])?;
    file.rewind()?;
    Ok(file)
}

/// Pixels of the screen, from the header of a picture of it.
pub(crate) fn size(control: &mut Client) -> Result<(u32, u32)> {
    let file = picture(control, "png")?;
    let mut header = [0; 24];
    file.read_exact_at(&mut header, 0).context("the picture of the screen is cut short")?;
    let side = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    match (&header[12..16] == b"IHDR", side(16), side(20)) {
        (true, width @ 1..=api::ui::MAX_SIDE, height @ 1..=api::ui::MAX_SIDE) => Ok((width, height)),
        _ => bail!("the engine's picture of the screen is no PNG"),
    }
}

/// `screenshot`.
pub(crate) fn screenshot(entry: &Entry, path: &Path) -> Result<()> {
    let format = if path.extension().is_some_and(|extension| extension == "ppm") { "ppm" } else { "png" };
    let mut picture = picture(&mut entry.running()?.control()?, format)?;
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        std::io::copy(&mut picture, &mut out)?;
        out.flush()?;
        return Ok(());
    }
    let failed = || format!("cannot write {}", path.display());
    let mut file = File::create(path).with_context(failed)?;
    std::io::copy(&mut picture, &mut file).with_context(failed)?;
    Ok(())
}

/// `text`.
pub(crate) fn text(entry: &Entry, out: Output) -> Result<()> {
    let text = entry.running()?.control()?.text()?;
    match text.lines {
        Some(lines) => {
            let plain: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
            out.data(|| json!({ "lines": plain }), || plain.join("\n"))
        }
        None if out.json => out.data(|| json!({ "lines": null }), String::new),
        None => bail!(
            "the screen of “{}” shows no text: it is off, or in a graphics mode (“dormerctl screenshot” takes a picture of it)",
            entry.machine.name
        ),
    }
}
