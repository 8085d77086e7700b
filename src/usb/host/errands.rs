//! What takes a host's device long, and what waits for it: done by a thread of the machine, since the function has none.
//!
//! The kernel holds a device's lock during such a call, so that every other call on the device would wait with it. The function
//! therefore calls nothing while an errand is under way, and the thread reaps nothing.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::give_back;
use super::usbfs::Usbfs;
use crate::Endpoint;

/// How long to wait for memory of the host before asking for it again.
const RETRY: Duration = Duration::from_millis(20);
/// How long to wait when a controller does not collect, or the host has no memory to poll.
const REST: Duration = Duration::from_millis(2);

/// A call that takes long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Reset the device, and take its interfaces again.
    Reset {
        /// Of the configuration that is set.
        interfaces: Vec<u8>,
    },
    /// Set another configuration.
    Configure {
        /// Interfaces to let go.
        release: Vec<u8>,
        /// `bConfigurationValue`.
        value: u8,
        /// Interfaces to take then.
        claim: Vec<u8>,
    },
    /// Choose alternate settings.
    Settings(Vec<(u8, u8)>),
    /// End a halt.
    ClearHalt(Endpoint),
    /// So many streams instead of any there are.
    Streams(Endpoint, u16),
}

#[derive(Default)]
struct Orders {
    errands: VecDeque<Errand>,
    /// Of errands, in their order.
    results: VecDeque<Result<(), Errno>>,
    /// The controller is to collect.
    wake: bool,
    /// The host had no memory.
    starved: bool,
    running: bool,
    closed: bool,
}

/// What function and thread have in common.
pub(super) struct Shared {
    pub(super) usbfs: Usbfs,
    /// What the configuration was when the device came.
    pub(super) configuration: u8,
    orders: Mutex<Orders>,
    /// Readable when there are orders.
    bell: OwnedFd,
    /// The thread has had the controller collect, and the function has not looked yet.
    turn: AtomicBool,
}

impl Shared {
    pub(super) fn new(usbfs: Usbfs, configuration: u8) -> Result<Self, Errno> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { usbfs, configuration, orders: Mutex::default(), bell, turn: AtomicBool::new(false) })
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        // Whole after a panic: every change is one assignment.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut self.orders());
        self.ring();
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then the thread is about to look anyway.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// To be done, after those before.
    pub(super) fn send(&self, errand: Errand) {
        self.order(|orders| orders.errands.push_back(errand));
    }

    /// What came of the next errand.
    pub(super) fn result(&self) -> Option<Result<(), Errno>> {
        self.orders().results.pop_front()
    }

    /// Is there something to be had of the kernel? True once after each wake.
    pub(super) fn take_turn(&self) -> bool {
        self.turn.swap(false, SeqCst)
    }

    /// May anything be told? Not while the machine stands.
    pub(super) fn is_running(&self) -> bool {
        self.orders().running
    }

    /// The controller is to collect when it has done what it is at.
    pub(super) fn call_back(&self) {
        // Who had said so has rung, or is the thread itself.
        if !std::mem::replace(&mut self.orders().wake, true) {
            self.ring();
        }
    }

    /// The controller is to collect in a while.
    pub(super) fn call_back_later(&self) {
        self.order(|orders| orders.starved = true);
    }

    /// The function is no more.
    pub(super) fn close(&self) {
        self.order(|orders| orders.closed = true);
    }

    /// Takes interfaces again. Who cannot have lost the device, to another program.
    fn claim(&self, interfaces: &[u8]) -> Result<(), Errno> {
        let mut claims = interfaces.iter().map(|&interface| self.usbfs.claim(interface));
        claims.try_for_each(|claim| claim.map_err(|_| Errno::NODEV))
    }

    fn perform(&self, errand: &Errand) -> Result<(), Errno> {
        let usbfs = &self.usbfs;
        match errand {
            Errand::Reset { interfaces } => {
                for &interface in interfaces {
                    usbfs.release(interface)?;
                }
                usbfs.reset()?;
                self.claim(interfaces)
            }
            Errand::Configure { release, value, claim } => {
                for &interface in release {
                    usbfs.release(interface)?;
                }
                let set = usbfs.set_configuration(*value);
                self.claim(if set.is_ok() { claim } else { release })?;
                set
            }
            Errand::Settings(settings) => {
                settings.iter().try_for_each(|&(interface, alternate)| usbfs.set_interface(interface, alternate))
            }
            Errand::ClearHalt(endpoint) => usbfs.clear_halt(*endpoint),
            Errand::Streams(endpoint, streams) => {
                // Refused when there are none.
                let _ = usbfs.free_streams(*endpoint);
                if *streams < 2 { Ok(()) } else { usbfs.allocate_streams(*endpoint, *streams) }
            }
        }
    }
}

