//! Tells when devices come and go.
//!
//! udev's word is only the reason to look: words are lost when many come at once. Where there is no udev, this looks every now and then.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use futures_core::Stream;

use super::{Device, list};

/// Where udev listens while it runs.
const UDEV: &str = "/run/udev/control";
/// How often this looks without it.
const LOOK: Duration = Duration::from_secs(2);

/// Wakes the thread that watches.
struct Wakes(Thread);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Calls with the devices that are plugged in: at once, and whenever others are, until `tell` answers false. Blocks.
pub fn watch(mut tell: impl FnMut(Vec<Device>) -> bool) {
    let waker = Waker::from(Arc::new(Wakes(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut watch = match nusb::watch_devices() {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::debug!("nobody tells of USB devices: {error}");
            None
        }
    };
    let told = watch.is_some() && Path::new(UDEV).exists();
    let mut shown = None;
    loop {
        while let Some(Poll::Ready(Some(_))) = watch.as_mut().map(|watch| Pin::new(watch).poll_next(&mut context)) {}
        let now = list().unwrap_or_else(|error| {
            tracing::debug!("{error}");
            Vec::new()
        });
        let plugged: Vec<_> = now.iter().map(|device| (device.ports.clone(), device.address)).collect();
        if shown.as_ref() != Some(&plugged) {
            shown = Some(plugged);
            if !tell(now) {
                return;
            }
        }
        match told {
            true => std::thread::park(),
            false => std::thread::park_timeout(LOOK),
        }
    }
}
