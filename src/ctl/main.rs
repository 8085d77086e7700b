//! Everything from a terminal: `dormerctl`.
//!
//! What a command prints goes to standard output, as text or with `--json` as one JSON value; what goes wrong is one sentence on
//! standard error and exit status 1 (2 for a command line that cannot be understood).

mod arguments;
mod devices;
mod input;
mod keyboard;
mod machines;
mod moving;
mod output;
mod power;
mod qmp;
mod screen;
mod serial;
mod settings;
mod sound;
mod stats;
mod tape;
mod usb;
mod view;
mod wait;
mod wav;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use library::Library;

use crate::arguments::{Arguments, Verb};
use crate::output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has had enough.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dormerctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let out = Output { json: arguments.json };
    if let Verb::Check = arguments.verb {
        return machines::check(out);
    }
    let library = Library::open()?;
    let find = |name: &str| library.find(name);
    match arguments.verb {
        Verb::Check => unreachable!("done above"),
        Verb::List => machines::list(&library, out),
        Verb::Show { name } => machines::show(&mut find(&name)?, out),
        Verb::Create { name, choices } => machines::create(&library, &name, &choices, out),
        Verb::Set { name, settings } => settings::set(&library, &find(&name)?, &settings, out),
        Verb::Report { name } => machines::report(&find(&name)?, out),
        Verb::Launcher { name, action } => machines::launcher(&library, &find(&name)?, action, out),
        Verb::Rename { name, new } => machines::rename(&library, &name, &new),
        Verb::Move { name, folder } => moving::move_to(&library, &find(&name)?, &folder, out),
        Verb::Delete { name, yes } => machines::delete(&library, &find(&name)?, yes),
        Verb::Run { file, choices, start } => power::run(&library, &file, choices, start, out),
        Verb::Start { name, disposable, start } => power::start(&library, &find(&name)?, disposable, start, out),
        Verb::View { name, fullscreen, scaling } => view::view(&find(&name)?, fullscreen, scaling),
        Verb::Pause { name } => power::pause(&find(&name)?),
        Verb::Resume { name } => power::resume(&find(&name)?),
        Verb::Reset { name } => power::reset(&find(&name)?),
        Verb::PowerButton { name } => power::button(&find(&name)?),
        Verb::PowerOff { name, kill } => power::off(&find(&name)?, kill),
        Verb::Stats { name, time } => stats::stats(&find(&name)?, time, out),
        Verb::Screenshot { name, file } => screen::screenshot(&find(&name)?, &file),
        Verb::RecordSound { name, file, seconds } => sound::record(&find(&name)?, &file, seconds, out),
        Verb::Text { name } => screen::text(&find(&name)?, out),
        Verb::Type { name, text, enter, delay } => input::type_text(&find(&name)?, &text, enter, delay),
        Verb::Key { name, keys } => input::keys(&find(&name)?, &keys),
        Verb::Mouse { name, x, y, click } => input::mouse(&find(&name)?, x, y, click),
        Verb::Serial { name, write, follow } => serial::serial(&find(&name)?, write.as_deref(), follow, out),
        Verb::Wait { name, what, timeout, new } => wait::wait(&library, &find(&name)?, what, timeout, new, out),
        Verb::Medium { name, action } => devices::medium(&mut find(&name)?, action),
        Verb::Disk { name, action } => devices::disk(&library, &find(&name)?, &action),
        Verb::Net { name, action } => devices::net(&library, &find(&name)?, action, out),
        Verb::Usb { verb } => usb::usb(&library, verb, out),
        Verb::Qmp { name, command } => qmp::qmp(&find(&name)?, command.as_deref()),
    }
}
