//! What a USB device is to its controller.

use std::sync::{Mutex, PoisonError, Weak};

use device::{Section, StateDyn};

use crate::{Completion, Endpoint, Speed, Transfer, TransferId};

/// A USB device, in a port of the controller or of a hub.
///
/// The controller calls all of this under its own mutex, so a function must not wake it from here, nor wait for anything. Addresses,
/// slots and rings are the controller's; a function sees requests (`SET_ADDRESS` not among them) and transfers. It bounds what it
/// keeps, and no transfer, however absurd, may do more than fail.
pub trait Function: StateDyn + Send {
    /// The speed it runs at in its port.
    fn speed(&self) -> Speed;

    /// The bus was reset: no configuration, nothing halted, no transfer in flight.
    fn reset(&mut self);

    /// Takes a transfer: what came of it, or `None` when that is yet to come (a NAK, an answer of the host), and will be
    /// [collected](Self::collect). Transfers of one endpoint (and stream) are done in their order. Those that wait are no part of the
    /// function's saved state: the controller hands them in anew after restoring.
    fn submit(&mut self, transfer: Transfer) -> Option<Completion>;

    /// Forgets a transfer: from here on its memory is not touched and nothing is told about it. Of those that are not there, nothing
    /// happens.
    fn cancel(&mut self, id: TransferId);

    /// The next of the transfers that have been done meanwhile; called after a wake, and after each transfer that was handed in (which
    /// may have finished others that waited), until there is none.
    fn collect(&mut self) -> Option<(TransferId, Completion)>;

    /// Transfers are about to be cancelled: what is over by now is to be had by [`collect`](Self::collect), whoever has been woken. Nothing
    /// more is begun for that.
    fn reap(&mut self) {}

    /// Called after a wake, and when its port has fallen asleep: is that sleep to end for what it has to say (USB 2.0, 9.1.1.6)? Only with
    /// DEVICE_REMOTE_WAKEUP set. A hub asks what is in its ports, and ends their sleep.
    fn remote_wakeup(&mut self) -> bool {
        false
    }

    /// Is there something of it in a saved state? Else it is pulled out when one is saved, and plugged in when one is restored.
    fn is_saved(&self) -> bool {
        true
    }

    /// The controller has forgotten the endpoint's state (xHCI's Reset Endpoint and Configure Endpoint), with so many streams to
    /// come, 0 for none.
    fn endpoint_reset(&mut self, endpoint: Endpoint, streams: u16) {
        let _ = (endpoint, streams);
    }

    /// Its ports, if it is a hub.
    fn ports(&mut self) -> Option<&mut dyn Ports> {
        None
    }
}

/// The ports of a hub, 1 being the first.
pub trait Ports {
    /// What can be reached in a port, which is enabled then.
    fn child(&mut self, port: u8) -> Option<&mut dyn Function>;

    /// A free port for a device of this speed: `wish`, or the first one.
    fn free(&self, speed: Speed, wish: Option<u8>) -> Option<u8>;

    /// Puts a function into a free port. The guest hears of it when the controller collects.
    fn attach(&mut self, port: u8, function: Box<dyn Function>) -> Result<(), NoPort>;

    /// Takes a function out of a port. Its transfers are the controller's to end.
    fn detach(&mut self, port: u8) -> Option<Box<dyn Function>>;

    /// The ports, a bit for each, bit 1 for the first, whose functions have been reset by requests to the hub since this was asked last:
    /// what they had is the controller's to end.
    fn take_resets(&mut self) -> u8;
}

/// A function as it is saved, if it is.
pub(crate) fn section(function: &dyn Function) -> Option<Section> {
    // Its state is plain data, which there is JSON for.
    if function.is_saved() { function.save_section().ok() } else { None }
}

/// No port is free for a device of this speed, or the one that was wished for is taken or of the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no USB port is free")]
pub struct NoPort;

/// A controller, as what is outside of the machine sees it.
pub trait Bus: Send {
    /// Something in root port `port` (1 is the first), or behind it, has something to collect.
    fn woken(&mut self, port: u8);

    /// Would it hear somebody who wakes it? Not while its driver has it stand: then nothing that sleeps can be woken.
    fn is_awake(&self) -> bool;
}

/// What wakes a controller for one function. It locks the controller, so it is called by other threads than those in it.
#[derive(Clone)]
pub struct Waker {
    bus: Weak<Mutex<dyn Bus>>,
    port: u8,
}

impl Waker {
    /// For what is in root port `port`.
    pub fn new(bus: Weak<Mutex<dyn Bus>>, port: u8) -> Self {
        Self { bus, port }
    }

    /// Lets the controller collect.
    pub fn wake(&self) {
        if let Some(bus) = self.bus.upgrade() {
            bus.lock().unwrap_or_else(PoisonError::into_inner).woken(self.port);
        }
    }

    /// Would the controller hear that? Locks it, as [`Self::wake`] does.
    pub fn is_heard(&self) -> bool {
        self.bus.upgrade().is_some_and(|bus| bus.lock().unwrap_or_else(PoisonError::into_inner).is_awake())
    }
}
