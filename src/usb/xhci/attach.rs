//! What is in the root ports, and how it gets there.

use std::sync::{Arc, Mutex, Weak};

use api::usb::Speed;

use super::Xhci;
use crate::{Bus, Function, Waker};

/// No port is free for a device of this speed, or the one that was wished for is taken or of the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no USB port is free")]
pub struct NoPort;

impl Xhci {
    /// A free port for a device of this speed: `wish`, or the first one. 1 is the first of all.
    pub fn free_port(&self, speed: Speed, wish: Option<u8>) -> Result<u8, NoPort> {
        let mut numbered = (1..).zip(&self.ports);
        let free = numbered.find(|(number, port)| {
            port.function.is_none() && port.takes(speed) && wish.is_none_or(|wish| wish == *number)
        });
        free.map(|(number, _)| number).ok_or(NoPort)
    }

    /// What wakes `controller` for what is in a port of it.
    pub fn waker(controller: &Arc<Mutex<Self>>, port: u8) -> Waker {
        let bus: Weak<Mutex<Self>> = Arc::downgrade(controller);
        Waker::new(bus, port)
    }

    /// Puts a device into a free port: `wish`, or the first one. Gives the port. A device that has a [`waker`](Self::waker) wishes for
    /// the port that this one is for, found by [`free_port`](Self::free_port) under the same lock.
    pub fn attach(&mut self, function: Box<dyn Function>, wish: Option<u8>) -> Result<u8, NoPort> {
        let number = self.free_port(function.speed(), wish)?;
        let port = &mut self.ports[usize::from(number) - 1];
        port.generation = port.generation.wrapping_add(1);
        let function = port.function.insert(function);
        function.reset();
        self.change_port(number, |port| port.found());
        self.update();
        Ok(number)
    }

    /// Takes what is in a port out of it; the guest notices. Its transfers are cancelled.
    pub fn detach(&mut self, port: u8) -> Option<Box<dyn Function>> {
        let at = usize::from(port).checked_sub(1)?;
        self.ports.get(at)?.function.as_ref()?;
        self.break_off(port);
        let function = self.ports[at].function.take();
        self.change_port(port, |port| port.lost());
        self.work();
        self.update();
        function
    }

    /// What is in a port.
    pub fn function(&mut self, port: u8) -> Option<&mut (dyn Function + 'static)> {
        let port = self.ports.get_mut(usize::from(port).checked_sub(1)?)?;
        Some(&mut **port.function.as_mut()?)
    }
}

impl Bus for Xhci {
    fn woken(&mut self, port: u8) {
        if (1..=self.ports.len()).contains(&usize::from(port)) {
            self.end_sleep(port);
            if self.is_running() {
                self.collect(port);
                self.work();
            }
            self.update();
        }
    }

    fn is_awake(&self) -> bool {
        self.is_running()
    }
}
