//! The USB controller on the board, and what is in its ports from the first.

use std::sync::{Arc, Mutex};

use api::machine::{Usb, UsbController};
use chipset::Lpc;
use device::input::InputRouter;
use device::pci::{Devfn, PciFunction};
use usb::devices::hid::{Hid, Keyboard, Model, Mouse, Sink, Tablet};
use usb::devices::hub::Hub;
use usb::xhci::Timers;
use usb::{NoPort, Place, Xhci};

use crate::BuildError;
use crate::board::{Board, lock};

/// Where chips of Intel have theirs.
pub(crate) const PLACE: Devfn = Devfn::new(0x14, 0);
/// Ports of the controller, or of the hub; these never change for a released board version.
const KEYBOARD: u8 = 1;
const TABLET: u8 = 2;
const MOUSE: u8 = 3;
/// And the hub's own.
const HUB: u8 = 1;

impl Board {
    /// Puts the controller on the board, if there is one, and adds what is in its ports to `input`.
    pub(crate) fn add_usb(
        &mut self,
        wanted: &Usb,
        lpc: &Mutex<Lpc>,
        input: &mut InputRouter,
    ) -> Result<Option<Arc<Mutex<Xhci>>>, BuildError> {
        if wanted.controller == UsbController::None {
            return Ok(None);
        }
        let (clock, dma, msi) = (self.clock.clone(), self.dma(), self.msi.clone());
        let controller = self.keep_timed(|timer| Xhci::new(clock, Timers::new(timer), dma, msi));
        lock(&controller).core_mut().connect_intx(Self::inta(lpc, PLACE.device()));
        self.plug(PLACE, controller.clone());
        let place = |port| match wanted.hub {
            true => Place { port: HUB, behind: Some(port) },
            false => port.into(),
        };
        if wanted.hub {
            lock(&controller).attach(Box::new(Hub::new()), Some(HUB.into()))?;
        }
        if wanted.keyboard {
            input.add_keyboard(self.put::<Keyboard>(&controller, place(KEYBOARD))?);
        }
        if wanted.tablet {
            input.add_pointer(self.put::<Tablet>(&controller, place(TABLET))?);
        }
        if wanted.mouse {
            input.add_pointer(self.put::<Mouse>(&controller, place(MOUSE))?);
        }
        Ok(Some(controller))
    }

    /// Puts an input device in its place. Gives where the person's doings go.
    fn put<M: Model>(&self, controller: &Arc<Mutex<Xhci>>, place: Place) -> Result<Arc<Mutex<Sink<M>>>, NoPort> {
        let device = Hid::<M>::with_timer(self.timers.timer(0), self.clock.clone());
        let sink = Arc::new(Mutex::new(device.sink(Xhci::waker(controller, place.port))));
        device.connect_timer(&sink);
        lock(controller).attach(Box::new(device), Some(place))?;
        Ok(sink)
    }
}
