//! The host's own devices: a [`Function`](crate::Function) through usbfs, on a descriptor that was opened elsewhere.
//!
//! - [`usbfs`]: the kernel's calls; `buffer`: memory for what is moved;
//! - [`descriptors`]: what a device says of itself, which may be anything;
//! - `function`: requests and transfers of the guest, and what of them the kernel has to do or to know;
//! - `errands`: calls that take long, by a thread of the machine.
//!
//! Interfaces are taken from the host's drivers when a device is opened ([`open`]) and given back by [`Attendant::give_back`]. The kernel
//! gives nobody's interfaces back to drivers when a process ends, so that somebody outside of the engine has to see its end:
//! [`keep`], in a process of its own.

mod buffer;
pub mod descriptors;
mod errands;
mod function;
pub mod usbfs;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

pub use errands::Attendant;
pub use function::HostDevice;

use descriptors::{Description, HUB};
use errands::Shared;
use usbfs::Usbfs;

/// Why a device of the host cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The descriptor is something else.
    #[error("this is not a USB device's file of /dev/bus/usb, opened to read and write")]
    NotUsbfs,
    /// It was pulled out.
    #[error("the device is gone")]
    Gone,
    /// Hubs are for the host.
    #[error("this is a hub: it stays with the host, what is in it can be attached")]
    Hub,
    /// Another program has it.
    #[error("another program uses the device's interface {0}")]
    Claimed(u8),
    /// What it says of itself makes no sense.
    #[error("the device's description cannot be understood")]
    Nonsense,
    /// The kernel said so.
    #[error("the kernel refuses the device: {0}")]
    Refused(#[source] Errno),
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NODEV | Errno::SHUTDOWN => Self::Gone,
            error => Self::Refused(error),
        }
    }
}

/// Takes a device from the host's drivers. Waits, seconds at worst.
pub fn open(file: OwnedFd) -> Result<(HostDevice, Attendant), OpenError> {
    let usbfs = Usbfs::new(file).ok_or(OpenError::NotUsbfs)?;
    let description = Description::parse(&usbfs.descriptors(descriptors::BYTES)?).ok_or(OpenError::Nonsense)?;
    if description.class == HUB {
        return Err(OpenError::Hub);
    }
    let speed = usbfs.speed()?;
    let mut configuration = configuration(&usbfs, &description)?;
    let interfaces = description.configuration(configuration).map(|it| it.interfaces()).unwrap_or_default();
    for (index, &interface) in interfaces.iter().enumerate() {
        match usbfs.claim(interface) {
            Ok(()) => {}
            // It is not there: nothing is set.
            Err(Errno::INVAL) if index == 0 => {
                configuration = 0;
                break;
            }
            Err(error) => {
                connect(&usbfs, &interfaces[..index]);
                return Err(if error == Errno::BUSY { OpenError::Claimed(interface) } else { error.into() });
            }
        }
    }
    let shared = Arc::new(Shared::new(usbfs, configuration)?);
    Ok((HostDevice::new(Arc::clone(&shared), description, speed), Attendant(shared)))
}

/// The configuration that is set, as the device says. Some do not tell, or say that there is none, and have but one: if the kernel has none
/// set indeed, there is no interface that could be claimed.
fn configuration(usbfs: &Usbfs, description: &Description) -> Result<u8, Errno> {
    match (usbfs.configuration(), &description.configurations[..]) {
        (Err(Errno::NODEV | Errno::SHUTDOWN), _) => Err(Errno::NODEV),
        (Err(_), [only, ..]) | (Ok(0), [only]) => Ok(only.value),
        (result, _) => result,
    }
}

/// Lets the host's drivers have interfaces again.
fn connect(usbfs: &Usbfs, interfaces: &[u8]) {
    for &interface in interfaces {
        // One that is not claimed is refused.
        let _ = usbfs.release(interface);
    }
    for &interface in interfaces {
        // One whose driver came with another's is busy; for many there is none.
        let _ = usbfs.connect(interface);
    }
}

/// Puts a device back to how the host had it, if its interfaces are claimed through this file.
fn give_back(usbfs: &Usbfs, configuration: u8) -> Result<(), Errno> {
    let description = Description::parse(&usbfs.descriptors(descriptors::BYTES)?).unwrap_or_default();
    let now = self::configuration(usbfs, &description)?;
    let interfaces = description.configuration(now).map(|it| it.interfaces()).unwrap_or_default();
    let mut ours = false;
    for &interface in &interfaces {
        ours |= usbfs.release(interface).is_ok();
    }
    if !ours {
        return Ok(());
    }
    // Whatever the guest was at is forgotten.
    usbfs.reset()?;
    if now != configuration {
        // Drivers come with it.
        return usbfs.set_configuration(configuration);
    }
    connect(usbfs, &interfaces);
    Ok(())
}

/// Waits until `engine`, a pipe or socket whose other end the engine holds, hangs up, and gives the device of `file` back, a copy of the
/// descriptor that the engine has. For a process that outlives the engine: of one that ended well, nothing is left to do.
pub fn keep(file: OwnedFd, engine: impl AsFd) -> Result<(), OpenError> {
    let usbfs = Usbfs::new(file).ok_or(OpenError::NotUsbfs)?;
    let description = Description::parse(&usbfs.descriptors(descriptors::BYTES)?).ok_or(OpenError::Nonsense)?;
    let configuration = configuration(&usbfs, &description)?;
    while let Ok(1..) | Err(Errno::INTR) = rustix::io::read(&engine, &mut [0_u8; 64]) {}
    Ok(give_back(&usbfs, configuration)?)
}
