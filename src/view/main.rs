//! `dormer-view`: one running machine in one plain window, on winit and pixels, without GTK.
//!
//! It attaches to an engine as every console does: any number of viewers, beside the app's window, and closing one leaves the machine
//! running. It ends with the machine. What goes wrong is one sentence on standard error and exit status 1.

mod cursor;
mod detach;
mod ending;
mod keyboard;
mod pointer;
mod screen;
mod sound;
mod title;
mod viewer;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Parser, ValueEnum};
use console::geometry::Scaling;
use console::{Changes, Console};
use library::Library;
use tracing_subscriber::EnvFilter;
use winit::event_loop::EventLoop;

use crate::sound::Sound;
use crate::viewer::{Options, Viewer};
use crate::watch::Wake;

/// How long an engine may take to greet.
const GREETING: Duration = Duration::from_secs(5);
/// How long its first picture may take after that; the window waits no longer for its size.
const PICTURE: Duration = Duration::from_millis(300);

/// Shows a running machine in a window.
///
/// F11 leads into full screen and out of it, Ctrl+Alt releases a captured pointer, Ctrl+Alt+S goes over to the other scaling,
/// Ctrl+Alt+M mutes the machine. All other keys are the machine's; “dormerctl key” presses those. Its sound is as its settings say. The
/// machine goes on when the window is closed.
#[derive(Debug, Parser)]
#[command(name = "dormer-view", version)]
struct Arguments {
    /// The machine's name or UUID
    machine: String,
    /// Begin in full screen
    #[arg(long)]
    fullscreen: bool,
    /// How the picture is enlarged
    #[arg(long, default_value = "fit")]
    scaling: ScalingWord,
    /// Say “shown” on standard output once the window is there, and let go of the terminal
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScalingWord {
    /// As large as the window has room
    Fit,
    /// A whole number of times: every pixel is as large as every other
    Multiples,
}

impl From<ScalingWord> for Scaling {
    fn from(word: ScalingWord) -> Self {
        match word {
            ScalingWord::Fit => Self::Fit,
            ScalingWord::Multiples => Self::Multiples,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Toolkits and drivers talk much: they are heard when somebody asks.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("dormer_view=warn,console=warn,library=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dormer-view: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let entry = Library::open()?.find(&arguments.machine)?;
    let running = entry.running()?;
    // An engine that has too many of these still shows its screen.
    let control = running.control_within(GREETING).inspect_err(|error| tracing::warn!("{error}")).ok();
    let mut console = Console::over(running.ui()?);
    wait_for_picture(&mut console)?;
    let event_loop =
        EventLoop::<Wake>::with_user_event().build().inspect_err(|error| tracing::info!("{error}")).map_err(|_| {
            anyhow!("there is no display here that opens a window (“dormerctl screenshot” takes a picture)")
        })?;
    let options =
        Options { fullscreen: arguments.fullscreen, scaling: arguments.scaling.into(), detach: arguments.detach };
    let sound = Sound::new(&entry.machine.sound);
    let mut viewer = Viewer::new(console, control, sound, options, &event_loop.create_proxy())?;
    event_loop.run_app(&mut viewer).context("the display is gone")?;
    viewer.finish()
}

/// Waits until the engine has greeted, and a moment for its picture.
fn wait_for_picture(console: &mut Console) -> Result<()> {
    let (mut greeted, mut end) = (false, Instant::now() + GREETING);
    while !console.has_picture() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        if console.wait(left)?.contains(Changes::HELLO) {
            (greeted, end) = (true, Instant::now() + PICTURE);
        }
    }
    if greeted { Ok(()) } else { bail!("the machine’s engine does not answer") }
}
