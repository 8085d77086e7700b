//! One command in one test host: starts QEMU, relays output, waits for the end.

use std::{
    fs,
    io::Read,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{FdFlags, fcntl_setfd},
};

use super::{
    HostArgs, Stream, canonical,
    emulator::{self, Emulator},
    folder,
    initramfs::{self, Boot},
    qemu::{self, Wiring},
    wire::{Frame, Request},
};

/// QEMU's assertion that can fail when an inner guest writes CR8 while a virtual interrupt is pending: its helper
/// calls into the interrupt code without the lock. It says nothing about the command, so it is worth another try.
const KNOWN_CRASH: &str = "assertion failed: (bql_locked())";

/// How long a test host may take until it starts its command. Ten seconds are usual, a minute on a busy computer; but with two
/// processors, one now and then loses its timer as it comes up (“Possible timer handling issue”), and would stand there for ever.
const COMES_UP: Duration = Duration::from_secs(300);

/// How often a run is started at most.
const TRIES: u32 = 3;

/// Exit status of a run that took too long, as of `timeout`.
const TIMED_OUT: i32 = 124;

/// Who gets what the command prints.
pub(crate) trait Console {
    /// Some bytes of the command's output, as they come.
    fn output(&mut self, stream: Stream, bytes: &[u8]);
    /// Everything so far came from a run that QEMU's crash cut short; the command starts from the beginning.
    fn restarted(&mut self) {}
}

/// How one start of QEMU went.
enum Outcome {
    Exit(i32),
    TimedOut,
    /// The command was not even started.
    NeverUp(String),
    /// QEMU ended and the command had not: what it said last.
    Lost(String),
}

/// Runs `args.command` in a test host and returns its exit status (128 + n for signal n; 124 when time was up).
///
/// # Errors
/// What is missing on this machine, or why the test host could not run the command to its end.
pub(crate) fn run(args: &HostArgs, console: &mut dyn Console) -> Result<i32> {
    let cache = folder();
    fs::create_dir_all(&cache)?;
    forget_dead_runs(&cache);
    let boot = initramfs::prepare(&cache)?;
    let emulator = emulator::prepare(&cache)?;
    let tries = if args.no_retry { 1 } else { TRIES };
    let mut attempt = 1;
    loop {
        match attempt_run(args, &boot, &emulator, &cache, console)? {
            Outcome::Exit(status) => return Ok(status),
            Outcome::TimedOut => {
                eprintln!("\n*** test host: stopped after {} s (--timeout) ***", args.timeout);
                return Ok(TIMED_OUT);
            }
            Outcome::NeverUp(said) if attempt < tries => {
                eprintln!(
                    "\n*** test host: not up after {} s; starting again, try {} of {tries} ***\n{said}",
                    COMES_UP.as_secs(),
                    attempt + 1
                );
                attempt += 1;
            }
            Outcome::NeverUp(said) => bail!("it does not come up\n{said}"),
            Outcome::Lost(said) if said.contains(KNOWN_CRASH) && attempt < tries => {
                eprintln!(
                    "\n*** test host: QEMU crashed by its known CR8 bug ({KNOWN_CRASH}); \
                     starting again, try {} of {tries} ***",
                    attempt + 1
                );
                console.restarted();
                attempt += 1;
            }
            Outcome::Lost(said) if said.contains(KNOWN_CRASH) => {
                bail!("QEMU crashed by its known CR8 bug, try {attempt} of {tries}; --exact avoids it\n{said}")
            }
            Outcome::Lost(said) => bail!("it ended before the command did\n{said}"),
        }
    }
}

fn attempt_run(
    args: &HostArgs,
    boot: &Boot,
    emulator: &Emulator,
    cache: &Path,
    console: &mut dyn Console,
) -> Result<Outcome> {
    let here = RunFolder::new(cache)?;
    // The very program that is running, so that both ends speak the same frames whatever is built meanwhile.
    fs::copy("/proc/self/exe", here.path().join("xtask")).context("cannot copy xtask for the test host")?;
    let writable = writable_folders(args)?;
    let request = Request {
        command: args.command.clone(),
        directory: std::env::current_dir()?.to_string_lossy().into_owned(),
        environment: environment(std::env::vars()),
        writable: writable.iter().map(|(tag, at)| (tag.clone(), at.to_string_lossy().into_owned())).collect(),
        modules: qemu::modules(args),
        disks: args.usb_stick.len(),
    };
    fs::write(here.path().join("request.json"), serde_json::to_vec(&request)?)?;

    let (ours, theirs) = UnixStream::pair()?;
    fcntl_setfd(&theirs, FdFlags::empty())?;
    let wiring = Wiring { emulator, boot, run_folder: here.path(), writable: &writable, port_fd: theirs.as_raw_fd() };
    let mut qemu = Running(
        qemu::command(args, &wiring)
            .stdin(Stdio::null())
            .stdout(fs::File::create(here.path().join("qemu.log"))?)
            .stderr(fs::OpenOptions::new().append(true).open(here.path().join("qemu.log"))?)
            .spawn()
            .context("cannot start QEMU")?,
    );
    drop(theirs);

    let outcome = match relay(ours, console, args)? {
        Some(Outcome::Exit(status)) => {
            // Its folders are synced, there is nothing to wait for but a clean power-off.
            qemu.wait(Duration::from_secs(5));
            Outcome::Exit(status)
        }
        Some(Outcome::NeverUp(_)) => Outcome::NeverUp(here.last_words()),
        Some(outcome) => outcome,
        None => {
            qemu.wait(Duration::from_secs(5));
            Outcome::Lost(here.last_words())
        }
    };
    drop(qemu);
    Ok(outcome)
}

