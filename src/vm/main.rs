//! One machine in one sandboxed process: sockets, threads, main.
//!
//! Started by crate `library` with one inherited socket (standard input), over which everything else comes: see `api::spec`. This
//! process opens no path. The main thread owns the machine; control clients and devices send it [`Order`]s.

mod start;

use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::Result;
use api::spec::Started;
use machine::{Machine, News};

/// What the main thread is told to do.
enum Order {
    /// A device or vCPU has news.
    News(News),
}

fn main() -> ExitCode {
    let socket = std::io::stdin();
    let _ = rustix::process::setsid();
    match run(socket.as_fd()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let sentence = format!("{error:#}");
            // The starter may be gone.
            let _ = start::answer(socket.as_fd(), &Started::Failed(sentence.clone()));
            let _ = writeln!(std::io::stderr(), "dormer-vm: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(socket: std::os::fd::BorrowedFd<'_>) -> Result<()> {
    let received = start::receive(socket)?;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let (orders, inbox) = mpsc::channel();
    let tell = move |news| {
        // Nobody listens any more when the engine is ending.
        let _ = orders.send(Order::News(news));
    };
    let mut machine = Machine::build(received.setup, tell, |_| {})?;
    if !received.paused {
        machine.resume();
    }
    start::answer(socket, &Started::Running)?;
    for order in inbox {
        match order {
            Order::News(News::Power(what)) => match what {
                machine::PowerRequest::Reset => machine.reset()?,
                machine::PowerRequest::Off => break,
            },
            Order::News(News::CpuFailed(why)) => anyhow::bail!("{why}"),
        }
    }
    Ok(())
}
