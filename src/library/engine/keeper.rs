//! The process that gives a USB device back to this computer when the engine that has it is no more, however it ended
//! (`dormer-vm --keep-usb`). The kernel leaves such a device without a driver.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};

use super::program;
use super::start::reap;
use crate::error::{Result, Trying};

/// Starts one for an open device. What it gives is for the engine alone, with that same open file: when the last copy is closed, the
/// device goes back, if it has not gone before. What it has to say goes to the machine's log.
pub(super) fn start(device: &File, log: &Path) -> Result<OwnedFd> {
    let trying = || "start what gives the USB device back".to_owned();
    let (watched, held) = pipe_with(PipeFlags::CLOEXEC).trying(trying)?;
    // A copy, not the file opened anew: who has claimed an interface is known by the open file.
    let copy = device.try_clone().trying(trying)?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log).at("open", log)?;
    let keeper = Command::new(program("dormer-vm")?)
        .arg("--keep-usb")
        .stdin(watched)
        .stdout(Stdio::from(copy))
        .stderr(log)
        .current_dir("/")
        .spawn()
        .trying(trying)?;
    reap(keeper);
    Ok(held)
}
