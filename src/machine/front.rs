//! The machine's front: screen, sound, keyboard, pointer and serial line, for threads that serve people.
//!
//! Everything here may be called from any thread while the machine runs, and waits for one device's mutex at most.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::control::Serial;
use chipset::Uart;
use device::input::InputRouter;
use device::pci::AddressSpace;
use display::edid::DisplaySize;
use display::{Vga, read_pixels};
use usb::Xhci;
use virtio::VirtioVga;

use crate::board::lock;
use crate::screen::Screen;
use crate::serial::SerialRecord;
use crate::sound::Sound;

/// A picture of the screen.
pub struct Screenshot {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Row by row, 0x00RRGGBB.
    pub pixels: Vec<u32>,
}

/// A handle to the machine's front. Clones are the same front.
#[derive(Clone)]
pub struct Front {
    pub(crate) screen: Arc<Screen>,
    pub(crate) vga: Arc<Mutex<Vga>>,
    pub(crate) space: Arc<dyn AddressSpace>,
    pub(crate) input: Arc<InputRouter>,
    pub(crate) uart: Arc<Mutex<Uart>>,
    pub(crate) serial: SerialRecord,
    pub(crate) video: Arc<Mutex<VirtioVga>>,
    pub(crate) sound: Option<Arc<Sound>>,
    pub(crate) usb: Option<Arc<Mutex<Xhci>>>,
}

impl Front {
    /// The screen, to be watched.
    pub fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    /// Brings the screen up to date; whoever watches calls it before each frame. True when there is no other way to see what
    /// changes: the guest writes to video memory. Else the device tells.
    pub fn refresh(&self) -> bool {
        let mut vga = lock(&self.vga);
        vga.refresh(&*self.space);
        vga.is_shown()
    }

    /// What stands on the screen now; nothing while the screen is off.
    pub fn screenshot(&self) -> Option<Screenshot> {
        self.refresh();
        let scanout = self.screen.scanout()?;
        Some(Screenshot { width: scanout.width, height: scanout.height, pixels: read_pixels(&scanout) })
    }

    /// The screen's characters, when it is in a text mode.
    pub fn text(&self) -> Option<Vec<String>> {
        lock(&self.vga).text()
    }

    /// Keyboard and pointer.
    pub fn input(&self) -> &InputRouter {
        &self.input
    }

    /// The way of its sound, if it has a sound card.
    pub fn sound(&self) -> Option<&Sound> {
        self.sound.as_deref()
    }

    /// Its USB controller, if it has one: who puts something into its ports takes its mutex.
    pub fn usb(&self) -> Option<&Arc<Mutex<Xhci>>> {
        self.usb.as_ref()
    }

    /// The person's screen has this size, in pixels and millimetres.
    pub fn set_display_size(&self, width: u32, height: u32, width_mm: u32, height_mm: u32) {
        let size = DisplaySize { width, height, width_mm, height_mm };
        lock(&self.video).set_display_size(size);
    }

    /// What the guest sent over its first serial port since byte `from`. When that is nothing, waits for something until `limit`.
    pub fn serial_read(&self, from: u64, limit: Duration) -> Serial {
        self.serial.read(from, limit)
    }

    /// Sends bytes into the first serial port as the guest takes them. Gives how many it took within `limit`.
    pub fn serial_write(&self, bytes: &[u8], limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let mut sent = 0;
        while sent < bytes.len() {
            let taken = lock(&self.uart).receive(&bytes[sent..]);
            sent += taken;
            if taken == 0 && !self.serial.wait_ready(deadline) {
                break;
            }
        }
        sent
    }
}
