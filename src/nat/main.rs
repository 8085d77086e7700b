//! `dormer-nat`: a network for one NIC, made of the host's sockets. No root, no device of the host.
//!
//! The engine's [`net::Port`] is at the other end of `--fd`. Behind it libslirp plays a router, a DHCP server and a name
//! server (RFC 2131, RFC 1035 by relay) and turns the guest's TCP, UDP and pings into sockets of this process. libslirp is
//! C and reads what a hostile guest writes, so it lives here, in a process of its own that holds nothing else, never in the
//! engine: no file can be opened, no program started, memory and sockets are bounded ([`sandbox`]).
//!
//! The process ends with status 0 when the other end of `--fd` closes, and with 1 and one sentence on stderr otherwise.

mod control;
mod forward;
mod inherited;
mod options;
mod relay;
mod sandbox;
mod slirp;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use net::LinkLost;

use crate::control::Control;
use crate::options::Options;
use crate::relay::Relay;
use crate::slirp::Stack;

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
            eprintln!("dormer-nat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let link = inherited::stream(options.fd).context("--fd")?;
    anyhow::ensure!(!inherited::is_listening(&link), "--fd: file descriptor {} is not connected", options.fd);
    let control = match options.control_fd {
        Some(fd) if fd == options.fd => anyhow::bail!("--fd and --control-fd are both {fd}"),
        Some(fd) => {
            let socket = inherited::stream(fd).context("--control-fd")?;
            let listens = inherited::is_listening(&socket);
            Some(if listens { Control::listen(socket.into())? } else { Control::over(socket.into()) })
        }
        None => None,
    };
    sandbox::bound_resources().context("bounding memory and sockets")?;
    let mut stack = Stack::new(&options.network()?)?;
    for forward in &options.forwards {
        stack.add_forward(*forward)?;
    }
    // libslirp seeds itself from a device file, so this comes after it and before the guest's first byte.
    sandbox::close_files();
    match Relay::new(stack, link.into(), control).run() {
        LinkLost::Closed => Ok(()),
        lost => Err(lost.into()),
    }
}
