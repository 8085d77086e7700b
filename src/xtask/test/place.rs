//! Running one test executable: here, or in a test host.

use std::{
    io::{Read, Write, stdout},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
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
    /// When what it prints is shown.
    pub(crate) show: Show,
}

/// When a test's output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it comes.
    Live,
    /// In one piece, when the test has ended: others run at the same time.
    AtEnd,
    /// In one piece, if the test fails.
    IfFailed,
}

impl Run<'_> {
    /// Runs it, shows what it prints, and counts.
    ///
    /// # Errors
    /// It could not be started, or the test host failed.
    pub(crate) fn run(&self, place: Engines) -> Result<Counted> {
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

    fn here(&self) -> Result<Counted> {
        let mut child = Command::new(&self.test.path)
            .args(self.arguments)
            .current_dir(&self.test.folder)
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.test.path.display()))?;
        let mut output = child.stdout.take().context("it has no output")?;
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut counting = Counting::new(self.show);
        let deadline = Instant::now() + Duration::from_secs(self.wishes.timeout.unwrap_or(1800));
        let status = loop {
            match received.recv_timeout(Duration::from_millis(20)) {
                Ok(bytes) => counting.output(Stream::Out, &bytes),
                // It closed its output, or has nothing to say at the moment.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(20)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                break None;
            }
        };
        // What is still in the pipe; a process left behind by the test may hold it open.
        while let Ok(bytes) = received.recv_timeout(Duration::from_millis(500)) {
            counting.output(Stream::Out, &bytes);
        }
        if status.is_none() {
            counting.output(Stream::Err, b"\n*** stopped because it took too long ***\n");
        }
        Ok(counting.finish(status.is_some_and(|status| status.success())))
    }

    fn test_host(&self) -> Result<Counted> {
        // The environment that the test host takes over is chosen by name; these are said to it in full.
        let mut command = vec!["env".to_owned(), "-C".to_owned(), self.test.folder.display().to_string()];
        command.extend(self.environment().map(|(name, value)| format!("{name}={value}")));
        command.push(self.test.path.display().to_string());
        command.extend(self.arguments.iter().map(|&argument| argument.to_owned()));
        let host = self.wishes.host(&self.test.target, self.output, command)?;
        let mut counting = Counting::new(self.show);
        let status = host::run(&host, &mut counting);
        // What was printed until then is the way to the reason.
        let counted = counting.finish(status.as_ref().is_ok_and(|&status| status == 0));
        status.map(|_| counted)
    }
}

/// What came of a test executable.
pub(crate) struct Counted {
    pub(crate) tally: Tally,
    /// The end of what it printed, [`LAST_WORDS`] at most.
    pub(crate) last_words: String,
}

/// Bytes: the harness's list of failures, each with what it said.
const LAST_WORDS: usize = 6 << 10;

/// Takes a test's output: counts along, and shows it when that is wanted.
struct Counting {
    reader: Reader,
    show: Show,
    /// All of it.
    output: Vec<u8>,
}

impl Counting {
    fn new(show: Show) -> Self {
        Self { reader: Reader::default(), show, output: Vec::new() }
    }

    /// The count, after what is left to be shown.
    fn finish(self, succeeded: bool) -> Counted {
        let tally = self.reader.finish(succeeded);
        if self.show == Show::AtEnd || self.show == Show::IfFailed && tally.failed > 0 {
            show(&self.output);
        }
        let last = self.output.len().saturating_sub(LAST_WORDS);
        Counted { tally, last_words: String::from_utf8_lossy(&self.output[last..]).into_owned() }
    }
}

impl Console for Counting {
    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Out {
            self.reader.feed(bytes);
        }
        match (self.show, stream) {
            (Show::Live, Stream::Out) => show(bytes),
            (Show::Live, Stream::Err) => {
                // As with standard output.
                let _ = std::io::stderr().write_all(bytes);
            }
            _ => {}
        }
        self.output.extend_from_slice(bytes);
    }

    fn restarted(&mut self) {
        self.reader = Reader::default();
    }
}

fn show(bytes: &[u8]) {
    // A terminal that went away changes nothing about the tests.
    let _ = stdout().write_all(bytes).and_then(|()| stdout().flush());
}
