//! `dormer-switch`: one port of an internal network, which machines on this computer have among themselves.
//!
//! There is no daemon. Each card on an internal network has a process like this one, with the engine's [`net::Port`] at the other end
//! of its standard input. All processes of one network meet in one folder ([`join`]) and are connected each to each; together they
//! are an Ethernet switch that learns where stations are (IEEE 802.1D, clauses 7.7 to 7.9, without bridges between switches:
//! what comes from another port goes to this one's card and nowhere else). No host, router or name server is in the network.
//!
//! Once it has met the others the process opens, connects and starts nothing more ([`sandbox`]): other machines' frames are as
//! hostile as its own's. It writes a line to its standard output when it has joined, and ends with status 0 when the other end of
//! standard input closes, with 1 and one sentence on standard error otherwise.

mod addresses;
mod join;
mod sandbox;
mod switch;

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use net::LinkLost;
use rustix::net::{SocketType, sockopt};

use crate::switch::Switch;

/// A port of an internal network for one virtual NIC, whose frames come over standard input, a stream socket: each after its
/// length in 4 big-endian bytes.
#[derive(Parser, Debug)]
#[command(name = "dormer-switch", version)]
struct Options {
    /// The folder in which the ports of the network meet
    #[arg(value_name = "FOLDER")]
    network: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dormer-switch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let link = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let kind = sockopt::socket_type(&link);
    ensure!(kind.is_ok_and(|kind| kind == SocketType::STREAM), "standard input is not a stream socket");
    let joined = join::join(&options.network)
        .with_context(|| format!("cannot join the network in {}", options.network.display()))?;
    tracing::info!("port {}, {} others", joined.number, joined.peers.len());
    // Before the line that says that all is well: a network that is not confined does not start.
    sandbox::enter()?;
    // Whoever waited for it may have gone.
    let _ = writeln!(std::io::stdout(), "port {}", joined.number);
    match Switch::new(UnixStream::from(link), joined).run() {
        LinkLost::Closed => Ok(()),
        lost => Err(lost.into()),
    }
}
