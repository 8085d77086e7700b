//! A viewer whose starter does not wait for it: it says that its window is there, and lets go of the terminal.

use std::io::Write;

use anyhow::{Context, Result};

/// What the starter reads.
const SHOWN: &str = "shown\n";

/// Says that the window is there, and leaves the starter's session and streams.
pub(crate) fn detach() -> Result<()> {
    // A starter that has gone needs no answer, and a shell's own job stays in its session.
    let _ = std::io::stdout().write_all(SHOWN.as_bytes()).and_then(|()| std::io::stdout().flush());
    let _ = rustix::process::setsid();
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").context("cannot open /dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
