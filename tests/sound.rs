//! The way of sound on a sound server of its own: PipeWire with a card that is none, and what comes out of it looked at.
//!
//! Sound is for a computer that has time for it: on a busy one it has gaps, whose fault that may be, so most of this is for `--full`.
//! `examples/tone.rs` is at one end of the way; the server's own recorder, or player, at the other.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dormer_tests::{only_in_full, output, program};
use serde_json::Value;

/// One at a time: each wants to be in time.
static COMPUTER: Mutex<()> = Mutex::new(());
const PATIENCE: Duration = Duration::from_secs(30);
const RATE: usize = 48_000;

/// A sound server, with a card whose sound can be recorded.
struct Server {
    /// Where its sockets are.
    runtime: tempfile::TempDir,
    bus: String,
    processes: Vec<Child>,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    fn new() -> Self {
        let turn = COMPUTER.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = tempfile::tempdir().expect("a folder");
        let bus = format!("unix:path={}", runtime.path().join("bus").display());
        let mut server = Self { runtime, bus, processes: Vec::new(), _turn: turn };
        let address = format!("--address={}", server.bus);
        server.start("dbus-daemon", &["--session", "--nofork", "--nopidfile", &address], "bus");
        server.start("pipewire", &[], "pipewire-0");
        server.start("wireplumber", &[], "bus");
        server.start_pulse();
        server
    }

    /// The part of it that speaks to programs, and its card.
    fn start_pulse(&mut self) {
        self.start("pipewire-pulse", &[], "pulse/native");
        self.control(&["load-module", "module-null-sink", "sink_name=card", "rate=48000"]);
        self.control(&["set-default-sink", "card"]);
        self.control(&["set-default-source", "card.monitor"]);
    }

    /// Servers and players are to be in time here, as they are on a desktop; where that is not allowed, `nice` says so and goes on.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nice");
        command
            .arg("--adjustment=-15")
            .arg(program.as_ref())
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .env_remove("PULSE_SERVER")
            .env_remove("PULSE_RUNTIME_PATH")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn start(&mut self, program: &str, arguments: &[&str], socket: &str) {
        let child = self.command(program).args(arguments).stdout(Stdio::null()).spawn();
        self.processes.push(child.unwrap_or_else(|error| panic!("{program}: {error}")));
        let socket = self.runtime.path().join(socket);
        let end = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < end, "{program} does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks until the server, or its policy, is far enough to do it.
    fn control(&self, arguments: &[&str]) {
        let end = Instant::now() + PATIENCE;
        while !self.command("pactl").args(arguments).output().expect("pactl").status.success() {
            assert!(Instant::now() < end, "pactl {arguments:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Records what the card plays for as long as `what` takes.
    fn recorded<T>(&self, what: impl FnOnce() -> T) -> (T, Vec<[f32; 2]>) {
        let file = self.runtime.path().join("recorded");
        let mut recorder = self
            .command("parec")
            .args(["--device=card.monitor", "--format=float32le", "--rate=48000", "--channels=2", "--latency-msec=20"])
            .stdout(std::fs::File::create(&file).expect("a file"))
            .spawn()
            .expect("parec");
        std::thread::sleep(Duration::from_millis(500));
        let result = what();
        recorder.kill().and_then(|()| recorder.wait()).expect("parec");
        let bytes = std::fs::read(&file).expect("what was recorded");
        let sample = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
        let (samples, _) = bytes.as_chunks::<4>();
        let (frames, _) = samples.as_chunks::<2>();
        (result, frames.iter().map(|[left, right]| [sample(left), sample(right)]).collect())
    }

    fn tone(&self, arguments: &[&str]) -> Value {
        let output = self.tone_started(arguments).wait_with_output().expect("tone");
        report(&output)
    }

    fn tone_started(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(program("examples/tone"));
        command.args(arguments).stdout(Stdio::piped()).spawn().expect("tone")
    }

    fn signal(&self, at: usize, signal: &str) {
        let process = self.processes[at].id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().expect("kill").success());
    }

    fn kill(&mut self, at: usize) {
        let mut child = self.processes.remove(at);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        while !self.processes.is_empty() {
            self.kill(self.processes.len() - 1);
        }
    }
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "tone ended with {}", output.status);
    let report = serde_json::from_slice(&output.stdout).expect("what tone says");
    println!("{report}");
    report
}

/// What a sine is like, without the silence around it.
#[derive(Debug)]
struct Sine {
    seconds: f64,
    /// By the median of its periods, whatever is missing.
    hertz: f64,
    /// By all of it.
    mean_hertz: f64,
    peak: f32,
    /// Periods that are longer or shorter by more than half a sample.
    breaks: usize,
}

fn sine(samples: &[f32], rate: usize) -> Sine {
    let loud = |sample: &f32| sample.abs() > 0.01;
    let start = samples.iter().position(loud).expect("something to hear");
    let end = samples.iter().rposition(loud).expect("something to hear");
    // A server's own change of rate rings at the edges.
    let edge = rate / 50;
    let samples = &samples[start + edge..=end - edge];
    let crossing = |(at, pair): (usize, &[f32])| {
        (pair[0] < 0.0 && pair[1] >= 0.0).then(|| at as f64 + f64::from(pair[0] / (pair[0] - pair[1])))
    };
    let crossings: Vec<f64> = samples.windows(2).enumerate().filter_map(crossing).collect();
    let mut periods: Vec<f64> = crossings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = (crossings[crossings.len() - 1] - crossings[0]) / periods.len() as f64;
    periods.sort_by(f64::total_cmp);
    let median = periods[periods.len() / 2];
    Sine {
        seconds: samples.len() as f64 / rate as f64,
        hertz: rate as f64 / median,
        mean_hertz: rate as f64 / mean,
        peak: samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs())),
        breaks: periods.iter().filter(|period| (*period - median).abs() > 0.5).count(),
    }
}

