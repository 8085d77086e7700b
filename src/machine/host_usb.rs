//! The host's own USB devices in the machine's ports, each with a thread that attends to it.
//!
//! What the kernel is asked for may take long, so the machine's owner or that thread asks it: see [`usb::host`]. With a device may come
//! one end of a pipe, whose other end a process outside watches: when this one is closed, be it that the engine was killed, that
//! process gives the device back to the host's drivers, if it is not back already ([`host::keep`]).

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;

use api::usb::{TEXT_BYTES, UsbAttached, UsbStatus};
use usb::host::{self, Attendant, OpenError};
use usb::{Bus, Function, NoPort, Waker, Xhci};

use crate::board::lock;
use crate::{News, Threads};

/// What cannot be done with a device of the host.
#[derive(Debug, thiserror::Error)]
pub enum HostUsbError {
    /// No such device.
    #[error("the machine has no USB device {0}")]
    NoDevice(String),
    /// There is one.
    #[error("the machine has the USB device {0} already")]
    Again(String),
    /// A name that no device has.
    #[error("a USB device has an id and a name of at most {TEXT_BYTES} bytes each")]
    Name,
    /// Nothing to attach it to.
    #[error("the machine has no USB controller")]
    NoController,
    /// All are taken.
    #[error(transparent)]
    NoPort(#[from] NoPort),
    /// The device was not to be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No thread for it.
    #[error("the computer has no thread left for the device")]
    Thread(#[source] std::io::Error),
    /// It is out of the machine, but the host has no driver for it.
    #[error("the host did not take the device back: unplug it and plug it in again ({0})")]
    GiveBack(#[source] std::io::Error),
}

/// A device in a port.
struct Guest {
    status: UsbStatus,
    attendant: Attendant,
    thread: JoinHandle<()>,
    /// It was pulled out of the host.
    gone: Arc<AtomicBool>,
    /// Closed when the device is with the host again.
    _keeper: Option<OwnedFd>,
}

/// All devices of the host that a machine has.
pub struct HostUsb {
    controller: Option<Arc<Mutex<Xhci>>>,
    guests: Vec<Guest>,
    tell: Arc<dyn Fn(News) + Send + Sync>,
    confine: Arc<dyn Fn(Threads) + Send + Sync>,
    running: bool,
}

impl HostUsb {
    pub(crate) fn new(
        controller: Option<Arc<Mutex<Xhci>>>,
        tell: impl Fn(News) + Send + Sync + 'static,
        confine: impl Fn(Threads) + Send + Sync + 'static,
    ) -> Self {
        Self { controller, guests: Vec::new(), tell: Arc::new(tell), confine: Arc::new(confine), running: false }
    }

    /// Takes the device of usbfs file `file` from the host, and puts it into a port. `keeper` is held as long as the machine has it.
    pub fn attach(
        &mut self,
        id: &str,
        name: &str,
        file: OwnedFd,
        keeper: Option<OwnedFd>,
    ) -> Result<UsbAttached, HostUsbError> {
        let controller = self.controller.as_ref().ok_or(HostUsbError::NoController)?;
        if id.is_empty() || id.len() > TEXT_BYTES || name.len() > TEXT_BYTES {
            return Err(HostUsbError::Name);
        }
        if self.guests.iter().any(|guest| guest.status.id == id) {
            return Err(HostUsbError::Again(id.to_owned()));
        }
        let (device, attendant) = host::open(file)?;
        let (vendor, product) = device.identity();
        let speed = device.speed();
        let placed = lock(controller).attach(Box::new(device), None);
        let place = match placed {
            Ok(place) => place,
            Err(error) => {
                // What it was to be told about is why it was not attached.
                let _ = attendant.give_back();
                return Err(error.into());
            }
        };
        let bus: Weak<Mutex<dyn Bus>> = Arc::<Mutex<Xhci>>::downgrade(controller);
        let waker = Waker::new(bus, place.port);
        let gone = Arc::new(AtomicBool::new(false));
        let thread = {
            let (attendant, confine, tell) = (attendant.clone(), Arc::clone(&self.confine), Arc::clone(&self.tell));
            let (gone, id) = (Arc::clone(&gone), id.to_owned());
            std::thread::Builder::new().name("usb".into()).spawn(move || {
                confine(Threads::Usb);
                let told = || {
                    gone.store(true, SeqCst);
                    tell(News::UsbGone { id });
                };
                attendant.serve(|| waker.wake(), told);
            })
        };
        let thread = match thread {
            Ok(thread) => thread,
            Err(error) => {
                drop(lock(controller).detach(place));
                let _ = attendant.give_back();
                return Err(HostUsbError::Thread(error));
            }
        };
        attendant.set_running(self.running);
        let status = UsbStatus { id: id.to_owned(), name: name.to_owned(), vendor, product, speed, port: place };
        self.guests.push(Guest { status, attendant, thread, gone, _keeper: keeper });
        Ok(UsbAttached { id: id.to_owned(), port: place, speed })
    }

    /// Takes a device out of the machine and gives it back to the host, as far as it is still there.
    pub fn detach(&mut self, id: &str) -> Result<(), HostUsbError> {
        let index = self.guests.iter().position(|guest| guest.status.id == id);
        let guest = self.guests.remove(index.ok_or_else(|| HostUsbError::NoDevice(id.to_owned()))?);
        if let Some(controller) = &self.controller {
            // Not dropped under the controller's mutex.
            let device = lock(controller).detach(guest.status.port);
            drop(device);
        }
        // Ends with the device. A panic of the thread was reported when it happened.
        let _ = guest.thread.join();
        match guest.attendant.give_back() {
            Err(error) if !guest.gone.load(SeqCst) => Err(HostUsbError::GiveBack(error.into())),
            _ => Ok(()),
        }
    }

    /// Was this one pulled out of the host, and is still in its port?
    pub(crate) fn is_gone(&self, id: &str) -> bool {
        self.guests.iter().any(|guest| guest.status.id == id && guest.gone.load(SeqCst))
    }

    /// All devices.
    pub fn status(&self) -> Vec<UsbStatus> {
        self.guests.iter().map(|guest| guest.status.clone()).collect()
    }

    /// Lets devices work, or holds them while the machine stands. On return from `false` the controller is told nothing any more.
    pub(crate) fn set_running(&mut self, running: bool) {
        self.running = running;
        for guest in &self.guests {
            guest.attendant.set_running(running);
        }
        if let Some(controller) = self.controller.as_ref().filter(|_| !running) {
            drop(lock(controller));
        }
    }
}

impl Drop for HostUsb {
    fn drop(&mut self) {
        for UsbStatus { id, .. } in self.status() {
            if let Err(error) = self.detach(&id) {
                tracing::warn!("{id}: {error}");
            }
        }
    }
}