/// Passes output on until the status comes, time is up, or (`None`) QEMU is gone.
fn relay(mut port: UnixStream, console: &mut dyn Console, args: &HostArgs) -> Result<Option<Outcome>> {
    let began = Instant::now();
    let deadline = began + args.timeout();
    let mut is_up = false;
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some(Outcome::TimedOut));
        }
        let until_up = if is_up { left } else { COMES_UP.saturating_sub(began.elapsed()) };
        if until_up.is_zero() {
            return Ok(Some(Outcome::NeverUp(String::new())));
        }
        let patience = Timespec::try_from(left.min(until_up))?;
        let readable = poll(&mut [PollFd::from_borrowed_fd(port.as_fd(), PollFlags::IN)], Some(&patience));
        match readable {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match port.read(&mut chunk) {
            Ok(0) => return Ok(None),
            Ok(count) => buffer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        while let Some(frame) = Frame::take(&mut buffer)? {
            match frame {
                Frame::Started => {
                    is_up = true;
                    if args.verbose {
                        eprintln!("test host: up after {:.1} s", began.elapsed().as_secs_f32());
                    }
                }
                Frame::Output(stream, bytes) => console.output(stream, &bytes),
                Frame::Exit(status) => return Ok(Some(Outcome::Exit(status))),
            }
        }
    }
}

/// QEMU while it runs; killed when dropped.
struct Running(Child);

impl Running {
    /// Waits for its end, at most so long.
    fn wait(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `target/host/run-PID-…/`: the request, the program, the logs of one run. Gone afterwards but for the last kernel
/// log, which is kept as `target/host/kernel.log`.
struct RunFolder {
    folder: tempfile::TempDir,
}

impl RunFolder {
    fn new(cache: &Path) -> Result<Self> {
        let prefix = format!("run-{}-", std::process::id());
        Ok(Self { folder: tempfile::Builder::new().prefix(&prefix).tempdir_in(cache)? })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn last_words(&self) -> String {
        let tail = |name| {
            let text = fs::read(self.path().join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(25)..].join("\n")
        };
        format!("--- QEMU:\n{}\n--- its kernel log ends with:\n{}", tail("qemu.log"), tail("kernel.log"))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        for log in ["kernel.log", "qemu.log"] {
            let _ = fs::rename(self.path().join(log), folder().join(log));
        }
    }
}

/// Removes the folders of runs that were killed.
fn forget_dead_runs(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(run) = name.to_str().and_then(|name| name.strip_prefix("run-")) else { continue };
        let pid = run.split_once('-').map_or(run, |(pid, _)| pid);
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folders shared for writing, with a 9p tag each.
fn writable_folders(args: &HostArgs) -> Result<Vec<(String, PathBuf)>> {
    let results = crate::workspace::target_dir().join("host-out");
    fs::create_dir_all(&results)?;
    let mut folders = vec![canonical(&results)?];
    for wanted in &args.writable {
        fs::create_dir_all(wanted)?;
        let wanted = canonical(wanted)?;
        ensure!(wanted != Path::new("/"), "the root itself is not shared for writing");
        if !folders.contains(&wanted) {
            folders.push(wanted);
        }
    }
    // Outer before inner, or a mount would hide an earlier one.
    folders.sort();
    Ok(folders.into_iter().enumerate().map(|(number, path)| (format!("rw{number}"), path)).collect())
}

/// What of our environment the command gets.
fn environment(ours: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    const NAMES: [&str; 12] = [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "TERM",
        "CI",
        "NO_COLOR",
        "RUST_LOG",
        "RUST_BACKTRACE",
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "LD_LIBRARY_PATH",
    ];
    const PREFIXES: [&str; 7] = ["RUST_", "RUSTUP_", "DORMER_", "LC_", "GSK_", "GDK_", "GTK_"];
    let mut environment: Vec<_> = ours
        .filter(|(name, _)| NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    environment.push(("XDG_RUNTIME_DIR".into(), "/tmp/xdg".into()));
    // Tests can tell an emulated host by it.
    environment.push(("DORMER_TEST_HOST".into(), "1".into()));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_chosen() {
        let ours = [("PATH", "/bin"), ("SECRET", "x"), ("RUST_LOG", "debug"), ("CARGO_MANIFEST_DIR", "/x")];
        let theirs = environment(ours.map(|(name, value)| (name.into(), value.into())).into_iter());
        let names: Vec<_> = theirs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["PATH", "RUST_LOG", "XDG_RUNTIME_DIR", "DORMER_TEST_HOST"]);
    }

    #[test]
    fn folders_of_dead_runs_go() {
        let cache = tempfile::tempdir().unwrap();
        let alive = cache.path().join(format!("run-{}-aB3", std::process::id()));
        let dead = cache.path().join("run-999999999-aB3");
        fs::create_dir(&alive).unwrap();
        fs::create_dir(&dead).unwrap();
        forget_dead_runs(cache.path());
        assert!(alive.exists() && !dead.exists());
    }
}
