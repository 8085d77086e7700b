//! The main thread: owns the machine, and does one thing at a time.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use api::control::{Command, Event, RunState, Status};
use api::usb::UsbGone;
use machine::{Cable, HostUsbError, Image, Machine, News, PowerRequest};
use serde_json::{Value, json};

use crate::events::Events;

/// How long UEFI variables rest before they are written.
const VARIABLES_REST: Duration = Duration::from_millis(500);
/// When writing them failed, it is tried again after this time.
const VARIABLES_RETRY: Duration = Duration::from_secs(10);

/// What the main thread is told.
pub(crate) enum Order {
    /// A device or vCPU has news.
    News(News),
    /// A client's command, with the descriptors that came with it.
    Command {
        /// The command.
        command: Command,
        /// Its descriptors.
        fds: Vec<OwnedFd>,
        /// Where the answer goes; an error is a sentence.
        answer: SyncSender<Result<Value, String>>,
    },
}

/// What comes after an order.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

/// The machine's owner.
pub(crate) struct Owner {
    machine: Machine,
    events: Events,
    state: RunState,
    /// When UEFI variables are to be written, if they are.
    variables_due: Option<Instant>,
    /// They could not be written, and that was told.
    variables_failed: bool,
}

impl Owner {
    /// Takes charge of a machine that stands at power-on.
    pub(crate) fn new(machine: Machine, events: Events) -> Self {
        Self { machine, events, state: RunState::Prelaunch, variables_due: None, variables_failed: false }
    }

    /// Lets it run.
    pub(crate) fn start(&mut self) {
        self.machine.resume();
        self.state = RunState::Running;
    }

