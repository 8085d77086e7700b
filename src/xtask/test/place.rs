//! Running one test executable: here, or in a test host.

use std::{
    io::{Read, Write, stdout},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::tally::{Reader, Tally};
use crate::{
    cargo::{TestExecutable, Wishes},
    host::{self, Console, Engines, Stream},
    workspace,
};

/// How a test executable is to be run.
pub(crate) struct Run<'a> {
    pub(crate) test: &'a TestExecutable,
    /// For the test's own harness.
    pub(crate) arguments: &'a [&'a str],
    pub(crate) wishes: &'a Wishes,
    /// Where the test may leave files.
    pub(crate) output: &'a Path,
    /// Whether long tests are wanted.
    pub(crate) full: bool,
}

impl Run<'_> {
    /// Runs it, shows what it prints, and counts.
    ///
    /// # Errors
    /// It could not be started, or the test host failed.
    pub(crate) fn run(&self, place: Engines) -> Result<Tally> {
        std::fs::create_dir_all(self.output)?;
        match place {
            Engines::Here => self.here(),
            Engines::TestHost => self.test_host(),
        }
    }

    /// What tests find in their environment.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("CARGO_MANIFEST_DIR", self.test.folder.display().to_string()),
            // Where dormer-vm, dormer-nat, dormerctl and dormer are.
            ("DORMER_BIN_DIR", workspace::target_dir().join("debug").display().to_string()),
            ("DORMER_TEST_OUT", self.output.display().to_string()),
            ("DORMER_TEST_FULL", if self.full { "1" } else { "" }.to_owned()),
        ]
    }

    fn here(&self) -> Result<Tally> {
        let mut child = Command::new(&self.test.path)
            .args(self.arguments)
            .current_dir(&self.test.folder)
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.test.path.display()))?;
        let mut output = child.stdout.take().context("it has no output")?;
        let show = std::thread::spawn(move || {
            let mut reader = Reader::default();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                show(&buffer[..count]);
                reader.feed(&buffer[..count]);
            }
            reader
        });
        let patience = Duration::from_secs(self.wishes.timeout.unwrap_or(1800));
        let succeeded = ends_well(&mut child, patience)?;
        // A process it left behind could hold the pipe; the harness itself has written everything by now.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !show.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let reader = if show.is_finished() { show.join().unwrap_or_default() } else { Reader::default() };
        Ok(reader.finish(succeeded))
    }

    fn test_host(&self) -> Result<Tally> {
        // The environment that the test host takes over is chosen by name; these are said to it in full.
        let mut command = vec!["env".to_owned(), "-C".to_owned(), self.test.folder.display().to_string()];
        command.extend(self.environment().map(|(name, value)| format!("{name}={value}")));
        command.push(self.test.path.display().to_string());
        command.extend(self.arguments.iter().map(|&argument| argument.to_owned()));
        let host = self.wishes.host(&self.test.target, self.output, command)?;
        let mut counting = Counting(Reader::default());
        let status = host::run(&host, &mut counting)?;
        Ok(counting.0.finish(status == 0))
    }
}

/// Waits for the end, but not longer than `patience`; `true` for exit status 0.
fn ends_well(child: &mut Child, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= deadline {
            println!("\n*** stopped after {} s ***", patience.as_secs());
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn show(bytes: &[u8]) {
    // A terminal that went away changes nothing about the tests.
    let _ = stdout().write_all(bytes).and_then(|()| stdout().flush());
}

/// Shows a test host's output and counts along.
struct Counting(Reader);

impl Console for Counting {
    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Out => {
                show(bytes);
                self.0.feed(bytes);
            }
            Stream::Err => {
                let _ = std::io::stderr().write_all(bytes);
            }
        }
    }

    fn restarted(&mut self) {
        self.0 = Reader::default();
    }
}
