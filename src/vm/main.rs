//! One machine in one sandboxed process: sockets, threads, main.
//!
//! Started by crate `library` with one inherited socket (standard input), over which everything else comes: see `api::spec`. This
//! process opens no path. The main thread owns the machine (`owner`); control clients (`control`), consoles (`ui`) and devices run
//! on threads of their own and leave word with it.

mod check;
mod clients;
mod control;
mod events;
mod keeper;
mod keys;
mod messages;
mod owner;
mod picture;
mod sandbox;
mod start;
mod ui;

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::{Context, Result};
use api::spec::Started;
use machine::Machine;
use tracing_subscriber::EnvFilter;

use crate::events::Events;
use crate::owner::{Order, Owner};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(argument) if argument == "--check-kvm" => return check::kvm(),
        Some(argument) if argument == "--keep-usb" => return keeper::main(),
        _ => {}
    }
    let socket = std::io::stdin();
    // Fails only for a process that leads a session already: then all is well.
    let _ = rustix::process::setsid();
    match run(socket.as_fd()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let sentence = format!("{error:#}");
            // Both may be gone, with whoever started this.
            let _ = start::answer(socket.as_fd(), &Started::Failed(sentence.clone()));
            let _ = writeln!(std::io::stderr(), "dormer-vm: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(socket: BorrowedFd<'_>) -> Result<()> {
    let received = start::receive(socket)?;
    if let Some(log) = &received.log {
        rustix::stdio::dup2_stderr(log).context("the log cannot be written")?;
    }
    let filter = EnvFilter::try_from_env("DORMER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter).init();
    sandbox::enter()?;
    let name = received.setup.name.clone();
    let (orders, inbox) = mpsc::channel();
    let (news, events) = (orders.clone(), Events::default());
    let tell = move |item| {
        // Nobody listens any more when the engine is ending.
        let _ = news.send(Order::News(item));
    };
    let machine = Machine::build(received.kvm, received.setup, tell, sandbox::confine)?;
    let front = machine.front().clone();
    let context = control::Context { name: name.clone(), front: front.clone(), events: events.clone(), orders };
    control::serve(received.control, context).context("control clients cannot be served")?;
    ui::serve(received.ui, name, front).context("consoles cannot be served")?;
    let mut owner = Owner::new(machine, events);
    if !received.paused {
        owner.start();
    }
    start::answer(socket, &Started::Running).context("whoever started this engine is gone")?;
    owner.serve(&inbox)
}