    /// Does what it is told until the machine is off.
    pub(crate) fn serve(&mut self, inbox: &Receiver<Order>) -> Result<()> {
        loop {
            let order = match self.variables_due {
                Some(due) => match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => {
                        self.write_variables();
                        continue;
                    }
                    other => other.ok(),
                },
                None => inbox.recv().ok(),
            };
            let then = match order {
                Some(Order::News(news)) => self.hear(news)?,
                Some(Order::Command { command, fds, answer }) => {
                    let (result, then) = match self.obey(command, fds) {
                        Ok((value, then)) => (Ok(value), then),
                        Err(error) => (Err(format!("{error:#}")), Then::GoOn),
                    };
                    // The client may have gone meanwhile.
                    let _ = answer.send(result);
                    then
                }
                None => Then::End,
            };
            if then == Then::End {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, news: News) -> Result<Then> {
        if !self.machine.stands(&news) {
            return Ok(Then::GoOn);
        }
        match news {
            News::Power(PowerRequest::Reset) => self.reset(true)?,
            News::Power(PowerRequest::Off) => {
                self.machine.pause()?;
                self.end(true, "guest-shutdown");
                return Ok(Then::End);
            }
            News::VariablesChanged => self.variables_due = Some(Instant::now() + VARIABLES_REST),
            News::CaptureFailed { id, why } => {
                let reason = format!("the capture of {id} has ended: {why}");
                self.events.emit(&Event::CaptureFailed { id, reason });
            }
            News::UsbGone { id } => {
                // It is out of its port in any case, and there is nothing to give back.
                let _ = self.machine.host_usb().detach(&id);
                self.events.emit(&Event::UsbDetached { id, reason: UsbGone::Unplugged });
            }
            News::NetworkDown { id } => self.events.emit(&Event::NetworkDown { id }),
            News::StorageFull { drive } => {
                let ran = self.machine.is_running();
                self.machine.pause()?;
                if self.state == RunState::Running {
                    self.state = RunState::IoError;
                }
                self.events.emit(&Event::BlockIoError {
                    device: drive,
                    operation: "write".into(),
                    action: "stop".into(),
                    nospace: true,
                    reason: "the disk of this computer is full: make room, then let the machine go on".into(),
                });
                if ran {
                    self.events.emit(&Event::Stop {});
                }
            }
            News::CpuFailed(why) => {
                tracing::error!("the machine stopped: {why}");
                self.machine.pause()?;
                self.state = RunState::InternalError;
                self.events.emit(&Event::Stop {});
            }
        }
        Ok(Then::GoOn)
    }

    /// Keeps UEFI variables, or tells the person, once, that they are not kept and goes on trying.
    fn write_variables(&mut self) {
        let result = self.machine.write_variables();
        self.variables_due = result.as_ref().is_err().then(|| Instant::now() + VARIABLES_RETRY);
        let told = std::mem::replace(&mut self.variables_failed, result.is_err());
        if let Err(error) = result
            && !told
        {
            tracing::error!("UEFI variables cannot be kept: {error}");
            self.events.emit(&Event::BlockIoError {
                device: "uefi-variables".into(),
                operation: "write".into(),
                action: "report".into(),
                nospace: error.kind() == std::io::ErrorKind::StorageFull,
                reason: format!("what the guest set in its firmware cannot be kept: {error}"),
            });
        }
    }

    fn obey(&mut self, command: Command, mut fds: Vec<OwnedFd>) -> Result<(Value, Then)> {
        let mut then = Then::GoOn;
        let value = match command {
            Command::QueryStatus {} => {
                serde_json::to_value(Status { running: self.machine.is_running(), status: self.state })?
            }
            Command::Stop {} => {
                if self.machine.is_running() {
                    self.machine.pause()?;
                    self.state = RunState::Paused;
                    self.events.emit(&Event::Stop {});
                }
                json!({})
            }
            Command::Cont {} => {
                if self.state == RunState::InternalError {
                    bail!("the machine cannot go on: reset it");
                }
                if !self.machine.is_running() {
                    self.start();
                    self.events.emit(&Event::Resume {});
                }
                json!({})
            }
            Command::SystemReset {} => {
                self.reset(false)?;
                json!({})
            }
            Command::SystemPowerdown {} => {
                self.machine.press_power_button();
                self.events.emit(&Event::Powerdown {});
                json!({})
            }
            Command::Quit {} => {
                self.machine.pause()?;
                self.end(false, "host-qmp-quit");
                then = Then::End;
                json!({})
            }
            Command::QueryBlock {} => serde_json::to_value(self.machine.drives())?,
            Command::QueryBlockstats {} => serde_json::to_value(self.machine.drive_stats())?,
            Command::QueryUsage {} => serde_json::to_value(self.machine.usage())?,
            Command::SetLink { name, up } => {
                self.machine.networks().set_link(&name, up)?;
                json!({})
            }
            Command::QueryNetworks {} => serde_json::to_value(self.machine.networks().status())?,
            Command::Connect { name, network, tap } => {
                let end =
                    fds.pop().context("send what the cable leads to with the command: the engine opens nothing")?;
                let cable = if tap {
                    Cable::tap(end).context("the tap device cannot be used")?
                } else {
                    Cable::Stream(end.into())
                };
                self.machine.networks().connect(&name, network, cable)?;
                json!({})
            }
            Command::Capture { name } => {
                let file = fds.pop().context("send the open file with the command: the engine opens no path")?;
                self.machine.networks().capture(&name, file.into())?;
                json!({})
            }
            Command::CaptureEnd { name } => {
                self.machine.networks().end_capture(&name)?;
                json!({})
            }
            Command::UsbAttach { id, name } => {
                let mut fds = fds.into_iter();
                let file =
                    fds.next().context("send the device's open file with the command: the engine opens no path")?;
                serde_json::to_value(self.machine.host_usb().attach(&id, &name, file, fds.next())?)?
            }
            Command::UsbDetach { id } => {
                let result = self.machine.host_usb().detach(&id);
                if !matches!(result, Err(HostUsbError::NoDevice(_))) {
                    self.events.emit(&Event::UsbDetached { id, reason: UsbGone::Detached });
                }
                result?;
                json!({})
            }
            Command::QueryUsb {} => serde_json::to_value(self.machine.host_usb().status())?,
            Command::Insert { drive, format } => {
                let file = fds.pop().context("send the open image with the command: the engine opens no path")?;
                let image = Image { file: File::from(file), format, read_only: true };
                self.machine.change_medium(&drive, Some(image))?;
                self.tray_moved(drive, false);
                json!({})
            }
            Command::Eject { id } => {
                self.machine.change_medium(&id, None)?;
                self.tray_moved(id, true);
                json!({})
            }
            other => bail!("{other:?} is not for the machine's owner"),
        };
        Ok((value, then))
    }

    fn reset(&mut self, guest: bool) -> Result<()> {
        // Or the installation would begin again.
        for drive in self.machine.done_installers() {
            match self.machine.change_medium(&drive, None) {
                Ok(()) => self.tray_moved(drive, true),
                Err(error) => tracing::warn!("{drive}: the installer's CD stays: {error}"),
            }
        }
        self.machine.reset()?;
        match self.state {
            RunState::InternalError => self.start(),
            // What waited for room was given up.
            RunState::IoError => self.state = RunState::Paused,
            _ => {}
        }
        let reason = if guest { "guest-reset" } else { "host-qmp-system-reset" };
        self.events.emit(&Event::Reset { guest, reason: reason.into() });
        Ok(())
    }

    fn tray_moved(&self, drive: String, open: bool) {
        self.events.emit(&Event::DeviceTrayMoved { id: drive.clone(), device: drive, tray_open: open });
    }

    fn end(&mut self, guest: bool, reason: &str) {
        self.state = RunState::Shutdown;
        self.events.emit(&Event::Shutdown { guest, reason: reason.into() });
    }
}