fn channel(frames: &[[f32; 2]], channel: usize) -> Vec<f32> {
    frames.iter().map(|frame| frame[channel]).collect()
}

fn is_near(hertz: f64, wanted: f64) -> bool {
    (hertz - wanted).abs() < wanted / 1000.0
}

/// A file that stays.
fn kept(name: &str) -> PathBuf {
    let folder = output().join("sound");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(name)
}

#[test]
fn what_the_guest_plays_is_heard() {
    only_in_full!();
    let server = Server::new();
    for rate in ["48000", "44100"] {
        // A computer that is busy for longer than the ring lasts is heard, as on any; it is not to be so each time.
        let mut whole = false;
        for _ in 0..8 {
            let (report, frames) = server.recorded(|| server.tone(&["4", rate]));
            let (left, right) = (sine(&channel(&frames, 0), RATE), sine(&channel(&frames, 1), RATE));
            println!("{rate} Hz: {left:?}, {right:?}");
            assert!(is_near(left.hertz, 440.0) && is_near(right.hertz, 660.0), "pitch");
            assert!(left.seconds > 3.0 && left.seconds < 4.3, "length");
            assert!(report["playing"].as_bool().expect("a word"));
            whole = left.breaks + right.breaks == 0;
            if whole {
                assert!(is_near(left.mean_hertz, 440.0) && is_near(right.mean_hertz, 660.0), "pitch of all of it");
                assert!((left.peak - 0.5).abs() < 0.01 && (right.peak - 0.5).abs() < 0.01, "loudness");
                assert!(report["age"]["median"].as_f64().expect("a number") <= 30.0, "latency");
                break;
            }
        }
        assert!(whole, "gaps in every try");
    }
}