/// The outside of a host's device: what its thread and the machine's owner do for it. Clones are of the same device.
#[derive(Clone)]
pub struct Attendant(pub(super) Arc<Shared>);

impl Attendant {
    /// Lets the device work, or holds it while the machine stands: then nothing is collected. Held at first. What the controller is at
    /// on return from `false` is over when its mutex was free once.
    pub fn set_running(&self, running: bool) {
        self.0.order(|orders| (orders.running, orders.wake) = (running, running));
    }

    /// Serves the device until the function is no more. `wake` has the controller collect what is done; `gone` is called once if the
    /// device is pulled out of the host, or lost to another program.
    pub fn serve(&self, wake: impl Fn(), gone: impl FnOnce()) {
        let shared = &*self.0;
        let mut gone = Some(gone);
        loop {
            let (errand, awake, starved, running) = {
                let mut orders = shared.orders();
                if orders.closed {
                    return;
                }
                let running = orders.running;
                (orders.errands.pop_front(), running && orders.wake, running && orders.starved, running)
            };
            if let Some(errand) = errand {
                let result = shared.perform(&errand);
                if let Err(error) = result {
                    tracing::debug!(?errand, "{error}");
                    if error == Errno::NODEV
                        && let Some(gone) = gone.take()
                    {
                        gone();
                    }
                }
                let mut orders = shared.orders();
                orders.results.push_back(result);
                orders.wake = true;
                continue;
            }
            if awake {
                shared.orders().wake = false;
                shared.turn.store(true, SeqCst);
                wake();
                continue;
            }
            // Only whether it is gone, where nothing may be collected.
            let wanted = if running { PollFlags::OUT } else { PollFlags::empty() };
            let mut fds = vec![PollFd::new(&shared.bell, PollFlags::IN)];
            if gone.is_some() {
                fds.push(PollFd::new(&shared.usbfs, wanted));
            }
            let rest = Timespec { tv_sec: 0, tv_nsec: RETRY.subsec_nanos().into() };
            match poll(&mut fds, starved.then_some(&rest)) {
                Ok(0) => {
                    let mut orders = shared.orders();
                    (orders.starved, orders.wake) = (false, true);
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!("polling for a USB device: {error}");
                    std::thread::sleep(REST);
                }
            }
            if !fds[0].revents().is_empty() {
                let _ = rustix::io::read(&shared.bell, &mut [0_u8; 8]);
            }
            let Some(events) = fds.get(1).map(PollFd::revents) else { continue };
            if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                shared.orders().wake = true;
                if let Some(gone) = gone.take() {
                    gone();
                }
            } else if events.contains(PollFlags::OUT) {
                shared.turn.store(true, SeqCst);
                wake();
                // A controller that does not collect is not asked without rest.
                if shared.turn.load(SeqCst) {
                    std::thread::sleep(REST);
                }
            }
        }
    }

    /// Gives the device back to the host: as it was, with the host's drivers. Waits, seconds at worst. To be called when the function
    /// is no more.
    pub fn give_back(&self) -> Result<(), Errno> {
        give_back(&self.0.usbfs, self.0.configuration)
    }
}
