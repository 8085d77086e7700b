//! `--keep-usb`: gives a USB device back to the host's drivers when the engine that has it is no more, however it ended.
//!
//! The kernel leaves a device without a driver when the process that took it ends. So whoever attaches one starts this process beside:
//! standard input is one end of a pipe, whose other end only the engine has; standard output is the device's usbfs file, of which the
//! engine has a copy. It waits for the pipe's end, and does nothing else.

use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::sandbox;

/// Runs as that process.
pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dormer-vm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // It outlives whoever started it. Fails only for a process that leads a session already: then all is well.
    let _ = rustix::process::setsid();
    let device = std::io::stdout().as_fd().try_clone_to_owned().context("the device's file is missing")?;
    sandbox::enter_keeper()?;
    usb::host::keep(device, std::io::stdin().as_fd()).context("the host does not have its USB device back")
}
