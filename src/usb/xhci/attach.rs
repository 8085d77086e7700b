//! What is in the ports, and how it gets there.

use std::sync::{Arc, Mutex, Weak};

use super::Xhci;
use crate::{Bus, Function, NoPort, Place, Ports, Speed, Waker};

impl Xhci {
    /// A free place for a device of this speed: `wish`, or the first one. Hubs' ports come before the controller's own: that is what a
    /// machine has a hub for.
    pub fn free_place(&mut self, speed: Speed, wish: Option<Place>) -> Result<Place, NoPort> {
        let numbers = 1..=self.ports.len() as u8;
        let place = match wish {
            Some(place @ Place { port, behind: None }) => self.is_free(port, speed).then_some(place),
            Some(Place { port, behind: Some(behind) }) => self.free_behind(port, speed, Some(behind)),
            None => numbers.clone().find_map(|port| self.free_behind(port, speed, None)).or_else(|| {
                let mut numbers = numbers;
                numbers.find(|&port| self.is_free(port, speed)).map(Place::from)
            }),
        };
        place.ok_or(NoPort)
    }

    /// Is there nothing in this port, and has it the wires?
    fn is_free(&self, port: u8, speed: Speed) -> bool {
        let found = usize::from(port).checked_sub(1).and_then(|at| self.ports.get(at));
        found.is_some_and(|found| found.function.is_none() && found.takes(speed))
    }

    /// A free place in the hub in this port, if there is one.
    fn free_behind(&mut self, port: u8, speed: Speed, wish: Option<u8>) -> Option<Place> {
        let behind = self.hub(port)?.free(speed, wish)?;
        Some(Place { port, behind: Some(behind) })
    }

    /// What wakes `controller` for what is in a port of it, or behind that.
    pub fn waker(controller: &Arc<Mutex<Self>>, port: u8) -> Waker {
        let bus: Weak<Mutex<Self>> = Arc::downgrade(controller);
        Waker::new(bus, port)
    }

    /// Puts a device into a free place: `wish`, or the first one. Gives where it is. A device that has a [`waker`](Self::waker) wishes for
    /// a place at the port that this one is for, found by [`free_place`](Self::free_place) under the same lock.
    pub fn attach(&mut self, function: Box<dyn Function>, wish: Option<Place>) -> Result<Place, NoPort> {
        let place = self.free_place(function.speed(), wish)?;
        match place.behind {
            Some(behind) => {
                self.hub(place.port).ok_or(NoPort)?.attach(behind, function)?;
                self.woken(place.port);
            }
            None => {
                let port = &mut self.ports[usize::from(place.port) - 1];
                port.generation = port.generation.wrapping_add(1);
                let function = port.function.insert(function);
                function.reset();
                self.change_port(place.port, |port| port.found());
                self.update();
            }
        }
        Ok(place)
    }

    /// Takes what is in a place out of it; the guest notices. Its transfers are cancelled.
    pub fn detach(&mut self, place: Place) -> Option<Box<dyn Function>> {
        let at = usize::from(place.port).checked_sub(1)?;
        self.ports.get(at)?.function.as_ref()?;
        self.break_off(place);
        let function = match place.behind {
            Some(behind) => {
                let function = self.hub(place.port)?.detach(behind);
                self.woken(place.port);
                function
            }
            None => {
                let function = self.ports[at].function.take();
                self.change_port(place.port, |port| port.lost());
                function
            }
        };
        self.work();
        self.update();
        function
    }

    /// What is in a port.
    pub fn function(&mut self, port: u8) -> Option<&mut (dyn Function + 'static)> {
        let port = self.ports.get_mut(usize::from(port).checked_sub(1)?)?;
        Some(&mut **port.function.as_mut()?)
    }

    /// The ports of the hub in a port.
    fn hub(&mut self, port: u8) -> Option<&mut dyn Ports> {
        self.function(port)?.ports()
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