#[test]
fn a_server_that_dies_and_comes_back_is_played_on() {
    only_in_full!();
    let mut server = Server::new();
    let tone = server.tone_started(&["14"]);
    std::thread::sleep(Duration::from_secs(3));
    server.kill(3);
    // The socket of one that was killed stays.
    let _ = std::fs::remove_file(server.runtime.path().join("pulse/native"));
    std::thread::sleep(Duration::from_secs(2));
    server.start_pulse();
    let (report, frames) = server.recorded(|| report(&tone.wait_with_output().expect("tone")));
    let heard = sine(&channel(&frames, 0), RATE);
    println!("{heard:?}");
    assert!(is_near(heard.hertz, 440.0) && heard.seconds > 1.0);
    assert!(report["playing"].as_bool().expect("a word"));
    // The guest went on all the time.
    let played = report["played"].as_u64().expect("a number");
    assert!((12 * 48_000..16 * 48_000).contains(&played), "{played}");
}

#[test]
fn a_server_that_stands_for_a_while_holds_nobody_up() {
    only_in_full!();
    let server = Server::new();
    let tone = server.tone_started(&["9"]);
    std::thread::sleep(Duration::from_secs(2));
    server.signal(3, "-STOP");
    std::thread::sleep(Duration::from_secs(2));
    server.signal(3, "-CONT");
    let (report, frames) = server.recorded(|| report(&tone.wait_with_output().expect("tone")));
    let heard = sine(&channel(&frames, 0), RATE);
    println!("{heard:?}");
    assert!(is_near(heard.hertz, 440.0) && heard.seconds > 2.0);
    let played = report["played"].as_u64().expect("a number");
    assert!((8 * 48_000..11 * 48_000).contains(&played), "{played}");
}

#[test]
fn another_card_becomes_the_usual_one_and_goes_away() {
    only_in_full!();
    let server = Server::new();
    server.control(&["load-module", "module-null-sink", "sink_name=other", "rate=48000"]);
    server.control(&["set-default-sink", "other"]);
    let tone = server.tone_started(&["14"]);
    std::thread::sleep(Duration::from_secs(3));
    server.control(&["set-default-sink", "card"]);
    std::thread::sleep(Duration::from_secs(3));
    let ((), on_card) = server.recorded(|| std::thread::sleep(Duration::from_secs(2)));
    assert!(is_near(sine(&channel(&on_card, 0), RATE).hertz, 440.0), "it went with the person's choice");
    server.control(&["set-default-sink", "other"]);
    std::thread::sleep(Duration::from_secs(3));
    server.control(&["unload-module", "module-null-sink"]);
    let report = report(&tone.wait_with_output().expect("tone"));
    assert!(report["played"].as_u64().expect("a number") > 12 * 48_000, "and no card at all stops no guest");
}

#[test]
fn without_a_server_the_guest_plays_on() {
    let _turn = COMPUTER.lock().unwrap_or_else(PoisonError::into_inner);
    let nothing = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program("examples/tone"));
    command
        .args(["4"])
        .env("XDG_RUNTIME_DIR", nothing.path())
        .env_remove("PULSE_SERVER")
        .env_remove("PULSE_RUNTIME_PATH");
    let report = report(&command.output().expect("tone"));
    let played = report["played"].as_u64().expect("a number");
    assert!((3 * 48_000..5 * 48_000).contains(&played), "{played}");
    assert_eq!((report["delay"].as_u64(), report["playing"].as_bool()), (Some(0), Some(false)));
}

#[test]
fn what_is_said_is_recorded() {
    only_in_full!();
    let server = Server::new();
    let file = kept("microphone.raw");
    let path = file.to_str().expect("a path");
    // The card's own sound is what its microphone hears.
    let report = server.tone(&["6", "48000", "2", path]);
    assert!(report["recording"].as_bool().expect("a word"));
    let bytes = std::fs::read(&file).expect("what was recorded");
    let (samples, _) = bytes.as_chunks::<4>();
    let left: Vec<f32> =
        samples.iter().step_by(2).map(|bytes| i32::from_le_bytes(*bytes) as f32 / 2_147_483_648.0).collect();
    let heard = sine(&left, RATE);
    println!("{heard:?}");
    assert!(is_near(heard.hertz, 440.0) && (heard.peak - 0.5).abs() < 0.1 && heard.seconds > 4.5);
}
